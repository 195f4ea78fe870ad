"""Leaving a venue: everything is closed, nothing flips, whatever the venue answers."""

import asyncio
from collections import Counter

import pytest

pytest.importorskip("ccxt", reason="the extra `live` is not installed")
from tests.execution.rig import Rig, run  # noqa: E402
from titan_core.execution.flatten import Flattening  # noqa: E402
from titan_core.execution.limiter import Lane  # noqa: E402
from titan_core.simulator.faults import FaultKind, Rule  # noqa: E402


def errors(share):
    return (Rule(kind=FaultKind.STATUS, venue="bybit", where="*", probability=share, status=502),)


def no_flip(rig: Rig) -> bool:
    """Whether no execution has carried a position through zero."""
    held: Counter[str] = Counter()
    for e in rig.box.exchanges["bybit"].account.executions:
        before = held[e.instrument]
        held[e.instrument] += e.lots * e.side.sign
        if before * held[e.instrument] < 0:
            return False
    return True


@pytest.mark.parametrize(("share", "limit_s", "most_calls"), [(0.0, 8, 70), (0.3, 12, 100), (0.6, 25, 250)])
def test_fifty_positions_are_closed_in_time(share, limit_s, most_calls):
    """Over REST, ten requests a second; a share of all answers is an error."""
    kept = {}

    async def scene(rig):
        rig.hold(50, orders=30)
        assert len(rig.held) == 50
        for rule in errors(share):
            rig.box.add_fault(rule)
        before = rig.account.client.door.sent
        kept["took"] = await Flattening(rig.account.client, "panic1").leave()
        kept["calls"] = rig.account.client.door.sent - before

    rig = run(scene, over_socket=False, coins=49)
    account = rig.box.exchanges["bybit"].account
    assert rig.held == {} and not account.open_orders and no_flip(rig)
    assert kept["took"].seconds < limit_s and kept["calls"] < most_calls, kept


def test_a_panic_does_not_wait_for_what_is_queued():
    """Five hundred reads wait for their turn; the first closing order is at the venue within 50 ms."""
    kept = {}

    async def scene(rig):
        rig.hold(1)
        reads = [asyncio.ensure_future(rig.account.client.wallet()) for _ in range(500)]
        await asyncio.sleep(0.01)
        assert rig.account.client.limiter.waiting(Lane.READ) > 450
        began, account = rig.box.now_ns(), rig.box.exchanges["bybit"].account
        leaving = asyncio.ensure_future(Flattening(rig.account.client, "panic1").leave())
        while rig.held:
            await asyncio.sleep(0.001)
        kept["ms"] = (rig.box.now_ns() - began) / 1e6
        await leaving
        assert not account.open_orders
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)

    run(scene, over_socket=False)
    assert kept["ms"] < 50, kept


def test_an_entry_that_arrives_during_the_emergency_is_closed_too():
    async def scene(rig):
        rig.hold(3)
        leaving = asyncio.ensure_future(Flattening(rig.account.client, "panic1").leave())
        await asyncio.sleep(0.005)
        rig.account.client.place(rig.approved(5), lambda answer: None)
        await leaving

    rig = run(scene, over_socket=False, coins=2)
    assert rig.held == {} and no_flip(rig)


def test_what_rests_on_positions_goes_last():
    """The stop is there until the position is closed."""

    async def scene(rig):
        order = rig.submit(10, stop=550_000)
        await rig.settled()
        assert order.filled_lots == 10
        stops = [r for r in await rig.account.client.open_orders() if r.is_protective]
        assert len(stops) == 1
        assert await rig.account.client.open_orders(protective=False) == []
        await Flattening(rig.account.client, "panic1").leave()
        assert await rig.account.client.open_orders() == []

    rig = run(scene)
    assert rig.held == {}
