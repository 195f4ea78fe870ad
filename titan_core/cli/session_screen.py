"""The screen of a running session: what a trader sees first. It fits itself to the width and the height that it is given."""

from collections.abc import Sequence

from attrs import frozen
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from titan_core.app.live.status import SessionStatus
from titan_core.cli.screen import sections
from titan_core.cli.screen.grid import beside, cut, first, fit, pack, plain, spread
from titan_core.cli.screen.history import History
from titan_core.cli.screen.words import STALE_S, ago, day_and_clock, market_words, troubles, uptime, verdict

__all__ = ["History", "SessionScreen", "render"]

LEVELS_BPS = (1_000, 1_250, 1_500)
"""Drawdown at which the Brain warns, halves and closes, unless it is configured otherwise."""
TWO_COLUMNS = 118
"""Width from which tables stand side by side."""
MOST_ROWS = 10
"""Fills and notes that are shown where the height does not matter."""
MOST_TROUBLES = 3


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
    Without a height it takes the rows it needs, unless what it is printed into has one.
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
        for line in self.lines(options.max_width, self.height or options.height):
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
        head = [*self._verdict(width), *self._account(width)]
        foot = [cut(sections.health(self.status, width), width)]
        room = None if height is None else height - len(top) - len(head) - len(foot)
        body = self._wide(width, room) if width >= TWO_COLUMNS else _stack(self._left(width) + self._right(width), room)
        made = [*head, *body, *foot]
        if self.is_stale:
            made = [Text(line.plain, style="dim") for line in made]
        shown = [*top, *(cut(line, width) for line in made)]
        return shown if height is None else shown[: max(1, height)]

    # -- the top ----------------------------------------------------------------------------------------------------------

    def _bar(self, width: int) -> Text:
        status = self.status
        live = status.mode == "live"
        base = "white on dark_red" if live else "white on dark_blue"
        left = [Text(" TITAN", style="bold"), Text(plain(status.mode).upper(), style="bold reverse" if live else "bold"), Text(market_words(status))]
        if status.name != status.mode:
            left.append(Text(plain(status.name)))
        if status.seed is not None and status.feed == "built-in":
            left.append(Text(f"seed {status.seed}"))
        if self.taken_ns is not None:
            left.append(Text(f"up {uptime(status, self.taken_ns)}"))
        seen = [] if self.age_s is None else [Text(f"seen {ago(self.age_s)} ago")]
        right = pack([Text(f"{day_and_clock(status.now_ns)} UTC"), *seen], max(14, width // 2), " · ")
        line = spread(pack(left, width - right.cell_len - 3, " · "), Text.assemble(right, " "), width)
        line.stylize_before(base)
        return fit(line, width)

    def _old(self, width: int) -> list[Text]:
        """Say so where the picture is not of now."""
        if not self.is_stale:
            return []
        age = "" if self.age_s is None else f" {ago(self.age_s)} OLD"
        return [fit(Text(f" THIS PICTURE IS{age or ' OLD'}  {self.trouble or 'nothing newer has come'}", style="bold white on red"), width)]

    def _verdict(self, width: int) -> list[Text]:
        found = verdict(self.status)
        line = Text.assemble((f" {found.word} ", f"bold reverse {found.colour}"), "  ", (plain(found.meaning), found.colour))
        chart = Text(plain(self.status.brain.partition(";")[0]), style="dim")
        lines = [spread(line, chart, width) if line.cell_len + chart.cell_len + 4 <= width else cut(line, width)]
        lines += sections.steps(self.status, width)
        found_troubles = list(troubles(self.status))
        shown = [Text.assemble(("! ", f"bold {colour}"), (plain(text), colour)) for colour, text in found_troubles]
        return lines + first(shown, MOST_TROUBLES, lambda more: f"! and {more} more")

    def _account(self, width: int) -> list[Text]:
        return sections.account(self.status, self.history, self.levels_bps, width)

    # -- the tables -------------------------------------------------------------------------------------------------------

    def _left(self, width: int) -> list["_Block"]:
        status = self.status
        return [
            _Block(sections.phases(status, width), 0, "phases"),
            _Block(sections.positions(status, width) if status.positions else [], 1, "positions"),
            _Block(sections.orders(status, width) if status.orders else [], 4, "orders"),
        ]

    def _right(self, width: int) -> list["_Block"]:
        status = self.status
        return [
            _Block(sections.markets(status, self.history, width) if status.feeds else [], 2, "markets"),
            _Block(sections.fills(status, width) if status.fills else [], 3, "fills", MOST_ROWS),
            _Block(sections.notes(status, width) if status.notes else [], 5, "notes", MOST_ROWS),
        ]

    def _wide(self, width: int, room: int | None) -> list[Text]:
        left = (width - 3) * 11 // 20
        right = width - 3 - left
        return beside(_stack(self._left(left), room), _stack(self._right(right), room), left, right)


@frozen
class _Block:
    """A table: its title line and rows, how early it may take room, and the rows that are enough."""

    lines: Sequence[Text]
    rank: int
    what: str
    most: int = 1_000

    @property
    def wanted(self) -> int:
        return min(len(self.lines), self.most + 1)

    def shown(self, rows: int) -> list[Text]:
        """Title and as many rows as fit into `rows` lines."""
        body = self.lines[1 : self.most + 1]
        return [self.lines[0], *first(body, rows - 1, lambda more: f"… and {more} more {self.what}")]


def _stack(blocks: Sequence[_Block], room: int | None) -> list[Text]:
    """Put tables one below the other: where room is short each gets a row in turn, by rank, and the last ones none; blank lines come last."""
    there = [block for block in blocks if block.lines]
    if room is None:
        return [line for block in there for line in (Text(), *block.shown(block.wanted))] + [Text()]
    rows = _share_out(there, room)
    kept = [block for block in there if rows[block.rank]]
    spare = room - sum(rows.values())
    airy = spare >= len(kept)
    made: list[Text] = []
    for block in kept:
        made += [Text()] * airy + block.shown(rows[block.rank])
    return made + [Text()] * (room - len(made))


def _share_out(blocks: Sequence[_Block], room: int) -> dict[int, int]:
    rows = dict.fromkeys((block.rank for block in blocks), 0)
    for block in sorted(blocks, key=lambda each: each.rank):
        least = min(2, block.wanted)
        if least <= room:
            rows[block.rank] = least
            room -= least
    growing = [block for block in sorted(blocks, key=lambda each: each.rank) if rows[block.rank]]
    while room > 0 and growing:
        growing = [block for block in growing if rows[block.rank] < block.wanted]
        for block in growing[:room]:
            rows[block.rank] += 1
        room -= len(growing[:room])
    return rows
