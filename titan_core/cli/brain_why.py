"""`titan brain why`: what the Brain's chart did up to a moment of a run, with the guard values behind it."""

from typing import Annotated

import typer

from titan_core.cli.options import JsonOption
from titan_core.cli.output import console, print_json, table


def why(
    run: Annotated[str, typer.Option(metavar="RUN", help="Run folder of a replay, or a session of `titan run` by name or folder.")] = "paper",
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Moment, e.g. 2024-01-01T19:16:06 (UTC) or ns since 1970; the last one by default.", show_default=False)
    ] = None,
    transitions: Annotated[int, typer.Option(min=1, help="How many transitions to show, newest first.")] = 3,
    json: JsonOption = False,
) -> None:
    """Explain a past moment of a run: where the chart stood, what took it there, and what was decided around it."""
    from attrs import asdict

    from titan_core.app.why import explain
    from titan_core.cli.compare import session_folder
    from titan_core.cli.moments import parse_moment

    told = explain(session_folder(run), None if at is None else parse_moment(at, "--at"), transitions=transitions)
    if json:
        print_json(asdict(told))
        return
    from rich.text import Text

    from titan_core.model.calendar import utc

    screen = console()
    screen.print(Text.assemble(("at ", "dim"), (utc(told.at_ns), "bold"), "  ", told.configuration))
    for reason in told.last:
        screen.print()
        line = (("by ", "dim"), (reason.trigger, "bold"), f"  {reason.source} → {reason.destination}")
        screen.print(Text.assemble((utc(reason.ts_ns), "cyan"), "  ", *line))
        if reason.summary:
            screen.print(Text(f"  {reason.summary}", style="dim"))
        amounts = [f"{name.removesuffix('2')} {value / 2e8:,.2f} USDT" for name, value in reason.amounts.items()]
        screen.print(Text("  " + ", ".join(amounts)))
        if reason.guards:
            drawn = table("guard", "value", "meaning")
            for name, value, meaning in reason.guards:
                drawn.add_row(name, Text("yes" if value else "no", style="green" if value else "yellow"), meaning)
            screen.print(drawn)
    _decisions(screen, told.decisions)


def _decisions(screen: object, decisions: tuple[dict[str, object], ...]) -> None:
    from rich.console import Console
    from rich.text import Text

    from titan_core.model.calendar import utc

    assert isinstance(screen, Console)
    screen.print()
    if not decisions:
        screen.print(Text("nothing was decided within a minute of it", style="dim"))
        return
    drawn = table("within a minute", "what", "details")
    for row in decisions[:40]:
        details = ", ".join(f"{name} {value}" for name, value in row.items() if name not in ("kind", "ts_ns") and value not in (None, ""))
        drawn.add_row(utc(int(str(row["ts_ns"]))), str(row["kind"]), details)
    screen.print(drawn)
    if len(decisions) > 40:
        screen.print(Text(f"and {len(decisions) - 40} more in decisions.jsonl", style="dim"))
