"""The private stream: what comes twice, late, out of order or without a name leads to the same books."""

import asyncio
import random
from decimal import Decimal

import pytest

from tests.execution.mexc.test_words import BTC, deal, order
from titan_core.execution.mexc.orders import OrderNames
from titan_core.execution.mexc.private import PrivateStream
from titan_core.execution.mexc.words import Contracts
from titan_core.execution.tracker import OrderTracker
from titan_core.model.ids import ClientOrderId
from titan_core.model.order import OrderStatus
from titan_core.simulator.clock import VirtualClock
from titan_core.simulator.virtual_loop import run_virtual


class Books:
    """A listener with a tracker: all that a service makes of what it hears."""

    def __init__(self):
        self.tracker, self.position, self.heard, self.ups = OrderTracker(), 0, [], []

    def on_report(self, report):
        self.heard.append(report.client_order_id)
        self.tracker.take_report(report)

    def on_execution(self, execution):
        if self.tracker.take_execution(execution):
            self.position += execution.signed_lots

    def on_stream(self, is_up, reason):
        self.ups.append((is_up, reason))


class Socket:
    """What the stream says and whether it gave up."""

    def __init__(self):
        self.sent, self.dropped = [], []
        self.send, self.drop = self.sent.append, self.dropped.append


def stream(books):
    made = PrivateStream(Contracts([BTC]), books, OrderNames())
    made.socket = Socket()
    made.on_up()
    made.on_frame({"channel": "rs.personal.filter", "data": "success"})
    return made


def push(name, data):
    return {"channel": f"push.personal.{name}", "data": data, "ts": 1}


def test_it_says_what_it_wants_to_hear():
    books = Books()
    made = stream(books)
    assert [each["filter"] for each in made.socket.sent[0]["param"]["filters"]] == ["order", "order.deal", "position", "asset"]
    made.on_down("reset")
    assert books.ups == [(True, "subscribed"), (False, "reset")]


@pytest.mark.parametrize("said", [{"channel": "rs.error", "data": "not logged in"}, {"channel": "rs.personal.filter", "data": "failed"}])
def test_a_filter_that_is_refused_ends_the_line(said):
    made = stream(Books())
    made.on_frame(said)
    assert made.socket.dropped == [f"not subscribed: {said['data']}"]


def story(orders):
    """Frames of so many orders: half are filled in two parts, half withdrawn after one."""
    frames = []
    for i in range(orders):
        name = {"orderId": f"{i + 1}", "externalOid": f"p-s-1-{i}", "side": 1 + 2 * (i % 2)}
        frames += [push("order", order(**name, updateTime=1)), push("order.deal", deal(id=f"{i}a", vol=4, **name)), push("order", order(**name, dealVol=4))]
        if i % 4 < 2:
            frames += [push("order.deal", deal(id=f"{i}b", vol=6, **name)), push("order", order(**name, dealVol=10, state=3))]
        else:
            frames += [push("order", order(**name, dealVol=4, state=4))]
    return frames


def lived(frames, orders):
    books = Books()
    for i in range(orders):
        books.tracker.intend(ClientOrderId(f"p.s.1.{i}"), 10 if i % 2 == 0 else -10)

    async def live():
        made = stream(books)
        for each in frames:
            made.on_frame(each)
        await asyncio.sleep(1)
        assert made.faults == 0, made.last_fault

    run_virtual(live(), VirtualClock(0))
    return books.position, {name: (each.status, each.filled_lots, each.is_done) for name, each in books.tracker.orders.items()}


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_events_that_are_shuffled_and_doubled_end_in_the_same_books(seed, named):
    """Also where executions do not name the order by our id."""
    frames, orders = story(100), 100
    expected = lived(frames, orders)
    mixed = [each if named or "price" not in each["data"] else push("order.deal", each["data"] | {"externalOid": ""}) for each in frames + frames]
    random.Random(seed).shuffle(mixed)
    assert lived(mixed, orders) == expected
    assert expected[1]["p.s.1.0"] == (OrderStatus.FILLED, 10, True) and expected[1]["p.s.1.3"] == (OrderStatus.CANCELLED, 4, True)


def test_an_execution_of_an_order_that_nobody_told_of_makes_the_owner_ask():
    books = Books()

    async def live():
        made = stream(books)
        made.on_frame(push("order.deal", deal()))
        await asyncio.sleep(0.4)
        assert books.position == 0 and made.faults == 0
        await asyncio.sleep(0.4)
        assert made.faults == 1 and "of which nothing was heard" in books.ups[-1][1]

    run_virtual(live(), VirtualClock(0))


def test_the_void_double_of_an_order_says_nothing_about_it():
    books = Books()
    made = stream(books)
    made.on_frame(push("order", order(orderId="2", state=5, errorCode=23)))
    assert books.heard == [] and made.faults == 0
    made.on_frame(push("order", order()))
    assert books.heard == ["p.s.1.1"]


@pytest.mark.parametrize(
    "said",
    [
        push("order", order(state=9)),
        push("order", None),
        push("order.deal", deal(vol="many")),
        push("position", {"symbol": "BTC_USDT", "positionMode": 1, "positionType": 1, "holdVol": 1}),
        push("asset", {}),
        {"channel": "push.else", "data": {}},
        {},
    ],
)
def test_what_cannot_be_read_makes_the_owner_ask(said):
    books = Books()
    made = stream(books)
    made.on_frame(said)
    assert made.faults == 1 and books.ups[-1][0] is True and books.ups[-1][1].startswith("unreadable")


@pytest.mark.parametrize("said", [push("order", order(symbol="XYZ_USDT")), push("stop.planorder", {"symbol": "BTC_USDT"}), push("order", [])])
def test_what_is_not_ours_to_hear_is_left_alone(said):
    books = Books()
    made = stream(books)
    made.on_frame(said)
    assert made.faults == 0 and len(books.ups) == 1


def test_positions_are_kept_for_show():
    made = stream(Books())
    held = {"symbol": "BTC_USDT", "positionId": 1, "positionType": 2, "holdVol": 3, "holdAvgPrice": Decimal("60000.5"), "leverage": 4}
    made.on_frame(push("position", held))
    assert made.positions[BTC.id].signed_lots == -3
    made.on_frame(push("position", held | {"holdVol": 0}))
    assert made.positions == {BTC.id: None}
