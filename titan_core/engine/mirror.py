"""The venue of a run whose orders go out: commands leave through an outbox, and what became of them is heard.

It decides nothing about fills. Everything that it tells the Brain and the strategies follows from what it hears, so a recorded run is reproduced by letting
it hear the same at the same times, with nobody behind the outbox.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import structs

from titan_core.engine.account import NOBODY
from titan_core.engine.heard import Asked, Cause, Deposited, Doubted, Executed, Funded, Heard, OrderMoved, VenueTroubled, Verified
from titan_core.engine.venue import OPEN, PENDING, REJECTED, Protection, Venue, WorkingOrder
from titan_core.model.enums import OrderType, StreamKind
from titan_core.model.fill import FundingPayment
from titan_core.model.ids import ClientOrderId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Approved, Intent
from titan_core.model.units import RATE_SCALE, Money

if TYPE_CHECKING:
    from titan_core.engine.core import Engine
    from titan_core.engine.governor import BrainGovernor
    from titan_core.engine.steering import Steering

REMEMBERED = 2_000
"""Orders that have ended and are still known, for executions that come late."""


class Outbox(Protocol):
    """Where commands go. Nothing is answered at once; what comes of a command is heard later."""

    def submit(self, approved: Approved, is_leaving: bool) -> None:
        """Send an order; `is_leaving` where it only gets out."""
        ...

    def cancel(self, client_order_id: ClientOrderId) -> None:
        """Withdraw an order."""
        ...

    def protect(self, instrument: Instrument, stop: int | None, target: int | None) -> None:
        """Set what rests at the venue for a position."""
        ...

    def leave(self) -> None:
        """Begin to leave the venue, or go on with it."""
        ...

    def verify(self) -> None:
        """Read all positions twice, then let `Verified` be heard."""
        ...


class MirrorVenue(Venue):
    """Mirrors what the venue tells. Call `hear` with the engine advanced to the time of the word."""

    is_simulated = False

    def __init__(self, engine: "Engine", outbox: Outbox) -> None:
        """Serve one run."""
        super().__init__(engine)
        self._outbox = outbox
        self._ended: dict[ClientOrderId, WorkingOrder] = {}
        self._hearers: dict[type, Callable[[Any], None]] = {
            Executed: self._executed,
            Funded: self._funded,
            OrderMoved: self._moved,
            Deposited: self._deposited,
            Doubted: lambda word: self._steering.doubt(engine.layout.place[word.instrument], word.reason),
            VenueTroubled: lambda word: self._steering.venue_trouble(word.venue, word.reason),
            Verified: lambda word: self._steering.verified(word.is_flat),
            Asked: lambda word: self._steering.ask(word.wish, word.reason),
        }

    @property
    def _governor(self) -> "BrainGovernor":
        governor: Any = self.engine.governor
        return governor  # type: ignore[no-any-return]

    @property
    def _steering(self) -> "Steering":
        return self._governor.steering

    # -- commands -------------------------------------------------------------------------------------------------
    def submit(self, approved: Approved, desk: Any, k: int) -> WorkingOrder:
        """Hand an approved order to the outbox."""
        order = WorkingOrder(approved.intent.client_order_id, approved.intent, approved.signed_lots, k, desk)
        self.working[order.client_order_id] = order
        self._outbox.submit(approved, approved.intent.reduce_only)
        return order

    def cancel(self, order: WorkingOrder) -> None:
        """Hand a cancel to the outbox; a fill may come first."""
        if order.is_live:
            self._outbox.cancel(order.client_order_id)

    def protect(self, k: int, desk: Any, stop: int | None, target: int | None) -> None:
        """Set what rests at the venue for the open position in instrument k."""
        current = self.protection.get(k)
        if current is None:
            current = self.protection[k] = Protection(desk, None, None)
        current.desk = desk
        if (stop, target) != (current.stop, current.target):
            current.stop, current.target = stop, target
            self._outbox.protect(self.engine.layout.instruments[k], stop, target)

    def release(self, k: int) -> None:
        """Take off what rests at the venue for instrument k; with the position it has ended there by itself."""
        if self.protection.pop(k, None) is not None and self.engine.account.lots[k]:
            self._outbox.protect(self.engine.layout.instruments[k], None, None)

    def leave(self) -> bool:
        """Leave out of band."""
        self._outbox.leave()
        return True

    def verify(self) -> bool:
        """Have the positions read at the venue."""
        self._outbox.verify()
        return True

    def restore_protection(self, k: int, desk: Any, stop: int | None, target: int | None) -> None:
        """Know what rests at the venue already."""
        self.protection[k] = Protection(desk, stop, target)

    # -- what is heard --------------------------------------------------------------------------------------------
    def hear(self, word: Heard) -> None:
        """Take in what the venue or the operator says."""
        self._hearers[type(word)](word)

    def _executed(self, word: Executed) -> None:
        k = self.engine.layout.place[word.instrument]
        order = self.working.get(word.client_order_id) or self._ended.get(word.client_order_id)
        if order is not None and word.client_order_id != "":
            self._take(order, word)
        else:
            for part in self._parts(k, word):
                self._take(self._unasked(k, part), part)
        if self.engine.account.lots[k]:
            self._steering.found(k)

    def _take(self, order: WorkingOrder, word: Executed) -> None:
        lots = abs(word.signed_lots)
        order.leaves_lots = max(order.leaves_lots, lots)  # an execution that comes after the order's end counts all the same
        self._book(order, lots, word.price, word.fee, word.liquidity)

    def _parts(self, k: int, word: Executed) -> tuple[Executed, ...]:
        """Part what nobody asked for where it turns a position over: it closes what its owner held, and the rest belongs to nobody."""
        held = self.engine.account.lots[k]
        rest = held + word.signed_lots
        if held * rest >= 0:
            return (word,)
        fee = word.fee * abs(held) // abs(word.signed_lots)
        return structs.replace(word, signed_lots=-held, fee=Money(fee)), structs.replace(word, signed_lots=rest, fee=Money(word.fee - fee))

    def _unasked(self, k: int, word: Executed) -> WorkingOrder:
        """Make an order for what nobody here has asked for: a stop, a liquidation, a trade by hand."""
        protection, account = self.protection.get(k), self.engine.account
        slot = account.owner[k] if account.lots[k] else NOBODY
        brain = self._governor.brain_slot
        desk: Any = protection.desk if protection is not None and word.cause is Cause.STOP else self._steering.service_desk(slot if slot != NOBODY else brain)
        tag = "stop" if word.cause is Cause.STOP else str(word.cause)
        if word.cause is Cause.STOP and protection is not None and protection.target is not None:
            nearer = protection.stop is None or abs(word.price - protection.target) < abs(word.price - protection.stop)
            tag = "target" if nearer else "stop"
        elif word.cause is not Cause.STOP:
            self.engine.record.note(self.engine.now, "venue", f"{word.cause}: {word.signed_lots} lots of {word.instrument} at {word.price} ticks")
        reduces = bool(account.lots[k]) and (account.lots[k] > 0) != (word.signed_lots > 0) and abs(word.signed_lots) <= abs(account.lots[k])
        self._protective_ids += 1
        ident = ClientOrderId(f"{desk.phase}.{tag}.{self._protective_ids}")
        kind = OrderType.STOP if tag == "stop" else OrderType.LIMIT if tag == "target" else OrderType.MARKET
        intent = Intent(
            client_order_id=ident, phase=desk.phase, strategy=desk.strategy_id, instrument=self.engine.layout.instruments[k], signed_lots=word.signed_lots,
            order_type=kind, reduce_only=reduces, tag=tag,
        )  # fmt: skip
        order = WorkingOrder(ident, intent, word.signed_lots, k, desk, protective=True)
        order.status = OPEN
        self.working[ident] = order
        return order

    def _position_ended(self, k: int) -> None:
        """The venue has taken off what rested on the position; withdraw our own resting exits."""
        self.protection.pop(k, None)
        for order in list(self.working.values()):
            if order.k == k and order.intent.reduce_only and order.is_live and order.intent.limit is not None:
                self._outbox.cancel(order.client_order_id)

    def _leave_book(self, order: WorkingOrder) -> None:
        super()._leave_book(order)
        self._ended[order.client_order_id] = order
        if len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]

    def _protect_after(self, order: WorkingOrder, position: int) -> None:
        """What an entry carries is attached by the venue itself where nothing protects the position yet; else the two are joined."""
        current = self.protection.get(order.k)
        intent, increases = order.intent, (position > 0) == (order.sign > 0)
        if increases and current is None and (intent.stop is not None or intent.target is not None):
            order.attached = True
            self.protection[order.k] = Protection(order.desk, intent.stop, intent.target)
            return
        if increases and current is not None and not order.attached and (intent.stop is not None or intent.target is not None):
            self.protection[order.k] = Protection(current.desk, intent.stop, intent.target)  # so the venue has it now
            mine, current_stop, current_target = self.protection[order.k], current.stop, current.target
            order.attached = True
            stops = [stop for stop in (mine.stop, current_stop) if stop is not None]
            stop = (max(stops) if position > 0 else min(stops)) if stops else None
            self.protect(order.k, order.desk, stop, mine.target if mine.target is not None else current_target)

    def _moved(self, word: OrderMoved) -> None:
        order = self.working.get(word.client_order_id)
        if order is None or not order.is_live:
            return
        if not word.status.is_final:
            order.status = OPEN if order.status is PENDING else order.status
            return
        if word.reason and word.status is REJECTED:
            self.engine.record.note(self.engine.now, "venue", f"{word.client_order_id} was refused: {word.reason}")
        self._close(order, word.status)

    def _funded(self, word: Funded) -> None:
        engine, k = self.engine, self.engine.layout.place[word.instrument]
        slot, lots = engine.account.owner[k], engine.account.lots[k]
        slot = slot if slot != NOBODY else self._governor.brain_slot
        engine.account.pay(slot, word.amount)
        worth = lots * engine.account.units[k] * word.mark
        rank = engine.layout.rank(k, StreamKind.FUNDING)
        rate = -word.amount * RATE_SCALE // worth if worth else (engine.latest(rank, "rate_e8") or 0) if rank >= 0 else 0
        engine.record.paid(FundingPayment(engine.now, word.instrument, engine.phase_of(slot), lots, word.mark, rate, Money(word.amount)))
        engine.governor.settle()

    def _deposited(self, word: Deposited) -> None:
        self._steering.deposit(word.amount, word.reason)
