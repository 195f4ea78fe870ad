"""Protective stops and targets of positions: two conditional orders that follow the position's size and leave with it."""

from typing import TYPE_CHECKING

from titan_core.model.enums import Side
from titan_core.model.ids import InstrumentId
from titan_core.simulator.account import EventKind
from titan_core.simulator.checks import check_stops
from titan_core.simulator.orders import Kind, NewOrder, Order, Origin, PriceKind, Reason, Refusal, Status, Trigger
from titan_core.simulator.positions import Position

if TYPE_CHECKING:
    from titan_core.simulator.exchange import Exchange


class Protection:
    """Keeps at most one stop loss and one take profit per position, each over the whole position."""

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange
        self._orders: dict[tuple[InstrumentId, Origin], Order] = {}

    def request(
        self,
        instrument: InstrumentId,
        *,
        stop_loss: int | None = None,
        take_profit: int | None = None,
        stop_by: PriceKind = PriceKind.LAST,
        profit_by: PriceKind = PriceKind.LAST,
    ) -> Refusal | None:
        """Set, move (a price in ticks) or remove (0) stop and target of a position; None leaves one as it is."""
        account = self._exchange.account
        position = account.positions.get(instrument)
        if position is None or position.lots == 0:
            return Refusal(Reason.NO_POSITION, "can not set tp/sl/ts for zero position")
        listing = self._exchange.listings[instrument]
        side = Side.BUY if position.lots > 0 else Side.SELL
        refusal = check_stops(listing, side, account.depth.last(listing), stop_loss or 0, take_profit or 0)
        if refusal is not None:
            return refusal
        wanted = (position.stop_loss if stop_loss is None else stop_loss, position.take_profit if take_profit is None else take_profit)
        if wanted == (position.stop_loss, position.take_profit):
            return Refusal(Reason.NOT_MODIFIED, "not modified")
        self._set(position, Origin.STOP_LOSS, wanted[0], stop_by)
        self._set(position, Origin.TAKE_PROFIT, wanted[1], profit_by)
        account.emit(EventKind.POSITION, position=position)
        return None

    def after_fill(self, order: Order, lots_before: int) -> None:
        """Follow a position whose size has changed; set the prices that came attached to the order."""
        exchange = self._exchange
        position = exchange.account.position(order.instrument)
        if position.lots == 0 or position.lots * lots_before < 0:
            self._drop(position)
        if position.lots == 0:
            for resting in list(exchange.account.open_orders.values()):
                if resting.instrument == order.instrument and resting.request.reduce_only and resting is not order:
                    if resting.status is not Status.UNTRIGGERED:
                        exchange.end(resting, Status.CANCELLED, Reason.BY_REDUCE_ONLY)
            return
        if position.lots * order.side.sign > 0:
            request = order.request
            self._set(position, Origin.STOP_LOSS, order.stop_loss or position.stop_loss, request.stop_by)
            self._set(position, Origin.TAKE_PROFIT, order.take_profit or position.take_profit, request.profit_by)
        for origin in (Origin.STOP_LOSS, Origin.TAKE_PROFIT):
            guard = self._orders.get((order.instrument, origin))
            if guard is not None and guard.is_open and guard.lots != abs(position.lots):
                guard.lots = abs(position.lots)
                exchange.report(guard)

    def forget(self, order: Order) -> None:
        """Take note that a protective order has been set off or cancelled by hand."""
        position = self._exchange.account.position(order.instrument)
        if self._orders.get((order.instrument, order.request.origin)) is order:
            del self._orders[order.instrument, order.request.origin]
            if order.request.origin is Origin.STOP_LOSS:
                position.stop_loss = 0
            else:
                position.take_profit = 0

    def restore(self, order: Order) -> None:
        """Take over a protective order that waits."""
        self._orders[order.instrument, order.request.origin] = order

    def _drop(self, position: Position) -> None:
        position.stop_loss = position.take_profit = 0
        for origin in (Origin.STOP_LOSS, Origin.TAKE_PROFIT):
            guard = self._orders.pop((position.instrument, origin), None)
            if guard is not None and guard.is_open:
                self._exchange.end(guard, Status.DEACTIVATED, Reason.BY_STOP)

    def _set(self, position: Position, origin: Origin, price: int, by: PriceKind) -> None:
        exchange, key = self._exchange, (position.instrument, origin)
        guard = self._orders.get(key)
        if guard is not None and guard.trigger is not None and guard.trigger.price == price:
            return
        if guard is not None:
            self._orders.pop(key)
            if guard.is_open:
                exchange.end(guard, Status.DEACTIVATED, Reason.BY_USER)
        if origin is Origin.STOP_LOSS:
            position.stop_loss = price
        else:
            position.take_profit = price
        if not price:
            return
        side = Side.SELL if position.lots > 0 else Side.BUY
        rising = (side is Side.BUY) == (origin is Origin.STOP_LOSS)
        made = exchange.create(
            NewOrder(
                instrument=position.instrument,
                side=side,
                kind=Kind.MARKET,
                lots=abs(position.lots),
                reduce_only=True,
                close_on_trigger=True,
                trigger=Trigger(price, rising, by),
                origin=origin,
            )
        )
        self._orders[key] = made
        exchange.account.emit(EventKind.ORDER, order=made)
