"""What the benchmarks share: claims and their verdicts, the peers' own environment, workers that run in it, timing, tables and JSON."""

import argparse
import gc
import json
import os
import platform
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from time import perf_counter
from types import TracebackType
from typing import IO, Any, Self, TypeVar

from attrs import asdict, define, field, frozen
from rich.console import Console
from rich.table import Table

from titan_core.errors import TitanError, UsageError

OUT = Path(__file__).resolve().parent / "out"
"""Where environments, slices and results go; not part of the repository."""
Say = Callable[[str], None]
T = TypeVar("T")


class NotMeasured(TitanError):
    """Something cannot be measured here; the rest stands without it."""


class PeerUnavailable(NotMeasured):
    """A peer cannot be installed or does not run here; the rest of the comparison stands without it."""


@frozen
class Bar:
    """One claim of the project about itself: what is measured, in which unit, and the least (or, with `at_most`, the most) it may be."""

    text: str
    limit: float
    unit: str = "x"
    at_most: bool = False

    @property
    def wanted(self) -> str:
        """The limit in words."""
        return f"{'<=' if self.at_most else '>='} {self.limit:g} {self.unit}"


@frozen
class Verdict:
    """A bar and what was measured; None where it could not be."""

    bar: Bar
    measured: float | None

    @property
    def met(self) -> bool | None:
        """Whether the bar was reached; None where it was not measured."""
        if self.measured is None:
            return None
        return self.measured <= self.bar.limit if self.bar.at_most else self.measured >= self.bar.limit

    @property
    def words(self) -> str:
        """What was measured and what that means."""
        if self.measured is None:
            return "not measured"
        return f"{self.measured:.4g} {self.bar.unit}, {'met' if self.met else 'MISSED'}"

    def record(self) -> dict[str, Any]:
        """Return it as JSON; `verdict_of` reads it back."""
        return asdict(self.bar) | {"measured": self.measured, "met": self.met}


def verdict_of(record: Mapping[str, Any]) -> Verdict:
    """Read a verdict back from its record."""
    return Verdict(Bar(record["text"], record["limit"], record["unit"], record["at_most"]), record["measured"])


def ratio(rates: Mapping[str, float], engine: str, than: str) -> float | None:
    """Return how many times as fast one engine is as another; None where either was not measured."""
    return rates[engine] / rates[than] if engine in rates and than in rates else None


# -- machine and records ----------------------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """Describe the machine that a measurement is made on; `load_1m` tells whether it was busy with something else at the start."""
    cpu = platform.processor() or platform.machine()
    with suppress(OSError):
        models = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        cpu = models[0] if models else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_1m": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def machine_line(found: Mapping[str, Any]) -> str:
    """Put the machine into one line for a table's caption."""
    return f"{found['cores']} cores, {found['cpu']}, {found['system']}, Python {found['python']}, load {found['load_1m']}"


def memory() -> dict[str, float]:
    """Return the largest resident memory of this process so far, and what is resident now: private, and pages of mapped files; in GB.

    Linux hands `ru_maxrss` down from the process that started this one, so it is taken only where there is nothing better.
    """
    fields = {"VmHWM": "peak_gb", "RssAnon": "private_gb", "RssFile": "file_pages_gb"}
    with suppress(OSError):
        lines = [line.split() for line in Path("/proc/self/status").read_text().splitlines()]
        return {fields[line[0][:-1]]: int(line[1]) * 1024 / 1e9 for line in lines if line[0][:-1] in fields}
    import resource

    return {"peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9}


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record in one step, so that a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a record back; None where there is none or it is not one of ours."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> Table:
    """Lay out rows; columns whose head starts with '>' are numbers: they stand to the right and are never broken."""
    out = Table(title=title, caption=caption or None, title_justify="left", caption_justify="left")
    for name in head:
        number = name.startswith(">")
        out.add_column(name.lstrip(">"), justify="right" if number else "left", overflow="fold", no_wrap=number)
    for row in rows:
        out.add_row(*row)
    return out


def verdict_table(verdicts: Iterable[Verdict]) -> Table:
    """Lay out bars and what was measured."""
    return table("Bars", ("claim", ">bar", ">measured"), [(verdict.bar.text, verdict.bar.wanted, verdict.words) for verdict in verdicts])


def carry_out(name: str, given: argparse.Namespace, measure: Callable[[Say], dict[str, Any]], show: Callable[[dict[str, Any], Console], None]) -> int:
    """Measure, print tables or (`--json`) the record, write it as `NAME.json` under `--out`; returns the exit code.

    0 where the record is `ok`, 1 where it is not or nothing could be measured, 2 where the command line asks for what is not there.
    """
    notes = stderr_console()

    def say(text: str) -> None:
        notes.print(text, style="dim", markup=False)

    try:
        record = measure(say)
    except TitanError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    write_json(given.out / f"{name}.json", record)
    if given.json:
        print(json.dumps(record, indent=2))
    else:
        show(record, stdout_console())
        say(f"written: {given.out / f'{name}.json'}")
    return 0 if record["ok"] else 1


def stdout_console() -> Console:
    """Where tables go: as wide as the terminal, or 120 columns into a file."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def stderr_console() -> Console:
    """Where progress and notes go, so that standard output stays clean."""
    return Console(stderr=True, highlight=False)


# -- timing -------------------------------------------------------------------------------------------------------------


@contextmanager
def settled() -> Iterator[None]:
    """Spare the collector what has been prepared: millions of objects that it would go through again and again while something is timed."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def repeat_briefly(run: Callable[[], T], least_s: float = 0.2, most: int = 20) -> list[T]:
    """Run once, and again until `least_s` seconds have passed or it ran `most` times: a run of a few ms needs several to have a median."""
    started, results = perf_counter(), [run()]
    while perf_counter() - started < least_s and len(results) < most:
        results.append(run())
    return results


def interleave(runs: Mapping[str, Callable[[], list[T]]], repetitions: int, say: Say) -> tuple[dict[str, list[T]], dict[str, str]]:
    """Run all in turn, again and again, so that a busy moment of the machine touches all of them alike.

    Returns the results by name, and why a peer dropped out by name; one that dropped out has no results.
    """
    results: dict[str, list[T]] = {name: [] for name in runs}
    failures: dict[str, str] = {}
    for repetition in range(repetitions):
        say(f"repetition {repetition + 1} of {repetitions}")
        for name in list(results):
            try:
                results[name] += runs[name]()
            except NotMeasured as error:
                failures[name] = str(error)
                del results[name]
    return results, failures


def middle(values: Iterable[float]) -> float:
    """Return the median."""
    return float(median(values))


# -- the peers' environment -----------------------------------------------------------------------------------------


@frozen
class PeerEnvironment:
    """A virtual environment of its own for other engines, so that their pins never meet the project's."""

    root: Path
    say: Say = field(default=lambda text: None)

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.root / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def ensure(self, peer: str, requirements: Sequence[str]) -> Path:
        """Install a peer unless exactly these requirements are there, and return the interpreter. Raises PeerUnavailable where pip cannot."""
        stamp, wanted = self.root / f".installed-{peer}", "\n".join(requirements)
        if self.python.exists() and stamp.is_file() and stamp.read_text() == wanted:
            self.say(f"{peer}: using {self.root}")
            return self.python
        self._create()
        self.say(f"{peer}: installing {', '.join(requirements)} into {self.root}")
        pip = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", *requirements]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PeerUnavailable(
                f"{peer}: pip could not install {', '.join(requirements)} (exit {done.returncode}): {_last_line(done.stderr)}; "
                f"check the connection to a package index, or leave it out with --without {peer}"
            )
        stamp.write_text(wanted)
        return self.python

    def _create(self) -> None:
        complete = self.root / ".complete"
        if complete.is_file() and self.python.exists():
            return
        self.say(f"creating {self.root}")
        done = subprocess.run([sys.executable, "-m", "venv", "--clear", str(self.root)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise PeerUnavailable(f"cannot create {self.root} with {sys.executable} -m venv (exit {done.returncode}): {_last_line(done.stderr or done.stdout)}")
        complete.write_text("")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(("WARNING", "[notice]"))]
    return lines[-1] if lines else "no message"


@define
class Worker:
    """A peer at work in its own process: it prepares once, then answers each `run` with one timed result (see `peers/protocol.py`)."""

    name: str
    command: Sequence[str]
    log: Path
    timeout_s: float = 600
    """How long it may take to prepare, and to run once."""
    patience_s: float = 10
    """How long it may take to end once it is no longer needed; then it is killed."""
    ready: dict[str, Any] = field(factory=dict, init=False)
    _process: subprocess.Popen[str] = field(init=False)
    _listener: threading.Thread = field(init=False)
    _answers: "queue.SimpleQueue[str | None]" = field(factory=queue.SimpleQueue, init=False)

    def __enter__(self) -> Self:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("w") as log:
            self._process = subprocess.Popen(list(self.command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._process.stdout is not None
        self._listener = threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True)
        self._listener.start()
        try:
            self.ready = self._answer()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def run(self) -> dict[str, Any]:
        """Ask for one run and wait for its result. Raises PeerUnavailable where the worker dies or stays silent."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write("run\n")
            self._process.stdin.flush()
        return self._answer()

    def _listen(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._answers.put(line)
        self._answers.put(None)

    def _answer(self) -> dict[str, Any]:
        try:
            line = self._answers.get(timeout=self.timeout_s)
        except queue.Empty:
            raise PeerUnavailable(f"{self.name}: no answer within {self.timeout_s:g} s; see {self.log}") from None
        if line is None:
            raise PeerUnavailable(f"{self.name}: ended early: {_last_line(self.log.read_text(errors='replace'))}; see {self.log}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _close(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(self.patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join()
