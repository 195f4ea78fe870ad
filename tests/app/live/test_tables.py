"""The journal as tables: the same trades as the session had, also after kills."""

from pathlib import Path

from tests.app.live.rig import churner, run_session, setup_on
from tests.app.live.test_playback import trades_for
from titan_core.app.live.entries import entry_codec
from titan_core.app.live.session import Session
from titan_core.app.live.tables import catch_up, read_ledger
from titan_core.journal.journal import open_journal
from titan_core.journal.memory import MemoryDisk
from titan_core.simulator.box import Box


def as_files(disk: MemoryDisk, folder: Path) -> None:
    """Write what is on a memory disk as a journal of files."""
    codec = entry_codec()
    times = iter([ts_ns for ts_ns, _ in disk.entries])
    journal, _ = open_journal(folder / "journal", codec, clock=lambda: next(times, 0), in_process=True)
    for _, payload in disk.entries:
        journal.append(codec.decode(payload))
    journal.sync()
    journal.close()


def test_the_tables_hold_the_trades_of_the_session(tmp_path: Path) -> None:
    box, disk = Box(3, balance_usdt=1_000, ticks_per_day=200_000), MemoryDisk()
    sessions: list[Session] = [run_session(box, setup_on(box, disk, churner(life)), trades_for(900)) for life in (3, 4)]
    as_files(disk, tmp_path)
    known, ledger = read_ledger(catch_up(tmp_path))
    assert ledger.trips == sessions[-1].ledger.trips and len(ledger.trips) >= 5
    assert ledger.cash == sessions[-1].ledger.cash == sessions[-1].engine.account.cash
    assert set(known) == set(sessions[-1].known)
    assert known == sessions[-1].known
