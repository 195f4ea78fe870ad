"""`titan trades`: the newest round trips of a running session."""

from typing import TYPE_CHECKING, Annotated

import typer

from titan_core.cli.options import JsonOption
from titan_core.cli.session_options import ANSWER_S, AnswerOption, NameOption, StateOption, chosen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.text import Text

    from titan_core.app.control.places import Places
    from titan_core.app.live.status import TradeLine

app = typer.Typer(help="List the newest trades.")

MOST = 1_000


@app.command()
def trades(
    last: Annotated[int, typer.Option("--last", metavar="N", min=1, max=MOST, help="How many, counted from the newest.")] = 20,
    json: JsonOption = False,
    state: StateOption = None,
    name: NameOption = None,
    timeout: AnswerOption = ANSWER_S,
) -> None:
    """List the round trips that have ended, oldest first, with what they brought after fees and funding.

    Of a session that does not run they are read from its journal; name it.
    """
    import msgspec

    from titan_core.cli.output import console, print_json

    found = _of_journal(state, name, last) if name is not None and not _runs(state, name) else _of_session(state, name, last, timeout)
    if json:
        print_json(msgspec.to_builtins(found))
        return
    screen = console()
    for line in draw(found, screen.width) if found else ():
        screen.print(line, no_wrap=True, overflow="crop")
    if not found:
        screen.print("no trade has ended yet")


def _of_session(state: "Path | None", name: str | None, last: int, timeout: float) -> "Sequence[TradeLine]":
    from titan_core.app.control.client import ask
    from titan_core.app.control.messages import Trades

    return ask(chosen(state, name).folder, Trades(last), timeout_s=timeout).trades or ()


def _runs(state: "Path | None", name: str) -> bool:
    from titan_core.app.control.sessions import read_session

    known = read_session(_places(state, name))
    return known is not None and known.is_alive


def _places(state: "Path | None", name: str) -> "Places":
    import os
    from pathlib import Path

    from titan_core.app.control.places import places, state_root

    return places(state_root(state, os.environ, Path.home()), name)


def _of_journal(state: "Path | None", name: str, last: int) -> "Sequence[TradeLine]":
    """Read the round trips of a session that has ended."""
    from titan_core.app.live.picture import trade_line
    from titan_core.app.live.tables import catch_up, read_ledger

    known, ledger = read_ledger(catch_up(_places(state, name).folder))
    return [trade_line(known[trip.instrument], trip) for trip in ledger.trips[-last:]]


def draw(found: "Sequence[TradeLine]", width: int) -> "list[Text]":
    """Lay the trades out in `width` cells, with a line for their sum."""
    from rich.text import Text

    from titan_core.cli.output import money
    from titan_core.cli.screen.grid import Cell, Column, cut, plain, table
    from titan_core.cli.screen.sections import signed_money
    from titan_core.cli.screen.words import ago, day_and_clock

    columns = (
        Column(title="ended (UTC)"),
        Column(title="held", right=True, rank=3),
        Column(title="instrument", grows=True),
        Column(title="side", rank=1),
        Column(title="size", right=True),
        Column(title="entry", right=True, rank=2),
        Column(title="exit", right=True, rank=2),
        Column(title="net", right=True),
        Column(title="fees", right=True, rank=5),
        Column(title="funding", right=True, rank=6),
        Column(title="phase", rank=4),
        Column(title="tag", rank=7),
    )
    rows: list[Sequence[Cell]] = [
        (
            day_and_clock(each.exit_ns),
            ago((each.exit_ns - each.entry_ns) / 1e9),
            plain(each.instrument),
            each.side,
            each.quantity,
            each.entry_price,
            each.exit_price,
            signed_money(each.net),
            money(each.fees),
            signed_money(each.funding),
            each.phase,
            each.tag,
        )
        for each in found
    ]
    won = sum(each.net > 0 for each in found)
    total = Text.assemble(
        (f"{len(found)} trade{'' if len(found) == 1 else 's'}, {won} won, net ", "dim"), signed_money(sum(each.net for each in found)), " USDT"
    )
    return [*table(columns, rows, width), cut(total, width)]
