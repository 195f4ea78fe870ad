"""How fast Titan replays: one rule in every engine on one slice, the Scavenger over a day, many armed conditions, and 100M ticks from disk.

All of it happens in one run of the command. Rates are ticks per second of process CPU time, medians over all runs; the engines must have taken the same
decisions, or the run says where they differ and fails.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import _armed, _compare, _mapped, _scavenger_day
from benchmarks import _harness as harness
from benchmarks._harness import NotMeasured, Say, Verdict
from benchmarks._slice import TICKS_PER_DAY, generated_slice, real_slice
from benchmarks.level_rule import MarketSlice

COMMAND = "python -m benchmarks replay"
PARTS = {"level": _compare, "scavenger": _scavenger_day, "armed": _armed, "mapped": _mapped}
BARS = tuple(bar for part in PARTS.values() for bar in part.BARS)
ARMED_FIRES = 5
"""Times as many fires in the comparison of armed levels: as many as the Scavenger's day has."""
Outcome = tuple[dict[str, Any], list[Verdict]]


def parts(given: argparse.Namespace, say: Say) -> dict[str, Callable[[], Outcome]]:
    """Return what is to be measured, by name, in order."""
    columns: list[MarketSlice] = []

    def market_slice() -> MarketSlice:
        if not columns:
            columns.append(real_slice(given.ticks) if given.real else generated_slice(given.ticks, given.seed, given.ticks_per_day))
        return columns[0]

    peers = [name for name in _compare.PEERS if name not in given.without]
    tape = given.out / f"mapped-{given.mapped_ticks}-{given.ticks_per_day}-{given.seed}"
    known: dict[str, Callable[[], Outcome]] = {
        "level": lambda: _compare.measure(market_slice(), given.fires, given.repetitions, peers, given.out, say),
        "scavenger": lambda: _scavenger_day.measure(given.ticks_per_day, given.head_ticks, given.seed, given.repetitions, given.out, say),
        "armed": lambda: _armed.measure(market_slice(), ARMED_FIRES * given.fires, given.repetitions, say),
        "mapped": lambda: _mapped.measure(tape, given.mapped_ticks, given.seed, given.ticks_per_day, given.repetitions, say),
    }
    return {name: known[name] for name in PARTS if name in (given.only or PARTS)}


def measure(wanted: Mapping[str, Callable[[], Outcome]], repetitions: int) -> dict[str, Any]:
    """Measure one part after the other; one that cannot be measured here is named with its reason."""
    record: dict[str, Any] = {
        "benchmark": "replay",
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": harness.machine(),
        "repetitions": repetitions,
    }
    verdicts = {bar.text: Verdict(bar, None) for bar in BARS}
    failures: dict[str, str] = {}
    for name, run in wanted.items():
        try:
            record[name], found = run()
        except NotMeasured as error:
            failures[name] = str(error)
            continue
        verdicts |= {verdict.bar.text: verdict for verdict in found}
        failures |= record[name].pop("not_measured", {})
    sound = all(record[name]["sound"] for name in wanted if name in record)
    bars = [verdict.record() for verdict in verdicts.values()]
    return record | {"bars": bars, "not_measured": failures, "ok": sound and all(verdict.met is not False for verdict in verdicts.values())}


def show(record: Mapping[str, Any], console: Console) -> None:
    """Print the tables of a record."""
    console.print(harness.machine_line(record["machine"]))
    for name, part in PARTS.items():
        if name in record:
            part.show(record[name], console)
            console.print()
    console.print(harness.verdict_table(map(harness.verdict_of, record["bars"])))
    for name, reason in record["not_measured"].items():
        console.print(f"not measured: {reason if reason.startswith(name) else f'{name}: {reason}'}", markup=False)


def parser() -> argparse.ArgumentParser:
    """Return the command line of this benchmark."""
    parse = argparse.ArgumentParser(prog=COMMAND, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--only", action="append", default=[], choices=list(PARTS), help="measure this part alone; may be repeated (default all)")
    parse.add_argument("--ticks", type=int, default=4_500_000, help="length of the level rule's slice (default 4500000)")
    parse.add_argument("--fires", type=int, default=200, help="how often the level rule is to fire (default 200)")
    parse.add_argument("--repetitions", type=int, default=3, help="how often each peer runs (default 3)")
    parse.add_argument("--seed", type=int, default=1, help="seed of the generated ticks (default 1)")
    parse.add_argument("--ticks-per-day", type=int, default=TICKS_PER_DAY, help="density of the generated market (default 7000000)")
    parse.add_argument("--head-ticks", type=int, default=500_000, help="ticks that the per-event form reads of the Scavenger's day (default 500000)")
    parse.add_argument("--mapped-ticks", type=int, default=_mapped.TICKS, help="least length of the mapped tape (default 100000000)")
    parse.add_argument("--real", action="store_true", help="level rule: use the shared recording laid end to end instead of generated ticks")
    parse.add_argument("--without", action="append", default=[], choices=sorted(_compare.PEERS), help="leave a peer out; may be repeated")
    parse.add_argument("--out", type=Path, default=harness.OUT, help="folder for environment, tapes and results (default benchmarks/out)")
    parse.add_argument("--json", action="store_true", help="print the record instead of the tables")
    return parse


def main(argv: Sequence[str]) -> int:
    """Measure, print, write `replay.json`. Returns 1 where a measured bar was missed or engines disagree."""
    given = parser().parse_args(argv)
    return harness.carry_out("replay", given, lambda say: measure(parts(given, say), given.repetitions), show)
