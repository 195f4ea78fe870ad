"""Each kind of fault happens, where and as often as its rule says, and again from the same seed."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.simulator.builders import PERP, Script, box_of
from tests.simulator.wires import Client, binance, body_of, buy, bybit, bybit_request, mexc, private, public, trade_message, trade_socket
from titan_core.errors import UsageError, VenueUnavailable
from titan_core.model.units import S
from titan_core.simulator.box import Box
from titan_core.simulator.control import handle_control
from titan_core.simulator.faults import FaultKind, Rule, read_rules
from titan_core.simulator.inprocess import BoxHttp, BoxTransport
from titan_core.simulator.orders import FillKind, Origin
from titan_core.simulator.virtual_loop import run_virtual
from titan_core.simulator.wire import Dropped, Hanging, Late, Outcome, Request, Response, encode

K = FaultKind
LINEAR = {"category": "linear", "symbol": "BTCUSDT"}


def box(*rules: Rule) -> Box:
    return box_of(Script().quote(60_000.0), faults=rules)


def create(made: Box) -> Outcome:
    order = LINEAR | {"side": "Buy", "orderType": "Market", "qty": "0.010"}
    return made.handle_http("bybit", bybit_request(made, "POST", "/v5/order/create", order))


def orders(made: Box) -> int:
    return len(made.exchanges["bybit"].orders)


def is_json(response: Response) -> bool:
    try:
        msgspec.json.decode(response.body)
    except msgspec.DecodeError:
        return False
    return True


@pytest.mark.parametrize(
    ("rule", "carried_out", "looks"),
    [
        (Rule(kind=K.DROP_REQUEST), 0, lambda got: got == Dropped()),
        (Rule(kind=K.DROP_ANSWER), 1, lambda got: got == Dropped()),
        (Rule(kind=K.HANG_REQUEST, seconds=9), 0, lambda got: got == Hanging(9)),
        (Rule(kind=K.HANG_ANSWER, seconds=9), 1, lambda got: got == Hanging(9)),
        (Rule(kind=K.DELAY, seconds=3), 1, lambda got: isinstance(got, Late) and got.seconds == 3 and body_of(got.response)["retCode"] == 0),
        (Rule(kind=K.CODE, code=10016), 0, lambda got: body_of(got)["retCode"] == 10016),
        (Rule(kind=K.CODE, code=10016, carried_out=True), 1, lambda got: body_of(got)["retCode"] == 10016),
        (Rule(kind=K.STATUS, status=429), 0, lambda got: got.status == 429 and "Retry-After" in got.headers),
        (Rule(kind=K.STATUS, status=403), 0, lambda got: got.status == 403 and got.content_type == "text/html"),
        (Rule(kind=K.EMPTY), 1, lambda got: (got.status, got.body) == (200, b"")),
        (Rule(kind=K.TRUNCATED), 1, lambda got: got.status == 200 and got.body.startswith(b"{") and not is_json(got)),
        (Rule(kind=K.HTML), 1, lambda got: got.status == 200 and got.body.startswith(b"<!DOCTYPE html>")),
        (Rule(kind=K.BAN), 0, lambda got: got.status == 403),
        (Rule(kind=K.MAINTENANCE), 0, lambda got: body_of(got)["retCode"] == 10016),
    ],
    ids=lambda value: value.kind.value if isinstance(value, Rule) else "",
)
def test_a_request_meets_its_fault(rule: Rule, carried_out: int, looks: Callable[[Any], bool]) -> None:
    made = box(rule)
    got = create(made)
    assert looks(got), got
    assert orders(made) == carried_out


def test_random_codes_come_from_the_seed() -> None:
    codes = [[body_of(create(made))["retCode"] for _ in range(5)] for made in (box(Rule(kind=K.CODE)), box(Rule(kind=K.CODE)))]
    assert codes[0] == codes[1] and len(set(codes[0])) == 5


def test_a_rule_says_where_when_how_often_and_how_likely() -> None:
    made = box(
        Rule(kind=K.EMPTY, where="GET /v5/position/*"),
        Rule(kind=K.HTML, where="POST /v5/order/create", from_s=10, to_s=20, count=2),
        Rule(kind=K.STATUS, venue="mexc"),
    )
    assert body_of(create(made))["retCode"] == 0
    position = bybit_request(made, "GET", "/v5/position/list", LINEAR)
    assert getattr(made.handle_http("bybit", position), "body", None) == b""
    made.advance(made.start_ns + 10 * S)
    pages = [not is_json(got) for got in (create(made) for _ in range(4)) if isinstance(got, Response)]
    assert pages == [True, True, False, False]
    likely = box(Rule(kind=K.EMPTY, probability=0.3))
    hits = sum(getattr(likely.handle_http("bybit", bybit_request(likely, "GET", "/v5/market/time")), "body", b"") == b"" for _ in range(400))
    assert 80 < hits < 160
    assert mexc(box(), "GET", "/api/v1/contract/ping")["success"]


def test_maintenance_still_closes() -> None:
    made = box(Rule(kind=K.MAINTENANCE, from_s=1))
    buy(made)
    made.advance(made.start_ns + S)
    assert buy(made)["retCode"] == 10016
    assert buy(made, side="Sell", reduceOnly=True)["retCode"] == 0
    opening = {"symbol": "BTC_USDT", "vol": 100, "type": 5, "side": 1}
    assert mexc(made, "POST", "/api/v1/private/order/create", opening)["code"] == 801
    assert mexc(made, "POST", "/api/v1/private/order/create", opening | {"side": 4})["code"] == 2009


def test_a_clock_step_makes_signatures_late_for_its_time() -> None:
    made = box(Rule(kind=K.CLOCK_STEP, seconds=6, from_s=10, to_s=20, venue="bybit"))
    ours = made.now_ns() // 1_000_000
    assert bybit(made, "GET", "/v5/account/info", stamp=ours)["retCode"] == 0
    made.advance(made.start_ns + 10 * S)
    ours = made.now_ns() // 1_000_000
    assert bybit(made, "GET", "/v5/account/info", stamp=ours)["retCode"] == 10002
    assert int(bybit(made, "GET", "/v5/market/time")["result"]["timeNano"]) == made.now_ns() + 6 * S
    assert mexc(made, "GET", "/api/v1/private/account/assets", stamp=ours)["success"]
    made.advance(made.start_ns + 20 * S)
    assert bybit(made, "GET", "/v5/account/info", stamp=made.now_ns() // 1_000_000)["retCode"] == 0


# -- websockets -------------------------------------------------------------------------------------------------------
def moving(*rules: Rule) -> Box:
    return Box(7, faults=rules, ticks_per_day=400_000)


def test_a_muted_topic_is_silent_on_a_living_socket() -> None:
    made = moving(Rule(kind=K.MUTE, where="*publicTrade*", from_s=60, to_s=120))
    client = public(made, "publicTrade.BTCUSDT", "tickers.BTCUSDT")
    counts = []
    for second in (60, 120, 180):
        made.advance(made.start_ns + second * S)
        counts.append((len(client.topic("publicTrade.BTCUSDT")), len(client.topic("tickers.BTCUSDT"))))
    assert counts[0][0] == counts[1][0] < counts[2][0]
    assert counts[0][1] < counts[1][1] < counts[2][1]
    assert client.send({"op": "ping"})["ret_msg"] == "pong"


def test_a_black_hole_is_open_and_carries_nothing() -> None:
    made = moving(Rule(kind=K.BLACK_HOLE, where="/v5/private", from_s=5))
    client = private(made, "order")
    made.advance(made.start_ns + 6 * S)
    before = len(client.frames)
    buy(made)
    assert client.send({"op": "ping"}) is None
    assert (len(client.frames), client.socket.is_open, client.closed) == (before, True, [])


def test_a_black_hole_is_found_by_pings_of_the_port() -> None:
    made = moving(Rule(kind=K.BLACK_HOLE, from_s=5))
    closed: list[tuple[str, int]] = []

    async def main() -> None:
        transport = BoxTransport(made)
        connection = await transport.connect(
            "ws://box/bybit/v5/public/linear",
            on_frame=lambda frame: None,
            on_closed=lambda reason: closed.append((reason, made.now_ns())),
            ping_interval_s=1,
            ping_timeout_s=1,
        )
        await asyncio.sleep(10)
        assert not connection.is_open

    run_virtual(main(), made.clock, made)  # type: ignore[arg-type]
    ((reason, at),) = closed
    assert reason == "no pong" and 5 * S < at - made.start_ns <= 8 * S


def test_sockets_are_closed_and_refused() -> None:
    made = moving(Rule(kind=K.DISCONNECT, where="/v5/public/*", from_s=3), Rule(kind=K.REFUSE, from_s=3, to_s=6))
    client, other = public(made, "tickers.BTCUSDT"), private(made, "order")
    made.advance(made.start_ns + 4 * S)
    assert (client.closed, other.closed) == (["connection reset"], [])
    with pytest.raises(VenueUnavailable, match="refuses the connection to /v5/private"):
        Client(made, "bybit", "/v5/private")
    made.advance(made.start_ns + 6 * S)
    assert public(made, "tickers.BTCUSDT").socket.is_open


def test_lost_deltas_leave_a_gap_that_can_be_seen() -> None:
    made = moving(Rule(kind=K.DROP_FRAME, where="*orderbook*", probability=0.2, from_s=1))
    client = public(made, "orderbook.50.BTCUSDT")
    made.advance(made.start_ns + 60 * S)
    ids = [frame["data"]["u"] for frame in client.topic("orderbook.50.BTCUSDT")]
    missing = sum(after - before - 1 for before, after in zip(ids, ids[1:], strict=False))
    assert 0 < missing < len(ids) / 2 and ids == sorted(ids)


def test_private_events_come_twice_and_in_another_order() -> None:
    made = moving(Rule(kind=K.DUPLICATE, where="/v5/private execution*", seconds=0.1), Rule(kind=K.SHUFFLE, where="/v5/private order*", seconds=2))
    client = private(made, "order", "execution")
    for number in range(6):
        buy(made, orderLinkId=f"n{number}")
    made.advance(made.now_ns() + 3 * S)
    executions = [frame["data"][0]["execId"] for frame in client.topic("execution")]
    assert len(executions) == 2 * len(set(executions))
    seen = [frame["data"][0]["orderLinkId"] for frame in client.topic("order")]
    assert sorted(seen) == [f"n{number}" for number in range(6)] and seen != sorted(seen)


def test_an_order_over_the_trade_socket_is_lost_or_its_answer_is() -> None:
    made = moving(Rule(kind=K.DROP_REQUEST, where="/v5/trade request", from_s=1, count=1), Rule(kind=K.DROP_FRAME, where="/v5/trade answer", from_s=1, count=1))
    client = trade_socket(made)
    made.advance(made.start_ns + S)
    assert client.send(trade_message(made, orderLinkId="a")) is None and orders(made) == 0
    assert client.send(trade_message(made, orderLinkId="a")) is None and orders(made) == 1
    assert client.send(trade_message(made, orderLinkId="a"))["retCode"] == 110072


# -- the account ------------------------------------------------------------------------------------------------------
def test_what_happens_to_a_position_from_outside() -> None:
    made = box(
        Rule(kind=K.MANUAL_TRADE, symbol="BTCUSDT", lots=-30, from_s=1),
        Rule(kind=K.ADL, symbol="BTCUSDT", lots=20, from_s=2),
        Rule(kind=K.LIQUIDATION, symbol="BTCUSDT", from_s=3),
        Rule(kind=K.DELISTING, symbol="BTCUSDT", from_s=4),
    )
    client = private(made, "execution", "order")
    buy(made, qty="0.100")
    account = made.exchanges["bybit"].account
    sizes = []
    for second in (1, 2, 3, 4):
        made.advance(made.start_ns + second * S)
        sizes.append(account.positions[PERP].lots)
    assert sizes == [70, 50, 0, 0]
    assert [each.kind for each in account.executions] == [FillKind.TRADE, FillKind.TRADE, FillKind.ADL, FillKind.LIQUIDATION]
    assert account.executions[1].order.request.origin is Origin.MANUAL
    kinds = [frame["data"][0]["execType"] for frame in client.topic("execution")]
    assert kinds == ["Trade", "Trade", "AdlTrade", "BustTrade"]
    assert buy(made)["retCode"] == 110074
    listed = bybit(made, "GET", "/v5/market/instruments-info", {"category": "linear"})["result"]["list"]
    assert listed == []
    (info,) = bybit(made, "GET", "/v5/market/instruments-info", LINEAR)["result"]["list"]
    assert info["status"] == "Closed"


def test_every_kind_is_shown_here() -> None:
    text = Path(__file__).read_text("utf-8")
    assert [kind for kind in FaultKind if f"kind=K.{kind.name}" not in text] == []


@pytest.mark.parametrize("kind", FaultKind)
def test_every_kind_is_described(kind: FaultKind) -> None:
    assert f"`{kind}`" in (Path(__file__).resolve().parents[2] / "docs" / "simulator.md").read_text("utf-8")


# -- changing the script ----------------------------------------------------------------------------------------------
def test_the_control_door_adds_shows_and_removes_rules() -> None:
    made = box()
    rule = [{"kind": "empty", "where": "POST /v5/order/create", "count": 1}]
    (shown,) = msgspec.json.decode(handle_control(made, Request("POST", "/control/faults", body=encode(rule))).body)
    assert (shown["number"], shown["kind"], shown["hits"]) == (1, "empty", 0)
    create(made)
    state = msgspec.json.decode(handle_control(made, Request("GET", "/control/state")).body)
    assert state["faults"][0]["hits"] == 1
    assert state["accounts"]["bybit"]["positions"] == {PERP: 10}
    assert msgspec.json.decode(handle_control(made, Request("DELETE", "/control/faults", "number=1")).body) == {"removed": 1}
    wrong = handle_control(made, Request("POST", "/control/faults", body=b'{"kind": "emtpy"}'))
    assert wrong.status == 400 and b"kinds are drop_request" in wrong.body


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "nope"},
        {"kind": "empty", "wher": "x"},
        {"kind": "empty", "probability": 2},
        {"kind": "adl"},
        7,
        [{"where": "*"}],
        {"kind": "empty", "from_s": 5, "to_s": 1},
    ],
)
def test_bad_rules_are_refused_with_what_is_wrong(document: Any) -> None:
    with pytest.raises(UsageError, match="fault"):
        read_rules(document)


def test_faults_of_the_other_venues() -> None:
    made = box(Rule(kind=K.CODE, venue="mexc", code=510), Rule(kind=K.CODE, venue="binance", code=1003))
    assert mexc(made, "GET", "/api/v1/private/account/assets")["code"] == 510
    assert binance(made, "/api/v3/time")["code"] == -1003


def test_a_hanging_request_ends_after_its_time_on_the_virtual_clock() -> None:
    made = box(Rule(kind=K.HANG_ANSWER, seconds=30))

    async def main() -> None:
        with pytest.raises(ConnectionResetError, match="after 30 s without an answer"):
            await BoxHttp(made).request("GET", "http://box/bybit/v5/market/time")

    run_virtual(main(), made.clock, made)  # type: ignore[arg-type]
    assert made.now_ns() == pytest.approx(made.start_ns + 30 * S, abs=S)
