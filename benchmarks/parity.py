"""Records sessions on the built-in venue for a day of market time, plays them back, and counts the decisions that differ.

One session runs the Scavenger with its default configuration; it is killed once on the way, and its second process goes on from the journal. Another is paper
on the same feed, filled by the engine's own matching.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from attrs import evolve

from benchmarks import _harness as harness
from tests.app.live.rig import run_and_crash, run_session, scavenger, setup_on
from titan_core.app.live.entries import entry_codec
from titan_core.app.live.paper_account import PaperAccount
from titan_core.app.live.playback import Comparison, compare, processes
from titan_core.app.live.session import Session
from titan_core.brain.limits import BrainLimits
from titan_core.feed.recorder import make_tape
from titan_core.journal.memory import MemoryDisk
from titan_core.model.ids import VenueId
from titan_core.model.units import H, to_money
from titan_core.simulator.box import Box
from titan_core.tape.generate import NEW_YEAR_2024
from titan_core.tape.store import open_tape

BARS = (
    harness.Bar("decisions that differ between sessions and their playback", 0, "decisions", at_most=True),
    harness.Bar("market hours compared", 24, "h"),
    harness.Bar("fills among them", 20, "fills"),
)


def sessions(seed: int, hours: float, folder: Path, on_paper: bool) -> MemoryDisk:
    """Run one journal for so many market hours in two processes, the first of which is killed. Returns its disk."""
    box, disk = Box(seed, balance_usdt=1_000, start_ns=NEW_YEAR_2024 + 4 * H), MemoryDisk()

    def made(name: str) -> object:
        setup = setup_on(box, disk, scavenger(), recording=folder / name, seed=seed)
        if not on_paper:
            return setup
        account = PaperAccount(setup.instruments, to_money(1_000), setup.clock)
        return evolve(setup, join=account.join, exchange=account.handler, on_kept=account.remember)

    async def scene(session: Session) -> None:
        await asyncio.sleep(hours * 1_800)

    run_and_crash(box, made("1"), hours * 1_800)  # type: ignore[arg-type]
    run_session(box, made("2"), scene)  # type: ignore[arg-type]
    return disk


def compared(disk: MemoryDisk, folder: Path) -> list[Comparison]:
    """Play every process back."""
    codec, found = entry_codec(), []
    for process in processes(codec.decode(payload) for _, payload in disk.entries):
        recording = folder / str(process.started.boot)
        make_tape(recording, recording / "tape")
        found.append(compare(process, open_tape(recording / "tape"), scavenger(), BrainLimits(), frozenset({VenueId("bybit-linear")})))
    return found


def main(argv: Sequence[str]) -> int:
    """Measure, print a table, write JSON. Returns 0 where every bar was met."""
    parse = argparse.ArgumentParser(prog="python -m benchmarks parity", description=__doc__.splitlines()[0])
    parse.add_argument("--hours", type=float, default=24.0, help="market hours of each session")
    parse.add_argument("--seed", type=int, default=1)
    given = parse.parse_args(argv)
    rows, differ, hours, fills = [], 0, 0.0, 0
    for name, on_paper in (("built-in venue", False), ("engine's matching", True)):
        began = perf_counter()
        folder = Path(tempfile.mkdtemp(prefix="titan-parity-"))
        try:
            disk = sessions(given.seed, given.hours, folder, on_paper)
            ran_s = perf_counter() - began
            for found in compared(disk, folder):
                span = (found.last_ns - found.first_ns) / H
                differ += found.difference is not None
                hours, fills = hours + span, fills + found.fills
                difference = "" if found.difference is None else str(found.difference)[:200]
                rows.append((name, str(found.boot), f"{span:.2f}", str(found.recorded), str(found.fills), str(found.beyond), difference, f"{ran_s:.0f}"))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    columns = ("session", ">process", ">h", ">decisions", ">fills", ">after recording", "difference", ">s")
    harness.stdout_console().print(harness.table("Parity", columns, rows))
    verdicts = [harness.Verdict(bar, value) for bar, value in zip(BARS, (differ, hours, fills), strict=True)]
    harness.stdout_console().print(harness.verdict_table(verdicts))
    harness.write_json(harness.OUT / "parity.json", {"settings": vars(given), "machine": harness.machine(), "bars": [verdict.record() for verdict in verdicts]})
    return 0 if all(verdict.met for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
