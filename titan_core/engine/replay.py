"""The skip-ahead form: a replay that costs what it decides, not what it reads.

No work is done per tick. The next event at which anything is due is the minimum over the armed conditions; each is found by a compiled search. A
search that has gone through `CHUNK` rows without a result is suspended and resumed when its place in time comes up, because most conditions are
disarmed long before they would fire.
"""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from heapq import heappop, heappush
from typing import Any

import numpy as np

from titan_core.engine import bounds, levels, scan
from titan_core.engine.bars import BarsAsOf
from titan_core.engine.conditions import BOUND, FLOW, LEVEL, REST, TRAIL, WHERE, Bound, Condition
from titan_core.engine.core import Engine, Governor, span
from titan_core.engine.layout import NO_STREAM
from titan_core.engine.predicates import first_row
from titan_core.engine.prepared import Prepared
from titan_core.errors import TooLarge
from titan_core.model.enums import StreamKind
from titan_core.model.units import BPS, NEVER
from titan_core.tape.columns import view

CHUNK = 1 << 16
FAR = 1 << 40


class Replay(Engine):
    """Skip-ahead over a tape; needs numba."""

    form = "replay"

    def __init__(
        self,
        prepared: Prepared,
        governor: Governor,
        *,
        cash: int,
        slots: int,
        latency_ns: int = 5_000_000,
        slippage_ticks: int = 0,
        chunk: int = CHUNK,
        book: Any = None,
    ) -> None:
        """`chunk` and `book` are made small by tests, so that suspension and growth happen."""
        super().__init__(prepared.layout, governor, cash=cash, slots=slots, latency_ns=latency_ns, slippage_ticks=slippage_ticks)
        self.prepared = prepared
        self._d = prepared.descriptors
        self._ts = prepared.ts
        self._n = prepared.rows
        self._columns = prepared.columns
        self._chunk = chunk
        self._book = book or levels.LevelBook(prepared.descriptors)
        self._rank = -1
        self._row = -1
        self._serial = 0
        count = len(self._n)
        self._positions = [0] * count
        self._fresh = [-1] * count
        self._queue: list[tuple[int, int, int, int, int, Condition, bool]] = []
        self._dirty: list[Condition] = []
        self._found_array = np.zeros(4, np.int64)
        self._found = view(self._found_array)
        self._terms_array = bounds.empty_terms(2)
        self._terms = view(self._terms_array)
        self._trade_ranks = [self.layout.rank(k, StreamKind.TRADE) for k in range(len(self.layout.instruments))]
        self._addresses = [d.ctypes.data for d in self._d]

    # -- where we are ---------------------------------------------------------------------------------------------
    def _position(self, rank: int) -> int:
        """Return the number of rows of a stream that lie at or before the event being processed."""
        if self._fresh[rank] == self._serial:
            return self._positions[rank]
        if rank == self._rank:
            position = self._row + 1
        elif rank < self._rank:
            position = scan.pos_right(self._d[rank], self.now)
        else:
            position = scan.pos_right(self._d[rank], self.now - 1)
        self._fresh[rank] = self._serial
        self._positions[rank] = position
        return position

    def _go(self, ts: int, rank: int, row: int) -> None:
        self.now, self._rank, self._row = ts, rank, row
        self._serial += 1

    # -- arming ---------------------------------------------------------------------------------------------------
    def arm(self, condition: Condition, callback: Any, payload: Any, owner: Any) -> Condition:
        """See Engine.arm. A level, by far the most frequent, goes straight into its book."""
        if condition.kind != LEVEL:
            return super().arm(condition, callback, payload, owner)
        self._seq = condition.seq = self._seq + 1
        condition.callback = callback
        condition.payload = payload
        condition.owner = owner
        condition.alive = True
        self._book.push(condition)
        return condition

    def _arm(self, condition: Condition) -> None:
        condition.version += 1
        condition.state = None
        if condition.kind == BOUND:
            self._start_bound(condition)
        self._dirty.append(condition)

    def _disarm(self, condition: Condition) -> None:
        if condition.kind == LEVEL:
            self._book.remove(condition)
        else:
            condition.version += 1

    def _start_bound(self, condition: Condition) -> None:
        """Note where the terms of a bound start: those of its instruments, in rank order, each as (rank, column, weight, value, first row)."""
        bound: Bound = condition.extra
        values, dearest2 = self._values, self.prepared.dearest2
        legs = []
        reach = abs(bound.const)
        for k, weight in bound.weights.items():
            rank, column, factor = values[k]
            reach += abs(weight) * dearest2[k]
            legs.append((rank, column, weight * factor, self.value2(k) // factor, self._position(rank)))
        if reach > NEVER:  # the search adds in 64 bits; the other forms in as many as it takes
            held = ", ".join(str(self.layout.instruments[k].id) for k in bound.weights)
            raise TooLarge(
                f"the position in {held} is too large for the skip-ahead search ({bound.name} sums to {reach:.3g}, allowed is {NEVER:.3g}): "
                "replay it with --engine reference, which adds in as many bits as it takes"
            )
        if len(legs) > 1:
            legs.sort()
        condition.state = legs

    def _scan_bound(self, c: Condition, ends: Sequence[int] | Mapping[int, int], low: int, high: int, bps: int, strict: int) -> bool:
        """Search from where the bound was armed up to a row of each of its streams; the result is in `_found`."""
        bound: Bound = c.extra
        legs = c.state
        if len(self._terms) < len(legs) * bounds.TERM_SIZE:
            self._terms_array = bounds.empty_terms(len(legs))
            self._terms = view(self._terms_array)
        at = 0
        for rank, column, weight, value, row in legs:
            terms = self._terms
            terms[at], terms[at + 1], terms[at + 2] = self._addresses[rank], column, weight
            terms[at + 3], terms[at + 4], terms[at + 5] = value, row, ends[rank]
            at += bounds.TERM_SIZE
        found: bool = bounds.bound_scan(self._terms_array, len(legs), bound.const, low, high, bound.peak, bps, strict, self._found_array)
        return found

    def bound_peak(self, condition: Condition) -> int:
        """Search once more from where the bound was armed, up to now."""
        bound: Bound = condition.extra
        ends = {rank: self._position(rank) for rank, *_ in condition.state}
        self._scan_bound(condition, ends, -NEVER, NEVER, BPS, NEVER // 2)
        return max(bound.peak, self._found[bounds.OUT_PEAK])

    # -- searching ------------------------------------------------------------------------------------------------
    def _search(self, c: Condition) -> None:
        """Find the next event at which a condition is due and queue it; a search that goes too far queues its resumption instead."""
        if not c.alive:
            return
        kind, rank = c.kind, c.rank
        if kind == BOUND:
            self._search_bound(c)
            return
        resumed = type(c.state) is tuple and c.state[0] == "from"
        start = c.state[1] if resumed else self._position(rank)
        n = self._n[rank]
        end = min(start + self._chunk, n)
        d = self._d[rank]
        if kind == REST:
            self._search_rest(c, start, end, resumed)
            return
        if kind == TRAIL:
            side = 1 if c.rising else -1
            extreme = c.state[2] if resumed else -FAR * side
            row, kept = scan.trail(d, start, end, side, extreme, c.window)
        elif kind == WHERE:
            row, kept = first_row(c.extra, self.prepared.tape.streams[rank], start, end), 0
        else:
            assert kind == FLOW
            if c.until_ns < NEVER:
                last = scan.pos_right(d, c.until_ns)
                if end >= last:
                    end = n = max(last, start)
            row = scan.flow(d, start, end, c.window, c.level, 1 if c.rising else -1)
            kept = 0
        if row < end:
            heappush(self._queue, (self._ts[rank][row], rank, row, c.version, c.seq, c, True))
        elif end < n:
            c.state = ("from", end, kept)
            heappush(self._queue, (self._ts[rank][end], rank, end, c.version, c.seq, c, False))

    def _search_rest(self, c: Condition, start: int, end: int, resumed: bool) -> None:
        """A resting order is due at the first trade that executes it or the first quote of the other side that reaches its price."""
        order = c.extra
        rank, d, limit = c.rank, self._d[c.rank], c.level
        queue = c.state[2] if resumed else order.queue
        row, lots, queue = scan.limit_fill(d, start, end, order.sign, limit, queue, order.leaves_lots)
        quotes = self.layout.rank(order.k, StreamKind.QUOTE)
        first = c.state[3] if resumed else self._position(quotes)
        reached = row < end
        until = self._ts[rank][row] if reached else (self._ts[rank][end] if end < self._n[rank] else NEVER)
        # quotes rank before the trades of the same instrument, so one at the same time comes first
        last = scan.pos_right(self._d[quotes], until) if until < NEVER else self._n[quotes]
        if order.sign > 0:
            hit = scan.first_le(self._d[quotes], 1, first, last, limit)
        else:
            hit = scan.first_ge(self._d[quotes], 0, first, last, limit)
        if hit < last:
            c.state = (order.leaves_lots, 0)
            heappush(self._queue, (self._ts[quotes][hit], quotes, hit, c.version, c.seq, c, True))
        elif reached:
            c.state = (lots, queue)
            heappush(self._queue, (self._ts[rank][row], rank, row, c.version, c.seq, c, True))
        elif end < self._n[rank]:
            c.state = ("from", end, queue, last)
            heappush(self._queue, (self._ts[rank][end], rank, end, c.version, c.seq, c, False))

    def _search_bound(self, c: Condition) -> None:
        bound: Bound = c.extra
        if self._scan_bound(c, self._n, bound.low, bound.high, bound.bps, bound.strict):
            rank, row = c.state[self._found[bounds.OUT_TERM]][0], self._found[bounds.OUT_ROW]
            heappush(self._queue, (self._ts[rank][row], rank, row, c.version, c.seq, c, True))

    # -- the run --------------------------------------------------------------------------------------------------
    def run(self, start_ns: int | None = None, end_ns: int | None = None) -> "Replay":
        """Process the events of the tape; see Engine.run."""
        tape = self.prepared.tape
        start, last = span(tape, start_ns, end_ns)
        self._go(start - 1, len(self._n), -1)
        with few_collections():
            self._begin()
            self._loop(last)
        self._go(max(last, self.now), len(self._n), -1)
        return self

    def _loop(self, last: int) -> None:
        queue, timers, book = self._queue, self._timers, self._book
        next_due, conditions = levels.next_due, book.conditions
        beyond, first = len(self._n), levels.FIRST_SLOT
        while True:
            while self._dirty:
                todo, self._dirty = self._dirty, []
                for condition in todo:
                    self._search(condition)
            while queue and queue[0][3] != queue[0][5].version:
                heappop(queue)
            if timers and (not queue or timers[0][0] <= queue[0][0]):
                ts, rank, row = timers[0][0], -1, -1
            elif queue:
                ts, rank, row = queue[0][0], queue[0][1], queue[0][2]
            else:
                ts, rank, row = NEVER, beyond, 0
            if ts > last:
                due = next_due(book.control, self.now, self._rank, self._row, last, beyond, 0)
                if not due:
                    return
            else:
                due = next_due(book.control, self.now, self._rank, self._row, ts, rank, row)
            if due:
                out = book.out
                ts, rank, row = out[0], out[1], out[2]
                if due > 1 or (queue and queue[0][0] == ts and queue[0][1] == rank and queue[0][2] == row):
                    self._levels_due(due, conditions)
                    continue
                # by far the most frequent case: one level, nothing else at the same event
                condition = conditions.pop(out[first])
                self.now, self._rank, self._row = ts, rank, row
                self._serial += 1
                self.events += 1
                if condition.alive:
                    condition.alive = False
                    if condition.owner is None:
                        condition.callback(condition)
                    else:
                        self.fires += 1
                        condition.owner.call(condition.callback, condition)
            elif rank < 0:
                self._go(ts, -1, -1)
                self.events += 1
                self._run_timer(ts)
            else:
                self._queued_due(ts, rank, row, [])

    def _levels_due(self, due: int, conditions: dict[int, Condition]) -> None:
        """Process the event at which `due` levels were popped, together with whatever else is due at it."""
        out = self._book.out
        hits = [conditions.pop(out[levels.FIRST_SLOT + i]) for i in range(due)]
        self._queued_due(out[levels.O_TS], out[levels.O_RANK], out[levels.O_ROW], hits)

    def _queued_due(self, ts: int, rank: int, row: int, hits: list[Condition]) -> None:
        queue = self._queue
        waiting: list[Condition] = []
        while queue and queue[0][0] == ts and queue[0][1] == rank and queue[0][2] == row:
            _, _, _, version, _, condition, real = heappop(queue)
            if version != condition.version:
                continue
            (hits if real else waiting).append(condition)
        for condition in waiting:  # suspended searches go on; the clock has not moved
            self._search(condition)
        if waiting and not hits:
            return
        while waiting and queue and queue[0][0] == ts and queue[0][1] == rank and queue[0][2] == row:
            _, _, _, version, _, condition, real = heappop(queue)
            if version == condition.version and real:
                hits.append(condition)
        if not hits:
            return
        self._go(ts, rank, row)
        self.events += 1
        if len(hits) > 1:
            hits.sort(key=_by_arming)
        for condition in hits:
            self._fire(condition)
            if condition.kind == REST and condition.alive:
                condition.version += 1
                condition.state = None
                self._dirty.append(condition)

    # -- look-ups -------------------------------------------------------------------------------------------------
    def quote(self, k: int) -> tuple[int, int, int, int] | None:
        """See Engine.quote."""
        known = self.prepared.quotes[k]
        if known is None:
            return None
        row = self._position(known[0]) - 1
        if row < 0:
            return None
        bid, ask, bid_lots, ask_lots = known[1]
        return bid[row], ask[row], bid_lots[row], ask_lots[row]

    def depth(self, k: int, asks: bool) -> list[tuple[int, int]]:
        """See Engine.depth."""
        known = self.prepared.depths[k]
        if known is None:
            return []
        row = self._position(known[0]) - 1
        if row < 0:
            return []
        prices, lots = ("asks", "ask_lots") if asks else ("bids", "bid_lots")
        return list(zip(known[1][prices][row].tolist(), known[1][lots][row].tolist(), strict=True))

    def latest(self, rank: int, column: str) -> int | None:
        """See Engine.latest."""
        row = self._position(rank) - 1
        return self._columns[rank][column][row] if row >= 0 else None

    def latest_ts(self, rank: int) -> int | None:
        """See Engine.latest_ts."""
        row = self._position(rank) - 1
        return self._ts[rank][row] if row >= 0 else None

    def _trades(self, k: int) -> int:
        rank = self._trade_ranks[k]
        return rank if rank != NO_STREAM else self.layout.require(k, StreamKind.TRADE)

    def cvd(self, k: int, window_ns: int) -> int:
        """Signed lots over (now - window, now]."""
        rank = self._trades(k)
        total: int = scan.window_sum(self._d[rank], scan.SUM_SIGNED, self._position(rank), self.now - window_ns)
        return total

    def volume(self, k: int, window_ns: int) -> int:
        """Lots over (now - window, now]."""
        rank = self._trades(k)
        total: int = scan.window_sum(self._d[rank], scan.SUM_LOTS, self._position(rank), self.now - window_ns)
        return total

    def vwap(self, k: int, window_ns: int) -> float | None:
        """Volume-weighted price over (now - window, now]."""
        rank = self._trades(k)
        lots = self.volume(k, window_ns)
        return scan.window_sum(self._d[rank], scan.SUM_NOTIONAL, self._position(rank), self.now - window_ns) / lots if lots else None

    def _since(self, k: int, from_ns: int) -> tuple[int, int, int]:
        rank = self._trades(k)
        return rank, scan.pos_right(self._d[rank], from_ns - 1), self._position(rank)

    def range_high(self, k: int, from_ns: int) -> int | None:
        """Highest trade price since `from_ns`."""
        rank, first, end = self._since(k, from_ns)
        return scan.range_max(self._d[rank], 0, first, end) if end > first else None

    def range_low(self, k: int, from_ns: int) -> int | None:
        """Lowest trade price since `from_ns`."""
        rank, first, end = self._since(k, from_ns)
        return scan.range_min(self._d[rank], 0, first, end) if end > first else None

    def footprint(self, k: int, from_ns: int, low: int, high: int) -> tuple[int, int]:
        """Bought and sold lots at low <= price <= high since `from_ns`."""
        rank, first, end = self._since(k, from_ns)
        return scan.footprint(self._d[rank], first, end, low, high) if end > first else (0, 0)

    def bars(self, k: int, timeframe_ns: int) -> BarsAsOf:
        """Closed bars as of now."""
        table = self.prepared.bars.table(k, timeframe_ns)
        if table is None:
            self.layout.require(k, StreamKind.TRADE)
        assert table is not None
        return BarsAsOf(table, self.now, timeframe_ns, self._position(self._trades(k)) > 0)


@contextmanager
def few_collections() -> Iterator[None]:
    """Let Python look for garbage in cycles rarely while a run lasts: with its usual thresholds that is a twentieth of the time. Nothing else depends on it."""
    usual = gc.get_threshold()
    gc.set_threshold(max(usual[0], 50_000) if usual[0] else 0, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _by_arming(condition: Condition) -> int:
    return condition.seq
