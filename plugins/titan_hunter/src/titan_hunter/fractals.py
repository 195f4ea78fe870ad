"""Bill Williams' fractals: an extreme that stands out from the bars on either side.

A high (low) is a fractal where it lies strictly above (below) those of `reach` bars before it and `reach` after it, two in the original. It is known only when
the bars after it have closed; until then it is none. Source: B. Williams, "Trading Chaos" (1995), chapter on fractals.
"""

from collections import deque

from attrs import frozen

from titan_hunter.candles import Candle


@frozen(slots=True)
class Fractal:
    """A confirmed extreme. `at_ns` is the start of its bar, `known_ns` the close that confirmed it."""

    is_high: bool
    price: int
    at_ns: int
    known_ns: int


class Fractals:
    """Finds fractals as candles come."""

    def __init__(self, reach: int = 2) -> None:
        """Compare with `reach` candles on either side."""
        self.reach = reach
        self._recent: deque[Candle] = deque(maxlen=2 * reach + 1)

    def take(self, candle: Candle) -> list[Fractal]:
        """Take in a candle; return what it confirms: at most a high and a low of the same bar."""
        recent = self._recent
        recent.append(candle)
        if len(recent) < 2 * self.reach + 1:
            return []
        middle = recent[self.reach]
        others = [each for each in recent if each is not middle]
        found = []
        if all(middle.high > other.high for other in others):
            found.append(Fractal(True, middle.high, middle.start_ns, candle.end_ns))
        if all(middle.low < other.low for other in others):
            found.append(Fractal(False, middle.low, middle.start_ns, candle.end_ns))
        return found
