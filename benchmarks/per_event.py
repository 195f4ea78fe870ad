"""What an event costs in the per-event form, which paper and live run on.

A generated spot and perpetual market is fed event by event to an engine in which levels and one bound are armed, none of them ever due, so that what
is measured is the way from an event to "nothing to do". Look-ups are measured at the end of the market, with all of its trades kept.

python -m benchmarks per_event [--ticks N] [--levels N] [--seed S] [--out DIR] [--json]
"""

import argparse
import gc
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, perf_counter_ns
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks import _harness as harness
from benchmarks._slice import generated_market, unique_times
from titan_core.engine.conditions import BOUND, Bound, Condition
from titan_core.engine.layout import Layout
from titan_core.engine.live import PerEvent
from titan_core.engine.open_governor import OpenGovernor
from titan_core.engine.reference import stream_events
from titan_core.model.enums import StreamKind
from titan_core.model.units import MIN, MONEY_PER_USDT, D, H, S
from titan_core.ports import Strategy
from titan_core.tape.tape import build_tape

COMMAND = "python -m benchmarks per_event"
LEVELS = 8
BARS = (
    harness.Bar("A quote with 8 armed levels and one bound, nothing due: median", 2.0, "us", at_most=True),
    harness.Bar("The same quote with 1,024 armed levels, against 8", 1.3, "x", at_most=True),
    harness.Bar("Signed flow over a minute, looked up: median", 5.0, "us", at_most=True),
    harness.Bar("Highest price of a day, looked up: median", 20.0, "us", at_most=True),
)
Event = tuple[int, int, tuple[Any, ...]]


class Idle(Strategy):
    """Arms levels on both sides of the perpetual, far from its price."""

    def __init__(self, levels: int) -> None:
        self._levels = levels

    def on_start(self, market: Any) -> None:
        for i in range(self._levels // 2):
            market.arm(market.perp.above(2**29 + i), self._never)
            market.arm(market.perp.bid_below(1 + i), self._never)

    def _never(self, market: Any, hit: Any) -> None:
        raise AssertionError("a level that no price reaches has fired")


def market(ticks: int, seed: int) -> tuple[Layout, list[Event]]:
    """Generate a day and make its times unique, as a receiving process does. Basis events are left out: they are not fed."""
    instruments, raw = generated_market(1, seed, ticks)
    tape = build_tape(instruments, unique_times(raw))
    layout = Layout.of(tape)
    fed = [kind is not StreamKind.BASIS for _, kind in layout.keys]
    return layout, [(ts, rank, values) for ts, rank, _, values in stream_events(tape, layout) if fed[rank]]


def engine_over(layout: Layout, levels: int, start_ns: int) -> PerEvent:
    """Start an engine with `levels` armed levels and one bound over the perpetual."""
    engine = PerEvent(layout, OpenGovernor([Idle(levels)]), cash=10**6 * MONEY_PER_USDT, slots=1)
    engine.start(start_ns)
    perp = next(k for k, instrument in enumerate(layout.instruments) if instrument.is_perp)
    bound = Bound("equity", {perp: 1_000}, 10**15, low=0, bps=9_999)
    engine.arm_bound(bound, Condition(BOUND, -1, 0, False, 0), lambda hit: None)
    return engine


def per_kind(layout: Layout, events: Sequence[Event], levels: int) -> dict[str, list[int]]:
    """Return the time in ns that each event took, by instrument kind and stream; reading the clock included."""
    on_event = engine_over(layout, levels, events[0][0] - 1).on_event
    spent: list[list[int]] = [[] for _ in layout.keys]
    for ts, rank, values in events:
        begun = perf_counter_ns()
        on_event(ts, rank, values)
        spent[rank].append(perf_counter_ns() - begun)
    kinds = {instrument.id: str(instrument.kind) for instrument in layout.instruments}
    named: dict[str, list[int]] = defaultdict(list)
    for (instrument, kind), times in zip(layout.keys, spent, strict=True):
        named[f"{kinds[instrument]} {kind}"] += times
    return {name: times for name, times in named.items() if times}


def throughput(layout: Layout, events: Sequence[Event], levels: int) -> tuple[float, PerEvent]:
    """Feed everything without looking at the clock; return events per second, and the engine."""
    engine = engine_over(layout, levels, events[0][0] - 1)
    on_event, begun = engine.on_event, perf_counter()
    for ts, rank, values in events:
        on_event(ts, rank, values)
    return len(events) / (perf_counter() - begun), engine


def look_ups(engine: PerEvent) -> dict[str, float]:
    """Return the median time in us of look-ups as of the end of the market."""
    k = next(k for k, instrument in enumerate(engine.layout.instruments) if instrument.is_perp)
    midnight = engine.now // D * D
    last = engine.latest(engine.layout.require(k, StreamKind.TRADE), "price") or 0
    asked: dict[str, Callable[[], Any]] = {
        "cvd of a minute": lambda: engine.cvd(k, MIN),
        "vwap of an hour": lambda: engine.vwap(k, H),
        "range high since midnight": lambda: engine.range_high(k, midnight),
        "footprint of an hour, 20 ticks": lambda: engine.footprint(k, engine.now - H, last - 10, last + 10),
        "bollinger of 20 five-minute bars": lambda: engine.bars(k, 5 * MIN).bollinger(20, 2.0),
        "atr of 14 minute bars": lambda: engine.bars(k, MIN).atr(14),
    }
    out = {}
    for name, look in asked.items():
        look()
        times = []
        for _ in range(300):
            begun = perf_counter_ns()
            look()
            times.append(perf_counter_ns() - begun)
        out[name] = harness.middle(times) / 1e3
    return out


def measure(ticks: int, levels: int, seed: int, say: harness.Say) -> dict[str, Any]:
    """Measure everything and return the record."""
    say(f"generating {ticks:,} ticks")
    layout, events = market(ticks, seed)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        say("timing each event")
        kinds = per_kind(layout, events, levels)
        crowd = per_kind(layout, events[: len(events) // 4], 1_024)
        few = per_kind(layout, events[: len(events) // 4], LEVELS)
        say("feeding at full speed")
        rate, engine = throughput(layout, events, levels)
    finally:
        gc.enable()
        gc.unfreeze()
    asked = look_ups(engine)
    quote = float(np.median(kinds["perp quote"])) / 1e3
    ratio = float(np.median(crowd["perp quote"]) / np.median(few["perp quote"]))
    measured = (quote, ratio, asked["cvd of a minute"], asked["range high since midnight"])
    verdicts = [harness.Verdict(bar, value) for bar, value in zip(BARS, measured, strict=True)]
    rows = [(name, len(times), *(float(x) / 1e3 for x in np.percentile(times, (50, 99, 99.9)))) for name, times in sorted(kinds.items())]
    return {
        "machine": harness.machine(),
        "events": len(events),
        "levels": levels,
        "seed": seed,
        "hours": (events[-1][0] - events[0][0]) / (3600 * S),
        "events_per_s": rate,
        "by_kind": [dict(zip(("kind", "events", "p50_us", "p99_us", "p999_us"), row, strict=True)) for row in rows],
        "look_ups_us": asked,
        "bars": [verdict.record() for verdict in verdicts],
        "ok": all(verdict.met for verdict in verdicts),
    }


def show(record: dict[str, Any], console: Console) -> None:
    """Print the tables."""
    title = f"Per event: {record['events']:,} events of {record['hours']:.1f} h, {record['levels']} levels and one bound armed, nothing due"
    rows = [(row["kind"], f"{row['events']:,}", *(f"{row[name]:.2f}" for name in ("p50_us", "p99_us", "p999_us"))) for row in record["by_kind"]]
    caption = f"{record['events_per_s'] / 1e3:,.0f}k events/s without a clock in the loop; {harness.machine_line(record['machine'])}"
    console.print(harness.table(title, ("event", ">count", ">p50 us", ">p99 us", ">p99.9 us"), rows, caption))
    console.print(harness.table("Look-ups", ("look-up", ">p50 us"), [(name, f"{us:.2f}") for name, us in record["look_ups_us"].items()]))
    console.print(harness.verdict_table(map(harness.verdict_of, record["bars"])))


def main(argv: Sequence[str]) -> int:
    """Measure, print, write `per_event.json`. Returns 1 where a bar was missed."""
    parse = argparse.ArgumentParser(prog=COMMAND, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--ticks", type=int, default=400_000, help="ticks of the generated day (default 400000)")
    parse.add_argument("--levels", type=int, default=LEVELS, help=f"armed levels (default {LEVELS})")
    parse.add_argument("--seed", type=int, default=1, help="seed of the generated market (default 1)")
    parse.add_argument("--out", type=Path, default=harness.OUT, help="folder for the results (default benchmarks/out)")
    parse.add_argument("--json", action="store_true", help="print the record instead of the tables")
    given = parse.parse_args(argv)
    return harness.carry_out("per_event", given, lambda say: measure(given.ticks, given.levels, given.seed, say), show)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
