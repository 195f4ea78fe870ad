"""Killed at any instant, at a venue that drops answers and hangs, a session goes on where it was: no order twice, each position stopped, cash exact."""

import asyncio
import random

import pytest

from tests.app.live.rig import assert_agrees, churner, run_and_crash, run_session, setup_on
from titan_core.app.live.session import Session
from titan_core.journal.memory import MemoryDisk
from titan_core.simulator.box import Box
from titan_core.simulator.faults import FaultKind, Rule

UNRELIABLE = (
    Rule(kind=FaultKind.DROP_REQUEST, venue="bybit", where="/v5/trade request", probability=0.04),
    Rule(kind=FaultKind.DROP_FRAME, venue="bybit", where="/v5/trade answer", probability=0.08),
    Rule(kind=FaultKind.DROP_ANSWER, venue="bybit", where="POST /v5/order/cancel", probability=0.08),
    Rule(kind=FaultKind.HANG_ANSWER, venue="bybit", where="POST /v5/position/*", probability=0.03, seconds=4.0),
    Rule(kind=FaultKind.EMPTY, venue="bybit", where="GET /v5/position/list", probability=0.05),
    Rule(kind=FaultKind.HTML, venue="bybit", where="GET /v5/execution/list", probability=0.05),
    Rule(kind=FaultKind.DROP_FRAME, venue="bybit", where="/v5/private*", probability=0.05),
)


async def settle_down(session: Session) -> None:
    """Trade a little, then stop and let the venue's last words arrive."""
    await asyncio.sleep(90)
    session.begin_stop("over")
    await asyncio.sleep(3)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_killed_session_goes_on_where_it_was(seed: int) -> None:
    dice = random.Random(seed)
    box, disk = Box(seed, balance_usdt=1_000, ticks_per_day=200_000, faults=UNRELIABLE), MemoryDisk()
    recovered = 0
    for life in range(12):
        session = run_and_crash(box, setup_on(box, disk, churner(100 * seed + life)), dice.uniform(0.02, 150), kept=dice.randrange(3))
        recovered += any(note.author == "recovery" for note in session.notes)
    last = run_session(box, setup_on(box, disk, churner(seed)), settle_down)
    assert_agrees(box, last)
    assert len(last.ledger.trips) >= 4
    assert last.kept.boot >= 8


def test_what_happened_while_no_process_lived_is_booked_at_the_next_start() -> None:
    box, disk = Box(5, balance_usdt=1_000, ticks_per_day=200_000), MemoryDisk()

    async def until_in_a_position(session: Session) -> None:
        while not any(session.engine.account.lots):
            await asyncio.sleep(0.5)
        session.journal.crash()  # type: ignore[attr-defined]

    with pytest.raises(Exception, match="journal is closed"):
        run_session(box, setup_on(box, disk, churner(5)), until_in_a_position)
    box.advance(box.now_ns() + 3 * 3_600_000_000_000)
    session = run_session(box, setup_on(box, disk, churner(5)), settle_down)
    assert_agrees(box, session)
    assert any("booked while recovering" in note.text for note in session.notes)
