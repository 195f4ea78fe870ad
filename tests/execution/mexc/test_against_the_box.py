"""Orders at MEXC against the venue in a box: each has one fate, whatever is lost on the way, and what protects it rests at the venue."""

import asyncio
from functools import partial

import pytest

from titan_core.errors import ConfigError, Unreadable, VenueUnavailable
from titan_core.execution.limiter import Lane
from titan_core.execution.outcomes import Outcome
from titan_core.execution.reports import NOT_OURS, ExecutionKind
from titan_core.model.enums import OrderType, TimeInForce
from titan_core.model.order import OrderStatus

pytest.importorskip("ccxt", reason="the extra `live` is not installed")
from tests.execution import rig as rigs  # noqa: E402
from tests.execution.rig import Rig  # noqa: E402
from titan_core.execution.mexc.ids import client_id  # noqa: E402
from titan_core.simulator.faults import FaultKind, Rule  # noqa: E402

run = partial(rigs.run, venue="mexc")
CREATE = "POST /api/v1/private/order/create"
REST, STREAM = "*/api/v1/private/*", "/edge order*"


def agree(rig: Rig) -> None:
    """What we booked is what the venue did."""
    account = rig.venue.account
    assert rig.owner.position == rig.venue_position
    assert {e.execution_id for e in rig.owner.executions} == {e.id for e in account.executions}
    assert sum(e.fee for e in rig.owner.executions) == sum(e.fee for e in account.executions)


def fault(kind, where=CREATE, **terms):
    return Rule(kind=kind, venue="mexc", where=where, **terms)


# -- one order --------------------------------------------------------------------------------------------------------
def test_an_order_is_filled_and_its_stop_rests_at_the_venue():
    async def scene(rig):
        price, _ = rig.touch
        order = rig.submit(10, stop=price - 5_000, target=price + 5_000)
        await rig.settled()
        assert order.status is OrderStatus.FILLED and order.filled_lots == 10
        (held,) = await rig.account.client.positions()
        assert (held.signed_lots, held.stop, held.target) == (10, price - 5_000, price + 5_000)
        (stop,) = await rig.account.client.open_orders()
        assert stop.is_protective and stop.reduce_only and stop.signed_lots == -10 and stop.client_order_id == NOT_OURS
        assert rig.account.private.positions[rig.perp.id].signed_lots == 10
        rig.submit(-10, Lane.EXIT, reduce_only=True)
        await rig.settled()
        assert await rig.account.client.positions() == []
        assert await rig.account.client.open_orders() == [], "the venue withdraws what has nothing to protect any more"

    rig = run(scene)
    agree(rig)
    assert rig.owner.position == 0 and len(rig.owner.ended) == 2


def test_a_short_is_opened_reduced_and_closed_without_ever_flipping():
    async def scene(rig):
        rig.submit(-10)
        await rig.settled()
        rig.submit(4, Lane.EXIT, reduce_only=True)
        await rig.settled()
        assert rig.venue_position == -6
        too_much = rig.submit(50, Lane.EXIT, reduce_only=True)
        await rig.settled()
        assert rig.venue_position == 0 and too_much.filled_lots == 6
        nothing = rig.submit(5, Lane.EXIT, reduce_only=True)
        await rig.settled()
        assert nothing.status is OrderStatus.REJECTED and Outcome.NOTHING_TO_REDUCE in nothing.reason

    agree(run(scene))


@pytest.mark.parametrize(
    ("terms", "offset", "status", "filled"),
    [
        ({"time_in_force": TimeInForce.IOC}, -50, OrderStatus.CANCELLED, 0),
        ({"time_in_force": TimeInForce.FOK}, -50, OrderStatus.CANCELLED, 0),
        ({"time_in_force": TimeInForce.IOC}, 500, OrderStatus.FILLED, 10),
        ({"post_only": True}, 500, OrderStatus.CANCELLED, 0),
        ({}, 500, OrderStatus.FILLED, 10),
    ],
)
def test_what_a_limit_order_says_is_meant(terms, offset, status, filled):
    """An IOC that went out as a resting order would still be there."""

    async def scene(rig):
        _, ask = rig.touch
        order = rig.submit(10, order_type=OrderType.LIMIT, limit=ask + offset, **terms)
        await rig.settled()
        assert (order.status, order.filled_lots) == (status, filled)
        assert not rig.venue.account.open_orders

    agree(run(scene))


@pytest.mark.parametrize("acknowledged", [True, False])
def test_a_resting_order_is_cancelled(acknowledged):
    """By the venue's id, or by ours where the venue's was never heard."""

    async def scene(rig):
        order = rig.submit(10, order_type=OrderType.LIMIT, limit=580_000)
        await asyncio.sleep(1)
        assert order.status is OrderStatus.OPEN
        assert [r.client_order_id for r in await rig.account.client.open_orders()] == [order.client_order_id]
        if not acknowledged:
            order.venue_order_id = ""
        rig.service.cancel(order.client_order_id, Lane.EXIT)
        await rig.settled()
        assert order.status is OrderStatus.CANCELLED

    agree(run(scene))


def test_cancelling_what_has_ended_is_no_success_and_says_so():
    async def scene(rig):
        order = rig.submit(10)
        await rig.settled()
        answers = []
        for ident, ours in ((order.venue_order_id, ""), ("", order.client_order_id), ("17", "")):
            rig.account.client.cancel(rig.perp, ours, ident, Lane.EXIT, answers.append)
            await asyncio.sleep(0.5)
        assert [(a.outcome, a.code) for a in answers] == [(Outcome.NOT_FOUND, 2041), (Outcome.NOT_FOUND, 2041), (Outcome.NOT_FOUND, 2040)]

    run(scene)


def test_an_order_that_the_venue_has_no_words_for_is_refused_here():
    async def scene(rig):
        order = rig.submit(10, order_type=OrderType.STOP, trigger=700_000)
        await rig.settled()
        assert order.status is OrderStatus.REJECTED and "might be placed twice" in order.reason

    assert run(scene).venue_links == []


# -- what is lost -----------------------------------------------------------------------------------------------------
def test_a_thousand_intents_are_a_thousand_orders():
    """A tenth of the answers are lost: after the order was carried out, before, or they hang."""
    kinds = (FaultKind.DROP_ANSWER, FaultKind.DROP_REQUEST, FaultKind.HANG_ANSWER)
    faults = tuple(fault(kind, probability=0.034, seconds=4.0) for kind in kinds)

    async def scene(rig):
        for i in range(1_000):
            rig.submit(5 if i % 2 == 0 else -5, Lane.EXIT)
            await asyncio.sleep(0.12)
        await rig.settled(600)

    rig = run(scene, seed=2, faults=faults, rate=50.0)
    agree(rig)
    assert len(rig.journalled) == 1_000 and set(rig.owner.ended.values()) == {"filled 5"} and len(rig.owner.ended) == 1_000
    created = [order.link_id for order in rig.venue.orders.values()]
    assert len(created) == len(set(created)) == 1_000 and {client_id(each) for each in created} == set(rig.journalled)
    assert sum(rule.hits for rule in rig.box.faults.rules) >= 70, "the shape of the test"


def test_private_events_that_are_shuffled_doubled_and_lost_lead_to_the_same_books():
    faults = (
        fault(FaultKind.SHUFFLE, STREAM, probability=0.3, seconds=0.5),
        fault(FaultKind.DUPLICATE, STREAM, probability=0.3),
        fault(FaultKind.DROP_FRAME, STREAM, probability=0.2),
    )

    async def scene(rig):
        for i in range(40):
            rig.submit(3 if i % 3 else -6, Lane.EXIT)
            await asyncio.sleep(0.3)
        await rig.settled(300)

    rig = run(scene, faults=faults, rate=50.0)
    agree(rig)
    assert all(rule.hits for rule in rig.box.faults.rules), "the shape of the test"


def test_fills_and_cancels_that_race_are_booked_as_the_venue_has_them():
    """Limit orders at the touch, withdrawn at random moments: each is filled, withdrawn, or both in part."""
    faults = (fault(FaultKind.DELAY, "*/order/cancel", probability=0.5, seconds=0.05),)

    async def scene(rig):
        for i in range(300):
            bid, _ = rig.touch
            order = rig.submit(20, Lane.EXIT, order_type=OrderType.LIMIT, limit=bid)
            await asyncio.sleep(0.02 + i % 9 * 0.15)
            rig.service.cancel(order.client_order_id, Lane.EXIT)
        await rig.settled(600)

    rig = run(scene, seed=4, faults=faults, rate=100.0)
    agree(rig)
    ends = [text.split()[0] for text in rig.owner.ended.values()]
    assert len(ends) == 300 and ends.count("filled") > 15 and ends.count("cancelled") > 15, "the shape of the test"


def test_what_happened_while_the_private_stream_was_away_is_asked_for():
    async def scene(rig):
        rig.box.add_fault(fault(FaultKind.BLACK_HOLE, "/edge*", to_s=1e9, count=1))
        began = asyncio.get_running_loop().time()
        rig.submit(7)
        while rig.service.is_streaming:
            await asyncio.sleep(0.05)
        assert asyncio.get_running_loop().time() - began < 4.5, "the silence is noticed"
        await rig.settled()

    rig = run(scene)
    agree(rig)
    assert rig.venue_position == 7


def test_an_old_process_s_executions_are_owned_by_a_new_one_that_asks():
    """Lists of executions name orders by the venue's id only; whose they are is asked in lots of fifty."""

    async def scene(rig):
        for i in range(120):
            rig.submit(5 if i % 2 == 0 else -5, Lane.EXIT)
            await asyncio.sleep(0.1)
        await rig.settled()
        rig.account.client.names._known.clear()
        before = rig.account.client.door.sent
        found = await rig.account.client.executions(0)
        assert {e.client_order_id for e in found} == set(rig.journalled) and len(found) == len(rig.venue.account.executions)
        assert rig.account.client.door.sent - before <= 6, "two pages of executions, three of orders"
        late = found[-1].ts_event_ns
        assert [e.execution_id for e in await rig.account.client.executions(late)] == [found[-1].execution_id]

    run(scene, rate=50.0)


# -- what the venue answers -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", [FaultKind.EMPTY, FaultKind.TRUNCATED, FaultKind.HTML])
@pytest.mark.parametrize("read", ["positions", "open_orders", "wallet", "executions"])
def test_a_broken_body_is_never_flat_and_never_nothing(kind, read):
    async def scene(rig):
        price, _ = rig.touch
        order = rig.submit(10, stop=price - 5_000)
        await rig.settled()
        rig.box.add_fault(fault(kind, f"GET {REST}"))
        client = rig.account.client
        with pytest.raises((Unreadable, VenueUnavailable)):
            await (client.executions(0) if read == "executions" else getattr(client, read)())
        with pytest.raises((Unreadable, VenueUnavailable)):
            await client.look_up(rig.perp, order.client_order_id)

    run(scene)


@pytest.mark.parametrize(("code", "outcome"), [(2005, Outcome.NO_MARGIN), (2011, Outcome.REJECTED), (2007, Outcome.REJECTED), (801, Outcome.MAINTENANCE)])
def test_a_refusal_ends_the_order_and_trouble_is_told(code, outcome):
    async def scene(rig):
        order = rig.submit(10)
        await rig.settled()
        assert order.status is OrderStatus.REJECTED and str(code) in order.reason and outcome in order.reason

    rig = run(scene, faults=(fault(FaultKind.CODE, code=code),))
    assert rig.venue_links == [] and (outcome in rig.owner.troubles) is (outcome is not Outcome.REJECTED)


@pytest.mark.parametrize("code", [987_654, 500, 603])
@pytest.mark.parametrize("carried_out", [True, False])
def test_a_code_that_nobody_knows_or_that_says_it_is_there_already_is_looked_up(code, carried_out):
    async def scene(rig):
        rig.submit(10, Lane.EXIT)
        await rig.settled()

    rig = run(scene, faults=(fault(FaultKind.CODE, code=code, carried_out=carried_out, count=1),))
    agree(rig)
    assert rig.venue_links == ["p-s-1-1"] and rig.venue_position == 10


@pytest.mark.parametrize("code", [510, 2037, 700003])
def test_what_was_refused_unseen_is_sent_again(code):
    async def scene(rig):
        rig.submit(10, Lane.EXIT)
        await rig.settled()

    rig = run(scene, faults=(fault(FaultKind.CODE, code=code, count=2),))
    agree(rig)
    assert rig.venue_position == 10


def test_random_codes_crash_nothing_and_lose_nothing():
    async def scene(rig):
        for i in range(40):
            rig.submit(5 if i % 2 == 0 else -5, Lane.EXIT)
            await asyncio.sleep(0.3)
        await rig.settled(600)

    rig = run(scene, seed=3, faults=(fault(FaultKind.CODE, probability=0.3), fault(FaultKind.CODE, probability=0.2, carried_out=True)), rate=50.0)
    agree(rig)
    assert set(rig.owner.ended.values()) == {"filled 5"} and len(rig.owner.ended) == 40


@pytest.mark.parametrize("code", [604, 704, 6001])
def test_a_venue_that_takes_no_orders_is_said_so_and_is_not_pestered_but_a_position_is_still_closed(code):
    async def scene(rig):
        rig.submit(10)
        await rig.settled()
        rig.box.add_fault(fault(FaultKind.CODE, code=code, count=1))
        first = rig.submit(10)
        await rig.settled()
        sent = rig.account.client.door.sent
        second = rig.submit(10)
        await rig.settled()
        assert rig.account.client.door.sent == sent, "nothing was sent for the second one"
        for order in (first, second):
            assert order.status is OrderStatus.REJECTED and "takes no contract orders over its API" in order.reason and "Bybit" in order.reason
        out = rig.submit(-10, Lane.EXIT, reduce_only=True)
        await rig.settled()
        assert out.status is OrderStatus.FILLED
        again = rig.submit(5)
        await rig.settled()
        assert again.status is OrderStatus.FILLED, "an order that was taken opens the gate"

    rig = run(scene)
    agree(rig)
    assert Outcome.NOT_ALLOWED in rig.owner.troubles


# -- stops ------------------------------------------------------------------------------------------------------------
def test_what_rests_on_a_position_is_set_moved_and_taken_off():
    async def scene(rig):
        client = rig.account.client

        async def protect(stop, target):
            answers = []
            client.protect(rig.perp, stop, target, Lane.PROTECT, answers.append)
            while not answers:
                await asyncio.sleep(0.05)
            held = await client.positions()
            return answers[0].outcome, [(each.stop, each.target) for each in held]

        price, _ = rig.touch
        assert await protect(price - 9_000, None) == (Outcome.NOTHING_TO_REDUCE, [])
        rig.submit(10)
        await rig.settled()
        below, above = price - 9_000, price + 9_000
        for stop, target in ((below, None), (below + 100, None), (below + 100, above), (below + 100, above), (None, above), (below, above)):
            assert await protect(stop, target) == (Outcome.ACCEPTED, [(stop, target)])
            assert len(await client.open_orders()) == 1, "one row"
        assert await protect(None, None) == (Outcome.ACCEPTED, [(None, None)])
        assert await protect(None, None) == (Outcome.UNCHANGED, [(None, None)])
        wrong, rests = await protect(price + 500, None)
        assert wrong is Outcome.REJECTED and rests == [(None, None)], "a stop above the price of a long"

    run(scene)


@pytest.mark.parametrize("kind", [FaultKind.DROP_ANSWER, FaultKind.DROP_REQUEST, FaultKind.EMPTY])
def test_a_stop_is_set_whatever_is_lost(kind):
    async def scene(rig):
        rig.submit(10)
        await rig.settled()
        rig.box.add_fault(fault(kind, "*stoporder*", probability=0.5))
        price, _ = rig.touch
        for stop in (price - 9_000, price - 8_000, price - 7_000):
            rig.service.protect(rig.perp, stop, None)
            await asyncio.sleep(20)
            assert rig.venue.account.positions[rig.perp.id].stop_loss == stop

    run(scene, seed=6)


def test_a_stop_that_is_set_off_is_told_as_such():
    async def scene(rig):
        bid, ask = rig.touch
        rig.submit(10, stop=bid - 200, target=ask + 200)
        await rig.settled()
        for _ in range(3_600):
            if not rig.venue_position:
                break
            await asyncio.sleep(1)
        await asyncio.sleep(2)

    rig = run(scene, seed=1)
    agree(rig)
    assert [(e.kind, e.client_order_id) for e in rig.owner.executions] == [(ExecutionKind.TRADE, "p.s.1.1"), (ExecutionKind.STOP, NOT_OURS)]


# -- what the venue does by itself ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "booked"),
    [(FaultKind.LIQUIDATION, ExecutionKind.LIQUIDATION), (FaultKind.ADL, ExecutionKind.ADL), (FaultKind.DELISTING, ExecutionKind.SETTLEMENT)],
)
def test_what_the_venue_closes_is_booked_as_its_own(kind, booked):
    async def scene(rig):
        rig.submit(10)
        await rig.settled()
        rig.box.add_fault(Rule(kind=kind, venue="mexc", symbol="BTC_USDT"))
        await asyncio.sleep(5)
        assert rig.owner.position == 0

    rig = run(scene)
    agree(rig)
    assert [e.kind for e in rig.owner.executions] == [ExecutionKind.TRADE, booked] and rig.owner.executions[-1].client_order_id == NOT_OURS


def test_a_trade_by_hand_is_nobody_s():
    async def scene(rig):
        rig.box.add_fault(Rule(kind=FaultKind.MANUAL_TRADE, venue="mexc", symbol="BTC_USDT", lots=7))
        await asyncio.sleep(2)

    rig = run(scene)
    agree(rig)
    assert [(e.signed_lots, e.client_order_id) for e in rig.owner.executions] == [(7, NOT_OURS)]


# -- before trading and after a crash -----------------------------------------------------------------------------------
def test_a_new_process_finds_out_what_became_of_the_orders_of_the_old_one():
    async def scene(rig):
        filled, unsent, resting = rig.approved(5), rig.approved(5), rig.approved(5, order_type=OrderType.LIMIT, limit=560_000)
        rig.service.submit(filled, Lane.ENTRY)
        rig.service.submit(resting, Lane.ENTRY)
        await asyncio.sleep(2)
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
    assert sorted(set(rig.venue_links)) == ["p-s-1-1", "p-s-1-3"] and rig.venue_position == 5


def test_before_trading_mode_leverage_and_rules_are_checked():
    async def scene(rig):
        client = rig.account.client
        await client.prepare({rig.perp.id: 7})
        rig.submit(10)
        await rig.settled()
        (held,) = await client.positions()
        assert held.leverage == 7
        await client.prepare({rig.perp.id: 9})
        (held,) = await client.positions()
        assert held.leverage == 9, "also where something is held"
        assert abs(await client.clock_offset_ns()) < 5_000_000
        wallet, margin = await client.wallet(), rig.venue.account.margin()
        assert abs(wallet.cash - margin.cash) <= 1 and abs(wallet.equity - margin.equity) < 1_000_000_000
        rig.box.add_fault(Rule(kind=FaultKind.DELISTING, venue="mexc", symbol="BTC_USDT"))
        await asyncio.sleep(1)
        with pytest.raises(ConfigError, match="BTCUSDT is not trading"):
            await client.prepare({})

    run(scene)


def test_all_pages_of_orders_are_read():
    async def scene(rig):
        rig.hold(0, orders=230)
        assert len(await rig.account.client.open_orders()) == 230

    run(scene)


def test_the_same_seed_gives_the_same_story():
    async def scene(rig):
        for _ in range(10):
            rig.submit(3, Lane.EXIT)
            await asyncio.sleep(0.2)
        await rig.settled()

    faults = (fault(FaultKind.DROP_ANSWER, probability=0.3),)
    first, second = run(scene, faults=faults, seed=5), run(scene, faults=faults, seed=5)
    assert first.box.trace() == second.box.trace()
    assert first.owner.executions == second.owner.executions
