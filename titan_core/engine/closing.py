"""Getting out: cancelling entries, closing positions, handing them over. What the Brain does to the account on its own authority."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from titan_core.brain.approval import on_authority
from titan_core.engine.account import NOBODY
from titan_core.engine.phases import PhaseBook, ServiceDesk
from titan_core.engine.venue import WorkingOrder
from titan_core.hookspecs import Handover
from titan_core.model.enums import OrderType
from titan_core.model.fill import Transfer
from titan_core.model.ids import BRAIN, ClientOrderId, PhaseId, StrategyId
from titan_core.model.order import Intent
from titan_core.model.units import BPS

if TYPE_CHECKING:
    from titan_core.engine.core import Engine
    from titan_core.engine.governor import BrainGovernor


class Closing:
    """Carries out the Brain's commands that only ever reduce exposure."""

    def __init__(self, governor: "BrainGovernor", engine: "Engine") -> None:
        """Bind the run."""
        self._governor = governor
        self._engine = engine
        self.serial = 0
        """Closing orders so far; their ids must never repeat, also in another process."""
        self._closing: dict[int, WorkingOrder] = {}
        self._asked: set[WorkingOrder] = set()

    # -- what there is --------------------------------------------------------------------------------------------
    def entries(self, book: PhaseBook | None) -> list[WorkingOrder]:
        """Return the live orders that could open or increase a position, of one phase or of all."""
        return [
            order
            for order in self._engine.venue.working.values()
            if order.is_live and not order.intent.reduce_only and (book is None or order.desk.slot == book.slot)
        ]

    def held(self, book: PhaseBook | None) -> list[int]:
        """Return the instruments in which a phase (or anybody) holds a position."""
        account = self._engine.account
        return [k for k in account.held() if book is None or account.owner[k] == book.slot]

    def holds(self, book: PhaseBook) -> bool:
        """Whether a phase holds a position."""
        return bool(self.held(book))

    def is_flat(self, book: PhaseBook | None) -> bool:
        """Whether a phase (or everybody) holds nothing and can come to hold nothing."""
        return not self.held(book) and not self.entries(book)

    # -- commands -------------------------------------------------------------------------------------------------
    def cancel_entries(self, book: PhaseBook | None) -> None:
        """Send cancels for all entry orders."""
        for order in self.entries(book):
            self._cancel(order)

    def _cancel(self, order: WorkingOrder) -> None:
        """Send one cancel for an order, however often it is asked for."""
        if order not in self._asked:
            self._asked.add(order)
            self._engine.venue.cancel(order)

    def flatten(self, book: PhaseBook | None) -> None:
        """Close positions reduce-only at market, perpetuals of the largest notional first. Entry orders are cancelled too."""
        self.cancel_entries(book)
        engine = self._engine
        instruments = engine.layout.instruments
        units = engine.account.units

        def urgency(k: int) -> tuple[bool, int]:
            return not instruments[k].is_perp, -abs(engine.account.lots[k]) * units[k] * engine.value2(k)

        for k in sorted(self.held(book), key=urgency):
            self.reduce(k, abs(engine.account.lots[k]), "flatten")

    def reduce(self, k: int, lots: int, tag: str) -> None:
        """Reduce the position in instrument k by `lots` at market, unless such an order is on its way already."""
        engine = self._engine
        known = self._closing.get(k)
        position = engine.account.lots[k]
        if position == 0 or lots <= 0 or (known is not None and known.is_live):
            return
        slot = engine.account.owner[k]
        books = self._governor.books
        owner = books[slot] if 0 <= slot < len(books) else None
        phase = owner.id if owner else BRAIN
        self.serial += 1
        intent = Intent(
            client_order_id=ClientOrderId(f"{phase}.brain.{self.serial}"),
            phase=phase,
            strategy=StrategyId("brain"),
            instrument=engine.layout.instruments[k],
            signed_lots=-lots if position > 0 else lots,
            reduce_only=True,
            tag=tag,
        )
        approved = on_authority(intent)
        engine.record.approved(engine.now, approved)
        self._closing[k] = engine.venue.submit(approved, ServiceDesk(phase, slot if slot != NOBODY else self._governor.brain_slot, owner), k)

    def cancel_stops(self) -> None:
        """Withdraw the protective orders that remain."""
        for k in list(self._engine.venue.protection):
            self._engine.venue.release(k)

    # -- hand-over ------------------------------------------------------------------------------------------------
    def hand_over(self, giver: PhaseBook, takers: Sequence[PhaseBook]) -> bool:
        """Offer all positions of a leaving phase to the first phase that accepts them within its limits.

        Lease, position and stop move together at the present value; the account as a whole does not change. Where they exceed the taker's limits
        they are reduced first: returns True while such a reduction is under way and the offer has to be made again.
        """
        held = self.held(giver)
        if not held or not takers:
            return False
        venue, instruments = self._engine.venue, self._engine.layout.instruments
        positions = {}
        for k in held:
            protection = venue.protection.get(k)
            positions[instruments[k].id] = (self._engine.account.lots[k], protection.stop if protection else None)
        offer = Handover(giver.id, positions)
        for taker in takers:
            keep_bps = self._share_that_fits(taker, held)
            if taker.broken or keep_bps <= 0 or not self._accepts(taker, offer):
                continue
            if self.is_working(giver):  # what is on its way must end before anything moves
                self.cancel_own(giver)
                return True
            if keep_bps >= BPS:
                for k in held:
                    self._move(k, giver.id, taker)
                return False
            for k in held:
                lots = abs(self._engine.account.lots[k])
                self.reduce(k, lots - lots * keep_bps // BPS, "hand-over")
            return True
        return False

    def _accepts(self, taker: PhaseBook, offer: Handover) -> bool:
        try:
            return taker.binding.adopt(offer)
        except Exception as error:  # a plugin may raise anything; it then has not accepted
            if getattr(error, "aborts", False):
                raise
            self._engine.record.note(self._engine.now, BRAIN, f"phase {taker.id} could not answer an offer: {error}")
            return False

    def is_working(self, book: PhaseBook) -> bool:
        """Whether an order of the phase may still be executed on its account: its own, the Brain's for it, or a stop that is walking the book."""
        return any(
            order.is_live and order.desk.slot == book.slot and not (order.protective and order.intent.order_type is OrderType.LIMIT)
            for order in self._engine.venue.working.values()
        )

    def cancel_own(self, book: PhaseBook) -> None:
        """Send cancels for all orders of a phase that are not protective, its exits too."""
        for order in list(self._engine.venue.working.values()):
            if order.is_live and not order.protective and order.desk.slot == book.slot and order not in self._closing.values():
                self._cancel(order)

    def is_reducing(self, book: PhaseBook) -> bool:
        """Whether a closing order for one of the phase's positions is on its way."""
        return any(order.is_live and self._engine.account.owner[k] == book.slot for k, order in self._closing.items())

    def _share_that_fits(self, taker: PhaseBook, held: Sequence[int]) -> int:
        """Return which share of these positions (bps) the taker could hold beside its own; 0 where they lack a stop that it demands."""
        engine, declaration = self._engine, taker.binding.declaration
        instruments, equity2 = engine.layout.instruments, max(0, self._governor.phase_equity2(taker))
        used = self._governor.exposure.usage(taker.slot)
        bound2 = [2 * used.margin, 2 * used.notional]
        offered2 = [0, 0]
        losses = 0
        for k in held:
            worth2 = abs(engine.account.lots[k]) * engine.account.units[k] * engine.value2(k)
            amounts = (worth2 // taker.leverage_on(instruments[k]), worth2 if instruments[k].is_perp or declaration.hedged else 0)
            offered2[0] += amounts[0]
            offered2[1] += amounts[1]
            losses += self._governor.exposure.position_loss(k)
            protection = engine.venue.protection.get(k)
            if not declaration.hedged and (protection is None or protection.stop is None):
                return 0
        rooms = (equity2 * declaration.max_position_bps // BPS - bound2[0], equity2 * taker.leverage - bound2[1])
        fits = [(rooms[0], offered2[0]), (rooms[1], offered2[1]), (self._governor.exposure.snapshot(taker).risk_left, losses)]
        return min((max(0, min(BPS, room * BPS // offered)) for room, offered in fits if offered), default=0)

    def _move(self, k: int, giver: PhaseId, taker: PhaseBook) -> None:
        engine = self._engine
        value2 = engine.value2(k)
        engine.account.transfer(k, taker.slot, value2)
        self._governor.exposure.lease[k] = taker.slot
        protection = engine.venue.protection.get(k)
        desk = taker.desks[0] if taker.desks else ServiceDesk(taker.id, taker.slot, taker)
        if protection is not None:
            protection.desk = desk
            if protection.target_order is not None:
                protection.target_order.desk = desk
        engine.record.handed_over(Transfer(engine.now, engine.layout.instruments[k].id, giver, taker.id, engine.account.lots[k], value2))
