"""`titan balance`: what the account of a running session is worth, and of what that is made."""

from typing import TYPE_CHECKING, Any

import typer

from titan_core.cli.options import JsonOption
from titan_core.cli.session_options import ANSWER_S, AnswerOption, NameOption, Picture, StateOption, chosen, picture

if TYPE_CHECKING:
    from rich.text import Text

app = typer.Typer(help="Show the account.")


@app.command()
def balance(json: JsonOption = False, state: StateOption = None, name: NameOption = None, timeout: AnswerOption = ANSWER_S) -> None:
    """Show cash, the result of open positions, equity, its peak and drawdown, what was paid, and what each phase works with."""
    from titan_core.cli.output import console, print_json

    seen = picture(chosen(state, name).folder, timeout)
    if json:
        print_json(document(seen))
        return
    screen = console()
    for line in draw(seen, screen.width):
        screen.print(line, no_wrap=True, overflow="crop")


def document(seen: Picture) -> dict[str, Any]:
    """Return the account as plain data; amounts are 1e-8 USDT."""
    status = seen.status
    return {
        "session": status.name,
        "mode": status.mode,
        "taken_ns": seen.taken_ns,
        "age_s": round(seen.age_s, 3),
        "cash": status.cash,
        "unrealised": sum(each.unrealised for each in status.positions),
        "equity": status.equity,
        "start_equity": status.start_equity,
        "peak": status.peak,
        "drawdown_ppm": status.drawdown_ppm,
        "fees": status.fees,
        "funding": status.funding,
        "phases": {each.id: {"equity": each.equity, "day_result": each.day_result} for each in status.phases},
    }


def draw(seen: Picture, width: int) -> "list[Text]":
    """Lay the account out in `width` cells."""
    from collections.abc import Sequence

    from rich.text import Text

    from titan_core.cli.output import money
    from titan_core.cli.screen.grid import Cell, Column, cut, plain, table
    from titan_core.cli.screen.sections import signed_money
    from titan_core.cli.screen.words import ago

    status, found = seen.status, document(seen)
    titles = (Column(title="USDT", grows=True), Column(title="amount", right=True), Column(title="", rank=1))
    gain = status.equity - status.start_equity
    rows: list[Sequence[Cell]] = [
        ("cash", money(status.cash), ""),
        ("result of open positions", signed_money(found["unrealised"]), f"{len(status.positions)} open"),
        (Text("equity", style="bold"), Text(money(status.equity), style="bold"), ""),
        ("since the start", signed_money(gain), f"from {money(status.start_equity)}"),
        ("peak", money(status.peak), f"drawdown {status.drawdown_ppm / 10_000:.2f} %"),
        ("fees paid", money(status.fees), ""),
        ("funding", signed_money(status.funding), ""),
    ]
    head = Text.assemble((plain(f"{status.mode} account of session {status.name}"), "bold"), (f"  seen {ago(seen.age_s)} ago", "dim"))
    lines = [cut(head, width), Text(), *table(titles, rows, width)]
    working = [each for each in status.phases if each.equity or each.day_result]
    if working:
        columns = (Column(title="phase", grows=True), Column(title="equity", right=True), Column(title="today", right=True))
        lines += [Text(), *table(columns, [(each.id, money(each.equity), signed_money(each.day_result)) for each in working], width)]
    return lines
