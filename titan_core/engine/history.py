"""Trades as they arrive: growing columns with running sums, block extremes and bars, forgotten by age.

A replay finds all of this ready on the tape. Here the rows lie in segments of a fixed size, so that growing and forgetting never move more than one
segment, and every look-up costs a few bisections and the extremes of a few blocks.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from titan_core.model.units import MIN, NEVER

WORD = (1 << 64) - 1
BLOCK_BITS = 6
"""A block of 64 rows has its extremes kept."""
SEGMENT_ROWS = 1 << 14


class Segment:
    """A run of consecutive trades. A running sum has one entry more than there are rows: entry i is the sum over all trades before row i."""

    __slots__ = ("bottom", "bottoms", "lots_sum", "notional_sum", "price", "signed", "signed_sum", "top", "tops", "ts")

    def __init__(self, signed: int, lots: int, notional: int) -> None:
        """Begin with the running sums reached so far."""
        self.ts, self.price, self.signed = array("q"), array("q"), array("q")
        self.signed_sum, self.lots_sum, self.notional_sum = array("q", [signed]), array("q", [lots]), array("Q", [notional])
        self.tops: list[int] = []
        self.bottoms: list[int] = []
        self.top = -NEVER
        self.bottom = NEVER

    def close_block(self) -> None:
        """Keep the extremes of the last 64 rows."""
        prices = self.price[-1 << BLOCK_BITS :]
        top, bottom = max(prices), min(prices)
        self.tops.append(top)
        self.bottoms.append(bottom)
        self.top = max(self.top, top)
        self.bottom = min(self.bottom, bottom)

    def extreme(self, pick: Callable[..., int], blocks: list[int], first: int, end: int) -> int:
        """Return the largest or smallest price (`pick`) of rows [first, end), which must not be empty."""
        low, high = -(-first >> BLOCK_BITS), end >> BLOCK_BITS
        if low >= high:
            return pick(self.price[first:end])
        best = pick(blocks[low:high])
        if first < low << BLOCK_BITS:
            best = pick(best, pick(self.price[first : low << BLOCK_BITS]))
        if high << BLOCK_BITS < end:
            best = pick(best, pick(self.price[high << BLOCK_BITS : end]))
        return best


Place = tuple[int, int]
"""(segment, row in it)."""
Bar = tuple[int, int, int, int, int, int]


class TradeHistory:
    """The trades of one stream. `append(ts, price, signed_lots)` takes the next one; times must strictly increase."""

    def __init__(self, history_ns: int, segment_rows: int = SEGMENT_ROWS) -> None:
        """Keep trades for at least `history_ns`; `segment_rows` is a multiple of 64, made small by tests."""
        self.history_ns = history_ns
        self._rows = segment_rows
        self._segments = [Segment(0, 0, 0)]
        self._starts = [-NEVER]
        self.minutes = TradeBars(self, MIN)
        self.builders = [self.minutes]
        self.append = self._appender()

    def _appender(self) -> Callable[[int, int, int], None]:
        """Make the function that appends a row: a closure, because the hot path must not pay for attributes."""
        segment, left = self._segments[-1], self._rows
        add_ts, add_price, add_signed = segment.ts.append, segment.price.append, segment.signed.append
        add_signed_sum, add_lots_sum, add_notional_sum = segment.signed_sum.append, segment.lots_sum.append, segment.notional_sum.append
        signed_sum = lots_sum = notional_sum = 0

        def append(ts: int, price: int, signed: int) -> None:
            nonlocal segment, left, add_ts, add_price, add_signed, add_signed_sum, add_lots_sum, add_notional_sum, signed_sum, lots_sum, notional_sum
            add_ts(ts)
            add_price(price)
            add_signed(signed)
            size = signed if signed > 0 else -signed
            signed_sum += signed
            lots_sum += size
            notional_sum = (notional_sum + size * price) & WORD
            add_signed_sum(signed_sum)
            add_lots_sum(lots_sum)
            add_notional_sum(notional_sum)
            left -= 1
            if left & 63:
                return
            segment.close_block()
            for builder in self.builders:
                builder.roll(ts)
            if not left:
                segment, left = Segment(signed_sum, lots_sum, notional_sum), self._rows
                add_ts, add_price, add_signed = segment.ts.append, segment.price.append, segment.signed.append
                add_signed_sum, add_lots_sum, add_notional_sum = segment.signed_sum.append, segment.lots_sum.append, segment.notional_sum.append
                self._begin_segment(segment, ts)

        return append

    def _begin_segment(self, segment: Segment, ts: int) -> None:
        """Add a segment for the rows after `ts` and forget those that are old and that no bar still needs."""
        self._segments.append(segment)
        self._starts.append(ts + 1)
        needed = min(ts - self.history_ns, *(builder.next_ns for builder in self.builders), NEVER)
        gone = 0
        while gone + 2 < len(self._starts) and self._starts[gone + 1] <= needed:
            gone += 1
        del self._segments[:gone], self._starts[:gone]

    # -- where ----------------------------------------------------------------------------------------------------
    def after(self, ts: int) -> Place:
        """Return the place of the first row later than `ts`; it may be one past the last row."""
        i = bisect_right(self._starts, ts) - 1
        return (0, 0) if i < 0 else (i, bisect_right(self._segments[i].ts, ts))

    def end(self) -> Place:
        """Return the place one past the last row."""
        return len(self._segments) - 1, len(self._segments[-1].ts)

    @property
    def rows(self) -> int:
        """How many trades are kept."""
        return sum(len(segment.ts) for segment in self._segments)

    @property
    def first_ns(self) -> int | None:
        """Time of the oldest trade kept."""
        return next((segment.ts[0] for segment in self._segments if segment.ts), None)

    # -- look-ups -------------------------------------------------------------------------------------------------
    def signed_after(self, ts: int) -> int:
        """Return the signed lots of all trades later than `ts`."""
        i, row = self.after(ts)
        return self._segments[-1].signed_sum[-1] - self._segments[i].signed_sum[row]

    def lots_after(self, ts: int) -> int:
        """Return the lots of all trades later than `ts`."""
        i, row = self.after(ts)
        return self._segments[-1].lots_sum[-1] - self._segments[i].lots_sum[row]

    def notional_after(self, ts: int) -> int:
        """Return Σ lots × price of all trades later than `ts`; exact below 2^64."""
        i, row = self.after(ts)
        return (self._segments[-1].notional_sum[-1] - self._segments[i].notional_sum[row]) & WORD

    def highest(self, first: Place, end: Place) -> int | None:
        """Return the highest price of [first, end), or None where it is empty."""
        parts = self._parts(first, end)
        return max((s.top if whole else s.extreme(max, s.tops, a, b) for s, a, b, whole in parts), default=None)

    def lowest(self, first: Place, end: Place) -> int | None:
        """Return the lowest price of [first, end), or None where it is empty."""
        parts = self._parts(first, end)
        return min((s.bottom if whole else s.extreme(min, s.bottoms, a, b) for s, a, b, whole in parts), default=None)

    def _parts(self, first: Place, end: Place) -> list[tuple[Segment, int, int, bool]]:
        """Cut [first, end) at the segments: (segment, first row, end row, whether that is all of a full segment)."""
        out = []
        for i in range(first[0], end[0] + 1):
            segment = self._segments[i]
            a, b = first[1] if i == first[0] else 0, end[1] if i == end[0] else len(segment.ts)
            if a < b:
                out.append((segment, a, b, b - a == self._rows))
        return out

    def footprint(self, ts: int, low: int, high: int) -> tuple[int, int]:
        """Return the bought and sold lots at low <= price <= high of all trades later than `ts`."""
        bought = sold = 0
        for segment, a, b, whole in self._parts(self.after(ts), self.end()):
            if whole and (segment.top < low or segment.bottom > high):
                continue
            price, signed = (np.frombuffer(column, np.int64)[a:b] for column in (segment.price, segment.signed))
            inside = signed[(price >= low) & (price <= high)]
            bought += int(inside[inside > 0].sum())
            sold -= int(inside[inside < 0].sum())
        return bought, sold

    def bar(self, first: Place, end: Place) -> Bar | None:
        """Return (open, high, low, close, volume, delta) of the trades [first, end), or None where there is none."""
        parts = self._parts(first, end)
        if not parts:
            return None
        (segment, a, _, _), (last, _, b, _) = parts[0], parts[-1]
        high = max(s.top if whole else s.extreme(max, s.tops, x, y) for s, x, y, whole in parts)
        low = min(s.bottom if whole else s.extreme(min, s.bottoms, x, y) for s, x, y, whole in parts)
        volume, delta = last.lots_sum[b] - segment.lots_sum[a], last.signed_sum[b] - segment.signed_sum[a]
        return segment.price[a], high, low, last.price[b - 1], volume, delta


class GrowingBars:
    """Closed bars that grow at the end; has what `titan_core.engine.bars.BarsAsOf` reads of a table. A bar costs 64 bytes and is never forgotten."""

    def __init__(self, timeframe_ns: int) -> None:
        """Start empty."""
        self.timeframe_ns = timeframe_ns
        self.base = 0
        self.size = 0
        self.o, self.h, self.l, self.c = array("q"), array("q"), array("q"), array("q")
        self.volume, self.delta = array("q"), array("q")
        self.sums, self.squares = array("q", [0]), array("Q", [0])
        self._atr: dict[int, list[float]] = {}
        self._swings: dict[tuple[int, bool], tuple[list[int], int]] = {}

    def _add(self, bar: Bar) -> None:
        for column, value in zip((self.o, self.h, self.l, self.c, self.volume, self.delta), bar, strict=True):
            column.append(value)
        c = bar[3]
        self.sums.append(self.sums[-1] + c)
        self.squares.append((self.squares[-1] + c * c) & WORD)
        self.size += 1

    def atr(self, length: int) -> list[float]:
        """Return Wilder's average true range after each bar."""
        known = self._atr.setdefault(length, [])
        for i in range(len(known), self.size):
            high, low = self.h[i], self.l[i]
            if i == 0:
                known.append(float(high - low))
                continue
            before = self.c[i - 1]
            true_range = max(high - low, abs(high - before), abs(low - before))
            known.append((known[-1] * (length - 1) + true_range) / length)
        return known

    def swings(self, reach: int, highs: bool) -> list[int]:
        """Return the bars whose high (low) lies strictly beyond `reach` bars on either side."""
        found, done = self._swings.get((reach, highs), ([], reach))
        values = self.h if highs else self.l
        for i in range(done, self.size - reach):
            around = values[i - reach : i] + values[i + 1 : i + reach + 1]
            if not around or (values[i] > max(around) if highs else values[i] < min(around)):
                found.append(i)
        self._swings[reach, highs] = found, max(done, self.size - reach)
        return found


class TradeBars(GrowingBars):
    """Bars made of the trades that are kept."""

    def __init__(self, history: TradeHistory, timeframe_ns: int) -> None:
        """Begin at the oldest trade kept."""
        super().__init__(timeframe_ns)
        self._history = history
        self.traded = array("q")
        """The bars in which there were trades."""
        self.next_ns = NEVER
        """Start of the first bar that has not closed: trades from here on are still needed."""

    def roll(self, now_ns: int) -> None:
        """Close every bar that ends at or before `now_ns`."""
        history, length = self._history, self.timeframe_ns
        if self.next_ns == NEVER:
            first = history.first_ns
            if first is None:
                return
            self.base = first // length
            self.next_ns = self.base * length
        if now_ns - self.next_ns < length:
            return
        edges = range(self.next_ns, now_ns // length * length + 1, length)
        for a, b in pairwise(history.after(edge - 1) for edge in edges):
            bar = history.bar(a, b)
            if bar is None:
                close = self.c[-1]
                bar = (close, close, close, close, 0, 0)
            else:
                self.traded.append(self.size)
            self._add(bar)
        self.next_ns = edges[-1]


class MinuteBars(GrowingBars):
    """Bars of several minutes, joined from the minute bars, which go back to the first trade of all."""

    def __init__(self, minutes: TradeBars, timeframe_ns: int) -> None:
        """Join bars of `timeframe_ns`, a multiple of a minute."""
        super().__init__(timeframe_ns)
        self._minutes = minutes
        self._length = timeframe_ns // MIN

    def roll(self, now_ns: int) -> None:
        """Close every bar that ends at or before `now_ns`."""
        m, length = self._minutes, self._length
        m.roll(now_ns)
        if m.next_ns == NEVER:
            return
        self.base = m.base // length
        for bar in range(self.base + self.size, now_ns // self.timeframe_ns):
            first, end = (bisect_left(m.traded, edge * length - m.base) for edge in (bar, bar + 1))
            if first == end:
                close = self.c[-1]
                self._add((close, close, close, close, 0, 0))
                continue
            rows = m.traded[first:end]
            high, low = max(m.h[i] for i in rows), min(m.l[i] for i in rows)
            self._add((m.o[rows[0]], high, low, m.c[rows[-1]], sum(m.volume[i] for i in rows), sum(m.delta[i] for i in rows)))
