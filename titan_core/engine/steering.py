"""What reaches the Brain from outside the market: the operator's wishes, the state of venues and feeds, positions and money that nobody here asked for."""

from typing import TYPE_CHECKING

from titan_core.brain.vocabulary import Control, Emergency, Link, Risk, Trigger
from titan_core.engine.heard import Wish
from titan_core.engine.phases import ServiceDesk
from titan_core.model.enums import OrderType
from titan_core.model.fill import Deposit
from titan_core.model.ids import BRAIN
from titan_core.model.units import BPS, Money

if TYPE_CHECKING:
    from titan_core.engine.core import Engine
    from titan_core.engine.governor import BrainGovernor


class Steering:
    """Serves one run. In a replay nothing reaches it."""

    def __init__(self, governor: "BrainGovernor", engine: "Engine") -> None:
        """Bind the run."""
        self._governor = governor
        self._engine = engine
        self.doubts: dict[int, str] = {}
        """Why the market of an instrument cannot be believed now."""
        self.troubles: dict[str, str] = {}
        """Why a venue takes no orders now."""
        self.is_resuming = False
        self.refusal = ""
        """Why the operator's last wish was not granted; empty where it was."""
        self._flatten_on_stop = False

    # -- the market and the venues --------------------------------------------------------------------------------
    def doubt(self, k: int, reason: str) -> None:
        """Believe the market of instrument k, or not: entries there are refused meanwhile."""
        known = self.doubts.pop(k, "")
        if reason:
            self.doubts[k] = reason
        if bool(known) != bool(reason):
            name = self._engine.layout.instruments[k].id
            self._engine.record.note(self._engine.now, BRAIN, f"{name}: {reason or 'its market can be believed again'}")

    def venue_trouble(self, venue: str, reason: str) -> None:
        """Note that a venue takes no orders, or takes them again, and step the chart."""
        self.troubles.pop(venue, None)
        if reason:
            self.troubles[venue] = reason
        self.judge_link()
        self._governor.settle()

    def judge_link(self) -> None:
        """Bring the chart in line with which venues can be traded."""
        configuration = self._governor.machine.configuration
        if not configuration.is_in("operational"):
            return
        trigger = Trigger.LINK_UP if not self.troubles else Trigger.LINK_DEGRADED if self.is_some_venue_tradable else Trigger.LINK_DOWN
        wanted = {Trigger.LINK_UP: Link.UP, Trigger.LINK_DEGRADED: Link.DEGRADED, Trigger.LINK_DOWN: Link.DOWN}[trigger]
        if configuration.link is not wanted:
            self._governor.fire(trigger)

    @property
    def is_some_venue_tradable(self) -> bool:
        """Whether any venue of this run takes orders."""
        venues = {instrument.venue for instrument in self._engine.layout.instruments if self._governor.takes_orders(instrument)}
        return bool(venues - self.troubles.keys())

    def is_tradable(self, k: int) -> bool:
        """Whether entries in instrument k can be sent."""
        instrument = self._engine.layout.instruments[k]
        return self._governor.takes_orders(instrument) and instrument.venue not in self.troubles

    # -- the operator ---------------------------------------------------------------------------------------------
    def ask(self, wish: Wish, reason: str) -> None:
        """Do what the operator wants, or keep in `refusal` why not."""
        governor = self._governor
        self.refusal = ""
        self._engine.record.note(self._engine.now, "operator", f"{wish}: {reason}")
        if wish is Wish.PANIC:
            governor.panic(reason)
        elif wish is Wish.RESUME:
            self._resume()
        else:
            self._flatten_on_stop = self._flatten_on_stop or wish is Wish.STOP_FLAT
            if not governor.fire(Trigger.STOP) and not governor.machine.configuration.is_in("stopping"):
                self.refusal = f"a stop is not possible in {governor.machine.configuration}; wait until the emergency has ended"
        governor.settle()

    def _resume(self) -> None:
        governor, configuration = self._governor, self._governor.machine.configuration
        if configuration.is_in(f"emergency.{Emergency.LOCKED}"):
            self.is_resuming = True
            governor.peak2 = governor.equity2()  # the operator rebases: what was lost is not counted against the new beginning
            governor.booting.boot_again()
            self.is_resuming = False
        elif configuration.risk is Risk.HALTED:
            if not governor.fire(Trigger.LIFT_HALT):
                self.refusal = "the halt cannot be lifted while draw-down is beyond the emergency level"
        elif configuration.control is Control.PAUSED:
            governor.fire(Trigger.UNPAUSE)
        else:
            self.refusal = f"there is nothing to resume: the Brain is in {configuration}"

    def go_on_stopping(self) -> None:
        """Finish a stop once nothing is left that could open a position, and nothing is on its way."""
        closing = self._governor.closing
        if self._flatten_on_stop:
            closing.flatten(None)
            if not closing.is_flat(None):
                return
        under_way = any(order.is_live and order.intent.order_type is OrderType.MARKET for order in self._engine.venue.working.values())
        if not closing.entries(None) and not under_way:  # else the books would end without a fill that the venue has
            self._governor.fire(Trigger.STOP_COMPLETED)

    def verified(self, is_flat: bool) -> None:
        """Take in what two reads of the venue's positions say."""
        self._governor.emergency.venue_read(is_flat)
        self._governor.settle()

    # -- what nobody asked for ------------------------------------------------------------------------------------
    def deposit(self, amount: int, reason: str) -> None:
        """Book money that came or went for no reason that the books know. The peak moves with it: it is no profit and no loss."""
        governor, engine = self._governor, self._engine
        engine.account.cash += amount
        governor.peak2 += 2 * amount
        engine.record.deposited(Deposit(engine.now, Money(amount), reason))
        if governor.machine.configuration.is_in("operational"):
            governor.allocate()
        governor.settle()

    def service_desk(self, slot: int) -> ServiceDesk:
        """Return a desk for what happens on a slot without an order of its strategies."""
        books = self._governor.books
        book = books[slot] if 0 <= slot < len(books) else None
        return ServiceDesk(book.id if book else BRAIN, slot if slot >= 0 else self._governor.brain_slot, book)

    def found(self, k: int) -> None:
        """Look at a position that has changed or was there at the start: nobody's is the Brain's, no phase may enter there, and none is without a stop."""
        engine = self._engine
        if engine.account.owner[k] == self._governor.brain_slot:
            self._governor.exposure.lease[k] = self._governor.brain_slot
        instrument, known = engine.layout.instruments[k], engine.venue.protection.get(k)
        if instrument.is_perp and (known is None or known.stop is None) and not self._is_hedged(k):
            self._guard(k)

    def _is_hedged(self, k: int) -> bool:
        """Whether the owner of a position protects it by another leg instead of a stop."""
        slot, books = self._engine.account.owner[k], self._governor.books
        return 0 <= slot < len(books) and books[slot].binding.declaration.hedged

    def _guard(self, k: int) -> None:
        """Limit what a position without a stop can lose."""
        governor, engine = self._governor, self._engine
        instrument, lots, price = engine.layout.instruments[k], engine.account.lots[k], engine.value2(k) // 2
        distance = max(1, price * governor.limits.adopt_stop_bps // BPS)
        stop = price - distance if lots > 0 else price + distance
        if engine.account.owner[k] == governor.brain_slot:
            text = f"{lots} lots of {instrument.id} are nobody's: adopted with a stop at {stop} ticks; close them or resume by hand"
        else:
            text = f"{lots} lots of {instrument.id} had no stop: it is now at {stop} ticks"
        engine.record.note(engine.now, BRAIN, text)
        engine.venue.protect(k, self.service_desk(engine.account.owner[k]), stop, None)
