"""Bybit V5: how the exchange's objects look on the wire, and the codes of refusals.

Keys and types are those of recorded answers; Bybit writes numbers as text and leaves out what does not apply as an empty text.
"""

from decimal import Decimal
from typing import Any

from titan_core.model.enums import Side
from titan_core.model.units import MS, RATE_SCALE, ceil_div
from titan_core.simulator.account import QUOTE, Account, Margin
from titan_core.simulator.listings import BYBIT_LINEAR, BYBIT_SPOT, Listing, Role, coins
from titan_core.simulator.orders import Execution, FillKind, Kind, Order, Origin, PriceKind, Reason, Status, Tif
from titan_core.simulator.positions import Position
from titan_core.simulator.venue import Venue

Json = dict[str, Any]

CATEGORIES = {"linear": BYBIT_LINEAR, "spot": BYBIT_SPOT}
SIDES = {Side.BUY: "Buy", Side.SELL: "Sell"}
TIFS = {Tif.GTC: "GTC", Tif.IOC: "IOC", Tif.FOK: "FOK", Tif.POST_ONLY: "PostOnly"}
TRIGGERS = {PriceKind.LAST: "LastPrice", PriceKind.MARK: "MarkPrice", PriceKind.INDEX: "IndexPrice"}
STATUSES = {
    Status.UNTRIGGERED: "Untriggered",
    Status.NEW: "New",
    Status.PARTIALLY_FILLED: "PartiallyFilled",
    Status.FILLED: "Filled",
    Status.CANCELLED: "Cancelled",
    Status.REJECTED: "Rejected",
    Status.DEACTIVATED: "Deactivated",
}
EXEC_TYPES = {
    FillKind.TRADE: "Trade",
    FillKind.ADL: "AdlTrade",
    FillKind.LIQUIDATION: "BustTrade",
    FillKind.FUNDING: "Funding",
    FillKind.SETTLEMENT: "Settle",
}
CREATE_TYPES = {
    Origin.USER: "CreateByUser",
    Origin.MANUAL: "CreateByUser",
    Origin.STOP: "CreateByUser",
    Origin.STOP_LOSS: "CreateByStopLoss",
    Origin.TAKE_PROFIT: "CreateByTakeProfit",
    Origin.LIQUIDATION: "CreateByLiq",
    Origin.ADL: "CreateByAdl_PassThrough",
    Origin.SETTLEMENT: "CreateBySettle",
}
CANCEL_TYPES = {
    Reason.BY_USER: "CancelByUser",
    Reason.BY_LIQUIDATION: "CancelByPrepareLiq",
    Reason.BY_DELISTING: "CancelByAdmin",
    Reason.BY_REDUCE_ONLY: "CancelByReduceOnly",
    Reason.BY_STOP: "CancelByTpSlTsClear",
}
REJECTS = {Reason.WOULD_TAKE: "EC_PostOnlyWillTakeLiquidity", Reason.NO_LIQUIDITY: "EC_NoImmediateQtyToFill", Reason.MARGIN: "EC_NoEnoughBalance"}

CODES: dict[Reason, tuple[int, int]] = {
    Reason.DUPLICATE_ID: (110072, 170141),
    Reason.UNKNOWN_ORDER: (110001, 170213),
    Reason.ORDER_DONE: (110001, 170213),
    Reason.MARGIN: (110007, 170131),
    Reason.REDUCE_ONLY: (110017, 170130),
    Reason.BAD_PRICE: (110003, 170132),
    Reason.BAD_SIZE: (10001, 170136),
    Reason.TOO_LARGE: (10001, 170135),
    Reason.BELOW_MINIMUM: (110094, 170140),
    Reason.NOT_TRADING: (110074, 170121),
    Reason.UNKNOWN_SYMBOL: (10001, 170121),
    Reason.LEVERAGE_SAME: (110043, 110043),
    Reason.LEVERAGE_RANGE: (110013, 110013),
    Reason.TOO_MANY_ORDERS: (110009, 170124),
    Reason.TRIGGER_SIDE: (110092, 170193),
    Reason.STOP_SIDE: (10001, 10001),
    Reason.NOT_MODIFIED: (34040, 34040),
    Reason.NO_POSITION: (10001, 10001),
}
"""Refusals of linear and of spot orders."""
MESSAGES = {
    Reason.DUPLICATE_ID: "OrderLinkedID is duplicate",
    Reason.UNKNOWN_ORDER: "order not exists or too late to cancel",
    Reason.ORDER_DONE: "order not exists or too late to cancel",
    Reason.MARGIN: "ab not enough for new order",
    Reason.LEVERAGE_SAME: "leverage not modified",
}


def refusal_code(reason: Reason, role: Role, *, rising: bool = True) -> int:
    """Return Bybit's code of a refusal."""
    linear, spot = CODES.get(reason, (10001, 10001))
    if reason is Reason.TRIGGER_SIDE and role is Role.PERP and not rising:
        return 110093
    return linear if role is Role.PERP else spot


def price(listing: Listing, ticks: int, empty: str = "") -> str:
    """Write a price, or what stands for none."""
    return listing.px(ticks) if ticks else empty


def average(listing: Listing, value: int, lots: int) -> str:
    """Write the average price of fills."""
    if not lots:
        return ""
    exact = Decimal(value) / (Decimal(lots) * listing.instrument.money_per_tick_lot) * listing.instrument.tick_size
    return format(exact.quantize(Decimal("1e-8")).normalize(), "f")


def order_shape(listing: Listing, order: Order) -> Json:
    """Return an order as `order/realtime` and the order stream have in common."""
    request, conditional = order.request, order.trigger is not None
    left = order.remaining if order.is_open else 0
    stop = {Origin.STOP_LOSS: "StopLoss", Origin.TAKE_PROFIT: "TakeProfit"}.get(request.origin, "Stop" if conditional else "")
    is_market = request.kind is Kind.MARKET
    return {
        "orderId": order.id,
        "orderLinkId": order.link_id,
        "blockTradeId": "",
        "symbol": listing.symbol,
        "price": listing.px(order.price),
        "qty": listing.qty(order.lots),
        "side": SIDES[order.side],
        "isLeverage": "0" if listing.role is Role.SPOT else "",
        "positionIdx": 0,
        "orderStatus": status_of(listing, order),
        "cancelType": CANCEL_TYPES.get(order.reason, "UNKNOWN"),
        "rejectReason": REJECTS.get(order.reason, "EC_NoError"),
        "avgPrice": average(listing, order.value, order.filled),
        "leavesQty": listing.qty(left),
        "leavesValue": coins(listing.instrument.notional(left, order.price or order.last_on_created)),
        "cumExecQty": listing.qty(order.filled),
        "cumExecValue": coins(order.value),
        "cumExecFee": coins(order.fee),
        "timeInForce": "IOC" if is_market else TIFS[request.tif],
        "orderType": "Market" if is_market else "Limit",
        "stopOrderType": stop,
        "orderIv": "",
        "triggerPrice": price(listing, order.trigger.price) if order.trigger is not None else "",
        "takeProfit": price(listing, order.take_profit),
        "stopLoss": price(listing, order.stop_loss),
        "tpTriggerBy": TRIGGERS[request.profit_by] if order.take_profit else "",
        "slTriggerBy": TRIGGERS[request.stop_by] if order.stop_loss else "",
        "triggerDirection": 0 if order.trigger is None else 1 if order.trigger.rising else 2,
        "triggerBy": TRIGGERS[order.trigger.by] if order.trigger is not None else "",
        "lastPriceOnCreated": listing.px(order.last_on_created),
        "reduceOnly": request.reduce_only,
        "closeOnTrigger": request.close_on_trigger,
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "tpslMode": "Full" if order.stop_loss or order.take_profit or stop in ("StopLoss", "TakeProfit") else "",
        "tpLimitPrice": "",
        "slLimitPrice": "",
        "placeType": "",
        "createdTime": str(order.created_ns // MS),
        "updatedTime": str(order.updated_ns // MS),
    }


def status_of(listing: Listing, order: Order) -> str:
    """Return the status; only spot knows a word for what was cancelled after partial fills."""
    if listing.role is Role.SPOT and order.status is Status.CANCELLED and order.filled:
        return "PartiallyFilledCanceled"
    return STATUSES[order.status]


def order_event(listing: Listing, order: Order) -> Json:
    """Return an order as the private stream sends it."""
    shape = order_shape(listing, order)
    extra = {"category": category_of(listing), "feeCurrency": order.fee_coin, "createType": CREATE_TYPES[order.request.origin]}
    return shape | extra


def category_of(listing: Listing) -> str:
    """Return the category of an instrument."""
    return "linear" if listing.role is Role.PERP else "spot"


def execution_shape(listing: Listing, execution: Execution) -> Json:
    """Return an execution as `execution/list` has it."""
    order = execution.order
    is_funding = execution.kind is FillKind.FUNDING
    return {
        "symbol": listing.symbol,
        "orderId": order.id,
        "orderLinkId": order.link_id,
        "side": SIDES[execution.side],
        "orderPrice": listing.px(order.price),
        "orderQty": listing.qty(order.lots),
        "leavesQty": listing.qty(execution.leaves),
        "createType": "" if is_funding else CREATE_TYPES[order.request.origin],
        "orderType": "UNKNOWN" if is_funding else "Market" if order.request.kind is Kind.MARKET else "Limit",
        "stopOrderType": {Origin.STOP_LOSS: "StopLoss", Origin.TAKE_PROFIT: "TakeProfit"}.get(order.request.origin, "Stop" if order.trigger else "UNKNOWN"),
        "execFee": coins(execution.fee),
        "execId": execution.id,
        "execPrice": listing.px(execution.price),
        "execQty": listing.qty(execution.lots),
        "execType": EXEC_TYPES[execution.kind],
        "execValue": coins(execution.value),
        "execTime": str(execution.ts_ns // MS),
        "feeCurrency": execution.fee_coin,
        "isMaker": execution.maker,
        "feeRate": coins(execution.fee_rate_e8),
        "tradeIv": "",
        "markIv": "",
        "markPrice": listing.px(execution.mark),
        "indexPrice": listing.px(execution.index),
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": listing.qty(execution.closed_lots),
        "seq": 140_612_148_000_000 + execution.seq,
    }


def execution_event(listing: Listing, execution: Execution) -> Json:
    """Return an execution as the private stream sends it."""
    return execution_shape(listing, execution) | {"category": category_of(listing), "isLeverage": "0"}


def position_shape(account: Account, listing: Listing, position: Position, margin: Margin) -> Json:
    """Return a position as `position/list` has it."""
    instrument = listing.instrument
    mark, _ = account.depth.marks(listing)
    value = instrument.notional(position.lots, mark)
    liquidation = account.liquidation_price(position, margin) if position.lots else 0
    initial = coins(ceil_div(value, position.leverage))
    maintenance = coins(ceil_div(value * instrument.maintenance_margin_bps, 10_000))
    flat = position.lots == 0
    return {
        "positionIdx": 0,
        "riskId": 1,
        "riskLimitValue": "2000000",
        "symbol": listing.symbol,
        "side": "" if flat else SIDES[Side.BUY if position.lots > 0 else Side.SELL],
        "size": compact_qty(listing, abs(position.lots)),
        "avgPrice": average(listing, position.entry_value, abs(position.lots)) or "0",
        "positionValue": "" if flat else coins(value),
        "tradeMode": 0,
        "positionStatus": "Normal",
        "autoAddMargin": 0,
        "adlRankIndicator": 0 if flat else 2,
        "leverage": str(position.leverage),
        "positionBalance": "0",
        "markPrice": listing.px(mark),
        "liqPrice": price(listing, liquidation),
        "bustPrice": "",
        "positionMM": "0" if flat else maintenance,
        "positionIM": "0" if flat else initial,
        "tpslMode": "Full",
        "takeProfit": price(listing, position.take_profit),
        "stopLoss": price(listing, position.stop_loss),
        "trailingStop": "0",
        "unrealisedPnl": "" if flat else coins(position.unrealised(value)),
        "curRealisedPnl": coins(position.realised),
        "cumRealisedPnl": coins(position.realised_total),
        "seq": 8_000_000_000 + position.seq,
        "isReduceOnly": False,
        "mmrSysUpdatedTime": "",
        "leverageSysUpdatedTime": "",
        "sessionAvgPrice": "",
        "createdTime": str(position.created_ns // MS),
        "updatedTime": str((position.updated_ns or position.created_ns) // MS),
    }


def position_event(account: Account, listing: Listing, position: Position, margin: Margin) -> Json:
    """Return a position as the private stream sends it: the average price has another name there."""
    shape = position_shape(account, listing, position, margin)
    shape["entryPrice"] = shape.pop("avgPrice")
    shape["stopLoss"], shape["takeProfit"] = shape["stopLoss"] or "0", shape["takeProfit"] or "0"
    return shape | {"category": "linear", "positionIMByMp": shape["positionIM"], "positionMMByMp": shape["positionMM"]}


def compact_qty(listing: Listing, lots: int) -> str:
    """Write a size, a bare 0 for none."""
    return listing.qty(lots) if lots else "0"


def wallet_shape(venue: Venue, only: set[str] | None = None) -> Json:
    """Return the unified account as `wallet-balance` has it; `only` names the coins wanted."""
    account = venue.account_exchange.account
    margin = account.margin()
    rows = []
    for coin in sorted({QUOTE, *account.wallet.balances}):
        if only is None or coin in only:
            rows.append(_coin(account, coin, margin))
    rate = _share(margin.position_margin + margin.order_margin, margin.balance)
    return {
        "totalEquity": coins(margin.equity),
        "accountIMRate": rate,
        "totalMarginBalance": coins(margin.balance),
        "totalInitialMargin": coins(margin.position_margin + margin.order_margin),
        "accountType": "UNIFIED",
        "totalAvailableBalance": coins(margin.available),
        "accountMMRate": _share(margin.maintenance, margin.balance),
        "totalPerpUPL": coins(margin.unrealised),
        "totalWalletBalance": coins(margin.cash + margin.coin_value),
        "accountLTV": "0",
        "totalMaintenanceMargin": coins(margin.maintenance),
        "coin": rows,
    }


def wallet_event(venue: Venue) -> Json:
    """Return the account as the private stream sends it."""
    shape = wallet_shape(venue)
    shape["totalPerpUpl"] = shape.pop("totalPerpUPL")
    return shape


def _share(part: int, whole: int) -> str:
    return coins(part * RATE_SCALE // whole) if whole > 0 else "0"


def _coin(account: Account, coin: str, margin: Margin) -> Json:
    balance = account.wallet.balance(coin)
    is_quote = coin == QUOTE
    locked = 0 if is_quote else balance - account.free_coins(coin)
    listing = next((each for each in account.listings.values() if each.role is Role.SPOT and each.instrument.base == coin), None)
    worth = balance
    if not is_quote and listing is not None:
        worth = balance * account.depth.marks(listing)[0] * listing.instrument.money_per_tick_lot // listing.coin_per_lot
    return {
        "availableToBorrow": "",
        "bonus": "0",
        "accruedInterest": "0",
        "availableToWithdraw": coins(min(margin.available, max(0, balance)) if is_quote else balance - locked),
        "totalOrderIM": coins(margin.order_margin) if is_quote else "0",
        "equity": coins(balance + margin.unrealised) if is_quote else coins(balance),
        "totalPositionMM": coins(margin.maintenance) if is_quote else "0",
        "usdValue": coins(worth + margin.unrealised) if is_quote else coins(worth),
        "unrealisedPnl": coins(margin.unrealised) if is_quote else "0",
        "collateralSwitch": True,
        "borrowAmount": "0",
        "totalPositionIM": coins(margin.position_margin) if is_quote else "0",
        "walletBalance": coins(balance),
        "cumRealisedPnl": "0",
        "locked": coins(locked),
        "marginCollateral": True,
        "coin": coin,
        "spotHedgingQty": "0",
        "spotBorrow": "0",
    }
