"""Closed bars and their indicators as of now, for the replay form: built once per instrument and timeframe, then only looked up.

Numerators are exact integers; a float appears only in the last step, in the same expression as in the reference engine.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from titan_core.model.enums import StreamKind
from titan_core.model.units import MIN
from titan_core.tape.columns import view
from titan_core.tape.index import dense_bars, prefix_sum
from titan_core.tape.tape import Stream, Tape

if TYPE_CHECKING:
    from titan_core.engine.history import GrowingBars

WORD = (1 << 64) - 1


class BarTable:
    """All bars of one timeframe over a tape. Bar i spans [(base + i) × timeframe, (base + i + 1) × timeframe)."""

    def __init__(self, tape: Tape, trades: Stream, timeframe_ns: int, traded: NDArray[Any]) -> None:
        """Build from the stored minute bars where the timeframe is a whole number of minutes, else from the trades.

        `traded` lists the stored minutes that hold a trade.
        """
        columns: Mapping[str, NDArray[Any]] = trades.columns
        if timeframe_ns % MIN == 0:
            minutes = {name: columns[f"bar_{name}"] for name in ("o", "h", "l", "c", "volume", "delta")}
            self.base, built = _aggregate(int(columns["bar_base"][0]), minutes, timeframe_ns // MIN, traded)
        else:
            raw = dense_bars(columns["ts"], columns["price"], columns["signed_lots"], timeframe_ns)
            self.base = int(raw["bar_base"][0])
            built = {name: raw[f"bar_{name}"] for name in ("o", "h", "l", "c", "volume", "delta")}
        count = max(0, tape.last_ns // timeframe_ns - self.base + 1) if len(built["o"]) else 0
        self._arrays = _extend(built, count)
        self.o, self.h, self.l, self.c, self.volume, self.delta = (view(self._arrays[n]) for n in ("o", "h", "l", "c", "volume", "delta"))
        self.size = count
        closes = self._arrays["c"].astype(np.int64)
        self.sums, self.squares = view(prefix_sum(closes)), view(prefix_sum(closes * closes))
        self._atr: dict[int, list[float]] = {}
        self._swings: dict[tuple[int, bool], list[int]] = {}

    def atr(self, length: int) -> list[float]:
        """Return Wilder's average true range after each bar."""
        known = self._atr.get(length)
        if known is None:
            known = self._atr[length] = []
            average, before = 0.0, 0
            for i, (high, low, close) in enumerate(zip(self.h, self.l, self.c, strict=True)):
                true_range = high - low if i == 0 else max(high - low, abs(high - before), abs(low - before))
                average = float(true_range) if i == 0 else (average * (length - 1) + true_range) / length
                known.append(average)
                before = close
        return known

    def swings(self, reach: int, highs: bool) -> list[int]:
        """Return the bars whose high (low) lies strictly beyond `reach` bars on either side."""
        known = self._swings.get((reach, highs))
        if known is None:
            v = self._arrays["h"].astype(np.int64) if highs else -self._arrays["l"].astype(np.int64)
            inner = v[reach : len(v) - reach]
            is_swing = np.ones(max(0, len(v) - 2 * reach), bool)
            if len(is_swing):
                for offset in range(1, reach + 1):
                    is_swing &= (inner > v[reach - offset : len(v) - reach - offset]) & (inner > v[reach + offset : len(v) - reach + offset])
            known = self._swings[reach, highs] = (np.flatnonzero(is_swing) + reach).tolist()
        return known


def traded_minutes(trades: Stream) -> NDArray[Any]:
    """Return which of the stored minute bars hold a trade."""
    from titan_core.engine.scan import descriptor, rows_before  # only the replay form builds tables, and only that needs numba

    columns: Mapping[str, NDArray[Any]] = trades.columns
    rows = rows_before(descriptor(trades), int(columns["bar_base"][0]) * MIN, MIN, len(columns["bar_o"]) + 1)
    return np.flatnonzero(rows[1:] > rows[:-1])


def _aggregate(base: int, minutes: dict[str, Any], length: int, traded: NDArray[Any]) -> tuple[int, dict[str, NDArray[Any]]]:
    """Join minute bars into bars of `length` minutes.

    Only minutes with trades count: the close that a minute without any repeats is no price of the longer bar, unless that has no trades either.
    """
    count = len(minutes["o"])
    if length == 1 or count == 0:
        return base // length, minutes
    group = (base + traded) // length
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    ends = np.r_[starts[1:], len(traded)] - 1
    slot = group[starts] - group[0]
    latest = np.zeros(int(slot[-1]) + 1, np.int64)
    latest[slot] = np.arange(len(slot))
    close = minutes["c"][traded][ends][np.maximum.accumulate(latest)]
    joined = {name: close.copy() for name in "ohlc"} | {name: np.zeros(len(close), np.int64) for name in ("volume", "delta")}
    joined["o"][slot] = minutes["o"][traded][starts]
    joined["h"][slot] = np.maximum.reduceat(minutes["h"][traded], starts)
    joined["l"][slot] = np.minimum.reduceat(minutes["l"][traded], starts)
    for name in ("volume", "delta"):
        joined[name][slot] = np.add.reduceat(minutes[name][traded], starts)
    return int(group[0]), joined


def _extend(built: dict[str, Any], count: int) -> dict[str, NDArray[Any]]:
    """Repeat the last close up to `count` bars: time goes on without trades."""
    missing = count - len(built["o"])
    if missing <= 0:
        return {name: np.ascontiguousarray(column) for name, column in built.items()}
    close = built["c"][-1]
    fill = {name: np.full(missing, close, np.int32) for name in "ohlc"} | {name: np.zeros(missing, np.int64) for name in ("volume", "delta")}
    return {name: np.concatenate([column, fill[name]]) for name, column in built.items()}


class BarsAsOf:
    """The closed bars as of one moment; implements `titan_core.ports.Bars`."""

    __slots__ = ("_table", "count")

    def __init__(self, table: "BarTable | GrowingBars", now_ns: int, timeframe_ns: int, started: bool) -> None:
        """Count the bars that have closed; none before the first trade was seen."""
        self._table = table
        self.count = max(0, min(now_ns // timeframe_ns - table.base, table.size)) if started else 0

    def open(self, ago: int) -> int:
        """Open of the bar `ago` bars back."""
        return self._table.o[self._row(ago)]

    def high(self, ago: int) -> int:
        """High of the bar `ago` bars back."""
        return self._table.h[self._row(ago)]

    def low(self, ago: int) -> int:
        """Low of the bar `ago` bars back."""
        return self._table.l[self._row(ago)]

    def close(self, ago: int) -> int:
        """Close of the bar `ago` bars back."""
        return self._table.c[self._row(ago)]

    def volume(self, ago: int) -> int:
        """Traded lots in the bar `ago` bars back."""
        return self._table.volume[self._row(ago)]

    def delta(self, ago: int) -> int:
        """Signed taker lots in the bar `ago` bars back."""
        return self._table.delta[self._row(ago)]

    def _row(self, ago: int) -> int:
        if not 1 <= ago <= self.count:
            raise IndexError(f"bar {ago} back does not exist: {self.count} bars have closed")
        return self.count - ago

    def bollinger(self, length: int, width: float) -> tuple[float, float, float] | None:
        """Lower band, middle, upper band over the last `length` closes."""
        n, t = self.count, self._table
        if n < length:
            return None
        total = t.sums[n] - t.sums[n - length]
        squares = (t.squares[n] - t.squares[n - length]) & WORD
        middle = total / length
        deviation = (length * squares - total * total) ** 0.5 / length
        return middle - width * deviation, middle, middle + width * deviation

    def atr(self, length: int) -> float | None:
        """Wilder's average true range in ticks."""
        return self._table.atr(length)[self.count - 1] if self.count else None

    def swing_highs(self, reach: int, last: int) -> list[int]:
        """Confirmed swing highs among the last `last` bars, newest first."""
        return [self._table.h[i] for i in self._swings(reach, last, True)]

    def swing_lows(self, reach: int, last: int) -> list[int]:
        """Confirmed swing lows among the last `last` bars, newest first."""
        return [self._table.l[i] for i in self._swings(reach, last, False)]

    def _swings(self, reach: int, last: int, highs: bool) -> list[int]:
        swings = self._table.swings(reach, highs)
        first = bisect_left(swings, self.count - last)
        confirmed = bisect_right(swings, self.count - 1 - reach)
        return swings[first:confirmed][::-1]


class BarCache:
    """Bar tables of a tape by instrument and timeframe. Shared by the runs over one tape, since it depends on nothing else."""

    def __init__(self, tape: Tape) -> None:
        """Start empty."""
        self._tape = tape
        self._tables: dict[tuple[int, int], BarTable] = {}
        self._traded: dict[int, NDArray[Any]] = {}

    def table(self, k: int, timeframe_ns: int) -> BarTable | None:
        """Return the bars of instrument k, or None where it has no trades."""
        known = self._tables.get((k, timeframe_ns))
        if known is None:
            trades = self._tape.stream(self._tape.instruments[k].id, StreamKind.TRADE)
            if trades is None:
                return None
            if k not in self._traded:
                self._traded[k] = traded_minutes(trades)
            known = self._tables[k, timeframe_ns] = BarTable(self._tape, trades, timeframe_ns, self._traded[k])
        return known
