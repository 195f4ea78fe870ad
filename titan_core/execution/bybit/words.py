"""Bybit V5's words and ours: order parameters out, reports in. Pure; everything that is not as the documents say raises `Unreadable`.

Sources: "Place Order", "Get Open & Closed Orders", "Get Position Info", "Get Execution", "Wallet Balance", and the private streams "Order", "Execution",
"Position", "Wallet" of the V5 documents.

A frame of the private stream:
`{"topic":"execution","id":"…","creationTime":1746270400355,"data":[{"category":"linear","symbol":"BTCUSDT","execFee":"26.3725275","execId":"0ab1…",
"execPrice":"95900.1","execQty":"0.5","execType":"Trade","orderLinkId":"test-order-link-001","side":"Sell","isMaker":false,"execTime":"1746270400353",…}]}`
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from titan_core.errors import Unreadable, UsageError
from titan_core.execution.reports import NOT_OURS, Execution, ExecutionKind, OrderReport, PositionReport, WalletReport
from titan_core.model.enums import InstrumentKind, Liquidity, OrderType, TimeInForce
from titan_core.model.ids import ClientOrderId, VenueId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Approved, Intent, OrderStatus
from titan_core.model.units import MONEY_PER_USDT, MS, Money

LINEAR, SPOT = VenueId("bybit-linear"), VenueId("bybit-spot")
CATEGORY = {LINEAR: "linear", SPOT: "spot"}
VENUE = {category: venue for venue, category in CATEGORY.items()}

_STATUS = {
    "Created": OrderStatus.OPEN,
    "New": OrderStatus.OPEN,
    "Untriggered": OrderStatus.OPEN,
    "Triggered": OrderStatus.OPEN,
    "Active": OrderStatus.OPEN,
    "PartiallyFilled": OrderStatus.PARTIALLY_FILLED,
    "Filled": OrderStatus.FILLED,
    "Cancelled": OrderStatus.CANCELLED,
    "PartiallyFilledCanceled": OrderStatus.CANCELLED,
    "Deactivated": OrderStatus.CANCELLED,
    "Rejected": OrderStatus.REJECTED,
}
_KIND = {
    "Trade": ExecutionKind.TRADE,
    "AdlTrade": ExecutionKind.ADL,
    "BustTrade": ExecutionKind.LIQUIDATION,
    "Funding": ExecutionKind.FUNDING,
    "Delivery": ExecutionKind.SETTLEMENT,
    "Settle": ExecutionKind.SETTLEMENT,
}
_STOPS = frozenset(("StopLoss", "TakeProfit", "PartialStopLoss", "PartialTakeProfit", "TrailingStop", "tpslOrder"))
_TIF = {TimeInForce.GTC: "GTC", TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK"}


class Instruments:
    """The instruments that we trade at Bybit, by category and symbol."""

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        """Index them."""
        self.all = tuple(instruments)
        self._known = {(CATEGORY[i.venue], i.symbol): i for i in self.all}

    def find(self, category: Any, symbol: Any) -> Instrument | None:
        """Return the instrument, or None where we do not trade it."""
        return self._known.get((category, symbol))

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories that occur."""
        return tuple(dict.fromkeys(category for category, _ in self._known))


# -- out --------------------------------------------------------------------------------------------------------------
def order_parameters(approved: Approved) -> dict[str, Any]:
    """Return the parameters of `order/create`. Raises UsageError for what the venue has no words for: it must not be sent as something less."""
    order, lots = approved.intent, approved.signed_lots
    instrument, limit = order.instrument, order.order_type is OrderType.LIMIT
    parameters: dict[str, Any] = {
        "category": CATEGORY[instrument.venue],
        "symbol": instrument.symbol,
        "side": "Buy" if lots > 0 else "Sell",
        "orderType": "Limit" if limit else "Market",
        "qty": plain(instrument.quantity(abs(lots))),
        "orderLinkId": order.client_order_id,
    }
    if limit:
        assert order.limit is not None
        parameters["price"] = plain(instrument.price(order.limit))
        parameters["timeInForce"] = "PostOnly" if order.post_only else _TIF[order.time_in_force]
    return parameters | (_of_perp(order, lots) if instrument.is_perp else _of_spot(order))


def _of_perp(order: Intent, lots: int) -> dict[str, Any]:
    parameters: dict[str, Any] = {"positionIdx": 0}
    if order.reduce_only:
        parameters["reduceOnly"] = True
    if order.trigger is not None:
        rises = (lots > 0) == (order.order_type is OrderType.STOP)
        parameters |= {"triggerPrice": plain(order.instrument.price(order.trigger)), "triggerDirection": 1 if rises else 2, "triggerBy": "LastPrice"}
    if order.stop is not None or order.target is not None:
        parameters |= _protection(order.instrument, order.stop, order.target)
    return parameters


def _of_spot(order: Intent) -> dict[str, Any]:
    """Spot knows neither position nor stops that rest on it; a sale without borrowing can only reduce."""
    if order.trigger is not None or order.stop is not None or order.target is not None:
        raise UsageError(f"bybit spot: order {order.client_order_id} has a trigger, stop or target, which nothing at the venue would watch; watch it yourself")
    return {} if order.order_type is OrderType.LIMIT else {"marketUnit": "baseCoin"}


def _protection(instrument: Instrument, stop: int | None, target: int | None) -> dict[str, Any]:
    return {
        "tpslMode": "Full",
        "stopLoss": "0" if stop is None else plain(instrument.price(stop)),
        "slTriggerBy": "LastPrice",
        "takeProfit": "0" if target is None else plain(instrument.price(target)),
        "tpTriggerBy": "LastPrice",
    }


def protection_parameters(instrument: Instrument, stop: int | None, target: int | None) -> dict[str, Any]:
    """Return the parameters of `position/trading-stop`; None takes one off."""
    return {"category": CATEGORY[instrument.venue], "symbol": instrument.symbol, "positionIdx": 0} | _protection(instrument, stop, target)


def plain(number: Decimal) -> str:
    """Write a number without exponent and without trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


# -- in ---------------------------------------------------------------------------------------------------------------
def rows(result: Any, what: str) -> list[Mapping[str, Any]]:
    """Return the `list` of a result. Raises Unreadable where there is none: an empty or broken body is never an empty list."""
    listed = result.get("list") if isinstance(result, Mapping) else None
    if not isinstance(listed, list) or not all(isinstance(row, Mapping) for row in listed):
        raise Unreadable(f"bybit {what}: expected an object with a list of objects, found {str(result)[:120]!r}")
    return listed


def _word(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise Unreadable(f"bybit: expected text under {name!r}, found {value!r} in {str(row)[:200]}")
    return value


def _number(row: Mapping[str, Any], name: str) -> Decimal:
    word = _word(row, name)
    try:
        number = Decimal(word or "0")
    except InvalidOperation:
        raise Unreadable(f"bybit: expected a number under {name!r}, found {word!r}") from None
    if not number.is_finite():
        raise Unreadable(f"bybit: expected a number under {name!r}, found {word!r}")
    return number


def _lots(instrument: Instrument, row: Mapping[str, Any], name: str) -> int:
    try:
        return instrument.lots(_number(row, name))
    except UsageError as error:
        raise Unreadable(f"bybit: {error}") from None


def _money(number: Decimal) -> Money:
    return Money(int((number * MONEY_PER_USDT).to_integral_value()))


def _sign(row: Mapping[str, Any]) -> int:
    side = _word(row, "side")
    if side not in ("Buy", "Sell"):
        raise Unreadable(f"bybit: a side is Buy or Sell, found {side!r}")
    return 1 if side == "Buy" else -1


def order_report(instrument: Instrument, row: Mapping[str, Any]) -> OrderReport:
    """Read one order of the stream or of `order/realtime`."""
    word = _word(row, "orderStatus")
    status = _STATUS.get(word)
    if status is None:
        raise Unreadable(f"bybit: unknown order status {word!r}")
    filled, lots = _lots(instrument, row, "cumExecQty"), _lots(instrument, row, "qty")
    if status is OrderStatus.CANCELLED and row.get("cancelType") == "CancelByDeactivate":
        status = OrderStatus.EXPIRED
    return OrderReport(
        client_order_id=ClientOrderId(_word(row, "orderLinkId")),
        venue_order_id=_word(row, "orderId"),
        instrument=instrument.id,
        signed_lots=lots * _sign(row),
        status=OrderStatus.PARTIALLY_FILLED if status is OrderStatus.OPEN and filled else status,
        filled_lots=filled,
        reduce_only=bool(row.get("reduceOnly", False)),
        is_protective=row.get("stopOrderType") in _STOPS,
        ts_event_ns=int(_number(row, "updatedTime")) * MS,
        reason=_reason(row),
    )


def _reason(row: Mapping[str, Any]) -> str:
    words = (str(row.get(name) or "") for name in ("rejectReason", "cancelType"))
    return ", ".join(word for word in words if word and word not in ("EC_NoError", "UNKNOWN"))


def execution(instrument: Instrument, row: Mapping[str, Any]) -> Execution:
    """Read one execution. The fee of a spot purchase, which is taken in coin, is valued at the price of the execution."""
    kind = _KIND.get(_word(row, "execType"))
    if kind is None:
        raise Unreadable(f"bybit: unknown execution type {row.get('execType')!r}")
    if kind is ExecutionKind.TRADE and row.get("stopOrderType") in _STOPS:
        kind = ExecutionKind.STOP
    price, fee = _number(row, "execPrice"), _number(row, "execFee")
    if row.get("feeCurrency") == instrument.base and instrument.kind is InstrumentKind.SPOT:
        fee *= price
    return Execution(
        execution_id=_word(row, "execId"),
        client_order_id=ClientOrderId(_word(row, "orderLinkId")) if kind is ExecutionKind.TRADE else NOT_OURS,
        venue_order_id=_word(row, "orderId"),
        instrument=instrument.id,
        signed_lots=_lots(instrument, row, "execQty") * _sign(row),
        price=instrument.ticks_nearest(price),
        fee=_money(fee),
        liquidity=Liquidity.MAKER if row.get("isMaker") is True else Liquidity.TAKER,
        kind=kind,
        ts_event_ns=int(_number(row, "execTime")) * MS,
    )


def position(instrument: Instrument, row: Mapping[str, Any]) -> PositionReport | None:
    """Read one position; None where it is flat. Raises Unreadable for a hedged one: Titan knows one-way mode only."""
    if row.get("positionIdx") not in (0, None):
        raise Unreadable(f"bybit: {instrument.symbol} is in hedge mode (positionIdx {row.get('positionIdx')}); switch the account to one-way mode while flat")
    lots = _lots(instrument, row, "size")
    if not lots:
        return None
    stop, target = _number(row, "stopLoss"), _number(row, "takeProfit")
    return PositionReport(
        instrument=instrument.id,
        signed_lots=lots * _sign(row),
        entry_price=str(row.get("avgPrice") or row.get("entryPrice") or "0"),
        leverage=int(_number(row, "leverage")),
        stop=instrument.ticks_nearest(stop) if stop else None,
        target=instrument.ticks_nearest(target) if target else None,
    )


def wallet(row: Mapping[str, Any]) -> WalletReport:
    """Read one account of `account/wallet-balance` or of the wallet stream."""
    coins = row.get("coin")
    if not isinstance(coins, list):
        raise Unreadable(f"bybit: expected a list of coins in the wallet, found {str(coins)[:80]!r}")
    held = {_word(coin, "coin"): _number(coin, "walletBalance") for coin in coins}
    return WalletReport(
        equity=_money(_number(row, "totalEquity")),
        cash=_money(held.pop("USDT", Decimal(0))),
        coins={coin: plain(quantity) for coin, quantity in held.items() if quantity},
    )
