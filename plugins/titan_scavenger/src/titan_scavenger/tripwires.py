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
_NAMES = tuple((int(source), str(source.name).lower()) for source in Source)


def source_names(bits: int) -> str:
    """Name the sources of a cluster, for example `day+round`."""
    return "+".join(name for bit, name in _NAMES if bit & bits)


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


def liquidation_levels(highs: Sequence[int], lows: Sequence[int], leverages: Iterable[int], maintenance_bps: int, low: int, high: int) -> list[Level]:
    """Estimate where positions opened at swing extremes are liquidated: shorts from the highs above them, longs from the lows below them.

    The loss of 1/leverage of the entry less the maintenance margin is all that such a position can take. Leverages whose margin is no larger than the
    maintenance margin are left out: no venue opens them. Only what lies within [low, high] is returned, and only swings that can lead there are looked at.
    """
    found = []
    highs, lows = sorted(highs), sorted(lows)
    for leverage in leverages:
        scale = BPS * leverage
        room = BPS - maintenance_bps * leverage
        if room <= 0:
            continue
        up, down = scale + room, scale - room
        first, last = low * scale // up, (high + 1) * scale // up
        found += [(entry * up // scale, LIQUIDATION) for entry in _within(highs, first, last)]
        first, last = (low - 1) * scale // down, high * scale // down
        found += [(-(-entry * down // scale), LIQUIDATION) for entry in _within(lows, first, last)]
    return [level for level in found if low <= level[0] <= high]


def _within(rising: Sequence[int], low: int, high: int) -> Sequence[int]:
    """Return the values of a rising sequence that lie within [low, high]."""
    return rising[bisect_left(rising, low) : bisect_right(rising, high)]


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
    """Finds the levels of one perpetual."""

    def __init__(self, config: ScavengerConfig, perp: InstrumentView) -> None:
        """Work out what never changes."""
        self._config = config
        self._perp = perp
        self._steps = round_steps(perp.spec)
        self._hours = -1
        self._hour_swings: tuple[list[int], list[int]] = ([], [])

    def find(self, now_ns: int, price: int) -> list[Cluster]:
        """Return the clusters within reach of the price that enough sources agree on, rising."""
        config, perp = self._config, self._perp
        reach = int(price * config.reach_bps / BPS)
        low, high = price - reach, price + reach
        quarter = perp.bars(QUARTER)
        highs, lows = quarter.swing_highs(config.swing_reach, config.swing_15m_bars), quarter.swing_lows(config.swing_reach, config.swing_15m_bars)
        hour_highs, hour_lows = self._swings_of_hours()
        found = daily_levels(perp, perp.bars(D), now_ns)
        found += bollinger_levels(quarter, config.bollinger_length, config.bollinger_width)
        found = [level for level in found if low <= level[0] <= high]
        found += [(extreme, SWING_15M) for extreme in highs + lows if low <= extreme <= high]
        found += [(extreme, SWING_1H) for extreme in hour_highs + hour_lows if low <= extreme <= high]
        maintenance = perp.spec.maintenance_margin_bps
        found += liquidation_levels(highs + hour_highs, lows + hour_lows, config.liquidation_leverages, maintenance, low, high)
        found += round_levels(self._steps, price, config.round_bps, low, high)
        clusters = merge(found, int(price * config.cluster_bps / BPS))
        return clusters if config.min_weight == 1 else [cluster for cluster in clusters if weight(cluster) >= config.min_weight]

    def _swings_of_hours(self) -> tuple[list[int], list[int]]:
        """Return the swing highs and lows of the hourly bars; they change with a bar's close only."""
        bars = self._perp.bars(H)
        if bars.count != self._hours:
            reach, last = self._config.swing_reach, self._config.swing_1h_bars
            self._hours, self._hour_swings = bars.count, (bars.swing_highs(reach, last), bars.swing_lows(reach, last))
        return self._hour_swings


def nearest(clusters: Sequence[Cluster], price: int, most: int) -> tuple[list[Cluster], list[Cluster]]:
    """Return the clusters that reach above the price and those that reach below it, nearest first, at most `most` of each.

    A cluster that lies around the price is in both lists: it can be broken either way.
    """
    above = bisect_left(clusters, price, key=_highest)
    below = bisect_right(clusters, price, key=_lowest)
    return list(clusters[above : above + most]), list(clusters[max(0, below - most) : below][::-1])


def _lowest(cluster: Cluster) -> int:
    return cluster[0]


def _highest(cluster: Cluster) -> int:
    return cluster[1]
