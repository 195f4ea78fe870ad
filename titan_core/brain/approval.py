"""Approval of orders: a pure function of a snapshot and the intents, made for every order in every mode.

Checks are made in a fixed order, one line each; the first that fails becomes the refusal's code together with what was observed and what is allowed.
Reducing orders skip the entry checks: getting out is always possible. A pair is approved or refused whole.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from msgspec import Struct

from titan_core.brain.limits import BrainLimits
from titan_core.brain.refusals import Failed, refuse
from titan_core.errors import TitanError
from titan_core.model.enums import OrderType, RefusalCode
from titan_core.model.ids import ClientOrderId, PhaseId
from titan_core.model.order import Approved, Check, Intent, Refused
from titan_core.model.phase import PhaseDeclaration
from titan_core.model.units import BPS, ceil_div, share

GATE_CLOSED, PHASE_MAY_NOT_ENTER, ALLOCATION_EXPIRED = RefusalCode.GATE_CLOSED, RefusalCode.PHASE_MAY_NOT_ENTER, RefusalCode.ALLOCATION_EXPIRED
INSTRUMENT_OWNED, VENUE_DOWN, STALE_MARKET = RefusalCode.INSTRUMENT_OWNED, RefusalCode.VENUE_DOWN, RefusalCode.STALE_MARKET
BAD_PRICE, BAD_SIZE, BELOW_MIN_NOTIONAL = RefusalCode.BAD_PRICE, RefusalCode.BAD_SIZE, RefusalCode.BELOW_MIN_NOTIONAL
NO_STOP, STOP_ON_WRONG_SIDE = RefusalCode.NO_STOP, RefusalCode.STOP_ON_WRONG_SIDE
MAX_POSITION, PHASE_LEVERAGE, TOTAL_LEVERAGE = RefusalCode.MAX_POSITION, RefusalCode.PHASE_LEVERAGE, RefusalCode.TOTAL_LEVERAGE
RISK_BUDGET, DRAWDOWN, FREE_MARGIN = RefusalCode.RISK_BUDGET, RefusalCode.DRAWDOWN, RefusalCode.FREE_MARGIN
SPOT_SHORT, DUPLICATE_ORDER, NOT_REDUCING = RefusalCode.SPOT_SHORT, RefusalCode.DUPLICATE_ORDER, RefusalCode.NOT_REDUCING
LIMIT = OrderType.LIMIT  # as a name of the module a member costs a tenth of what it costs as an attribute of its class

Line = tuple[RefusalCode, int, str, int, int]
"""A check: its code, what is observed, how that must compare (`>=` or `<=`), with what, and the place of the intent that it is about."""


class LegState(Struct, frozen=True, gc=False):
    """What the snapshot knows of one instrument. Prices in ticks, sizes in lots."""

    owner: PhaseId | None
    position: int
    pending_buys: int
    """Lots of working and approved orders that may still buy, reduce-only ones left out."""
    pending_sells: int
    bid: int
    ask: int
    quote_age_ns: int
    stale_after_ns: int
    venue_up: bool
    doubt: str = ""
    """Why the newest rows of its market cannot be believed; empty where they can."""


class Snapshot(Struct, frozen=True, gc=False, kw_only=True):
    """The account at one moment, in 1e-8 USDT."""

    gate_open: bool
    may_enter: bool
    now_ns: int
    allocation_expires_ns: int
    multiplier_bps: int
    equity: int
    drawdown_exceeded: bool
    phase_equity: int
    phase_margin: int
    """Σ margin of the phase: positions and pending orders."""
    phase_notional: int
    total_notional: int
    total_margin: int
    risk_left: int
    """L2 × day base − day loss − Σ losses to the open stops."""
    leverage: int
    """Leverage set for this phase: the effective cap."""
    known_orders: set[ClientOrderId]


def on_authority(intent: Intent) -> Approved:
    """Approve, without a snapshot, what the Brain itself sends to get out. Raises TitanError for anything that could open or increase a position."""
    if not intent.reduce_only:
        raise TitanError(f"order {intent.client_order_id} is not reduce-only; the Brain's own authority reaches no further than getting out")
    return Approved(intent, intent.signed_lots, (Check("brain_command", 1, 1),))


def is_reducing(intent: Intent, leg: LegState) -> bool:
    """Whether an intent can only bring its own phase's position towards zero."""
    return intent.reduce_only and leg.owner == intent.phase and leg.position != 0 and (leg.position > 0) != (intent.signed_lots > 0)


def entry_price(intent: Intent, leg: LegState) -> int:
    """Return the price at which an entry is valued: its limit or trigger, else the side of the quote that it takes."""
    if intent.limit is not None and intent.order_type is LIMIT:
        return intent.limit
    if intent.trigger is not None:
        return intent.trigger
    return leg.ask if intent.signed_lots > 0 else leg.bid


def approve(
    intents: Sequence[Intent], legs: Sequence[LegState], snapshot: Snapshot, phase: PhaseDeclaration, limits: BrainLimits
) -> tuple[Approved, ...] | Refused:
    """Approve all intents or refuse them whole. Entries are scaled by the size multiplier in force before they are checked."""
    if all(map(is_reducing, intents, legs)):
        sizes = [intent.signed_lots for intent in intents]
        lines = _exit_lines(intents, snapshot)
    else:
        sizes = [_scaled(intent.signed_lots, snapshot.multiplier_bps) for intent in intents]
        lines = _entry_lines(intents, legs, sizes, snapshot, phase, limits)
    checks: list[Check] = []
    for code, observed, sense, limit, place in lines:
        checks.append(Check(code, observed, limit))
        if observed < limit if sense == ">=" else observed > limit:
            return refuse(code, Failed(intents[place], legs[place], snapshot, phase, limits, observed, limit))
    made = tuple(checks)
    return tuple([Approved(intent, lots, made) for intent, lots in zip(intents, sizes, strict=True)])


def _scaled(signed_lots: int, multiplier_bps: int) -> int:
    lots = abs(signed_lots) * multiplier_bps // BPS
    return lots if signed_lots > 0 else -lots


def _exit_lines(intents: Sequence[Intent], s: Snapshot) -> Iterator[Line]:
    """Check what only gets out: its size, its prices, that it was not sent before."""
    for place, intent in enumerate(intents):
        yield BAD_SIZE, abs(intent.signed_lots), ">=", 1, place
        yield BAD_PRICE, _lowest_price(intent), ">=", 1, place
        yield DUPLICATE_ORDER, int(intent.client_order_id in s.known_orders), "<=", 0, place


def _entry_lines(
    intents: Sequence[Intent], legs: Sequence[LegState], sizes: Sequence[int], s: Snapshot, phase: PhaseDeclaration, limits: BrainLimits
) -> Iterator[Line]:
    """Check entries: each by itself, a pair's legs against each other, then what all of them together would bind and could lose."""
    for place, (intent, leg, lots) in enumerate(zip(intents, legs, sizes, strict=True)):
        yield from _leg_lines(place, intent, leg, lots, s, is_hedged=phase.hedged and bool(intent.pair))
    if intents[0].pair:
        yield NO_STOP, int(not _undo_each_other(intents, sizes)), "<=", 0, 0
    added = _added(intents, legs, sizes, s.leverage, phase, limits)
    equity = max(0, s.phase_equity)
    yield MAX_POSITION, s.phase_margin + added.margin, "<=", share(equity, phase.max_position_bps), 0
    yield PHASE_LEVERAGE, s.phase_notional + added.notional, "<=", equity * s.leverage, 0
    yield TOTAL_LEVERAGE, s.total_notional + added.perp_notional, "<=", max(0, s.equity) * limits.max_total_leverage, 0
    yield RISK_BUDGET, added.risk, "<=", s.risk_left, 0
    yield DRAWDOWN, int(s.drawdown_exceeded), "<=", 0, 0
    yield FREE_MARGIN, added.margin + added.fees, "<=", s.equity - s.total_margin, 0
    for place, intent in enumerate(intents):
        yield DUPLICATE_ORDER, int(intent.client_order_id in s.known_orders), "<=", 0, place


def _leg_lines(place: int, intent: Intent, leg: LegState, lots: int, s: Snapshot, *, is_hedged: bool) -> Iterator[Line]:
    """Check one entry by itself. A leg of a hedged pair needs no stop."""
    is_owned = int(leg.owner is not None and leg.owner != intent.phase)
    if intent.reduce_only:
        yield INSTRUMENT_OWNED, is_owned, "<=", 0, place
        yield NOT_REDUCING, 1, "<=", 0, place
    yield GATE_CLOSED, int(s.gate_open), ">=", 1, place
    yield PHASE_MAY_NOT_ENTER, int(s.may_enter), ">=", 1, place
    yield ALLOCATION_EXPIRED, s.now_ns, "<=", s.allocation_expires_ns, place
    yield INSTRUMENT_OWNED, is_owned, "<=", 0, place
    yield VENUE_DOWN, int(leg.venue_up), ">=", 1, place
    yield STALE_MARKET, int(leg.doubt != ""), "<=", 0, place
    yield STALE_MARKET, leg.quote_age_ns, "<=", leg.stale_after_ns, place
    yield BAD_SIZE, abs(lots), ">=", 1, place
    yield BAD_PRICE, _lowest_price(intent), ">=", 1, place
    instrument, entry, held = intent.instrument, entry_price(intent, leg), leg.position
    yield BELOW_MIN_NOTIONAL, instrument.notional(lots, entry), ">=", instrument.min_notional_money, place
    yield NOT_REDUCING, int(held != 0 and (held > 0) != (intent.signed_lots > 0)), "<=", 0, place
    if not instrument.is_perp:
        yield SPOT_SHORT, held - leg.pending_sells + min(0, intent.signed_lots), ">=", 0, place
    if not is_hedged:
        yield NO_STOP, int(intent.stop is not None), ">=", 1, place
        assert intent.stop is not None
        yield STOP_ON_WRONG_SIDE, (entry - intent.stop) * (1 if intent.signed_lots > 0 else -1), ">=", 1, place


def _lowest_price(intent: Intent) -> int:
    """Return the lowest of an order's prices; 1 where it has none."""
    return min([price for price in (intent.limit, intent.trigger, intent.stop, intent.target) if price is not None], default=1)


def _undo_each_other(intents: Sequence[Intent], sizes: Sequence[int]) -> bool:
    """Whether legs are on opposite sides, in quantities that differ by less than the coarser lot. That is what stands in for a pair's stop."""
    quantities = [lots * intent.instrument.lot_size for intent, lots in zip(intents, sizes, strict=True)]
    opposite = len(intents) == 2 and (sizes[0] > 0) != (sizes[1] > 0)
    return opposite and abs(sum(quantities, Decimal(0))) < max(intent.instrument.lot_size for intent in intents)


class _Added(Struct, frozen=True, gc=False):
    margin: int
    notional: int
    perp_notional: int
    risk: int
    fees: int


def _added(intents: Sequence[Intent], legs: Sequence[LegState], sizes: Sequence[int], leverage: int, phase: PhaseDeclaration, limits: BrainLimits) -> _Added:
    """Add up what the intents would bind and could lose."""
    margin = notional = perp_notional = risk = fees = 0
    for intent, leg, lots in zip(intents, legs, sizes, strict=True):
        price, instrument = entry_price(intent, leg), intent.instrument
        worth, perp = instrument.notional(lots, price), instrument.is_perp
        fees += instrument.fee(lots, price, False)
        margin += ceil_div(worth, min(leverage, instrument.max_leverage)) if perp else worth
        notional += worth if perp or phase.hedged else 0
        perp_notional += worth if perp else 0
        if intent.stop is not None:
            risk += instrument.loss_at_stop(lots, price, intent.stop)
    if intents[0].pair and risk == 0:
        risk = share(perp_notional, limits.pair_stress_bps) + 2 * fees
    return _Added(margin, notional, perp_notional, risk, fees)
