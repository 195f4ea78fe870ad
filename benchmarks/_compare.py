"""One slice, one rule, every engine: what a tick costs in Titan's two fast forms, in plain Python, in hftbacktest and in nautilus_trader.

The engines run in turn and again, on the same ticks, and must have taken the same decisions.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from attrs import asdict, frozen
from rich.console import Console

from benchmarks import _harness as harness
from benchmarks._harness import Bar, PeerEnvironment, PeerUnavailable, Say, Verdict, Worker
from benchmarks._slice import save
from benchmarks._titan import PER_EVENT, REPLAY, TitanLevel, level_tape
from benchmarks.level_rule import MIN_STEP_NS, LevelFill, LevelResult, LevelRule, MarketSlice, TickLists, fitted_rule, python_handlers, python_loop

RATIOS = {"hftbacktest": 15, PER_EVENT: 200, "nautilus_trader": 1000}
"""How many times as many ticks per second the skip-ahead form must read."""
BARS = tuple(Bar(f"replay over {than}, level rule", limit) for than, limit in RATIOS.items())
BARE = ("python loop", "python handlers")
"""Shown beside the others, judged by no bar: they compare prices and do nothing else."""
PEERS = {"hftbacktest": "hftbacktest_level.py", "nautilus_trader": "nautilus_level.py"}
REQUIREMENTS = {
    "hftbacktest": ("hftbacktest==2.4.4", "numba==0.68.1", "numpy==2.2.6"),
    "nautilus_trader": ("nautilus_trader==1.221.0", "numpy==2.2.6"),
}
SCRIPTS = Path(__file__).resolve().parent / "peers"
Runs = dict[str, Callable[[], list[LevelResult]]]


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
    """Return what runs in this process, each run once already: Titan's forms and plain Python."""
    titan = TitanLevel(level_tape(columns))
    once: dict[str, Callable[[], LevelResult]] = {
        REPLAY: lambda: titan.replay(rule),
        PER_EVENT: lambda: titan.per_event(rule),
        "python loop": lambda: python_loop(ticks, rule),
        "python handlers": lambda: python_handlers(ticks, rule),
    }
    for run in once.values():
        run()
    return {name: partial(harness.repeat_briefly, run) for name, run in once.items()}


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


# -- the measurement ----------------------------------------------------------------------------------------------------------


def measure(columns: MarketSlice, fires: int, repetitions: int, peers: Sequence[str], out: Path, say: Say) -> tuple[dict[str, Any], list[Verdict]]:
    """Run the comparison; return its record and the verdicts."""
    ticks = TickLists.of(columns)
    rule = fitted_rule(ticks, fires)
    save(columns, out / "slice.npz")
    with ExitStack() as stack:
        workers, failures = start_peers(stack, peers, out, rule, say)
        runs = own_runs(columns, ticks, rule)
        runs |= {name: partial(peer_run, worker, columns.ticks) for name, worker in workers.items()}
        stack.enter_context(harness.settled())
        results, dropped = harness.interleave(runs, repetitions, say)
        versions = {name: worker.ready["versions"] for name, worker in workers.items()}
    engines = [engine_record(name, found, results["python loop"][0], columns, versions.get(name, {})) for name, found in results.items()]
    rates = {engine["engine"]: engine["ticks_per_s"] for engine in engines}
    verdicts = [Verdict(bar, harness.ratio(rates, REPLAY, than)) for bar, than in zip(BARS, RATIOS, strict=True)]
    compare(engines)
    record = {
        "slice": {
            "source": columns.source,
            "ticks": columns.ticks,
            "prints": len(columns.trades["ts"]),
            "hours": round((ticks.ts[-1] - ticks.ts[0]) / 3.6e12, 2),
        },
        "rule": asdict(rule),
        "repetitions": repetitions,
        "engines": engines,
        "not_measured": failures | dropped,
        "sound": all(engine["sound"] for engine in engines),
    }
    return record | {"notes": notes(record)}, verdicts


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


def compare(engines: Sequence[dict[str, Any]]) -> None:
    """Add to each engine how many times as fast Titan is, and how often the rule would have to fire for both to be equally fast.

    A replay costs what it decides, so all of its time is put on its fires: with few of them, that makes the break-even look lower than it is.
    """
    titan = next(engine for engine in engines if engine["engine"] == REPLAY)
    for engine in engines:
        times = titan["ticks_per_s"] / engine["ticks_per_s"]
        engine["titan_is_times"] = None if engine is titan else times
        engine["even_at_fires_per_m_ticks"] = None if engine is titan else times * titan["fires"] * 1e6 / titan["ticks"]


def notes(record: Mapping[str, Any]) -> list[str]:
    """Say what the table cannot: what the yardstick is, and what Titan does not beat by how much, and why."""
    by_name = {engine["engine"]: engine for engine in record["engines"]}
    titan, own, loop, handlers = (by_name[name] for name in (REPLAY, PER_EVENT, *BARE))
    fire_us, density, even = titan["cpu_s"] / titan["fires"] * 1e6, titan["fires"] * 1e6 / titan["ticks"], loop["even_at_fires_per_m_ticks"]
    said = [
        f"{PER_EVENT}: the yardstick in plain Python, of the 200x and 300x bars. It runs the same strategy and does for every tick what a tick-driven engine "
        "has to do: take the event, keep book, last price, position and windows, compare, call the strategy on a hit. It is Titan's own code, so judge its "
        f"speed too: {own['ticks_per_s'] / 1e6:.3g}M ticks/s. The bars were set against a Python loop of 1.1M ticks/s.",
        f"{', '.join(BARE)}: no engines but a bare compare over lists made beforehand, judged by no bar. At this density of decisions skipping ahead is "
        f"{loop['titan_is_times']:,.3g} and {handlers['titan_is_times']:,.3g} times as fast{', not 200 times' if loop['titan_is_times'] < 200 else ''}: a fire "
        f"costs {fire_us:.3g} us with its order and fill, in which the bare loop reads {fire_us * loop['ticks_per_s'] / 1e6:,.0f} ticks. They are equally fast "
        f"at {even:,.0f} fires per 1M ticks, 200x apart at {even / 200:,.2g}; this slice has {density:,.3g}.",
    ]
    reason = "its book takes a print for both sides until the next quote"
    for engine in record["engines"]:
        if at_print := engine["agreement"]["fills_at_print"]:
            said.append(f"* {engine['engine']}: {at_print} of {engine['fills']} fills at the last print: {reason}")
    return said


def show(record: Mapping[str, Any], console: Console) -> None:
    """Print the table of a record and its notes."""
    part, rule = record["slice"], record["rule"]
    title = f"Level rule, {part['ticks']:,} ticks in {part['hours']} h ({part['source']}), levels at {rule['step_ticks']} ticks"
    rows = [
        (
            engine["engine"],
            f"{engine['ticks_per_s'] / 1e6:,.3g}",
            "" if engine["titan_is_times"] is None else f"{engine['titan_is_times']:,.1f}x",
            "" if engine["even_at_fires_per_m_ticks"] is None else f"{engine['even_at_fires_per_m_ticks']:,.0f}",
            f"{engine['wall_s'] * 1e3:,.4g}",
            f"{engine['fires']}, {engine['fills']}",
            engine["agrees"],
        )
        for engine in sorted(record["engines"], key=lambda engine: -float(engine["ticks_per_s"]))
    ]
    head = ("engine", ">M\nticks/s", ">Titan\nis", ">even\nat", ">wall\nms", ">fires,\nfills", "agrees")
    versions = ", ".join(f"{name} {version}" for engine in record["engines"] for name, version in engine["versions"].items())
    caption = "even at: fires per 1M ticks at which both are equally fast; agrees: decisions that are the python loop's"
    console.print(harness.table(title, head, rows, caption + (f"; {versions}" if versions else "")))
    for note in record["notes"]:
        console.print(note, markup=False)
