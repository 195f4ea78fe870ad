"""Closed candles, one after the other, as the chart's parts take them in."""

from collections.abc import Iterator

from attrs import frozen

from titan_core import Bars


@frozen(slots=True)
class Candle:
    """One closed bar. Prices in ticks, sizes in lots, times in ns since 1970."""

    start_ns: int
    end_ns: int
    open: int
    high: int
    low: int
    close: int

    @property
    def is_rising(self) -> bool:
        """Whether it closed above its open."""
        return self.close > self.open

    @property
    def is_falling(self) -> bool:
        """Whether it closed below its open."""
        return self.close < self.open


class CandleReader:
    """Hands out the closed bars of one timeframe, each once, oldest first."""

    def __init__(self, timeframe_ns: int, past: int) -> None:
        """Begin with at most `past` bars from before the first call."""
        self.timeframe_ns = timeframe_ns
        self._past = past
        self._read_ns: int | None = None
        """The end of the newest bar that was handed out."""

    def new(self, bars: Bars, now_ns: int) -> Iterator[Candle]:
        """Return what has closed since the last call; `bars` are those as of `now_ns`."""
        step = self.timeframe_ns
        closed_ns = now_ns // step * step
        first = self._past if self._read_ns is None else (closed_ns - self._read_ns) // step
        if first > 0:
            self._read_ns = closed_ns
        for ago in range(min(first, bars.count), 0, -1):
            end_ns = closed_ns - (ago - 1) * step
            yield Candle(end_ns - step, end_ns, bars.open(ago), bars.high(ago), bars.low(ago), bars.close(ago))
