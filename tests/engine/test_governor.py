"""The Brain at work in a run: bands, hand-over, escalation, emergency. Both forms of the engine must agree on all of it."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.governed import NOON, WIDE, Checked, Hold, phase, play, price_tape, steps, three
from titan_core.brain.limits import BrainLimits
from titan_core.model.phase import LossLevels
from titan_core.model.units import MONEY_PER_USDT, D, S
from titan_core.ports import Strategy

replay = pytest.importorskip("titan_core.engine.replay", reason="numba is not installed")


def phase_steps(engine):
    """Transitions of phases after the boot."""
    return [step for e, step in zip([e for e in engine.record.entries if e[0] == "chart"], steps(engine), strict=True) if "phases" in e[3] and e[1] >= NOON]


# -- bands ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("usdt", "active"),
    [
        ("199.99999999", []),
        ("200", ["small"]),
        ("2499.99999999", ["small"]),
        ("2500", ["small", "middle"]),
        ("4999.99999999", ["small", "middle"]),
        ("5000", ["middle"]),
        ("49999.99999999", ["middle"]),
        ("50000", ["large"]),
        ("1000000", ["large"]),
    ],
)
def test_first_boot_takes_the_bands_to_the_cent(usdt, active):
    engine, governor = play(price_tape([600_000] * 5), three, Decimal(usdt))
    states = governor.machine.configuration.phases
    assert [name for name, state in states.items() if state == "active"] == active
    shared = sum(governor.phase_equity2(book) for book in governor.books if states[book.id] == "active")
    assert governor.equity2() - 2 <= shared <= governor.equity2() if active else not engine.record.fills


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    threshold=st.sampled_from([200, 2_500, 5_000, 50_000]),
    offset=st.floats(-0.009, 0.009),
    amplitude=st.floats(0.0005, 0.0095),
    period=st.integers(2, 40),
)
def test_equity_swinging_around_a_threshold_makes_at_most_one_transition(threshold, offset, amplitude, period):
    """Holding one times its equity, the account swings with the price by ±1 % of the threshold."""

    class Once(Hold):
        share = 0.95
        stop_bps = 3_000

    start = threshold * (1 + offset)
    swing = 600_000 * (1 + amplitude * np.sin(np.arange(600) * 2 * np.pi / period))
    engine, _ = play(price_tape(swing), lambda: three(strategy=Once), Decimal(round(start, 2)))
    assert len(phase_steps(engine)) <= 1
    equities = [engine.account.cash / MONEY_PER_USDT]
    assert equities


def test_a_phase_is_entered_after_equity_has_stayed_in_its_band_for_the_dwell():
    class All(Hold):
        share = 0.95
        stop_bps = 3_000

    prices = [600_000] * 5 + [630_000] * 40  # 2,480 USDT × 0.95 × 5 % of gain: 2,598, above 1.02 × 2,500
    engine, governor = play(price_tape(prices), lambda: three(strategy=All), Decimal(2_480))
    entered = [e for e in engine.record.entries if e[0] == "chart" and e[2] == "middle.activate"]
    assert len(entered) == 1
    assert entered[0][1] - (NOON + 5 * 60 * S) == 900 * S
    assert governor.machine.configuration.phases["middle"] == "active"


def test_equity_that_falls_out_before_the_dwell_is_over_does_not_enter():
    class All(Hold):
        share = 0.95
        stop_bps = 3_000

    prices = [600_000] * 5 + ([630_000] * 14 + [600_000]) * 6
    engine, governor = play(price_tape(prices), lambda: three(strategy=All), Decimal(2_480))
    assert governor.machine.configuration.phases["middle"] == "dormant"


# -- hand-over --------------------------------------------------------------------------------------------------------
def outgrow(adopt):
    class All(Hold):
        share = 4.0
        stop_bps = 1_000

    return lambda: [phase("small", 200, 5_000, strategy=All), phase("middle", 2_500, 50_000, strategy=Strategy, adopt=adopt)]


def test_an_outgrown_phase_hands_its_position_over_with_its_stop():
    prices = [600_000] * 5 + [640_000] * 30 + [780_000] * 60
    engine, governor = play(price_tape(prices), outgrow(lambda offer: True), Decimal(2_400))
    assert ("small.drain", "draining") in steps(engine) and ("small.drained", "dormant") in steps(engine)
    assert engine.account.lots[0] > 0, "handed over, not closed"
    assert engine.account.owner[0] == 1
    assert [fill.tag for fill in engine.record.fills] == ["", "hand-over"], "cut to what the taker may lose down to the stop"
    assert governor.exposure.snapshot(governor.books[1]).risk_left >= 0
    assert governor.phase_equity2(governor.books[1]) == governor.equity2()


def test_a_declined_position_stays_with_its_stop_and_is_flattened_when_the_drain_is_over():
    prices = [600_000] * 5 + [640_000] * 30 + [780_000] * 60
    engine, governor = play(price_tape(prices), outgrow(lambda offer: False), Decimal(2_400))
    drained = next(e[1] for e in engine.record.entries if e[0] == "chart" and e[2] == "small.drain")
    closed = engine.record.fills[-1]
    assert closed.tag == "flatten" and closed.ts_ns == drained + 900 * S + 5_000_000
    assert engine.account.lots == [0]
    assert ("small.drained", "dormant") in steps(engine)


def test_a_position_beyond_the_takers_limits_is_reduced_before_it_is_handed_over():
    bindings = outgrow(lambda offer: True)

    def tight():
        small, _ = bindings()
        return [small, phase("middle", 2_500, 50_000, strategy=Strategy, max_position_bps=100)]

    engine, governor = play(price_tape([600_000] * 5 + [640_000] * 30 + [780_000] * 60), tight, Decimal(2_400))
    assert [fill.tag for fill in engine.record.fills] == ["", "hand-over"]
    assert engine.account.owner[0] == 1
    # 1 % of phase equity at ten times: 6 lots of 78 USDT of some 5,250
    assert engine.account.lots == [int(governor.phase_equity2(governor.books[1]) // 2 // 10 // (780_000 * 10_000))]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 10_000),
    usdt=st.sampled_from([210, 1_000, 2_510, 4_950, 5_100, 49_500, 50_500]),
    share=st.floats(0.2, 6.0),
    adopts=st.booleans(),
    volatility=st.sampled_from([0.0005, 0.002, 0.008]),
    drain_s=st.sampled_from([0, 60, 900]),
    latency_ns=st.sampled_from([1, 5_000_000, 3 * S]),
)
def test_positions_are_conserved_and_stay_protected_on_any_path(seed, usdt, share, adopts, volatility, drain_s, latency_ns):
    g = np.random.default_rng(seed)
    prices = (600_000 * np.exp(np.cumsum(g.normal(0, volatility, 400)))).astype(np.int64)

    class Random(Hold):
        stop_bps = int(g.integers(30, 900))

        def on_flat(self, market, instrument):
            market.after(120 * S, self._enter)

    Random.share = share
    losses = LossLevels() if seed % 2 else WIDE
    engine, governor = play(
        price_tape(prices),
        lambda: three(strategy=Random, adopt=lambda offer: adopts, losses=losses, drain_s=drain_s),
        Decimal(usdt),
        limits=BrainLimits(dwell_s=120),
        latency_ns=latency_ns,
    )
    if governor.machine.configuration.mode == "emergency.locked":
        assert engine.account.lots == [0]


# -- escalation and emergency -----------------------------------------------------------------------------------------
class Leveraged(Hold):
    share = 5.0
    stop_bps = 60


def test_a_crash_through_the_stop_ends_flat_and_locked():
    prices = [600_000] * 10 + [570_000] * 20  # −5 % at five times equity: −25 %
    engine, governor = play(price_tape(prices), lambda: three(strategy=Leveraged), Decimal(1_000))
    assert governor.machine.configuration.mode == "emergency.locked"
    assert engine.account.lots == [0] and not governor.closing.entries(None)
    assert not governor.machine.gate_open
    assert [name for name, _ in steps(engine)[-7:]] == ["panic", "gate_closed", "entries_cancelled", "flat", "verified", "all_disabled"][-7:] or (
        [name for name, _ in steps(engine)][-6:] == ["panic", "gate_closed", "entries_cancelled", "flat", "verified", "all_disabled"]
    )


def test_an_emergency_with_an_open_position_closes_it_before_it_locks():
    class Loose(Hold):
        share = 3.0
        stop_bps = 1_600

    prices = list(np.linspace(600_000, 560_000, 60)) + [560_000] * 10
    engine, governor = play(price_tape(prices), lambda: three(strategy=Loose), Decimal(1_000))
    assert governor.machine.configuration.mode == "emergency.locked"
    assert engine.record.fills[-1].tag == "flatten"
    assert engine.account.lots == [0]
    drawdown = 1 - engine.account.cash / (1_000 * MONEY_PER_USDT)
    assert 0.15 < drawdown < 0.18


def test_daily_losses_reduce_halt_and_escalate_in_turn():
    class Small(Hold):
        share = 1.0
        stop_bps = 3_000

    prices = np.r_[np.full(10, 600_000), np.linspace(600_000, 560_000, 80)]
    losses = LossLevels(300, 500, 600)
    engine, governor = play(price_tape(prices), lambda: [phase("only", 200, None, strategy=Small, losses=losses)], Decimal(1_000))
    # its stop would lose more than L2 allows: refused, so nothing happened
    assert not engine.record.fills

    class Stopped(Small):
        stop_bps = 480

    engine, governor = play(price_tape(prices), lambda: [phase("only", 200, None, strategy=Stopped, losses=losses)], Decimal(1_000))
    assert ("only.reduce", "reduced") in steps(engine)


def test_a_new_day_clears_the_phases_levels():
    class Day(Hold):
        share = 1.0
        stop_bps = 400

    start = 19_700 * D + 23 * 3600 * S
    prices = [600_000] * 5 + [575_000] * 5 + [575_000] * 120
    engine, governor = play(price_tape(prices, start=start), lambda: [phase("only", 200, None, strategy=Day, losses=LossLevels(300, 500, 600))], Decimal(1_000))
    assert ("only.reduce", "reduced") in steps(engine)
    assert ("only.recover", "active") in steps(engine)
    assert governor.machine.configuration.phases["only"] == "active"


def test_an_entry_in_flight_when_its_phase_is_flattened_is_closed_too():
    """The order is on its way for two minutes; meanwhile the phase is escalated by the loss of what it holds already."""

    class Twice(Hold):
        share = 1.0
        stop_bps = 2_000

        def on_start(self, market):
            market.after(30 * S, self._enter)
            market.at(NOON + 9 * 60 * S + 30 * S, self._enter)

    prices = [600_000] * 10 + [560_000] * 30
    losses = LossLevels(100, 5_000, 6_000)
    engine, governor = play(
        price_tape(prices),
        lambda: [phase("only", 200, None, strategy=Twice, losses=losses)],
        Decimal(1_000),
        latency_ns=120 * S,
    )
    assert len([fill for fill in engine.record.fills if fill.signed_lots > 0]) == 2, "the shape of the test"
    losses = LossLevels(100, 5_000, 5_001)

    class Escalates(Checked):
        def settle(self):
            super().settle()
            if self.engine.now == NOON + 10 * 60 * S and self.state_of(self.books[0]) == "reduced":
                from titan_core.brain.vocabulary import Trigger

                self.fire(Trigger.ESCALATE, self.books[0])

    governor = Escalates([phase("only", 200, None, strategy=Twice, losses=losses)], BrainLimits())
    governor.cash = 1_000 * MONEY_PER_USDT
    tape = price_tape(prices)
    engine = replay.Replay(replay.Prepared(tape), governor, cash=governor.cash, slots=governor.slots, latency_ns=120 * S).run()
    assert ("only.escalate", "escalated") in steps(engine)
    assert engine.account.lots == [0]


def test_a_second_entry_without_a_target_keeps_the_first_ones():
    class Adds(Hold):
        def on_start(self, market):
            market.after(90 * S, self._first)
            market.after(210 * S, self._second)

        def _first(self, market, timer):
            market.enter(market.perp, 3, stop=590_000, target=650_000)

        def _second(self, market, timer):
            market.enter(market.perp, 3, stop=590_000)

    engine, _ = play(price_tape([600_000] * 10 + [651_000] * 5), lambda: [phase("only", 200, None, strategy=Adds)], Decimal(1_000))
    assert [fill.tag for fill in engine.record.fills] == ["", "", "target"]
    assert engine.account.lots == [0]


def test_a_hand_over_does_not_exceed_what_the_taker_may_lose():
    class All(Hold):
        share = 4.0
        stop_bps = 1_000

    careful = LossLevels(100, 110, 120)
    make = lambda: [phase("small", 200, 5_000, strategy=All), phase("middle", 2_500, 50_000, strategy=Strategy, losses=careful)]  # noqa: E731
    engine, governor = play(price_tape([600_000] * 5 + [640_000] * 30 + [780_000] * 60), make, Decimal(2_400))
    assert engine.account.owner[0] in (1, -1)
    if engine.account.lots[0]:
        assert governor.exposure.snapshot(governor.books[1]).risk_left >= 0
