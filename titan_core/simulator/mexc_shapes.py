"""MEXC contract: how the exchange's objects look on the wire, and the codes of refusals. Numbers are JSON numbers, sizes are contracts."""

from decimal import Decimal
from typing import Any

from titan_core.model.enums import Side
from titan_core.model.units import MS, ceil_div, to_usdt
from titan_core.simulator.account import QUOTE, Account, Margin
from titan_core.simulator.listings import Listing, Trading
from titan_core.simulator.orders import Execution, Kind, Order, Origin, Reason, Status, Tif
from titan_core.simulator.positions import Position
from titan_core.simulator.venue import Venue
from titan_core.simulator.wire import Credential

Json = dict[str, Any]

STATES = {Status.UNTRIGGERED: 1, Status.NEW: 2, Status.PARTIALLY_FILLED: 2, Status.FILLED: 3, Status.CANCELLED: 4, Status.REJECTED: 5, Status.DEACTIVATED: 4}
ORDER_TYPES = {Tif.GTC: 1, Tif.POST_ONLY: 2, Tif.IOC: 3, Tif.FOK: 4}
MARKET_TYPE = 5
CATEGORIES = {Origin.LIQUIDATION: 2, Origin.SETTLEMENT: 3, Origin.ADL: 4}
"""1 is a limit order, 2 the system's take-over, 3 a close at delisting, 4 auto-deleveraging."""
FIRST_POSITION = 1_394_000

CODES: dict[Reason, tuple[int, str]] = {
    Reason.DUPLICATE_ID: (603, "Repeated request"),
    Reason.UNKNOWN_ORDER: (2040, "order not exist"),
    Reason.ORDER_DONE: (2041, "order state cannot be cancelled"),
    Reason.MARGIN: (2005, "Balance insufficient"),
    Reason.REDUCE_ONLY: (2009, "Position is not exists or closed."),
    Reason.NO_POSITION: (2009, "Position is not exists or closed."),
    Reason.BAD_PRICE: (2007, "Order price error"),
    Reason.BAD_SIZE: (2011, "Order quantity error"),
    Reason.TOO_LARGE: (2028, "Exceeding the maximum order quantity"),
    Reason.BELOW_MINIMUM: (2011, "Order quantity error, the value is below the minimum"),
    Reason.NOT_TRADING: (1002, "Contract not activated"),
    Reason.UNKNOWN_SYMBOL: (1001, "Contract not exists"),
    Reason.LEVERAGE_RANGE: (2006, "Leverage ratio error"),
    Reason.TOO_MANY_ORDERS: (2014, "Too many orders"),
    Reason.TRIGGER_SIDE: (5003, "The trigger price is on the wrong side of the last price"),
    Reason.STOP_SIDE: (5001, "The stop-limit price is set incorrectly"),
}


def price(listing: Listing, ticks: int) -> float:
    """Return a price."""
    return float(listing.px(ticks))


def money(amount: int) -> float:
    """Return an amount."""
    return float(to_usdt(amount))


def average(listing: Listing, value: int, lots: int) -> float:
    """Return the average price of fills."""
    if not lots:
        return 0.0
    exact = Decimal(value) / (Decimal(lots) * listing.instrument.money_per_tick_lot) * listing.instrument.tick_size
    return float(exact.quantize(Decimal("1e-8")))


def side_of(order: Order) -> int:
    """Return 1 open long, 2 close short, 3 open short, 4 close long."""
    if order.side is Side.BUY:
        return 2 if order.request.reduce_only else 1
    return 4 if order.request.reduce_only else 3


def external(order: Order) -> str:
    """Return the client's id of an order, or the one that the venue gives."""
    stops = {Origin.STOP_LOSS: "STOP_LOSS", Origin.TAKE_PROFIT: "TAKE_PROFIT"}
    if order.request.origin in stops:
        return f"stoporder_{stops[order.request.origin]}_{order.number}"
    return order.link_id or f"_m_{order.number:032x}"


def order_shape(venue: Venue, order: Order) -> Json:
    """Return an order."""
    listing = venue.listings[order.instrument]
    position = venue.account_exchange.account.positions.get(order.instrument)
    market = order.request.kind is Kind.MARKET
    locked = venue.account_exchange.account.order_margin(order) if order.is_open and order.status is not Status.UNTRIGGERED else 0
    return {
        "orderId": order.id,
        "symbol": listing.symbol,
        "positionId": FIRST_POSITION + (position.number if position is not None else 0),
        "price": price(listing, order.price or order.last_on_created),
        "vol": order.lots,
        "leverage": order.leverage,
        "side": side_of(order),
        "category": CATEGORIES.get(order.request.origin, 1),
        "orderType": MARKET_TYPE if market else ORDER_TYPES[order.request.tif],
        "dealAvgPrice": average(listing, order.value, order.filled),
        "dealVol": order.filled,
        "orderMargin": money(locked),
        "takerFee": money(order.fee - order.maker_fee),
        "makerFee": money(order.maker_fee),
        "profit": money(order.profit),
        "feeCurrency": QUOTE,
        "openType": 2,
        "state": STATES[order.status],
        "externalOid": external(order),
        "errorCode": 0,
        "usedMargin": money(ceil_div(order.value, order.leverage)),
        "createTime": order.created_ns // MS,
        "updateTime": order.updated_ns // MS,
        "positionMode": 2,
        "reduceOnly": order.request.reduce_only,
        "stopLossPrice": price(listing, order.stop_loss) if order.stop_loss else 0.0,
        "takeProfitPrice": price(listing, order.take_profit) if order.take_profit else 0.0,
    }


def order_event(venue: Venue, order: Order) -> Json:
    """Return an order as it is pushed."""
    shape = order_shape(venue, order)
    return shape | {"remainVol": order.remaining if order.is_open else 0, "version": order.version}


def deal_shape(venue: Venue, execution: Execution) -> Json:
    """Return a fill."""
    listing = venue.listings[execution.instrument]
    return {
        "id": execution.id,
        "symbol": listing.symbol,
        "side": side_of(execution.order),
        "vol": execution.lots,
        "price": price(listing, execution.price),
        "fee": money(execution.fee),
        "feeCurrency": execution.fee_coin,
        "profit": money(execution.profit),
        "isTaker": not execution.maker,
        "taker": not execution.maker,
        "category": CATEGORIES.get(execution.order.request.origin, 1),
        "orderId": execution.order.id,
        "externalOid": external(execution.order),
        "timestamp": execution.ts_ns // MS,
        "positionMode": 2,
        "reduceOnly": execution.order.request.reduce_only,
    }


def listed_deal_shape(venue: Venue, execution: Execution) -> Json:
    """Return a fill as lists have it: without what only the stream tells."""
    return {name: value for name, value in deal_shape(venue, execution).items() if name not in ("externalOid", "positionMode", "reduceOnly", "taker")}


def key_shape(credential: Credential) -> Json:
    """Return what an API key may do."""
    may = ["SPOT_ACCOUNT_READ", "CONTRACT_ACCOUNT_READ", "CONTRACT_DEAL_READ"]
    may += ["CONTRACT_ACCOUNT_WRITE", "CONTRACT_DEAL_WRITE"] if credential.may_trade else []
    may += ["SPOT_WITHDRAW_READ", "SPOT_WITHDRAW_WRITE"] if credential.may_withdraw else []
    return {
        "note": "titan",
        "accessKey": credential.key,
        "createTime": "2024-01-01T00:00:00.000+00:00",
        "permissions": ",".join(may),
        "remainingValidity": 82,
        "ipWhiteList": ",".join(credential.addresses),
        "status": "VALID",
    }


def position_shape(account: Account, listing: Listing, position: Position, margin: Margin) -> Json:
    """Return a position."""
    liquidation = account.liquidation_price(position, margin) if position.lots else 0
    value = listing.instrument.notional(position.lots, account.depth.marks(listing)[0])
    initial = money(ceil_div(value, position.leverage))
    entry = average(listing, position.entry_value, abs(position.lots))
    return {
        "positionId": FIRST_POSITION + position.number,
        "symbol": listing.symbol,
        "positionType": 2 if position.lots < 0 else 1,
        "openType": 2,
        "state": 1 if position.lots else 3,
        "holdVol": abs(position.lots),
        "frozenVol": 0,
        "closeVol": position.closed_lots,
        "holdAvgPrice": entry,
        "openAvgPrice": entry,
        "closeAvgPrice": average(listing, position.closed_value, position.closed_lots),
        "liquidatePrice": price(listing, liquidation),
        "oim": initial,
        "im": initial,
        "holdFee": money(-position.funding),
        "realised": money(position.realised),
        "leverage": position.leverage,
        "createTime": position.created_ns // MS,
        "updateTime": (position.updated_ns or position.created_ns) // MS,
        "autoAddIm": False,
    }


def asset_shape(account: Account, margin: Margin) -> Json:
    """Return the account."""
    return {
        "currency": QUOTE,
        "positionMargin": money(margin.position_margin),
        "availableBalance": money(margin.available),
        "cashBalance": money(margin.cash),
        "frozenBalance": money(margin.order_margin),
        "equity": money(margin.equity),
        "unrealized": money(margin.unrealised),
        "bonus": 0,
    }


def contract_shape(listing: Listing, number: int) -> Json:
    """Return a contract's rules."""
    instrument = listing.instrument
    initial, maintenance = 1 / instrument.max_leverage, instrument.maintenance_margin_bps / 10_000
    return {
        "symbol": listing.symbol,
        "displayName": listing.symbol,
        "displayNameEn": listing.symbol,
        "positionOpenType": 3,
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "settleCoin": instrument.quote,
        "contractSize": float(instrument.lot_size),
        "minLeverage": 1,
        "maxLeverage": instrument.max_leverage,
        "priceScale": listing.px.decimals,
        "volScale": 0,
        "amountScale": 4,
        "priceUnit": float(instrument.tick_size),
        "volUnit": 1,
        "minVol": 1,
        "maxVol": listing.max_market_lots * 10,
        "bidLimitPriceRate": 0.1,
        "askLimitPriceRate": 0.1,
        "takerFeeRate": instrument.taker_fee_ppm / 1_000_000,
        "makerFeeRate": instrument.maker_fee_ppm / 1_000_000,
        "maintenanceMarginRate": maintenance,
        "initialMarginRate": initial,
        "riskBaseVol": listing.max_market_lots * 10,
        "riskIncrVol": listing.max_market_lots * 10,
        "riskIncrMmr": maintenance,
        "riskIncrImr": initial,
        "riskLevelLimit": 1,
        "priceCoefficientVariation": 0.1,
        "indexOrigin": ["BYBIT", "BINANCE", "MEXC"],
        "state": 0 if listing.trading is Trading.OPEN else 3,
        "isNew": False,
        "isHot": number == 0,
        "isHidden": False,
        "apiAllowed": True,
    }
