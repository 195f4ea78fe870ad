"""100M ticks on disk: a stored tape is mapped and run over in a fresh process, by the level rule and by the Scavenger.

The tape is a generated day laid end to end: each lap is a day later, and goes on at the price where the one before ended. It is made once and kept.
`python -m benchmarks._mapped build|run ...` is what the benchmark starts as processes of their own, so that their memory is theirs alone.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks import _harness as harness
from benchmarks._harness import Bar, NotMeasured, Say, Verdict, middle
from benchmarks._slice import generated_market
from benchmarks._titan import EQUITY, TitanLevel, scavenger
from benchmarks.level_rule import LevelRule
from titan_core.app.compose import compose_replay
from titan_core.engine.warmup import warmup
from titan_core.model.enums import StreamKind
from titan_core.model.instrument import Instrument
from titan_core.model.units import D
from titan_core.tape.columns import Columns
from titan_core.tape.manifest import MANIFEST_NAME
from titan_core.tape.store import open_tape, write_tape
from titan_core.tape.tape import StreamKey, Tape, tick_units

TICKS = 100_000_000
NEEDED_BYTES_PER_TICK = 200
"""Free disk space asked for before the tape is made: 20 GB for 100M ticks, which then takes 5."""
BARS = (
    Bar("100M ticks from a mapped tape: opened, composed and run", 1, "s", at_most=True),
    Bar("100M ticks from a mapped tape: peak resident memory", 6, "GB", at_most=True),
)
SMALL_STAKES = "scavenger.risk_per_trade_bps=10"
"""So that a fortnight of losses, which is no matter here, does not make the Brain end the run before the tape does."""
STRATEGIES = ("level rule", "Scavenger")
PRICES = {"bid", "ask", "price", "index"}
ROOT = Path(__file__).resolve().parents[1]


# -- the tape -------------------------------------------------------------------------------------------------------


def build(path: Path, ticks: int, seed: int, ticks_per_day: int) -> None:
    """Lay a generated day end to end until there are `ticks`, and store it. The laps are laid in files, so that memory is left for the index."""
    instruments, day = generated_market(1, seed, ticks_per_day)
    laps = -(-ticks // sum(len(columns["ts"]) for columns in day.values()))
    drift = drifts(instruments, day)
    by_id = {instrument.id: instrument for instrument in instruments}
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        raw = {}
        for key, columns in day.items():
            folder = Path(scratch) / f"{key[0]}-{key[1]}"
            folder.mkdir()
            raw[key] = laid(columns, laps, drift[by_id[key[0]].is_perp], folder)
        write_tape(path, instruments, raw)


def drifts(instruments: Sequence[Instrument], day: Mapping[StreamKey, Columns]) -> tuple[int, int]:
    """Return how far the price moves in a lap, in ticks of spot and of the perpetual: the day's own move, but at most 1 %, so that prices stay positive."""
    spot, perp = (next(instrument for instrument in instruments if instrument.is_perp is kind) for kind in (False, True))
    price = day[perp.id, StreamKind.TRADE]["price"]
    first, last = int(price[0]), int(price[-1])
    move = max(-first // 100, min(first // 100, last - first))
    spot_unit, perp_unit = tick_units(spot, perp)
    return move * perp_unit // spot_unit, move


def laid(columns: Columns, laps: int, drift: int, folder: Path) -> Columns:
    """Repeat the columns, each lap a day later and `drift` ticks higher, and map them from files."""

    def repeated(name: str, column: NDArray[np.generic]) -> NDArray[np.generic]:
        rows, step, file = len(column), D if name == "ts" else drift if name in PRICES else 0, folder / f"{name}.npy"
        out = np.lib.format.open_memmap(file, "w+", column.dtype, (rows * laps,))
        for lap in range(laps):
            out[lap * rows : (lap + 1) * rows] = column + np.asarray(lap * step, column.dtype)
        out.flush()
        mapped: NDArray[np.generic] = np.load(file, mmap_mode="r")
        return mapped

    return {name: repeated(name, column) for name, column in columns.items()}


def drop_cached(path: Path) -> bool:
    """Ask the system to forget the tape's pages, so that the next run reads the disk. Returns False where that cannot be asked."""
    if not hasattr(os, "posix_fadvise"):
        return False
    for file in path.rglob("*.npy"):
        handle = os.open(file, os.O_RDONLY)
        try:
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)
    return True


# -- one run, in a process of its own -------------------------------------------------------------------------------


def run(path: Path, strategy: str) -> dict[str, Any]:
    """Open the tape, prepare and run; the kernels are warm, and everything that touches the tape is inside the clock."""
    warmup()
    begun = perf_counter()
    tape = open_tape(path)
    opened = perf_counter()
    prepare = _prepare_level if strategy == STRATEGIES[0] else _prepare_scavenger
    start = prepare(tape)
    prepared, cpu = perf_counter(), process_time()
    fires, fill_times = start()
    ended, cpu = perf_counter(), process_time() - cpu
    return {
        "ticks": tape.ticks,
        "open_s": opened - begun,
        "prepare_s": prepared - opened,
        "run_s": ended - prepared,
        "cpu_s": cpu,
        "all_s": ended - begun,
        "fires": fires,
        "fills": len(fill_times),
        "last_fill_at": (fill_times[-1] - tape.first_ns) / (tape.last_ns - tape.first_ns) if fill_times else 0.0,
        **harness.memory(),
    }


def _prepare_level(tape: Tape) -> Any:
    trades = next(stream for stream in tape.streams if stream.kind is StreamKind.TRADE and tape.instrument(stream.instrument).is_perp)
    rule = LevelRule(step_ticks=max(1, int(trades.columns["price"][0]) // 400))
    titan = TitanLevel(tape)

    def start() -> tuple[int, list[int]]:
        result = titan.replay(rule)
        return result.fires, [fill.ts_ns for fill in result.fills]

    return start


def _prepare_scavenger(tape: Tape) -> Any:
    phase, config = scavenger(SMALL_STAKES)
    engine = compose_replay(tape, [phase], config, equity=EQUITY).engine

    def start() -> tuple[int, list[int]]:
        engine.run()
        return engine.fires, [fill.ts_ns for fill in engine.record.fills]

    return start


# -- the measurement ------------------------------------------------------------------------------------------------


def in_a_process(*arguments: str) -> str:
    """Run this module in a fresh process and return what it printed. Raises NotMeasured where it fails."""
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "benchmarks._mapped", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": paths})
    if done.returncode:
        raise NotMeasured(f"`{' '.join(arguments[:1])}` ended with exit {done.returncode}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return done.stdout


def ensure_tape(path: Path, ticks: int, seed: int, ticks_per_day: int, say: Say) -> float:
    """Make the tape unless it is there; return the seconds that took. Raises NotMeasured where the disk has too little room."""
    if (path / MANIFEST_NAME).is_file():
        return 0.0
    path.parent.mkdir(parents=True, exist_ok=True)
    free, needed = shutil.disk_usage(path.parent).free, ticks * NEEDED_BYTES_PER_TICK
    if free < needed:
        raise NotMeasured(f"{path.parent} has {free / 1e9:.1f} GB free, a tape of {ticks:,} ticks asks for {needed / 1e9:.1f}; give another --out")
    say(f"making a tape of {ticks:,} ticks in {path}, once: 100M take some minutes and 8 GB of memory")
    begun = perf_counter()
    in_a_process("build", str(path), str(ticks), str(seed), str(ticks_per_day))
    return perf_counter() - begun


def measure(path: Path, ticks: int, seed: int, ticks_per_day: int, repetitions: int, say: Say) -> tuple[dict[str, Any], list[Verdict]]:
    """Measure both strategies; return the record and the verdicts, which stand for the slower one and for the largest process."""
    build_s = ensure_tape(path, ticks, seed, ticks_per_day, say)
    strategies = {}
    for strategy in STRATEGIES:
        say(f"mapped tape: {strategy}")
        cold = json.loads(in_a_process("run", str(path), strategy)) if drop_cached(path) else None
        warm = [json.loads(in_a_process("run", str(path), strategy)) for _ in range(repetitions)]
        names = ("open_s", "prepare_s", "run_s", "cpu_s", "all_s", "peak_gb", "private_gb", "file_pages_gb")
        figures = {name: middle(one[name] for one in warm) for name in names if name in warm[0]}
        strategies[strategy] = {**warm[0], **figures, "runs": len(warm), "peak_gb": max(one["peak_gb"] for one in warm), "cold": cold}
    total = strategies[STRATEGIES[0]]["ticks"]
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    record = {
        "tape": str(path),
        "ticks": total,
        "size_gb": size / 1e9,
        "build_s": build_s,
        "strategies": strategies,
        "sound": all(one["last_fill_at"] > 0.9 for one in strategies.values()),
    }
    measured = (max(one["all_s"] for one in strategies.values()), max(one["peak_gb"] for one in strategies.values()))
    return record, [Verdict(bar, value if total >= TICKS else None) for bar, value in zip(BARS, measured, strict=True)]


def show(record: Mapping[str, Any], console: Console) -> None:
    """Print the table of a record."""
    strategies = record["strategies"].values()
    figures: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "opening the tape, ms": lambda one: f"{one['open_s'] * 1e3:.1f}",
        "composing, ms": lambda one: f"{one['prepare_s'] * 1e3:.1f}",
        "running, ms": lambda one: f"{one['run_s'] * 1e3:.1f}",
        "running, ms of CPU time": lambda one: f"{one['cpu_s'] * 1e3:.1f}",
        "all three, s": lambda one: f"{one['all_s']:.3f}",
        "all three, s, after the tape's pages were dropped from memory": lambda one: f"{one['cold']['all_s']:.3f}" if one["cold"] else "?",
        "fires": lambda one: f"{one['fires']:,}",
        "fills": lambda one: f"{one['fills']:,}",
        "last fill at": lambda one: f"{one['last_fill_at']:.1%} of the time",
        "peak resident memory, GB": lambda one: f"{one['peak_gb']:.2f}",
        "at the end, pages of the mapped files, GB": lambda one: f"{one['file_pages_gb']:.2f}" if "file_pages_gb" in one else "?",
        "at the end, private, GB": lambda one: f"{one['private_gb']:.2f}" if "private_gb" in one else "?",
    }
    rows = [(name, *(words(one) for one in strategies)) for name, words in figures.items()]
    title = f"Mapped tape: {record['ticks']:,} ticks, {record['size_gb']:.1f} GB on disk"
    head = ("a fresh process each, medians", *(f">{name}" for name in record["strategies"]))
    console.print(harness.table(title, head, rows))


def main(argv: Sequence[str]) -> None:
    """Build a tape, or run over it and print the figures."""
    if argv[0] == "build":
        build(Path(argv[1]), *map(int, argv[2:]))
    else:
        print(json.dumps(run(Path(argv[1]), argv[2])))


if __name__ == "__main__":
    main(sys.argv[1:])
