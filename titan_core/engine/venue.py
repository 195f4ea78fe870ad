"""What every venue has in common, simulated or real: orders and where they stand, the protection of positions, the booking of executions.

A venue takes commands (`submit`, `cancel`, `protect`, `release`) and tells what became of them through the engine: an execution is booked, recorded, shown
to the Brain and then to whoever asked for it, in that order.
"""

from typing import TYPE_CHECKING, Any

from titan_core.engine.conditions import Condition
from titan_core.model.enums import Liquidity, OrderType
from titan_core.model.fill import Fill
from titan_core.model.ids import ClientOrderId, StrategyId
from titan_core.model.order import Approved, Intent, OrderStatus
from titan_core.model.units import Money

if TYPE_CHECKING:
    from titan_core.engine.core import Engine

PENDING, OPEN, PARTIAL = OrderStatus.PENDING, OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED
FILLED, CANCELLED, REJECTED, EXPIRED = OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED
LIVE = frozenset((PENDING, OPEN, PARTIAL))


class WorkingOrder:
    """An order on its way, in the book, or done."""

    __slots__ = ("attached", "client_order_id", "desk", "intent", "k", "leaves_lots", "lots", "protective", "queue", "rest", "sign", "status", "trigger")

    def __init__(self, client_order_id: ClientOrderId, intent: Intent, signed_lots: int, k: int, desk: Any, protective: bool = False) -> None:
        """Make an order that has not been sent yet."""
        self.client_order_id = client_order_id
        self.intent = intent
        self.k = k
        self.desk = desk
        self.sign = 1 if signed_lots > 0 else -1
        self.lots = abs(signed_lots)
        self.leaves_lots = self.lots
        self.status = PENDING
        self.queue = 0
        self.rest: Condition | None = None
        self.trigger: Condition | None = None
        self.protective = protective
        self.attached = False
        """Whether its stop and target have been attached to the position."""

    @property
    def is_live(self) -> bool:
        """Whether it may still be executed."""
        return self.status in LIVE

    @property
    def signed_leaves(self) -> int:
        """Lots not yet executed, signed like the order."""
        return self.leaves_lots * self.sign

    def __repr__(self) -> str:
        return f"<{self.client_order_id} {self.status} {self.sign * self.lots} leaves {self.leaves_lots}>"


class VenueDesk:
    """The desk of an order that the venue places by itself on a position without protection."""

    def __init__(self, phase: Any, slot: int) -> None:
        """Book executions on `slot`."""
        self.phase = phase
        self.slot = slot
        self.strategy_id = StrategyId("venue")

    def filled(self, order: "WorkingOrder", fill: Fill, flat: bool) -> None:
        """Nobody is told."""

    def order_closed(self, order: "WorkingOrder") -> None:
        """Nobody is told."""


class Protection:
    """The stop and target that cover one position."""

    __slots__ = ("condition", "desk", "stop", "target", "target_order")

    def __init__(self, desk: Any, stop: int | None, target: int | None) -> None:
        """Describe it; the venue arms it."""
        self.desk = desk
        self.stop = stop
        self.target = target
        self.condition: Condition | None = None
        self.target_order: WorkingOrder | None = None


class Venue:
    """The part of a venue that does not depend on who carries orders out."""

    is_simulated = True
    """Whether the engine works out funding and liquidation by itself; a real venue tells of them."""

    def __init__(self, engine: "Engine") -> None:
        """Serve one run."""
        self.engine = engine
        self.working: dict[ClientOrderId, WorkingOrder] = {}
        self.protection: dict[int, Protection] = {}
        self._protective_ids = 0

    # -- commands -------------------------------------------------------------------------------------------------
    def submit(self, approved: Approved, desk: Any, k: int) -> WorkingOrder:
        """Send an approved order in instrument k on behalf of a desk."""
        raise NotImplementedError

    def cancel(self, order: WorkingOrder) -> None:
        """Send a cancel; a fill may come first."""
        raise NotImplementedError

    def protect(self, k: int, desk: Any, stop: int | None, target: int | None) -> None:
        """Set the protective stop and target of the open position in instrument k."""
        raise NotImplementedError

    def release(self, k: int) -> None:
        """Withdraw the protective orders of instrument k."""
        raise NotImplementedError

    def restore_protection(self, k: int, desk: Any, stop: int | None, target: int | None) -> None:
        """Know again what protected a position before the process ended."""
        self.protect(k, desk, stop, target)

    def leave(self) -> bool:
        """Leave the market altogether, out of band. Returns whether the venue does it by itself; else it is left order by order."""
        return False

    def verify(self) -> bool:
        """Read all positions where they are, twice, and tell the governor. Returns whether there is anywhere to read them but in the account."""
        return False

    def rest_executed(self, order: WorkingOrder, lots: int, queue: int) -> None:
        """Book an execution of a resting order that the engine found; only a simulated venue has such orders."""
        raise NotImplementedError

    def close_all(self) -> None:
        """Withdraw every order that is not a protective stop, at once, as a venue does that liquidates."""
        for order in list(self.working.values()):
            if order.is_live:
                self._close(order, CANCELLED)

    def close_position(self, k: int, kind: OrderType, tag: str, touched: int | None = None) -> None:
        """Close the position in instrument k at market on the venue's own account."""
        raise NotImplementedError

    # -- what becomes of orders -----------------------------------------------------------------------------------
    def _book(self, order: WorkingOrder, lots: int, price: int, fee: int, liquidity: Liquidity) -> None:
        """Book an execution of `lots` and tell everybody; a purchase or sale that reduces counts for whoever owns the position."""
        engine, k, desk = self.engine, order.k, order.desk
        signed = lots * order.sign
        before = engine.account.lots[k]
        slot = engine.account.owner[k] if before else desk.slot
        engine.account.trade(slot, k, signed, price, fee)
        order.leaves_lots -= lots
        if order.leaves_lots:
            order.status = PARTIAL
        else:
            order.status = FILLED
            self._leave_book(order)
        name = engine.layout.instruments[k].id
        fill = Fill(engine.now, name, desk.phase, desk.strategy_id, order.client_order_id, signed, price, Money(fee), liquidity, order.intent.tag)
        engine.record.fill(fill, engine.account.cash)
        position = engine.account.lots[k]
        if position == 0 or before * position < 0:
            self._position_ended(k)
        if position and not order.protective:
            self._protect_after(order, position)
        engine.liquidator.watch()
        engine.governor.settle()
        desk.filled(order, fill, position == 0)

    def _position_ended(self, k: int) -> None:
        """Withdraw what existed for the sake of a position that has been closed or turned over."""
        raise NotImplementedError

    def _protect_after(self, order: WorkingOrder, position: int) -> None:
        """Bring the position's protection in line after one of the strategy's own orders was executed."""
        current = self.protection.get(order.k)
        increases = (position > 0) == (order.sign > 0)
        has_protection = order.intent.stop is not None or order.intent.target is not None
        if increases and has_protection and (current is None or not order.attached):
            order.attached = True
            # a second entry may tighten the stop of what is held already, never loosen it
            stops = [stop for stop in (order.intent.stop, current.stop if current is not None else None) if stop is not None]
            stop = (max(stops) if position > 0 else min(stops)) if stops else None
            target = order.intent.target
            if target is None and current is not None:
                target = current.target
            self.protect(order.k, order.desk, stop, target)
        elif current is not None:
            self.protect(order.k, current.desk, current.stop, current.target)

    def _close(self, order: WorkingOrder, status: OrderStatus) -> None:
        order.status = status
        self._leave_book(order)
        self.engine.record.closed(self.engine.now, order)
        self.engine.governor.order_closed(order)
        order.desk.order_closed(order)

    def _leave_book(self, order: WorkingOrder) -> None:
        self.working.pop(order.client_order_id, None)
        if order.rest is not None:
            self.engine.disarm(order.rest)
        if order.trigger is not None:
            self.engine.disarm(order.trigger)

    def _protective(self, k: int, protection: Protection, signed_lots: int, kind: OrderType, limit: int | None, tag: str) -> WorkingOrder:
        self._protective_ids += 1
        desk = protection.desk
        ident = ClientOrderId(f"{desk.phase}.{tag}.{self._protective_ids}")
        intent = Intent(
            client_order_id=ident,
            phase=desk.phase,
            strategy=desk.strategy_id,
            instrument=self.engine.layout.instruments[k],
            signed_lots=signed_lots,
            order_type=kind,
            limit=limit,
            trigger=protection.stop if kind is OrderType.STOP else None,
            reduce_only=True,
            tag=tag,
        )
        order = WorkingOrder(ident, intent, signed_lots, k, desk, protective=True)
        order.status = OPEN
        self.working[ident] = order
        return order
