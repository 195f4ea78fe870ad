"""Lines that fit: a table that gives up its less important columns, two blocks side by side. No line is ever wider than it was allowed to be."""

from collections.abc import Iterable, Sequence

from attrs import frozen
from rich.text import Text

GAP = 2
"""Cells between columns."""

Cell = str | Text


@frozen(kw_only=True)
class Column:
    """A column of a table. Where room is short, columns go in the order of their `rank`, the highest first; rank 0 stays."""

    title: str
    rank: int = 0
    right: bool = False
    grows: bool = False
    """Whether it is cut where even the columns that stay do not fit; the first column is cut where none grows."""


def plain(text: str) -> str:
    """Return text with nothing in it that a terminal would act on: whoever wrote it, it is one line of letters."""
    return "".join(each if each.isprintable() else " " for each in text)


def text_of(cell: Cell, style: str = "") -> Text:
    """Make a cell a text, without markup."""
    if isinstance(cell, Text):
        return cell
    return Text(plain(cell), style=style)


def fit(line: Text, width: int) -> Text:
    """Return the line in exactly `width` cells: cut with an ellipsis, or filled up."""
    made = line.copy()
    made.truncate(max(width, 0), overflow="ellipsis", pad=True)
    return made


def cut(line: Text, width: int) -> Text:
    """Return the line in at most `width` cells."""
    made = line.copy()
    made.truncate(max(width, 0), overflow="ellipsis")
    return made


def join(parts: Iterable[Text], separator: str = "  ") -> Text:
    """Put texts into one line."""
    return Text(separator).join(parts)


def pack(parts: Sequence[Text], width: int, separator: str = "  ") -> Text:
    """Put as many parts into one line as fit, from the first on; only where the first is too wide it is cut."""
    line = Text()
    for part in parts:
        longer = join([line, part], separator) if line.plain else part
        if longer.cell_len > width:
            break
        line = longer
    return line if line.plain or not parts else cut(parts[0], width)


def spread(left: Text, right: Text, width: int) -> Text:
    """Put two texts at the ends of one line; the left one is cut where both do not fit."""
    room = width - right.cell_len - GAP
    if room < 8:
        return fit(left, width)
    return Text.assemble(fit(left, room), " " * GAP, right)


def beside(left: Sequence[Text], right: Sequence[Text], left_width: int, right_width: int, gap: int = 3) -> list[Text]:
    """Put two blocks of lines side by side."""
    rows = max(len(left), len(right))
    blank = Text()
    return [
        Text.assemble(fit(left[row] if row < len(left) else blank, left_width), " " * gap, cut(right[row] if row < len(right) else blank, right_width))
        for row in range(rows)
    ]


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int, *, header: str = "bold dim") -> list[Text]:
    """Lay a table out in `width` cells: a line of titles and a line for each row."""
    cells = [[text_of(cell) for cell in row] for row in rows]
    wide = [max([len(column.title), *(row[number].cell_len for row in cells)]) for number, column in enumerate(columns)]
    shown = _chosen(columns, wide, width)
    _squeeze(columns, wide, shown, width)
    titles = [Text(column.title, style=header) for column in columns]
    return [_row(line, columns, wide, shown, width) for line in (titles, *cells)]


def _chosen(columns: Sequence[Column], wide: Sequence[int], width: int) -> list[int]:
    shown = list(range(len(columns)))
    for number in sorted(range(len(columns)), key=lambda each: -columns[each].rank):
        if columns[number].rank == 0 or _total(wide, shown) <= width:
            break
        shown.remove(number)
    return shown


def _squeeze(columns: Sequence[Column], wide: list[int], shown: Sequence[int], width: int) -> None:
    for number in [each for each in shown if columns[each].grows] or list(shown[:1]):
        over = _total(wide, shown) - width
        if over > 0:
            wide[number] = max(4, wide[number] - over)


def _total(wide: Sequence[int], shown: Sequence[int]) -> int:
    return sum(wide[number] for number in shown) + GAP * (len(shown) - 1)


def _row(cells: Sequence[Text], columns: Sequence[Column], wide: Sequence[int], shown: Sequence[int], width: int) -> Text:
    made = []
    for number in shown:
        cell = cut(cells[number], wide[number])
        filler = " " * (wide[number] - cell.cell_len)
        made.append(Text.assemble(filler, cell) if columns[number].right else Text.assemble(cell, filler))
    line = cut(join(made, " " * GAP), width)
    line.rstrip()
    return line


def first(rows: Sequence[Text], most: int) -> list[Text]:
    """Return at most `most` lines; the last one tells how many are not shown."""
    if len(rows) <= most:
        return list(rows)
    return [*rows[: most - 1], Text(f"  and {len(rows) - most + 1} more", style="dim")]
