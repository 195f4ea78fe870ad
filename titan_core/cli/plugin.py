"""`titan plugin`: which phase plugins are installed, and whether they can be used."""

from typing import Any

import typer

from titan_core.cli.options import JsonOption
from titan_core.cli.output import console, emit, print_json

app = typer.Typer(help="List the installed phase plugins and examine them.", no_args_is_help=True)


@app.command("list")
def list_plugins(json: JsonOption = False) -> None:
    """List the installed phase plugins. A broken one is listed with its reason and breaks nothing else."""
    from titan_core.plugin_host import discover

    report = discover()
    rows: list[dict[str, Any]] = [
        {"plugin": each.name, "package": each.distribution, "version": each.version, "status": "ok", "phase": each.id, "reason": ""} for each in report.phases
    ]
    rows += [
        {"plugin": each.name, "package": each.distribution, "version": each.version, "status": "broken", "phase": None, "reason": each.reason}
        for each in report.broken
    ]
    columns = ["plugin", "package", "version", "status", "phase"]
    emit(rows, json, columns=columns, empty="no phase plugin is installed; `pip install --no-deps -r packages.txt` brings Titan's own")
    for broken in () if json else report.broken:
        console().print(f"{broken.name} is broken: {broken.reason}", markup=False)


@app.command()
def doctor(json: JsonOption = False) -> None:
    """Import every plugin, examine its hooks and declaration, ask for its health. Exits with 1 where one fails."""
    from titan_core.plugin_host import discover

    report = discover()
    rows: list[dict[str, Any]] = []
    for phase in report.phases:
        health = phase.health()
        rows.append({"plugin": phase.name, "status": "ok" if health.ok else "fail", "detail": health.reason or "healthy", "traceback": ""})
    rows += [{"plugin": each.name, "status": "broken", "detail": each.reason, "traceback": each.traceback} for each in report.broken]
    if json:
        print_json(rows)
    else:
        emit(rows, False, columns=["plugin", "status", "detail"], empty="no phase plugin is installed")
        for row in rows:
            if row["traceback"]:
                typer.echo(f"\n{row['plugin']}:\n{row['traceback']}", nl=False)
    if any(row["status"] != "ok" for row in rows):
        raise typer.Exit(1)
