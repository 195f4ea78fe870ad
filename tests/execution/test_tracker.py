"""Orders are followed to the same end whatever the order in which the venue's words arrive."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_core.execution.reports import Execution, ExecutionKind, OrderReport
from titan_core.execution.tracker import OrderTracker
from titan_core.model.enums import Liquidity
from titan_core.model.ids import ClientOrderId, InstrumentId
from titan_core.model.order import OrderStatus
from titan_core.model.units import Money

ID, BTC = ClientOrderId("p.s.1.1"), InstrumentId("BTCUSDT.bybit-linear")


def report(status, filled=0, lots=10, **more):
    return OrderReport(client_order_id=ID, venue_order_id="v1", instrument=BTC, signed_lots=lots, status=status, filled_lots=filled, **more)


def execution(number, lots, client_order_id=ID):
    return Execution(
        execution_id=f"e{number}",
        client_order_id=client_order_id,
        venue_order_id="v1",
        instrument=BTC,
        signed_lots=lots,
        price=600_000,
        fee=Money(1),
        liquidity=Liquidity.TAKER,
        kind=ExecutionKind.TRADE,
    )


@st.composite
def lives(draw):
    """What a venue says of one order over its life: fills, reports after each, an end."""
    lots = draw(st.integers(1, 30))
    cuts = sorted(draw(st.sets(st.integers(1, lots), max_size=6)))
    words, done = [report(OrderStatus.OPEN, lots=lots)], 0
    for number, upto in enumerate(cuts):
        words.append(execution(number, upto - done))
        done = upto
        words.append(report(OrderStatus.FILLED if done == lots else OrderStatus.PARTIALLY_FILLED, done, lots))
    if done < lots:
        words.append(report(draw(st.sampled_from([OrderStatus.CANCELLED, OrderStatus.EXPIRED])), done, lots))
    shuffled = draw(st.permutations(words + draw(st.lists(st.sampled_from(words), max_size=8))))
    return lots, words, shuffled


def follow(lots, words):
    tracker = OrderTracker()
    order = tracker.intend(ID, lots)
    booked = 0
    for word in words:
        before = order.filled_lots
        if isinstance(word, Execution):
            booked += word.signed_lots if tracker.take_execution(word) else 0
        else:
            tracker.take_report(word)
        assert order.filled_lots >= before, "what was filled stays filled"
        assert order.filled_lots <= lots
        assert not (order.is_done and order.is_incomplete)
    return (order.status, order.filled_lots, order.is_done, booked)


@settings(max_examples=400)
@given(lives())
def test_shuffled_and_repeated_words_lead_to_the_same_end(life):
    lots, words, shuffled = life
    straight = follow(lots, words)
    assert follow(lots, shuffled) == straight
    assert straight[2] and straight[1] == straight[3] == sum(w.signed_lots for w in words if isinstance(w, Execution))


def test_a_closing_status_without_its_executions_is_no_end():
    tracker = OrderTracker()
    order = tracker.intend(ID, 10)
    tracker.take_report(report(OrderStatus.CANCELLED, filled=4))
    assert order.is_incomplete and not order.is_done and tracker.open_orders() == [order]
    assert tracker.take_execution(execution(1, 4))
    assert order.is_done and order.status is OrderStatus.CANCELLED and order.leaves_lots == 0


def test_an_execution_counts_once():
    tracker = OrderTracker()
    order = tracker.intend(ID, 10)
    assert tracker.take_execution(execution(1, 4)) and not tracker.take_execution(execution(1, 4))
    assert order.filled_lots == 4 and order.leaves_lots == 6


def test_an_execution_of_an_order_that_is_not_ours_is_booked_once_too():
    tracker = OrderTracker()
    stranger = execution(7, -3, ClientOrderId(""))
    assert tracker.take_execution(stranger) and not tracker.take_execution(stranger)


def test_a_stale_report_tells_nothing():
    tracker = OrderTracker()
    order = tracker.intend(ID, 10)
    assert tracker.take_report(report(OrderStatus.PARTIALLY_FILLED, filled=3)) is order
    assert tracker.take_report(report(OrderStatus.OPEN)) is None
    assert order.status is OrderStatus.PARTIALLY_FILLED


def test_a_refusal_does_not_end_an_order_that_has_been_executed():
    tracker = OrderTracker()
    order = tracker.intend(ID, 10)
    tracker.doubt(ID)
    assert order.status is OrderStatus.UNKNOWN
    tracker.take_execution(execution(1, 4))
    assert tracker.fail(ID, "not found") is None and order.status is OrderStatus.PARTIALLY_FILLED


def test_an_unknown_order_that_the_venue_does_not_know_ends():
    tracker = OrderTracker()
    order = tracker.intend(ID, 10)
    tracker.doubt(ID)
    assert tracker.fail(ID, "never arrived") is order and order.is_done and order.reason == "never arrived"


@pytest.mark.parametrize("status", [OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED])
def test_nothing_moves_an_order_that_has_ended(status):
    tracker = OrderTracker()
    order = tracker.intend(ID, 10)
    if status is OrderStatus.FILLED:
        tracker.take_execution(execution(1, 10))
    tracker.take_report(report(status, filled=order.filled_lots))
    for late in OrderStatus:
        assert tracker.take_report(report(late, filled=order.filled_lots)) is None
    assert order.status is status
