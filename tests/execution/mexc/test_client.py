"""What the client makes of answers that the venue in a box never gives: no data, doubles, missing ids, a hedged account, a market without orders."""

import asyncio
import json
from typing import Any

import pytest

from tests.execution.mexc.test_words import BTC, ETH, approved, deal, order
from titan_core.errors import ConfigError, Unreadable, VenueUnavailable
from titan_core.execution.limiter import Lane, Limiter
from titan_core.execution.mexc.client import MexcClient
from titan_core.execution.mexc.door import Door
from titan_core.execution.mexc.orders import MOST_NAMES, OrderNames
from titan_core.execution.mexc.words import Contracts
from titan_core.execution.outcomes import Outcome
from titan_core.model.enums import OrderType
from titan_core.model.ids import ClientOrderId
from titan_core.model.order import OrderStatus
from titan_core.model.units import MS
from titan_core.simulator.clock import VirtualClock
from titan_core.simulator.virtual_loop import run_virtual

ccxt = pytest.importorskip("ccxt.async_support", reason="the extra `live` is not installed")
OURS = ClientOrderId("p.s.1.1")
EXTERNAL = "order/external/BTC_USDT/p-s-1-1"
DETAIL = {"symbol": "BTC_USDT", "state": 0, "apiAllowed": True, "contractSize": 0.0001, "priceUnit": 0.1, "volUnit": 1}


def ok(data: Any = ...) -> str:
    return json.dumps({"success": True, "code": 0} | ({} if data is ... else {"data": data}), default=float)


class Venue:
    """Answers by path, what is said under a path one after the other and the last thing again; remembers what was asked."""

    def __init__(self, answers):
        self.answers = {path: list(said) if isinstance(said, list) else [said] for path, said in answers.items()}
        self.asked = []

    async def http(self, url, method, headers, body):
        path = url.split("?")[0].split("/private/")[-1].split("/v1/")[-1]
        self.asked.append((path, json.loads(body) if body else url.partition("?")[2]))
        said = self.answers.get(path, [ok([])])
        return 200, {}, said.pop(0) if len(said) > 1 else said[0]


def ask(answers, scene, instruments=(BTC,), now_ns=10**18):
    venue = Venue(answers)

    async def main():
        loop = asyncio.get_running_loop()
        exchange = ccxt.mexc({"apiKey": "k", "secret": "s"})
        client = MexcClient(Door(exchange, venue.http, Limiter(loop.time, loop.call_later, 100, 100, 10)), Contracts(instruments), lambda: now_ns)
        try:
            return await scene(client)
        finally:
            await client.close()
            await exchange.close()

    return run_virtual(main(), VirtualClock(0)), venue


async def answered(act):
    loop = asyncio.get_running_loop()
    given = loop.create_future()
    act(given.set_result)
    return await given


# -- what became of an order ------------------------------------------------------------------------------------------
def test_a_success_without_data_is_no_absence_before_the_lists_have_been_read():
    found, venue = ask({EXTERNAL: ok(), "order/list/history_orders": ok([order(state=4)])}, lambda client: client.look_up(BTC, OURS))
    assert found.status is OrderStatus.CANCELLED
    absent, venue = ask({EXTERNAL: ok(None)}, lambda client: client.look_up(BTC, OURS))
    assert absent is None and [path for path, _ in venue.asked] == [EXTERNAL, "order/list/open_orders", "order/list/history_orders"]
    with pytest.raises(Unreadable):
        ask({EXTERNAL: ok(None), "order/list/open_orders": ok()}, lambda client: client.look_up(BTC, OURS))


def test_only_the_venue_s_own_word_is_an_absence():
    absent, _ = ask({EXTERNAL: json.dumps({"success": False, "code": 2040})}, lambda client: client.look_up(BTC, OURS))
    assert absent is None
    for code in (500, 510, 604, 2005, 987_654):
        with pytest.raises(VenueUnavailable):
            ask({EXTERNAL: json.dumps({"success": False, "code": code})}, lambda client: client.look_up(BTC, OURS))


def test_the_void_double_of_an_order_leads_to_the_order():
    double = order(orderId="2", state=5, errorCode=23)
    found, _ = ask({EXTERNAL: ok(double), "order/list/open_orders": ok([double, order()])}, lambda client: client.look_up(BTC, OURS))
    assert (found.venue_order_id, found.status) == ("1", OrderStatus.OPEN)
    with pytest.raises(Unreadable, match="only the void double"):
        ask({EXTERNAL: ok(double)}, lambda client: client.look_up(BTC, OURS))


def test_another_order_than_the_one_asked_for_proves_nothing():
    with pytest.raises(Unreadable, match="asked for p-s-1-1"):
        ask({EXTERNAL: ok(order(externalOid="p-s-1-2"))}, lambda client: client.look_up(BTC, OURS))


def test_an_order_that_is_accepted_without_an_id_is_of_unknown_outcome():
    given, _ = ask({"order/create": ok()}, lambda client: answered(lambda take: client.place(approved(), take)))
    assert given.outcome is Outcome.UNKNOWN and given.code == 0
    given, venue = ask({"order/create": ok(102057569836905984)}, lambda client: answered(lambda take: client.place(approved(), take)))
    assert (given.outcome, given.venue_order_id) == (Outcome.ACCEPTED, "102057569836905984")
    path, body = venue.asked[0]
    assert path == "order/create" and (body["symbol"], body["vol"], body["type"]) == ("BTC_USDT", 5, 5)


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        ([{"orderId": 1, "errorCode": 0, "errorMsg": "success"}], Outcome.ACCEPTED),
        ([{"orderId": 1, "errorCode": 2041, "errorMsg": "order state cannot be cancelled"}], Outcome.NOT_FOUND),
        ([{"orderId": 1, "errorCode": 987_654, "errorMsg": "?"}], Outcome.UNKNOWN),
        ({"symbol": "BTC_USDT", "externalOid": "p-s-1-1"}, Outcome.ACCEPTED),
        ([], Outcome.ACCEPTED),
    ],
)
def test_the_answer_to_a_cancellation_stands_beside_each_order(data, outcome):
    given, venue = ask({"order/cancel": ok(data)}, lambda client: answered(lambda take: client.cancel(BTC, OURS, "1", Lane.EXIT, take)))
    assert given.outcome is outcome and venue.asked == [("order/cancel", ["1"])]


# -- reads ------------------------------------------------------------------------------------------------------------
def test_executions_are_asked_for_each_contract_and_joined_to_their_orders():
    answers = {
        "order/list/order_deals": [ok([deal(timestamp=2)]), ok([deal(id=5, symbol="ETH_USDT", orderId=77, timestamp=1)])],
        "order/batch_query": ok([order(orderId="123456789"), order(orderId=77, externalOid="_m_1")]),
    }
    found, venue = ask(answers, lambda client: client.executions(5 * 10**17), (BTC, ETH))
    assert [(e.execution_id, e.client_order_id) for e in found] == [("5", ""), ("987654321", OURS)]
    assert [asked for path, asked in venue.asked if path == "order/batch_query"] == ["order_ids=123456789%2C77"]
    first = venue.asked[0][1]
    assert "symbol=BTC_USDT" in first and "page_size=100" in first and f"start_time={(10**18 - 89 * 86_400 * 10**9) // MS}" in first, "90 days at most"


def test_an_execution_whose_order_is_not_shown_yet_is_not_given_away():
    now_ns = 1760942212000 * MS
    answers = {"order/list/order_deals": ok([deal()])}
    with pytest.raises(Unreadable, match="belongs to order 123456789, which the venue does not show yet"):
        ask(answers, lambda client: client.executions(0), now_ns=now_ns + 59 * 10**9)
    (late,), _ = ask(answers, lambda client: client.executions(0), now_ns=now_ns + 61 * 10**9)
    assert late.client_order_id == ""


def test_two_positions_in_one_contract_are_a_hedged_account():
    row = {"symbol": "BTC_USDT", "positionId": 1, "positionType": 1, "holdVol": 3, "holdAvgPrice": 60_000, "leverage": 4}
    with pytest.raises(Unreadable, match="long and short at once"):
        ask({"position/open_positions": ok([row, row | {"positionId": 2, "positionType": 2}])}, lambda client: client.positions())


def test_pages_that_never_end_are_not_taken_for_all():
    page = [ok([order(orderId=f"{100 * number + i + 1}") for i in range(100)]) for number in range(45)]
    with pytest.raises(Unreadable, match="the end was not reached"):
        ask({"order/list/open_orders": page}, lambda client: client.open_orders())


def test_what_comes_on_two_pages_is_one_order():
    pages = [ok([order(orderId=f"{i + 1}") for i in range(100)]), ok([order(orderId="100"), order(orderId="101")])]
    found, _ = ask({"order/list/open_orders": pages}, lambda client: client.open_orders())
    assert len(found) == 101


# -- before trading ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"position/position_mode": ok(1)}, "position mode is 1, Titan needs one-way mode"),
        ({"contract/detail": ok([])}, "does not list BTCUSDT"),
        ({"contract/detail": ok([DETAIL | {"apiAllowed": False}])}, "takes no orders in BTCUSDT over its API"),
        ({"contract/detail": ok([DETAIL | {"state": 4}])}, "BTCUSDT is not trading"),
        ({"contract/detail": ok([DETAIL | {"priceUnit": 0.5}])}, "tick size of BTCUSDT is 0.5, Titan assumes 0.1"),
        ({"contract/detail": ok([DETAIL | {"contractSize": 0.001}])}, "lot size of BTCUSDT is 0.001, Titan assumes 0.0001"),
    ],
)
def test_what_would_not_be_traded_as_it_is_taken_for_is_refused_at_the_start(answers, message):
    with pytest.raises(ConfigError, match=message):
        ask({"position/position_mode": ok(2), "contract/detail": ok([DETAIL])} | answers, lambda client: client.prepare({}))


def test_leverage_is_set_for_both_directions_and_repeated_by_orders_that_open():
    async def scene(client):
        await client.prepare({BTC.id: 7})
        await answered(lambda take: client.place(approved(), take))
        await answered(lambda take: client.place(approved(signed_lots=-5, reduce_only=True), take))

    answers = {"position/position_mode": ok(2), "contract/detail": ok([DETAIL]), "position/change_leverage": ok(), "order/create": ok("1")}
    _, venue = ask(answers, scene)
    said = [body for path, body in venue.asked if path == "position/change_leverage"]
    assert [(each["positionType"], each["leverage"], each["openType"]) for each in said] == [(1, 7, 2), (2, 7, 2)]
    opening, closing = [body for path, body in venue.asked if path == "order/create"]
    assert opening["leverage"] == 7 and "leverage" not in closing


def test_what_cannot_be_written_is_answered_here_and_was_never_there():
    odd = ClientOrderId("Ä.b.1.1")
    given, venue = ask({}, lambda client: answered(lambda take: client.place(approved(client_order_id=odd), take)))
    assert given.outcome is Outcome.REJECTED and "cannot be written" in given.message and venue.asked == []
    assert ask({}, lambda client: client.look_up(BTC, odd))[0] is None
    given, _ = ask({}, lambda client: answered(lambda take: client.cancel(BTC, odd, "", Lane.EXIT, take)))
    assert given.outcome is Outcome.REJECTED
    given, _ = ask({}, lambda client: answered(lambda take: client.place(approved(order_type=OrderType.STOP, trigger=1), take)))
    assert given.outcome is Outcome.REJECTED


# -- stops that are not as Titan would have them ------------------------------------------------------------------------
def stop_row(ident, stop=0.0, target=0.0):
    return {
        "id": ident, "symbol": "BTC_USDT", "positionId": 9, "positionType": 1, "vol": 5, "stopLossPrice": stop, "takeProfitPrice": target,
        "state": 1, "isFinished": 0, "updateTime": 1,
    }  # fmt: skip


def protect(stop, target):
    return lambda client: answered(lambda take: client.protect(BTC, stop, target, Lane.PROTECT, take))


LIST, PLACE, MOVE, DROP = "stoporder/list/orders", "stoporder/place", "stoporder/change_plan_price", "stoporder/cancel"
HELD = ok([{"symbol": "BTC_USDT", "positionId": 9, "positionType": 1, "holdVol": 5, "holdAvgPrice": 60_000, "leverage": 4}])


def test_two_rows_become_one():
    """As when stop and target were set apart by hand."""
    answers = {LIST: [ok([stop_row(1, 59_000), stop_row(2, 0, 62_000)]), ok([stop_row(1, 59_000, 62_000), stop_row(2, 0, 62_000)])], MOVE: ok(), DROP: ok()}
    given, venue = ask(answers, protect(590_000, 620_000))
    assert given.outcome is Outcome.ACCEPTED
    assert [(path, body) for path, body in venue.asked if path in (PLACE, DROP)] == [(DROP, [{"stopPlanOrderId": "2"}])]


def test_a_row_that_cannot_be_moved_stays_until_another_is_there():
    refusal = json.dumps({"success": False, "code": 5003, "message": "wrong"})
    answers = {
        LIST: [ok([stop_row(1, 58_000)]), ok([stop_row(1, 58_000)]), ok([stop_row(1, 58_000), stop_row(3, 59_000)])],
        MOVE: refusal,
        DROP: ok(),
        PLACE: ok(3),
    }
    given, venue = ask(answers | {"position/open_positions": HELD}, protect(590_000, None))
    assert given.outcome is Outcome.ACCEPTED
    acts = [(path, body) for path, body in venue.asked if path in (PLACE, DROP)]
    assert [path for path, _ in acts] == [PLACE, DROP] and acts[1][1] == [{"stopPlanOrderId": "1"}]
    refused, venue = ask({LIST: ok([stop_row(1, 58_000)]), MOVE: refusal, PLACE: refusal, "position/open_positions": HELD}, protect(590_000, None))
    assert refused.outcome is Outcome.REJECTED and not [path for path, _ in venue.asked if path == DROP], "the old one is better than none"


def test_a_stop_covers_the_whole_position():
    answers = {LIST: [ok([]), ok([stop_row(1, 59_000)])], PLACE: ok(1), "position/open_positions": HELD}
    _, venue = ask(answers, protect(590_000, None))
    (body,) = [body for path, body in venue.asked if path == PLACE]
    assert body == {"positionId": "9", "vol": 5, "volType": 2, "lossTrend": 1, "profitTrend": 1, "stopLossPrice": 59_000}


@pytest.mark.parametrize("broken", [LIST, MOVE])
def test_what_is_not_known_is_not_said_to_be_set(broken):
    answers = {LIST: ok([stop_row(1, 58_000)]), MOVE: ok(), "position/open_positions": HELD} | {broken: "<html>"}
    given, venue = ask(answers, protect(590_000, None))
    assert given.outcome is Outcome.UNKNOWN and not [path for path, _ in venue.asked if path in (PLACE, DROP)]


def test_the_names_of_orders_do_not_grow_for_ever():
    names = OrderNames()
    for i in range(MOST_NAMES + 5):
        names.learn(str(i), "x")
    assert len(names._known) == MOST_NAMES and names.find("0") is None and names.find(str(MOST_NAMES)) == "x"
