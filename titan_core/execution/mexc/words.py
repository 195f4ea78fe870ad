"""MEXC contract's words and ours: order parameters out, reports in. Pure; everything that is not as the documents say raises `Unreadable`.

Sources: "Place order", "Get the user's current pending orders", "Get the user's current holding position", "Get all transaction details of the user's order",
"Get the Stop-Limit order list", and the private channels "Order", "Fill details", "Position" of the contract documents. The account is in one-way mode with
cross margin. Numbers come as JSON numbers and are read as Decimal; sizes are contracts, of which one is a lot of ours.

A frame of the private stream:
`{"channel":"push.personal.order","data":{"category":1,"createTime":1610005069976,"dealAvgPrice":0.731,"dealVol":1,"errorCode":0,"externalOid":"_m_95bc…",
"orderId":"102067003631907840","orderType":5,"side":4,"state":3,"symbol":"CRV_USDT","updateTime":1610005069983,"version":2,"vol":1,…},"ts":1610005069989}`
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from attrs import frozen

from titan_core.errors import Unreadable, UsageError
from titan_core.execution.mexc.ids import STOPS_OWN, client_id, external_id
from titan_core.execution.reports import NOT_OURS, Execution, ExecutionKind, OrderReport, PositionReport, WalletReport
from titan_core.model.enums import Liquidity, OrderType, TimeInForce
from titan_core.model.ids import ClientOrderId, InstrumentId, VenueId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Approved, Intent, OrderStatus
from titan_core.model.units import MONEY_PER_USDT, MS, Money

CONTRACT = VenueId("mexc-contract")

ONE_WAY, CROSS, LAST_PRICE, WHOLE_POSITION = 2, 2, 1, 2
"""`positionMode`, `openType`, `trend` and `volType` as we send them."""
MARKET = 5
_TYPES = {TimeInForce.GTC: 1, TimeInForce.IOC: 3, TimeInForce.FOK: 4}
POST_ONLY = 2
_SIDES = {1: 1, 2: 1, 3: -1, 4: -1}
"""1 opens a long, 2 closes a short: both buy. 3 opens a short, 4 closes a long: both sell."""
_CLOSING_SIDES = (2, 4)
_STATUS = {1: OrderStatus.OPEN, 2: OrderStatus.OPEN, 3: OrderStatus.FILLED, 4: OrderStatus.CANCELLED, 5: OrderStatus.REJECTED}
_KINDS = {1: ExecutionKind.TRADE, 2: ExecutionKind.LIQUIDATION, 3: ExecutionKind.SETTLEMENT, 4: ExecutionKind.ADL}
DUPLICATES = (22, 23)
"""`errorCode`s of an order that is void because another of the same id is there: it says nothing about that other one."""
_ERRORS = {
    1: "parameter invalid", 2: "balance insufficient", 3: "no position", 4: "position too small", 5: "position liquidated", 6: "order liquidated",
    7: "risk level", 8: "cancelled by the system", 9: "position mode differs", 10: "reduce-only liquidated", 11: "contract not enabled",
    12: "delisting", 13: "position liquidated", 14: "auto-deleveraging", 15: "account barred", 16: "funding", 17: "margin changed",
    18: "IOC not filled", 19: "FOK not filled", 20: "post-only would take", 21: "market order without liquidity", 22: "duplicate id", 23: "duplicate id",
}  # fmt: skip


class Contracts:
    """The instruments that we trade at MEXC, by the venue's symbol."""

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        """Index them."""
        self.all = tuple(instruments)
        self._known = {symbol(each): each for each in self.all}

    def find(self, name: Any) -> Instrument | None:
        """Return the instrument, or None where we do not trade it."""
        return self._known.get(name)


def symbol(instrument: Instrument) -> str:
    """Return the venue's symbol."""
    return f"{instrument.base}_{instrument.quote}"


# -- out --------------------------------------------------------------------------------------------------------------
def shortcoming(order: Intent) -> str:
    """Say why the venue has no words for an order, empty where it has them."""
    if order.trigger is not None or order.order_type not in (OrderType.MARKET, OrderType.LIMIT):
        return "its conditional orders carry no id of ours, so that one whose answer is lost might be placed twice; watch the price yourself"
    return ""


def order_parameters(approved: Approved, leverage: int | None = None) -> dict[str, Any]:
    """Return the parameters of `order/create`. Raises UsageError for what the venue has no words for: it must not be sent as something less."""
    order, lots = approved.intent, approved.signed_lots
    wanting = shortcoming(order)
    if wanting:
        raise UsageError(f"mexc: order {order.client_order_id} cannot be sent: {wanting}")
    parameters: dict[str, Any] = {
        "symbol": symbol(order.instrument),
        "side": ((2 if order.reduce_only else 1) if lots > 0 else (4 if order.reduce_only else 3)),
        "type": MARKET,
        "vol": abs(lots),
        "openType": CROSS,
        "positionMode": ONE_WAY,
        "externalOid": external_id(order.client_order_id),
    }
    if order.order_type is OrderType.LIMIT:
        assert order.limit is not None
        parameters["price"] = number(order.instrument.price(order.limit))
        parameters["type"] = POST_ONLY if order.post_only else _TYPES[order.time_in_force]
    if order.reduce_only:
        parameters["reduceOnly"] = True
    elif leverage is not None:
        parameters["leverage"] = leverage
    return parameters | stop_prices(order.instrument, order.stop, order.target)


def stop_prices(instrument: Instrument, stop: int | None, target: int | None) -> dict[str, Any]:
    """Return the parameters of those prices that there are; both are set off by the last price."""
    found: dict[str, Any] = {}
    if stop is not None:
        found |= {"stopLossPrice": number(instrument.price(stop)), "lossTrend": LAST_PRICE}
    if target is not None:
        found |= {"takeProfitPrice": number(instrument.price(target)), "profitTrend": LAST_PRICE}
    return found


def number(value: Decimal) -> int | float:
    """Write a JSON number: the venue's prices have fewer than 16 digits, so that nothing is lost."""
    return int(value) if value == value.to_integral_value() else float(value)


# -- in ---------------------------------------------------------------------------------------------------------------
def rows(data: Any, what: str) -> list[Mapping[str, Any]]:
    """Return a list of objects, also one that is wrapped as a page. Raises Unreadable where there is none: no data is never an empty list."""
    listed = data.get("resultList") if isinstance(data, Mapping) else data
    if not isinstance(listed, list) or not all(isinstance(row, Mapping) for row in listed):
        raise Unreadable(f"mexc {what}: expected a list of objects, found {str(data)[:120]!r}")
    return listed


def decimal(row: Mapping[str, Any], name: str, default: Decimal | None = None) -> Decimal:
    """Read a number, also one that is written as text. Raises Unreadable where there is none and no `default`."""
    value = row.get(name)
    if value is None and default is not None:
        return default
    try:
        found = Decimal(value) if isinstance(value, (int, str, Decimal)) and not isinstance(value, bool) else None
    except InvalidOperation:
        found = None
    if found is None or not found.is_finite():
        raise Unreadable(f"mexc: expected a number under {name!r}, found {value!r} in {str(row)[:200]}")
    return found


def whole(row: Mapping[str, Any], name: str, default: int | None = None) -> int:
    """Read a whole number."""
    found = decimal(row, name, None if default is None else Decimal(default))
    if found != found.to_integral_value():
        raise Unreadable(f"mexc: expected a whole number under {name!r}, found {found}")
    return int(found)


def ident(row: Mapping[str, Any], name: str) -> str:
    """Read an id of the venue: text or a number, according to endpoint and year."""
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value in ("", 0, "0"):
        raise Unreadable(f"mexc: expected an id under {name!r}, found {value!r} in {str(row)[:200]}")
    return str(value)


def _word(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unreadable(f"mexc: expected text under {name!r}, found {value!r} in {str(row)[:200]}")
    return value


def _money(amount: Decimal) -> Money:
    return Money(int((amount * MONEY_PER_USDT).to_integral_value()))


def _side(row: Mapping[str, Any]) -> int:
    side = whole(row, "side")
    if side not in _SIDES:
        raise Unreadable(f"mexc: a side is 1 to 4, found {side}")
    return side


def is_duplicate(row: Mapping[str, Any]) -> bool:
    """Whether an order is the void double of another one."""
    return whole(row, "errorCode", 0) in DUPLICATES


def order_report(instrument: Instrument, row: Mapping[str, Any]) -> OrderReport:
    """Read one order of the stream or of REST."""
    state = whole(row, "state")
    status = _STATUS.get(state)
    if status is None:
        raise Unreadable(f"mexc: an order's state is 1 to 5, found {state}")
    filled, lots, side = whole(row, "dealVol"), whole(row, "vol"), _side(row)
    if not 0 <= filled <= lots:
        raise Unreadable(f"mexc: {filled} of {lots} contracts are filled, which cannot be")
    if status is OrderStatus.OPEN and filled:
        status = OrderStatus.PARTIALLY_FILLED
    elif filled < lots and status is OrderStatus.FILLED or filled and status is OrderStatus.REJECTED:
        status = OrderStatus.CANCELLED
    return OrderReport(
        client_order_id=client_id(_word(row, "externalOid")),
        venue_order_id=ident(row, "orderId"),
        instrument=instrument.id,
        signed_lots=lots * _SIDES[side],
        status=status,
        filled_lots=filled,
        reduce_only=side in _CLOSING_SIDES or row.get("reduceOnly") is True,
        ts_event_ns=whole(row, "updateTime") * MS,
        reason=_reason(row),
    )


def _reason(row: Mapping[str, Any]) -> str:
    code = whole(row, "errorCode", 0)
    return _ERRORS.get(code, f"error {code}") if code else ""


def plan_report(instrument: Instrument, row: Mapping[str, Any]) -> OrderReport:
    """Read a conditional order that waits; somebody has placed it by hand."""
    side = _side(row)
    return OrderReport(
        client_order_id=NOT_OURS,
        venue_order_id=ident(row, "id"),
        instrument=instrument.id,
        signed_lots=whole(row, "vol") * _SIDES[side],
        status=OrderStatus.OPEN,
        filled_lots=0,
        reduce_only=side in _CLOSING_SIDES or row.get("reduceOnly") is True,
        ts_event_ns=whole(row, "updateTime", 0) * MS,
    )


@frozen
class RestingStop:
    """A stop, a target or both that rest on a position; ticks."""

    ident: str
    instrument: InstrumentId
    is_long: bool
    lots: int
    stop: int | None
    target: int | None
    ts_event_ns: int

    def report(self) -> OrderReport:
        """Return it as an order, which it becomes when its price comes."""
        return OrderReport(
            client_order_id=NOT_OURS,
            venue_order_id=self.ident,
            instrument=self.instrument,
            signed_lots=-self.lots if self.is_long else self.lots,
            status=OrderStatus.OPEN,
            filled_lots=0,
            reduce_only=True,
            is_protective=True,
            ts_event_ns=self.ts_event_ns,
        )


def resting_stop(instrument: Instrument, row: Mapping[str, Any]) -> RestingStop | None:
    """Read one row of `stoporder/list/orders`; None where it has ended."""
    if whole(row, "isFinished", 0) or whole(row, "state", 1) != 1:
        return None
    prices = [decimal(row, name, Decimal(0)) for name in ("stopLossPrice", "takeProfitPrice")]
    stop, target = (instrument.ticks_nearest(price) if price else None for price in prices)
    return RestingStop(
        ident=ident(row, "id"),
        instrument=instrument.id,
        is_long=_is_long(row),
        lots=whole(row, "vol"),
        stop=stop,
        target=target,
        ts_event_ns=whole(row, "updateTime", 0) * MS,
    )


def _is_long(row: Mapping[str, Any]) -> bool:
    kind = whole(row, "positionType")
    if kind not in (1, 2):
        raise Unreadable(f"mexc: a position is of type 1 (long) or 2 (short), found {kind}")
    return kind == 1


def execution(instrument: Instrument, row: Mapping[str, Any], external: str) -> Execution:
    """Read one execution. Its order's id is handed in: older answers have none."""
    kind = _KINDS.get(whole(row, "category"))
    if kind is None:
        raise Unreadable(f"mexc: an order's category is 1 to 4, found {row.get('category')!r}")
    owner = client_id(external)
    if kind is ExecutionKind.SETTLEMENT and owner != NOT_OURS:
        kind = ExecutionKind.TRADE  # "close delegate" is also said of closing orders
    if kind is ExecutionKind.TRADE and external.startswith(STOPS_OWN):
        kind = ExecutionKind.STOP
    if row.get("feeCurrency") not in (None, "", instrument.quote):
        raise Unreadable(f"mexc: the fee of {instrument.symbol} is in {row.get('feeCurrency')!r}, expected {instrument.quote}")
    taker = row.get("isTaker", row.get("taker"))
    return Execution(
        execution_id=ident(row, "id"),
        client_order_id=owner if kind is ExecutionKind.TRADE else NOT_OURS,
        venue_order_id=ident(row, "orderId"),
        instrument=instrument.id,
        signed_lots=whole(row, "vol") * _SIDES[_side(row)],
        price=instrument.ticks_nearest(decimal(row, "price")),
        fee=_money(decimal(row, "fee")),
        liquidity=Liquidity.MAKER if taker is False else Liquidity.TAKER,
        kind=kind,
        ts_event_ns=whole(row, "timestamp") * MS,
    )


@frozen
class HeldPosition:
    """An open position, and what the venue calls it."""

    ident: str
    report: PositionReport


def position(instrument: Instrument, row: Mapping[str, Any]) -> HeldPosition | None:
    """Read one position; None where it is flat. Raises Unreadable for a hedged account: Titan knows one-way mode only."""
    if whole(row, "positionMode", ONE_WAY) != ONE_WAY:
        raise Unreadable(f"mexc: {instrument.symbol} is in hedge mode (positionMode 1); switch the account to one-way mode while flat")
    lots, is_long = whole(row, "holdVol"), _is_long(row)
    if not lots:
        return None
    return HeldPosition(
        ident(row, "positionId"),
        PositionReport(
            instrument=instrument.id,
            signed_lots=lots if is_long else -lots,
            entry_price=f"{decimal(row, 'holdAvgPrice'):f}",
            leverage=whole(row, "leverage"),
        ),
    )


def wallet(assets: list[Mapping[str, Any]]) -> WalletReport:
    """Read `account/assets`. Cash is what the account would be worth with nothing open: `cashBalance` is what may be withdrawn, which is less."""
    usdt, coins = None, {}
    for row in assets:
        coin, worth = _word(row, "currency"), decimal(row, "equity")
        if not coin:
            raise Unreadable(f"mexc: expected a currency in {str(row)[:120]}")
        if coin == "USDT":
            usdt = (_money(worth), _money(worth - decimal(row, "unrealized")))
        elif worth:
            coins[coin] = f"{worth:f}"
    if usdt is None:
        raise Unreadable(f"mexc: expected USDT among the assets, found {', '.join(coins) or 'none'}")
    return WalletReport(equity=usdt[0], cash=usdt[1], coins=coins)


def order_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return the venue's id of an order and ours as the venue writes it."""
    return ident(row, "orderId"), _word(row, "externalOid")


def client_order(row: Mapping[str, Any]) -> ClientOrderId:
    """Return our id of an order."""
    return client_id(_word(row, "externalOid"))
