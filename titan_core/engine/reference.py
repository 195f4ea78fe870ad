"""The reference form: one step of plain Python per market event, every armed thing looked at on every event of its stream.

It defines the meaning of the engine. It uses neither prefix sums nor zone maps nor any compiled code, rebuilds bars from trades and looks windows up by
summing them. It is slow on purpose, and also runs where numba cannot be imported.
"""

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any

from titan_core.engine.conditions import BOUND, FLOW, LEVEL, REST, WHERE, Bound, Condition
from titan_core.engine.core import Engine, Governor, span
from titan_core.engine.layout import NO_STREAM, Layout
from titan_core.engine.plain_bars import BarBuilder, PlainBars
from titan_core.engine.predicates import plain
from titan_core.model.enums import StreamKind
from titan_core.model.units import share
from titan_core.tape.columns import SPECS
from titan_core.tape.tape import Tape, tick_units

Event = tuple[int, int, int, tuple[Any, ...]]
"""(time, rank, row, values of the raw columns after `ts`)."""


def stream_events(tape: Tape, layout: Layout) -> Iterator[Event]:
    """Yield all events of a tape in order; basis events are worked out here, not read from the tape."""
    sources: list[Any] = []
    for rank, (instrument, kind) in enumerate(layout.keys):
        if kind is StreamKind.BASIS:
            pair = next(p for p in tape.pairs if p.perp == instrument)
            sources.append(_basis_events(tape, pair.spot, pair.perp, rank))
            continue
        stream = tape.streams[rank]
        columns = [stream.columns[name].tolist() for name in SPECS[kind].raw]
        sources.append([(row[0], rank, i, row[1:]) for i, row in enumerate(zip(*columns, strict=True))])
    return heapq.merge(*sources, key=lambda event: event[:3])


def _basis_events(tape: Tape, spot: Any, perp: Any, rank: int) -> list[Event]:
    quotes = []
    for leg, instrument in enumerate((spot, perp)):
        stream = tape.stream(instrument, StreamKind.QUOTE)
        assert stream is not None
        c = stream.columns
        quotes.append([(ts, leg, bid + ask) for ts, bid, ask in zip(c["ts"].tolist(), c["bid"].tolist(), c["ask"].tolist(), strict=True)])
    units = tick_units(tape.instrument(spot), tape.instrument(perp))
    latest: list[int | None] = [None, None]
    out: list[Event] = []
    for ts, leg, mid2 in heapq.merge(*quotes, key=lambda q: q[:2]):
        latest[leg] = mid2 * units[leg]
        s2, p2 = latest
        if s2 is not None and p2 is not None:
            value = max(-(2**31), min(2**31 - 1, (p2 - s2) * 10_000_000 // s2))
            out.append((ts, rank, len(out), (value,)))
    return out


class Reference(Engine):
    """Tick by tick."""

    form = "reference"

    def __init__(self, tape: Tape, governor: Governor, *, cash: int, slots: int, latency_ns: int = 5_000_000, slippage_ticks: int = 0) -> None:
        """Prepare a run over a tape."""
        super().__init__(Layout.of(tape), governor, cash=cash, slots=slots, latency_ns=latency_ns, slippage_ticks=slippage_ticks)
        self._tape = tape
        count = len(self.layout.keys)
        self._armed: list[dict[int, Condition]] = [{} for _ in range(count)]
        self._state: list[tuple[Any, ...] | None] = [None] * count
        self._seen_at: list[int | None] = [None] * count
        self._names = [list(SPECS[kind].raw)[1:] for _, kind in self.layout.keys]
        self._kinds = [kind for _, kind in self.layout.keys]
        self._history: list[tuple[list[int], list[int], list[int]]] = [([], [], []) for _ in range(count)]
        self._bars: dict[tuple[int, int], BarBuilder] = {}

    # -- arming ---------------------------------------------------------------------------------------------------
    def _arm(self, condition: Condition) -> None:
        if condition.kind == BOUND:
            bound: Bound = condition.extra
            condition.state = {k: self.value2(k) // self._values[k][2] for k in bound.weights}
            for k in bound.weights:
                self._armed[self._values[k][0]][condition.seq] = condition
        else:
            condition.state = None
            self._armed[condition.rank][condition.seq] = condition
            if condition.kind == REST:
                self._armed[self.layout.rank(condition.extra.k, StreamKind.QUOTE)][condition.seq] = condition

    def _disarm(self, condition: Condition) -> None:
        for armed in self._armed:
            armed.pop(condition.seq, None)

    def bound_peak(self, condition: Condition) -> int:
        """See Engine.bound_peak: the reference keeps it up to date."""
        bound: Bound = condition.extra
        return bound.peak

    # -- the run --------------------------------------------------------------------------------------------------
    def run(self, start_ns: int | None = None, end_ns: int | None = None) -> "Reference":
        """Process the events of the tape; see Engine.run."""
        tape = self._tape
        start, last = span(tape, start_ns, end_ns)
        begun = False
        for event in stream_events(tape, self.layout):
            if event[0] > last:
                break
            if event[0] < start:
                self.now = event[0]
                self._see(event)
                continue
            if not begun:
                begun = True
                self.now = start - 1
                self._begin()
            self._timers_until(event[0])
            self.process(event)
        if not begun:
            self.now = start - 1
            self._begin()
        self._timers_until(last)
        self.now = max(last, self.now)
        return self

    def _timers_until(self, ts: int) -> None:
        while self._timers and self._timers[0][0] <= ts:
            self.now = self._timers[0][0]
            self.events += 1
            self._run_timer(self.now)

    def process(self, event: Event) -> None:
        """Take in one event and fire what is due at it."""
        self.now = event[0]
        self._see(event)
        due = [c for c in self._armed[event[1]].values() if self._is_due(c, event)]
        if due:
            self.events += 1
        for condition in sorted(due, key=lambda c: c.seq):
            if condition.alive and condition.kind != REST:
                self._disarm(condition)
            self._fire(condition)

    def _see(self, event: Event) -> None:
        ts, rank, _, values = event
        self._state[rank] = values
        self._seen_at[rank] = ts
        if self._kinds[rank] is StreamKind.TRADE:
            times, prices, lots = self._history[rank]
            times.append(ts)
            prices.append(values[0])
            lots.append(values[1])

    # -- what is due ----------------------------------------------------------------------------------------------
    def _is_due(self, c: Condition, event: Event) -> bool:
        rank, values = event[1], event[3]
        if c.kind == LEVEL:
            value = values[0] if self._kinds[rank] is not StreamKind.QUOTE else (values[0], values[1], values[0] + values[1])[c.column]
            if self._kinds[rank] is StreamKind.GAP:
                value = values[1]
            return bool(value >= c.level if c.rising else value <= c.level)
        if c.kind == REST:
            return self._rest_is_due(c, rank, values)
        if c.kind == BOUND:
            return self._bound_is_due(c, rank)
        if c.kind == WHERE:
            return bool(plain(c.extra)(event[0], *values))
        if c.kind == FLOW:
            if event[0] > c.until_ns:
                return False
            total = self._window(rank, c.window)
            return total >= c.level if c.rising else total <= c.level
        price = values[0]
        if c.state is None:
            c.state = price
            return False
        if c.rising:
            if price > c.state:
                c.state = price
                return False
            return bool(price <= c.state - c.window)
        if price < c.state:
            c.state = price
            return False
        return bool(price >= c.state + c.window)

    def _rest_is_due(self, c: Condition, rank: int, values: tuple[Any, ...]) -> bool:
        order = c.extra
        buys = order.sign > 0
        if self._kinds[rank] is StreamKind.QUOTE:
            if values[1] <= c.level if buys else values[0] >= c.level:
                c.state = (order.leaves_lots, 0)
                return True
            return False
        price, signed = values
        if price < c.level if buys else price > c.level:
            c.state = (order.leaves_lots, 0)
            return True
        if price != c.level or (signed > 0) == buys or signed == 0:
            return False
        if abs(signed) > order.queue:
            c.state = (min(abs(signed) - order.queue, order.leaves_lots), 0)
            return True
        order.queue -= abs(signed)
        return False

    def _bound_is_due(self, c: Condition, rank: int) -> bool:
        bound: Bound = c.extra
        total = bound.const
        for k, weight in bound.weights.items():
            value_rank, _, factor = self._values[k]
            if value_rank == rank:
                values = self._state[rank]
                assert values is not None
                c.state[k] = values[0] + values[1] if factor == 1 else values[0]
            total += weight * factor * c.state[k]
        bound.peak = max(bound.peak, total)
        if total <= bound.low or total >= bound.high:
            return True
        return bound.bps > 0 and total <= bound.peak - share(bound.peak, bound.bps) - bound.strict

    # -- look-ups -------------------------------------------------------------------------------------------------
    def quote(self, k: int) -> tuple[int, int, int, int] | None:
        """See Engine.quote."""
        rank = self.layout.rank(k, StreamKind.QUOTE)
        return self._state[rank] if rank != NO_STREAM else None

    def depth(self, k: int, asks: bool) -> list[tuple[int, int]]:
        """See Engine.depth."""
        rank = self.layout.rank(k, StreamKind.DEPTH)
        values = self._state[rank] if rank != NO_STREAM else None
        if values is None:
            return []
        bids, bid_lots, ask_prices, ask_lots = values
        return list(zip(ask_prices, ask_lots, strict=True) if asks else zip(bids, bid_lots, strict=True))

    def latest(self, rank: int, column: str) -> int | None:
        """See Engine.latest."""
        values = self._state[rank]
        return None if values is None else values[self._names[rank].index(column)]

    def latest_ts(self, rank: int) -> int | None:
        """See Engine.latest_ts."""
        return self._seen_at[rank]

    def _trades(self, k: int) -> tuple[list[int], list[int], list[int]]:
        return self._history[self.layout.require(k, StreamKind.TRADE)]

    def _window(self, rank: int, window_ns: int) -> int:
        times, _, lots = self._history[rank]
        return sum(lots[bisect_right(times, self.now - window_ns) :])

    def cvd(self, k: int, window_ns: int) -> int:
        """Signed lots over (now - window, now]."""
        return self._window(self.layout.require(k, StreamKind.TRADE), window_ns)

    def volume(self, k: int, window_ns: int) -> int:
        """Lots over (now - window, now]."""
        times, _, lots = self._trades(k)
        return sum(abs(x) for x in lots[bisect_right(times, self.now - window_ns) :])

    def vwap(self, k: int, window_ns: int) -> float | None:
        """Volume-weighted price over (now - window, now]."""
        times, prices, lots = self._trades(k)
        first = bisect_right(times, self.now - window_ns)
        traded = sum(abs(x) for x in lots[first:])
        return sum(abs(x) * p for x, p in zip(lots[first:], prices[first:], strict=True)) / traded if traded else None

    def range_high(self, k: int, from_ns: int) -> int | None:
        """Highest trade price since `from_ns`."""
        times, prices, _ = self._trades(k)
        return max(prices[bisect_left(times, from_ns) :], default=None)

    def range_low(self, k: int, from_ns: int) -> int | None:
        """Lowest trade price since `from_ns`."""
        times, prices, _ = self._trades(k)
        return min(prices[bisect_left(times, from_ns) :], default=None)

    def footprint(self, k: int, from_ns: int, low: int, high: int) -> tuple[int, int]:
        """Bought and sold lots at low <= price <= high since `from_ns`."""
        times, prices, lots = self._trades(k)
        first = bisect_left(times, from_ns)
        inside = [x for p, x in zip(prices[first:], lots[first:], strict=True) if low <= p <= high]
        return sum(x for x in inside if x > 0), -sum(x for x in inside if x <= 0)

    def bars(self, k: int, timeframe_ns: int) -> "PlainBars":
        """Closed bars as of now."""
        builder = self._bars.get((k, timeframe_ns))
        if builder is None:
            builder = self._bars[k, timeframe_ns] = BarBuilder(timeframe_ns)
        return PlainBars(builder.closed(self._trades(k), self.now))
