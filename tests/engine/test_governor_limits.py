"""Limits at their edges: marks that come late, levels crossed by the very event that springs an entry, the venue's own leverage, successors that
may not enter. All forms of the engine must agree on all of it."""

import numpy as np
import pytest
from attrs import evolve

from tests.engine.governed import ETH, NOON, PERP, SPOT, WIDE, U, at, enter, fills, hedged, market_tape, notes, pair, phase, plan, play, price_tape, state
from titan_core.brain.limits import BrainLimits
from titan_core.engine.governor import BrainGovernor
from titan_core.engine.layout import Layout
from titan_core.engine.live import PerEvent
from titan_core.engine.live import play as play_events
from titan_core.errors import TooLarge
from titan_core.hookspecs import Handover
from titan_core.model.enums import StreamKind
from titan_core.model.phase import LossLevels
from titan_core.model.units import S
from titan_core.ports import Strategy
from titan_core.tape.columns import SPECS
from titan_core.tape.tape import build_tape

replay = pytest.importorskip("titan_core.engine.replay", reason="numba is not installed")


def raw_of(tape):
    return {(s.instrument, s.kind): {name: s.columns[name] for name in SPECS[s.kind].raw} for s in tape.streams}


def with_marks(tape, seconds, prices):
    """Add a mark stream with rows at these seconds after noon, just after the quotes of their time."""
    ts = NOON + (np.asarray(seconds) * S).astype(np.int64) + 7
    price = np.asarray(prices, np.int32)
    return build_tape(tape.instruments, raw_of(tape) | {(PERP.id, StreamKind.MARK): {"ts": ts, "price": price, "index": price}})


# -- marks ------------------------------------------------------------------------------------------------------------
FALL = [600_000] * 5 + [540_000] * 60


@pytest.mark.parametrize("first_mark_s", [330, 3_000, 100_000])
def test_before_the_first_mark_the_mid_is_watched(first_mark_s):
    """A loss of 18 % at the quote of 300 s: the Brain acts there, whenever the marks begin."""
    tape = with_marks(price_tape(FALL), [first_mark_s], [540_000])
    engine, governor = play(tape, lambda: [phase("p", 200, None, strategy=plan((90, enter(30, 2_000))))], 1_000)
    assert at(engine, "panic") == NOON + 300 * S
    assert engine.account.lots == [0] and governor.machine.configuration.is_in("emergency")


def test_from_the_first_mark_on_the_mark_is_watched():
    """The quotes dip below the emergency level after the marks have begun; the marks do not."""
    tape = with_marks(price_tape([600_000] * 5 + [540_000] * 5 + [600_000] * 10), [200, 240, 300, 360, 420, 480, 540], [600_000] * 7)
    engine, governor = play(tape, lambda: [phase("p", 200, None, strategy=plan((90, enter(30, 2_000))))], 1_000)
    assert at(engine, "panic") is None and engine.account.lots == [30]
    assert governor.equity2() == 2 * 1_000 * U + 2 * 30 * PERP.money_per_tick_lot * (600_000 - 600_001)


def test_a_level_that_the_first_mark_crosses_is_acted_on_at_once():
    tape = with_marks(price_tape([600_000] * 20), [400], [540_000])
    engine, _ = play(tape, lambda: [phase("p", 200, None, strategy=plan((90, enter(30, 2_000))))], 1_000)
    assert at(engine, "panic") == NOON + 400 * S + 7


def test_the_per_event_form_changes_over_to_the_mark_at_the_same_event():
    tape = with_marks(price_tape([600_000] * 5 + [594_000] * 5 + [560_000] * 10), [400, 601], [598_000, 500_000])

    def run(form):
        governor = BrainGovernor([phase("p", 200, None, strategy=plan((90, enter(30, 2_000))), losses=LossLevels(150, 5_000, 6_000))], BrainLimits())
        settings = {"cash": 1_000 * U, "slots": governor.slots}
        if form == "per-event":
            return play_events(PerEvent(Layout.of(tape), governor, **settings), tape)
        return replay.Replay(replay.Prepared(tape), governor, **settings).run()

    fast, slow = run("replay"), run("per-event")
    assert fast.record.entries == slow.record.entries
    assert [(name, t) for name, t in (("p.reduce", NOON + 300 * S), ("panic", NOON + 601 * S + 7)) if at(slow, name) != t] == []
    assert not any(slow._legs), "nothing of a bound is left behind"


def test_an_entry_is_refused_where_the_marks_have_stopped():
    tape = with_marks(price_tape([600_000] * 20), [0, 60, 120, 180], [600_000] * 4)
    engine, _ = play(tape, lambda: [phase("p", 200, None, strategy=plan((190, enter(1, 500)), (310, enter(1, 500))))], 1_000)
    assert notes(engine, "p")[0] == "entered" and "130.0 s old" in notes(engine, "p")[1]


# -- what the same event has crossed ----------------------------------------------------------------------------------
def dip_buyer(second_lots=20):
    def act(market):
        def dip(market, condition):
            enter(second_lots, 20, instrument=1)(market)

        market.arm(market.perp.bid_below(592_000), dip)  # armed before the position is, so it runs before the bounds
        enter(30, 150)(market)

    return plan((90, act))


def test_an_entry_sees_the_daily_loss_of_its_own_event():
    tape = market_tape({PERP: [600_000] * 5 + [591_900] * 20, ETH: [600_000] * 25})
    engine, governor = play(tape, lambda: [phase("p", 200, None, strategy=dip_buyer(), losses=LossLevels(200, 500, 700))], 1_000)
    assert at(engine, "p.reduce") == NOON + 300 * S and state(governor, "p") == "reduced"
    assert engine.account.lots == [30, 10], "the reduced phase enters with half the size"


def test_an_entry_sees_that_equity_has_left_the_band_at_its_own_event():
    tape = market_tape({PERP: [600_000] * 5 + [591_900] * 20, ETH: [600_000] * 25})
    wide = LossLevels(1_000, 2_000, 3_000)
    engine, _ = play(tape, lambda: [phase("p", 1_000, None, strategy=dip_buyer(), losses=wide, leverage=(1, 20))], 1_000)
    assert "may not open positions now" in notes(engine, "p")[-1]
    assert (20, "") not in fills(engine)


# -- the venue's own leverage -----------------------------------------------------------------------------------------
def test_the_leverage_of_one_instrument_does_not_limit_the_others():
    alt = evolve(PERP, symbol="ALTUSDT", base="ALT", max_leverage=5)
    two = plan((90, enter(100, 10)), (150, enter(2, 10, instrument=1)))
    tape = market_tape({PERP: [600_000] * 20, alt: [600_000] * 20})
    engine, _ = play(tape, lambda: [phase("p", 200, None, strategy=two, leverage=(1, 20), max_position_bps=5_000)], 1_000)
    assert sorted(engine.account.lots) == [2, 100]


def test_a_pair_is_not_limited_by_what_is_lent_on_spot():
    spot = evolve(SPOT, max_leverage=1)
    tape = market_tape({spot: [600_000] * 20, PERP: [600_000] * 20})
    make = lambda: [hedged(phase("h", 200, None, strategy=plan((90, pair(10, -10))), leverage=(1, 3)))]  # noqa: E731
    engine, _ = play(tape, make, 1_000, governor=BrainGovernor)
    assert sorted(engine.account.lots) == [-10, 10]


@pytest.mark.parametrize("max_position_bps", [4_000, 10_000])
@pytest.mark.parametrize("max_leverage", [3, 7, 100])
def test_what_the_budget_offers_is_approved_and_one_lot_more_is_not(max_leverage, max_position_bps):
    costly = evolve(PERP, max_leverage=max_leverage, taker_fee_ppm=550)
    answers = []

    class Full(Strategy):
        def on_start(self, market):
            market.after(90 * S, self.ask)

        def ask(self, market, timer):
            price = market.perp.quote()[1]
            lots = market.budget(market.perp).max_notional // (price * market.perp.spec.money_per_tick_lot)
            answers.extend(market.enter(market.perp, lots + more, stop=price - 10).__class__.__name__ for more in (1, 0))

    make = lambda: [phase("p", 200, None, strategy=Full, leverage=(1, 20), max_position_bps=max_position_bps)]  # noqa: E731
    play(market_tape({costly: [600_000] * 10}), make, 1_000, governor=BrainGovernor)
    assert answers == ["Refused", "WorkingOrder"] * 2, "once in each form"


@pytest.mark.parametrize("max_leverage", [6, 100])
def test_drift_is_measured_with_the_venues_leverage(max_leverage):
    """A short whose price rises; 1.1 times its cap is crossed at the price that the margin in force says."""
    perp = evolve(PERP, max_leverage=max_leverage)
    lots = -int(0.97 * 5_000 * min(max_leverage, 10) / 60)
    prices = [600_000] * 5 + list(range(600_000, 630_000, 100))
    make = lambda: [phase("p", 200, None, strategy=plan((90, enter(lots, 900))), max_position_bps=5_000)]  # noqa: E731
    engine, governor = play(market_tape({perp: prices}), make, 10_000, governor=BrainGovernor)
    fill = next(fill for fill in engine.record.fills if fill.tag == "drift")
    worth = -lots * PERP.money_per_tick_lot * (2 * fill.price)
    equity2 = 2 * 10_000 * U + lots * PERP.money_per_tick_lot * 2 * (fill.price - 600_000)
    share_of_cap = worth / min(max_leverage, 10) / (equity2 * 0.5)
    assert 1.1 < share_of_cap < 1.1 * 1.001


# -- leaving ----------------------------------------------------------------------------------------------------------
def test_a_phase_does_not_outgrow_into_a_successor_that_may_not_enter():
    winner, loser = plan((90, enter(50, 300))), plan((90, enter(40, 80, instrument=1)))
    tape = market_tape({PERP: [600_000] * 15 + [660_000] * 20, ETH: [600_000] * 5 + [585_000] * 30})
    make = lambda: [phase("small", 200, 2_000, strategy=winner), phase("middle", 1_500, 50_000, strategy=loser, losses=LossLevels(100, 300, 9_000))]  # noqa: E731
    engine, governor = play(tape, make, 1_900)
    assert governor.equity2() > 2 * 2_040 * U and state(governor, "middle") == "halted"
    assert state(governor, "small") == "active" and at(engine, "small.drain") is None


def test_a_phase_keeps_its_exits_where_no_taker_wants_its_position():
    def rest(market):
        market.exit(market.perp, lots=160, limit=785_000)

    grow = plan((90, enter(160, 1_000)), (150, rest))
    prices = [600_000] * 5 + [640_000] * 30 + [780_000] * 10 + [786_000] * 3 + [770_000] * 30
    make = lambda: [phase("small", 200, 5_000, strategy=grow), phase("middle", 2_500, 50_000, strategy=Strategy, adopt=lambda offer: False)]  # noqa: E731
    engine, _ = play(price_tape(prices), make, 2_400)
    assert fills(engine) == [(160, ""), (-160, "")] and engine.record.fills[-1].price == 785_000
    assert at(engine, "small.drain") < engine.record.fills[-1].ts_ns, "the shape of the test"


def test_a_taker_hears_of_an_offer_once_for_each_look_that_may_move_something():
    offers: list[Handover] = []

    def declines(offer):
        offers.append(offer)
        return False

    grow = plan((90, enter(160, 1_000)), (150, lambda market: market.exit(market.perp, lots=160, limit=900_000)))
    prices = [600_000] * 5 + [640_000] * 30 + [780_000] * 10
    make = lambda: [phase("small", 200, 5_000, strategy=grow), phase("middle", 2_500, 50_000, strategy=Strategy, adopt=declines)]  # noqa: E731
    play(price_tape(prices), make, 2_400)
    assert len(offers) == 2, "once in each form"


def test_a_disabled_phase_is_not_told_to_drain():
    fired = []

    class Listening(BrainGovernor):
        def fire(self, trigger, book=None):
            took = super().fire(trigger, book)
            fired.append((trigger.value, took))
            return took

    def raises(self, market):
        raise RuntimeError("boom")

    def again(self, market, instrument):
        market.after(60 * S, lambda market, timer: enter(200, 50)(market))

    busy = plan((90, enter(200, 50)), on_flat=again)
    costly = evolve(PERP, taker_fee_ppm=550)
    tape = market_tape({costly: [600_000 - 400 * i for i in range(100)]})
    broken = type("Broken", (Strategy,), {"on_start": raises})
    limits = BrainLimits(drawdown_warning_bps=9_000, drawdown_reduced_bps=9_500, drawdown_emergency_bps=9_900)
    make = lambda: [phase("low", 1, 5_000, strategy=busy, losses=WIDE), phase("p", 1_990, None, strategy=broken)]  # noqa: E731
    _, governor = play(tape, make, 2_000, governor=Listening, limits=limits)
    assert governor.equity2() < 2 * 1_950 * U and state(governor, "p") == "disabled", "the shape of the test"
    assert ("drain", False) not in fired


# -- pairs ------------------------------------------------------------------------------------------------------------
def hedge(strategy, tape=None, **kwargs):
    tape = tape or market_tape({SPOT: [600_000] * 30, PERP: [600_000] * 30})
    return play(tape, lambda: [hedged(phase("h", 200, None, strategy=strategy, leverage=(1, 3)))], 1_000, governor=BrainGovernor, **kwargs)


@pytest.mark.parametrize("leg", ["spot", "perp"])
@pytest.mark.parametrize(("off", "left"), [(11, 0), (4, 7)])
def test_what_has_lost_its_other_leg_is_closed(leg, off, left):
    take_off = lambda market: market.exit(getattr(market, leg), lots=off)  # noqa: E731
    engine, _ = hedge(plan((90, pair(11, -11)), (150, take_off)))
    assert sorted(map(abs, engine.account.lots)) == [left, left] and sum(engine.account.lots) == 0
    assert [fill.tag for fill in engine.record.fills] == ["", "", "", "unpaired"]


def test_both_legs_taken_off_together_are_left_alone():
    def off(market):
        market.exit(market.spot)
        market.exit(market.perp)

    engine, _ = hedge(plan((90, pair(11, -11)), (150, off)))
    assert engine.account.lots == [0, 0] and {fill.tag for fill in engine.record.fills} == {""}


@pytest.mark.parametrize(("withdrawn_s", "closed_s"), [(153, 153.01), (1_000, 160.01)])
def test_a_leg_that_waits_for_a_resting_exit_has_a_grace(withdrawn_s, closed_s):
    """Spot is sold at market, the perpetual is to be bought back far below: when that order is withdrawn, or the grace is over, the Brain buys."""

    def off(market):
        market.exit(market.spot)
        resting = market.exit(market.perp, limit=500_000)
        market.at(NOON + withdrawn_s * S, lambda market, timer: market.cancel(resting))

    engine, _ = hedge(plan((90, pair(11, -11)), (150, off)))
    last = engine.record.fills[-1]
    assert engine.account.lots == [0, 0] and last.tag == "unpaired"
    assert abs(last.ts_ns - NOON - round(closed_s * S)) < S // 10_000, "5 ms to withdraw, 5 ms to close; the grace begins with the first fill"


def test_a_leg_with_a_stop_of_its_own_may_stand_alone():
    def protect_and_leave(market):
        assert market.protect(market.perp, stop=601_000)
        market.exit(market.spot)

    engine, _ = hedge(plan((90, pair(11, -11)), (150, protect_and_leave)))
    assert sorted(engine.account.lots) == [-11, 0]


# -- size -------------------------------------------------------------------------------------------------------------
def test_a_position_too_large_for_the_compiled_search_ends_the_run_with_a_word():
    governor = BrainGovernor([phase("p", 200, None, strategy=plan((90, enter(60_000_000, 10))))], BrainLimits())
    engine = replay.Replay(replay.Prepared(price_tape([600_000] * 10)), governor, cash=10**10 * U, slots=governor.slots)
    with pytest.raises(TooLarge, match=r"position in BTCUSDT\.bybit-linear is too large .*--engine reference"):
        engine.run()
