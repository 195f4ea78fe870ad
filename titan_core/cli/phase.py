"""`titan phase`: the trading phases and what each may do."""

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from titan_core.cli.options import ConfigOption, JsonOption, SetOption, discover_plugins, load_configuration, unserved_bands
from titan_core.cli.output import console, emit, percent, print_json, table
from titan_core.errors import UsageError
from titan_core.model.units import to_usdt

if TYPE_CHECKING:
    from titan_core.config.load import Config
    from titan_core.model.phase import CapitalBand, PhaseDeclaration
    from titan_core.plugin_host import LoadedPhase

app = typer.Typer(help="Show the trading phases and what each may do.", no_args_is_help=True)


@app.command("list")
def list_phases(json: JsonOption = False, config: ConfigOption = None, overrides: SetOption = None) -> None:
    """List the phases by rising capital band, with the limits in force."""
    report = discover_plugins()
    settings = load_configuration(config, overrides, report)
    if json:
        print_json([_as_data(phase, settings) for phase in report.phases])
        return
    declarations = [settings.declaration(phase.id) for phase in report.phases]
    emit([_as_row(declaration) for declaration in declarations], False, empty="no phase is installed; see `titan plugin doctor`")
    for declaration in declarations:
        console().print(f"{declaration.id}: {declaration.summary}", markup=False)
    for text in unserved_bands(declarations):
        console().print(text, style="yellow", markup=False)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A phase, as `titan phase list` names it.", show_default=False)],
    json: JsonOption = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
) -> None:
    """Show one phase: band, limits in force, configuration keys."""
    report = discover_plugins()
    found = {str(phase.id): phase for phase in report.phases}
    if name not in found:
        near = get_close_matches(name, found, 1)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        raise UsageError(f'there is no phase "{name}"{hint} (installed: {", ".join(found) or "none"})')
    settings = load_configuration(config, overrides, report)
    if json:
        print_json(_as_data(found[name], settings))
        return
    _print_phase(found[name], settings)


@app.command()
def swap(
    old: Annotated[str, typer.Argument(help="The phase that leaves.", show_default=False)],
    new: Annotated[str, typer.Argument(help="The phase that takes its place; switched off until then.", show_default=False)],
    at: Annotated[str, typer.Option(metavar="TIME", help="When, e.g. 2024-08-08T23:55 (UTC).", show_default=False)],
    tape: Annotated[Path | None, typer.Option(help="Recording to replay; without one, a seeded day is generated.", show_default=False)] = None,
    start: Annotated[str | None, typer.Option("--from", metavar="TIME", help="First moment (UTC).", show_default=False)] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Last moment (UTC).", show_default=False)] = None,
    equity: Annotated[str | None, typer.Option(metavar="USDT", help="Equity at the start. [replay.equity_usdt, 1000]", show_default=False)] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Run folder to write. [runs/TIME-DIGEST]", show_default=False)] = None,
    json: JsonOption = False,
) -> None:
    """Replay a market in which one phase is exchanged for another: it leaves, and hands over what the other adopts."""
    from titan_core.cli.replay import replay

    tapes = None if tape is None else [tape]
    replay(tape=tapes, start=start, end=end, equity=equity, config=config, settings=overrides, out=out, swaps=[f"{old}={new}@{at}"], json=json)


def _print_phase(phase: "LoadedPhase", settings: "Config") -> None:
    declaration = settings.declaration(phase.id)
    screen = console()
    screen.print(f"{declaration.title}: {declaration.summary}", markup=False)
    facts = table("limit", "in force")
    facts.show_header = False
    for name, value in {
        "plugin": f"{phase.name} ({phase.distribution} {phase.version})",
        "capital band": _band(declaration.band),
        "leverage": _leverage(declaration),
        "max position": f"{percent(declaration.max_position_bps)} of phase equity, as margin",
        "daily loss": f"{_losses(declaration)}: sizes halved / entries stopped / flattened",
        "leaves within": f"{declaration.drain_s} s, then flattened",
        "trades": "hedged pairs" if declaration.hedged else "single positions, each with a stop",
    }.items():
        facts.add_row(name, value)
    screen.print(facts)
    own = [setting for setting in settings.settings if setting.spec.path[0] == phase.id]
    rows = [{"key": ".".join(s.spec.path[1:]), "value": s.spec.show(s.value), "unit": s.spec.meaning.unit, "meaning": s.spec.meaning.help} for s in own]
    emit(rows, False, title=f"Configuration (config/{phase.id}.toml)")


def _as_row(declaration: "PhaseDeclaration") -> dict[str, Any]:
    return {
        "phase": declaration.id,
        "equity (USDT)": _band(declaration.band),
        "leverage": _leverage(declaration),
        "max position": percent(declaration.max_position_bps),
        "daily loss": _losses(declaration),
    }


def _as_data(phase: "LoadedPhase", settings: "Config") -> dict[str, Any]:
    declaration = settings.declaration(phase.id)
    band, losses = declaration.band, declaration.daily_loss
    return {
        "phase": declaration.id,
        "title": declaration.title,
        "summary": declaration.summary,
        "plugin": phase.name,
        "package": phase.distribution,
        "version": phase.version,
        "band_usdt": None if band is None else {"lower": to_usdt(band.lower), "upper": None if band.upper is None else to_usdt(band.upper)},
        "leverage": list(declaration.leverage),
        "max_position_bps": declaration.max_position_bps,
        "daily_loss_bps": [losses.reduced_bps, losses.halted_bps, losses.escalated_bps],
        "drain_s": declaration.drain_s,
        "hedged": declaration.hedged,
        "settings": [setting.as_row() for setting in settings.settings if setting.spec.path[0] == phase.id],
    }


def _band(band: "CapitalBand | None") -> str:
    return "adviser" if band is None else str(band)


def _leverage(declaration: "PhaseDeclaration") -> str:
    low, top = declaration.leverage
    return f"{low}x" if low == top else f"{low}–{top}x"


def _losses(declaration: "PhaseDeclaration") -> str:
    losses = declaration.daily_loss
    return " / ".join(f"{bps / 100:g}" for bps in (losses.reduced_bps, losses.halted_bps, losses.escalated_bps)) + " %"
