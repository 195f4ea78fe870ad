"""What the box says has the keys and the types of what the venues said when they were recorded."""

import gzip
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.wires import Client, binance, buy, bybit, mexc, mexc_private, private, public, trade_message, trade_socket
from titan_core.model.units import S
from titan_core.simulator.box import Box
from titan_core.simulator.upkeep import deleverage

MARKET = Path(__file__).resolve().parents[2].parent / "shared" / "market"
FIXTURES = MARKET / "fixtures"
pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason="the recorded answers are not on this machine")

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}

# keys that recordings of the same message do not agree on: they come and go with the years and with the kind of account
OPTIONAL = {
    *("RPI", "seq", "cts"),  # in public trades and books since 2025
    *("createType", "feeCurrency", "isLeverage", "category"),  # of Bybit's orders and executions
    *("curRealisedPnl", "sessionAvgPrice", "mmrSysUpdateTime", "mmrSysUpdatedTime"),  # of positions
    *("accountType", "bonus", "collateralSwitch", "cumRealisedPnl", "free", "locked", "marginCollateral"),  # of the wallet and its stream
    *("spotBorrow", "spotHedgingQty", "unrealisedPnl", "usdValue", "baseCoin", "fundingIntervalHour"),
    *("id", "retExtInfo", "time"),  # of envelopes
    *("positionMode", "reduceOnly", "stopLossPrice", "takeProfitPrice", "amount24"),  # of MEXC's orders and tickers
}


def jkorf(text: str) -> Any:
    """The JSON of a recorded answer: after the request's lines, or after the line that begins with =."""
    body = text.split("\n=", 1)[1] if "\n=" in text else text[re.search(r"^[\[{]", text, re.MULTILINE).start() :]  # type: ignore[union-attr]
    return json.loads(body)


def recorded(path: str) -> Any:
    text = (FIXTURES / path).read_text("utf-8")
    return json.loads(text) if path.endswith(".json") else jkorf(text)


def kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else type(value).__name__


def differences(ours: Any, theirs: Any, where: str) -> Iterable[str]:
    """Yield how our value differs in shape; a null of the recording says nothing."""
    if theirs is None or theirs == []:
        return
    if kind(ours) != kind(theirs):
        yield f"{where} is {kind(ours)} and was {kind(theirs)}"
    elif isinstance(theirs, dict):
        for name in sorted(theirs.keys() - ours.keys() - OPTIONAL):
            yield f"{where}.{name} is missing"
        for name in sorted(ours.keys() - theirs.keys() - OPTIONAL):
            yield f"{where}.{name} was not there"
        for name in sorted(theirs.keys() & ours.keys()):
            yield from differences(ours[name], theirs[name], f"{where}.{name}")
    elif isinstance(theirs, list) and ours:
        if isinstance(theirs[0], list) and isinstance(theirs[0][0], str | int | float):
            yield from (f"{where}[0][{place}]" for place, (a, b) in enumerate(zip(ours[0], theirs[0], strict=False)) if kind(a) != kind(b))
        else:
            yield from differences(ours[0], theirs[0], f"{where}[0]")
    elif isinstance(theirs, list) and isinstance(theirs[0], list | dict):
        yield f"{where} is empty"


@pytest.fixture(scope="module")
def box() -> Box:
    """A box in which everything has happened once."""
    made = Box(7, balance_usdt=100_000)
    made.advance(made.now_ns() + 5 * S)
    bybit(made, "POST", "/v5/order/create", LINEAR | {"side": "Buy", "orderType": "Market", "qty": "0.100", "stopLoss": "50000", "takeProfit": "70000"})
    bybit(made, "POST", "/v5/order/create", LINEAR | {"side": "Buy", "orderType": "Limit", "qty": "0.010", "price": "55000", "orderLinkId": "rest"})
    bybit(made, "POST", "/v5/order/create", {"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "100"})
    gone = buy(made, orderType="Limit", price="54000")["result"]["orderId"]
    bybit(made, "POST", "/v5/order/cancel", LINEAR | {"orderId": gone})
    mexc(made, "POST", "/api/v1/private/order/create", {"symbol": "BTC_USDT", "vol": 100, "type": 5, "side": 1, "openType": 2})
    mexc(made, "POST", "/api/v1/private/order/create", {"symbol": "BTC_USDT", "vol": 100, "type": 1, "side": 1, "openType": 2, "price": 55_000})
    return made


B, N, H = "bybit_v5/jkorf_endpoints/", "bybit_v5/nautilus/", "bybit_v5/hirokisan/"
Asks = Callable[[Box], Any]


def get(path: str, **query: Any) -> Asks:
    return lambda box: bybit(box, "GET", path, query)


def post(path: str, **body: Any) -> Asks:
    return lambda box: bybit(box, "POST", path, body)


BYBIT_REST: list[tuple[str, Asks]] = [
    (B + "Account_GetBalances.txt", get("/v5/account/wallet-balance", accountType="UNIFIED")),
    (N + "http_get_wallet_balance.json", get("/v5/account/wallet-balance", accountType="UNIFIED")),
    (B + "Account_GetFeeRate.txt", get("/v5/account/fee-rate", category="linear", symbol="BTCUSDT")),
    (N + "http_get_fee_rate.json", get("/v5/account/fee-rate", category="linear", symbol="BTCUSDT")),
    (B + "Account_SetLeverage.txt", post("/v5/position/set-leverage", **LINEAR, buyLeverage="11", sellLeverage="11")),
    (B + "ExchangeData_GetFundingRateHistory.txt", get("/v5/market/funding/history", **LINEAR)),
    (N + "http_get_funding_history.json", get("/v5/market/funding/history", **LINEAR)),
    (B + "ExchangeData_GetKlines.txt", get("/v5/market/kline", **LINEAR, interval="60")),
    (N + "http_get_klines_linear.json", get("/v5/market/kline", **LINEAR, interval="5")),
    (B + "ExchangeData_GetLinearInverseSymbols.txt", get("/v5/market/instruments-info", category="linear")),
    (N + "http_get_instruments_spot.json", get("/v5/market/instruments-info", category="spot")),
    (B + "ExchangeData_GetLinearInverseTickers.txt", get("/v5/market/tickers", category="linear", symbol="BTCUSDT")),
    (B + "ExchangeData_GetOpenInterest.txt", get("/v5/market/open-interest", **LINEAR, intervalTime="5min")),
    (B + "ExchangeData_GetOrderbook.txt", get("/v5/market/orderbook", **LINEAR)),
    (N + "http_get_orderbook.json", get("/v5/market/orderbook", **LINEAR)),
    (N + "http_get_trades_recent.json", get("/v5/market/recent-trade", **LINEAR)),
    (B + "Trading_PlaceOrder.txt", post("/v5/order/create", **LINEAR, side="Buy", orderType="Market", qty="0.001")),
    (B + "Trading_GetOrders.txt", get("/v5/order/realtime", **LINEAR, orderLinkId="rest")),
    (N + "http_get_orders_realtime.json", get("/v5/order/realtime", **LINEAR, orderLinkId="rest")),
    (N + "http_get_orders_realtime_tp_sl.json", get("/v5/order/realtime", **LINEAR, orderFilter="StopOrder")),
    (N + "http_get_orders_history.json", get("/v5/order/history", **LINEAR)),
    (B + "Trading_GetPositions.txt", get("/v5/position/list", **LINEAR)),
    (N + "http_get_positions.json", get("/v5/position/list", **LINEAR)),
    (N + "http_get_executions.json", get("/v5/execution/list", **LINEAR)),
    (N + "http_get_account_info.json", get("/v5/account/info")),
    (N + "http_get_user_query_api.json", get("/v5/user/query-api")),
    (B + "Trading_EditOrder.txt", post("/v5/order/amend", **LINEAR, orderLinkId="rest", price="55001")),
    (B + "Trading_CancelAllOrder.txt", post("/v5/order/cancel-all", **LINEAR, orderFilter="Order")),
]


@pytest.mark.parametrize(("path", "ask"), BYBIT_REST, ids=[path for path, _ in BYBIT_REST])
def test_bybit_rest(path: str, ask: Asks, box: Box) -> None:
    box.advance(box.now_ns() + S)
    answer = ask(box)
    assert answer["retCode"] == 0, answer["retMsg"]
    assert list(differences(answer, recorded(path), "")) == []


def test_bybit_bodies_of_a_client_library(box: Box) -> None:
    pairs = {
        "v5-market-get-funding-rate-history.json": get("/v5/market/funding/history", **LINEAR),
        "v5-market-get-public-trading-history.json": get("/v5/market/recent-trade", **LINEAR),
        "v5-market-get-open-interest.json": get("/v5/market/open-interest", **LINEAR, intervalTime="1h"),
        "v5-market-get-risk-limit.json": get("/v5/market/risk-limit", **LINEAR),
        "v5-position-get-position-info.json": get("/v5/position/list", **LINEAR),
        "v5-account-get-wallet-balance.json": get("/v5/account/wallet-balance", accountType="UNIFIED"),
    }
    assert [found for name, ask in pairs.items() for found in differences(ask(box)["result"], recorded(H + name), name)] == []


def test_bybit_public_streams(box: Box) -> None:
    client = public(box, "orderbook.1.BTCUSDT", "publicTrade.BTCUSDT", "tickers.BTCUSDT", "kline.5.BTCUSDT", "allLiquidation.BTCUSDT")
    box.advance(box.now_ns() + 30 * S)
    box._bybit_public["linear"].on_liquidation(600_000, -20)
    box.advance(box.now_ns() + S)
    snapshot = client.topic("orderbook.1.BTCUSDT")[0]
    delta = next(each for each in client.topic("orderbook.1.BTCUSDT") if each["type"] == "delta" and each["data"]["b"] and each["data"]["a"])
    pairs = {
        N + "ws_orderbook_snapshot.json": snapshot,
        N + "ws_orderbook_delta.json": delta,
        "bybit_v5/jkorf_subscriptions/Linear_Trades.txt": client.topic("publicTrade.BTCUSDT")[0],
        "bybit_v5/jkorf_subscriptions/Linear_Ticker.txt": client.topic("tickers.BTCUSDT")[0],
        N + "ws_ticker_linear.json": client.topic("tickers.BTCUSDT")[0],
        N + "ws_kline.json": client.topic("kline.5.BTCUSDT")[0],
        "bybit_v5/jkorf_subscriptions/Linear_Liquidations.txt": client.topic("allLiquidation.BTCUSDT")[0],
        N + "ws_subscription_ack.json": client.frames[0],
    }
    assert [found for path, ours in pairs.items() for found in differences(ours, recorded(path), path)] == []
    line = (MARKET / "raw_ws" / "bybit_v5_linear_BTCUSDT_three_frames_20250926.txt").read_text("utf-8").splitlines()
    for row in line:
        theirs = json.loads(row.partition(" ")[2])
        name = theirs["topic"].split(".")[0]
        ours = snapshot if name == "orderbook" else client.topic(theirs["topic"])[0]
        assert list(differences(ours, theirs, name)) == []


def test_bybit_private_streams(box: Box) -> None:
    client = private(box, "order", "execution", "execution.fast", "position", "wallet")
    buy(box)
    frames = {topic: client.topic(topic)[0] for topic in ("order", "execution", "execution.fast", "position", "wallet")}
    pairs = {
        "bybit_v5/jkorf_subscriptions/Private_Order.txt": "order",
        N + "ws_account_order_filled.json": "order",
        N + "ws_account_execution.json": "execution",
        "bybit_v5/jkorf_subscriptions/Private_UserTrades.txt": "execution",
        N + "ws_account_execution_fast.json": "execution.fast",
        N + "ws_account_position.json": "position",
        N + "ws_account_wallet.json": "wallet",
    }
    assert [found for path, topic in pairs.items() for found in differences(frames[topic], recorded(path), path)] == []
    deleverage(box.exchanges["bybit"], box.listing("bybit", "BTCUSDT").instrument.id, 1)
    last = client.topic("execution")[-1]
    theirs = recorded(N + "ws_account_execution_adl.json")
    assert list(differences(last, theirs, "adl")) == []
    assert {name: last["data"][0][name] for name in ("execType", "execFee", "feeRate")} == {
        name: theirs["data"][0][name] for name in ("execType", "execFee", "feeRate")
    }


def test_bybit_trade_socket(box: Box) -> None:
    box.advance(box.now_ns() + S)
    answer = trade_socket(box).send(trade_message(box))
    assert list(differences(answer, recorded("bybit_v5/jkorf_subscriptions/Private_PlaceOrder.txt"), "")) == []


M = "mexc_contract/jkorf_endpoints/"
PRIVATE, CONTRACT = "/api/v1/private/", "/api/v1/contract/"
MEXC_REST: list[tuple[str, Asks]] = [
    ("Account_GetBalances.txt", lambda box: mexc(box, "GET", PRIVATE + "account/assets")),
    ("Account_GetTradingFees.txt", lambda box: mexc(box, "GET", PRIVATE + "account/tiered_fee_rate")),
    ("Account_SetLeverage.txt", lambda box: mexc(box, "POST", PRIVATE + "position/change_leverage", {"symbol": "BTC_USDT", "leverage": 12})),
    ("ExchangeData_GetFundingRate.txt", lambda box: mexc(box, "GET", CONTRACT + "funding_rate/BTC_USDT")),
    ("ExchangeData_GetFundingRates.txt", lambda box: mexc(box, "GET", CONTRACT + "funding_rate")),
    ("ExchangeData_GetIndexPrice.txt", lambda box: mexc(box, "GET", CONTRACT + "index_price/BTC_USDT")),
    ("ExchangeData_GetMarkPrice.txt", lambda box: mexc(box, "GET", CONTRACT + "fair_price/BTC_USDT")),
    ("ExchangeData_GetRecentTrades.txt", lambda box: mexc(box, "GET", CONTRACT + "deals/BTC_USDT")),
    ("ExchangeData_GetSymbol.txt", lambda box: mexc(box, "GET", CONTRACT + "detail", {"symbol": "BTC_USDT"})),
    ("ExchangeData_GetSymbols.txt", lambda box: mexc(box, "GET", CONTRACT + "detail")),
    ("Trading_GetPositions.txt", lambda box: mexc(box, "GET", PRIVATE + "position/open_positions")),
    ("Trading_PlaceOrder.txt", lambda box: mexc(box, "POST", PRIVATE + "order/create", {"symbol": "BTC_USDT", "vol": 1, "type": 5, "side": 1})),
    ("Trading_CancelOrders.txt", lambda box: mexc(box, "POST", PRIVATE + "order/cancel", ["101716841474621953"])),
]


@pytest.mark.parametrize(("path", "ask"), MEXC_REST, ids=[path for path, _ in MEXC_REST])
def test_mexc_rest(path: str, ask: Asks, box: Box) -> None:
    answer = ask(box)
    assert answer["success"], answer
    assert list(differences(answer, recorded(M + path), "")) == []


def test_mexc_orders(box: Box) -> None:
    (resting,) = mexc(box, "GET", PRIVATE + "order/list/open_orders/BTC_USDT")["data"]
    found = mexc(box, "GET", PRIVATE + f"order/get/{resting['orderId']}")
    assert list(differences(found, recorded(M + "Trading_GetOrder.txt"), "")) == []
    # the recording of open orders is a template of zeros, with ids as numbers and times as text
    assert recorded(M + "Trading_GetOpenOrders.txt")["data"][0].keys() - resting.keys() == set()


def test_mexc_streams(box: Box) -> None:
    client = Client(box, "mexc", "/edge")
    for method, extra in {
        "sub.depth": {},
        "sub.depth.full": {"limit": 5},
        "sub.deal": {},
        "sub.ticker": {},
        "sub.kline": {"interval": "Min60"},
        "sub.funding.rate": {},
        "sub.index.price": {},
        "sub.fair.price": {},
    }.items():
        assert client.send({"method": method, "param": {"symbol": "BTC_USDT"} | extra})["data"] == "success"
    box.advance(box.now_ns() + 40 * S)
    names = {
        "PartialBook": "depth.full",
        "Trades": "deal",
        "Ticker": "ticker",
        "Klines": "kline",
        "IndexPrice": "index.price",
        "MarkPrice": "fair.price",
    }
    found = [
        each
        for name, channel in names.items()
        for each in differences(client.topic(f"push.{channel}")[0], recorded(f"mexc_contract/jkorf_subscriptions/{name}.txt"), name)
    ]
    assert found == []
    captured = [json.loads(line) for line in (MARKET / "raw_ws" / "mexc_contract_captured_frames_20260915.jsonl").read_text("utf-8").splitlines()]
    merged = next(each for each in captured if each.get("channel") == "push.depth" and "begin" in each["data"])
    full = next(each for each in captured if each.get("channel") == "push.depth.full")
    rate = next(each for each in captured if each.get("channel") == "push.funding.rate")
    for theirs in (merged, full, rate):
        assert list(differences(client.topic(theirs["channel"])[0], theirs, theirs["channel"])) == []
    error = Client(box, "mexc", "/edge").send({"method": "sub.depth", "param": {"symbol": "NOPE_USDT"}})
    theirs = next(each for each in captured if each.get("channel") == "rs.error")
    assert (error["channel"], error["data"]) == (theirs["channel"], theirs["data"])


def test_mexc_private_channels(box: Box) -> None:
    client = mexc_private(box)
    mexc(box, "POST", PRIVATE + "order/create", {"symbol": "BTC_USDT", "vol": 1, "type": 5, "side": 1})
    found = [
        each
        for name, channel in {"Order": "order", "Position": "position"}.items()
        for each in differences(client.topic(f"push.personal.{channel}")[0], recorded(f"mexc_contract/jkorf_subscriptions/{name}.txt"), name)
        if not each.endswith(("createTime was not there", "updateTime was not there"))
    ]
    assert found == []
    asset = client.topic("push.personal.asset")[0]
    assert recorded("mexc_contract/jkorf_subscriptions/Balance.txt")["data"].keys() <= asset["data"].keys()


S_ = "binance/nautilus_spot/http_json/"
BINANCE_REST = [
    ("avg_price_response.json", "/api/v3/avgPrice", "symbol=BTCUSDT"),
    ("book_ticker_response.json", "/api/v3/ticker/bookTicker", "symbol=BTCUSDT"),
    ("depth_response.json", "/api/v3/depth", "symbol=BTCUSDT"),
    ("exchange_info_response.json", "/api/v3/exchangeInfo", ""),
    ("klines_response.json", "/api/v3/klines", "symbol=BTCUSDT&interval=1m"),
    ("ping_response.json", "/api/v3/ping", ""),
    ("server_time_response.json", "/api/v3/time", ""),
    ("ticker_24hr_response.json", "/api/v3/ticker/24hr", "symbol=BTCUSDT"),
    ("ticker_price_response.json", "/api/v3/ticker/price", "symbol=BTCUSDT"),
    ("trades_response.json", "/api/v3/trades", "symbol=BTCUSDT"),
]


@pytest.mark.parametrize(("path", "route", "query"), BINANCE_REST, ids=[path for path, _, _ in BINANCE_REST])
def test_binance_rest(path: str, route: str, query: str, box: Box) -> None:
    assert list(differences(binance(box, route, query), recorded(S_ + path), "")) == []


def test_binance_streams(box: Box) -> None:
    names = ("trade", "aggTrade", "bookTicker", "depth@100ms", "depth5@100ms", "kline_1m")
    client = Client(box, "binance", "/stream?streams=" + "/".join(f"btcusdt@{name}" for name in names))
    box.advance(box.now_ns() + 20 * S)
    files = {"Trades": "trade", "AggregatedTrades": "aggTrade", "BookTicker": "bookTicker", "PartialBook": "depth5@100ms"}
    for name, stream in files.items():
        text = (FIXTURES / f"binance/jkorf_spot_subscriptions/ExchangeData_{name}.txt").read_text("utf-8")
        theirs = jkorf(text)
        if name == "Trades":  # ids of the orders, left out by the venue since 2023
            theirs["data"] = {key: value for key, value in theirs["data"].items() if key not in ("a", "b")}
        assert list(differences(client.topic(f"btcusdt@{stream}")[0], theirs, name)) == []
    seen = set()
    with gzip.open(MARKET / "raw_ws" / "binance_spot_btcusdt_20240808.gz", "rt") as lines:
        for line in lines:
            theirs = json.loads(line.partition(" ")[2])
            if theirs.get("stream") in seen or "stream" not in theirs:
                continue
            seen.add(theirs["stream"])
            assert list(differences(client.topic(theirs["stream"])[0], theirs, theirs["stream"])) == []
            if len(seen) == 3:
                break
    with gzip.open(MARKET / "raw_ws" / "cryptofeed_BINANCE.ws.1.0.txt.gz", "rt") as lines:
        text = next(line for line in lines if '"kline"' in line)
    assert list(differences(client.topic("btcusdt@kline_1m")[0], json.loads(text[text.index("{") :]), "kline")) == []
