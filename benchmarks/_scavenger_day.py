"""A whole strategy over a whole day: the Scavenger through Brain, ledger and run folder, against the per-event form on the day's first ticks."""

import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from attrs import Factory, frozen
from rich.console import Console

from benchmarks import _harness as harness
from benchmarks._harness import Bar, Say, Verdict, middle
from benchmarks._slice import first_ticks, generated_market, unique_times
from benchmarks._titan import EQUITY, PER_EVENT, Event, feed, per_event_engine, scavenger, tape_events
from benchmarks.level_rule import MarketSlice, python_loop_rate
from titan_core.app.compose import compose_replay
from titan_core.app.replay_run import save_run
from titan_core.app.results import book, collect, summary
from titan_core.config.load import Config
from titan_core.engine.warmup import warmup
from titan_core.plugin_host import LoadedPhase
from titan_core.tape.tape import Tape, build_tape

DAY_TICKS = 7_000_000
BARS = (
    Bar(f"Scavenger's day over {PER_EVENT} on its first ticks", 300),
    Bar("Scavenger's day: fires", 500, "fires"),
    Bar("Scavenger's day: fills", 20, "fills"),
    Bar("Scavenger's day: wall time of run and ledger per fire", 15, "us", at_most=True),
)


@frozen
class Run:
    """What one run did and cost. `wall_s` is the engine's run and the ledger; the figures (`collect_s`) and the run folder (`write_s`) come after."""

    ticks: int
    digest: str
    events: int
    fires: int
    fills: int
    wall_s: float
    cpu_s: float
    collect_s: float = 0.0
    write_s: float = 0.0
    figures: Mapping[str, Any] = Factory(dict)

    @property
    def ticks_per_s(self) -> float:
        """Ticks per second of process CPU time."""
        return self.ticks / self.cpu_s


def replay(tape: Tape, phase: LoadedPhase, config: Config, folder: Path) -> Run:
    """Compose, run, collect and write a run folder, as `titan replay` does; the clocks start when everything is composed."""
    composition = compose_replay(tape, [phase], config, equity=EQUITY)
    engine = composition.engine
    wall, cpu = perf_counter(), process_time()
    engine.run()
    booked = book(composition, EQUITY)
    wall, cpu = perf_counter() - wall, process_time() - cpu
    begun = perf_counter()
    results = collect(composition, booked, EQUITY, tape.first_ns, tape.last_ns, wall)
    collected = perf_counter()
    with tempfile.TemporaryDirectory(dir=folder) as place:
        save_run(Path(place) / "run", results, config, source={}, packages=["titan_core", "titan_scavenger"], arguments={})
        written = perf_counter()
    record = engine.record
    done = (tape.ticks, record.digest, engine.events, engine.fires, len(record.fills), wall, cpu)
    return Run(*done, collected - begun, written - collected, summary(results))


def per_event(tape: Tape, events: list[Event], phase: LoadedPhase, config: Config) -> Run:
    """Run the same phase through the same Brain, fed with one event after the other."""
    engine = per_event_engine(tape, phase, config)
    wall, cpu = perf_counter(), process_time()
    feed(engine, events)
    wall, cpu = perf_counter() - wall, process_time() - cpu
    return Run(len(events), engine.record.digest, engine.events, engine.fires, len(engine.record.fills), wall, cpu)


def measure(ticks_per_day: int, head_ticks: int, seed: int, repetitions: int, folder: Path, say: Say) -> tuple[dict[str, Any], list[Verdict]]:
    """Measure the day; return the record and the verdicts. A day of fewer than `DAY_TICKS` is shown but not judged."""
    phase, config = scavenger()
    instruments, raw = generated_market(1, seed, ticks_per_day)
    unique = unique_times(raw)
    tape, head = build_tape(instruments, unique), build_tape(instruments, first_ticks(unique, head_ticks))
    events = tape_events(head)
    folder.mkdir(parents=True, exist_ok=True)
    say(f"Scavenger: the bare loop over {tape.ticks:,} ticks")
    bare = python_loop_rate(MarketSlice.of_tape(tape, next(instrument.id for instrument in instruments if instrument.is_perp)))
    say("Scavenger: warming up")
    warmup()
    whole: Callable[[], Run] = partial(replay, tape, phase, config, folder)
    runs = {"day": lambda: harness.repeat_briefly(whole), "head": lambda: [per_event(head, events, phase, config)]}
    whole()
    with harness.settled():
        results, _ = harness.interleave(runs, max(5, repetitions), say)
    days, heads = results["day"], results["head"]
    beginning = compose_replay(head, [phase], config, equity=EQUITY).engine.run().record.digest
    sound = len({run.digest for run in days}) == 1 and {run.digest for run in heads} == {beginning}
    record = day_record(tape, days, heads, bare) | {"seed": seed, "hours": (tape.last_ns - tape.first_ns) / 3.6e12, "sound": sound}
    measured = (record["over_per_event"], record["fires"], record["fills"], record["run_us_per_fire"])
    full = tape.ticks >= DAY_TICKS * 0.999  # the generator keeps the number asked for to within a few rows
    return record, [Verdict(bar, float(value) if full else None) for bar, value in zip(BARS, measured, strict=True)]


def day_record(tape: Tape, days: list[Run], heads: list[Run], bare_rate: float) -> dict[str, Any]:
    """Sum up all runs by their medians."""
    fires = days[0].fires
    run_s, collect_s, write_s = (middle(getattr(run, name) for run in days) for name in ("wall_s", "collect_s", "write_s"))
    rate, head_rate = middle(run.ticks_per_s for run in days), middle(run.ticks_per_s for run in heads)
    return {
        "ticks": tape.ticks,
        "digest": days[0].digest,
        "events": days[0].events,
        "fires": fires,
        "fills": days[0].fills,
        "trades": days[0].figures["trades"],
        "equity_end": days[0].figures["equity_end"],
        "brain": days[0].figures["brain"],
        "runs": len(days),
        "run_s": run_s,
        "run_s_least": min(run.wall_s for run in days),
        "run_s_most": max(run.wall_s for run in days),
        "collect_s": collect_s,
        "write_s": write_s,
        "ticks_per_s": rate,
        "run_us_per_fire": run_s / fires * 1e6,
        "cpu_us_per_fire": middle(run.cpu_s for run in days) / fires * 1e6,
        "all_us_per_fire": (run_s + collect_s + write_s) / fires * 1e6,
        "per_event": {"ticks": heads[0].ticks, "fires": heads[0].fires, "fills": heads[0].fills, "runs": len(heads), "ticks_per_s": head_rate},
        "over_per_event": rate / head_rate,
        "python_loop_ticks_per_s": bare_rate,
        "over_python_loop": rate / bare_rate,
    }


def show(record: Mapping[str, Any], console: Console) -> None:
    """Print the table of a record."""
    head, ms = record["per_event"], 1e3
    rows = [
        ("fires", f"{record['fires']:,}"),
        ("fills (trades)", f"{record['fills']:,} ({record['trades']})"),
        (
            f"run and ledger, ms (median of {record['runs']})",
            f"{record['run_s'] * ms:.2f} ({record['run_s_least'] * ms:.2f} to {record['run_s_most'] * ms:.2f})",
        ),
        ("figures, writing the run folder, ms", f"{record['collect_s'] * ms:.2f}, {record['write_s'] * ms:.2f}"),
        ("M ticks/s of CPU time", f"{record['ticks_per_s'] / 1e6:,.1f}"),
        (f"{PER_EVENT}, M ticks/s (first {head['ticks']:,} ticks, {head['fires']} fires)", f"{head['ticks_per_s'] / 1e6:.3f}"),
        (f"ratio to {PER_EVENT}", f"{record['over_per_event']:,.1f}x"),
        ("python loop, level rule over this tape, M ticks/s (judged by no bar)", f"{record['python_loop_ticks_per_s'] / 1e6:.1f}"),
        ("ratio to that bare compare", f"{record['over_python_loop']:,.1f}x"),
        ("us per fire: run and ledger, wall", f"{record['run_us_per_fire']:.2f}"),
        ("us per fire: run and ledger, CPU time", f"{record['cpu_us_per_fire']:.2f}"),
        ("us per fire: with figures and run folder, wall", f"{record['all_us_per_fire']:.2f}"),
        ("same decisions in every run and in both forms", "yes" if record["sound"] else "NO"),
    ]
    title = f"Scavenger through Brain, ledger and run folder: {record['ticks']:,} ticks in {record['hours']:.1f} h (generated, seed {record['seed']})"
    console.print(harness.table(title, ("figure", ">measured"), rows))
