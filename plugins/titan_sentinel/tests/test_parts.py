"""The parts that know no market: statistics, the funding clock, the two legs as one, the portfolio's weights."""

from decimal import Decimal

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from titan_core import MIN, MONEY_PER_USDT, D, H
from titan_core.testing.chaos import PERP, SPOT
from titan_sentinel.basis import BasisStatistics
from titan_sentinel.funding import FundingClock
from titan_sentinel.legs import Legs
from titan_sentinel.portfolio import FLOOR_BPS, risk_parity


class TestStatistics:
    @given(st.lists(st.integers(-5_000_000, 5_000_000), min_size=1, max_size=80), st.integers(2, 40))
    def test_they_are_those_of_the_newest_samples(self, samples, window):
        statistics = BasisStatistics(window)
        for k, sample in enumerate(samples):
            statistics.take(sample)
            newest = np.array(samples[max(0, k + 1 - window) : k + 1]) / 1_000
            assert statistics.count == len(newest)
            assert statistics.mean_bps() == pytest.approx(newest.mean(), abs=1e-9)
            assert statistics.deviation_bps() == pytest.approx(newest.std(), abs=1e-6)

    def test_nothing_is_known_before_the_first(self):
        assert (BasisStatistics(3).count, BasisStatistics(3).mean_bps(), BasisStatistics(3).deviation_bps()) == (0, 0.0, 0.0)


class TestFunding:
    def test_settlements_come_every_eight_hours_from_midnight_until_seen_otherwise(self):
        clock = FundingClock()
        assert [clock.next_ns(h * H) // H for h in (0, 7, 8, 23)] == [8, 8, 16, 24]
        clock.settled(D + 4 * H + 3 * MIN)
        clock.settled(D + 8 * H)
        assert clock.interval_ns == 4 * H and clock.next_ns(D + 8 * H) == D + 12 * H
        clock.settled(D + 21 * H)  # one in between was missed: no venue settles every thirteen hours
        assert clock.interval_ns == 4 * H

    @given(st.integers(-100_000, 100_000), st.integers(0, 3 * 24 * 60), st.integers(0, 30 * 24), st.floats(1, 500))
    def test_what_is_expected_is_the_sum_over_the_settlements_to_come(self, rate, minute, horizon_h, half_life_h):
        clock, now = FundingClock(), minute * MIN
        times, at = [], clock.next_ns(now)
        while at <= now + horizon_h * H:
            times.append(at)
            at += 8 * H
        slow = sum(rate / 10_000 * 0.5 ** ((k + 1) * 8 / half_life_h) for k in range(len(times)))
        assert clock.expected_bps(rate, now, horizon_h * H, half_life_h * H) == pytest.approx(slow, abs=1e-9)

    def test_without_a_rate_nothing_is_expected(self):
        assert FundingClock().expected_bps(None, 0, D, D) == FundingClock().next_bps(None, D) == 0.0


class TestLegs:
    def test_a_unit_is_what_both_grids_can_express(self):
        legs = Legs.of(SPOT, PERP)
        assert legs.spot_per_unit * SPOT.lot_size == legs.perp_per_unit * PERP.lot_size == Decimal("0.001")

    @given(st.sampled_from(["1", "0.1", "0.01", "0.5", "0.2", "3"]), st.sampled_from(["1", "0.1", "0.03", "0.25", "10"]))
    def test_whatever_the_grids_are(self, spot_lot, perp_lot):
        spot, perp = evolve(SPOT, lot_size=Decimal(spot_lot), tick_size=Decimal("0.01")), evolve(PERP, lot_size=Decimal(perp_lot), tick_size=Decimal("0.01"))
        legs = Legs.of(spot, perp)
        assert legs.spot_per_unit * spot.lot_size == legs.perp_per_unit * perp.lot_size
        smaller = [k for k in range(1, legs.spot_per_unit) if (k * spot.lot_size) % perp.lot_size == 0]
        assert not smaller

    def test_the_dearer_leg_decides_how_much_money_buys(self):
        legs = Legs.of(SPOT, PERP)
        spot_price, perp_price = int(60_000 / SPOT.tick_size), int(60_600 / PERP.tick_size)
        units = legs.units_for(6_060 * MONEY_PER_USDT, spot_price, perp_price)
        assert units == 100 and legs.units_for(6_060 * MONEY_PER_USDT - 1, spot_price, perp_price) == 99

    def test_the_smallest_pair_is_accepted_by_both_venues(self):
        legs = Legs.of(SPOT, PERP)
        spot_price, perp_price = int(1_000 / SPOT.tick_size), int(1_000 / PERP.tick_size)
        least = legs.least_units(spot_price, perp_price)
        for leg, per_unit, price in ((SPOT, legs.spot_per_unit, spot_price), (PERP, legs.perp_per_unit, perp_price)):
            assert leg.notional(least * per_unit, price) >= leg.min_notional_money
        assert any(
            leg.notional((least - 1) * per_unit, price) < leg.min_notional_money
            for leg, per_unit, price in ((SPOT, legs.spot_per_unit, spot_price), (PERP, legs.perp_per_unit, perp_price))
        )

    def test_costs_are_four_taker_fees(self):
        legs = Legs.of(evolve(SPOT, taker_fee_ppm=1_000), evolve(PERP, taker_fee_ppm=550))
        assert legs.costs_bps() == pytest.approx(31.0)


class TestPortfolio:
    @given(st.dictionaries(st.integers(0, 9), st.floats(0.0, 200.0), min_size=1), st.floats(0.05, 1.0))
    def test_weights_fill_the_capital_and_no_pair_its_cap(self, deviations, cap):
        weights = risk_parity(deviations, cap)
        assert weights.keys() == deviations.keys()
        assert all(0 <= weight <= cap + 1e-9 for weight in weights.values())
        assert sum(weights.values()) == pytest.approx(min(1.0, cap * len(weights)))

    @given(st.dictionaries(st.integers(0, 9), st.floats(FLOOR_BPS, 200.0), min_size=2))
    def test_below_the_cap_each_contributes_the_same_risk(self, deviations):
        risks = [weight * deviations[name] for name, weight in risk_parity(deviations).items()]
        assert max(risks) == pytest.approx(min(risks))

    def test_a_basis_that_hardly_moves_is_not_without_risk(self):
        assert risk_parity({"a": 0.0, "b": FLOOR_BPS}) == pytest.approx({"a": 0.5, "b": 0.5})
