"""A session as its operator meets it."""

import asyncio

import pytest

from tests.app.live.rig import assert_agrees, churner, run_session, setup_on
from titan_core.app.live.session import Session
from titan_core.journal.memory import MemoryDisk
from titan_core.simulator.box import Box


def test_a_failure_within_the_engine_ends_the_process_and_the_next_one_recovers() -> None:
    box, disk = Box(5, balance_usdt=1_000, ticks_per_day=200_000), MemoryDisk()

    async def break_it(session: Session) -> None:
        while not any(session.engine.account.lots):
            await asyncio.sleep(0.5)
        session.governor.settle = lambda: 1 // 0  # type: ignore[method-assign,assignment,return-value]
        await asyncio.sleep(120)

    with pytest.raises(ZeroDivisionError):
        run_session(box, setup_on(box, disk, churner(5)), break_it)

    async def look(session: Session) -> None:
        await asyncio.sleep(60)

    session = run_session(box, setup_on(box, disk, churner(6)), look)
    assert_agrees(box, session)
    assert any("did not end in order" in note.text for note in session.notes)


def test_a_stop_with_flatten_leaves_nothing_behind() -> None:
    box, disk = Box(5, balance_usdt=1_000, ticks_per_day=200_000), MemoryDisk()

    async def until_in_a_position(session: Session) -> None:
        while not any(session.engine.account.lots):
            await asyncio.sleep(0.5)
        session.begin_stop("over", flatten=True)

    session = run_session(box, setup_on(box, disk, churner(5)), until_in_a_position)
    assert not any(session.engine.account.lots)
    assert_agrees(box, session)
    again = run_session(box, setup_on(box, disk, churner(6)), lambda session: asyncio.sleep(1))
    assert not any("did not end in order" in note.text for note in again.notes)
