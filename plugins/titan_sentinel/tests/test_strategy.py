"""What the Sentinel does with a basis: enters where it pays, keeps the legs equal, leaves when it is over."""

import attrs
import pytest

from titan_core import BPS, S
from titan_sentinel.config import SentinelConfig
from titan_sentinel.watch import Setup

SEEDS = [1, 2, 3]


@pytest.mark.parametrize("seed", SEEDS)
def test_both_legs_are_entered_and_left_in_equal_quantities(spreads, seed):
    outcome = spreads.run(spreads.market(seed))
    assert len(outcome.fills) >= 20
    by_time = {}
    for ts_ns, delta in outcome.net_deltas():
        by_time[ts_ns // S] = delta
    assert all(abs(delta) < 1e-9 for delta in by_time.values()), "a leg stood alone at the end of a second"
    assert not any(outcome.engine.account.lots) or outcome.strategy.watches[0].open is not None


@pytest.mark.parametrize("seed", SEEDS)
def test_it_is_long_spot_and_short_perpetual_or_flat(spreads, seed):
    outcome = spreads.run(spreads.market(seed))
    held = {spreads.SPOT.id: 0, spreads.PERP.id: 0}
    for fill in outcome.fills:
        held[fill.instrument] += fill.signed_lots
        assert held[spreads.SPOT.id] >= 0 >= held[spreads.PERP.id]


def test_it_enters_when_the_basis_is_stretched_and_leaves_when_it_is_back(spreads):
    basis = [5.0 + (k % 5) * 0.5 for k in range(1_200)] + [60.0] * 60 + [6.0] * 600
    outcome = spreads.run(spreads.with_basis(basis), attrs.evolve(spreads.QUICK, z_enter=3.0, min_edge_bps=5.0, clip_usdt=1_000_000))
    assert outcome.tally["scalp"] == outcome.tally["over"] == outcome.tally["won"] == 1
    first, last = outcome.fills[0], outcome.fills[-1]
    assert 1_200 * spreads.STEP_S * S <= first.ts_ns - spreads.START < 1_210 * spreads.STEP_S * S
    assert 1_260 * spreads.STEP_S * S <= last.ts_ns - spreads.START < 1_280 * spreads.STEP_S * S
    assert "ended with" in next(note for note in outcome.notes if "scalp" in note and "BTC" in note)


def test_a_stretch_that_does_not_pay_the_fees_is_left_alone(spreads):
    basis = [5.0 + (k % 5) * 0.5 for k in range(1_200)] + [30.0] * 60 + [6.0] * 600
    outcome = spreads.run(spreads.with_basis(basis), attrs.evolve(spreads.QUICK, z_enter=3.0, min_edge_bps=5.0))
    assert not outcome.fills


def test_a_pair_whose_basis_runs_away_is_given_up(spreads):
    basis = [5.0 + (k % 5) * 0.5 for k in range(1_200)] + [60.0] * 60 + [150.0] * 600
    outcome = spreads.run(spreads.with_basis(basis), attrs.evolve(spreads.QUICK, z_enter=3.0, min_edge_bps=5.0, max_adverse_bps=80.0))
    assert outcome.tally["adverse"] >= 1 and outcome.tally["lost"] >= 1


def test_an_open_pair_is_closed_when_its_time_is_over(spreads):
    basis = [5.0 + (k % 5) * 0.5 for k in range(1_200)] + [60.0] * 2_000
    outcome = spreads.run(spreads.with_basis(basis), attrs.evolve(spreads.QUICK, z_enter=3.0, min_edge_bps=5.0, max_hold_s=3_600, pause_s=86_400))
    assert outcome.tally["time"] == 1
    assert outcome.fills[-1].ts_ns - outcome.fills[0].ts_ns <= 3_700 * S


def test_large_pairs_are_entered_in_clips(spreads):
    basis = [5.0 + (k % 5) * 0.5 for k in range(1_200)] + [60.0] * 400
    config = attrs.evolve(spreads.QUICK, z_enter=3.0, min_edge_bps=5.0, clip_usdt=10_000, max_hold_s=1_000_000)
    outcome = spreads.run(spreads.with_basis(basis), config)
    entries = [fill for fill in outcome.fills if fill.tag == Setup.SCALP and fill.instrument == spreads.PERP.id]
    assert len(entries) >= 4
    assert all(spreads.PERP.notional(fill.signed_lots, fill.price) <= 10_100 * 10**8 for fill in entries)
    assert all(later.ts_ns - earlier.ts_ns >= 5 * S for earlier, later in zip(entries, entries[1:], strict=False))


def test_it_uses_no_more_than_the_brain_admits(spreads):
    basis = [5.0 + (k % 5) * 0.5 for k in range(1_200)] + [60.0] * 400
    outcome = spreads.run(spreads.with_basis(basis), attrs.evolve(spreads.QUICK, z_enter=3.0, min_edge_bps=5.0, max_hold_s=1_000_000))
    spot = sum(spreads.SPOT.notional(fill.signed_lots, fill.price) for fill in outcome.fills if fill.instrument == spreads.SPOT.id)
    perp = sum(spreads.PERP.notional(fill.signed_lots, fill.price) for fill in outcome.fills if fill.instrument == spreads.PERP.id)
    assert 0.6 * spreads.CASH < spot + perp / 3 <= spreads.CASH


def test_carry_is_entered_before_a_settlement_where_funding_pays(spreads):
    # 1 bp every eight hours, for long: the rate of `derivatives` markets
    basis = [5.0 + (k % 5) * 0.2 for k in range(24 * 360)]
    config = SentinelConfig(scalp=False, warmup_samples=30, window_samples=240, horizon_h=2_000, decay_h=8_000.0, min_edge_bps=5.0, lead_s=3_600)
    outcome = spreads.run(spreads.with_basis(basis, derivatives=True), config)
    entered = outcome.fills[0].ts_ns - spreads.START
    assert outcome.tally["carry"] == 1 and outcome.fills[0].tag == Setup.CARRY
    assert (entered // S) % (8 * 3_600) >= 7 * 3_600, "within an hour of a settlement"
    assert outcome.engine.account.funding > 0
    assert outcome.strategy.watches[0].open.funding_bps >= 1.0


def test_where_funding_does_not_pay_nobody_carries(spreads):
    basis = [5.0 + (k % 5) * 0.2 for k in range(24 * 360)]
    config = SentinelConfig(scalp=False, warmup_samples=30, window_samples=240)
    assert not spreads.run(spreads.with_basis(basis, derivatives=True), config).fills


class TestAFailedLeg:
    @pytest.mark.parametrize("symbol", ["spot", "perp"])
    def test_the_other_is_taken_off_within_seconds(self, spreads, symbol):
        failing = spreads.SPOT.id if symbol == "spot" else spreads.PERP.id
        once = []

        def rejects(intent):
            if intent.pair and intent.instrument.id == failing and not once:
                once.append(intent)
                return True
            return False

        outcome = spreads.run(spreads.market(1), rejects=rejects)
        assert once and outcome.tally["unwound"] == 1
        alone = [(ts, delta) for ts, delta in outcome.net_deltas() if abs(delta) > 1e-9]
        assert alone
        first = alone[0][0]
        healed = next(ts for ts, delta in outcome.net_deltas() if ts > first and abs(delta) < 1e-9)
        assert healed - first <= (spreads.QUICK.unwind_s + 1) * S
        assert any("have no other half" in note for note in outcome.notes)

    def test_it_rests_afterwards(self, spreads):
        outcome = spreads.run(
            spreads.market(1), attrs.evolve(spreads.QUICK, pause_s=3_600), rejects=lambda intent: bool(intent.pair) and intent.instrument.is_perp
        )
        starts = [fill.ts_ns for fill in outcome.fills if fill.signed_lots > 0 and fill.instrument == spreads.SPOT.id]
        assert len(starts) >= 2
        assert all(later - earlier >= 3_600 * S for earlier, later in zip(starts, starts[1:], strict=False))


def test_without_a_pair_it_says_that_it_is_idle(spreads):
    outcome = spreads.run(spreads.market(1), attrs.evolve(spreads.QUICK, coins=("ETH",)))
    assert outcome.notes == ["idle: this run has no pair of a spot instrument and a perpetual of ETH"]


def test_a_pair_of_which_one_leg_is_only_data_is_not_traded(spreads):
    outcome = spreads.run(spreads.market(1), only_data=[spreads.SPOT.id])
    assert outcome.notes[0] == f"BTC is not traded: {spreads.SPOT.id} takes no orders in this run, and a pair needs both legs"
    assert outcome.notes[1].startswith("idle") and not outcome.fills


def test_after_a_gap_it_rests(spreads):
    basis = [5.0 + (k % 5) * 0.5 for k in range(1_200)] + [60.0] * 60 + [6.0] * 600
    config = attrs.evolve(spreads.QUICK, z_enter=3.0, min_edge_bps=5.0, pause_s=3_600)
    holed = spreads.run(spreads.with_basis(basis, hole=(1_190, 3)), config)
    assert not holed.fills


def test_a_wide_spread_is_not_crossed(spreads):
    basis = [5.0 + (k % 5) * 0.5 for k in range(1_200)] + [60.0] * 60
    config = attrs.evolve(spreads.QUICK, z_enter=3.0, min_edge_bps=5.0)
    assert spreads.run(spreads.with_basis(basis), config).fills
    assert not spreads.run(spreads.with_basis(basis, spread_ticks=int(60_000 / 0.1 * 4 / BPS)), config).fills
