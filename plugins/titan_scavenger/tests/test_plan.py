"""Stop, target and size: exact sizing by risk, caps, and the reasons for no trade."""

from math import ceil

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from titan_core import MONEY_PER_USDT
from titan_scavenger.config import ScavengerConfig
from titan_scavenger.plan import Plan, Skip, make_plan, stop_distance, target_distance

CONFIG = ScavengerConfig()
ENTRY = 600_000


def plan(scenes, config=CONFIG, **given):
    known = {"side": 1, "entry": ENTRY, "structure": 300, "atr": 2_000.0, "equity": scenes.CASH, "max_notional": 10 * scenes.CASH, "risk": scenes.CASH}
    return make_plan(config, scenes.PERP, **(known | given))


class TestStop:
    def test_the_level_decides_where_it_demands_more_than_the_range(self):
        assert stop_distance(CONFIG, ENTRY, 1_000, 1_000.0) == 1_000

    def test_the_range_decides_where_the_level_is_close(self):
        assert stop_distance(CONFIG, ENTRY, 100, 2_000.0) == 800  # 0.4 of 2,000

    def test_it_never_lies_nearer_than_the_nearest(self):
        assert stop_distance(CONFIG, ENTRY, 10, 0.0) == 600  # 10 bps

    def test_a_wide_range_is_cut_at_the_farthest(self):
        assert stop_distance(CONFIG, ENTRY, 100, 99_999.0) == 1_440  # 24 bps

    def test_a_level_too_far_away_is_not_traded(self, scenes):
        assert stop_distance(CONFIG, ENTRY, 1_440, 0.0) == 1_440
        assert stop_distance(CONFIG, ENTRY, 1_441, 0.0) is None
        assert plan(scenes, structure=1_441) is Skip.STOP_TOO_FAR


class TestTarget:
    @given(entry=st.integers(1_000, 2_000_000), stop_bps=st.floats(8, 30), ratio=st.floats(0.5, 3))
    def test_gain_over_loss_net_of_fees_reaches_the_ratio_and_no_farther_than_needed(self, scenes, entry, stop_bps, ratio):
        config = ScavengerConfig(reward_ratio=ratio, max_target_bps=500.0)
        stop = ceil(entry * stop_bps / 10_000)
        target = target_distance(config, scenes.PERP, entry, stop)
        loss = stop + entry * 2 * 550 / 1e6

        def net_gain(distance):
            return distance - entry * (550 + 200) / 1e6

        assert net_gain(target) / loss >= ratio - 1e-9
        assert target >= entry * 20 / 10_000
        assert target == ceil(entry * 20 / 10_000) or net_gain(target - 1) / loss < ratio

    def test_a_trade_that_needs_a_farther_target_is_not_taken(self, scenes):
        # a stop of 24 bps and 11 bps of fees at a ratio of 1.2 needs 42 + 7.5 bps: just inside 50
        assert plan(scenes, structure=1_440).target == ENTRY + ceil(1.2 * (1_440 + 660) + 450)
        assert plan(scenes, ScavengerConfig(reward_ratio=1.3), structure=1_440) is Skip.TARGET_TOO_FAR


class TestSize:
    def test_a_worked_example(self, scenes):
        # 0.001 BTC from 60,000 to 59,920 USDT loses 0.08 USDT and fees of 0.033 and 0.032956; 60 bps of 1,000 USDT pay for 41 of them
        assert scenes.PERP.loss_at_stop(1, 600_000, 599_200) == 8_000_000 + 3_300_000 + 3_295_600
        assert plan(scenes, structure=800, atr=0.0) == Plan(1, 41, 600_000, 599_200, 600_000 + ceil(1.2 * (800 + 660) + 450))

    @pytest.mark.parametrize(
        ("cap", "lots"),
        [
            ({"max_notional": 600 * MONEY_PER_USDT}, 10),  # 600 USDT at 60,000 are 0.010 BTC
            ({"max_notional": 599 * MONEY_PER_USDT}, 9),
            ({"risk": 10 * 14_595_600}, 10),
            ({"risk": 10 * 14_595_600 - 1}, 9),
        ],
    )
    def test_what_the_phase_may_still_use_caps_the_size(self, scenes, cap, lots):
        assert plan(scenes, structure=800, atr=0.0, **cap).lots == lots

    @pytest.mark.parametrize("cap", [{"max_notional": 0}, {"risk": 0}, {"risk": -5}, {"equity": 0}, {"equity": -10}, {"max_notional": 59 * MONEY_PER_USDT}])
    def test_nothing_left_is_too_small(self, scenes, cap):
        assert plan(scenes, **cap) is Skip.TOO_SMALL

    def test_below_the_venues_minimum_is_too_small(self, scenes):
        strict = attrs.evolve(scenes.PERP, min_notional=100)
        known = {"side": 1, "entry": ENTRY, "structure": 300, "atr": 0.0, "equity": scenes.CASH, "risk": scenes.CASH}
        assert make_plan(CONFIG, strict, max_notional=119 * MONEY_PER_USDT, **known) is Skip.TOO_SMALL
        assert make_plan(CONFIG, strict, max_notional=120 * MONEY_PER_USDT, **known).lots == 2

    def test_a_short_mirrors_a_long(self, scenes):
        long, short = plan(scenes), plan(scenes, side=-1)
        assert (short.stop - ENTRY, short.target - ENTRY) == (ENTRY - long.stop, ENTRY - long.target)
