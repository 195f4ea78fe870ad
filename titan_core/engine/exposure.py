"""The snapshot behind each approval: what phases hold, what is on its way, what may still be risked, and who owns which instrument."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from titan_core.brain.approval import LegState, Snapshot, approve
from titan_core.brain.chart import phase_may_enter, size_multiplier_bps
from titan_core.brain.risk import is_emergency
from titan_core.engine.account import NOBODY
from titan_core.engine.phases import PhaseBook
from titan_core.model.enums import StreamKind
from titan_core.model.ids import ClientOrderId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Approved, Intent, Refused
from titan_core.model.units import NEVER, PPM, Money, S, share

if TYPE_CHECKING:
    from titan_core.engine.core import Engine
    from titan_core.engine.governor import BrainGovernor


@frozen
class PhaseBudget:
    """Implements `titan_core.ports.Budget`."""

    equity: Money
    max_notional: Money
    risk: Money


@frozen
class Usage:
    """What a phase has bound, in 1e-8 USDT."""

    margin: int
    notional: int
    perp_notional: int
    stop_losses: int


UNUSED = Usage(0, 0, 0, 0)


class ExposureDesk:
    """Approves intents against the account as it stands, and keeps the leases."""

    def __init__(self, governor: "BrainGovernor", engine: "Engine") -> None:
        """Bind the run."""
        self._governor = governor
        self._engine = engine
        self._known: set[ClientOrderId] = set()
        self.lease: dict[int, int] = {}
        limits = governor.limits
        bars = engine.layout.bars_only
        self._stale_ns = [max(limits.stale_s * S, 2 * bars.get(i.id, 0)) for i in engine.layout.instruments]
        self._quotes = [engine.layout.rank(k, StreamKind.QUOTE) for k in range(len(engine.layout.instruments))]
        self._marks = [engine.layout.rank(k, StreamKind.MARK) for k in range(len(engine.layout.instruments))]

    # -- approval -------------------------------------------------------------------------------------------------
    def approve(self, intents: Sequence[Intent]) -> tuple[Approved, ...] | Refused:
        """Approve all or refuse them whole. An approved entry takes the lease of its instrument."""
        governor, engine = self._governor, self._engine
        book = governor.by_id[intents[0].phase]
        places = [engine.layout.place[intent.instrument.id] for intent in intents]
        decision = approve(intents, [self._leg(k) for k in places], self.snapshot(book), book.binding.declaration, governor.limits)
        if not isinstance(decision, Refused):
            for approved, k in zip(decision, places, strict=True):
                self._known.add(approved.intent.client_order_id)
                if not approved.intent.reduce_only:
                    self.lease[k] = book.slot
        return decision

    def snapshot(self, book: PhaseBook) -> Snapshot:
        """Describe the account and one phase as of now."""
        governor = self._governor
        configuration, is_open = governor.machine.configuration, governor.machine.gate_open
        own, perp_notional, margin = self._usages(book)
        equity2, phase2 = governor.equity2(), governor.phase_equity2(book)
        loss = max(0, book.base2 - phase2) // 2
        halted_bps = book.binding.declaration.daily_loss.halted_bps
        return Snapshot(
            gate_open=is_open,
            may_enter=phase_may_enter(configuration, book.id),
            now_ns=self._engine.now,
            allocation_expires_ns=book.expires_ns,
            multiplier_bps=size_multiplier_bps(configuration, book.id),
            equity=equity2 // 2,
            drawdown_exceeded=is_emergency(equity2, governor.peak2, governor.limits),
            phase_equity=phase2 // 2,
            phase_margin=own.margin,
            phase_notional=own.notional,
            total_notional=perp_notional,
            total_margin=margin,
            risk_left=share(book.base2, halted_bps) // 2 - loss - own.stop_losses,
            leverage=book.leverage,
            known_orders=self._known,
        )

    def _usages(self, book: PhaseBook) -> tuple[Usage, int, int]:
        """Return what a phase has bound, and perpetual notional and margin of all phases together."""
        own = self.usage(book.slot)
        perp_notional, margin = own.perp_notional, own.margin
        for other in self._governor.books:
            if other is not book:
                theirs = self.usage(other.slot)
                perp_notional, margin = perp_notional + theirs.perp_notional, margin + theirs.margin
        return own, perp_notional, margin

    def _leg(self, k: int) -> LegState:
        engine = self._engine
        quote = engine.quote(k) or (0, 0, 0, 0)
        quoted_at = engine.latest_ts(self._quotes[k]) if self._quotes[k] >= 0 else None
        marked_at = engine.latest_ts(self._marks[k]) if self._marks[k] >= 0 else None
        if quoted_at is not None and marked_at is not None:  # a stream that values a position must live as the quotes do
            quoted_at = min(quoted_at, marked_at)
        buys, sells = self._pending(k)
        slot = self.lease.get(k, NOBODY)
        return LegState(
            owner=engine.phase_of(slot) if slot != NOBODY else None,
            position=engine.account.lots[k],
            pending_buys=buys,
            pending_sells=sells,
            bid=quote[0],
            ask=quote[1],
            quote_age_ns=NEVER if quoted_at is None else engine.now - quoted_at,
            stale_after_ns=self._stale_ns[k],
            venue_up=self._governor.steering.is_tradable(k),
            doubt=self._governor.steering.doubts.get(k, ""),
        )

    def _pending(self, k: int) -> tuple[int, int]:
        buys = sells = 0
        for order in self._engine.venue.working.values():
            if order.k == k and not order.intent.reduce_only:
                if order.sign > 0:
                    buys += order.leaves_lots
                else:
                    sells += order.leaves_lots
        return buys, sells

    # -- usage ----------------------------------------------------------------------------------------------------
    def usage(self, slot: int) -> Usage:
        """Add up the worst case of a phase: positions plus all orders that could still increase them, and the losses to their stops."""
        engine, account = self._engine, self._engine.account
        touched = {k for k, lots in enumerate(account.lots) if lots and account.owner[k] == slot}
        losses = 0
        for order in engine.venue.working.values():
            if order.desk.slot == slot and not order.intent.reduce_only:
                touched.add(order.k)
                losses += self._order_loss(order.k, order.signed_leaves, order.intent)
        if not touched:
            return UNUSED
        book = self._governor.books[slot]
        declaration = book.binding.declaration
        margin = notional = perp_notional = 0
        for k in touched:
            worth = self._worst2(k) // 2
            perp = engine.layout.instruments[k].is_perp
            margin += worth // book.leverage_on(engine.layout.instruments[k])
            notional += worth if perp or declaration.hedged else 0
            perp_notional += worth if perp else 0
            loss = self._position_loss(k)
            if declaration.hedged and perp and not loss:  # a pair has no stop: it is charged what it may lose under stress
                loss = share(worth, self._governor.limits.pair_stress_bps)
            losses += loss
        return Usage(margin, notional, perp_notional, losses)

    def _worst2(self, k: int) -> int:
        """Return twice the worst-case worth of instrument k: what is held and what may still come, each at no less than its own price."""
        value2, lots, unit = self._engine.value2(k), self._engine.account.lots[k], self._engine.account.units[k]
        up, down = lots * value2, -lots * value2
        for order in self._engine.venue.working.values():
            if order.k == k and not order.intent.reduce_only:
                worth2 = order.leaves_lots * max(value2, 2 * (order.intent.limit or order.intent.trigger or 0))
                if order.sign > 0:
                    up += worth2
                else:
                    down += worth2
        return max(abs(lots * value2), up, down) * unit

    def is_above_cap(self, book: PhaseBook) -> bool:
        """Whether positions and working entries bind more margin than the phase may use."""
        return self.usage(book.slot).margin > share(max(0, self._governor.phase_equity2(book)), book.binding.declaration.max_position_bps) // 2

    def _order_loss(self, k: int, signed_lots: int, intent: Intent) -> int:
        if intent.stop is None:
            return 0
        price = intent.limit or intent.trigger or self._engine.value2(k) // 2
        return intent.instrument.loss_at_stop(signed_lots, price, intent.stop)

    def position_loss(self, k: int) -> int:
        """Return what the position in instrument k would still lose down to its stop."""
        return self._position_loss(k)

    def _position_loss(self, k: int) -> int:
        engine = self._engine
        protection = engine.venue.protection.get(k)
        return 0 if protection is None or protection.stop is None else self._loss_at(k, protection.stop)

    def _loss_at(self, k: int, stop: int) -> int:
        """Return what the position in instrument k would still lose down to a stop, the fee of closing included."""
        lots = self._engine.account.lots[k]
        moved2 = (self._engine.value2(k) - 2 * stop) * lots * self._engine.account.units[k]
        return max(0, moved2) // 2 + self._engine.layout.instruments[k].fee(lots, stop, False) if lots else 0

    def may_protect(self, book: PhaseBook, k: int, stop: int | None) -> bool:
        """Whether a stop may replace the present one: an unhedged position keeps a stop, and a wider one must fit what the phase may still lose."""
        if stop is None:
            known = self._engine.venue.protection.get(k)
            return book.binding.declaration.hedged and (known is None or known.stop is None)
        if stop < 1:
            return False
        wider = self._loss_at(k, stop) - self._position_loss(k)
        return wider <= 0 or wider <= self.snapshot(book).risk_left

    def budget(self, book: PhaseBook, instrument: Instrument | None) -> PhaseBudget:
        """Return what a phase may use now, before the size multiplier; in one instrument, where it is given."""
        s = self.snapshot(book)
        declaration = book.binding.declaration
        times, fee_ppm = (book.leverage_on(instrument), instrument.taker_fee_ppm) if instrument else (s.leverage, 0)
        margin_left = share(max(0, s.phase_equity), declaration.max_position_bps) - s.phase_margin
        free = (s.equity - s.total_margin) * times * PPM // (PPM + times * fee_ppm)
        most = min(margin_left * times, s.phase_equity * s.leverage - s.phase_notional, free)
        return PhaseBudget(Money(s.phase_equity), Money(max(0, most)), Money(max(0, s.risk_left)))

    # -- leases ---------------------------------------------------------------------------------------------------
    def free_leases(self) -> None:
        """Free the instruments that are flat and have no open order."""
        if not self.lease:
            return
        lots = self._engine.account.lots
        for k, slot in self.lease.items():
            if lots[k] and slot != self._governor.brain_slot:
                self._governor.books[slot].exposed = True
        busy = {order.k for order in self._engine.venue.working.values()}
        account = self._engine.account
        for k in [k for k in self.lease if not account.lots[k] and k not in busy]:
            del self.lease[k]
            account.owner[k] = NOBODY
