"""MEXC contract's conditional orders: plan orders, and the stops and targets that rest on positions, one row for each position."""

from typing import TYPE_CHECKING, Any

from titan_core.model.units import MS
from titan_core.simulator.mexc_market import MexcError
from titan_core.simulator.mexc_shapes import FIRST_POSITION, order_shape, price
from titan_core.simulator.orders import PROTECTIVE, Order, PriceKind, Reason, Refusal, Status, Trigger
from titan_core.simulator.positions import Position

if TYPE_CHECKING:
    from titan_core.simulator.mexc_rest import MexcRest

TRIGGERS = {1: PriceKind.LAST, 2: PriceKind.MARK, 3: PriceKind.INDEX}
FIRST_STOP = 9_100_000
"""Rows are numbered as the positions are that they rest on."""
NO_PRICES = MexcError(5001, "The take-price and the stop-loss price cannot be none at the same time")
NO_STOP = MexcError(5002, "The Stop-Limit order does not exist or has closed")
TOO_MUCH = MexcError(5004, "The take-profit and stop-loss order volume is more than the holding positions can be liquidated")


class MexcStops:
    """Answers `planorder/...` and `stoporder/...`."""

    def __init__(self, rest: "MexcRest") -> None:
        self._rest, self._venue = rest, rest.venue

    # -- plan orders --------------------------------------------------------------------------------------------
    def place_plan(self, rest: str, body: Any) -> str:
        """Place a conditional order: triggerType 1 at or above the price, 2 at or below; trend 1 last, 2 mark, 3 index price."""
        listing = self._rest.market.listing(str(body.get("symbol", "")))
        at = self._rest.ticks(listing, body.get("triggerPrice"))
        trigger = Trigger(at, int(body.get("triggerType", 1)) == 1, TRIGGERS[int(body.get("trend", 1))])
        made = self._venue.account_exchange.place(self._rest.new_order(body, trigger))
        if isinstance(made, Refusal):
            raise self._rest.refuse(made)
        return made.id

    def cancel_plans(self, rest: str, body: Any) -> Any:
        """Cancel conditional orders."""
        for each in body:
            done = self._venue.account_exchange.cancel(self._venue.account_exchange.find(str(each["orderId"])))
            if isinstance(done, Refusal):
                raise self._rest.refuse(done)
        return ...

    def cancel_all_plans(self, rest: str, body: Any) -> Any:
        """Cancel the conditional orders of a contract, or all."""
        for order in self._plans():
            if body.get("symbol") in (None, "", self._venue.listings[order.instrument].symbol):
                self._venue.account_exchange.cancel(order)
        return ...

    def _plans(self) -> list[Order]:
        waiting = [each for each in self._venue.account_exchange.account.open_orders.values() if each.status is Status.UNTRIGGERED]
        return [each for each in waiting if each.request.origin not in PROTECTIVE]

    def plans(self, rest: str, query: Any) -> list[dict[str, Any]]:
        """Return conditional orders that wait; those that have ended are not kept."""
        if "1" not in str(query.get("states") or "1").split(","):
            return []
        return [self._plan(each) for each in self._rest.page(self._plans(), "", query)]

    def _plan(self, order: Order) -> dict[str, Any]:
        trigger, listing = order.trigger, self._venue.listings[order.instrument]
        assert trigger is not None
        trend = next(number for number, kind in TRIGGERS.items() if kind is trigger.by)
        shape = order_shape(self._venue, order)
        terms = {"triggerPrice": price(listing, trigger.price), "triggerType": 1 if trigger.rising else 2, "trend": trend, "executeCycle": 1}
        return shape | terms | {"id": order.id, "orderId": 0, "state": 1}

    # -- stops of positions -------------------------------------------------------------------------------------
    def place_stop(self, rest: str, body: Any) -> int:
        """Set stop loss and take profit of a position that has none; returns the row's number."""
        position = self._venue.account_exchange.account.position(self._rest.instrument(body))
        if position.stop_loss or position.take_profit:
            raise TOO_MUCH
        self._set(position, body)
        return FIRST_STOP + position.number

    def change_stop(self, rest: str, body: Any) -> Any:
        """Move stop loss and take profit; one that is not named, or 0, is taken off."""
        self._set(self._row(body), body)
        return ...

    def _set(self, position: Position, body: Any) -> None:
        listing = self._venue.listings[position.instrument]
        stop, target = (self._rest.ticks(listing, body.get(name)) for name in ("stopLossPrice", "takeProfitPrice"))
        if not stop and not target:
            raise NO_PRICES
        refusal = self._venue.account_exchange.protection.request(position.instrument, stop_loss=stop, take_profit=target)
        if refusal is not None and refusal.reason is not Reason.NOT_MODIFIED:
            raise self._rest.refuse(refusal)

    def _row(self, body: Any) -> Position:
        wanted = int(body["stopPlanOrderId"]) - FIRST_STOP
        for each in self._venue.account_exchange.account.positions.values():
            if each.number == wanted and each.lots and (each.stop_loss or each.take_profit):
                return each
        raise NO_STOP

    def cancel_stops(self, rest: str, body: Any) -> Any:
        """Cancel rows by their numbers."""
        for each in [self._row(row) for row in body]:
            self._cancel(each)
        return ...

    def cancel_all_stops(self, rest: str, body: Any) -> Any:
        """Cancel the rows of a position, of a contract, or all."""
        for each in list(self._venue.account_exchange.account.positions.values()):
            number, symbol = body.get("positionId"), body.get("symbol")
            if (not number or int(number) == FIRST_POSITION + each.number) and symbol in (None, "", self._venue.listings[each.instrument].symbol):
                self._cancel(each)
        return ...

    def _cancel(self, position: Position) -> None:
        for order in list(self._venue.account_exchange.account.open_orders.values()):
            if order.instrument == position.instrument and order.request.origin in PROTECTIVE and order.status is Status.UNTRIGGERED:
                self._venue.account_exchange.cancel(order)

    def stops(self, rest: str, query: Any) -> list[dict[str, Any]]:
        """Return what rests on positions, the newest position first; rows that have ended are not kept."""
        if str(query.get("is_finished") or "0") == "1":
            return []
        rows = [self._stop(each) for each in self._venue.account_exchange.account.positions.values() if each.lots and (each.stop_loss or each.take_profit)]
        chosen = [each for each in reversed(rows) if query.get("symbol") in (None, "", each["symbol"])]
        size, number = min(int(query.get("page_size", 20)), 100), int(query.get("page_num", 1))
        return chosen[(number - 1) * size : number * size]

    def open_stops(self, rest: str, query: Any) -> list[dict[str, Any]]:
        """Return all that rests, without pages."""
        return self.stops(rest, {"symbol": query.get("symbol"), "page_size": "100"})

    def _stop(self, position: Position) -> dict[str, Any]:
        listing = self._venue.listings[position.instrument]
        at = (position.updated_ns or position.created_ns) // MS
        return {
            "id": FIRST_STOP + position.number,
            "orderId": 0,
            "symbol": listing.symbol,
            "positionId": FIRST_POSITION + position.number,
            "lossTrend": 1,
            "profitTrend": 1,
            "stopLossPrice": price(listing, position.stop_loss) if position.stop_loss else 0.0,
            "takeProfitPrice": price(listing, position.take_profit) if position.take_profit else 0.0,
            "state": 1,
            "triggerSide": 0,
            "positionType": 2 if position.lots < 0 else 1,
            "vol": abs(position.lots),
            "realityVol": 0,
            "placeOrderId": 0,
            "errorCode": 0,
            "version": 1,
            "isFinished": 0,
            "profitLossVolType": "SAME",
            "volType": 2,
            "createTime": position.created_ns // MS,
            "updateTime": at,
        }
