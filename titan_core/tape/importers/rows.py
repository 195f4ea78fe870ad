"""Rows under construction: the receive times of a file, and the rows of its streams on the fine scale before the grid is known."""

from collections.abc import Mapping, Sequence

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

from titan_core.model.enums import StreamKind
from titan_core.model.market import GapReason
from titan_core.tape.columns import strictly_increasing
from titan_core.tape.faults import FaultKind, FaultLog
from titan_core.tape.importers.decimals import Ints, Numbers, Trouble
from titan_core.tape.manifest import ClockStats


@define
class Timeline:
    """The receive time of every message of a file in the file's order. A *slot* is a place in it; rows refer to time by slot."""

    _receive: list[Ints] = field(factory=list, init=False)
    _lines: list[Ints] = field(factory=list, init=False)
    _latency: list[Ints] = field(factory=list, init=False)
    slots: int = field(default=0, init=False)

    def extend(self, receive_ns: Ints, lines: Ints) -> int:
        """Append slots and return the number of the first."""
        first = self.slots
        self._receive.append(receive_ns)
        self._lines.append(lines)
        self.slots += len(receive_ns)
        return first

    def compare(self, receive_ns: Ints, event_ns: Ints) -> None:
        """Note receive and event times of the same messages for the clock statistics; an event time of 0 means the venue sent none."""
        sent = event_ns > 0
        self._latency.append(receive_ns[sent] - event_ns[sent])

    def close(self, log: FaultLog) -> "Times":
        """Return the times as the tape keeps them, reporting steps back of the clock."""
        receive = np.concatenate(self._receive) if self._receive else np.zeros(0, np.int64)
        lines = np.concatenate(self._lines) if self._lines else np.zeros(0, np.int64)
        ts = strictly_increasing(receive)
        steps = np.diff(receive)
        back = np.flatnonzero(steps < 0)
        largest = int(-steps[back].min()) if len(back) else 0
        if len(back):
            row = int(back[0]) + 1
            text = f"receive time falls by {-int(steps[row - 1])} ns to {int(receive[row])}; the largest step back is {largest} ns"
            log.add(FaultKind.CLOCK_STEP, int(lines[row]), text, len(back))
        bump = ts - receive
        latency = np.concatenate(self._latency) if self._latency else np.zeros(0, np.int64)
        clock = ClockStats(
            samples=len(latency),
            min_ns=int(latency.min()) if len(latency) else 0,
            median_ns=int(np.median(latency)) if len(latency) else 0,
            max_ns=int(latency.max()) if len(latency) else 0,
            bumped=int(np.count_nonzero(bump)),
            largest_bump_ns=int(bump.max()) if len(bump) else 0,
            steps_back=len(back),
            largest_step_back_ns=largest,
        )
        return Times(ts, lines, clock)


@frozen(eq=False)
class Times:
    """Strictly increasing receive times and the line of each slot."""

    ts: Ints
    lines: Ints
    clock: ClockStats


@define
class Rows:
    """The rows of one stream, collected block by block: a slot, the venue's time and fine integers each."""

    kind: StreamKind
    _slots: list[Ints] = field(factory=list, init=False)
    _events: list[Ints] = field(factory=list, init=False)
    _fields: dict[str, list[NDArray[np.int64]]] = field(factory=dict, init=False)

    def add(self, slots: Ints, events_ns: Ints, fields: Mapping[str, NDArray[np.int64]]) -> None:
        """Append rows."""
        self._slots.append(slots)
        self._events.append(events_ns)
        for name, values in fields.items():
            self._fields.setdefault(name, []).append(values)

    @property
    def count(self) -> int:
        """Rows so far."""
        return sum(len(slots) for slots in self._slots)

    def join(self) -> "Table":
        """Return all rows as one table in the order of their slots."""
        slots, events = np.concatenate(self._slots), np.concatenate(self._events)
        fields = {name: np.concatenate(values) for name, values in self._fields.items()}
        if (np.diff(slots) < 0).any():
            order = np.argsort(slots, kind="stable")
            slots, events, fields = slots[order], events[order], {name: values[order] for name, values in fields.items()}
        return Table(self.kind, slots, events, fields)


@frozen(eq=False)
class Table:
    """The rows of one stream in one piece."""

    kind: StreamKind
    slots: Ints
    events: Ints
    fields: dict[str, NDArray[np.int64]]

    def pick(self, keep: NDArray[np.bool_]) -> "Table":
        """Return the rows that are marked."""
        if keep.all():
            return self
        return Table(self.kind, self.slots[keep], self.events[keep], {name: values[keep] for name, values in self.fields.items()})


@define
class GapRows:
    """Gaps found in a recording, by slot: the stretch from one slot to another, and why."""

    _rows: list[tuple[int, int, GapReason]] = field(factory=list, init=False)

    def add(self, since_slot: int, slot: int, reason: GapReason) -> None:
        """Note a gap that lasts from one slot to another."""
        self._rows.append((since_slot, slot, reason))

    def columns(self, times: Times) -> dict[str, NDArray[np.generic]] | None:
        """Return GAP columns, or None where there is no gap. Of two gaps at one slot the first found stays."""
        rows = {slot: (since, reason) for since, slot, reason in reversed(self._rows)}
        if not rows or not len(times.ts):
            return None
        slots = np.array(sorted(rows), np.int64)
        since = np.array([rows[slot][0] for slot in slots.tolist()], np.int64)
        reason = np.array([rows[slot][1] for slot in slots.tolist()], np.int32)
        ends = times.ts[np.minimum(slots, len(times.ts) - 1)] + (slots >= len(times.ts))
        return {"ts": ends, "length_ns": ends - times.ts[since], "reason": reason}


def readable(fields: Mapping[str, tuple[Ints, NDArray[np.int8]]], tokens: Mapping[str, Sequence[object]], lines: Ints, log: FaultLog) -> NDArray[np.bool_]:
    """Mark the rows all of whose numbers could be read, reporting the others; a number with too many decimals is off the grid but stays."""
    keep = np.ones(len(lines), np.bool_)
    for name, (_, trouble) in fields.items():
        if not trouble.any():
            continue
        kinds = {Trouble.UNREADABLE: FaultKind.BAD_LINE, Trouble.TOO_LARGE: FaultKind.OUT_OF_RANGE, Trouble.TOO_FINE: FaultKind.OFF_GRID}
        for problem, kind in kinds.items():
            rows = np.flatnonzero(trouble == problem)
            if len(rows):
                first = int(rows[0])
                log.add(kind, int(lines[first]), f"{name} {tokens[name][first]!r} is {problem.name.lower().replace('_', ' ')}", len(rows))
                if problem is not Trouble.TOO_FINE:
                    keep[rows] = False
    return keep


def scaled(numbers: Mapping[str, Numbers], scales: Mapping[str, int]) -> dict[str, tuple[Ints, NDArray[np.int8]]]:
    """Bring each field to its fine scale."""
    return {name: values.fine(scales[name]) for name, values in numbers.items()}
