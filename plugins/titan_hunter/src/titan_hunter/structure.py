"""Market structure of one timeframe: swings, their breaks, the trend that follows from them, and where in its leg the price stands.

A swing is a confirmed fractal. It is broken by a *close* beyond it, not by a wick. The trend is the direction of the last break. A break with the trend is a
break of structure, one against it (or the first) a change of character. The leg runs from the extreme that the break came from to the farthest price since.
"""

from enum import StrEnum

from attrs import frozen

from titan_hunter.candles import Candle
from titan_hunter.fractals import Fractal, Fractals


class Trend(StrEnum):
    """Which way swings were broken last."""

    UP = "up"
    DOWN = "down"
    NONE = "none"

    @property
    def sign(self) -> int:
        """+1, -1 or 0."""
        return _SIGNS[self]


_SIGNS = {Trend.UP: 1, Trend.DOWN: -1, Trend.NONE: 0}


@frozen(slots=True)
class Break:
    """A close beyond a swing. `origin_ns` is the start of the bar in which the move that broke it has its other end."""

    trend: Trend
    swing: Fractal
    at_ns: int
    origin_ns: int
    origin: int
    is_change: bool
    """Whether the trend was another before."""


class Structure:
    """The structure of one timeframe, as candles come."""

    def __init__(self, reach: int = 2) -> None:
        """Find swings that stand out from `reach` candles on either side."""
        self._fractals = Fractals(reach)
        self.trend = Trend.NONE
        self.high: Fractal | None = None
        """The newest confirmed swing high that no close has broken."""
        self.low: Fractal | None = None
        self.leg: tuple[int, int] | None = None
        """(origin, tip) of the leg in force: below each other in a rising one, above in a falling one."""
        self._since: list[Candle] = []
        """Candles since the older of the two swings in force."""

    def take(self, candle: Candle) -> tuple[list[Fractal], Break | None]:
        """Take in a candle; return the fractals that it confirms and the swing that it breaks, the former first."""
        found = self._fractals.take(candle)
        for each in found:
            if each.is_high:
                self.high = each
            else:
                self.low = each
        self._since.append(candle)
        self._stretch(candle)
        broken = self._broken(candle)
        self._forget()
        return found, broken

    def place(self, price: int) -> float | None:
        """Return where a price stands in the leg: 0 at its lower end, 1 at its upper, beyond them outside; None before there is a leg."""
        if self.leg is None:
            return None
        low, high = sorted(self.leg)
        return (price - low) / (high - low) if high > low else None

    def _stretch(self, candle: Candle) -> None:
        if self.leg is not None:
            origin, tip = self.leg
            self.leg = (origin, max(tip, candle.high) if self.trend is Trend.UP else min(tip, candle.low))

    def _broken(self, candle: Candle) -> Break | None:
        if self.high is not None and candle.close > self.high.price:
            swing, self.high = self.high, None
            return self._turn(Trend.UP, swing, candle)
        if self.low is not None and candle.close < self.low.price:
            swing, self.low = self.low, None
            return self._turn(Trend.DOWN, swing, candle)
        return None

    def _turn(self, trend: Trend, swing: Fractal, candle: Candle) -> Break:
        """Begin a leg at the last extreme on the other side since the swing."""
        leg = [each for each in self._since if each.start_ns >= swing.at_ns]
        if trend is Trend.UP:
            start = min(leg, key=lambda each: (each.low, -each.start_ns))
            self.leg, origin = (start.low, candle.high), start.low
        else:
            start = max(leg, key=lambda each: (each.high, each.start_ns))
            self.leg, origin = (start.high, candle.low), start.high
        was, self.trend = self.trend, trend
        return Break(trend, swing, candle.end_ns, start.start_ns, origin, trend is not was)

    def _forget(self) -> None:
        """Keep no candle from before the older swing in force."""
        oldest = min((swing.at_ns for swing in (self.high, self.low) if swing is not None), default=None)
        if oldest is None:
            keep = self._fractals.reach + 1  # the next swing is confirmed so late
            del self._since[: -2 * keep]
        elif self._since[0].start_ns < oldest:
            self._since = [each for each in self._since if each.start_ns >= oldest]
