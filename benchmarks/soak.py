"""Lets `titan run` run for a while as its users do, and looks whether it grows or stalls.

The process is looked at from outside (its resident memory) and from inside (a task that wakes every 10 ms of the wall clock and notes by how much it was late).
The slope of the memory is fitted over the second half, after caches have filled.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import _harness as harness

BARS = (
    harness.Bar("growth of resident memory over the second half", 5.0, "%", at_most=True),
    harness.Bar("the loop was late, 99.9th percentile", 50.0, "ms", at_most=True),
)
PROBE = """
import asyncio, sys, time
from titan_core.cli import run_screen
real_follow = run_screen.follow

async def follow(*arguments, **options):
    late, loop = [], asyncio.get_running_loop()
    real = getattr(loop, "real", lambda s: s)

    async def probe():
        while True:
            before = time.monotonic()
            await asyncio.sleep(real(0.01))
            late.append(time.monotonic() - before - 0.01)

    task = loop.create_task(probe())
    try:
        return await real_follow(*arguments, **options)
    finally:
        task.cancel()
        with open(sys.argv[1], "w") as file:
            file.write("\\n".join(f"{x:.6f}" for x in late))

run_screen.follow = follow
from titan_core.cli.main import main
sys.exit(main(sys.argv[2:]))
"""


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main(argv: Sequence[str]) -> int:
    """Measure, print, write JSON. Returns 0 where every bar was met."""
    parse = argparse.ArgumentParser(prog="python -m benchmarks soak", description=__doc__.splitlines()[0])
    parse.add_argument("--minutes", type=float, default=20.0)
    parse.add_argument("--speed", type=float, default=60.0)
    given = parse.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        lateness = Path(folder) / "late"
        command = [sys.executable, "-c", PROBE, str(lateness), "run", "--state", folder, "--speed", str(given.speed)]
        session = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        begun, seen = time.monotonic(), []
        while (passed := time.monotonic() - begun) < given.minutes * 60:
            time.sleep(min(5.0, given.minutes))
            seen.append((passed / 60, resident_mib(session.pid)))
        session.send_signal(signal.SIGINT)
        code = session.wait(60)
        late_ms = np.loadtxt(lateness)[500:] * 1e3  # the first seconds are the start
    half = [(minute, mib) for minute, mib in seen if minute > given.minutes / 2]
    slope, start = np.polyfit(*zip(*half, strict=True), 1)
    growth = 100 * slope * given.minutes / 2 / (start + slope * given.minutes / 2)
    figures = {
        "mib_at_start": round(seen[0][1], 1), "mib_at_end": round(seen[-1][1], 1), "slope_mib_per_hour": round(60 * slope, 2), "looks": len(late_ms),
        "late_ms_p50_p99_max": [round(float(np.percentile(late_ms, share)), 2) for share in (50, 99, 100)], "exit_code": code,
    }  # fmt: skip
    verdicts = [harness.Verdict(BARS[0], float(growth)), harness.Verdict(BARS[1], float(np.percentile(late_ms, 99.9)))]
    harness.stdout_console().print(json.dumps(figures))
    harness.stdout_console().print(harness.verdict_table(verdicts))
    harness.write_json(harness.OUT / "soak.json", {"settings": vars(given), "machine": harness.machine(), **figures, "bars": [v.record() for v in verdicts]})
    return 0 if code == 0 and all(verdict.met for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
