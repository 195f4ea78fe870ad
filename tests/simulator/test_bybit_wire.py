"""Bybit V5: signatures, limits, codes, and what the streams send."""

from typing import Any

import pytest

from tests.simulator.builders import PERP, Script, box_of, step
from tests.simulator.wires import KEY, Client, body_of, buy, bybit, bybit_request, private, public, trade_message, trade_socket
from titan_core.model.units import S
from titan_core.simulator.box import Box
from titan_core.simulator.wire import Credential, Response


def quiet() -> Script:
    return Script().quote(60_000.0)


def test_a_request_must_be_signed_in_time_by_a_known_key() -> None:
    box = Box(1, ticks_per_day=200_000, credentials=[KEY, Credential("reader", "s", may_trade=False)])
    good = bybit_request(box, "GET", "/v5/account/info")
    assert body_of(box.handle_http("bybit", good))["retCode"] == 0
    now = box.venues["bybit"].server_ms()
    assert bybit(box, "GET", "/v5/account/info", key=Credential("nobody", "s"))["retCode"] == 10003
    assert bybit(box, "GET", "/v5/account/info", key=Credential(KEY.key, "wrong"))["retCode"] == 10004
    late = bybit(box, "GET", "/v5/account/info", stamp=now - 5_001)
    assert late["retCode"] == 10002 and f"server_timestamp[{now}]" in late["retMsg"]
    assert bybit(box, "GET", "/v5/account/info", stamp=now + 1_000)["retCode"] == 10002
    reader = Credential("reader", "s")
    assert bybit(box, "GET", "/v5/account/info", key=reader)["retCode"] == 0
    assert bybit(box, "POST", "/v5/order/create", {}, key=reader)["retCode"] == 10005
    assert bybit(box, "GET", "/v5/user/query-api", key=reader)["result"]["readOnly"] == 1


def test_the_rate_limit_is_told_and_kept() -> None:
    box = Box(1, ticks_per_day=200_000)
    answers = [box.handle_http("bybit", bybit_request(box, "POST", "/v5/order/cancel-all", {"category": "linear", "symbol": "BTCUSDT"})) for _ in range(11)]
    left = [each.headers["X-Bapi-Limit-Status"] for each in answers if isinstance(each, Response)]
    assert left == [*map(str, range(9, -1, -1)), "0"]
    assert [body_of(each)["retCode"] for each in answers] == [0] * 10 + [10006]
    assert isinstance(answers[0], Response) and answers[0].headers["X-Bapi-Limit"] == "10"
    box.advance(box.now_ns() + S)
    assert bybit(box, "POST", "/v5/order/cancel-all", {"category": "linear", "symbol": "BTCUSDT"})["retCode"] == 0


def test_an_address_that_asks_too_often_is_shut_out() -> None:
    box = Box(1, ticks_per_day=200_000)
    statuses = [getattr(box.handle_http("bybit", bybit_request(box, "GET", "/v5/market/time")), "status", 0) for _ in range(601)]
    assert statuses == [200] * 600 + [403]


def test_orders_by_client_id() -> None:
    box = box_of(quiet())
    made = buy(box, orderLinkId="mine", orderType="Limit", price="59000")["result"]
    assert made["orderLinkId"] == "mine"
    assert buy(box, orderLinkId="mine")["retCode"] == 110072
    (found,) = bybit(box, "GET", "/v5/order/realtime", {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "mine"})["result"]["list"]
    assert (found["orderId"], found["orderStatus"], found["price"]) == (made["orderId"], "New", "59000.0")
    assert bybit(box, "POST", "/v5/order/cancel", {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "mine"})["retCode"] == 0
    assert bybit(box, "POST", "/v5/order/cancel", {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "mine"})["retCode"] == 110001
    (found,) = bybit(box, "GET", "/v5/order/realtime", {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "mine"})["result"]["list"]
    assert (found["orderStatus"], found["cancelType"]) == ("Cancelled", "CancelByUser")
    missing = bybit(box, "GET", "/v5/order/realtime", {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "other"})
    assert missing["result"]["list"] == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"qty": "10"}, 110007),
        ({"qty": "0.0004"}, 10001),
        ({"qty": "0"}, 10001),
        ({"orderType": "Limit", "price": "59000.05"}, 10001),
        ({"orderType": "Limit", "price": "1"}, 110003),
        ({"reduceOnly": True}, 110017),
        ({"positionIdx": 1}, 10001),
        ({"triggerPrice": "59000", "triggerDirection": 1}, 110092),
        ({"triggerPrice": "61000", "triggerDirection": 2}, 110093),
        ({"stopLoss": "61000"}, 10001),
        ({"symbol": "NOPEUSDT"}, 10001),
        ({"category": "spot", "marketUnit": "baseCoin", "qty": "1"}, 170131),
        ({"category": "spot", "marketUnit": "baseCoin", "qty": "0.0000001"}, 170137),
        ({"category": "spot", "qty": "1"}, 170140),
    ],
)
def test_codes_of_refusals(fields: dict[str, Any], code: int) -> None:
    assert buy(box_of(quiet()), **fields)["retCode"] == code


def test_a_reduce_only_market_order_is_cut_to_the_position_and_zero_stands_for_all_of_it() -> None:
    box = box_of(quiet())
    close = {"side": "Sell", "reduceOnly": True}
    for size in ({"qty": "5"}, {"qty": "0", "closeOnTrigger": True}):
        buy(box)
        made = buy(box, **(close | size))["result"]["orderId"]
        (found,) = bybit(box, "GET", "/v5/order/realtime", {"category": "linear", "symbol": "BTCUSDT", "orderId": made})["result"]["list"]
        assert (found["orderStatus"], found["qty"], found["cumExecQty"]) == ("Filled", "0.010", "0.010")
        assert box.exchanges["bybit"].account.positions[PERP].lots == 0
    assert buy(box, **close, qty="0", closeOnTrigger=True)["retCode"] == 10001


def test_lists_come_in_pages() -> None:
    box = box_of(quiet(), balance_usdt=1_000_000)
    for number in range(73):
        box.advance(box.now_ns() + S)
        assert buy(box, orderType="Limit", price=str(50_000 + number))["retCode"] == 0
    seen: list[str] = []
    query = {"category": "linear", "symbol": "BTCUSDT"}
    first = bybit(box, "GET", "/v5/order/realtime", query)["result"]
    assert len(first["list"]) == 20
    cursor = ""
    while True:
        page = bybit(box, "GET", "/v5/order/realtime", query | {"limit": 50} | ({"cursor": cursor} if cursor else {}))["result"]
        seen += [each["orderId"] for each in page["list"]]
        cursor = page["nextPageCursor"]
        if not cursor:
            break
    assert len(seen) == len(set(seen)) == 73


def test_leverage_and_position_mode() -> None:
    box = box_of(quiet())
    leverage = {"category": "linear", "symbol": "BTCUSDT", "buyLeverage": "20", "sellLeverage": "20"}
    assert bybit(box, "POST", "/v5/position/set-leverage", leverage)["retCode"] == 0
    assert bybit(box, "POST", "/v5/position/set-leverage", leverage)["retCode"] == 110043
    assert bybit(box, "POST", "/v5/position/switch-mode", {"category": "linear", "symbol": "BTCUSDT", "mode": 0})["retCode"] == 110025
    (flat,) = bybit(box, "GET", "/v5/position/list", {"category": "linear", "symbol": "BTCUSDT"})["result"]["list"]
    assert (flat["side"], flat["size"], flat["leverage"]) == ("", "0", "20")
    assert bybit(box, "GET", "/v5/position/list", {"category": "linear", "settleCoin": "USDT"})["result"]["list"] == []
    assert bybit(box, "GET", "/v5/position/list", {"category": "linear"})["retCode"] == 10001


def test_stops_of_a_position_rest_at_the_venue() -> None:
    box = box_of(quiet())
    assert buy(box, stopLoss="59000", takeProfit="61000")["retCode"] == 0
    orders = bybit(box, "GET", "/v5/order/realtime", {"category": "linear", "symbol": "BTCUSDT", "orderFilter": "StopOrder"})["result"]["list"]
    assert {(each["stopOrderType"], each["triggerPrice"], each["orderStatus"], each["reduceOnly"]) for each in orders} == {
        ("StopLoss", "59000.0", "Untriggered", True),
        ("TakeProfit", "61000.0", "Untriggered", True),
    }
    move = {"category": "linear", "symbol": "BTCUSDT", "stopLoss": "59500", "takeProfit": "0", "positionIdx": 0}
    assert bybit(box, "POST", "/v5/position/trading-stop", move)["retCode"] == 0
    assert bybit(box, "POST", "/v5/position/trading-stop", move)["retCode"] == 34040
    (position,) = bybit(box, "GET", "/v5/position/list", {"category": "linear", "symbol": "BTCUSDT"})["result"]["list"]
    assert (position["stopLoss"], position["takeProfit"]) == ("59500.0", "")


# -- streams ----------------------------------------------------------------------------------------------------------
class Mirror:
    """A book kept from snapshots and deltas."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[str, str]] = {"b": {}, "a": {}}
        self.update = 0

    def take(self, frame: dict[str, Any]) -> None:
        data = frame["data"]
        if frame["type"] == "snapshot":
            self.sides = {"b": {}, "a": {}}
        else:
            assert data["u"] == self.update + 1
        self.update = data["u"]
        for side, book in self.sides.items():
            for price, size in data[side]:
                if float(size):
                    book[price] = size
                else:
                    del book[price]  # a level that is not there cannot be deleted


@pytest.mark.parametrize("levels", [1, 50, 200])
def test_a_book_kept_from_the_stream_is_the_venues_book(levels: int) -> None:
    box = Box(7)
    client = public(box, f"orderbook.{levels}.BTCUSDT")
    mirror, taken = Mirror(), 0
    for _ in range(40):
        box.advance(box.now_ns() + S)
        box.advance(box.next_ns())  # whatever waits for its time may go out
        for frame in client.topic(f"orderbook.{levels}.BTCUSDT")[taken:]:
            mirror.take(frame)
            taken += 1
        window = box._bybit_public["linear"]._books[f"orderbook.{levels}.BTCUSDT"][0]
        listing = box.listings[PERP]
        bids, asks = window.snapshot()
        assert mirror.sides["b"] == {listing.px(price): listing.qty(lots) for price, lots in bids}
        assert mirror.sides["a"] == {listing.px(price): listing.qty(lots) for price, lots in asks}
    assert taken > 60


def test_the_first_message_of_a_topic_is_a_snapshot() -> None:
    box = Box(7)
    client = public(box, "orderbook.50.BTCUSDT", "tickers.BTCUSDT")
    box.advance(box.now_ns() + S)
    second = public(box, "orderbook.50.BTCUSDT", "tickers.BTCUSDT")
    box.advance(box.now_ns() + S)
    for each in (client, second):
        for topic in ("orderbook.50.BTCUSDT", "tickers.BTCUSDT"):
            kinds = [frame["type"] for frame in each.topic(topic)]
            assert kinds[0] == "snapshot" and set(kinds[1:]) == {"delta"}


def test_trades_bars_and_liquidations_are_sent() -> None:
    box = Box(7)
    client = public(box, "publicTrade.BTCUSDT", "kline.1.BTCUSDT", "allLiquidation.BTCUSDT")
    box.advance(box.now_ns() + 120 * S)
    trades = [row for frame in client.topic("publicTrade.BTCUSDT") for row in frame["data"]]
    assert len({row["i"] for row in trades}) == len(trades) > 50
    bars = client.topic("kline.1.BTCUSDT")
    assert bars[-1]["data"][0]["interval"] == "1" and len({frame["data"][0]["start"] for frame in bars}) >= 2
    box._bybit_public["linear"].on_liquidation(600_000, -20)
    box.advance(box.now_ns() + S)
    (row,) = client.topic("allLiquidation.BTCUSDT")[-1]["data"]
    assert (row["S"], row["v"]) == ("Buy", "0.02")


def test_an_unknown_topic_is_refused_and_a_ping_answered() -> None:
    box = Box(1, ticks_per_day=200_000)
    client = Client(box, "bybit", "/v5/public/linear")
    refused = client.send({"op": "subscribe", "args": ["invalid.topic.BTCUSDT"]})
    assert (refused["success"], refused["ret_msg"]) == (False, "Invalid topic: invalid.topic.BTCUSDT")
    assert client.send({"op": "ping", "req_id": "9"})["ret_msg"] == "pong"
    assert Client(box, "bybit", "/v5/private").send({"op": "ping"})["op"] == "pong"


def test_private_topics_need_a_signature_and_tell_what_happens() -> None:
    box = box_of(quiet())
    assert Client(box, "bybit", "/v5/private").send({"op": "subscribe", "args": ["order"]})["success"] is False
    assert Client(box, "bybit", "/v5/private").send({"op": "auth", "args": ["x", 1 << 45, "y"]})["success"] is False
    client = private(box, "order", "execution.linear", "execution.fast", "position", "wallet")
    made = buy(box, orderLinkId="mine")["result"]
    topics = [frame["topic"] for frame in client.frames if "topic" in frame]
    assert topics == ["execution", "execution.fast", "order", "position", "wallet"]
    assert client.topic("order")[0]["data"][0]["orderLinkId"] == "mine"
    assert client.topic("execution")[0]["data"][0]["orderId"] == made["orderId"]
    assert client.topic("position")[0]["data"][0]["size"] == "0.010"


def test_orders_go_in_over_the_trade_socket_and_share_the_rate_limit() -> None:
    box = box_of(quiet())
    client = trade_socket(box)
    answer = client.send(trade_message(box, orderLinkId="mine"))
    assert (answer["retCode"], answer["reqId"], answer["header"]["X-Bapi-Limit-Status"]) == (0, "r1", "9")
    assert client.send(trade_message(box, orderLinkId="mine"))["retCode"] == 110072
    assert client.send(trade_message(box) | {"header": {"X-BAPI-TIMESTAMP": "1"}})["retCode"] == 10002
    for _ in range(8):
        buy(box)
    assert client.send(trade_message(box))["retCode"] == 10006
    assert Client(box, "bybit", "/v5/trade").send(trade_message(box))["retCode"] == 10003


def test_bars_of_rest_end_with_the_open_one_and_show_nothing_of_the_future() -> None:
    box = Box(7)
    step(box, 3)
    box.advance(box.now_ns() + 90 * S)
    rows = bybit(box, "GET", "/v5/market/kline", {"category": "linear", "symbol": "BTCUSDT", "interval": "1", "limit": "3"})["result"]["list"]
    starts = [int(row[0]) for row in rows]
    assert starts == [box.now_ns() // 1_000_000 // 60_000 * 60_000 - 60_000 * back for back in range(3)]
    last = box.depth.last(box.listings[PERP])
    assert rows[0][4] == box.listings[PERP].px(last)


def test_a_book_that_is_left_while_a_message_waits_is_left() -> None:
    script = quiet().wait(2.9)
    for turn in range(60):  # so many quotes that one always waits for its turn
        script.quote(60_000.0 + turn % 7)
    box = box_of(script)
    client = public(box, "orderbook.1.BTCUSDT")
    begun = box.now_ns()
    box.advance(begun + 3 * S - 1_000_000)  # the box looks every 3 s whether anybody is left
    client.socket.close()
    box.advance(begun + 5 * S)
    again = public(box, "orderbook.1.BTCUSDT")
    box.advance(box.now_ns() + 4 * S)
    assert again.topic("orderbook.1.BTCUSDT")[0]["type"] == "snapshot"
