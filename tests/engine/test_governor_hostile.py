"""Strategies, markets and moments that work against the Brain. Both forms of the engine must agree on all of it."""

from decimal import Decimal

import numpy as np
import pytest
from attrs import evolve

from tests.engine.test_governor import NOON, PERP, Checked, phase, price_tape, steps
from titan_core.brain.limits import BrainLimits
from titan_core.engine.governor import BrainGovernor
from titan_core.engine.reference import Reference
from titan_core.model.enums import InstrumentKind, StreamKind
from titan_core.model.ids import VenueId
from titan_core.model.order import Refused
from titan_core.model.phase import LossLevels
from titan_core.model.units import MONEY_PER_USDT, S
from titan_core.ports import Strategy
from titan_core.tape.columns import DEPTH_LEVELS
from titan_core.tape.tape import build_tape

replay = pytest.importorskip("titan_core.engine.replay", reason="numba is not installed")

U = MONEY_PER_USDT
UNIT = PERP.money_per_tick_lot
ETH = evolve(PERP, symbol="ETHUSDT", base="ETH")
SPOT = evolve(PERP, venue=VenueId("bybit-spot"), kind=InstrumentKind.SPOT)
LOSSES = LossLevels()
LATENCY = 5_000_000


def market_tape(prices, step_s=60, start=NOON, depth_lots=0):
    """One quote and one trade each step for each instrument; with `depth_lots`, a thin book of so many lots a level as well."""
    raw = {}
    for j, (instrument, of_one) in enumerate(prices.items()):
        price = np.asarray(of_one, dtype=np.int32)
        ts = np.arange(len(price), dtype=np.int64) * int(step_s * S) + start + j
        many = np.full(len(price), depth_lots or 10_000_000, np.int32)
        raw[instrument.id, StreamKind.QUOTE] = {"ts": ts, "bid": price, "ask": price + 1, "bid_lots": many, "ask_lots": many}
        raw[instrument.id, StreamKind.TRADE] = {"ts": ts + 1_000_000, "price": price, "signed_lots": np.full(len(price), 1, np.int32)}
        if depth_lots:
            levels = np.arange(DEPTH_LEVELS)
            lots = np.full((len(price), DEPTH_LEVELS), depth_lots, np.int32)
            bids, asks = ((price[:, None] + side).astype(np.int32) for side in (-levels, 1 + levels))
            raw[instrument.id, StreamKind.DEPTH] = {"ts": ts + 10, "bids": bids, "asks": asks, "bid_lots": lots, "ask_lots": lots}
    return build_tape(tuple(prices), raw)


def plan(*acts, **methods):
    """Make a strategy class of (seconds after noon, function of the market); what is past when it starts is left out."""

    def on_start(self, market):
        for seconds, act in acts:
            if NOON + int(seconds * S) > market.now_ns:
                market.at(NOON + int(seconds * S), lambda market, timer, act=act: act(market))

    return type("Planned", (Strategy,), {"on_start": on_start} | methods)


def enter(lots, stop_bps, instrument=0):
    """An act: enter at market with a stop so far away."""

    def act(market):
        on = market.perp if instrument == 0 else market.instruments[instrument]
        price = on.last()
        result = market.enter(on, lots, stop=price - (price * stop_bps // 10_000) * (1 if lots > 0 else -1))
        market.note(result.message if isinstance(result, Refused) else "entered")

    return act


def pair(*legs):
    """An act: enter the first pair."""

    def act(market):
        result = market.enter_pair(market.pairs[0], *legs)
        market.note(result.code.value if isinstance(result, Refused) else "entered")

    return act


def hedged(binding):
    """Let a phase hold pairs without a stop."""
    return evolve(binding, declaration=evolve(binding.declaration, hedged=True))


def play(tape, make_bindings, usdt, *, governor=Checked, limits=None, latency_ns=LATENCY, start=None):
    """Run both forms and compare their records; returns the compiled one and its governor."""
    runs = []
    for form in ("replay", "reference"):
        brain = governor(make_bindings(), limits or BrainLimits())
        brain.cash = int(Decimal(str(usdt)) * U)
        settings = {"cash": brain.cash, "slots": brain.slots, "latency_ns": latency_ns}
        engine = replay.Replay(replay.Prepared(tape), brain, **settings) if form == "replay" else Reference(tape, brain, **settings)
        engine.run(start)
        runs.append((engine, brain))
    (fast, brain), (slow, other) = runs
    assert fast.record.entries == slow.record.entries
    assert fast.account.owner == slow.account.owner and brain.peak2 == other.peak2 and brain.worst_drawdown_ppm == other.worst_drawdown_ppm
    return fast, brain


def state(governor, name):
    return governor.machine.configuration.phases[name]


def at(engine, step):
    """When a phase took a step for the first time, ns; None where it never did."""
    return next((e[1] for e in engine.record.entries if e[0] == "chart" and e[2] == step), None)


def notes(engine, phase_name):
    """What the strategies of a phase noted."""
    return [e[-1] for e in engine.record.entries if e[0] == "note" and e[2] == phase_name]


def fills(engine):
    return [(fill.signed_lots, fill.tag) for fill in engine.record.fills]


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


def add_one_above(market):
    def add(market, condition):
        market.protect(market.perp, stop=779_000)
        market.enter(market.perp, 1, stop=779_000)

    market.arm(market.perp.bid_above(779_000), add)


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
