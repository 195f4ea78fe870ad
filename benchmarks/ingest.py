"""What it costs to read a Binance recording: Titan's importer and cryptofeed's message handlers on the same messages, in turn and again.

Both start from messages in memory, parse every one, check the sequence of the depth messages and keep the book. cryptofeed makes objects of Decimals and
calls an empty callback for each; Titan makes exact integer columns, with a row of the ten best levels after each depth message, checks them and puts them
on the grid. Loading and compiling happen before. "titan, whole file" is the same from the unpacked file on: telling what it is, reading, hashing.
Rates are messages per second of process CPU time, medians over all runs.
"""

import argparse
import gc
import gzip
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from attrs import frozen
from rich.console import Console

from benchmarks import _harness as harness
from benchmarks._harness import Bar, PeerEnvironment, PeerUnavailable, Say, Verdict, Worker
from titan_core.errors import TapeError
from titan_core.model.ids import VenueId
from titan_core.tape.faults import FaultLog
from titan_core.tape.importers.binance import import_binance_ws, read_recording
from titan_core.tape.importers.detect import Layout
from titan_core.tape.importers.fast import warm_up
from titan_core.tape.importers.lines import Block, Recording
from titan_core.tape.importers.target import ImportResult, Target

COMMAND = "python -m benchmarks ingest"
PEER = "cryptofeed"
TITAN, WHOLE, PLAIN = "titan", "titan, whole file", "titan, not compiled"
BARS = (Bar("ingest over cryptofeed's message_handler", 4),)
REQUIREMENTS = ("cryptofeed==2.4.1",)
SCRIPT = Path(__file__).resolve().parent / "peers" / "cryptofeed_ingest.py"
FOLDER = Path(__file__).resolve().parents[2] / "shared" / "market" / "raw_ws"
RECORDINGS = {"spot": "binance_spot_btcusdt_20240808.gz", "usdm": "binance_usdm_btcusdt_20240808.gz"}
EXPECTED = {
    "spot": {"bookTicker": 28_040, "trade": 9_757, "depth@100ms": 3_451, "REST depth snapshot": 1},
    "usdm": {"bookTicker": 66_089, "trade": 21_313, "depth@0ms": 6_551, "REST depth snapshot": 1},
}
"""Messages of each recording by type, as its publisher counts them."""


@frozen
class Result:
    """One run over both recordings."""

    messages: int
    wall_s: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Messages per second of CPU time."""
        return self.messages / self.cpu_s


def unpack(folder: Path, out: Path) -> dict[str, Path]:
    """Write both recordings unpacked to `out`. Raises TapeError where they are not at hand."""
    out.mkdir(parents=True, exist_ok=True)
    unpacked = {}
    for market, name in RECORDINGS.items():
        if not (folder / name).is_file():
            raise TapeError(f"no recording {name} in {folder}; give its folder with --recordings")
        unpacked[market] = out / f"ingest-{market}.txt"
        with gzip.open(folder / name) as packed, unpacked[market].open("wb") as plain:
            shutil.copyfileobj(packed, plain)
    return unpacked


class InMemory(Recording):
    """A recording whose text is in memory already, in blocks of the size in which files are read."""

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks that were prepared."""
        for block in self.prepared:
            yield Block(block.first, block.data)
            self.line_count = block.first + block.count - 1

    @property
    def prepared(self) -> list[Block]:
        """The blocks of this file, read once."""
        return read_blocks(self.path)


@cache
def read_blocks(path: Path) -> list[Block]:
    """Read a file's blocks and count their lines."""
    blocks = list(Recording(path, FaultLog(path.name)).blocks())
    return [block for block in blocks if block.count]


def target(market: str) -> Target:
    """Return the instrument of a recording."""
    return Target(venue=VenueId(f"binance-{market}"), symbol="BTCUSDT")


def from_memory(files: Mapping[str, Path], compiled: bool) -> list[ImportResult]:
    """Import both recordings from memory."""
    return [read_recording(InMemory(path, FaultLog(path.name)), target(market), Layout.STAMPED, compiled) for market, path in files.items()]


def from_files(files: Mapping[str, Path]) -> list[ImportResult]:
    """Import both recordings from their files."""
    return [import_binance_ws(path, target(market), compiled=True) for market, path in files.items()]


def run_titan(imports: Callable[[], list[ImportResult]]) -> list[Result]:
    """Import both recordings once. Raises TapeError where a message is not accounted for."""
    gc.collect()
    wall, cpu = perf_counter(), process_time()
    results = imports()
    wall, cpu = perf_counter() - wall, process_time() - cpu
    for expected, result in zip(EXPECTED.values(), results, strict=True):
        if result.source.messages != expected or result.source.faults:
            raise TapeError(f"{result.source.file}: counted {result.source.messages} with faults {result.source.faults}, it holds {expected}")
    return [Result(sum(result.source.lines for result in results), wall, cpu)]


def run_peer(worker: Worker) -> list[Result]:
    """Ask cryptofeed for one run."""
    answer = worker.run()
    return [Result(answer["messages"], answer["wall_s"], answer["cpu_s"])]


def measure(folder: Path, repetitions: int, peer: bool, out: Path, say: Say) -> dict[str, Any]:
    """Run the comparison and return its record."""
    found = harness.machine()
    files = unpack(folder, out)
    if not warm_up():
        raise TapeError("numba is not installed, so there is no compiled form to measure; install titan-core with its dependencies")
    runs: dict[str, Any] = {
        TITAN: lambda: run_titan(lambda: from_memory(files, True)),
        WHOLE: lambda: run_titan(lambda: from_files(files)),
        PLAIN: lambda: run_titan(lambda: from_memory(files, False)),
    }
    failures: dict[str, str] = {}
    versions: dict[str, str] = {}
    with ExitStack() as stack:
        if peer:
            try:
                python = PeerEnvironment(out / "venv-cryptofeed", say).ensure(PEER, REQUIREMENTS)
                command = [str(python), str(SCRIPT), *(part for market, name in RECORDINGS.items() for part in (market, str(folder / name)))]
                worker = stack.enter_context(Worker(PEER, command, out / f"{PEER}.log"))
                versions, runs[PEER] = worker.ready["versions"], partial(run_peer, worker)
            except PeerUnavailable as error:
                failures[PEER] = str(error)
                say(str(error))
        results, dropped = harness.interleave(runs, repetitions, say)
    readers = [reader_record(name, found_results, versions) for name, found_results in results.items()]
    rates = {reader["reader"]: reader["messages_per_s"] for reader in readers}
    verdicts = [Verdict(bar, harness.ratio(rates, TITAN, PEER)) for bar in BARS]
    return {
        "benchmark": "ingest",
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": found,
        "recordings": {market: {"file": name, "messages": EXPECTED[market]} for market, name in RECORDINGS.items()},
        "repetitions": repetitions,
        "readers": readers,
        "bars": [verdict.record() for verdict in verdicts],
        "not_measured": failures | dropped,
        "ok": all(verdict.met is not False for verdict in verdicts),
    }


def reader_record(name: str, results: Sequence[Result], versions: Mapping[str, str]) -> dict[str, Any]:
    """Sum up all runs of one reader."""
    return {
        "reader": name,
        "version": versions.get(name, ""),
        "messages": results[0].messages,
        "runs": len(results),
        "cpu_s": harness.middle(result.cpu_s for result in results),
        "wall_s": harness.middle(result.wall_s for result in results),
        "messages_per_s": harness.middle(result.rate for result in results),
    }


def show(record: Mapping[str, Any], console: Console) -> None:
    """Print the tables of a record."""
    rates = {reader["reader"]: reader["messages_per_s"] for reader in record["readers"]}
    rows = [
        (
            f"{reader['reader']} {reader['version']}".strip(),
            f"{reader['messages']:,}",
            f"{reader['cpu_s'] * 1e3:,.0f}",
            f"{reader['wall_s'] * 1e3:,.0f}",
            f"{reader['messages_per_s'] / 1e3:,.0f}",
            f"{reader['messages_per_s'] / rates[PEER]:.2f}" if PEER in rates else "",
            str(reader["runs"]),
        )
        for reader in sorted(record["readers"], key=lambda reader: -float(reader["messages_per_s"]))
    ]
    head = ("reader", ">messages", ">CPU ms", ">wall ms", ">k messages/s", f">times {PEER}", ">runs")
    console.print(harness.table("Reading the Binance pair of 2024-08-08", head, rows, harness.machine_line(record["machine"])))
    console.print(harness.verdict_table(map(harness.verdict_of, record["bars"])))
    for name, reason in record["not_measured"].items():
        console.print(f"not measured: {name}: {reason}", markup=False)


def parser() -> argparse.ArgumentParser:
    """Return the command line of this benchmark."""
    parse = argparse.ArgumentParser(prog=COMMAND, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--recordings", type=Path, default=FOLDER, help="folder of the two recordings (default: the shared market data beside the checkout)")
    parse.add_argument("--repetitions", type=int, default=7, help="how often each reader runs (default 7)")
    parse.add_argument("--without", action="append", default=[], choices=[PEER], help="leave the peer out")
    parse.add_argument("--out", type=Path, default=harness.OUT, help="folder for the peer's environment and the results (default benchmarks/out)")
    parse.add_argument("--json", action="store_true", help="print the record instead of the tables")
    return parse


def main(argv: Sequence[str]) -> int:
    """Measure, print, write `ingest.json`. Returns 1 where the bar was missed or a message is not accounted for."""
    given = parser().parse_args(argv)
    return harness.carry_out("ingest", given, lambda say: measure(given.recordings, given.repetitions, PEER not in given.without, given.out, say), show)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
