"""Wipe-outs, squeezes and dislocations are traded where positions make the price, and left alone where the market does."""

import attrs
import numpy as np
import pytest

from titan_core import BPS, MIN, H, S
from titan_core.model.enums import StreamKind
from titan_core.tape.tape import build_tape
from titan_core.testing.chaos import PERP, SPOT, START
from titan_core.testing.markets import MarketShape, stepped_columns, stepped_market
from titan_scavenger.config import ScavengerConfig
from titan_scavenger.flaws import Flaws, Past, Sample

STEP_S = 5
CONFIG = ScavengerConfig(flaw_sample_s=60)


def market(prices, *, interest=None, rate_e8=None, flow=None, basis_bps=0.0):
    """A market of five-second steps with open interest (lots at each step) and a settlement of that rate after its first minute."""
    shape = MarketShape(step_s=STEP_S, start_ns=START, basis_bps=basis_bps, derivatives=True)
    raw = stepped_columns(prices, flow=flow, shape=shape)
    ts = START + np.arange(len(prices), dtype=np.int64) * STEP_S * S + 2_500_000
    lots = np.full(len(prices), 1_000_000) if interest is None else np.asarray(interest)
    raw[PERP.id, StreamKind.OPEN_INTEREST] = {"ts": ts, "lots": lots.astype(np.int32)}
    if rate_e8 is None:
        del raw[PERP.id, StreamKind.FUNDING]
    else:
        raw[PERP.id, StreamKind.FUNDING] = {"ts": np.array([START + MIN + 3], np.int64), "rate_e8": np.array([rate_e8], np.int32)}
    return build_tape((SPOT, PERP), raw)


def minutes(count):
    return count * 60 // STEP_S


def fall(bps=300.0, quiet=20, falling=5, after=20, up=False, rest=()):
    """A quiet price, a move of so many basis points within some minutes, then a quiet one that swings a little."""
    sign = 1 if up else -1
    down = 60_000 * (1 + sign * bps / BPS * np.arange(1, minutes(falling) + 1) / minutes(falling))
    still = down[-1] * (1 - sign * 0.0002 * (np.arange(minutes(after)) % 2))
    return np.concatenate([60_000 * (1 + 0.0001 * (np.arange(minutes(quiet)) % 2)), down, still, *rest])


def collapsing(share=0.05, quiet=20, falling=5, after=20):
    lots = 1_000_000 * (1 - share * np.arange(1, minutes(falling) + 1) / minutes(falling))
    return np.concatenate([np.full(minutes(quiet), 1_000_000), lots, np.full(minutes(after), lots[-1])])


def buying(prices, quiet=20, falling=5, up=False):
    """Takers trade with the move while it lasts and against it afterwards."""
    sign = 1 if up else -1
    return [10 * sign if k < minutes(quiet + falling) else -10 * sign for k in range(len(prices))]


def run(scenes, tape, config=CONFIG, **kwargs):
    return scenes.run(tape, config, made=Flaws, **kwargs)


def tags(outcome):
    return [entry[-1] for entry in outcome.entries if entry[-1] in ("wipeout", "squeeze", "dislocation")]


class TestWipeOut:
    @pytest.mark.parametrize("up", [False, True])
    def test_a_collapse_of_price_and_open_interest_is_faded_once_it_is_exhausted(self, scenes, up):
        prices = fall(up=up)
        outcome = run(scenes, market(prices, interest=collapsing(), flow=buying(prices, up=up)))
        assert tags(outcome) == ["wipeout"]
        _, ts, _, _, lots, kind, _, _, stop, target, _ = outcome.entries[0]
        assert (lots > 0) is not up and kind == "market"
        assert ts - START >= (25 * 60 + 180 - 60) * S, "three minutes without a new extreme"
        extreme, start = round(prices[minutes(25) - 1] / 0.1), 600_000
        assert (stop < extreme) if not up else (stop > extreme)
        assert abs(target - outcome.fills[0].price) == pytest.approx(0.4 * abs(start - extreme), rel=0.1)
        assert any("wipe-out: price" in note for note in outcome.notes)

    def test_a_fall_without_a_collapse_of_open_interest_is_left_alone(self, scenes):
        prices = fall()
        assert not tags(run(scenes, market(prices, flow=buying(prices))))

    def test_a_collapse_of_open_interest_without_a_fall_is_left_alone(self, scenes):
        prices = fall(bps=50)
        assert not tags(run(scenes, market(prices, interest=collapsing(), flow=buying(prices))))

    def test_a_fall_that_goes_on_is_not_caught(self, scenes):
        prices = fall(falling=25, after=2, bps=900)
        outcome = run(scenes, market(prices, interest=collapsing(falling=25, after=2), flow=buying(prices, falling=25)))
        assert not tags(outcome) and any("wipe-out" in note for note in outcome.notes)

    def test_takers_that_go_on_selling_are_waited_for(self, scenes):
        prices = fall()
        assert not tags(run(scenes, market(prices, interest=collapsing(), flow=[-10] * len(prices))))

    def test_a_stop_that_lies_too_far_is_not_taken(self, scenes):
        prices = fall(rest=[])
        outcome = run(scenes, market(prices, interest=collapsing(), flow=buying(prices)), attrs.evolve(CONFIG, flaw_min_stop_bps=1.0, flaw_max_stop_bps=2.0))
        assert not tags(outcome) and outcome.tally["stop_too_far"] >= 1


class TestSqueeze:
    CROWDED = attrs.evolve(CONFIG, squeeze_h=1)

    def tape(self, rate_e8, grows=0.05, breaks=-200.0):
        count = minutes(90)
        quiet = 60_000 * (1 + 0.001 * np.sin(np.arange(count) / 60))
        move = quiet[-1] * (1 + breaks / BPS * np.arange(1, minutes(10) + 1) / minutes(10))
        prices = np.concatenate([quiet, move])
        return market(prices, interest=1_000_000 * (1 + grows * np.arange(len(prices)) / len(prices)), rate_e8=rate_e8)

    @pytest.mark.parametrize("rate", [60_000, -60_000])
    def test_a_break_against_the_crowd_is_followed(self, scenes, rate):
        outcome = run(scenes, self.tape(rate, breaks=-200.0 if rate > 0 else 200.0), self.CROWDED)
        assert tags(outcome)[:1] == ["squeeze"]
        assert (outcome.entries[0][4] < 0) is (rate > 0)

    def test_a_break_with_the_crowd_is_not(self, scenes):
        assert "squeeze" not in tags(run(scenes, self.tape(60_000, breaks=200.0), self.CROWDED))

    def test_ordinary_funding_is_no_crowd(self, scenes):
        assert "squeeze" not in tags(run(scenes, self.tape(10_000), self.CROWDED))

    def test_without_growth_of_open_interest_nobody_has_come(self, scenes):
        assert "squeeze" not in tags(run(scenes, self.tape(60_000, grows=0.0), self.CROWDED))


class TestDislocation:
    def tape(self, jump_bps=60.0, spot_bps=0.0, lasting=2):
        count = minutes(60)
        basis = np.concatenate([np.full(count, 5.0), np.full(minutes(lasting), 5.0 + jump_bps), np.full(minutes(20), 5.0)])
        prices = np.concatenate([np.full(count, 60_000.0), np.full(minutes(lasting), 60_000.0 * (1 + spot_bps / BPS)), np.full(minutes(20), 60_000.0)])
        return market(prices, basis_bps=basis.tolist())

    @pytest.mark.parametrize("jump", [60.0, -60.0])
    def test_a_perpetual_that_leaves_its_spot_is_traded_back(self, scenes, jump):
        outcome = run(scenes, self.tape(jump))
        assert tags(outcome)[:1] == ["dislocation"]
        assert (outcome.entries[0][4] < 0) is (jump > 0)
        assert outcome.tally["won"] == 1

    def test_where_spot_itself_has_moved_it_is_no_dislocation(self, scenes):
        assert not tags(run(scenes, self.tape(60.0, spot_bps=40.0, lasting=1)))
        assert tags(run(scenes, self.tape(60.0, lasting=1)))

    def test_on_bars_a_basis_means_nothing(self, scenes):
        count = minutes(60)
        basis = [5.0] * count + [65.0] * minutes(3)
        tape = stepped_market([60_000.0] * len(basis), step_s=STEP_S, start_ns=START, basis_bps=basis, bar_s=60)
        assert not tags(run(scenes, tape))


def test_only_what_is_named_is_traded(scenes):
    prices = fall()
    tape = market(prices, interest=collapsing(), flow=buying(prices))
    assert not tags(run(scenes, tape, attrs.evolve(CONFIG, flaws=("squeeze", "dislocation"))))
    assert not run(scenes, tape, attrs.evolve(CONFIG, flaws=())).engine.fires


def test_a_trade_ends_when_its_time_is_over(scenes):
    prices = fall(after=40)
    config = attrs.evolve(CONFIG, flaw_hold_s=300)
    outcome = run(scenes, market(prices, interest=collapsing(after=40), flow=buying(prices)), config)
    assert outcome.fills[-1].tag == "flaw time"
    assert outcome.fills[-1].ts_ns - outcome.fills[0].ts_ns <= 302 * S
    assert outcome.tally["won"] + outcome.tally["lost"] == 1


def test_the_loss_at_the_stop_is_the_share_of_equity_that_was_set(scenes):
    prices = fall()
    outcome = run(scenes, market(prices, interest=collapsing(), flow=buying(prices)))
    _, _, _, _, lots, _, _, _, stop, _, _ = outcome.entries[0]
    loss = PERP.loss_at_stop(lots, outcome.fills[0].price, stop)
    assert 0.8 * 60 / BPS < loss / scenes.CASH <= 1.05 * 60 / BPS


@pytest.mark.parametrize("tape", [market(fall(), interest=collapsing(), flow=buying(fall())), TestDislocation().tape(), TestSqueeze().tape(60_000)])
def test_all_forms_take_the_same_decisions(scenes, tape):
    config = attrs.evolve(CONFIG, squeeze_h=1)
    slow, fast, live = (run(scenes, tape, config, engine=engine) for engine in ("reference", "replay", "per-event"))
    assert slow.engine.record.digest == fast.engine.record.digest == live.engine.record.digest and slow.fills


def test_the_past_knows_its_beginning_only_once_it_reaches_so_far():
    past = Past(H, MIN)
    assert past.oldest() is None
    for minute in range(200):
        past.take(Sample(minute * MIN, minute, None))
        oldest = past.oldest()
        assert (oldest is None) == (minute < 59)
        if oldest is not None:
            assert oldest.price == max(0, minute - 60)
