"""Orders against the venue in a box: each has one fate, whatever is lost on the way."""

import asyncio

import pytest

from titan_core.errors import Unreadable, VenueUnavailable
from titan_core.execution.limiter import Lane
from titan_core.model.enums import OrderType
from titan_core.model.order import OrderStatus

pytest.importorskip("ccxt", reason="the extra `live` is not installed")
from tests.execution.rig import Rig, run  # noqa: E402
from titan_core.simulator.faults import FaultKind, Rule  # noqa: E402


def agree(rig: Rig) -> None:
    """What we booked is what the venue did."""
    assert rig.owner.position == rig.venue_position
    account = rig.box.exchanges["bybit"].account
    assert {e.execution_id for e in rig.owner.executions} == {e.id for e in account.executions}
    assert sum(e.fee for e in rig.owner.executions) == sum(e.fee for e in account.executions)


@pytest.mark.parametrize("over_socket", [True, False])
def test_an_order_is_filled_and_its_stop_rests_at_the_venue(over_socket):
    async def scene(rig):
        price, _ = rig.touch
        order = rig.submit(10, stop=price - 5_000)
        await rig.settled()
        assert order.status is OrderStatus.FILLED and order.filled_lots == 10
        (held,) = await rig.account.client.positions()
        assert (held.signed_lots, held.stop) == (10, price - 5_000)
        rig.submit(-10, Lane.EXIT, reduce_only=True)
        await rig.settled()
        assert await rig.account.client.positions() == []

    rig = run(scene, over_socket=over_socket)
    agree(rig)
    assert rig.owner.position == 0 and len(rig.owner.ended) == 2


def test_a_resting_order_is_cancelled():
    async def scene(rig):
        order = rig.submit(10, order_type=OrderType.LIMIT, limit=580_000)
        await asyncio.sleep(1)
        assert order.status is OrderStatus.OPEN
        assert [r.client_order_id for r in await rig.account.client.open_orders()] == [order.client_order_id]
        rig.service.cancel(order.client_order_id, Lane.EXIT)
        await rig.settled()
        assert order.status is OrderStatus.CANCELLED

    agree(run(scene))


@pytest.mark.parametrize("over_socket", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_accepted_and_then_dropped_is_neither_lost_nor_sent_twice(seed, over_socket):
    """A tenth of the answers are lost after the order was carried out, a tenth of the requests before; some hang."""
    if over_socket:
        lost = ((FaultKind.DROP_REQUEST, "/v5/trade request"), (FaultKind.DROP_FRAME, "/v5/trade answer"))
    else:
        lost = tuple((kind, "POST /v5/order/create") for kind in (FaultKind.DROP_ANSWER, FaultKind.DROP_REQUEST, FaultKind.HANG_ANSWER))
    faults = tuple(Rule(kind=kind, venue="bybit", where=where, probability=0.1, seconds=4.0) for kind, where in lost)

    async def scene(rig):
        for i in range(40):
            rig.submit(5 if i % 2 == 0 else -5, Lane.EXIT)
            await asyncio.sleep(0.5)
        await rig.settled(300)

    rig = run(scene, seed=seed, faults=faults, over_socket=over_socket, rate=50.0)
    agree(rig)
    assert set(rig.owner.ended.values()) == {"filled 5"} and len(rig.owner.ended) == 40, "created = intents"
    assert len(rig.owner.executions) == len({e.execution_id for e in rig.owner.executions})
    assert sum(rule.hits for rule in rig.box.faults.rules) >= 4, "the shape of the test"


def test_a_late_entry_is_not_sent_any_more():
    async def scene(rig):
        rig.account.client.limiter.ban(30)
        order = rig.submit(10)
        await asyncio.sleep(40)
        assert order.status is OrderStatus.REJECTED and "too late" in order.reason

    rig = run(scene)
    assert rig.venue_links == []


@pytest.mark.parametrize("kind", [FaultKind.EMPTY, FaultKind.TRUNCATED, FaultKind.HTML])
def test_a_broken_body_is_never_flat(kind):
    async def scene(rig):
        rig.submit(10)
        await rig.settled()
        rig.box.add_fault(Rule(kind=kind, venue="bybit", where="*/v5/position/*"))
        with pytest.raises((Unreadable, VenueUnavailable)):
            await rig.account.client.positions()

    run(scene)


def test_private_events_that_are_shuffled_doubled_and_lost_lead_to_the_same_books():
    faults = (
        Rule(kind=FaultKind.SHUFFLE, venue="bybit", where="/v5/private*", probability=0.3, seconds=0.5),
        Rule(kind=FaultKind.DUPLICATE, venue="bybit", where="/v5/private*", probability=0.3),
        Rule(kind=FaultKind.DROP_FRAME, venue="bybit", where="/v5/private*", probability=0.2),
    )

    async def scene(rig):
        for i in range(30):
            rig.submit(3 if i % 3 else -6, Lane.EXIT)
            await asyncio.sleep(0.3)
        await rig.settled(300)

    rig = run(scene, faults=faults, rate=50.0)
    agree(rig)
    assert all(rule.hits for rule in rig.box.faults.rules), "the shape of the test"


def test_what_happened_while_the_private_stream_was_away_is_asked_for():
    async def scene(rig):
        rig.box.add_fault(Rule(kind=FaultKind.BLACK_HOLE, venue="bybit", where="/v5/private*", to_s=1e9, count=1))
        began = asyncio.get_running_loop().time()
        rig.submit(7)
        while rig.service.is_streaming:
            await asyncio.sleep(0.05)
        assert asyncio.get_running_loop().time() - began < 4.5, "the silence is noticed"
        await rig.settled()

    rig = run(scene)
    agree(rig)
    assert rig.venue_position == 7


@pytest.mark.parametrize("code", [10001, 110007, 110094, 10005])
def test_a_refusal_ends_the_order_and_trouble_is_told(code):
    faults = (Rule(kind=FaultKind.CODE, venue="bybit", where="POST /v5/order/create", code=code),)

    async def scene(rig):
        order = rig.submit(10)
        await rig.settled()
        assert order.status is OrderStatus.REJECTED and str(code) in order.reason

    rig = run(scene, faults=faults, over_socket=False)
    assert rig.venue_links == []


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_code_that_nobody_knows_is_looked_up(carried_out):
    faults = (Rule(kind=FaultKind.CODE, venue="bybit", where="POST /v5/order/create", code=987_654, carried_out=carried_out, count=1),)

    async def scene(rig):
        rig.submit(10, Lane.EXIT)
        await rig.settled()

    rig = run(scene, faults=faults, over_socket=False)
    agree(rig)
    assert rig.venue_position == 10, "it was there, or it was sent again"


def test_a_new_process_learns_what_became_of_the_orders_of_the_old_one():
    """One was filled, one rests, one was journalled and never sent: none is sent again."""

    async def scene(rig):
        filled, unsent = rig.approved(5), rig.approved(6)
        resting = rig.approved(7, order_type=OrderType.LIMIT, limit=580_000)
        rig.service.submit(filled, Lane.ENTRY)
        rig.service.submit(resting, Lane.ENTRY)
        await asyncio.sleep(1)
        await rig.service.close()
        again = rig.restart()
        for each in (filled, unsent, resting):
            again.adopt(each, Lane.ENTRY)
        again.refresh()
        await asyncio.sleep(10)
        ends = rig.owner.ended
        assert ends[filled.intent.client_order_id] == "filled 5" and ends[unsent.intent.client_order_id] == "rejected 0"
        assert again.tracker.orders[resting.intent.client_order_id].status is OrderStatus.OPEN

    rig = run(scene)
    agree(rig)
    assert sorted(set(rig.venue_links)) == ["p.s.1.1", "p.s.1.3"] and rig.venue_position == 5


def test_before_trading_mode_leverage_and_rules_are_checked():
    async def scene(rig):
        await rig.account.client.prepare({rig.perp.id: 7})
        rig.submit(10)
        await rig.settled()
        (held,) = await rig.account.client.positions()
        assert held.leverage == 7
        assert abs(await rig.account.client.clock_offset_ns()) < 5_000_000
        assert (await rig.account.client.wallet()).cash > 0

    run(scene)


def test_the_same_seed_gives_the_same_story():
    faults = (Rule(kind=FaultKind.DROP_FRAME, venue="bybit", where="/v5/trade answer", probability=0.3),)

    async def scene(rig):
        for _ in range(10):
            rig.submit(3, Lane.EXIT)
            await asyncio.sleep(0.2)
        await rig.settled()

    first, second = run(scene, faults=faults, seed=5), run(scene, faults=faults, seed=5)
    assert first.box.trace() == second.box.trace()
    assert first.owner.executions == second.owner.executions
