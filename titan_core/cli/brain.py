"""`titan brain`: the Brain's statechart, drawn and checked."""

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from titan_core.brain.diagram import DiagramFormat
from titan_core.cli.brain_why import why
from titan_core.cli.options import JsonOption, discover_plugins
from titan_core.cli.output import console, print_json, print_note, progress, table
from titan_core.errors import UsageError

if TYPE_CHECKING:
    from titan_core.brain.chart import Chart, Configuration
    from titan_core.brain.verify import CheckReport

app = typer.Typer(help="Draw, check and explain the Brain's statechart.", no_args_is_help=True)
app.command("why")(why)

PhasesOption = Annotated[
    str | None,
    typer.Option(
        "--phases", metavar="NAMES|N", help="Installed phases, separated by commas, or a number of nameless ones. [all installed]", show_default=False
    ),
]
MAX_ALIKE = 16
_SUFFIXES = {".mmd": "mermaid", ".dot": "dot", ".gv": "dot", ".svg": "svg", ".scxml": "scxml", ".html": "html", ".htm": "html", ".md": "markdown"}


@app.command()
def diagram(
    form: Annotated[DiagramFormat | None, typer.Option("--format", help="What to write. [by the name of --out, else mermaid]", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where to write. [stdout]", show_default=False)] = None,
    phases: PhasesOption = None,
    live: Annotated[
        str | None,
        typer.Option(
            "--live", metavar="STATES", help="States to mark as live, such as risk.warning,link.up,hunter.active or emergency.locked.", show_default=False
        ),
    ] = None,
) -> None:
    """Draw the chart; svg and html need no other program, and html works offline."""
    from titan_core.brain.diagram import render

    chart = _chart(phases)
    chosen = form or DiagramFormat(_SUFFIXES.get(out.suffix.lower() if out is not None else "", "mermaid"))
    text = render(chart, chosen, None if live is None else _configuration(chart, live))
    if out is None:
        typer.echo(text, nl=False)
    else:
        _write(out, text)
        print_note(f"wrote {out} ({chosen}, {len(chart.states)} states, {len(chart.transitions)} transitions)")


@app.command()
def check(phases: PhasesOption = None, json: JsonOption = False) -> None:
    """Prove the chart's properties over every configuration it can reach; ends with exit code 1 where one does not hold."""
    from titan_core.brain.verify import check as check_chart

    chart = _chart(phases)
    started = time.perf_counter()
    with progress("exploring the chart", 1.0, quiet=json) as moved:
        report = check_chart(chart, progress=moved)
    wall_s = time.perf_counter() - started
    if json:
        print_json(report.as_json() | {"wall_s": round(wall_s, 6)})
    else:
        _print_report(report, wall_s)
    if not report.ok:
        raise typer.Exit(1)


def _print_report(report: "CheckReport", wall_s: float) -> None:
    from titan_core.brain.verify import PROPERTY_TEXT

    screen = console()
    count = f"{len(report.phases)} phase{'' if len(report.phases) == 1 else 's'}"
    names = f" ({', '.join(report.phases)})" if report.phases else ""
    screen.print(f"The Brain's chart with {count}{names}: {report.states} states, {report.rows} transitions", markup=False)
    drawn = table("#", "result", "property", right=["#"])
    for which, text in PROPERTY_TEXT.items():
        holds = report.holds(which)
        drawn.add_row(str(which.value), "[green]holds[/]" if holds else "[bold red]broken[/]", text)
    screen.print(drawn)
    alike = f" ({report.explored:,} up to a renaming of alike phases)" if report.explored < report.configurations else ""
    screen.print(f"{report.configurations:,} configurations explored{alike}, {report.fired:,} transitions fired, {wall_s:.2f} s", markup=False)
    for example in report.counter_examples:
        screen.print(f"\n{example}", markup=False, soft_wrap=True)


def _chart(phases: str | None) -> "Chart":
    """Build the chart for the installed phases, for some of them, or for a number of nameless ones."""
    from titan_core.brain.chart import alike_phases, build_chart, chart_of

    if phases is not None and phases.strip().isdecimal():
        count = int(phases)
        if count > MAX_ALIKE:
            raise UsageError(f"--phases {count} is too many; at most {MAX_ALIKE} nameless phases can be drawn or checked")
        return chart_of(alike_phases(count))
    declarations = {str(phase.id): phase.declaration for phase in discover_plugins().phases if phase.declaration.band is not None}
    if phases is None:
        return build_chart(declarations.values())
    names = [name.strip() for name in phases.split(",") if name.strip()]
    unknown = [name for name in names if name not in declarations]
    if unknown:
        raise UsageError(
            f"no installed phase trades under the name {', '.join(unknown)}; installed: {', '.join(declarations) or 'none'}; a number draws nameless ones"
        )
    return build_chart(declarations[name] for name in names)


def _configuration(chart: "Chart", live: str) -> "Configuration":
    """Read `--live`: leaves by the end of their path; regions that are not mentioned are where they start."""
    from titan_core.brain.chart import Configuration

    chosen = []
    for name in (part.strip() for part in live.split(",") if part.strip()):
        matches = [state.path for state in chart.atomic if state.path == name or state.path.endswith("." + name)]
        if len(matches) != 1:
            found = f"fits {', '.join(matches)}" if matches else "fits none"
            raise UsageError(f"--live {name}: {found} of the chart's states; give one as region.state, such as risk.warning or emergency.locked")
        chosen.append(matches[0])
    modes = {path.partition(".")[0] for path in chosen}
    regions = {path.rpartition(".")[0] for path in chosen}
    if len(modes) != 1 or len(regions) != len(chosen):
        raise UsageError(f"--live {live}: these states cannot be active together; give at most one per region of one mode")
    entered = chart.entered(modes.pop())
    return Configuration(tuple(next((path for path in chosen if path.rpartition(".")[0] == leaf.rpartition(".")[0]), leaf) for leaf in entered))


def _write(path: Path, text: str) -> None:
    """Write a file in one step, so that a reader or a full disk never leaves half of it."""
    if not path.parent.is_dir():
        raise UsageError(f"--out {path}: the directory {path.parent} does not exist")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
