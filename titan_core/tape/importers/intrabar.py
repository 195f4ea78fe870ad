"""The path that is drawn through a bar, so that conditions on price can be answered with bars alone.

A rising bar (close >= open) goes open, low, high, close, a falling one open, high, low, close, each leg a straight line in steps of at most 2 bps of the
bar's low. So a level condition fires near its level and not at the bar's extreme. Points are spread evenly over the bar, from 1 ns after its start; the
last lies before its end. The bar's volume is split evenly over them and adds up exactly; it has no taker side, and its positive sign means nothing.
"""

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from titan_core.model.units import BPS
from titan_core.tape.importers.decimals import Ints

STEP_BPS = 2
_CHUNK = 20_000


@frozen(eq=False)
class Bars:
    """Bars of one length in time order: opening times in ns, prices in ticks, volumes in lots."""

    open_ns: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints

    def pick(self, keep: NDArray[np.bool_] | slice | Ints) -> "Bars":
        """Return some of the bars."""
        return Bars(self.open_ns[keep], self.open[keep], self.high[keep], self.low[keep], self.close[keep], self.volume[keep])


@frozen(eq=False)
class Path:
    """Points of a path: times in ns, prices in ticks, lots."""

    ts: Ints
    price: Ints
    lots: Ints


def draw_path(bars: Bars, bar_ns: int) -> Path:
    """Draw the path through all bars, in pieces that keep memory small."""
    parts = [_draw(bars.pick(slice(start, start + _CHUNK)), bar_ns) for start in range(0, len(bars.open_ns), _CHUNK)]
    if not parts:
        return Path(*(np.zeros(0, np.int64),) * 3)
    return Path(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("ts", "price", "lots")))


def _draw(bars: Bars, bar_ns: int) -> Path:
    rising = bars.close >= bars.open
    turns = np.where(rising, bars.low, bars.high), np.where(rising, bars.high, bars.low)
    step = np.maximum(1, bars.low * STEP_BPS // BPS)[:, None]
    begin = np.stack([bars.open, bars.open, *turns], axis=1)
    end = np.stack([bars.open, *turns, bars.close], axis=1)
    pieces = np.maximum(1, -(-np.abs(end - begin) // step))
    points = pieces.sum(axis=1)

    leg = np.repeat(np.arange(pieces.size), pieces.reshape(-1))
    within = _place_within(pieces.reshape(-1)) + 1
    begin, end, pieces = begin.reshape(-1)[leg], end.reshape(-1)[leg], pieces.reshape(-1)[leg]
    price = begin + (end - begin) * within // pieces

    bar, place = np.repeat(np.arange(len(points)), points), _place_within(points)
    count, volume = points[bar], bars.volume[bar]
    ts = bars.open_ns[bar] + 1 + place * (bar_ns - 1) // count
    return Path(ts, price, volume * (place + 1) // count - volume * place // count)


def _place_within(sizes: Ints) -> Ints:
    """Return 0, 1, ... size - 1 for each size, one after another."""
    starts = np.cumsum(sizes) - sizes
    places: Ints = np.arange(int(sizes.sum())) - np.repeat(starts, sizes)
    return places
