"""Simulated trading, seed by seed, with a file of what was done, so that thousands of hours can be run in pieces.

Every tenth seed is recorded and played back, and every twenty-fifth is run a second time, which must leave the same trace.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec

from benchmarks import _harness as harness
from tests.app.live.simulation import Report, simulate
from titan_core.app.code_digest import code_digest

DONE = harness.OUT / "simulation.jsonl"
PLAYED_BACK, TWICE = 10, 25


def _judged(seed: int, hours: float) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        return simulate(seed, hours, recordings=Path(folder) if seed % PLAYED_BACK == 0 else None)


def _done(hours: float) -> dict[int, dict[str, Any]]:
    """Return what the file has of runs of this length; of a seed the newest."""
    if not DONE.exists():
        return {}
    lines = [msgspec.json.decode(line) for line in DONE.read_bytes().splitlines()]
    return {line["seed"]: line for line in lines if line["hours"] == hours}


def _run(seed: int, hours: float, code: str) -> dict[str, Any]:
    began = perf_counter()
    report = _judged(seed, hours)
    breaks = list(report.breaks)
    if seed % TWICE == 0 and not breaks and _judged(seed, hours).trace != report.trace:
        breaks.append("the same seed has left another trace")
    took = round(perf_counter() - began, 1)
    line = {"seed": seed, "hours": hours, "trace": report.trace, "breaks": breaks, "counts": report.counts, "code": code, "seconds": took}
    with DONE.open("ab") as file:
        file.write(msgspec.json.encode(line) + b"\n")
    return line


def bar_17(seeds: int, hours: float, *, first: int = 1) -> tuple[float, str]:
    """Run the seeds that the file does not have yet; return how many of all broke, and what was met on the way."""
    DONE.parent.mkdir(parents=True, exist_ok=True)
    known, code = _done(hours), code_digest(["titan_core"])[:16]
    for seed in range(first, first + seeds):
        if seed in known:
            continue
        line = known[seed] = _run(seed, hours, code)
        if line["breaks"]:
            print(f"seed {seed}: {line['breaks'][0]}", file=sys.stderr)
    lines = [known[seed] for seed in range(first, first + seeds)]
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(line["counts"])
    faults = {name.removeprefix("fault "): count for name, count in counts.items() if name.startswith("fault ")}
    words = ("lives", "kill", "stop", "froze", "clock set", "disk full", "emergencies", "resume", "entries", "fill", "played back")
    met = ", ".join(f"{counts[word]:,} {word}" for word in words)
    fresh = sum(line["code"] == code for line in lines)
    said = f"{len(lines)} seeds of {hours:g} h: {met}; {sum(faults.values()):,} faults of {len(faults)} kinds; {fresh} of the seeds on the code at hand"
    return sum(bool(line["breaks"]) for line in lines), said
