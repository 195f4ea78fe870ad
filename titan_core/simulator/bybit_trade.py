"""Bybit V5 order entry: from the fields of a request to the exchange and back; the same over REST and over the trade websocket."""

from decimal import Decimal
from typing import Any

from titan_core.model.enums import Side
from titan_core.simulator.bybit_market import BadParameter, BybitMarket
from titan_core.simulator.bybit_shapes import CATEGORIES, MESSAGES, TIFS, TRIGGERS, Json, category_of, refusal_code
from titan_core.simulator.exchange import Scope
from titan_core.simulator.listings import BYBIT_LINEAR, Listing, Role
from titan_core.simulator.orders import Kind, NewOrder, Order, Origin, PriceKind, Refusal, Tif, Trigger
from titan_core.simulator.venue import Venue
from titan_core.simulator.wire import number, on_grid

SIDE_WORDS = {"Buy": Side.BUY, "Sell": Side.SELL}
TIF_WORDS = {word: tif for tif, word in TIFS.items()}
TRIGGER_WORDS = {word: kind for kind, word in TRIGGERS.items()}


class Refused(Exception):
    """The exchange refuses: code and message of the venue."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class BybitTrade:
    """What changes the account."""

    def __init__(self, venue: Venue, market: BybitMarket) -> None:
        self.venue, self.market = venue, market

    # -- reading ------------------------------------------------------------------------------------------------
    def listing(self, query: dict[str, Any]) -> Listing:
        """Return the instrument of an order. Raises BadParameter where it is missing or no category for orders."""
        if self.market.category(query) not in CATEGORIES:
            raise BadParameter(f"category {query.get('category')!r} takes no orders here; allowed are linear and spot")
        return self.market.listing(query)

    def price(self, listing: Listing, value: object) -> int:
        """Return ticks; an empty text or 0 is none. Raises Refused for a price between two ticks."""
        if value in (None, "", "0", 0):
            return 0
        ticks = on_grid(number(value), listing.instrument.tick_size)
        if ticks is None:
            raise Refused(10001 if listing.role is Role.PERP else 170134, f"Order price has too many decimals: {value}, the tick size is {listing.px(1)}")
        return ticks

    def lots(self, listing: Listing, value: object) -> int:
        """Return lots. Raises Refused for a size between two lots."""
        size = number(value)
        lots = on_grid(size, listing.instrument.lot_size)
        if lots is None or lots < 0:
            raise Refused(10001 if listing.role is Role.PERP else 170137, f"Qty invalid: {value}, the step is {listing.qty(1)}")
        return lots

    def refuse(self, refusal: Refusal, listing: Listing, *, rising: bool = True) -> Refused:
        """Return a refusal as Bybit puts it."""
        return Refused(refusal_code(refusal.reason, listing.role, rising=rising), MESSAGES.get(refusal.reason, refusal.text))

    # -- orders -------------------------------------------------------------------------------------------------
    def create(self, body: dict[str, Any]) -> Json:
        """Place an order."""
        listing = self.listing(body)
        request = self.new_order(listing, body)
        made = self.venue.account_exchange.place(request)
        if isinstance(made, Refusal):
            raise self.refuse(made, listing, rising=request.trigger is None or request.trigger.rising)
        return {"orderId": made.id, "orderLinkId": made.link_id}

    def new_order(self, listing: Listing, body: dict[str, Any]) -> NewOrder:
        """Read the fields of an order. Raises BadParameter and Refused."""
        side, kind = SIDE_WORDS.get(str(body.get("side"))), {"Market": Kind.MARKET, "Limit": Kind.LIMIT}.get(str(body.get("orderType")))
        if side is None or kind is None:
            raise BadParameter(f"side {body.get('side')!r} must be Buy or Sell and orderType {body.get('orderType')!r} Market or Limit")
        if body.get("positionIdx") not in (None, 0, "0"):
            raise Refused(10001, "position idx not match position mode")
        tif = TIF_WORDS.get(str(body.get("timeInForce") or "GTC"))
        if tif is None:
            raise BadParameter(f"timeInForce {body.get('timeInForce')!r} is unknown, allowed are {', '.join(TIF_WORDS)}")
        spend = self._spend(listing, body, side, kind)
        limit = self.price(listing, body.get("price")) if kind is Kind.LIMIT else 0
        trigger = self._trigger(listing, body)
        return NewOrder(
            instrument=listing.instrument.id,
            side=side,
            kind=kind,
            lots=0 if spend else self._size(listing, body),
            price=limit,
            spend=spend,
            tif=tif if kind is Kind.LIMIT else Tif.GTC,
            reduce_only=_flag(body.get("reduceOnly")) or _flag(body.get("closeOnTrigger")),
            close_on_trigger=_flag(body.get("closeOnTrigger")),
            link_id=str(body.get("orderLinkId") or ""),
            trigger=trigger,
            stop_loss=self.price(listing, body.get("stopLoss")),
            take_profit=self.price(listing, body.get("takeProfit")),
            stop_by=self._kind(body.get("slTriggerBy")),
            profit_by=self._kind(body.get("tpTriggerBy")),
            origin=Origin.STOP if trigger is not None else Origin.USER,
        )

    def _size(self, listing: Listing, body: dict[str, Any]) -> int:
        """A size of 0 that only reduces and closes on trigger stands for the whole position."""
        lots = self.lots(listing, body.get("qty", ""))
        if lots == 0 and _flag(body.get("reduceOnly")) and _flag(body.get("closeOnTrigger")) and listing.role is Role.PERP:
            return abs(self.venue.account_exchange.account.position(listing.instrument.id).lots)
        return lots

    def _spend(self, listing: Listing, body: dict[str, Any], side: Side, kind: Kind) -> int:
        """A spot market buy gives what to spend unless it says otherwise."""
        if listing.role is Role.PERP or kind is Kind.LIMIT or body.get("marketUnit", "quoteCoin" if side is Side.BUY else "baseCoin") != "quoteCoin":
            return 0
        if side is Side.SELL:
            raise Refused(170130, "market sells by quote amount are not supported here; give the size in the base coin")
        return int(number(body.get("qty", "")) * Decimal(100_000_000))

    def _trigger(self, listing: Listing, body: dict[str, Any]) -> Trigger | None:
        ticks = self.price(listing, body.get("triggerPrice"))
        if not ticks:
            return None
        direction = str(body.get("triggerDirection") or "")
        if listing.role is Role.SPOT and not direction:
            direction = "1" if ticks > self.venue.depth.last(listing) else "2"
        if direction not in ("1", "2"):
            raise BadParameter(f"triggerDirection {direction!r} must be 1 (rises to) or 2 (falls to)")
        return Trigger(ticks, direction == "1", self._kind(body.get("triggerBy")))

    def _kind(self, word: object) -> PriceKind:
        kind = TRIGGER_WORDS.get(str(word or "LastPrice"))
        if kind is None:
            raise BadParameter(f"trigger by {word!r} is unknown, allowed are {', '.join(TRIGGER_WORDS)}")
        return kind

    def _order(self, listing: Listing, body: dict[str, Any]) -> Order | None:
        order_id, link_id = str(body.get("orderId") or ""), str(body.get("orderLinkId") or "")
        if not order_id and not link_id:
            raise BadParameter("params error: orderId or orderLinkId is required")
        found = self.venue.account_exchange.find(order_id, link_id, spot=listing.role is Role.SPOT)
        return found if found is not None and found.instrument == listing.instrument.id else None

    def cancel(self, body: dict[str, Any]) -> Json:
        """Cancel an order."""
        listing = self.listing(body)
        done = self.venue.account_exchange.cancel(self._order(listing, body))
        if isinstance(done, Refusal):
            raise self.refuse(done, listing)
        return {"orderId": done.id, "orderLinkId": done.link_id}

    def amend(self, body: dict[str, Any]) -> Json:
        """Change an open order."""
        listing = self.listing(body)
        done = self.venue.account_exchange.amend(
            self._order(listing, body),
            price=self.price(listing, body.get("price")),
            lots=self.lots(listing, body["qty"]) if body.get("qty") else 0,
            trigger=self.price(listing, body.get("triggerPrice")),
        )
        if isinstance(done, Refusal):
            raise self.refuse(done, listing)
        return {"orderId": done.id, "orderLinkId": done.link_id}

    def cancel_all(self, body: dict[str, Any]) -> Json:
        """Cancel all orders of a symbol or of all symbols that settle in a coin."""
        category = self.market.category(body)
        if category == "linear" and not any(body.get(name) for name in ("symbol", "settleCoin", "baseCoin")):
            raise BadParameter("params error: symbol or settleCoin or baseCoin is required")
        found = self.market.listed(category, body.get("symbol"))
        base, settle = body.get("baseCoin"), body.get("settleCoin")
        chosen = [each.instrument.id for each in found if base in (None, "", each.instrument.base) and settle in (None, "", each.instrument.quote)]
        scope = {"Order": Scope.ACTIVE, "StopOrder": Scope.CONDITIONAL}.get(str(body.get("orderFilter")), Scope.ALL)
        gone = self.venue.account_exchange.cancel_all(chosen, scope)
        return {"list": [{"orderId": each.id, "orderLinkId": each.link_id} for each in gone], "success": "1"}

    # -- positions ----------------------------------------------------------------------------------------------
    def set_leverage(self, body: dict[str, Any]) -> Json:
        """Set the leverage; both sides have the same in one-way mode."""
        listing = self._perpetual(body)
        buy, sell = number(body.get("buyLeverage", "")), number(body.get("sellLeverage", ""))
        if buy != sell or buy != buy.to_integral_value():
            raise BadParameter(f"buyLeverage {buy} and sellLeverage {sell} must be the same whole number")
        refusal = self.venue.account_exchange.set_leverage(listing.instrument.id, int(buy))
        if refusal is not None:
            raise self.refuse(refusal, listing)
        return {}

    def trading_stop(self, body: dict[str, Any]) -> Json:
        """Set, move or remove stop loss and take profit of a position. A missing field leaves what is there, "0" removes it."""
        listing = self._perpetual(body)
        if any(body.get(name) not in (None, "", "0") for name in ("trailingStop", "activePrice", "slLimitPrice", "tpLimitPrice")):
            raise BadParameter("trailing stops and limit orders as stop or target are not part of the box; set market stops")
        values = {name: self.price(listing, body[name]) if body.get(name) not in (None, "") else None for name in ("stopLoss", "takeProfit")}
        refusal = self.venue.account_exchange.protection.request(
            listing.instrument.id,
            stop_loss=values["stopLoss"],
            take_profit=values["takeProfit"],
            stop_by=self._kind(body.get("slTriggerBy")),
            profit_by=self._kind(body.get("tpTriggerBy")),
        )
        if refusal is not None:
            raise self.refuse(refusal, listing)
        return {}

    def switch_mode(self, body: dict[str, Any]) -> Json:
        """Answer a change of the position mode: one-way is the only one here."""
        if str(body.get("mode")) == "0":
            raise Refused(110025, "Position mode is not modified")
        raise Refused(110028, "hedge mode is not part of the box; use one-way mode (0)")

    def _perpetual(self, body: dict[str, Any]) -> Listing:
        listing = self.listing(body)
        if listing.instrument.venue != BYBIT_LINEAR:
            raise BadParameter(f"category {category_of(listing)} has no positions")
        return listing


def _flag(value: object) -> bool:
    return value is True or str(value).lower() == "true"
