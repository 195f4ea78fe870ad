"""What a guard sees to when its session has died, on virtual time against the venue in a box."""

import asyncio
from typing import Any

import pytest

from tests.execution.rig import Rig, run
from titan_core.app.guard.orphan import OrphanDuty
from titan_core.simulator.faults import FaultKind, Rule

VENUES = ("bybit", "mexc")


def duty(rig: Rig, said: list[str], stops: dict[Any, Any] | None = None) -> OrphanDuty:
    return OrphanDuty(rig.account.client, stops or {}, 200, "orphan1", said.append)


async def entered(rig: Rig, lots: int, **terms: Any) -> None:
    rig.submit(lots, **terms)
    await rig.settled()
    assert rig.venue_position == lots


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("lots", [5, -5])
def test_a_position_of_which_nothing_is_known_gets_a_stop_at_the_distance_of_those_that_are_nobodys(venue: str, lots: int) -> None:
    said: list[str] = []

    async def scene(rig: Rig) -> None:
        await entered(rig, lots)
        await duty(rig, said).finish()
        held = (await rig.account.client.positions())[0]
        entry = rig.perp.ticks_nearest(float(held.entry_price))
        assert held.stop is not None and abs(held.stop - entry) == pytest.approx(entry * 0.02, abs=2)
        assert (held.stop < entry) == (lots > 0)

    assert run(scene, venue=venue).venue_position == lots
    assert "each with its stop" in said[-1]


@pytest.mark.parametrize("venue", VENUES)
def test_the_stop_that_the_session_wanted_is_set_and_one_that_rests_there_is_left(venue: str) -> None:
    async def scene(rig: Rig) -> None:
        bid = rig.touch[0]
        await entered(rig, 5)
        await duty(rig, [], {rig.perp.id: (bid * 95 // 100, None)}).finish()
        assert (await rig.account.client.positions())[0].stop == bid * 95 // 100
        await duty(rig, [], {rig.perp.id: (bid * 97 // 100, None)}).finish()
        assert (await rig.account.client.positions())[0].stop == bid * 95 // 100

    assert run(scene, venue=venue).venue_position == 5


def test_a_position_whose_stop_is_passed_is_closed_in_its_place() -> None:
    said: list[str] = []

    async def scene(rig: Rig) -> None:
        await entered(rig, 5)
        await duty(rig, said, {rig.perp.id: (rig.touch[0] * 104 // 100, None)}).finish()

    assert run(scene).venue_position == 0
    assert any("in the place of a stop" in text for text in said)


def test_entries_in_the_book_are_withdrawn_and_what_the_venue_does_not_answer_is_asked_again() -> None:
    faults = tuple(Rule(kind=kind, venue="bybit", probability=0.25) for kind in (FaultKind.CODE, FaultKind.EMPTY))

    async def scene(rig: Rig) -> None:
        rig.hold(1, orders=3)
        assert rig.venue.account.open_orders
        await asyncio.wait_for(duty(rig, []).finish(), 600)
        assert not [order for order in rig.venue.account.open_orders.values() if not order.request.reduce_only]

    rig = run(scene, faults=faults)
    assert len(rig.held) == 1 and all(position.stop_loss for position in rig.venue.account.positions.values() if position.lots)
