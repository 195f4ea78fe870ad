"""The check list of an order: each check in its turn, with what was observed and what is allowed."""

from decimal import Decimal

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from titan_core.brain.approval import LegState, Snapshot, approve, on_authority
from titan_core.brain.limits import BrainLimits
from titan_core.errors import TitanError
from titan_core.model.enums import InstrumentKind, OrderType, RefusalCode
from titan_core.model.ids import ClientOrderId, PhaseId, StrategyId, VenueId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Approved, Intent, Refused
from titan_core.model.phase import CapitalBand, PhaseDeclaration
from titan_core.model.units import MONEY_PER_USDT, S

USDT = MONEY_PER_USDT
PERP = Instrument(venue=VenueId("bybit-linear"), symbol="BTCUSDT", kind=InstrumentKind.PERP, base="BTC", tick_size=Decimal("0.1"), lot_size=Decimal("0.001"))
SPOT = Instrument(venue=VenueId("bybit-spot"), symbol="BTCUSDT", kind=InstrumentKind.SPOT, base="BTC", tick_size=Decimal("0.01"), lot_size=Decimal("0.00001"))
PHASE = PhaseDeclaration(id=PhaseId("p"), title="p", summary="", band=CapitalBand.usdt(0), leverage=(15, 20), max_position_bps=5_000)
PAIRS = PhaseDeclaration(id=PhaseId("h"), title="h", summary="", band=CapitalBand.usdt(0), leverage=(1, 3), max_position_bps=10_000, hedged=True)
LIMITS = BrainLimits()
LEG = LegState(None, 0, 0, 0, 600_000, 600_001, 1 * S, 60 * S, True)
SNAPSHOT = Snapshot(
    gate_open=True,
    may_enter=True,
    now_ns=5,
    allocation_expires_ns=10,
    multiplier_bps=10_000,
    equity=1_000 * USDT,
    drawdown_exceeded=False,
    phase_equity=1_000 * USDT,
    phase_margin=0,
    phase_notional=0,
    total_notional=0,
    total_margin=0,
    risk_left=50 * USDT,
    leverage=20,
    known_orders=set(),
)


def intent(lots=10, instrument=PERP, **kwargs):
    given = {"stop": 598_000 if lots > 0 else 602_000} | kwargs
    return Intent(client_order_id=ClientOrderId("c1"), phase=PhaseId("p"), strategy=StrategyId("s"), instrument=instrument, signed_lots=lots, **given)


def refusal(result):
    assert isinstance(result, Refused), result
    return result.code


def test_an_entry_within_all_limits_is_approved_with_its_check_list():
    result = approve([intent()], [LEG], SNAPSHOT, PHASE, LIMITS)
    assert not isinstance(result, Refused)
    assert result[0].signed_lots == 10
    assert [check.name for check in result[0].checks][:3] == ["gate_closed", "phase_may_not_enter", "allocation_expired"]
    assert result[0].checks[-1].name == "duplicate_order"


# (what is wrong, changes to the snapshot, changes to the leg, changes to the intent)
CASES = [
    (RefusalCode.GATE_CLOSED, {"gate_open": False}, {}, {}),
    (RefusalCode.PHASE_MAY_NOT_ENTER, {"may_enter": False}, {}, {}),
    (RefusalCode.ALLOCATION_EXPIRED, {"now_ns": 11}, {}, {}),
    (RefusalCode.INSTRUMENT_OWNED, {}, {"owner": PhaseId("other")}, {}),
    (RefusalCode.VENUE_DOWN, {}, {"venue_up": False}, {}),
    (RefusalCode.STALE_MARKET, {}, {"quote_age_ns": 60 * S + 1}, {}),
    (RefusalCode.BAD_SIZE, {"multiplier_bps": 5_000}, {}, {"lots": 1}),
    (RefusalCode.BAD_PRICE, {}, {}, {"order_type": OrderType.LIMIT, "limit": 0}),
    (RefusalCode.NOT_REDUCING, {}, {"position": -3}, {}),
    (RefusalCode.NO_STOP, {}, {}, {"stop": None}),
    (RefusalCode.STOP_ON_WRONG_SIDE, {}, {}, {"stop": 600_001}),
    (RefusalCode.MAX_POSITION, {"risk_left": 10**15}, {}, {"lots": 167}),
    (RefusalCode.PHASE_LEVERAGE, {"phase_notional": 19_500 * USDT}, {}, {}),
    (RefusalCode.TOTAL_LEVERAGE, {"total_notional": 49_500 * USDT}, {}, {}),
    (RefusalCode.RISK_BUDGET, {"risk_left": 2 * USDT}, {}, {}),
    (RefusalCode.DRAWDOWN, {"drawdown_exceeded": True}, {}, {}),
    (RefusalCode.FREE_MARGIN, {"total_margin": 971 * USDT}, {}, {}),
    (RefusalCode.DUPLICATE_ORDER, {"known_orders": {ClientOrderId("c1")}}, {}, {}),
]


@pytest.mark.parametrize(("code", "snapshot", "leg", "order"), CASES, ids=[case[0].value for case in CASES])
def test_each_check_refuses_with_its_own_code(code, snapshot, leg, order):
    result = approve([intent(**order)], [replace(LEG, **leg)], replace(SNAPSHOT, **snapshot), PHASE, LIMITS)
    assert refusal(result) is code
    assert result.message


def test_the_cap_on_margin_is_met_exactly():
    # half of 1,000 USDT at twenty times is 10,000 USDT of notional: 166 lots of 60.0001
    wide = replace(SNAPSHOT, risk_left=10**15)
    assert not isinstance(approve([intent(166)], [LEG], wide, PHASE, LIMITS), Refused)
    assert refusal(approve([intent(167)], [LEG], wide, PHASE, LIMITS)) is RefusalCode.MAX_POSITION


def test_a_refusal_says_what_was_observed_and_what_is_allowed():
    result = approve([intent(167)], [LEG], replace(SNAPSHOT, risk_left=10**15), PHASE, LIMITS)
    assert isinstance(result, Refused)
    assert (result.observed, result.limit) == (-(-167 * 600_001 * 10_000 // 20), 500 * USDT)
    assert result.observed > result.limit


def test_the_size_multiplier_scales_an_entry_and_nothing_else():
    half = replace(SNAPSHOT, multiplier_bps=5_000)
    (approved,) = approve([intent(11)], [LEG], half, PHASE, LIMITS)
    assert approved.signed_lots == 5
    (closing,) = approve([intent(-7, reduce_only=True, stop=None)], [replace(LEG, position=7, owner=PhaseId("p"))], half, PHASE, LIMITS)
    assert closing.signed_lots == -7


def test_getting_out_needs_no_open_gate_no_stop_and_no_budget():
    shut = replace(SNAPSHOT, gate_open=False, may_enter=False, risk_left=-1, drawdown_exceeded=True, total_margin=10**15)
    result = approve([intent(-7, reduce_only=True, stop=None)], [replace(LEG, position=7, owner=PhaseId("p"), venue_up=False)], shut, PHASE, LIMITS)
    assert not isinstance(result, Refused)


def test_a_reduce_only_order_without_a_position_is_refused():
    assert refusal(approve([intent(-7, reduce_only=True, stop=None)], [LEG], SNAPSHOT, PHASE, LIMITS)) is RefusalCode.NOT_REDUCING


def pair(spot_lots=100, perp_lots=-1):
    common = {"phase": PhaseId("h"), "strategy": StrategyId("s"), "pair": "w"}
    spot = Intent(client_order_id=ClientOrderId("w.s"), instrument=SPOT, signed_lots=spot_lots, **common)
    perp = Intent(client_order_id=ClientOrderId("w.p"), instrument=PERP, signed_lots=perp_lots, **common)
    return [spot, perp], [replace(LEG, bid=6_000_000, ask=6_000_001), LEG]


def test_a_pair_needs_no_stop_and_is_charged_a_stress():
    intents, legs = pair()
    hedged = replace(SNAPSHOT, leverage=3)
    assert not isinstance(approve(intents, legs, hedged, PAIRS, LIMITS), Refused)
    # 1 % of 60 USDT and twice the fees of both legs
    assert refusal(approve(intents, legs, replace(hedged, risk_left=USDT // 2), PAIRS, LIMITS)) is RefusalCode.RISK_BUDGET


def test_a_pair_is_refused_whole_when_one_leg_fails():
    intents, legs = pair()
    legs[1] = replace(legs[1], quote_age_ns=61 * S)
    result = approve(intents, legs, replace(SNAPSHOT, leverage=3), PAIRS, LIMITS)
    assert refusal(result) is RefusalCode.STALE_MARKET and result.intent.instrument is PERP


def test_spot_is_never_borrowed():
    intents, legs = pair(spot_lots=-1_000, perp_lots=1)
    assert refusal(approve(intents, legs, replace(SNAPSHOT, leverage=3), PAIRS, LIMITS)) is RefusalCode.SPOT_SHORT


@given(
    lots=st.integers(1, 5_000),
    margin=st.integers(0, 600),
    notional=st.integers(0, 25_000),
    risk=st.integers(-5, 60),
    multiplier=st.sampled_from([0, 5_000, 10_000]),
    stop_ticks=st.integers(1, 20_000),
)
def test_no_approved_entry_creates_or_worsens_an_excess(lots, margin, notional, risk, multiplier, stop_ticks):
    snapshot = replace(SNAPSHOT, phase_margin=margin * USDT, phase_notional=notional * USDT, risk_left=risk * USDT, multiplier_bps=multiplier)
    order = intent(lots, stop=600_001 - stop_ticks)
    result = approve([order], [LEG], snapshot, PHASE, LIMITS)
    if isinstance(result, Refused):
        return
    (approved,) = result
    assert isinstance(approved, Approved) and 0 < approved.signed_lots <= lots * multiplier / 10_000
    worth = approved.signed_lots * 600_001 * 10_000
    assert snapshot.phase_margin + worth / 20 <= 500 * USDT
    assert snapshot.phase_notional + worth <= 20_000 * USDT
    assert PERP.loss_at_stop(approved.signed_lots, 600_001, 600_001 - stop_ticks) <= risk * USDT


def test_the_venues_own_leverage_limits_a_phase_too():
    tame = evolve(PERP, max_leverage=5)
    wide = replace(SNAPSHOT, risk_left=10**15)
    # half of 1,000 USDT at five times, not twenty
    assert not isinstance(approve([intent(41, tame)], [LEG], wide, PHASE, LIMITS), Refused)
    assert refusal(approve([intent(42, tame)], [LEG], wide, PHASE, LIMITS)) is RefusalCode.MAX_POSITION


def test_the_brains_own_authority_reaches_no_further_than_getting_out():
    out = intent(-10, stop=None, reduce_only=True)
    assert on_authority(out).intent is out and on_authority(out).signed_lots == -10
    with pytest.raises(TitanError, match="order c1 is not reduce-only"):
        on_authority(intent())
