"""A session as its operator meets it."""

import asyncio

import pytest

from tests.app.live.rig import assert_agrees, churner, run_session, setup_on
from titan_core.app.live.session import Session
from titan_core.brain.vocabulary import Control, PhaseState, Risk, Trigger
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


def test_an_orderly_stop_forgets_no_loss_of_the_day_no_halt_and_no_pause() -> None:
    box, disk = Box(5, balance_usdt=1_000, ticks_per_day=200_000), MemoryDisk()
    before: dict[str, int] = {}

    async def lose_and_be_halted(session: Session) -> None:
        while len(session.ledger.trips) < 3:
            await asyncio.sleep(1)
        session.governor.fire(Trigger.HALT)
        session.governor.fire(Trigger.PAUSE)
        session.tick()
        (book,) = session.governor.books
        before.update(base2=book.base2, loss_base2=book.loss_base2, equity2=session.governor.phase_equity2(book))

    run_session(box, setup_on(box, disk, churner(5)), lose_and_be_halted)
    assert before["equity2"] != before["base2"]

    async def look(session: Session) -> None:
        configuration = session.governor.machine.configuration
        assert (configuration.risk, configuration.control) == (Risk.HALTED, Control.PAUSED)
        assert not session.governor.machine.gate_open
        (book,) = session.governor.books
        assert (book.base2, book.loss_base2) == (before["base2"], before["loss_base2"])
        assert session.governor.state_of(book) is PhaseState.ACTIVE

    for _ in range(2):  # and once more: what was brought back is remembered
        run_session(box, setup_on(box, disk, churner(6)), look)


def test_a_phase_that_was_not_on_duty_is_not_entered_by_a_restart_alone() -> None:
    box, disk = Box(5, balance_usdt=1_000, ticks_per_day=200_000), MemoryDisk()

    async def be_disabled(session: Session) -> None:
        (book,) = session.governor.books
        session.governor.fire(Trigger.DRAIN, book)
        session.governor.settle()
        session.tick()
        assert session.governor.state_of(book) is PhaseState.DORMANT

    run_session(box, setup_on(box, disk, churner(5, period_s=3_600)), be_disabled)

    async def look(session: Session) -> None:
        (book,) = session.governor.books
        assert session.governor.state_of(book) is PhaseState.DORMANT
        await asyncio.sleep(session.setup.limits.dwell_s + 5)
        assert session.governor.state_of(book) is PhaseState.ACTIVE

    run_session(box, setup_on(box, disk, churner(6, period_s=3_600)), look)
