"""`python -m tests.mutants [--jobs N] [--only TEXT]` plants the mutants and says which are killed. Exit code 1 where one survives."""

import argparse
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.mutants.catalog import MUTANTS
from tests.mutants.runner import Outcome, check_unmutated, judge_all


def main(argv: Sequence[str]) -> int:
    """Run and print a table."""
    parse = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parse.add_argument("--jobs", type=int, default=2, help="how many at a time (default 2)")
    parse.add_argument("--only", default="", metavar="TEXT", help="only mutants whose name contains TEXT")
    given = parse.parse_args(argv)
    chosen = [mutant for mutant in MUTANTS if given.only in mutant.name]
    if not chosen:
        print(f"no mutant's name contains {given.only!r}", file=sys.stderr)
        return 2
    notes, started = Console(stderr=True, highlight=False), time.perf_counter()
    notes.print("the cases without a mutant", style="dim")
    if output := check_unmutated({mutant.file for mutant in chosen}, given.jobs):
        notes.print(output, markup=False)
        notes.print("the cases fail without any mutant: mend that first", style="bold")
        return 1

    def told(outcome: Outcome) -> None:
        notes.print(
            f"{'killed  ' if outcome.ok else 'SURVIVED'} {outcome.seconds:5.1f} s  {outcome.mutant.name}", style="dim" if outcome.ok else "bold", markup=False
        )

    outcomes = judge_all(chosen, given.jobs, told)
    show(outcomes)
    bad = [outcome for outcome in outcomes if not outcome.ok]
    print(f"{len(outcomes) - len(bad)} of {len(outcomes)} mutants killed in {time.perf_counter() - started:.0f} s")
    for outcome in bad:
        print(f"{'broken' if outcome.broken else 'survived'}: {outcome.mutant.name} ({outcome.mutant.file}) {outcome.broken}")
    return 1 if bad else 0


def show(outcomes: Sequence[Outcome]) -> None:
    """Print the table."""
    table = Table(title="Mutants", title_justify="left")
    for name, justify in (("mutant", "left"), ("file", "left"), ("killed by", "left"), ("s", "right")):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for outcome in outcomes:
        said = outcome.killed_by if outcome.ok else f"[bold]{outcome.broken or 'SURVIVED'}[/bold]"
        table.add_row(outcome.mutant.name, outcome.mutant.file, said.replace("[replay", "\\[replay"), f"{outcome.seconds:.1f}")
    Console(highlight=False).print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
