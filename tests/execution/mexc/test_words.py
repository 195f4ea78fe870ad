"""MEXC's words and ours. The frames are the venue's own, from documents beside the project; where those are absent, hand-made ones remain."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from titan_core.errors import Unreadable, UsageError
from titan_core.execution.mexc import door, words
from titan_core.execution.mexc.words import Contracts
from titan_core.execution.outcomes import Outcome
from titan_core.execution.reports import NOT_OURS, ExecutionKind
from titan_core.model.enums import InstrumentKind, Liquidity, OrderType, TimeInForce
from titan_core.model.ids import ClientOrderId, PhaseId, StrategyId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Approved, Intent, OrderStatus
from titan_core.model.units import MS

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "market" / "fixtures" / "mexc_contract"
BTC = Instrument(venue=words.CONTRACT, symbol="BTCUSDT", kind=InstrumentKind.PERP, base="BTC", tick_size=Decimal("0.1"), lot_size=Decimal("0.0001"))
ETH = evolve(BTC, symbol="ETHUSDT", base="ETH", tick_size=Decimal("0.05"), lot_size=Decimal("0.01"))
CRV = evolve(BTC, symbol="CRVUSDT", base="CRV", tick_size=Decimal("0.001"), lot_size=Decimal("1"))


def fixture(name):
    path = FIXTURES / f"{name}.txt"
    if not path.exists():
        pytest.skip(f"no market data beside the project: {path.name}")
    text = path.read_text("utf-8")
    return text[text.index("\n{" if "\n= \n" not in text else "\n= \n") :].removeprefix("\n= \n")


def frame(name):
    return json.loads(fixture(f"jkorf_subscriptions/{name}"), parse_float=Decimal)["data"]


def answer(name):
    return door.read(200, fixture(f"jkorf_endpoints/{name}"))


# -- out --------------------------------------------------------------------------------------------------------------
def approved(**terms):
    named = {"client_order_id": ClientOrderId("p.s.1.1"), "phase": PhaseId("p"), "strategy": StrategyId("s"), "instrument": BTC, "signed_lots": 5}
    intent = Intent(**(named | terms))
    return Approved(intent, intent.signed_lots, ())


def test_a_market_entry_with_its_stop():
    assert words.order_parameters(approved(stop=590_000, target=620_005), 7) == {
        "symbol": "BTC_USDT",
        "side": 1,
        "type": 5,
        "vol": 5,
        "openType": 2,
        "positionMode": 2,
        "leverage": 7,
        "externalOid": "p-s-1-1",
        "stopLossPrice": 59_000,
        "lossTrend": 1,
        "takeProfitPrice": 62_000.5,
        "profitTrend": 1,
    }


@pytest.mark.parametrize(("lots", "reduce_only", "side"), [(5, False, 1), (5, True, 2), (-5, False, 3), (-5, True, 4)])
def test_sides_are_those_of_one_way_mode_whatever_ccxt_would_send(lots, reduce_only, side):
    """Two buys: one opens a long, one closes a short. A reduce-only order says so twice."""
    asked = words.order_parameters(approved(signed_lots=lots, reduce_only=reduce_only))
    assert (asked["side"], asked["vol"], asked.get("reduceOnly", False), asked["positionMode"]) == (side, 5, reduce_only, 2)


@pytest.mark.parametrize(
    ("terms", "kind"),
    [({}, 1), ({"post_only": True}, 2), ({"time_in_force": TimeInForce.IOC}, 3), ({"time_in_force": TimeInForce.FOK}, 4)],
)
def test_the_type_says_how_long_a_limit_order_may_rest(terms, kind):
    asked = words.order_parameters(approved(order_type=OrderType.LIMIT, limit=600_001, **terms))
    assert (asked["type"], asked["price"]) == (kind, 60_000.1) and "timeInForce" not in asked


def test_the_size_that_was_approved_is_sent_not_the_one_asked_for():
    assert words.order_parameters(Approved(approved(signed_lots=-8).intent, -4, ()))["vol"] == 4


@pytest.mark.parametrize("kind", [OrderType.STOP, OrderType.TAKE_PROFIT])
def test_what_the_venue_has_no_words_for_is_not_sent_as_something_less(kind):
    with pytest.raises(UsageError, match=r"p\.s\.1\.1 cannot be sent: its conditional orders carry no id of ours"):
        words.order_parameters(approved(order_type=kind, trigger=600_000))


# -- in ---------------------------------------------------------------------------------------------------------------
def test_an_order_of_the_stream():
    report = words.order_report(CRV, frame("Order"))
    assert (report.status, report.signed_lots, report.filled_lots, report.reduce_only) == (OrderStatus.FILLED, -1, 1, True)
    assert (report.client_order_id, report.venue_order_id, report.ts_event_ns) == (NOT_OURS, "102067003631907840", 1610005069983 * MS)


def test_an_order_over_rest():
    report = words.order_report(ETH, answer("Trading_GetOrder").result)
    assert (report.status, report.signed_lots, report.reduce_only) == (OrderStatus.FILLED, 1, True), "side 2 closes a short: it buys"


def test_an_order_that_was_accepted():
    reply = answer("Trading_PlaceOrder")
    assert (reply.outcome, reply.result["orderId"]) == (Outcome.ACCEPTED, "739113577038255616")


def test_a_position_over_rest_and_of_the_stream():
    (row,) = words.rows(answer("Trading_GetPositions").result, "positions")
    held = words.position(ETH, row)
    assert (held.ident, held.report.signed_lots, held.report.entry_price, held.report.leverage) == ("1394650", 1, "1217.3", 100)
    assert words.position(CRV, frame("Position")) is None, "closed"


def test_the_assets():
    report = words.wallet(words.rows(answer("Account_GetBalances").result, "assets"))
    assert (report.equity, report.cash, report.coins) == (3_176_562, 3_176_562, {})


def test_cash_is_what_nothing_open_would_leave():
    row = {"currency": "USDT", "equity": Decimal("110.5"), "unrealized": Decimal("10.5"), "cashBalance": Decimal("3")}
    assert words.wallet([row, {"currency": "BTC", "equity": Decimal("0.5"), "unrealized": 0}]).coins == {"BTC": "0.5"}
    assert words.wallet([row]).cash == 10_000_000_000
    with pytest.raises(Unreadable, match="expected USDT among the assets, found none"):
        words.wallet([])


def deal(**fields):
    return {
        "id": 987654321, "symbol": "BTC_USDT", "side": 1, "vol": 10, "price": Decimal("45000.5"), "feeCurrency": "USDT", "fee": Decimal("0.225"),
        "timestamp": 1760942212000, "profit": 0, "isTaker": True, "category": 1, "orderId": 123456789,
    } | fields  # fmt: skip


def test_an_execution():
    e = words.execution(BTC, deal(), "p-s-1-1")
    assert (e.execution_id, e.client_order_id, e.venue_order_id) == ("987654321", "p.s.1.1", "123456789")
    assert (e.signed_lots, e.price, e.fee, e.liquidity, e.kind) == (10, 450_005, 22_500_000, Liquidity.TAKER, ExecutionKind.TRADE)


@pytest.mark.parametrize(
    ("fields", "external", "kind", "owner"),
    [
        ({"category": 2}, "_m_1", ExecutionKind.LIQUIDATION, NOT_OURS),
        ({"category": 4}, "p-s-1-1", ExecutionKind.ADL, NOT_OURS),
        ({"category": 3}, "_m_1", ExecutionKind.SETTLEMENT, NOT_OURS),
        ({"category": 3}, "p-s-1-1", ExecutionKind.TRADE, "p.s.1.1"),
        ({}, "stoporder_STOP_LOSS_1", ExecutionKind.STOP, NOT_OURS),
        ({}, "_m_1", ExecutionKind.TRADE, NOT_OURS),
    ],
)
def test_why_an_execution_happened(fields, external, kind, owner):
    e = words.execution(BTC, deal(**fields), external)
    assert (e.kind, e.client_order_id) == (kind, owner)


def test_a_maker_s_execution_by_either_name():
    assert words.execution(BTC, deal(isTaker=False), "a").liquidity is Liquidity.MAKER
    older = deal(taker=False)
    del older["isTaker"]
    assert words.execution(BTC, older, "a").liquidity is Liquidity.MAKER


@pytest.mark.parametrize("broken", [{"category": 9}, {"feeCurrency": "MX"}, {"vol": Decimal("0.5")}, {"fee": None}, {"side": 0}, {"orderId": 0}, {"id": None}])
def test_an_execution_that_is_not_as_documented_proves_nothing(broken):
    with pytest.raises(Unreadable):
        words.execution(BTC, deal(**broken), "a")


def order(**fields):
    return {
        "orderId": "1", "symbol": "BTC_USDT", "vol": 10, "dealVol": 0, "side": 1, "category": 1, "orderType": 1, "state": 2, "externalOid": "p-s-1-1",
        "errorCode": 0, "updateTime": 1,
    } | fields  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"state": 1}, OrderStatus.OPEN),
        ({"state": 2}, OrderStatus.OPEN),
        ({"state": 2, "dealVol": 3}, OrderStatus.PARTIALLY_FILLED),
        ({"state": 3, "dealVol": 10}, OrderStatus.FILLED),
        ({"state": 3, "dealVol": 3}, OrderStatus.CANCELLED),
        ({"state": 4, "dealVol": 3}, OrderStatus.CANCELLED),
        ({"state": 5}, OrderStatus.REJECTED),
        ({"state": 5, "dealVol": 3}, OrderStatus.CANCELLED),
    ],
)
def test_where_an_order_stands(fields, status):
    report = words.order_report(BTC, order(**fields))
    assert (report.status, report.filled_lots) == (status, fields.get("dealVol", 0))


def test_why_an_order_has_ended_is_told():
    assert words.order_report(BTC, order(state=4, errorCode=20)).reason == "post-only would take"
    assert words.order_report(BTC, order(state=5, errorCode=77)).reason == "error 77"


@pytest.mark.parametrize(
    "broken", [{"state": 6}, {"vol": "x"}, {"vol": None}, {"side": 5}, {"dealVol": 11}, {"dealVol": -1}, {"externalOid": 5}, {"vol": True}]
)
def test_an_order_that_is_not_as_documented_proves_nothing(broken):
    with pytest.raises(Unreadable):
        words.order_report(BTC, order(**broken))


@pytest.mark.parametrize("data", [None, {}, "", 0, {"list": []}, [1], {"resultList": None}])
def test_no_list_is_not_an_empty_list(data):
    with pytest.raises(Unreadable, match="expected a list of objects"):
        words.rows(data, "positions")


def test_an_empty_list_is_also_as_a_page():
    assert words.rows([], "positions") == [] == words.rows({"resultList": [], "totalPage": 1}, "deals")


def test_a_hedged_account_is_said_so():
    with pytest.raises(Unreadable, match="hedge mode .* one-way mode"):
        words.position(BTC, {"positionMode": 1, "holdVol": 1, "positionType": 1})


@pytest.mark.parametrize(("fields", "prices"), [({}, (590_000, None)), ({"stopLossPrice": 0, "takeProfitPrice": 61_000}, (None, 610_000))])
def test_what_rests_on_a_position(fields, prices):
    row = {
        "id": 3,
        "positionId": 1,
        "positionType": 2,
        "vol": 4,
        "stopLossPrice": 59_000,
        "takeProfitPrice": None,
        "state": 1,
        "isFinished": 0,
        "updateTime": 9,
    }
    stop = words.resting_stop(BTC, row | fields)
    assert ((stop.stop, stop.target), stop.ident, stop.is_long) == (prices, "3", False)
    report = stop.report()
    assert (report.signed_lots, report.is_protective, report.reduce_only) == (4, True, True)
    assert words.resting_stop(BTC, row | {"isFinished": 1}) is None and words.resting_stop(BTC, row | {"state": 2}) is None


def test_instruments_that_we_do_not_trade_are_unknown():
    known = Contracts([BTC, ETH])
    assert known.find("BTC_USDT") is BTC and known.find("XRP_USDT") is None and known.find(None) is None
