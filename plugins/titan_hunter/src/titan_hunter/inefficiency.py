"""Where price may come back to: fair value gaps, order blocks, liquidity pools, each with what became of it.

- *Fair value gap*: three candles of which the first and the third do not overlap; between them the price went one way only. It is mitigated once the price has
  come back to its middle, and gone once it has crossed it whole.
- *Order block*: the last candle against the move before a move that broke structure, where that move was a displacement: it left a gap behind. It is
  mitigated by the first return into it, and void once a candle closes beyond its far end.
- *Liquidity pool*: swing highs (lows) that lie at one price within a tolerance: stops rest beyond them. It is swept once the price trades beyond all.

Each is known at the close of the candle that completes it and changes at closes only, so nothing here looks ahead.
"""

from collections.abc import Sequence

from attrs import define, field

from titan_core import BPS
from titan_hunter.candles import Candle
from titan_hunter.fractals import Fractal
from titan_hunter.structure import Break, Trend


@define(eq=False)
class Gap:
    """A fair value gap from `low` to `high` (ticks); `side` is +1 where the price rose through it."""

    side: int
    low: int
    high: int
    at_ns: int
    """Start of its middle candle."""
    known_ns: int
    mitigated_ns: int = 0
    """When a candle closed that had come back to its middle; 0 before."""


@define(eq=False)
class OrderBlock:
    """The range of the last candle against a displacement; `side` is +1 where it is to be bought."""

    side: int
    low: int
    high: int
    at_ns: int
    known_ns: int
    swept: bool
    """Whether the move behind it began by taking out a liquidity pool."""
    mitigated_ns: int = 0

    @property
    def near(self) -> int:
        """The end that a returning price reaches first."""
        return self.high if self.side > 0 else self.low

    @property
    def far(self) -> int:
        """The end beyond which it is void."""
        return self.low if self.side > 0 else self.high


@define(eq=False)
class Pool:
    """Equal highs or lows; `price` is the farthest of them."""

    is_high: bool
    prices: list[int] = field(factory=list)
    known_ns: int = 0
    swept_ns: int = 0

    @property
    def price(self) -> int:
        """The price beyond which all stops of the pool have been reached."""
        return max(self.prices) if self.is_high else min(self.prices)


class Inefficiencies:
    """The map of one timeframe, as candles come."""

    def __init__(self, *, min_gap_bps: float = 2.0, equal_bps: float = 3.0, kept: int = 32) -> None:
        """Gaps narrower than `min_gap_bps` are noise; swings within `equal_bps` of each other are equal; `kept` of each kind are remembered."""
        self._min_gap_bps, self._equal_bps, self._kept = min_gap_bps, equal_bps, kept
        self._candles: list[Candle] = []
        self.gaps: list[Gap] = []
        self.blocks: list[OrderBlock] = []
        self.pools: list[Pool] = []
        self._swings: list[Fractal] = []

    def take(self, candle: Candle, fractals: Sequence[Fractal], broken: Break | None) -> OrderBlock | None:
        """Take in a candle and what the structure made of it; return the order block that it completes."""
        self._candles.append(candle)
        del self._candles[: -8 * self._kept]
        self._mitigate(candle)
        self._sweep(candle)
        self._find_gap()
        for each in fractals:
            self._add_swing(each)
        block = self._block(broken) if broken is not None else None
        if block is not None:
            self.blocks.append(block)
            del self.blocks[: -self._kept]
        return block

    # -- what becomes of what is known ------------------------------------------------------------------------------
    def _mitigate(self, candle: Candle) -> None:
        for gap in self.gaps:
            middle = (gap.low + gap.high) / 2
            if not gap.mitigated_ns and (candle.low <= middle if gap.side > 0 else candle.high >= middle):
                gap.mitigated_ns = candle.end_ns
        self.gaps = [gap for gap in self.gaps if (candle.low > gap.low if gap.side > 0 else candle.high < gap.high)]
        for block in self.blocks:
            if not block.mitigated_ns and (candle.low <= block.high if block.side > 0 else candle.high >= block.low):
                block.mitigated_ns = candle.end_ns
        self.blocks = [block for block in self.blocks if (candle.close >= block.low if block.side > 0 else candle.close <= block.high)]

    def _sweep(self, candle: Candle) -> None:
        for pool in self.pools:
            if not pool.swept_ns and (candle.high > pool.price if pool.is_high else candle.low < pool.price):
                pool.swept_ns = candle.end_ns

    # -- what is new --------------------------------------------------------------------------------------------------
    def _find_gap(self) -> None:
        if len(self._candles) < 3:
            return
        first, middle, last = self._candles[-3:]
        for side, low, high in ((1, first.high, last.low), (-1, last.high, first.low)):
            if (high - low) * BPS >= low * self._min_gap_bps and high > low:
                self.gaps.append(Gap(side, low, high, middle.start_ns, last.end_ns))
                del self.gaps[: -self._kept]

    def _add_swing(self, swing: Fractal) -> None:
        """Join a swing to a pool at its price, or make one of it and an earlier swing at its price."""
        for pool in self.pools:
            if pool.is_high is swing.is_high and not pool.swept_ns and self._is_equal(pool.price, swing.price):
                pool.prices.append(swing.price)
                return
        for earlier in reversed(self._swings):
            if earlier.is_high is swing.is_high and self._is_equal(earlier.price, swing.price) and self._is_untouched(earlier, swing):
                self.pools.append(Pool(swing.is_high, [earlier.price, swing.price], swing.known_ns))
                del self.pools[: -self._kept]
                break
        self._swings.append(swing)
        del self._swings[: -self._kept]

    def _is_equal(self, one: int, other: int) -> bool:
        return abs(one - other) * BPS <= one * self._equal_bps

    def _is_untouched(self, earlier: Fractal, swing: Fractal) -> bool:
        """Whether no candle between and after the two has traded beyond the farther of them."""
        bound = max(earlier.price, swing.price) if swing.is_high else min(earlier.price, swing.price)
        since = [each for each in self._candles if each.start_ns > earlier.at_ns]
        return all(each.high <= bound for each in since) if swing.is_high else all(each.low >= bound for each in since)

    def _block(self, broken: Break) -> OrderBlock | None:
        """Find the last candle against a move that broke structure; None where it left no gap, hence was no displacement, or has no such candle."""
        side = 1 if broken.trend is Trend.UP else -1
        leg = [each for each in self._candles if each.start_ns >= broken.origin_ns]
        if not leg or not any(gap.side == side and gap.at_ns >= broken.origin_ns for gap in self.gaps):
            return None
        before = [each for each in self._candles if each.start_ns < broken.origin_ns]
        for each in reversed([*before[-3:], leg[0]]):
            if each.is_falling if side > 0 else each.is_rising:
                swept = any(pool.swept_ns > each.start_ns and pool.is_high is (side < 0) for pool in self.pools)
                return OrderBlock(side, each.low, each.high, each.start_ns, broken.at_ns, swept)
        return None
