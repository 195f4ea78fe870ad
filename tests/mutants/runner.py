"""Plants each mutant in a copy of the package and lets the fixed cases of tests/engine look for it, each in a process of its own.

A copy takes the compiled kernels along (numba keeps them beside the source and checks the source's time), so only what a mutant touches is compiled
anew. A mutant is killed when a test fails, the process crashes, or it burns more processor time than the cases ever need. One that does not even
compile, or whose process did not get to run, proves nothing: it is reported as broken.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attrs import frozen

from tests.mutants.catalog import Mutant

ROOT = Path(__file__).resolve().parents[2]
CPU_LIMIT_S = 90
"""Several times what all cases of a suite take. Processor time, so that a busy machine kills nothing."""
WALL_LIMIT_S = 900
KERNELS = ("engine/scan.py", "engine/bounds.py", "engine/levels.py")
SHARED = ("engine/core.py", "engine/matching.py", "engine/desk.py", "engine/handles.py")
GOVERNING = ("engine/governor.py", "engine/watch.py", "engine/exposure.py", "engine/closing.py", "engine/pairing.py")
PER_EVENT = ("engine/live.py", "engine/nearest.py", "engine/history.py")
FIRST = {
    "engine/levels.py": ["test_the_level_book"],
    "engine/bounds.py": ["test_bounds", "test_a_bound_keeps_the_price_of_an_instrument_that_has_not_moved_yet"],
}
"""Where a defect of a file most likely shows: these tests run first."""
USED_BY_LEVELS = ("pos_right", "first_ge", "first_le")
CHILD = f"""
import sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, ({CPU_LIMIT_S}, {CPU_LIMIT_S}))
except ImportError:
    pass
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""
BROKEN = re.compile(r"TypingError|SyntaxError|NameError|UnsupportedError|LoweringError")


@frozen
class Outcome:
    """What became of a mutant: `killed_by` names the test; empty where it survived, or where `broken` says why it proves nothing."""

    mutant: Mutant
    killed_by: str
    broken: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the mutant was killed for a good reason."""
        return bool(self.killed_by) and not self.broken


def source(mutant: Mutant) -> str:
    """Return the mutated text. Raises ValueError unless the old text occurs exactly once."""
    text = (ROOT / "titan_core" / mutant.file).read_text(encoding="utf-8")
    if text.count(mutant.old) != 1 or mutant.old == mutant.new:
        raise ValueError(f"mutant {mutant.name!r}: its text occurs {text.count(mutant.old)} times in {mutant.file}; it must occur once and be changed")
    return text.replace(mutant.old, mutant.new)


def suite(file: str) -> list[str]:
    """Return pytest's arguments: the fixed cases that can notice a defect in a file, the quickest first."""
    tests = ["test_lookups", "test_conditions", "test_matching"]
    if file in KERNELS:
        tests, chosen = ["test_kernels", *tests, "test_edges"], "kernels or replay or blocks"
    elif file in SHARED:
        tests, chosen = (
            ["test_matching", "test_conditions", "test_desk", "test_lookups", "test_governor_limits"],
            "reference or rounded or whole or without or mark",
        )
    elif file in GOVERNING:
        tests, chosen = ["test_governor_limits", "test_governor_hostile", "test_governor"], "not parity"
    elif file in PER_EVENT:
        tests, chosen = ["test_history", *tests, "test_runs", "test_edges"], "(history or per-event or forgotten or look_back or silence) and not replay"
    else:
        tests, chosen = [*tests, "test_edges"], "replay or blocks"
    likely = [f"tests/engine/test_kernels.py::{name}" for name in FIRST.get(file, ())]
    return [*likely, *(f"tests/engine/{name}.py" for name in tests), "-k", chosen]


def plant(mutant: Mutant | None, folder: Path) -> None:
    """Copy the package and its tests into a folder, with the mutant in place and without the compiled code that it makes stale."""
    shutil.copytree(ROOT / "titan_core", folder / "titan_core")
    shutil.copytree(ROOT / "tests" / "engine", folder / "tests" / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "tests/conftest.py"):
        shutil.copy2(ROOT / name, folder / name)
    if mutant is None:
        return
    text = source(mutant)
    (folder / "titan_core" / mutant.file).write_text(text, encoding="utf-8")
    module = Path(mutant.file).stem
    stale = [module]
    if mutant.file == "engine/scan.py" and enclosing_function(mutant) in USED_BY_LEVELS:
        stale.append("levels")
    for cached in (folder / "titan_core/engine/__pycache__").glob("*.nb[ic]"):
        if cached.name.partition(".")[0] in stale:
            cached.unlink()


def enclosing_function(mutant: Mutant) -> str:
    """Return the name of the function that a mutant changes."""
    text = (ROOT / "titan_core" / mutant.file).read_text(encoding="utf-8")
    names: list[str] = re.findall(r"^def (\w+)", text[: text.index(mutant.old) + len(mutant.old)], re.MULTILINE)
    return names[-1] if names else ""


def run_suite(folder: Path, arguments: Iterable[str]) -> tuple[int, str]:
    """Run pytest in a copy; return its exit code (negative: the signal that ended it) and its output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "PYTEST_"))}
    command = [sys.executable, "-c", CHILD, "-x", "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider", *arguments]
    try:
        ran = subprocess.run(
            command, cwd=folder, env=environment | {"PYTHONPATH": str(folder)}, capture_output=True, text=True, timeout=WALL_LIMIT_S, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return 2, f"no answer within {WALL_LIMIT_S} s"
    return ran.returncode, ran.stdout + ran.stderr


def judge(mutant: Mutant) -> Outcome:
    """Plant a mutant and look for it."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="titan-mutant-") as name:
        folder = Path(name)
        plant(mutant, folder)
        code, output = run_suite(folder, suite(mutant.file))
    seconds = time.perf_counter() - started
    if code == 0:
        return Outcome(mutant, "", "", seconds)
    found = re.search(r"^(?:FAILED|ERROR) tests/engine/(\S+)", output, re.MULTILINE)
    killed_by = found[1] if found else signal_name(-code) if code < 0 else ""
    broken = BROKEN.search(output)
    reason = broken[0] if broken else "" if killed_by else (output.strip().splitlines() or ["no output"])[-1]
    return Outcome(mutant, killed_by, reason, seconds)


def signal_name(number: int) -> str:
    """Say what a signal means here."""
    if number in (signal.SIGXCPU, signal.SIGKILL):
        return "endless loop"
    return f"crash ({signal.Signals(number).name})"


def check_unmutated(files: Iterable[str], jobs: int) -> str:
    """Run the suites of some files on an unchanged copy; return the output of one that fails, or nothing."""
    with tempfile.TemporaryDirectory(prefix="titan-mutant-") as name, ThreadPoolExecutor(jobs) as pool:
        plant(None, Path(name))
        suites = dict.fromkeys(tuple(suite(file)) for file in sorted(files))
        results = list(pool.map(lambda arguments: run_suite(Path(name), arguments), suites))
    return next((output for code, output in results if code != 0), "")


def judge_all(mutants: Iterable[Mutant], jobs: int, told: Callable[[Outcome], None]) -> list[Outcome]:
    """Judge mutants, `jobs` at a time; `told` hears of each as it is done."""
    with ThreadPoolExecutor(jobs) as pool:
        outcomes = []
        for outcome in pool.map(judge, mutants):
            told(outcome)
            outcomes.append(outcome)
    return outcomes
