"""What all commands share: tables, `--json`, money, progress, messages. rich is imported when something is drawn."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from titan_core.model.units import to_usdt

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

STATUS_STYLE = {"ok": "green", "warn": "yellow", "fail": "bold red", "broken": "bold red"}


def console() -> "Console":
    """Make the console of the results (stdout)."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False)


def stderr_console() -> "Console":
    """Make the console of notes, progress and errors (stderr)."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """Print one JSON document on stdout. Values that JSON lacks (Decimal, enums, paths) are written as text."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def print_error(message: str) -> None:
    """Print an error on stderr, wrapped to the terminal."""
    from rich.text import Text

    stderr_console().print(Text.assemble(("error: ", "bold red"), message))


def print_note(message: str) -> None:
    """Print a remark on stderr."""
    from rich.text import Text

    stderr_console().print(Text.assemble(("note: ", "cyan"), message))


def table(*columns: str, title: str | None = None, right: Sequence[str] = ()) -> "Table":
    """Make a table in the house's style: columns named in `right` are aligned to the right, only the last column wraps, so prose stands there."""
    from rich import box
    from rich.table import Table

    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold", no_wrap=column != columns[-1])
    return made


def emit(rows: Sequence[Mapping[str, Any]], json: bool, *, columns: Sequence[str] | None = None, title: str | None = None, empty: str = "nothing") -> None:
    """Print rows: as a JSON array, or as a table of `columns` (all keys of the first row by default), or `empty` where there are none."""
    if json:
        print_json(list(rows))
        return
    if not rows:
        console().print(empty, markup=False)
        return
    names = list(columns if columns is not None else rows[0])
    numeric = [name for name in names if all(isinstance(row[name], int | float | Decimal) and not isinstance(row[name], bool) for row in rows)]
    drawn = table(*names, title=title, right=numeric)
    for row in rows:
        drawn.add_row(*(_cell(row[name]) for name in names))
    console().print(drawn)


def _cell(value: Any) -> Any:
    from rich.text import Text

    text = "" if value is None else "yes" if value is True else "no" if value is False else f"{value:,}" if isinstance(value, int) else str(value)
    return Text(text, style=STATUS_STYLE.get(text, ""))


def money(amount: int, *, signed: bool = False) -> str:
    """Write 1e-8 USDT as USDT with two decimals and thousands separators; the exact value stands in the JSON."""
    return f"{to_usdt(amount):{'+' if signed else ''},.2f}"


def percent(bps: float) -> str:
    """Write basis points as a percentage without needless zeros."""
    return f"{bps / 100:g} %"


class Progress(Protocol):
    """Called with the work done so far, in the units of the total."""

    def __call__(self, done: float) -> None:
        """Move the bar."""
        ...


@contextmanager
def progress(label: str, total: float, *, quiet: bool = False) -> Iterator[Progress]:
    """Show a bar on stderr while the block runs and clear it afterwards; nothing is drawn when `quiet` or where stderr is no terminal."""
    screen = stderr_console()
    if quiet or not screen.is_terminal:
        yield lambda done: None
        return
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    with Bar(TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), console=screen, transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done: bar.update(task, completed=done)
