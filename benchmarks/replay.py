"""One slice, one rule, every engine: what a tick costs in Titan, in plain Python, in hftbacktest and in nautilus_trader.

All of it happens in one run of the command, on the same ticks, in turn and again, and the engines must have taken the same decisions, or the run says
where they differ and fails. Rates are ticks per second of process CPU time, medians over all runs.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from attrs import asdict, frozen
from rich.console import Console

from benchmarks import _harness as harness
from benchmarks._harness import Bar, PeerEnvironment, PeerUnavailable, Say, Verdict, Worker
from benchmarks._slice import TICKS_PER_DAY, generated_slice, real_slice, save
from benchmarks.level_rule import MIN_STEP_NS, LevelFill, LevelResult, LevelRule, MarketSlice, TickLists, fitted_rule, python_handlers, python_loop
from titan_core.errors import TitanError, UsageError

COMMAND = "python -m benchmarks replay"
RATIOS = {"hftbacktest": 15, "python loop": 200, "nautilus_trader": 1000}
"""How many times as many ticks per second Titan must read."""
BARS = tuple(Bar(f"replay over {than}, level rule", limit) for than, limit in RATIOS.items())
PEERS = {"hftbacktest": "hftbacktest_level.py", "nautilus_trader": "nautilus_level.py"}
REQUIREMENTS = {
    "hftbacktest": ("hftbacktest==2.4.4", "numba==0.68.1", "numpy==2.2.6"),
    "nautilus_trader": ("nautilus_trader==1.221.0", "numpy==2.2.6"),
}
SCRIPTS = Path(__file__).resolve().parent / "peers"
Runs = dict[str, Callable[[], list[LevelResult]]]


def run_titan(columns: MarketSlice, params: LevelRule) -> LevelResult:
    """Run the level rule in Titan's skip-ahead engine; the result's times cover the replay alone, not the making of the tape.

    Called again and again with the same `columns` object, so the tape may be kept (`functools.cache` works: a slice is equal to itself only).
    """
    raise NotImplementedError("the level rule is not connected to titan_core.engine yet")


# -- agreement ----------------------------------------------------------------------------------------------------------


@frozen
class Agreement:
    """How a result compares with the plain-Python loop's."""

    same_decisions: bool
    fills_at_book: int
    """Fills at the quote that the loop was filled at."""
    fills_at_print: int
    """Fills at the price of a print that came after the last quote: the engine takes a print for both sides of its book."""
    unexplained: int
    """Fills at any other price."""

    @property
    def sound(self) -> bool:
        """Whether every decision is the same and every price has a reason."""
        return self.same_decisions and not self.unexplained

    @property
    def words(self) -> str:
        """Say it in a table's cell."""
        if not self.same_decisions:
            return "DECISIONS DIFFER"
        if self.unexplained:
            return f"{self.unexplained} PRICES DIFFER"
        return "all *" if self.fills_at_print else "all"


def agreement(result: LevelResult, reference: LevelResult, columns: MarketSlice) -> Agreement:
    """Compare fires, orders and fills one by one; a fill may be up to `MIN_STEP_NS` later than the decision."""
    pairs = list(zip(result.fills, reference.fills, strict=False))
    same = (result.ticks, result.fires, result.orders, len(result.fills)) == (reference.ticks, reference.fires, reference.orders, len(reference.fills))
    same = same and all(a.signed_lots == b.signed_lots and 0 <= a.ts_ns - b.ts_ns < MIN_STEP_NS for a, b in pairs)
    at_book = sum(a.price == b.price for a, b in pairs)
    at_print = sum(a.price != b.price and a.price == _print_after_quote(b, columns) for a, b in pairs)
    return Agreement(same, at_book, at_print, len(pairs) - at_book - at_print)


def _print_after_quote(fill: LevelFill, columns: MarketSlice) -> int | None:
    """Return the price of the last tick at the fill's time where that is a print, else None."""
    quote_ts, trade_ts = columns.quotes["ts"], columns.trades["ts"]
    quote, trade = int(np.searchsorted(quote_ts, fill.ts_ns, "right")), int(np.searchsorted(trade_ts, fill.ts_ns, "right"))
    if not trade or (quote and quote_ts[quote - 1] > trade_ts[trade - 1]):
        return None
    return int(columns.trades["price"][trade - 1])


# -- engines --------------------------------------------------------------------------------------------------------------


def own_runs(columns: MarketSlice, ticks: TickLists, rule: LevelRule) -> Runs:
    """Return what runs in this process: Titan and the plain-Python forms."""
    return {
        "titan": lambda: harness.repeat_briefly(lambda: run_titan(columns, rule)),
        "python loop": lambda: harness.repeat_briefly(lambda: python_loop(ticks, rule)),
        "python handlers": lambda: harness.repeat_briefly(lambda: python_handlers(ticks, rule)),
    }


def peer_run(worker: Worker, ticks: int) -> list[LevelResult]:
    """Ask a worker for one run."""
    answer = worker.run()
    fills = tuple(LevelFill(int(ts), int(signed), price) for ts, signed, price in answer["fills"])
    return [LevelResult(worker.name, ticks, answer["fires"], answer["orders"], fills, answer["wall_s"], answer["cpu_s"])]


def start_peers(stack: ExitStack, names: Sequence[str], out: Path, rule: LevelRule, say: Say) -> tuple[dict[str, Worker], dict[str, str]]:
    """Install and start the peers on the stored slice; return those that are ready, and why the others are not."""
    environment = PeerEnvironment(out / "venv-peers", say)
    ready, failures = {}, {}
    for name in names:
        try:
            python = environment.ensure(name, REQUIREMENTS[name])
            say(f"{name}: converting the ticks and making a first run")
            command = [str(python), str(SCRIPTS / PEERS[name]), str(out / "slice.npz"), json.dumps(asdict(rule))]
            ready[name] = stack.enter_context(Worker(name, command, out / f"{name}.log"))
        except PeerUnavailable as error:
            failures[name] = str(error)
            say(str(error))
    return ready, failures


def without_missing(runs: Runs, failures: dict[str, str]) -> Runs:
    """Warm every engine of this process up with one run; leave out those that are not there yet and note why."""
    there = {}
    for name, run in runs.items():
        try:
            run()
            there[name] = run
        except NotImplementedError as error:
            failures[name] = str(error)
    return there


# -- the measurement ----------------------------------------------------------------------------------------------------------


def measure(columns: MarketSlice, fires: int, repetitions: int, peers: Sequence[str], out: Path, say: Say) -> dict[str, Any]:
    """Run the comparison and return its record."""
    found = harness.machine()
    ticks = TickLists.of(columns)
    rule = fitted_rule(ticks, fires)
    save(columns, out / "slice.npz")
    with ExitStack() as stack:
        workers, failures = start_peers(stack, peers, out, rule, say)
        runs = without_missing(own_runs(columns, ticks, rule), failures)
        runs |= {name: partial(peer_run, worker, columns.ticks) for name, worker in workers.items()}
        results, dropped = harness.interleave(runs, repetitions, say)
        versions = {name: worker.ready["versions"] for name, worker in workers.items()}
    engines = [engine_record(name, found_results, results["python loop"][0], columns, versions.get(name, {})) for name, found_results in results.items()]
    rates = {engine["engine"]: engine["ticks_per_s"] for engine in engines}
    verdicts = [Verdict(bar, harness.ratio(rates, "titan", than)) for bar, than in zip(BARS, RATIOS, strict=True)]
    hours = (ticks.ts[-1] - ticks.ts[0]) / 3.6e12
    return {
        "benchmark": "replay",
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": found,
        "slice": {"source": columns.source, "ticks": columns.ticks, "prints": len(columns.trades["ts"]), "hours": round(hours, 2)},
        "rule": asdict(rule),
        "repetitions": repetitions,
        "engines": engines,
        "bars": [verdict.record() for verdict in verdicts],
        "not_measured": failures | dropped,
        "ok": all(verdict.met is not False for verdict in verdicts) and all(engine["sound"] for engine in engines),
    }


def engine_record(name: str, results: Sequence[LevelResult], reference: LevelResult, columns: MarketSlice, versions: Mapping[str, str]) -> dict[str, Any]:
    """Sum up all runs of one engine; every run is compared with the reference, not the last alone."""
    compared = [agreement(result, reference, columns) for result in results]
    shown = next((one for one in compared if not one.sound), compared[0])
    return {
        "engine": name,
        "versions": dict(versions),
        "ticks": results[0].ticks,
        "fires": results[0].fires,
        "orders": results[0].orders,
        "fills": len(results[0].fills),
        "runs": len(results),
        "cpu_s": harness.middle(result.cpu_s for result in results),
        "wall_s": harness.middle(result.wall_s for result in results),
        "wall_s_least": min(result.wall_s for result in results),
        "wall_s_most": max(result.wall_s for result in results),
        "ticks_per_s": harness.middle(result.ticks_per_s for result in results),
        "sound": shown.sound,
        "agrees": shown.words,
        "agreement": asdict(shown),
    }


def show(record: Mapping[str, Any], console: Console) -> None:
    """Print the tables of a record."""
    part, rule = record["slice"], record["rule"]
    title = f"Level rule, {part['ticks']:,} ticks in {part['hours']} h ({part['source']}), levels at {rule['step_ticks']} ticks"
    rows = [
        (
            " ".join([engine["engine"], engine["versions"].get(engine["engine"], "")]).strip(),
            f"{engine['ticks_per_s'] / 1e6:,.3g}",
            f"{engine['wall_s'] * 1e3:,.4g}",
            str(engine["fires"]),
            str(engine["fills"]),
            engine["agrees"],
        )
        for engine in sorted(record["engines"], key=lambda engine: -float(engine["ticks_per_s"]))
    ]
    head = ("engine", ">M ticks/s", ">wall ms", ">fires", ">fills", "decisions")
    console.print(harness.table(title, head, rows, harness.machine_line(record["machine"])))
    console.print(harness.verdict_table(map(harness.verdict_of, record["bars"])))
    for engine in record["engines"]:
        if at_print := engine["agreement"]["fills_at_print"]:
            note = "its book takes a print for both sides until the next quote"
            console.print(f"* {engine['engine']}: {at_print} of {engine['fills']} fills at the last print: {note}")
    for name, reason in record["not_measured"].items():
        console.print(f"not measured: {reason if reason.startswith(name) else f'{name}: {reason}'}", markup=False)


def parser() -> argparse.ArgumentParser:
    """Return the command line of this benchmark."""
    parse = argparse.ArgumentParser(prog=COMMAND, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--ticks", type=int, default=700_000, help="length of the slice (default 700000)")
    parse.add_argument("--fires", type=int, default=200, help="how often the rule is to fire (default 200)")
    parse.add_argument("--repetitions", type=int, default=5, help="how often each peer runs (default 5)")
    parse.add_argument("--seed", type=int, default=1, help="seed of the generated ticks (default 1)")
    parse.add_argument("--ticks-per-day", type=int, default=TICKS_PER_DAY, help="density of the generated market (default 7000000)")
    parse.add_argument("--real", action="store_true", help="use the shared recording laid end to end instead of generated ticks")
    parse.add_argument("--without", action="append", default=[], choices=sorted(PEERS), help="leave a peer out; may be repeated")
    parse.add_argument("--out", type=Path, default=harness.OUT, help="folder for the peers' environment and the results (default benchmarks/out)")
    parse.add_argument("--json", action="store_true", help="print the record instead of the tables")
    return parse


def main(argv: Sequence[str]) -> int:
    """Measure, print, write `replay.json`. Returns 1 where a measured bar was missed or engines disagree."""
    given = parser().parse_args(argv)
    notes = harness.stderr_console()

    def say(text: str) -> None:
        notes.print(text, style="dim", markup=False)

    try:
        columns = real_slice(given.ticks) if given.real else generated_slice(given.ticks, given.seed, given.ticks_per_day)
        peers = [name for name in PEERS if name not in given.without]
        record = measure(columns, given.fires, given.repetitions, peers, given.out, say)
    except TitanError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    harness.write_json(given.out / "replay.json", record)
    if given.json:
        print(json.dumps(record, indent=2))
    else:
        show(record, Console(highlight=False))
        say(f"written: {given.out / 'replay.json'}")
    return 0 if record["ok"] else 1
