"""Binance depth: the sequence check, the rule by which differences are joined to a REST snapshot, and the book that results.

Spot: the first difference applied has U <= lastUpdateId + 1 <= u, each next one U = u before + 1. USD-M: U <= lastUpdateId <= u, then pu = u before.
Differences received before the snapshot are kept and applied when it arrives (binance-spot-api-docs, "How to manage a local order book correctly";
USD-M futures documentation of the same name).
"""

import numpy as np
from attrs import define, field, frozen

from titan_core.model.enums import StreamKind
from titan_core.model.market import GapReason
from titan_core.tape.columns import DEPTH_LEVELS
from titan_core.tape.faults import FaultKind, FaultLog
from titan_core.tape.importers.book import AnyBook, Book, LevelRuns, Levels
from titan_core.tape.importers.decimals import Ints
from titan_core.tape.importers.rows import GapRows, Rows

_WAITING = 4096
"""Differences kept while there is no snapshot; at one per 100 ms or faster a snapshot is never that late."""


@frozen(eq=False)
class Differences:
    """Depth messages in their order: ids `first` to `last` each; `previous` is the last id before it (-1 where the venue does not say)."""

    slots: Ints
    lines: Ints
    events: Ints
    first: Ints
    last: Ints
    previous: Ints
    levels: LevelRuns

    def kept(self, start: int, stop: int) -> "Differences":
        """Return a copy of the messages start:stop, for keeping longer than the buffers that they were read into."""
        low, high = (int(self.levels.bids[start:stop].min()), int(self.levels.ends[start:stop].max())) if stop > start else (0, 0)
        bids, asks, ends = (column[start:stop] - low for column in (self.levels.bids, self.levels.asks, self.levels.ends))
        levels = LevelRuns(bids, asks, ends, self.levels.prices[low:high].copy(), self.levels.sizes[low:high].copy())
        columns = (self.slots, self.lines, self.events, self.first, self.last, self.previous)
        slots, lines, events, firsts, lasts, befores = (column[start:stop].copy() for column in columns)
        return Differences(slots, lines, events, firsts, lasts, befores, levels)

    def merged(self, other: "Differences") -> "Differences":
        """Return the messages of both in the order of their slots."""
        if not len(other.slots) or not len(self.slots):
            return other if len(other.slots) else self
        order = np.argsort(np.concatenate([self.slots, other.slots]), kind="stable")

        def both(mine: Ints, others: Ints) -> Ints:
            joined: Ints = np.concatenate([mine, others])[order]
            return joined

        a, b, shift = self.levels, other.levels, len(self.levels.prices)
        return Differences(
            both(self.slots, other.slots),
            both(self.lines, other.lines),
            both(self.events, other.events),
            both(self.first, other.first),
            both(self.last, other.last),
            both(self.previous, other.previous),
            LevelRuns(
                both(a.bids, b.bids + shift),
                both(a.asks, b.asks + shift),
                both(a.ends, b.ends + shift),
                np.concatenate([a.prices, b.prices]),
                np.concatenate([a.sizes, b.sizes]),
            ),
        )


@define
class BinanceDepth:
    """Checks the sequence of one instrument's differences and keeps its book once a snapshot allows it."""

    usdm: bool
    log: FaultLog
    gaps: GapRows
    book: AnyBook = field(factory=Book)
    rows: Rows = field(factory=lambda: Rows(StreamKind.DEPTH), init=False)
    _waiting: list[Differences] = field(factory=list, init=False)
    _synced: bool = field(default=False, init=False)
    _snapshot_id: int | None = field(default=None, init=False)
    """The id of a loaded snapshot whose first difference has not come yet."""
    _last_id: int | None = field(default=None, init=False)
    _last_slot: int = field(default=0, init=False)
    _unused: int = field(default=0, init=False)
    """Messages without a row since the book was last in step, and the line of the first."""
    _unused_line: int = field(default=0, init=False)

    def differences(self, messages: Differences, start: int, stop: int) -> None:
        """Take the next depth messages, start:stop of `messages`."""
        if start >= stop:
            return
        found = (messages.previous if self.usdm else messages.first)[start:stop]
        before = np.concatenate([[self._last_id if self._last_id is not None else 0], messages.last[start : stop - 1]])
        broken = found != before + (0 if self.usdm else 1)
        broken[0] &= self._last_id is not None
        edges = sorted({start, *(np.flatnonzero(broken) + start).tolist()})
        for begin, end in zip(edges, [*edges[1:], stop], strict=True):
            if broken[begin - start]:
                self._break(messages, begin, int(before[begin - start]), int(found[begin - start]))
            self._run(messages, begin, end)
        self._last_id, self._last_slot = int(messages.last[stop - 1]), int(messages.slots[stop - 1])

    def snapshot(self, slot: int, last_id: int, bids: Levels, asks: Levels) -> None:
        """Take a REST snapshot; a book that is in step needs none."""
        if self._in_step():
            return
        self.book.load(bids, asks)
        self._snapshot_id = last_id
        waiting, self._waiting = self._waiting, []
        for messages in waiting:
            stop = len(messages.slots)
            first = 0 if self._in_step() else self._join(messages, 0, stop)
            if first < stop:
                self.book.apply(messages.levels, first, stop)
        if self._in_step():
            self._add(np.array([slot], np.int64), np.zeros(1, np.int64), self.book.row().reshape(1, -1))
        elif not self._awaits_first():
            self._waiting = waiting

    def finish(self) -> None:
        """Report the differences that no book could be made of."""
        if self._unused:
            self.log.add(FaultKind.UNSYNCED, self._unused_line, "no REST depth snapshot fits these differences: no book, no depth rows", self._unused)

    def _in_step(self) -> bool:
        return self._synced

    def _awaits_first(self) -> bool:
        return self._snapshot_id is not None

    def _run(self, messages: Differences, start: int, stop: int) -> None:
        """Take messages that follow one another without a gap."""
        first = start if self._synced else self._join(messages, start, stop)
        if not self._synced:
            if not self._unused:
                self._unused_line = int(messages.lines[start])
            self._unused += stop - start
            if self._snapshot_id is None:
                self._wait(messages, start, stop)
        elif first < stop:
            rows = self.book.apply(messages.levels, first, stop)
            self._add(messages.slots[first:stop], messages.events[first:stop], rows)

    def _join(self, messages: Differences, start: int, stop: int) -> int:
        """Return the first message to apply to the loaded snapshot, `stop` where it has not come; the book is then in step or not."""
        if self._snapshot_id is None:
            return stop
        wanted = self._snapshot_id if self.usdm else self._snapshot_id + 1
        place = start + int(np.searchsorted(messages.last[start:stop], wanted))
        if place == stop:
            return stop
        if messages.first[place] > wanted:
            text = f"the snapshot ends at id {self._snapshot_id}, the next difference starts at {messages.first[place]}"
            self.log.add(FaultKind.UNSYNCED, int(messages.lines[place]), text)
            self._snapshot_id = None
            return stop
        self._snapshot_id, self._synced, self._unused = None, True, 0
        return place

    def _wait(self, messages: Differences, start: int, stop: int) -> None:
        self._waiting.append(messages.kept(max(start, stop - _WAITING), stop))
        while sum(len(batch.slots) for batch in self._waiting[1:]) >= _WAITING:
            del self._waiting[0]

    def _add(self, slots: Ints, events: Ints, rows: Ints) -> None:
        table = rows.reshape(-1, 4, DEPTH_LEVELS)
        self.rows.add(slots, events, {"bids": table[:, 0], "bid_lots": table[:, 1], "asks": -table[:, 2], "ask_lots": table[:, 3]})

    def _break(self, messages: Differences, place: int, before: int, found: int) -> None:
        text = f"depth ids jump: {'pu' if self.usdm else 'U'} {found} follows u {before}"
        self.log.add(FaultKind.GAP, int(messages.lines[place]), text)
        since = int(messages.slots[place - 1]) if place > 0 else self._last_slot
        self.gaps.add(since, int(messages.slots[place]), GapReason.SEQUENCE)
        self._synced, self._snapshot_id = False, None
        self._waiting.clear()
