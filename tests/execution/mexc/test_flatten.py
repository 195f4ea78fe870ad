"""Leaving MEXC: everything is closed, nothing flips, whatever the venue answers."""

from collections import Counter

import pytest

pytest.importorskip("ccxt", reason="the extra `live` is not installed")
from tests.execution.rig import Rig, run  # noqa: E402
from titan_core.execution.flatten import Flattening  # noqa: E402
from titan_core.simulator.faults import FaultKind, Rule  # noqa: E402


def no_flip(rig: Rig) -> bool:
    """Whether no execution has carried a position through zero."""
    held: Counter[str] = Counter()
    for e in rig.venue.account.executions:
        before = held[e.instrument]
        held[e.instrument] += e.lots * e.side.sign
        if before * held[e.instrument] < 0:
            return False
    return True


@pytest.mark.parametrize(("share", "limit_s", "most_calls"), [(0.0, 8, 75), (0.3, 12, 100), (0.6, 25, 250)])
def test_fifty_positions_are_closed_in_time(share, limit_s, most_calls):
    """Ten requests a second; a share of all answers is an error."""
    kept = {}

    async def scene(rig):
        rig.hold(50, orders=30)
        assert len(rig.held) == 50
        rig.box.add_fault(Rule(kind=FaultKind.STATUS, venue="mexc", where="*", probability=share, status=502))
        before = rig.account.client.door.sent
        kept["took"] = await Flattening(rig.account.client, "panic1").leave()
        kept["calls"] = rig.account.client.door.sent - before

    rig = run(scene, venue="mexc", coins=49, seed=3)
    assert rig.held == {} and not rig.venue.account.open_orders and no_flip(rig)
    assert kept["took"].seconds < limit_s and kept["calls"] < most_calls, kept


@pytest.mark.parametrize("kind", [FaultKind.EMPTY, FaultKind.HTML, FaultKind.TRUNCATED])
def test_a_body_that_says_nothing_does_not_end_it(kind):
    """Half of all reads are broken; none is taken for "flat"."""

    async def scene(rig):
        rig.hold(5, orders=3)
        rig.box.add_fault(Rule(kind=kind, venue="mexc", where="GET *", probability=0.5))
        await Flattening(rig.account.client, "panic1").leave()

    rig = run(scene, venue="mexc", coins=4)
    assert rig.held == {} and not rig.venue.account.open_orders and no_flip(rig)


def test_what_rests_on_positions_goes_last_and_what_somebody_left_to_be_set_off_goes_first():
    async def scene(rig):
        price, _ = rig.touch
        rig.submit(10, stop=price - 5_000)
        await rig.settled()
        client = rig.account.client
        plan = {
            "symbol": "BTC_USDT",
            "vol": 5,
            "side": 1,
            "orderType": 5,
            "triggerPrice": 70_000,
            "triggerType": 1,
            "trend": 1,
            "executeCycle": 1,
            "openType": 2,
        }
        assert (await client.door.send("POST", "planorder/place", plan)).code == 0
        before = [order.is_protective for order in await client.open_orders()]
        assert sorted(before) == [False, True] and len(await client.open_orders(protective=False)) == 1
        said = []
        await Flattening(client, "panic1", say=said.append).leave()
        assert await client.open_orders() == []

    assert run(scene, venue="mexc").held == {}
