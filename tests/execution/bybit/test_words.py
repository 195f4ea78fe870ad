"""Bybit's words and ours. The frames are the venue's own, from recordings and documents beside the project; where those are absent, hand-made ones remain."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from titan_core.errors import Unreadable, UsageError
from titan_core.execution.bybit import words
from titan_core.execution.bybit.words import Instruments
from titan_core.execution.reports import NOT_OURS, ExecutionKind
from titan_core.model.enums import InstrumentKind, Liquidity, OrderType, TimeInForce
from titan_core.model.ids import ClientOrderId, PhaseId, StrategyId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Approved, Intent, OrderStatus
from titan_core.model.units import MS

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "market" / "fixtures" / "bybit_v5"
BTC = Instrument(venue=words.LINEAR, symbol="BTCUSDT", kind=InstrumentKind.PERP, base="BTC", tick_size=Decimal("0.1"), lot_size=Decimal("0.001"))
ETH = evolve(BTC, symbol="ETHUSDT", base="ETH", tick_size=Decimal("0.01"), lot_size=Decimal("0.001"))
COIN = evolve(BTC, venue=words.SPOT, kind=InstrumentKind.SPOT, tick_size=Decimal("0.01"), lot_size=Decimal("0.000001"))


def fixture(name):
    path = FIXTURES / "nautilus" / f"{name}.json"
    if not path.exists():
        pytest.skip(f"no market data beside the project: {path.name}")
    return json.loads(path.read_text())


# -- out --------------------------------------------------------------------------------------------------------------
def approved(**terms):
    named = {"client_order_id": ClientOrderId("p.s.1.1"), "phase": PhaseId("p"), "strategy": StrategyId("s"), "instrument": BTC, "signed_lots": 5}
    intent = Intent(**(named | terms))
    return Approved(intent, intent.signed_lots, ())


def test_a_market_entry_with_its_stop():
    assert words.order_parameters(approved(stop=590_000, target=620_000)) == {
        "category": "linear",
        "symbol": "BTCUSDT",
        "side": "Buy",
        "orderType": "Market",
        "qty": "0.005",
        "orderLinkId": "p.s.1.1",
        "positionIdx": 0,
        "tpslMode": "Full",
        "stopLoss": "59000",
        "slTriggerBy": "LastPrice",
        "takeProfit": "62000",
        "tpTriggerBy": "LastPrice",
    }


@pytest.mark.parametrize(
    ("terms", "word"),
    [
        ({}, "GTC"),
        ({"time_in_force": TimeInForce.IOC}, "IOC"),
        ({"time_in_force": TimeInForce.FOK}, "FOK"),
        ({"post_only": True}, "PostOnly"),
    ],
)
def test_a_limit_order_says_how_long_it_may_rest(terms, word):
    asked = words.order_parameters(approved(order_type=OrderType.LIMIT, limit=600_001, signed_lots=-5, **terms))
    assert (asked["price"], asked["timeInForce"], asked["side"]) == ("60000.1", word, "Sell")


@pytest.mark.parametrize(
    ("kind", "lots", "direction"), [(OrderType.STOP, 1, 1), (OrderType.STOP, -1, 2), (OrderType.TAKE_PROFIT, 1, 2), (OrderType.TAKE_PROFIT, -1, 1)]
)
def test_a_trigger_says_from_which_side_it_is_reached(kind, lots, direction):
    asked = words.order_parameters(approved(order_type=kind, trigger=600_000, signed_lots=lots))
    assert (asked["triggerPrice"], asked["triggerDirection"], asked["orderType"]) == ("60000", direction, "Market")


def test_spot_is_bought_by_coin_and_knows_no_position():
    asked = words.order_parameters(approved(instrument=COIN, signed_lots=5))
    assert (asked["category"], asked["qty"], asked["marketUnit"]) == ("spot", "0.000005", "baseCoin")
    assert not {"positionIdx", "reduceOnly"} & set(asked)


@pytest.mark.parametrize("terms", [{"stop": 5}, {"target": 5}, {"order_type": OrderType.STOP, "trigger": 5}])
def test_what_spot_has_no_words_for_is_not_sent_as_something_less(terms):
    with pytest.raises(UsageError, match=r"order p\.s\.1\.1 has a trigger, stop or target"):
        words.order_parameters(approved(instrument=COIN, **terms))


def test_the_size_that_was_approved_is_sent_not_the_one_asked_for():
    wished = approved(signed_lots=-8)
    assert words.order_parameters(Approved(wished.intent, -4, ()))["qty"] == "0.004"


def test_protection_is_taken_off_with_a_zero():
    assert words.protection_parameters(BTC, 590_000, None) | {} == {
        "category": "linear", "symbol": "BTCUSDT", "positionIdx": 0, "tpslMode": "Full",
        "stopLoss": "59000", "slTriggerBy": "LastPrice", "takeProfit": "0", "tpTriggerBy": "LastPrice",
    }  # fmt: skip


# -- in ---------------------------------------------------------------------------------------------------------------
def test_an_execution_of_the_stream():
    (row,) = fixture("ws_account_execution")["data"]
    e = words.execution(BTC, row)
    assert (e.execution_id, e.client_order_id) == ("0ab1bdf7-4219-438b-b30a-32ec863018f7", "test-order-link-001")
    assert (e.signed_lots, e.price, e.fee, e.kind) == (-500, 959_001, 2_637_252_750, ExecutionKind.TRADE)
    assert (e.liquidity, e.ts_event_ns) == (Liquidity.TAKER, 1746270400353 * MS)


def test_an_auto_deleveraging_is_nobodys_order():
    (row,) = fixture("ws_account_execution_adl")["data"]
    e = words.execution(BTC, row)
    assert (e.kind, e.client_order_id, e.fee) == (ExecutionKind.ADL, NOT_OURS, 0)


def test_a_cancelled_order_of_the_stream():
    (row,) = fixture("ws_account_order")["data"]
    report = words.order_report(BTC, row)
    assert (report.status, report.filled_lots, report.signed_lots, report.client_order_id) == (OrderStatus.CANCELLED, 0, 10, "client-1")
    assert report.reason == "CancelByUser" and report.ts_event_ns == 1700000005000 * MS


def test_a_stop_that_rests_at_the_venue():
    (row,) = fixture("ws_account_order_stop_loss")["data"]
    report = words.order_report(BTC, row)
    assert report.is_protective and report.reduce_only and report.status is OrderStatus.OPEN


def test_open_orders_over_rest():
    reports = [words.order_report(evolve(ETH, tick_size=Decimal("0.01")), row) for row in words.rows(fixture("http_get_orders_realtime")["result"], "orders")]
    assert reports[0].client_order_id == "client-open-1" and reports[0].signed_lots == 10 and reports[0].status is OrderStatus.OPEN


def test_positions_with_their_protection():
    rows = words.rows(fixture("http_get_positions")["result"], "positions")[:2]
    held = [words.position(instrument, row) for instrument, row in zip((BTC, ETH), rows, strict=True)]
    assert [(p.signed_lots, p.leverage) for p in held] == [(500, 10), (-5000, 5)]
    assert (held[0].stop, held[0].target, held[0].entry_price) == (480_000, 550_000, "50000.00")


def test_executions_over_rest():
    first = words.rows(fixture("http_get_executions")["result"], "executions")[0]
    e = words.execution(BTC, first)
    assert (e.signed_lots, e.price, e.fee, e.liquidity) == (100, 500_000, 1_500_000, Liquidity.MAKER)


def test_the_wallet():
    (row,) = words.rows(fixture("http_get_wallet_balance")["result"], "wallet")
    report = words.wallet(row)
    assert (report.equity, report.cash) == (331_216_591, 100_050_000_000) and "BTC" not in report.coins


def test_the_fee_of_a_spot_purchase_is_valued_in_usdt():
    row = {
        "execType": "Trade", "execPrice": "60000", "execFee": "0.000001", "feeCurrency": "BTC", "execId": "1", "orderLinkId": "a", "orderId": "b",
        "execQty": "0.001", "side": "Buy", "isMaker": False, "execTime": "1",
    }  # fmt: skip
    assert words.execution(COIN, row).fee == 6_000_000


@pytest.mark.parametrize("result", [None, [], {}, "", {"list": None}, {"list": [1]}, {"rows": []}])
def test_no_list_is_not_an_empty_list(result):
    with pytest.raises(Unreadable, match="expected an object with a list"):
        words.rows(result, "positions")


def test_an_empty_list_is():
    assert words.rows({"list": []}, "positions") == []


def test_a_hedged_account_is_said_so():
    with pytest.raises(Unreadable, match="hedge mode .* one-way mode"):
        words.position(BTC, {"positionIdx": 1, "size": "1", "side": "Buy"})


@pytest.mark.parametrize("broken", [{"orderStatus": "Weird"}, {"qty": "x"}, {"qty": None}, {"qty": "0.0005"}, {"side": "Hold"}, {"cumExecQty": "NaN"}])
def test_what_is_not_as_documented_proves_nothing(broken):
    row = {
        "orderStatus": "New", "qty": "0.001", "cumExecQty": "0", "side": "Buy", "orderLinkId": "a", "orderId": "b", "updatedTime": "1",
    }  # fmt: skip
    assert words.order_report(BTC, row).status is OrderStatus.OPEN
    with pytest.raises(Unreadable):
        words.order_report(BTC, row | broken)


def test_instruments_that_we_do_not_trade_are_unknown():
    known = Instruments([BTC, COIN])
    assert known.find("linear", "BTCUSDT") is BTC and known.find("spot", "BTCUSDT") is COIN
    assert known.find("linear", "XRPUSDT") is None and known.find(None, "BTCUSDT") is None
    assert known.categories == ("linear", "spot")
