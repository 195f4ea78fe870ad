"""Strategies, markets and moments that work against the Brain. Both forms of the engine must agree on all of it."""

from decimal import Decimal

import pytest
from attrs import evolve

from tests.engine.governed import (
    ETH,
    LATENCY,
    LOSSES,
    NOON,
    PERP,
    SPOT,
    UNIT,
    Checked,
    U,
    at,
    enter,
    fills,
    hedged,
    market_tape,
    notes,
    pair,
    phase,
    plan,
    play,
    price_tape,
    state,
    steps,
)
from titan_core.brain.limits import BrainLimits
from titan_core.brain.risk import drawdown_ppm
from titan_core.engine.governor import BrainGovernor
from titan_core.model.order import Refused
from titan_core.model.phase import LossLevels
from titan_core.model.units import S
from titan_core.ports import Strategy

replay = pytest.importorskip("titan_core.engine.replay", reason="numba is not installed")


def margin_over_equity(governor, slot):
    return Decimal(governor.exposure.usage(slot).margin * 2) / governor.phase_equity2(governor.books[slot])


# -- orders in flight -------------------------------------------------------------------------------------------------
def raises(*_):
    raise RuntimeError("boom")


def test_an_entry_in_flight_when_its_plugin_raises_is_closed_when_it_fills():
    def act(market):
        enter(10, 500)(market)
        raises()

    engine, governor = play(price_tape([600_000] * 20), lambda: [phase("p", 200, None, strategy=plan((90, act)))], 1_000)
    assert fills(engine) == [(10, ""), (-10, "flatten")]
    assert engine.account.lots == [0] and state(governor, "p") == "disabled"


def test_no_leg_of_a_pair_stays_when_its_plugin_raises_at_the_first_fill():
    prices = list(range(600_000, 601_000, 50))
    rogue = plan((90, pair(10, -10)), on_fill=raises)
    engine, governor = play(
        market_tape({SPOT: prices, PERP: prices}), lambda: [hedged(phase("h", 200, None, strategy=rogue, leverage=(1, 3)))], 1_000, governor=BrainGovernor
    )
    assert sorted(fills(engine)) == [(-10, ""), (-10, "flatten"), (10, ""), (10, "flatten")]
    assert engine.account.lots == [0, 0] and state(governor, "h") == "disabled"


def test_an_entry_in_flight_when_its_phase_is_escalated_is_closed_when_it_fills():
    two = plan((90, enter(12, 400)), (299.998, enter(5, 200, instrument=1)))
    tape = market_tape({PERP: [600_000] * 5 + [535_000] * 20, ETH: [600_000] * 25})
    engine, governor = play(tape, lambda: [phase("p", 200, None, strategy=two, losses=LOSSES)], 1_000)
    late = next(fill for fill in engine.record.fills if fill.instrument == ETH.id)
    assert late.ts_ns > at(engine, "p.escalate"), "the shape of the test"
    assert engine.account.lots == [0, 0] and engine.record.fills[-1].tag == "flatten"
    assert state(governor, "p") == "escalated"


RISE = [600_000] * 5 + [640_000] * 30 + [780_000] * 10 + [795_000] * 10


def outgrown(strategy, *, adopt=lambda offer: True, drain_s=900, taker=Strategy, **of_taker):
    """A small phase that grows out of its band at 2,100 s, and its successor."""
    return [phase("small", 200, 5_000, strategy=strategy, drain_s=drain_s), phase("middle", 2_500, 50_000, strategy=taker, adopt=adopt, **of_taker)]


def rest_an_exit(market):
    market.exit(market.perp, lots=10, limit=790_000)
    # so that the taker's budget holds the loss to the stop
    market.arm(market.perp.bid_above(779_000), lambda market, hit: market.protect(market.perp, stop=775_000))


def add_one_above(market):
    """Ask for one more just before the price rises, so that it is on its way when the phase has to leave."""

    def add(market, timer):
        market.protect(market.perp, stop=639_000)
        market.enter(market.perp, 1, stop=639_000)

    market.at(NOON + 2_100 * S - 1_000_000, add)
    market.arm(market.perp.bid_above(779_000), lambda market, hit: market.protect(market.perp, stop=779_000))


@pytest.mark.parametrize(("act", "lots"), [(rest_an_exit, 160), (add_one_above, 161)], ids=["resting exit", "entry in flight"])
def test_a_position_is_handed_over_once_no_order_of_the_giver_works_any_more(act, lots):
    grow = plan((90, enter(160, 1_000)), (150, act))
    engine, governor = play(price_tape(RISE), lambda: outgrown(grow, losses=LOSSES), 2_400)
    moved = [e for e in engine.record.entries if e[0] == "handed_over"]
    assert len(moved) == 1 and engine.account.lots == [lots] and engine.account.owner == [1]
    assert all(fill.ts_ns <= moved[0][1] for fill in engine.record.fills), "the giver trades no more"
    assert state(governor, "small") == "dormant"
    assert governor.phase_equity2(governor.books[1]) == governor.equity2()


def test_an_entry_in_flight_when_the_drain_time_is_over_is_closed_when_it_fills():
    grow = plan((90, enter(160, 1_000)), (150, add_one_above))
    engine, governor = play(price_tape(RISE), lambda: outgrown(grow, adopt=lambda offer: False, drain_s=0), 2_400)
    assert ("small.drain_timeout", "draining") in steps(engine)
    assert sorted(fills(engine)) == [(-160, "flatten"), (-1, "flatten"), (1, ""), (160, "")]
    assert engine.account.lots == [0] and state(governor, "small") == "dormant"


def test_what_a_taker_declines_after_a_reduction_is_closed_when_the_drain_time_is_over():
    def fickle():
        answers = iter([True])
        return lambda offer: next(answers, False)

    grow = plan((90, enter(160, 1_000)))
    engine, governor = play(price_tape(RISE), lambda: outgrown(grow, adopt=fickle(), drain_s=60, max_position_bps=100), 2_400, latency_ns=61 * S)
    assert [tag for _, tag in fills(engine)] == ["", "hand-over", "flatten"]
    assert engine.account.lots == [0] and state(governor, "small") == "dormant"


def test_a_stop_that_walks_the_book_is_finished_before_the_rest_is_handed_over():
    """The first fills of the stop bring equity below the band of its phase; a thin book leaves the others for later."""
    costly = evolve(PERP, taker_fee_ppm=550)
    tape = market_tape({costly: [600_000] * 5 + [595_500] * 10}, depth_lots=5)
    grow = plan((90, enter(60, 75)))

    def bindings():
        return [phase("low", 200, 990, strategy=Strategy), phase("high", 970, 5_000, strategy=grow)]

    engine, governor = play(tape, bindings, 980.3, governor=BrainGovernor)
    order = ["drain" if e[0] == "chart" and e[2] == "high.drain" else e[0] for e in engine.record.entries]
    assert order[order.index("drain") - 1] == "fill" and order[order.index("drain") + 1] == "fill", "the shape of the test"
    assert "handed_over" not in order and all(fill.tag == "stop" for fill in engine.record.fills if fill.signed_lots < 0)
    assert engine.account.lots == [0] and state(governor, "high") == "dormant"
    assert governor.phase_equity2(governor.books[0]) == governor.equity2()


# -- hand-over and shares ---------------------------------------------------------------------------------------------
def test_a_hand_over_leaves_room_for_what_the_taker_has_working_already():
    def rest(market):
        eth = market.instruments[1]
        price = eth.last()
        result = market.enter(eth, int(market.budget().equity * 2 // (price * UNIT)), limit=price - 500, stop=price - 1_500)
        market.note(result.message if isinstance(result, Refused) else "entered")

    class Capped(Checked):
        def check(self):
            super().check()
            if self.engine.account.owner[0] == 1:
                assert margin_over_equity(self, 1) <= Decimal("0.25")

    tape = market_tape({PERP: [600_000] * 5 + [640_000] * 30 + [780_000] * 40, ETH: [600_000] * 60 + [599_000] * 15})
    grow = plan((90, enter(160, 1_000)))
    engine, governor = play(tape, lambda: outgrown(grow, taker=plan((2_000, rest)), losses=LOSSES, max_position_bps=2_500), 2_400, governor=Capped)
    assert notes(engine, "middle") == ["entered"]
    assert [tag for _, tag in fills(engine)] == ["", "hand-over", ""] and engine.account.owner == [1, 1]


def test_at_boot_every_phase_has_its_share_before_any_of_them_starts():
    class Greedy(Strategy):
        def on_start(self, market):
            equity = market.budget().equity
            market.note(str(equity))
            price = market.perp.last()
            market.enter(market.perp, int(equity * 9 // (price * UNIT)), stop=price - price * 5 // 1_000)

    def bindings():
        return [phase("small", 200, 5_000, strategy=Greedy), phase("middle", 2_500, 50_000, strategy=Greedy)]

    engine, governor = play(price_tape([600_000] * 40), bindings, 4_500, start=NOON + 600 * S)
    shares = [int(notes(engine, name)[0]) for name in ("small", "middle")]
    assert 4_500 * U - 2 <= sum(shares) <= 4_500 * U
    assert engine.account.lots == [int(shares[0] * 9 // (600_000 * UNIT))]
    assert margin_over_equity(governor, 0) <= 1


@pytest.mark.parametrize("after_midnight", [634_900, 635_000])
def test_a_junior_that_loses_its_share_to_its_senior_is_not_escalated_by_that(after_midnight):
    start = 19_700 * 86_400 * S + 85_500 * S
    prices = [600_000] * 5 + [635_000] * 11 + [after_midnight] * 20
    noon = 85_500 - 43_200
    tighten = lambda market: market.protect(market.perp, stop=625_000)  # noqa: E731  # so that the taker's budget holds the loss to it
    grow = plan((noon + 90, enter(800, 400)), (noon + 400, tighten))

    def bindings():
        return [phase("hunter", 2_500, 50_000, strategy=grow, losses=LOSSES), phase("sentinel", 50_000, None, strategy=Strategy, losses=LOSSES)]

    engine, governor = play(price_tape(prices, start=start), bindings, 49_000)
    assert [step for step, _ in steps(engine) if step.startswith("hunter.")][2:] == ["hunter.drain", "hunter.drained"]
    assert fills(engine) == [(800, "")] and engine.account.owner == [1]
    assert governor.machine.configuration.mode == "operational"


def test_a_smaller_allocation_cancels_entries_that_no_longer_fit():
    def act(market):
        enter(20, 500)(market)
        eth = market.instruments[1]
        price = eth.last()
        assert not isinstance(market.enter(eth, 50, limit=price - 3_000, stop=price - 6_000), Refused)

    tape = market_tape({PERP: [600_000] * 5 + [645_000] * 85, ETH: [600_000] * 60 + [596_000] * 30})
    small = plan((90, act))
    engine, governor = play(tape, lambda: [phase("p", 1, 1_000, strategy=small, max_position_bps=5_000), phase("q", 900, None, strategy=Strategy)], 899)
    assert ("q.activate", "active") in steps(engine) and state(governor, "p") == "active"
    assert fills(engine) == [(20, "")], "the working entry is gone; what is held already is not closed"


def two_of_which_one_is_escalated(eth_prices):
    """Phase p loses L3 in a gap at 300 s, then q's gain carries equity above p's band at 5,400 s."""
    p, q = plan((90, enter(8, 400))), plan((3_600, enter(16, 500, instrument=1)))
    tape = market_tape({PERP: [600_000] * 5 + [550_000] * (len(eth_prices) - 5), ETH: eth_prices})
    return play(tape, lambda: [phase("p", 200, 1_000, strategy=p, losses=LOSSES), phase("q", 900, 50_000, strategy=q)], 950)


def test_an_escalated_phase_that_holds_nothing_leaves_at_once_and_the_others_have_its_share():
    engine, governor = two_of_which_one_is_escalated([600_000] * 90 + [700_000] * 30)
    assert at(engine, "p.escalate") == NOON + 300 * S
    assert at(engine, "p.drain") == at(engine, "p.drained") == NOON + 5_400 * S + 1
    assert governor.phase_equity2(governor.books[1]) == governor.equity2()


# -- losses of the day ------------------------------------------------------------------------------------------------
def test_a_phase_that_slept_over_midnight_does_not_come_back_with_the_level_of_another_day():
    engine, governor = two_of_which_one_is_escalated([600_000] * 90 + [700_000] * (20 * 60 - 90) + [640_000] * 60)
    assert [step for step, _ in steps(engine) if step.startswith("p.")][2:] == ["p.escalate", "p.drain", "p.drained", "p.arm", "p.activate"]
    assert at(engine, "p.drained") < NOON + 43_200 * S and state(governor, "p") == "active"


def test_an_escalation_is_judged_by_the_draw_down_of_its_moment():
    """Phase b takes the account 10 % down and back up; then phase a is escalated."""
    a, b = plan((90, enter(35, 300))), plan((90, enter(40, 2_000, instrument=1)))
    tape = market_tape({PERP: [600_000] * 20 + [560_000] * 20, ETH: [600_000] * 5 + [515_000] * 10 + [620_000] * 25})

    def bindings():
        return [phase("a", 200, 5_000, strategy=a, losses=LOSSES, leverage=(1, 20)), phase("b", 2_000, 50_000, strategy=b)]

    engine, governor = play(tape, bindings, 3_000)
    assert governor.worst_drawdown_ppm >= 100_000, "the shape of the test"
    assert state(governor, "a") == "escalated"
    assert governor.machine.configuration.mode == "operational" and engine.account.lots == [0, 40]


def test_a_phase_that_is_leaving_is_flattened_at_its_third_level():
    """The basis of a pair runs away while its phase drains."""
    tape = market_tape({SPOT: [600_000] * 30, PERP: [600_000] * 5 + [650_000] * 5 + [690_000] * 20})

    def bindings():
        return [hedged(phase("h", 970, None, strategy=plan((90, pair(11, -11))), leverage=(1, 3), losses=LossLevels(200, 400, 600), drain_s=86_000))]

    engine, governor = play(tape, bindings, 1_000, governor=BrainGovernor)
    assert ("h.drain", "draining") in steps(engine) and ("h.escalate", "draining") in steps(engine)
    assert engine.account.lots == [0, 0] and state(governor, "h") == "dormant"
    assert engine.record.fills[-1].ts_ns == at(engine, "h.escalate") + LATENCY


# -- limits -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("side", [1, -1], ids=["long", "short"])
def test_a_second_entry_does_not_loosen_the_stop_of_the_first(side):
    def more(market):
        before = market.budget().risk
        enter(side, 1_200)(market)
        market.after(60 * S, lambda market, timer: market.note(str(before - market.budget().risk)))

    engine, governor = play(
        price_tape([600_000] * 8 + list(range(600_000, 600_000 - side * 15_000, -side * 500))),
        lambda: [phase("p", 200, None, strategy=plan((90, enter(side * 66, 100)), (150, more)), losses=LOSSES)],
        1_000,
    )
    charged = int(notes(engine, "p")[-1])
    assert 0 < charged < U, "one lot down to the nearer stop"
    assert fills(engine) == [(side * 66, ""), (side, ""), (side * -67, "stop")]
    assert abs(engine.record.fills[-1].price - (600_000 - side * 6_000)) <= 1


@pytest.mark.parametrize("fall", [[585_000], [587_500, 585_000]], ids=["with another bound at one event", "in two steps"])
@pytest.mark.parametrize("warning_bps", [1_000, 500])
def test_a_margin_that_has_drifted_is_reduced_whatever_else_happens_at_that_event(fall, warning_bps):
    tape = price_tape([600_000] * 5 + fall + [585_000] * 20)
    limits = BrainLimits(drawdown_warning_bps=warning_bps)

    def bindings():
        return [phase("p", 200, None, strategy=plan((90, enter(83, 900))), max_position_bps=5_000)]

    engine, governor = play(tape, bindings, 1_000, limits=limits)
    assert fills(engine) == [(83, ""), (-9, "drift")]
    assert engine.record.fills[-1].ts_ns == NOON + (4 + len(fall)) * 60 * S + LATENCY
    assert margin_over_equity(governor, 0) <= Decimal("0.5")


@pytest.mark.parametrize(("legs", "answer"), [((1, 40), "no_stop"), ((1, -40), "no_stop"), ((11, 11), "no_stop"), ((11, -11), "entered")])
def test_the_legs_of_a_pair_must_undo_each_other(legs, answer):
    tape = market_tape({SPOT: [600_000] * 20, PERP: [600_000] * 20})
    engine, _ = play(tape, lambda: [hedged(phase("h", 200, None, strategy=plan((90, pair(*legs))), leverage=(1, 3)))], 1_000, governor=BrainGovernor)
    assert notes(engine, "h") == [answer]
    assert engine.account.lots == (list(legs) if answer == "entered" else [0, 0])


def test_a_hedged_phase_keeps_a_stop_that_it_has():
    def off(market):
        market.note(str(market.protect(market.perp, stop=None)))

    engine, governor = play(
        market_tape({SPOT: [600_000] * 20, PERP: [600_000] * 20}),
        lambda: [hedged(phase("h", 200, None, strategy=plan((90, enter(-30, 100)), (180, off)), leverage=(1, 3)))],
        1_000,
        governor=BrainGovernor,
    )
    assert notes(engine, "h") == ["entered", "False"]
    assert engine.account.lots == [0, -30] and engine.venue.protection[1].stop == 606_000


def test_a_working_entry_beyond_the_market_binds_margin_at_its_own_price():
    def grid(market):
        limit = market.perp.last() * 130 // 100
        for j in range(40):
            market.enter(market.perp, -4, limit=limit + 10 * j, stop=(limit + 10 * j) * 101 // 100)

    engine, _ = play(
        price_tape([600_000] * 5 + [780_900] * 4), lambda: [phase("p", 200, None, strategy=plan((90, grid)), leverage=(1, 5), max_position_bps=5_000)], 1_000
    )
    sold = sum(-fill.signed_lots * fill.price * UNIT for fill in engine.record.fills if not fill.tag)
    assert 480 * U < sold // 5 <= 500 * U


def test_an_emergency_closes_what_a_partial_closing_order_leaves_as_soon_as_that_is_executed():
    prices = [600_000] * 200 + [587_500, 584_900] + [580_200] * 20 + [560_000] * 100
    limits = BrainLimits(drawdown_warning_bps=100, drawdown_reduced_bps=200)

    def bindings():
        return [phase("p", 200, None, strategy=plan((1, enter(83, 900))), max_position_bps=5_000)]

    engine, governor = play(market_tape({PERP: prices}, step_s=0.01), bindings, 1_000, limits=limits, latency_ns=25_000_000)
    assert fills(engine) == [(83, ""), (-9, "drift"), (-74, "flatten")]
    drift, rest = engine.record.fills[1:]
    assert at(engine, "panic") < drift.ts_ns and rest.ts_ns == drift.ts_ns + 25_000_000
    assert governor.machine.configuration.mode == "emergency.locked"
    assert governor.worst_drawdown_ppm == drawdown_ppm(governor.equity2(), governor.peak2), "what is lost after the panic counts too"


def test_a_dwell_of_no_time_is_refused():
    with pytest.raises(ValueError, match="dwell_s"):
        BrainLimits(dwell_s=0)
    assert BrainLimits(dwell_s=1).dwell_s == 1
