"""Bars of one market book as of now: whole minutes are summed once, when a day of the market is loaded; the open minute is summed when asked for."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from titan_core.model.units import MIN

I64 = np.int64
FIELDS = ("open", "high", "low", "close", "lots", "value", "trades", "buy_lots", "buy_value")
DAY_MINUTES = 1_440


class Bar(NamedTuple):
    """A bar. Prices in ticks of the market's book, sizes in its lots, values in ticks × lots."""

    open_ns: int
    open: int
    high: int
    low: int
    close: int
    lots: int
    value: int
    trades: int
    buy_lots: int
    buy_value: int
    closed: bool


class DayFigures(NamedTuple):
    """The last 24 hours."""

    first: int
    hour_ago: int
    high: int
    low: int
    lots: int
    value: int
    trades: int


def summed(ts: NDArray[np.int64], price: NDArray[np.int32], signed: NDArray[np.int32]) -> tuple[int, NDArray[np.int64]]:
    """Return (first minute, one row of FIELDS per minute). A minute without trades repeats the close before it."""
    minute = ts // MIN
    base, count = int(minute[0]), int(minute[-1] - minute[0]) + 1
    starts = np.flatnonzero(np.r_[True, minute[1:] != minute[:-1]])
    ends = np.r_[starts[1:], len(ts)] - 1
    slot = minute[starts] - base
    lots, prices = np.abs(signed).astype(I64), price.astype(I64)
    bought = np.where(signed > 0, lots, 0)
    out = np.zeros((count, len(FIELDS)), I64)
    filled = np.zeros(count, I64)
    filled[slot] = np.arange(len(slot))
    out[:, :4] = prices[ends][np.maximum.accumulate(filled)][:, None]
    out[slot, 0] = prices[starts]
    out[slot, 1], out[slot, 2] = np.maximum.reduceat(prices, starts), np.minimum.reduceat(prices, starts)
    for place, column in enumerate((lots, lots * prices, np.ones_like(lots), bought, bought * prices), start=4):
        out[slot, place] = np.add.reduceat(column, starts)
    return base, out


class Bars:
    """Minutes of one book. What lies behind `now` is never shown, though the day is known."""

    def __init__(self) -> None:
        self._base = 0
        self._rows: NDArray[np.int64] = np.zeros((0, len(FIELDS)), I64)
        self._ts: NDArray[np.int64] = np.zeros(0, I64)
        self._price: NDArray[np.int32] = np.zeros(0, np.int32)
        self._signed: NDArray[np.int32] = np.zeros(0, np.int32)
        self._day: tuple[int, DayFigures] | None = None

    def extend(self, ts: NDArray[np.int64], price: NDArray[np.int32], signed: NDArray[np.int32], minutes: tuple[int, NDArray[np.int64]]) -> None:
        """Add the trades of a later span, which has some; `minutes` is what `summed` makes of them."""
        base, rows = minutes
        if len(self._rows):
            gap = base - self._base - len(self._rows)
            if gap < 0:  # the new span begins inside the last minute of the old one
                rows, gap = rows[-gap:], 0
            quiet = np.zeros((gap, len(FIELDS)), I64)
            quiet[:, :4] = self._rows[-1, 3]
            rows = np.concatenate([self._rows, quiet, rows])
        else:
            self._base = base
        self._rows = rows
        self._ts, self._price, self._signed = ts, price, signed

    def query(self, now_ns: int, minutes: int, limit: int, start_ns: int | None = None, end_ns: int | None = None) -> list[Bar]:
        """Return the last `limit` bars of `minutes` each that began in [start, end], oldest first; the open one is included."""
        known = self._known(now_ns)
        if not len(known):
            return []
        first, last = self._base, self._base + len(known) - 1
        high = last if end_ns is None else min(last, end_ns // MIN)
        slot_high = _slot(high, minutes)
        slot_low = max(_slot(first, minutes), slot_high - limit + 1)
        if start_ns is not None:
            slot_low = max(slot_low, _slot(-(-start_ns // MIN) + minutes - 1, minutes))
        now_minute = now_ns // MIN
        return [self._bar(known, slot, minutes, _slot(now_minute, minutes) > slot) for slot in range(slot_low, slot_high + 1) if _start(slot, minutes) <= last]

    def day(self, now_ns: int) -> DayFigures:
        """Return what happened in the 24 hours until the last whole minute; zeros where nothing is known."""
        minute = now_ns // MIN
        if self._day is not None and self._day[0] == minute:
            return self._day[1]
        known = self._rows[: max(0, minute - self._base)][-DAY_MINUTES:]
        if not len(known):
            known = self._known(now_ns)[:1]
        if not len(known):
            return DayFigures(0, 0, 0, 0, 0, 0, 0)
        sums = known[:, 4:7].sum(axis=0)
        hour = known[-60, 0] if len(known) >= 60 else known[0, 0]
        figures = DayFigures(int(known[0, 0]), int(hour), int(known[:, 1].max()), int(known[:, 2].min()), int(sums[0]), int(sums[1]), int(sums[2]))
        self._day = (minute, figures)
        return figures

    def _known(self, now_ns: int) -> NDArray[np.int64]:
        minute = now_ns // MIN
        whole = self._rows[: max(0, minute - self._base)]
        begin, end = (int(np.searchsorted(self._ts, at, side="right")) for at in (minute * MIN - 1, now_ns))
        if begin < end:
            _, live = summed(self._ts[begin:end], self._price[begin:end], self._signed[begin:end])
            return np.concatenate([whole, live]) if minute - self._base <= len(self._rows) else whole
        return whole

    def _bar(self, known: NDArray[np.int64], slot: int, minutes: int, closed: bool) -> Bar:
        begin = _start(slot, minutes)
        rows = known[max(0, begin - self._base) : begin + minutes - self._base]
        low, high = int(rows[:, 2].min()), int(rows[:, 1].max())
        lots, value, trades, bought, buy_value = (int(each) for each in rows[:, 4:].sum(axis=0))
        return Bar(begin * MIN, int(rows[0, 0]), high, low, int(rows[-1, 3]), lots, value, trades, bought, buy_value, closed)


def _slot(minute: int, minutes: int) -> int:
    return (minute - _offset(minutes)) // minutes


def _start(slot: int, minutes: int) -> int:
    return slot * minutes + _offset(minutes)


def _offset(minutes: int) -> int:
    """Weeks begin on Mondays; the epoch was a Thursday."""
    return 4 * DAY_MINUTES if minutes == 7 * DAY_MINUTES else 0
