"""Approval of orders: a pure function of a snapshot and the intents, made for every order in every mode.

Checks run in a fixed order and stop at the first that fails, which becomes the refusal's code together with what was observed and what is allowed.
Reducing orders skip the entry checks: getting out is always possible. A pair is approved or refused whole.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

from attrs import define

from titan_core.brain.limits import BrainLimits
from titan_core.errors import TitanError
from titan_core.model.enums import OrderType, RefusalCode
from titan_core.model.ids import ClientOrderId, PhaseId
from titan_core.model.order import Approved, Check, Intent, Refused
from titan_core.model.phase import PhaseDeclaration
from titan_core.model.units import BPS, ceil_div, share, to_usdt


@define
class LegState:
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


@define
class Snapshot:
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
    if intent.order_type is OrderType.LIMIT and intent.limit is not None:
        return intent.limit
    if intent.trigger is not None:
        return intent.trigger
    return leg.ask if intent.signed_lots > 0 else leg.bid


def stop_loss(lots: int, entry: int, stop: int, intent: Intent) -> int:
    """Return what an entry loses when its stop is hit, both taker fees included."""
    instrument = intent.instrument
    moved = abs(lots) * abs(entry - stop) * instrument.money_per_tick_lot
    return moved + instrument.fee(lots, entry, False) + instrument.fee(lots, stop, False)


class _Refusal(Exception):
    """Internal: carries the first failed check out of the check list."""

    def __init__(self, refused: Refused) -> None:
        self.refused = refused


@define
class _Checker:
    snapshot: Snapshot
    phase: PhaseDeclaration
    limits: BrainLimits
    checks: list[Check]

    def at_least(self, intent: Intent, code: RefusalCode, observed: int, limit: int, message: Callable[[], str]) -> None:
        self.checks.append(Check(code, observed, limit))
        if observed < limit:
            raise _Refusal(Refused(intent, code, observed, limit, f"phase {intent.phase}: {message()}"))

    def at_most(self, intent: Intent, code: RefusalCode, observed: int, limit: int, message: Callable[[], str]) -> None:
        self.checks.append(Check(code, observed, limit))
        if observed > limit:
            raise _Refusal(Refused(intent, code, observed, limit, f"phase {intent.phase}: {message()}"))

    # -- checks that every order passes ---------------------------------------------------------------------------
    def rules(self, intent: Intent, leg: LegState, lots: int) -> None:
        instrument = intent.instrument
        name, size = instrument.id, abs(lots)
        self.at_least(intent, RefusalCode.BAD_SIZE, size, 1, lambda: f"{size} lots of {name} is less than one lot ({instrument.lot_size})")
        prices = [price for price in (intent.limit, intent.trigger, intent.stop, intent.target) if price is not None]
        lowest = min(prices, default=1)
        self.at_least(intent, RefusalCode.BAD_PRICE, lowest, 1, lambda: f"price of {lowest} ticks for {name} is below one tick ({instrument.tick_size})")
        if not is_reducing(intent, leg):
            notional, least = instrument.notional(lots, entry_price(intent, leg)), instrument.min_notional_money
            code = RefusalCode.BELOW_MIN_NOTIONAL
            self.at_least(intent, code, notional, least, lambda: f"notional {to_usdt(notional)} of {name} is below the venue's minimum {to_usdt(least)}")

    def unique(self, intent: Intent) -> None:
        known = intent.client_order_id in self.snapshot.known_orders
        self.at_most(intent, RefusalCode.DUPLICATE_ORDER, int(known), 0, lambda: f"client order id {intent.client_order_id} was used before")

    # -- checks of an entry ---------------------------------------------------------------------------------------
    def owned(self, intent: Intent, leg: LegState) -> None:
        owned = leg.owner is not None and leg.owner != intent.phase
        self.at_most(intent, RefusalCode.INSTRUMENT_OWNED, int(owned), 0, lambda: f"{intent.instrument.id} is held by {leg.owner}")

    def opens(self, intent: Intent, leg: LegState) -> None:
        reduces, name = int(intent.reduce_only), intent.instrument.id
        self.owned(intent, leg)
        self.at_most(intent, RefusalCode.NOT_REDUCING, reduces, 0, lambda: f"{name} holds no position that this order would reduce")

    def gate(self, intent: Intent) -> None:
        s = self.snapshot
        self.at_least(intent, RefusalCode.GATE_CLOSED, int(s.gate_open), 1, lambda: "the Brain's gate is closed")
        self.at_least(intent, RefusalCode.PHASE_MAY_NOT_ENTER, int(s.may_enter), 1, lambda: f"phase {self.phase.id} may not open positions now")
        said = f"the allocation of phase {self.phase.id} has expired"
        self.at_most(intent, RefusalCode.ALLOCATION_EXPIRED, s.now_ns, s.allocation_expires_ns, lambda: said)

    def market(self, intent: Intent, leg: LegState) -> None:
        name, age, doubt = intent.instrument.id, leg.quote_age_ns, leg.doubt
        self.owned(intent, leg)
        self.at_least(intent, RefusalCode.VENUE_DOWN, int(leg.venue_up), 1, lambda: f"venue {intent.instrument.venue} takes no orders now")
        self.at_most(intent, RefusalCode.STALE_MARKET, int(bool(doubt)), 0, lambda: f"the market of {name} cannot be believed: {doubt}")
        self.at_most(intent, RefusalCode.STALE_MARKET, age, leg.stale_after_ns, lambda: f"the newest quote of {name} is {age / 1e9:.1f} s old")

    def direction(self, intent: Intent, leg: LegState) -> None:
        name, held = intent.instrument.id, leg.position
        flips = held != 0 and (held > 0) != (intent.signed_lots > 0)
        self.at_most(intent, RefusalCode.NOT_REDUCING, int(flips), 0, lambda: f"{name} holds {held} lots; an order against them must be an exit")
        if not intent.instrument.is_perp:
            after = held - leg.pending_sells + min(0, intent.signed_lots)
            self.at_least(intent, RefusalCode.SPOT_SHORT, after, 0, lambda: f"spot is never borrowed: {name} would go to {after} lots")

    def stop(self, intent: Intent, leg: LegState) -> None:
        if self.phase.hedged and intent.pair:  # its legs undo each other: see `hedges`
            return
        self.at_least(intent, RefusalCode.NO_STOP, int(intent.stop is not None), 1, lambda: "an entry needs a protective stop")
        assert intent.stop is not None
        entry = entry_price(intent, leg)
        distance = (entry - intent.stop) * (1 if intent.signed_lots > 0 else -1)
        text = f"stop of {intent.stop} ticks must lie beyond the entry at {entry} ticks" if distance < 1 else ""
        self.at_least(intent, RefusalCode.STOP_ON_WRONG_SIDE, distance, 1, lambda: text)

    def hedges(self, intents: Sequence[Intent], sizes: Sequence[int]) -> None:
        """A pair needs no stop because one leg undoes the other: opposite sides, quantities that differ by less than the coarser lot."""
        quantities = [lots * intent.instrument.lot_size for intent, lots in zip(intents, sizes, strict=True)]
        opposite = len(intents) == 2 and (sizes[0] > 0) != (sizes[1] > 0)
        unhedged = abs(sum(quantities, Decimal(0))) >= max(intent.instrument.lot_size for intent in intents)
        said = "the legs of a pair must undo each other"
        self.at_most(intents[0], RefusalCode.NO_STOP, int(not opposite or unhedged), 0, lambda: said)

    def totals(self, intents: Sequence[Intent], legs: Sequence[LegState], sizes: Sequence[int]) -> None:
        s, first = self.snapshot, intents[0]
        added = self._added(intents, legs, sizes)
        equity, times = max(0, s.phase_equity), s.leverage
        margin, cap = s.phase_margin + added.margin, share(equity, self.phase.max_position_bps)
        said = f"{self.phase.max_position_bps} bps of phase equity"
        self.at_most(first, RefusalCode.MAX_POSITION, margin, cap, lambda: f"margin {to_usdt(margin)} would exceed {to_usdt(cap)}, {said}")
        notional = s.phase_notional + added.notional
        self.at_most(first, RefusalCode.PHASE_LEVERAGE, notional, equity * times, lambda: f"notional {to_usdt(notional)} would exceed {times} × phase equity")
        total, most = s.total_notional + added.perp_notional, self.limits.max_total_leverage
        self.at_most(first, RefusalCode.TOTAL_LEVERAGE, total, max(0, s.equity) * most, lambda: f"notional of all phases would exceed {most} × equity")
        risk, left = added.risk, s.risk_left
        self.at_most(
            first, RefusalCode.RISK_BUDGET, risk, left, lambda: f"its stop would lose {to_usdt(risk)}; {to_usdt(max(0, left))} of today's risk is left"
        )
        self.at_most(first, RefusalCode.DRAWDOWN, int(s.drawdown_exceeded), 0, lambda: "draw-down exceeds the emergency level")
        needed, free = added.margin + added.fees, s.equity - s.total_margin
        self.at_most(
            first, RefusalCode.FREE_MARGIN, needed, free, lambda: f"margin and fees of {to_usdt(needed)} exceed the free margin {to_usdt(max(0, free))}"
        )

    def _added(self, intents: Sequence[Intent], legs: Sequence[LegState], sizes: Sequence[int]) -> "_Added":
        """Add up what the intents would bind and could lose."""
        margin = notional = perp_notional = risk = fees = 0
        for intent, leg, lots in zip(intents, legs, sizes, strict=True):
            price, perp = entry_price(intent, leg), intent.instrument.is_perp
            worth = intent.instrument.notional(lots, price)
            fees += intent.instrument.fee(lots, price, False)
            margin += ceil_div(worth, min(self.snapshot.leverage, intent.instrument.max_leverage)) if perp else worth
            notional += worth if perp or self.phase.hedged else 0
            perp_notional += worth if perp else 0
            if intent.stop is not None:
                risk += stop_loss(lots, price, intent.stop, intent)
        if intents[0].pair and risk == 0:
            risk = share(perp_notional, self.limits.pair_stress_bps) + 2 * fees
        return _Added(margin, notional, perp_notional, risk, fees)


@define
class _Added:
    margin: int
    notional: int
    perp_notional: int
    risk: int
    fees: int


def approve(
    intents: Sequence[Intent], legs: Sequence[LegState], snapshot: Snapshot, phase: PhaseDeclaration, limits: BrainLimits
) -> tuple[Approved, ...] | Refused:
    """Approve all intents or refuse them whole. Entries are scaled by the size multiplier in force before they are checked."""
    checker = _Checker(snapshot, phase, limits, [])
    try:
        if all(is_reducing(intent, leg) for intent, leg in zip(intents, legs, strict=True)):
            for intent, leg in zip(intents, legs, strict=True):
                checker.rules(intent, leg, intent.signed_lots)
                checker.unique(intent)
            return tuple(Approved(intent, intent.signed_lots, tuple(checker.checks)) for intent in intents)
        return _approve_entry(checker, intents, legs)
    except _Refusal as refusal:
        return refusal.refused


def _approve_entry(checker: _Checker, intents: Sequence[Intent], legs: Sequence[LegState]) -> tuple[Approved, ...]:
    sizes = []
    for intent in intents:
        lots = abs(intent.signed_lots) * checker.snapshot.multiplier_bps // BPS
        sizes.append(lots if intent.signed_lots > 0 else -lots)
    for intent, leg, lots in zip(intents, legs, sizes, strict=True):
        if intent.reduce_only:
            checker.opens(intent, leg)
        checker.gate(intent)
        checker.market(intent, leg)
        checker.rules(intent, leg, lots)
        checker.direction(intent, leg)
        checker.stop(intent, leg)
    if intents[0].pair:
        checker.hedges(intents, sizes)
    checker.totals(intents, legs, sizes)
    for intent in intents:
        checker.unique(intent)
    return tuple(Approved(intent, lots, tuple(checker.checks)) for intent, lots in zip(intents, sizes, strict=True))
