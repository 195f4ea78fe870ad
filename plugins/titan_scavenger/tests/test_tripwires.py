"""The levels: hand-made cases, laws, and a slow second calculation from the bare prices."""

import random
from decimal import Decimal
from math import ceil, floor

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_core import MIN, D, H, S, Strategy
from titan_core.engine.reference import Reference
from titan_core.testing.governors import OpenGovernor
from titan_scavenger.config import ScavengerConfig
from titan_scavenger.tripwires import (
    BOLLINGER,
    DAY,
    LIQUIDATION,
    PREVIOUS_DAY,
    ROUND,
    SWING_1H,
    SWING_15M,
    Tripwires,
    liquidation_levels,
    merge,
    nearest,
    round_levels,
    round_steps,
    source_names,
    weight,
)

levels = st.lists(st.tuples(st.integers(1, 400), st.sampled_from([1, 2, 4, 8])), max_size=40)


class TestRoundNumbers:
    def test_steps_are_1_2_5_times_a_power_of_ten(self, scenes):
        assert round_steps(scenes.PERP)[:7] == [1, 2, 5, 10, 20, 50, 100]

    def test_a_step_that_is_no_whole_number_of_ticks_is_left_out(self, scenes):
        coarse = attrs.evolve(scenes.PERP, tick_size=Decimal("0.25"), lot_size=Decimal("0.001"))
        assert round_steps(coarse)[:5] == [2, 4, 8, 20, 40]  # 0.5, 1, 2, 5, 10 USDT; 0.2 and 0.1 do not fit

    def test_the_largest_step_below_the_share_of_the_price_is_taken(self):
        # 0.5 % of 60,000 USDT is 300 USDT, so the step is 200 USDT = 2,000 ticks of 0.1
        assert round_levels([1_000, 2_000, 5_000], 600_000, 50.0, 597_000, 602_000) == [(598_000, ROUND), (600_000, ROUND), (602_000, ROUND)]

    def test_no_step_is_small_enough(self):
        assert round_levels([1_000], 600, 50.0, 500, 700) == []


class TestLiquidations:
    def test_a_long_from_a_low_loses_its_margin_below_it_and_a_short_from_a_high_above_it(self):
        # maintenance margin 0.5 %: 100x has 1 % - 0.5 % of room, 50x has 2 % - 0.5 %
        assert liquidation_levels([], [100_000], (100, 50), 50, 0, 200_000) == [(99_500, LIQUIDATION), (98_500, LIQUIDATION)]
        assert liquidation_levels([100_000], [], (100, 50), 50, 0, 200_000) == [(100_500, LIQUIDATION), (101_500, LIQUIDATION)]

    def test_a_leverage_that_leaves_no_room_is_left_out(self):
        assert liquidation_levels([100_000], [90_000], (200, 300), 50, 0, 200_000) == []

    @given(entries=st.lists(st.integers(1, 3_000), max_size=8), low=st.integers(1, 3_000), width=st.integers(0, 300), maintenance=st.integers(0, 200))
    def test_the_bounds_keep_exactly_what_lies_between_them(self, entries, low, width, maintenance):
        known = liquidation_levels(entries, entries, (3, 10, 50, 100), maintenance, 0, 10_000)
        kept = liquidation_levels(entries, entries, (3, 10, 50, 100), maintenance, low, low + width)
        assert kept == [level for level in known if low <= level[0] <= low + width]


class TestMerge:
    def test_levels_within_the_span_agree(self):
        assert merge([(110, ROUND), (100, DAY), (104, SWING_15M), (103, DAY)], 5) == [(100, 104, DAY | SWING_15M), (110, 110, ROUND)]

    def test_a_chain_of_close_levels_does_not_grow_beyond_the_span(self):
        assert [cluster[:2] for cluster in merge([(price, DAY) for price in range(0, 30, 4)], 10)] == [(0, 8), (12, 20), (24, 28)]

    @given(levels=levels, span=st.integers(0, 50))
    def test_every_level_lies_in_one_cluster_and_clusters_lie_apart(self, levels, span):
        clusters = merge(levels, span)
        for price, bit in levels:
            assert [bool(bits & bit) for low, high, bits in clusters if low <= price <= high] == [True]
        for low, high, bits in clusters:
            inside = [(price, bit) for price, bit in levels if low <= price <= high]
            assert high - low <= span and {low, high} <= {price for price, _ in inside}
            assert weight((low, high, bits)) == len({bit for _, bit in inside})
        for before, after in zip(clusters, clusters[1:], strict=False):
            assert after[0] - before[0] > span

    def test_sources_are_named(self):
        assert source_names(DAY | ROUND | SWING_1H) == "day+swing_1h+round"
        assert source_names(PREVIOUS_DAY | BOLLINGER) == "previous_day+bollinger"


class TestNearest:
    @given(levels=levels, span=st.integers(0, 50), price=st.integers(0, 420), most=st.integers(1, 6))
    def test_the_nearest_on_each_side_nearest_first(self, levels, span, price, most):
        clusters = merge(levels, span)
        above, below = nearest(clusters, price, most)
        assert above == [c for c in clusters if c[1] >= price][:most]
        assert below == [c for c in clusters if c[0] <= price][::-1][:most]


class Surveyor(Strategy):
    """Asks for the levels at fixed times and compares them with the slow calculation."""

    def __init__(self, config, prices, start_ns, step_ns):
        self.config, self.prices, self.start_ns, self.step_ns = config, prices, start_ns, step_ns
        self.seen = 0
        self.sources = 0

    def on_start(self, market):
        self.tripwires = Tripwires(self.config, market.perp)
        market.every(45 * MIN, self.look)

    def look(self, market, _):
        price = market.perp.last()
        if price is None:  # midnight of the first day comes before its first trade
            return
        found = self.tripwires.find(market.now_ns, price)
        known = self.prices[: -(-(market.now_ns - 3_000_000 - self.start_ns) // self.step_ns)]
        assert found == slow_levels(self.config, known, self.start_ns, self.step_ns, market.now_ns), market.now_ns
        self.seen += 1
        for _, _, bits in found:
            self.sources |= bits


def slow_levels(config, prices, start_ns, step_ns, now_ns):
    """The levels from the bare list of prices so far, written for plainness."""
    reach = int(prices[-1] * config.reach_bps / 10_000)
    times = [start_ns + i * step_ns + 3_000_000 for i in range(len(prices))]
    found = []

    def bars(length):
        by_slot = {}
        for t, p in zip(times, prices, strict=True):
            by_slot.setdefault(t // length, []).append(p)
        return [by_slot[slot] for slot in sorted(by_slot) if slot < now_ns // length]

    today = [p for t, p in zip(times, prices, strict=True) if t >= now_ns // D * D]
    if today:
        found += [(max(today), DAY), (min(today), DAY)]
    if bars(D):
        found += [(max(bars(D)[-1]), PREVIOUS_DAY), (min(bars(D)[-1]), PREVIOUS_DAY)]
    closes = [bar[-1] for bar in bars(15 * MIN)][-config.bollinger_length :]
    if len(closes) == config.bollinger_length:
        mean = sum(closes) / len(closes)
        deviation = (sum((x - mean) ** 2 for x in closes) / len(closes)) ** 0.5
        found += [(round(mean + k * config.bollinger_width * deviation), BOLLINGER) for k in (-1, 1)]
    highs, lows = [], []
    for length, last, bit in ((15 * MIN, config.swing_15m_bars, SWING_15M), (H, config.swing_1h_bars, SWING_1H)):
        done = bars(length)
        for i in range(config.swing_reach, len(done) - config.swing_reach):
            around = done[i - config.swing_reach : i] + done[i + 1 : i + config.swing_reach + 1]
            if i >= len(done) - last and max(done[i]) > max(max(b) for b in around):
                highs.append(max(done[i]))
                found.append((max(done[i]), bit))
            if i >= len(done) - last and min(done[i]) < min(min(b) for b in around):
                lows.append(min(done[i]))
                found.append((min(done[i]), bit))
    for leverage in (10, 25, 50, 100):
        room = 1 / Decimal(leverage) - Decimal("0.005")
        found += [(floor(high * (1 + room)), LIQUIDATION) for high in highs]
        found += [(ceil(low * (1 - room)), LIQUIDATION) for low in lows]
    step = 2_000  # 200 USDT: the largest round step below 0.5 % of about 60,000 USDT
    found += [(x, ROUND) for x in range(0, 2_000_000, step)]
    inside = sorted(level for level in found if abs(level[0] - prices[-1]) <= reach)
    clusters = []
    for price, bit in inside:
        if clusters and price - clusters[-1][0] <= int(prices[-1] * config.cluster_bps / 10_000):
            clusters[-1] = (clusters[-1][0], price, clusters[-1][2] | bit)
        else:
            clusters.append((price, price, bit))
    return clusters


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_levels_of_a_random_market_equal_a_slow_calculation(scenes, seed):
    r = random.Random(seed)
    step_ns, price, prices = 20 * S, 600_000, []
    for _ in range(2 * 86_400 // 20):
        price += round(r.gauss(0, 45))
        prices.append(min(max(price, 570_000), 640_000))
    config = ScavengerConfig()
    strategy = Surveyor(config, prices, scenes.START, step_ns)
    governor = OpenGovernor([strategy])
    Reference(scenes.tape(prices, step_ns=step_ns), governor, cash=scenes.CASH, slots=1).run()
    assert not governor.faults, governor.faults
    assert strategy.seen >= 60
    assert strategy.sources == DAY | PREVIOUS_DAY | BOLLINGER | SWING_15M | SWING_1H | ROUND | LIQUIDATION
