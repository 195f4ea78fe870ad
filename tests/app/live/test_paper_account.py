"""Paper trading on a feed: the engine's matching fills the orders, everything else is the real session."""

import asyncio
from pathlib import Path

from attrs import evolve

from tests.app.live.rig import churner, run_and_crash, run_session, setup_on
from tests.app.live.test_playback import compared, trades_for
from titan_core.app.live.paper_account import PaperAccount
from titan_core.app.live.session import Session
from titan_core.app.live.setup import Setup
from titan_core.journal.memory import MemoryDisk
from titan_core.model.units import to_money
from titan_core.simulator.box import Box


def on_paper(setup: Setup) -> tuple[Setup, PaperAccount]:
    account = PaperAccount(setup.instruments, to_money(1_000), setup.clock)
    return evolve(setup, join=account.join, exchange=account.handler, on_kept=account.remember), account


def test_orders_are_filled_on_the_rows_of_the_feed_and_the_run_can_be_played_back(tmp_path: Path) -> None:
    box, disk = Box(3, balance_usdt=1_000, ticks_per_day=200_000), MemoryDisk()
    setup, account = on_paper(setup_on(box, disk, churner(3), recording=tmp_path / "a"))
    session = run_session(box, setup, trades_for(3_600))
    assert not box.exchanges["bybit"].account.executions, "nothing was sent to the venue"
    assert session.engine.account.lots == account.engine.account.lots
    assert session.engine.account.cash == account.engine.account.cash
    found = compared(disk, tmp_path / "a", 1, churner(3))
    assert found.is_equal, found.difference
    assert found.fills >= 20


def test_a_new_process_goes_on_with_the_positions_and_stops_of_the_old_one() -> None:
    box, disk = Box(5, balance_usdt=1_000, ticks_per_day=200_000), MemoryDisk()

    async def until_in_a_position(session: Session) -> None:
        while not any(session.engine.account.lots):
            await asyncio.sleep(0.5)

    first = run_session(box, on_paper(setup_on(box, disk, churner(5)))[0], until_in_a_position)
    lots, cash = list(first.engine.account.lots), first.engine.account.cash
    stops = {k: known.stop for k, known in first.engine.venue.protection.items()}

    async def look(session: Session) -> None:
        assert session.engine.account.lots == lots and session.engine.account.cash == cash
        assert {k: known.stop for k, known in session.engine.venue.protection.items()} == stops
        await asyncio.sleep(600)

    again, account = on_paper(setup_on(box, disk, churner(6, period_s=3_600)))
    session = run_session(box, again, look)
    assert session.engine.account.cash == account.engine.account.cash


def test_a_killed_paper_session_loses_nothing_that_it_had_journalled() -> None:
    box, disk = Box(6, balance_usdt=1_000, ticks_per_day=200_000), MemoryDisk()
    for life in range(6):
        run_and_crash(box, on_paper(setup_on(box, disk, churner(life)))[0], 120 + 37 * life)
    setup, account = on_paper(setup_on(box, disk, churner(9)))
    session = run_session(box, setup, trades_for(300))
    assert session.engine.account.lots == account.engine.account.lots
    assert session.engine.account.cash == account.engine.account.cash
    assert not any("cash corrected" in note.text for note in session.notes)


def test_a_fill_is_told_after_the_row_that_caused_it_so_that_no_row_is_lost(tmp_path: Path) -> None:
    box, disk = Box(1, balance_usdt=1_000), MemoryDisk()
    failures: list[dict[str, object]] = []
    setup, account = on_paper(setup_on(box, disk, churner(2, period_s=10), recording=tmp_path / "a"))

    async def scene(session: Session) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
        await asyncio.sleep(900)

    session = run_session(box, setup, scene)
    assert not failures
    assert session.ledger.trips, "a stop, a target or a resting order was filled by a row"
