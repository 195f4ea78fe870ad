"""What armed conditions cost while nothing reaches them: the level rule with 1,024 far levels armed besides, against 4."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from rich.console import Console

from benchmarks import _harness as harness
from benchmarks._harness import Bar, Say, Verdict, middle
from benchmarks._titan import TitanLevel, level_tape
from benchmarks.level_rule import LevelResult, MarketSlice, TickLists, fitted_rule

FEW, MANY = 4, 1024
BARS = (Bar(f"{MANY:,} armed levels over {FEW}, time of the whole run", 1.3, "x", at_most=True),)


def far_levels(columns: MarketSlice, count: int) -> tuple[range, range]:
    """Return `count` prices that no print reaches: above twice the highest, and below half of the lowest."""
    price = columns.trades["price"]
    high, low = 2 * int(price.max()), int(price.min()) // 2
    return range(high, high + count // 2), range(low, low - count // 2, -1)


def measure(columns: MarketSlice, fires: int, repetitions: int, say: Say) -> tuple[dict[str, Any], list[Verdict]]:
    """Measure both and return the record and the verdict. The levels are armed inside the clock, once, and stay."""
    rule = fitted_rule(TickLists.of(columns), fires)
    titan = TitanLevel(level_tape(columns))

    def runner(count: int) -> Callable[[], LevelResult]:
        above, below = far_levels(columns, count)
        return lambda: titan.replay(rule, above, below)

    once = {str(count): runner(count) for count in (0, FEW, MANY)}
    for run in once.values():
        run()
    say(f"armed levels: {FEW} and {MANY:,}")
    with harness.settled():
        results, _ = harness.interleave({name: partial(harness.repeat_briefly, run) for name, run in once.items()}, max(3, repetitions), say)
    cpu = {name: middle(result.cpu_s for result in found) for name, found in results.items()}
    plain, times = results["0"][0], cpu[str(MANY)] / cpu[str(FEW)]
    record = {
        "ticks": columns.ticks,
        "fires": plain.fires,
        "step_ticks": rule.step_ticks,
        "runs": {name: len(found) for name, found in results.items()},
        "cpu_s": cpu,
        "times": times,
        "us_per_level": (cpu[str(MANY)] - cpu[str(FEW)]) / (MANY - FEW) * 1e6,
        "sound": all((result.fires, result.fills) == (plain.fires, plain.fills) for found in results.values() for result in found),
    }
    return record, [Verdict(BARS[0], times)]


def show(record: Mapping[str, Any], console: Console) -> None:
    """Print the table of a record."""
    rows = [(f"{int(count):,}", f"{cpu * 1e3:.2f}", str(record["runs"][count])) for count, cpu in record["cpu_s"].items()]
    title = f"Armed levels: level rule, {record['ticks']:,} ticks, {record['fires']:,} fires"
    same = "same decisions" if record["sound"] else "DECISIONS DIFFER"
    caption = f"{record['times']:.3f}x; {record['us_per_level']:.2f} us per level, which is what arming it once costs; {same}"
    console.print(harness.table(title, (">far levels", ">CPU ms", ">runs"), rows, caption))
