"""Parity: what a session decided is decided again when its recording and the words of its journal are played back."""

import asyncio
from pathlib import Path

from tests.app.live.rig import churner, run_and_crash, run_session, scavenger, setup_on
from titan_core.app.live.entries import entry_codec
from titan_core.app.live.playback import Comparison, compare, processes
from titan_core.app.live.session import Session
from titan_core.brain.limits import BrainLimits
from titan_core.engine.phases import PhaseBinding
from titan_core.feed.recorder import make_tape
from titan_core.journal.memory import MemoryDisk
from titan_core.model.ids import VenueId
from titan_core.simulator.box import Box
from titan_core.tape.store import open_tape


def compared(disk: MemoryDisk, recording: Path, boot: int, bindings: list[PhaseBinding]) -> Comparison:
    codec = entry_codec()
    process = next(p for p in processes(codec.decode(payload) for _, payload in disk.entries) if p.started.boot == boot)
    make_tape(recording, recording / "tape")
    return compare(process, open_tape(recording / "tape"), bindings, BrainLimits(), frozenset({VenueId("bybit-linear")}))


def trades_for(seconds: float):  # type: ignore[no-untyped-def]
    async def scene(session: Session) -> None:
        await asyncio.sleep(seconds)

    return scene


def test_a_session_that_is_played_back_decides_the_same(tmp_path: Path) -> None:
    box, disk = Box(3, balance_usdt=1_000, ticks_per_day=200_000), MemoryDisk()
    run_session(box, setup_on(box, disk, churner(3), recording=tmp_path / "a"), trades_for(3_600))
    found = compared(disk, tmp_path / "a", 1, churner(3))
    assert found.is_equal, found.difference
    assert found.fills >= 20 and found.recorded > 100


def test_a_session_that_went_on_after_a_kill_is_played_back_from_what_it_recovered(tmp_path: Path) -> None:
    box, disk = Box(4, balance_usdt=1_000, ticks_per_day=200_000), MemoryDisk()
    run_and_crash(box, setup_on(box, disk, churner(4), recording=tmp_path / "a"), 900)
    run_session(box, setup_on(box, disk, churner(5), recording=tmp_path / "b"), trades_for(1_800))
    found = compared(disk, tmp_path / "b", 2, churner(5))
    assert found.is_equal, found.difference
    assert found.fills >= 10


def test_another_configuration_is_found_out(tmp_path: Path) -> None:
    box, disk = Box(3, balance_usdt=1_000, ticks_per_day=200_000), MemoryDisk()
    run_session(box, setup_on(box, disk, churner(3), recording=tmp_path / "a"), trades_for(600))
    found = compared(disk, tmp_path / "a", 1, churner(9))
    assert not found.is_equal and found.difference is not None


def test_the_scavenger_is_played_back(tmp_path: Path) -> None:
    box, disk = Box(10, balance_usdt=1_000), MemoryDisk()
    run_session(box, setup_on(box, disk, scavenger(), recording=tmp_path / "a"), trades_for(1_800))
    found = compared(disk, tmp_path / "a", 1, scavenger())
    assert found.is_equal, found.difference
    assert found.fills >= 1
