"""Plays a recorded session back: the market from its recording, the words of venue and operator from its journal, and nobody behind the outbox.

The same engine, Brain and strategies must then decide the same, to the last refusal. What may differ, and why, stands in docs/parity.md.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from attrs import frozen

from titan_core.app.live.entries import Ended, Entry, Moment, Started
from titan_core.app.live.market import layout_of
from titan_core.app.live.outbox import CollectingOutbox
from titan_core.brain.limits import BrainLimits
from titan_core.engine.governor import BrainGovernor
from titan_core.engine.live import PerEvent
from titan_core.engine.mirror import MirrorVenue
from titan_core.engine.phases import PhaseBinding
from titan_core.errors import UsageError
from titan_core.model.enums import StreamKind
from titan_core.model.ids import VenueId
from titan_core.tape.columns import SPECS
from titan_core.tape.tape import Tape

Decision = list[Any]


@frozen
class Process:
    """What one process has left in the journal."""

    started: Started
    moments: tuple[Moment, ...]
    ended: Ended | None


@frozen(kw_only=True)
class Comparison:
    """How a process's decisions compare with those of its playback."""

    boot: int
    first_ns: int
    last_ns: int
    recorded: int
    """Decisions in the journal, up to the last row of the recording."""
    played: int
    fills: int
    beyond: int
    """Decisions after the last row of the recording: the process was killed before those rows were written."""
    difference: tuple[int, Decision | None, Decision | None] | None
    """Place of the first difference with both decisions; None where there is none."""
    notes: tuple[str, ...] = ()
    """Differences of code or configuration that were found beforehand."""

    @property
    def is_equal(self) -> bool:
        """Whether the same was decided."""
        return self.difference is None


def processes(entries: Iterable[Entry]) -> list[Process]:
    """Split the entries of a journal by process."""
    found: list[Process] = []
    started: Started | None = None
    moments: list[Moment] = []

    def close(ended: Ended | None) -> None:
        if started is not None:
            found.append(Process(started, tuple(moments), ended))

    for entry in entries:
        if isinstance(entry, Started):
            if started is not None:
                close(None)
            started, moments = entry, []
        elif isinstance(entry, Moment):
            moments.append(entry)
        else:
            close(entry)
            started, moments = None, []
    close(None)
    return found


def play_back(process: Process, tape: Tape, bindings: Sequence[PhaseBinding], limits: BrainLimits, order_venues: frozenset[VenueId]) -> list[Decision]:
    """Return what is decided when the same market and the same words reach an engine again."""
    started = process.started
    instruments = tuple(tape.instrument(name) for name in started.instruments)  # type: ignore[arg-type]
    layout = layout_of(instruments)
    memory = started.memory
    is_first = started.boot == 1 and not (memory and (memory.holdings or memory.leaves))
    bands = [binding for binding in bindings if binding.declaration.band is not None]
    governor = BrainGovernor(bands, limits, memory=None if is_first else memory, order_venues=order_venues)
    cash = memory.cash if memory is not None else started.equity_start
    engine = PerEvent(layout, governor, cash=cash, slots=governor.slots, venue=lambda e: MirrorVenue(e, CollectingOutbox()))
    venue = engine.venue
    assert isinstance(venue, MirrorVenue)
    decisions: list[Decision] = []
    words = iter([moment for moment in process.moments if moment.word is not None])
    pending = next(words, None)
    begun = False
    for ts_ns, rank, values in _rows(tape, layout.ranks):
        if not begun:
            if ts_ns < started.ts_ns:
                engine.warm(ts_ns, rank, values)
                continue
            engine.start(started.ts_ns)
            begun = True
        while pending is not None and pending.ts_ns < ts_ns:
            _hear(engine, venue, pending)
            pending = next(words, None)
        engine.on_event(ts_ns, rank, values)
        _take(engine, decisions)
    if not begun:
        engine.start(started.ts_ns)
    while pending is not None:
        _hear(engine, venue, pending)
        pending = next(words, None)
    last = max([tape.last_ns, *(moment.ts_ns for moment in process.moments[-1:]), *([process.ended.ts_ns] if process.ended else [])])
    engine.advance(last)
    _take(engine, decisions)
    return decisions


def _hear(engine: PerEvent, venue: MirrorVenue, moment: Moment) -> None:
    assert moment.word is not None
    engine.advance(moment.ts_ns)
    venue.hear(moment.word)


def _take(engine: PerEvent, decisions: list[Decision]) -> None:
    if engine.record.entries:
        decisions += _plain(engine.record.take()[0])


def _plain(entries: Any) -> list[Decision]:
    """Return decisions as they look when they come out of a journal."""
    plain: list[Decision] = msgspec.json.decode(msgspec.json.encode(entries))
    return plain


def _rows(tape: Tape, ranks: Any) -> Iterator[tuple[int, int, tuple[Any, ...]]]:
    """Yield the rows of a recording in the order in which they were received: no two have one time."""
    sources = []
    for stream in tape.streams:
        rank = ranks.get((stream.instrument, stream.kind))
        if stream.kind is StreamKind.BASIS or rank is None:
            continue
        columns = [stream.columns[name].tolist() for name in SPECS[stream.kind].raw]
        sources.append([(row[0], rank, row[1:]) for row in zip(*columns, strict=True)])
    return heapq.merge(*sources)


def compare(
    process: Process, tape: Tape, bindings: Sequence[PhaseBinding], limits: BrainLimits, order_venues: frozenset[VenueId], notes: Sequence[str] = ()
) -> Comparison:
    """Play a process back and compare. Raises UsageError where the recording is another's."""
    started = process.started
    if not tape.first_ns <= process.started.ts_ns <= tape.last_ns:
        raise UsageError(f"the recording spans {tape.first_ns} to {tape.last_ns}; process {started.boot} began at {started.ts_ns}, so it is not its recording")
    known = [decision for moment in process.moments for decision in _plain(moment.decisions)]
    end = tape.last_ns if process.ended is None else max(tape.last_ns, process.ended.ts_ns)
    recorded = [decision for decision in known if decision[1] <= end]
    played = [decision for decision in play_back(process, tape, bindings, limits, order_venues) if decision[1] <= end]
    return Comparison(
        boot=started.boot,
        first_ns=started.ts_ns,
        last_ns=end,
        recorded=len(recorded),
        played=len(played),
        fills=sum(decision[0] == "fill" for decision in recorded),
        beyond=len(known) - len(recorded),
        difference=_first_difference(recorded, played),
        notes=tuple(notes),
    )


def _first_difference(recorded: Sequence[Decision], played: Sequence[Decision]) -> tuple[int, Decision | None, Decision | None] | None:
    for place in range(max(len(recorded), len(played))):
        ours = recorded[place] if place < len(recorded) else None
        theirs = played[place] if place < len(played) else None
        if ours != theirs:
            return place, ours, theirs
    return None
