"""The structural levels at which traps are set: where stops and liquidations of others are likely to rest.

Everything is computed from look-ups "as of now", in ticks. A level found by several sources is one cluster with a higher weight.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import IntFlag

from titan_core import BPS, MIN, Bars, D, H, Instrument, InstrumentView
from titan_scavenger.config import ScavengerConfig

QUARTER = 15 * MIN
Level = tuple[int, int]
"""(price in ticks, bit of its source)."""
Cluster = tuple[int, int, int]
"""(lowest, highest price in ticks, bits of the sources that agree)."""


class Source(IntFlag):
    """Where a level comes from. Each counts once in the weight of a cluster."""

    DAY = 1
    PREVIOUS_DAY = 2
    BOLLINGER = 4
    SWING_15M = 8
    SWING_1H = 16
    ROUND = 32
    LIQUIDATION = 64


# Plain integers: combining members of an IntFlag costs ten times as much, and thousands are combined a day.
DAY, PREVIOUS_DAY, BOLLINGER, SWING_15M, SWING_1H, ROUND, LIQUIDATION = (int(source) for source in Source)


def source_names(bits: int) -> str:
    """Name the sources of a cluster, for example `day+round`."""
    return "+".join(source.name.lower() for source in Source if source & bits and source.name)


def weight(cluster: Cluster) -> int:
    """Return how many sources agree on a cluster."""
    return cluster[2].bit_count()


def daily_levels(perp: InstrumentView, day: Bars, now_ns: int) -> list[Level]:
    """Return the high and low of the UTC day so far and of the day before; fewer where nothing has traded."""
    midnight = now_ns // D * D
    high, low = perp.range_high(midnight), perp.range_low(midnight)
    found = [] if high is None or low is None else [(high, DAY), (low, DAY)]
    if day.count:
        found += [(day.high(1), PREVIOUS_DAY), (day.low(1), PREVIOUS_DAY)]
    return found


def bollinger_levels(bars: Bars, length: int, width: float) -> list[Level]:
    """Return the outer bands, rounded to ticks; none while there are fewer bars than `length`."""
    bands = bars.bollinger(length, width)
    return [] if bands is None else [(round(bands[0]), BOLLINGER), (round(bands[2]), BOLLINGER)]


def round_steps(spec: Instrument) -> list[int]:
    """Return the steps of 1, 2 and 5 times a power of ten USDT that are whole numbers of ticks, rising, in ticks."""
    steps = []
    for exponent in range(-8, 8):
        for digit in (1, 2, 5):
            ticks = Decimal(digit).scaleb(exponent) / spec.tick_size
            if ticks == ticks.to_integral_value():
                steps.append(int(ticks))
    return steps


def round_levels(steps: Sequence[int], price: int, round_bps: float, low: int, high: int) -> list[Level]:
    """Return the round numbers within [low, high]: multiples of the largest step that is at most `round_bps` of the price."""
    place = bisect_right(steps, price * round_bps / BPS)
    if not place:
        return []
    step = steps[place - 1]
    return [(level, ROUND) for level in range(-(-low // step) * step, high + 1, step)]


def liquidation_levels(highs: Iterable[int], lows: Iterable[int], leverages: Iterable[int], maintenance_bps: int) -> list[Level]:
    """Estimate where positions opened at swing extremes are liquidated: shorts from the highs above them, longs from the lows below them.

    The loss of 1/leverage of the entry less the maintenance margin is all that such a position can take. Leverages whose margin is no larger than the
    maintenance margin are left out: no venue opens them.
    """
    found = []
    for leverage in leverages:
        room = BPS - maintenance_bps * leverage
        if room <= 0:
            continue
        scale = BPS * leverage
        found += [(high * (scale + room) // scale, LIQUIDATION) for high in highs]
        found += [(-(-low * (scale - room) // scale), LIQUIDATION) for low in lows]
    return found


def merge(levels: Iterable[Level], span: int) -> list[Cluster]:
    """Merge levels into disjoint clusters, rising. A cluster begins at its lowest level and takes in all that lie at most `span` ticks above that."""
    clusters: list[Cluster] = []
    low = high = bits = 0
    for price, bit in sorted(levels):
        if bits and price - low <= span:
            high = price
            bits |= bit
        else:
            if bits:
                clusters.append((low, high, bits))
            low, high, bits = price, price, bit
    if bits:
        clusters.append((low, high, bits))
    return clusters


class Tripwires:
    """The levels of one perpetual: computed by `refresh`, then asked for the nearest ones as the price moves."""

    def __init__(self, config: ScavengerConfig, perp: InstrumentView) -> None:
        """Start without levels."""
        self._config = config
        self._perp = perp
        self._steps = round_steps(perp.spec)
        self._lows: list[int] = []
        self._highs: list[int] = []
        self.clusters: list[Cluster] = []

    def refresh(self, now_ns: int, price: int) -> None:
        """Compute all levels within twice the reach, so that they still serve when the price has moved."""
        config = self._config
        reach = int(2 * price * config.reach_bps / BPS)
        low, high = price - reach, price + reach
        quarter = self._perp.bars(QUARTER)
        found = daily_levels(self._perp, self._perp.bars(D), now_ns)
        found += bollinger_levels(quarter, config.bollinger_length, config.bollinger_width)
        found += round_levels(self._steps, price, config.round_bps, low, high)
        found += self._swing_levels(quarter)
        span = int(price * config.cluster_bps / BPS)
        merged = merge([level for level in found if low <= level[0] <= high], span)
        self.clusters = [cluster for cluster in merged if weight(cluster) >= config.min_weight]
        self._lows = [cluster[0] for cluster in self.clusters]
        self._highs = [cluster[1] for cluster in self.clusters]

    def _swing_levels(self, quarter: Bars) -> list[Level]:
        config, hour = self._config, self._perp.bars(H)
        reach, short, long = config.swing_reach, config.swing_15m_bars, config.swing_1h_bars
        highs, hour_highs = quarter.swing_highs(reach, short), hour.swing_highs(reach, long)
        lows, hour_lows = quarter.swing_lows(reach, short), hour.swing_lows(reach, long)
        found = [(price, SWING_15M) for price in highs]
        found += [(price, SWING_15M) for price in lows]
        found += [(price, SWING_1H) for price in hour_highs]
        found += [(price, SWING_1H) for price in hour_lows]
        maintenance = self._perp.spec.maintenance_margin_bps
        return found + liquidation_levels(highs + hour_highs, lows + hour_lows, config.liquidation_leverages, maintenance)

    def above(self, price: int) -> list[Cluster]:
        """Return the nearest clusters that reach above the price, nearest first, within reach of the configuration."""
        first = bisect_left(self._highs, price)
        limit = price + int(price * self._config.reach_bps / BPS)
        return [cluster for cluster in self.clusters[first : first + self._config.max_traps] if cluster[1] <= limit]

    def below(self, price: int) -> list[Cluster]:
        """Return the nearest clusters that reach below the price, nearest first, within reach of the configuration."""
        last = bisect_right(self._lows, price)
        limit = price - int(price * self._config.reach_bps / BPS)
        return [cluster for cluster in self.clusters[max(0, last - self._config.max_traps) : last][::-1] if cluster[0] >= limit]
