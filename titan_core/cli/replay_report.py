"""The summary of a replay as a trader reads it: the account first, then its phases, its last trades, and what was refused."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from titan_core.app.results import Results
from titan_core.cli.options import unserved_bands
from titan_core.cli.output import console, table
from titan_core.ledger.trades import RoundTrip
from titan_core.model.calendar import utc
from titan_core.model.instrument import Instrument

BLOCKS = "▁▂▃▄▅▆▇█"
LAST_TRADES = 6
WIDE = 105
"""Columns from which on everything is shown; narrower terminals get the essential columns, never cut ones."""


def print_report(results: Results, figures: Mapping[str, Any], folder: Path, source: Mapping[str, Any]) -> None:
    """Print the summary of a run."""
    screen = console()
    wide = screen.width >= WIDE
    screen.print(_headline(results, source))
    screen.print(Panel(Group(_account(figures, wide), Text(), _curve(results, screen)), title="account", title_align="left", border_style="dim"))
    screen.print(_phases(figures, wide))
    if results.ledger.trips:
        screen.print(_trades(results, wide))
    for line in _remarks(results, figures, source):
        screen.print(line)
    screen.print(Text.assemble(("run folder ", "dim"), (str(folder), "bold"), ("   digest ", "dim"), figures["digest"][:16]), soft_wrap=True)
    why = f"titan brain why --run {folder} --at TIME"
    screen.print(Text.assemble(("why a phase did what it did: ", "dim"), why), soft_wrap=True)


def _headline(results: Results, source: Mapping[str, Any]) -> Text:
    tape = results.composition.tape
    what = f"generated market, seed {source['seed']}" if "seed" in source else str(source.get("path", "tape"))
    names = ", ".join(f"{i.symbol} {i.venue}" for i in tape.instruments)
    rate = results.ticks / max(results.wall_s, 1e-9) / 1e6
    speed = f"{results.ticks:,} ticks in {results.wall_s:.3f} s ({rate:,.1f} million ticks/s, {results.composition.engine.form})"
    span = f"{utc(int(results.curve.ts_ns[0]))} to {utc(int(results.curve.ts_ns[-1]))}"
    return Text.assemble(("Titan replay", "bold"), f"  {what}: {names}\n", (f"{span}\n{speed}", "dim"))


def _account(figures: Mapping[str, Any], wide: bool) -> RenderableType:
    gain = figures["equity_end"] - figures["equity_start"]
    factor = "–" if figures["profit_factor"] is None else f"{figures['profit_factor']:.2f}"
    cells = [
        _pair("equity", f"{figures['equity_start']:,.2f} → {figures['equity_end']:,.2f} USDT"),
        _pair("result", f"{gain:+,.2f} ({_percent(figures['total_return'], signed=True)})", "green" if gain > 0 else "red" if gain < 0 else ""),
        _pair("max drawdown", _percent(figures["max_drawdown"])),
        _pair("trades", f"{figures['trades']}"),
        _pair("fees", f"{figures['fees']:,.2f} USDT"),
        _pair("funding", f"{figures['funding']:+,.2f} USDT"),
        _pair("win rate", _percent(figures["win_rate"])),
        _pair("profit factor", factor),
    ]
    grid = Table.grid(padding=(0, 3), expand=False)
    across = 4 if wide else 2
    for _ in range(across):
        grid.add_column(justify="left", no_wrap=True)
    for start in range(0, len(cells), across):
        grid.add_row(*cells[start : start + across])
    return grid


def _pair(name: str, value: str, style: str = "") -> Text:
    return Text.assemble((f"{name} ", "dim"), (value, style or "bold"))


def _curve(results: Results, screen: Console) -> Text:
    """Draw equity over time in one line of blocks, scaled from its lowest to its highest value."""
    values = results.curve.equity.tolist()
    width = max(10, min(len(values), screen.width - 36))
    points = [values[min(len(values) - 1, i * len(values) // width)] for i in range(width - 1)] + [values[-1]]
    low, high = min(values), max(values)
    if low == high:
        return Text("equity did not move", style="dim")
    bars = "".join(BLOCKS[(value - low) * (len(BLOCKS) - 1) // (high - low)] for value in points)
    return Text.assemble((f"low {low / 1e8:,.2f} ", "dim"), (bars, "cyan"), (f" high {high / 1e8:,.2f}", "dim"))


def _phases(figures: Mapping[str, Any], wide: bool) -> RenderableType:
    if not figures["by_phase"]:
        return Text("no phase plugin is installed or chosen: nothing could trade", style="yellow")
    columns = ["phase", "state", "equity", "trades", "win rate", "profit factor", "net"]
    if wide:
        columns += ["fees", "funding", "per day"]
    drawn = table(*columns, right=columns[2:])
    for name, row in figures["by_phase"].items():
        factor = "–" if row["profit_factor"] is None else f"{row['profit_factor']:.2f}"
        state = Text(row["state"] if not row["quarantined"] else "quarantined", style="" if row["state"] == "active" else "yellow")
        cells = [
            name,
            state,
            f"{row['equity']:,.2f}",
            str(row["trades"]),
            _percent(row["win_rate"]),
            factor,
            f"{row['net']:+,.2f}",
        ]
        if wide:
            cells += [f"{row['trade_fees']:,.2f}", f"{row['trade_funding']:+,.2f}", f"{row['trades_per_day'] or 0:.1f}"]
        drawn.add_row(*cells)
    return drawn


def _trades(results: Results, wide: bool) -> RenderableType:
    known = {i.id: i for i in results.composition.tape.instruments}
    trips: Sequence[RoundTrip] = results.ledger.trips[-LAST_TRADES:]
    columns = ["closed", "side", "quantity", "entry", "exit", "net USDT"]
    drawn = table(*columns, *(("phase", "why") if wide else ()), right=columns[2:])
    for trip in trips:
        instrument: Instrument = known[trip.instrument]
        tick = float(instrument.tick_size)
        digits = max(0, -int(instrument.tick_size.normalize().as_tuple().exponent))
        net = trip.net / 1e8
        prices = (f"{trip.average_entry * tick:,.{digits}f}", f"{trip.average_exit * tick:,.{digits}f}")
        result = Text(f"{net:+,.2f}", style="green" if net > 0 else "red")
        side, quantity = "long" if trip.max_lots > 0 else "short", str(instrument.quantity(abs(trip.max_lots)))
        drawn.add_row(utc(trip.exit_ns)[5:19], side, quantity, *prices, result, *((trip.phase, trip.tag) if wide else ()))
    drawn.title = f"last {len(trips)} of {len(results.ledger.trips)} trades"
    return drawn


def _remarks(results: Results, figures: Mapping[str, Any], source: Mapping[str, Any]) -> list[Text]:
    lines = [Text.assemble(("Brain ", "dim"), figures["brain"])]
    declarations = [book.binding.declaration for book in results.composition.governor.books]
    lines += [Text(text, style="yellow") for text in unserved_bands(declarations, results.statistics.equity_start)]
    if figures["refused"]:
        refused = ", ".join(f"{code} {count}" for code, count in sorted(figures["refused"].items(), key=lambda item: -item[1]))
        lines.append(Text.assemble(("refused by the Brain ", "dim"), refused))
    if figures["positions"]:
        lines.append(Text.assemble(("still open ", "dim"), ", ".join(f"{name} {lots} lots" for name, lots in figures["positions"].items())))
    if figures["liquidations"]:
        lines.append(Text(f"the venue liquidated the account {figures['liquidations']} time(s)", style="bold red"))
    if results.composition.tape.bars_only:
        lines.append(
            Text("a path drawn through bars was replayed: it carries no order flow, and fills between a bar's open and close are assumptions", style="yellow")
        )
    if "seed" in source:
        lines.append(Text("a generated market shows how Titan works; it is no evidence of what it earns", style="dim"))
    return lines


def _percent(fraction: float | None, *, signed: bool = False) -> str:
    return "–" if fraction is None else f"{fraction * 100:{'+' if signed else ''}.2f} %"
