"""The screen of a running session: what a trader sees first. It fits itself to the width and the height that it is given."""

from collections.abc import Callable, Sequence

from attrs import frozen
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from titan_core.app.live.status import SessionStatus
from titan_core.cli.screen import sections
from titan_core.cli.screen.grid import beside, cut, first, fit, pack, plain, spread
from titan_core.cli.screen.history import History
from titan_core.cli.screen.words import STALE_S, ago, clock, day_and_clock, market_words, troubles, uptime, verdict

__all__ = ["History", "SessionScreen", "render"]

LEVELS_BPS = (1_000, 1_250, 1_500)
"""Drawdown at which the Brain warns, halves and closes, unless it is configured otherwise."""
TWO_COLUMNS = 118
"""Width from which tables stand side by side."""
ROOMY = 96
"""Width from which the date is told."""
MOST_ROWS = 10
"""Fills and notes that are shown where the height does not matter."""
MOST_TROUBLES, FEW_TROUBLES = 8, 3
TALL = 32
"""Rows from which there is room for all that is wrong."""


def render(
    status: SessionStatus,
    *,
    history: History | None = None,
    taken_ns: int | None = None,
    age_s: float | None = None,
    trouble: str = "",
    height: int | None = None,
    levels_bps: tuple[int, int, int] = LEVELS_BPS,
) -> "SessionScreen":
    """Make the screen of one picture.

    `history` brings the moves of prices, `taken_ns` is the wall clock of the picture, `age_s` how long ago that was, `trouble` why there is no newer one.
    Without a height it takes the rows it needs.
    """
    return SessionScreen(status, history, taken_ns, age_s, plain(trouble), height, levels_bps)


@frozen
class SessionScreen:
    """A renderable."""

    status: SessionStatus
    history: History | None
    taken_ns: int | None
    age_s: float | None
    trouble: str
    height: int | None
    levels_bps: tuple[int, int, int]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.lines(options.max_width, self.height):
            line.no_wrap = True
            line.overflow = "crop"
            yield line

    @property
    def is_stale(self) -> bool:
        """Whether the picture must not be taken for the present."""
        return bool(self.trouble) or (self.age_s is not None and self.age_s >= STALE_S)

    def lines(self, width: int, height: int | None = None) -> list[Text]:
        """Return the screen line by line; no line is wider than `width`, and there are at most `height` of them."""
        width = max(1, width)
        top = [self._bar(width), *self._old(width)]
        head = [*self._verdict(width, height), *self._account(width)]
        foot = [cut(sections.health(self.status, width), width)]
        room = None if height is None else height - len(top) - len(head) - len(foot)
        body = self._wide(width, room) if width >= TWO_COLUMNS else _stack(self._left(width) + self._right(width), room)
        made = [*head, *body, *foot]
        if self.is_stale:
            made = [Text(line.plain, style="dim") for line in made]
        shown = [cut(_harmless(line), width) for line in (*top, *made)]
        return shown if height is None else shown[: max(1, height)]

    # -- the top ----------------------------------------------------------------------------------------------------------

    def _bar(self, width: int) -> Text:
        status = self.status
        live = status.mode == "live"
        base = "white on dark_red" if live else "white on dark_blue"
        left = [Text(" TITAN", style="bold"), Text(plain(status.mode).upper(), style="bold reverse" if live else "bold"), Text(plain(market_words(status)))]
        if status.name != status.mode:
            left.append(Text(plain(status.name)))
        if status.seed is not None and status.feed == "built-in":
            left.append(Text(f"seed {status.seed}"))
        if self.taken_ns is not None:
            left.append(Text(f"up {uptime(status, self.taken_ns)}"))
        seen = [] if self.age_s is None else [Text(f"seen {ago(self.age_s)} ago")]
        time = day_and_clock(status.now_ns) if width >= ROOMY else clock(status.now_ns)
        right = pack([Text(f"{time} UTC"), *seen], max(14, width // 2), " · ")
        line = spread(pack(left, width - right.cell_len - 3, " · "), Text.assemble(right, " "), width)
        line.stylize_before(base)
        return fit(line, width)

    def _old(self, width: int) -> list[Text]:
        """Say so where the picture is not of now."""
        if not self.is_stale:
            return []
        age = "" if self.age_s is None else f" {ago(self.age_s)} OLD"
        return [fit(Text(f" THIS PICTURE IS{age or ' OLD'}  {self.trouble or 'nothing newer has come'}", style="bold white on red"), width)]

    def _verdict(self, width: int, height: int | None) -> list[Text]:
        found = verdict(self.status)
        line = Text.assemble((f" {found.word} ", f"bold reverse {found.colour}"), "  ", (plain(found.meaning), found.colour))
        chart = Text(plain(self.status.brain.partition(";")[0]), style="dim")
        lines = [spread(line, chart, width) if line.cell_len + chart.cell_len + 4 <= width else cut(line, width)]
        lines += sections.steps(self.status, width)
        shown = [cut(Text.assemble(("! ", f"bold {colour}"), (plain(text), colour)), width) for colour, text in troubles(self.status)]
        return lines + first(shown, MOST_TROUBLES if height is None or height >= TALL else FEW_TROUBLES)

    def _account(self, width: int) -> list[Text]:
        return sections.account(self.status, self.history, self.levels_bps, width)

    # -- the tables -------------------------------------------------------------------------------------------------------

    def _left(self, width: int) -> list["_Block"]:
        status = self.status
        return [
            _Block(lambda rows: sections.phases(status, width, rows), len(status.phases), 0),
            _Block(lambda rows: sections.positions(status, width, rows), len(status.positions), 1),
            _Block(lambda rows: sections.orders(status, width, rows), len(status.orders), 4),
        ]

    def _right(self, width: int) -> list["_Block"]:
        status = self.status
        return [
            _Block(lambda rows: sections.markets(status, self.history, width, rows), len(status.feeds), 2),
            _Block(lambda rows: sections.fills(status, width, rows), min(MOST_ROWS, len(status.fills)), 3),
            _Block(lambda rows: sections.notes(status, width, rows), min(MOST_ROWS, len(status.notes)), 5),
        ]

    def _wide(self, width: int, room: int | None) -> list[Text]:
        left = (width - 3) // 2
        right = width - 3 - left
        columns = self._left(left), self._right(right)
        airy = all(_is_airy(blocks, room) for blocks in columns)
        return beside(_stack(columns[0], room, airy), _stack(columns[1], room, airy), left, right)


def _harmless(line: Text) -> Text:
    """Take out what a terminal would act on, wherever it came from; the parts have done so already."""
    if not line.plain.isprintable():
        line.plain = plain(line.plain)
    return line


@frozen
class _Block:
    """A table: how to draw so many rows of it below its title, how many it has, and how early it may take room."""

    draw: Callable[[int], list[Text]]
    rows: int
    rank: int


def _stack(blocks: Sequence[_Block], room: int | None, airy: bool | None = None) -> list[Text]:
    """Put tables one below the other, with a blank line above each where there is room or `airy` says so."""
    there = [block for block in blocks if block.rows]
    if room is None:
        return [line for block in there for line in (Text(), *block.draw(block.rows))] + [Text()]
    rows = _share_out(there, room)
    air = _is_airy(blocks, room) if airy is None else airy
    made = [line for block in there if rows[block.rank] for line in ([Text()] * air + block.draw(rows[block.rank]))]
    return made + [Text()] * (room - len(made))


def _is_airy(blocks: Sequence[_Block], room: int | None) -> bool:
    """Whether there is room for a blank line above each table."""
    there = [block for block in blocks if block.rows]
    return room is None or sum(block.rows + 2 for block in there) <= room


def _share_out(blocks: Sequence[_Block], room: int) -> dict[int, int]:
    """Return the rows of each table, by rank; each that has any takes a line more for its title."""
    rows = dict.fromkeys((block.rank for block in blocks), 0)
    growing = sorted(blocks, key=lambda each: each.rank)
    for block in growing:
        if room >= 2:
            rows[block.rank] = 1
            room -= 2
    while room > 0 and growing:
        growing = [block for block in growing if 0 < rows[block.rank] < block.rows]
        for block in growing[:room]:
            rows[block.rank] += 1
        room -= len(growing[:room])
    return rows
