"""Binance Spot and MEXC contract: books that are fetched and followed, signatures, codes, orders."""

from typing import Any

import pytest

from tests.simulator.builders import MEXC, Script, box_of
from tests.simulator.wires import KEY, Client, binance, body_of, mexc, mexc_private, mexc_request
from titan_core.model.enums import Side
from titan_core.model.units import MS, S
from titan_core.simulator.box import Box
from titan_core.simulator.wire import Request, Response, signature

PRIVATE = "/api/v1/private/"


@pytest.fixture(scope="module")
def lively() -> Box:
    return Box(7)


class Followed:
    """A book from a snapshot and the differences after it, as the venues' documents prescribe."""

    def __init__(self, last: int, bids: Any, asks: Any) -> None:
        self.last = last
        self.sides = {side: {float(row[0]): float(row[1]) for row in rows} for side, rows in (("b", bids), ("a", asks))}

    def take(self, first: int, last: int, bids: Any, asks: Any) -> None:
        if last <= self.last:
            return
        assert first <= self.last + 1 <= last, "a message is missing"
        self.last = last
        for side, rows in (("b", bids), ("a", asks)):
            for row in rows:
                price, size = float(row[0]), float(row[1])
                self.sides[side][price] = size
                if not size:
                    del self.sides[side][price]

    def best(self, count: int) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        return sorted(self.sides["b"].items(), reverse=True)[:count], sorted(self.sides["a"].items())[:count]


def levels(box: Box, name: str, count: int) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    venue, symbol = name.split(" ")
    listing = box.listing(venue, symbol)
    size = (lambda lots: float(listing.qty(lots))) if venue == "binance" else float
    sides = (box.depth.levels(listing, side, count) for side in (Side.BUY, Side.SELL))
    bids, asks = ([(float(listing.px(price)), size(lots)) for price, lots in side] for side in sides)
    return bids, asks


def test_a_binance_book_that_is_followed_from_a_snapshot_at_any_time_is_the_venues_book(lively: Box) -> None:
    client = Client(lively, "binance", "/ws/btcusdt@depth@100ms")
    books: list[Followed] = []
    taken = compared = 0
    for number in range(80):
        # also between two messages, when the best price may be one that neither of them knows
        lively.advance(lively.next_ns() + 2 * S + number * 7 * MS)
        snapshot = binance(lively, "/api/v3/depth", "symbol=BTCUSDT&limit=1000")
        # a snapshot does not reach for ever: after a minute the price may have left it
        books = [*books[-9:], Followed(snapshot["lastUpdateId"], snapshot["bids"], snapshot["asks"])]
        lively.advance(lively.now_ns() + 2 * S)
        for frame in client.frames[taken:]:
            for book in books:
                book.take(frame["U"], frame["u"], frame["b"], frame["a"])
            taken += 1
        if client.frames[-1]["u"] == lively.market.books["spot"].version:  # type: ignore[index]
            truth = levels(lively, "binance BTCUSDT", 40)
            assert [place for place, book in enumerate(books) if book.best(40) != truth] == []
            compared += 1
    assert taken > 200 and compared > 20


@pytest.mark.parametrize("param", [{}, {"compress": False}])
def test_a_mexc_book_that_is_followed_from_a_snapshot_is_the_venues_book(lively: Box, param: dict[str, Any]) -> None:
    client = Client(lively, "mexc", "/edge")
    client.send({"method": "sub.depth", "param": {"symbol": "BTC_USDT"} | param})
    lively.advance(lively.now_ns() + 2 * S)
    snapshot = mexc(lively, "GET", "/api/v1/contract/depth/BTC_USDT", {"limit": 1000})["data"]
    book, taken, compared = Followed(snapshot["version"], snapshot["bids"], snapshot["asks"]), 0, 0
    for _ in range(20):
        lively.advance(lively.now_ns() + S)
        client.send({"method": "ping"})
        for frame in client.topic("push.depth")[taken:]:
            data = frame["data"]
            book.take(data.get("begin", data["version"]), data["version"], data["bids"], data["asks"])
            taken += 1
        if book.last == lively.market.books["perp"].version:  # type: ignore[index]
            assert book.best(10) == levels(lively, "mexc BTC_USDT", 10)
            compared += 1
    assert taken > 20 and compared


def test_binance_streams_by_path_by_query_and_by_message(lively: Box) -> None:
    path, query = Client(lively, "binance", "/ws/btcusdt@bookTicker"), Client(lively, "binance", "/stream?streams=btcusdt@bookTicker")
    asked = Client(lively, "binance", "/ws")
    assert asked.send({"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker", "nope@trade"], "id": 7}) == {"result": None, "id": 7}
    assert asked.send({"method": "LIST_SUBSCRIPTIONS", "id": 8}) == {"result": ["btcusdt@bookTicker"], "id": 8}
    lively.advance(lively.now_ns() + 5 * S)
    assert path.frames == asked.frames[2:] == [frame["data"] for frame in query.frames] != []
    assert query.frames[0]["stream"] == "btcusdt@bookTicker"
    asked.send({"method": "UNSUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 9})
    count = len(asked.frames)
    lively.advance(lively.now_ns() + 5 * S)
    assert len(asked.frames) == count


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("/api/v3/depth", "symbol=NOPE", 400, -1121),
        ("/api/v3/depth", "", 400, -1102),
        ("/api/v3/klines", "symbol=BTCUSDT&interval=7m", 400, -1120),
        ("/api/v3/depth", "symbol=BTCUSDT&limit=x", 400, -1100),
        ("/api/v3/order", "", 404, -1000),
    ],
)
def test_errors_of_binance(lively: Box, path: str, query: str, status: int, code: int) -> None:
    answer = lively.handle_http("binance", Request("GET", path, query))
    assert isinstance(answer, Response) and answer.status == status and body_of(answer)["code"] == code


def test_binance_counts_weight_and_bans_who_does_not_listen() -> None:
    box = box_of(Script().quote(60_000.0))
    answers = [box.handle_http("binance", Request("GET", "/api/v3/exchangeInfo")) for _ in range(602)]
    statuses = [each.status for each in answers if isinstance(each, Response)]
    assert (statuses.count(200), statuses.count(429), statuses.count(418)) == (300, 300, 2)
    assert isinstance(answers[300], Response) and answers[300].headers["Retry-After"] and answers[300].headers["X-MBX-USED-WEIGHT-1M"] == "6020"
    box.advance(box.now_ns() + 60 * S)
    assert binance(box, "/api/v3/ping") == {}


# -- MEXC -------------------------------------------------------------------------------------------------------------
def test_mexc_signatures_and_limits() -> None:
    box = box_of(Script().quote(60_000.0))
    assert mexc(box, "GET", PRIVATE + "account/assets")["success"]
    assert mexc(box, "GET", PRIVATE + "account/assets", stamp=box.now_ns() // MS - 10_001)["code"] == 700003
    bad = mexc_request(box, "GET", PRIVATE + "account/assets")
    assert body_of(box.handle_http("mexc", Request("GET", bad.path, "x=1", bad.headers)))["code"] == 602
    assert body_of(box.handle_http("mexc", Request("GET", bad.path)))["code"] == 402
    codes = [mexc(box, "GET", PRIVATE + "position/open_positions").get("code") for _ in range(21)]
    assert codes == [0] * 20 + [510]


def test_mexc_orders_from_opening_to_closing() -> None:
    box = box_of(Script().quote(60_000.0))
    client = mexc_private(box)
    opened = {"symbol": "BTC_USDT", "vol": 100, "type": 5, "side": 3, "openType": 2, "externalOid": "mine", "stopLossPrice": 61000}
    made = mexc(box, "POST", PRIVATE + "order/create", opened)["data"]["orderId"]
    assert mexc(box, "POST", PRIVATE + "order/create", opened)["code"] == 603
    found = mexc(box, "GET", PRIVATE + "order/external/BTC_USDT/mine")["data"]
    assert (found["orderId"], found["state"], found["side"], found["dealVol"]) == (made, 3, 3, 100)
    (position,) = mexc(box, "GET", PRIVATE + "position/open_positions")["data"]
    assert (position["positionType"], position["holdVol"], box.exchanges["mexc"].account.positions[MEXC].lots) == (2, 100, -100)
    (stop,) = mexc(box, "GET", PRIVATE + "stoporder/list/orders")["data"]
    assert (stop["stopLossPrice"], stop["takeProfitPrice"], stop["positionId"]) == (61000.0, 0, position["positionId"])
    assert mexc(box, "GET", PRIVATE + "planorder/list/orders")["data"] == []
    resting = mexc(box, "POST", PRIVATE + "order/create", {"symbol": "BTC_USDT", "vol": 10, "type": 1, "side": 2, "price": 59000})["data"]["orderId"]
    answer = mexc(box, "POST", PRIVATE + "order/cancel", [resting, made, "1"])["data"]
    assert [each["errorCode"] for each in answer] == [0, 2041, 2040]
    assert mexc(box, "POST", PRIVATE + "order/create", {"symbol": "BTC_USDT", "vol": 100, "type": 5, "side": 2})["success"]
    assert mexc(box, "GET", PRIVATE + "position/open_positions")["data"] == []
    assert mexc(box, "POST", PRIVATE + "order/create", {"symbol": "BTC_USDT", "vol": 100, "type": 5, "side": 2})["code"] == 2009
    states = [(frame["data"]["orderId"] == made, frame["data"]["state"]) for frame in client.topic("push.personal.order")]
    assert states[0] == (True, 3) and client.topic("push.personal.asset") and client.topic("push.personal.position")[-1]["data"]["state"] == 3


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"vol": 0}, 2011),
        ({"vol": 1.5}, 2011),
        ({"vol": 1_000_000}, 2005),
        ({"symbol": "NOPE_USDT"}, 1001),
        ({"side": 9}, 2001),
        ({"type": 7}, 2029),
        ({"type": 1, "price": 59000.05}, 2015),
        ({"externalOid": "x" * 33}, 2030),
        ({"side": 4}, 2009),
    ],
)
def test_codes_of_mexc(fields: dict[str, Any], code: int) -> None:
    box = box_of(Script().quote(60_000.0))
    order = {"symbol": "BTC_USDT", "vol": 10, "type": 5, "side": 1, "openType": 2} | fields
    assert mexc(box, "POST", PRIVATE + "order/create", order)["code"] == code


def test_mexc_closes_a_connection_that_does_not_ping() -> None:
    box = box_of(Script().quote(60_000.0))
    silent, pinging = Client(box, "mexc", "/edge"), Client(box, "mexc", "/edge")
    for _ in range(4):
        box.advance(box.now_ns() + 20 * S)
        pinging.send({"method": "ping"})
    assert (len(silent.closed), pinging.closed) == (1, [])


def test_mexc_plan_orders_and_leverage() -> None:
    box = box_of(Script().quote(60_000.0).trade(60_100.0, 5))
    assert mexc(box, "POST", PRIVATE + "position/change_leverage", {"symbol": "BTC_USDT", "leverage": 20, "openType": 2, "positionType": 1})["success"]
    assert mexc(box, "POST", PRIVATE + "position/change_leverage", {"symbol": "BTC_USDT", "leverage": 900})["code"] == 2006
    assert [each["leverage"] for each in mexc(box, "GET", PRIVATE + "position/leverage", {"symbol": "BTC_USDT"})["data"]] == [20, 20]
    plan = {"symbol": "BTC_USDT", "vol": 10, "side": 1, "orderType": 5, "triggerPrice": "60100", "triggerType": 1, "trend": 1, "executeCycle": 1}
    assert mexc(box, "POST", PRIVATE + "planorder/place", plan)["success"]
    box.advance(box.now_ns() + S)
    assert box.exchanges["mexc"].account.positions[MEXC].lots == 10
    assert mexc(box, "POST", PRIVATE + "position/change_position_mode", {"positionMode": 1})["code"] == 2019


def test_mexc_stops_of_a_position_are_one_row_that_is_moved_and_withdrawn() -> None:
    box = box_of(Script().quote(60_000.0))
    assert mexc(box, "POST", PRIVATE + "order/create", {"symbol": "BTC_USDT", "vol": 100, "type": 5, "side": 1})["success"]
    (position,) = mexc(box, "GET", PRIVATE + "position/open_positions")["data"]
    wanted = {"positionId": position["positionId"], "vol": 100, "volType": 2, "stopLossPrice": 59000, "takeProfitPrice": 62000}
    assert mexc(box, "POST", PRIVATE + "stoporder/place", wanted | {"stopLossPrice": 0, "takeProfitPrice": 0})["code"] == 5001
    number = mexc(box, "POST", PRIVATE + "stoporder/place", wanted)["data"]
    assert mexc(box, "POST", PRIVATE + "stoporder/place", wanted)["code"] == 5004, "what rests covers the position already"
    assert mexc(box, "POST", PRIVATE + "stoporder/change_plan_price", {"stopPlanOrderId": number, "stopLossPrice": 59500})["success"]
    (stop,) = mexc(box, "GET", PRIVATE + "stoporder/open_orders", {"symbol": "BTC_USDT"})["data"]
    assert (stop["id"], stop["stopLossPrice"], stop["takeProfitPrice"], stop["vol"]) == (number, 59500.0, 0, 100)
    assert mexc(box, "POST", PRIVATE + "order/cancel_all", {})["success"] and mexc(box, "POST", PRIVATE + "planorder/cancel_all", {})["success"]
    assert mexc(box, "POST", PRIVATE + "stoporder/cancel", [{"stopPlanOrderId": 1}])["code"] == 5002
    assert mexc(box, "POST", PRIVATE + "stoporder/cancel", [{"stopPlanOrderId": number}])["success"], "no other cancellation has touched it"
    assert mexc(box, "GET", PRIVATE + "stoporder/list/orders")["data"] == [] and not box.exchanges["mexc"].account.open_orders


def test_what_a_mexc_stop_places_has_an_id_of_the_venues_and_lists_of_deals_have_none() -> None:
    box = box_of(Script().quote(60_000.0).trade(58_900.0, 5))
    client = mexc_private(box)
    opened_with = {"symbol": "BTC_USDT", "vol": 100, "type": 5, "side": 1, "externalOid": "mine", "stopLossPrice": 59000}
    assert mexc(box, "POST", PRIVATE + "order/create", opened_with)["success"]
    box.advance(box.now_ns() + S)
    closed, opened = mexc(box, "GET", PRIVATE + "order/list/order_deals", {"symbol": "BTC_USDT"})["data"]
    assert "externalOid" not in opened and (opened["side"], closed["side"]) == (1, 4)
    asked = {"order_ids": f"{opened['orderId']},{closed['orderId']},1"}
    ids = [each["externalOid"] for each in mexc(box, "GET", PRIVATE + "order/batch_query", asked)["data"]]
    assert ids[0] == "mine" and ids[1].startswith("stoporder_STOP_LOSS_")
    assert [each["data"]["externalOid"] for each in client.topic("push.personal.order.deal")] == ids
    assert {each["data"]["externalOid"] for each in client.topic("push.personal.order")} == set(ids), "one that waits is no order yet"
    assert mexc(box, "GET", PRIVATE + "order/list/order_deals", {"symbol": "BTC_USDT", "start_time": closed["timestamp"] + 1})["data"] == []


def test_mexc_says_what_a_key_may_do() -> None:
    box = box_of(Script().quote(60_000.0))
    at = box.venues["mexc"].server_ms()

    def asked(key: str, stamp: int = at) -> tuple[int, Any]:
        query = f"accessKey={KEY.key}&timestamp={stamp}&recvWindow=5000"
        request = Request("GET", "/api/v3/apiKeyInfo", f"{query}&signature={signature(KEY.secret, query)}", {"x-mexc-apikey": key})
        answer = box.handle_http("mexc", request)
        assert isinstance(answer, Response)
        return answer.status, body_of(answer)

    status, facts = asked(KEY.key)
    assert (status, facts["ipWhiteList"], facts["status"]) == (200, "127.0.0.1", "VALID") and "WITHDRAW" not in facts["permissions"]
    assert [asked("other")[0], asked(KEY.key, at - 6_000)[1]["code"]] == [400, 700003]
