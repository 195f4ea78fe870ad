"""Each part of the screen as lines: the account, phases, positions, orders, markets, fills, notes, health."""

from collections.abc import Sequence

from rich.text import Text

from titan_core.app.live.status import FeedStatus, FillLine, OrderStatusLine, PhaseStatus, PositionStatus, SessionStatus
from titan_core.brain.table import OPERATIONAL, PHASES
from titan_core.brain.vocabulary import Emergency
from titan_core.cli.output import money
from titan_core.cli.screen.grid import Cell, Column, cut, join, pack, plain, spread, table
from titan_core.cli.screen.history import History, spark
from titan_core.cli.screen.words import BAD, OK, QUIET, STALE_MARKET_S, STEPS, WARN, ago, clock, emergency_step
from titan_core.model.units import BPS, PPM

HEADER = "bold cyan"
DIM = "dim"
BAR_END = 1.2
"""The drawdown bar ends at this multiple of the emergency's level."""
_PHASE_COLOURS = {"active": OK, "reduced": WARN, "halted": WARN, "escalated": BAD, "draining": WARN, "arming": QUIET, "disabled": BAD}


def signed_money(amount: int) -> Text:
    """Write an amount with its sign, coloured by it."""
    return Text(money(amount, signed=True), style=OK if amount > 0 else BAD if amount < 0 else DIM)


def _pair(name: str, value: Cell, style: str = "") -> Text:
    return Text.assemble((f"{name} ", DIM), value if isinstance(value, Text) else (plain(value), style))


# -- the account ------------------------------------------------------------------------------------------------------------


def account(status: SessionStatus, history: History | None, levels_bps: tuple[int, int, int], width: int) -> list[Text]:
    """Equity and its way, the drawdown between its levels, and what was paid."""
    gain = status.equity - status.start_equity
    share = Text(f"({gain / status.start_equity * 100:+,.2f} %)", style=DIM) if status.start_equity > 0 else Text()
    equity = pack(
        [
            Text.assemble(("equity ", DIM), (money(status.equity), "bold"), " USDT"),
            Text.assemble(signed_money(gain), " ", share),
            _pair("peak", money(status.peak)),
        ],
        width,
        "   ",
    )
    drawn = spark(history.equity, min(60, width - equity.cell_len - 3)) if history is not None else ""
    if len(drawn) >= 6:
        equity = Text.assemble(equity, "   ", (drawn, QUIET))
    won = f"{status.wins} of {status.trades}" + (f" ({status.wins / status.trades * 100:.0f} %)" if status.trades > 0 else "")
    unrealised = sum(each.unrealised for each in status.positions)
    paid = pack(
        [
            _pair("open", signed_money(unrealised)),
            _pair("cash", money(status.cash)),
            _pair("fees", money(status.fees)),
            _pair("funding", signed_money(status.funding)),
            _pair("trades won", won),
        ],
        width,
        "   ",
    )
    return [equity, drawdown_bar(status, levels_bps, width), paid]


def drawdown_bar(status: SessionStatus, levels_bps: tuple[int, int, int], width: int) -> Text:
    """Draw the drawdown on a scale with the levels at which the Brain acts."""
    warning, reduced, emergency = levels_bps
    share = status.drawdown_ppm / PPM
    colour = next((c for limit, c in ((reduced, BAD), (warning, WARN)) if share * BPS >= limit), OK)
    head = Text.assemble(("drawdown ", DIM), (f"{share * 100:.2f} %", f"bold {colour}"), " ")
    words = ((f" {warning / 100:g} warns", WARN), (" · ", DIM), (f"{reduced / 100:g} halves", WARN), (" · ", DIM), (f"{emergency / 100:g} % closes all", BAD))
    tail = Text.assemble(*words)
    room = min(60, width - head.cell_len - tail.cell_len)
    if room < 12:
        return head if width < 40 else pack([head, tail], width, "")
    scale = emergency / BPS * BAR_END
    filled = min(room, round(share / scale * room))
    if share > 0 and filled == 0:
        filled = 1
    marks = {min(room - 1, round(level / BPS / scale * room)): c for level, c in ((warning, WARN), (reduced, WARN), (emergency, BAD))}
    bar = Text()
    for cell in range(room):
        if cell in marks:
            bar.append("┃", marks[cell])
        else:
            bar.append("━" if cell < filled else "─", colour if cell < filled else DIM)
    return Text.assemble(head, bar, tail)


def steps(status: SessionStatus, width: int) -> list[Text]:
    """The steps of an emergency and where it stands; no line where there is none."""
    here = emergency_step(status)
    if here is None:
        return []
    at = list(Emergency).index(here)
    parts = []
    for number, step in enumerate(Emergency):
        done = number < at or here is Emergency.LOCKED
        mark, style = ("✔", OK) if done else ("▶", f"bold {BAD}") if number == at else ("·", DIM)
        parts.append(Text(f"{mark} {STEPS[step][0]}", style=style))
    return [pack(parts, width, "   " if width >= 76 else " ")]


# -- tables -----------------------------------------------------------------------------------------------------------------
# each takes the width and the number of rows that there is room for; where some are left out, the title says so


def _title(word: str, shown: int, total: int) -> str:
    return word if shown >= total else f"{word} {shown} of {total}"


def _place(instrument: str) -> tuple[Text, Text]:
    """Split an instrument into symbol and venue."""
    symbol, _, venue = plain(instrument).partition(".")
    return Text(symbol, style="bold"), Text(venue, style=DIM)


def _side(side: str) -> Text:
    return Text(plain(side), style=OK if side == "buy" else BAD if side == "sell" else "")


def phases(status: SessionStatus, width: int, rows: int) -> list[Text]:
    """The phases: state, capital band, equity, day."""
    columns = (
        Column(title=_title("phase", rows, len(status.phases)), grows=True),
        Column(title="state"),
        Column(title="capital band", rank=3),
        Column(title="equity", right=True, rank=1),
        Column(title="today", right=True),
        Column(title="open", right=True, rank=2),
    )
    return table(columns, [_phase(each) for each in status.phases[:rows]], width, header=HEADER)


def _phase(each: PhaseStatus) -> Sequence[Cell]:
    works = each.state in ("active", "reduced") and not each.broken
    state = (
        Text("quarantine", style=f"bold {BAD}")
        if each.broken
        else Text(plain(each.state), style=_PHASE_COLOURS.get(each.state, BAD if each.state.startswith("emergency") else DIM))
    )
    idle = each.state in ("dormant", "disabled") and not each.equity and not each.day_result
    figures: tuple[Cell, Cell] = (Text("–", style=DIM), Text("–", style=DIM)) if idle else (money(each.equity), signed_money(each.day_result))
    return (
        Text(plain(each.id), style="bold" if works else ""),
        state,
        Text(plain(each.band), style="" if works else DIM),
        *figures,
        str(each.positions or "–"),
    )


def positions(status: SessionStatus, width: int, rows: int) -> list[Text]:
    """The open positions with their stops."""
    columns = (
        Column(title=_title("position", rows, len(status.positions)), grows=True),
        Column(title="", rank=4),
        Column(title="size", right=True),
        Column(title="entry", right=True, rank=1),
        Column(title="mark", right=True, rank=2),
        Column(title="result", right=True),
        Column(title="stop", right=True),
        Column(title="target", right=True, rank=3),
        Column(title="phase", rank=5),
        Column(title="notional", right=True, rank=6),
    )
    return table(columns, [_position(each) for each in status.positions[:rows]], width, header=HEADER)


def _position(each: PositionStatus) -> Sequence[Cell]:
    short = each.quantity.startswith("-")
    size = Text.assemble(("short " if short else "long ", BAD if short else OK), plain(each.quantity.lstrip("+-")))
    stop = Text(plain(each.stop)) if each.stop else Text("NO STOP", style=f"bold {BAD}")
    result = signed_money(each.unrealised)
    return (*_place(each.instrument), size, each.entry_price, each.mark_price, result, stop, each.target or "–", each.phase, money(each.notional))


def orders(status: SessionStatus, width: int, rows: int) -> list[Text]:
    """The working orders."""
    columns = (
        Column(title=_title("order", rows, len(status.orders)), grows=True),
        Column(title="", rank=3),
        Column(title="side"),
        Column(title="type"),
        Column(title="left", right=True),
        Column(title="of", right=True, rank=4),
        Column(title="price", right=True),
        Column(title="status", rank=1),
        Column(title="phase", rank=2),
        Column(title="client id", rank=5),
    )
    return table(columns, [_order(each) for each in status.orders[:rows]], width, header=HEADER)


def _order(each: OrderStatusLine) -> Sequence[Cell]:
    kind = each.order_type.replace("_", "-")
    price = each.price or Text("market", style=DIM)
    return (*_place(each.instrument), _side(each.side), kind, each.leaves, each.quantity, price, each.status, each.phase, each.client_order_id)


def markets(status: SessionStatus, history: History | None, width: int, rows: int) -> list[Text]:
    """The market data: best prices, how they move, how old they are, and whether they can be trusted."""
    columns = (
        Column(title=_title("market", rows, len(status.feeds)), grows=True),
        Column(title=""),
        Column(title="bid", right=True),
        Column(title="ask", right=True),
        Column(title="move", right=True, rank=1),
        Column(title="", rank=2),
        Column(title="rows", right=True, rank=3),
        Column(title="age", right=True),
        Column(title="", rank=4),
    )
    return table(columns, [_market(each, history) for each in status.feeds[:rows]], width, header=HEADER)


def _market(feed: FeedStatus, history: History | None) -> Sequence[Cell]:
    move = history.move(feed.instrument) if history is not None else 0.0
    drift = history.drift_bps(feed.instrument) if history is not None else None
    colour = OK if move > 0 else BAD if move < 0 else ""
    arrow = "▲" if move > 0 else "▼" if move < 0 else "•"
    moved = Text("" if drift is None else f"{max(-99_999.0, min(99_999.0, drift)):+.1f} bp {arrow}", style=colour or DIM)
    drawn = Text(spark(history.mids.get(feed.instrument), 16) if history is not None else "", style=QUIET)
    late = feed.age_s > STALE_MARKET_S
    aged = Text(ago(feed.age_s), style=BAD if late else WARN if feed.doubt or feed.age_s > STALE_MARKET_S / 4 else "")
    trust = Text("doubt" if feed.doubt else "stale" if late else "", style=WARN)
    bid, ask = Text(plain(feed.bid), style=colour), Text(plain(feed.ask), style=colour)
    return (*_place(feed.instrument), bid, ask, moved, drawn, f"{feed.events:,}", aged, trust)


def fills(status: SessionStatus, width: int, rows: int) -> list[Text]:
    """The newest executions, newest first."""
    columns = (
        Column(title="fill" if rows >= len(status.fills) else "newest"),
        Column(title="", grows=True),
        Column(title="", rank=4),
        Column(title="side"),
        Column(title="size", right=True),
        Column(title="price", right=True),
        Column(title="fee", right=True, rank=1),
        Column(title="", rank=3),
        Column(title="phase", rank=2),
        Column(title="tag", rank=5),
    )
    return table(columns, [_fill(each) for each in reversed(status.fills[-rows:])], width, header=HEADER)


def _fill(each: FillLine) -> Sequence[Cell]:
    when = Text(clock(each.ts_ns), style=DIM)
    how = Text(plain(each.liquidity), style=DIM)
    return (when, *_place(each.instrument), _side(each.side), each.quantity, each.price, money(each.fee), how, each.phase, each.tag)


def notes(status: SessionStatus, width: int, rows: int) -> list[Text]:
    """The newest notes, newest first."""
    lines = [Text("notes", style=HEADER)]
    for each in reversed(status.notes[-rows:]):
        lines.append(Text.assemble((f"{clock(each.ts_ns)}  ", DIM), (f"{plain(each.author)}  ", QUIET), shorter(plain(each.text))))
    return [cut(line, width) for line in lines]


def shorter(text: str) -> str:
    """Leave out of a path of the chart what goes without saying."""
    return text.replace(f"{PHASES}.", "").replace(f"{OPERATIONAL}.", "")


# -- health -----------------------------------------------------------------------------------------------------------------


def health(status: SessionStatus, width: int) -> Text:
    """The venue that takes orders, the journal, and the counts of what may not be shown."""
    counts = [(len(status.positions), "position", "positions"), (len(status.orders), "order", "orders")]
    right = Text(" · ".join(f"{count} {one if count == 1 else many}" for count, one, many in counts), style=DIM)
    return spread(pack([*_link(status), *_journal(status)], max(20, width - right.cell_len - 2)), right, width)


def _link(status: SessionStatus) -> list[Text]:
    link = status.link
    if link is None:
        return [_pair("link", "none", DIM)]
    state, style = ("up", OK) if link.is_answering else ("silent", BAD)
    stream, stream_style = ("streaming", OK) if link.is_streaming else ("polling", WARN)
    offset = abs(link.clock_offset_s)
    parts = [join([_pair(f"link {plain(link.venue)}", state, style), Text(stream, style=stream_style)], " · ")]
    parts.append(_pair("clock", f"{link.clock_offset_s * 1_000:+,.0f} ms" if offset < 100 else f"{link.clock_offset_s:+,.0f} s", WARN if offset > 0.5 else ""))
    return [*parts, _pair("books agreed", clock(link.reconciled_ns) if link.reconciled_ns > 0 else "never", "" if link.reconciled_ns > 0 else WARN)]


def _journal(status: SessionStatus) -> list[Text]:
    line = status.journal
    if line is None:
        return [_pair("journal", "none", WARN)]
    behind = line.last_seq - line.durable_seq
    state = Text(plain(line.status), style=OK if line.status == "ok" else f"bold {BAD}")
    return [
        join(
            [_pair("journal", state), Text(f"{line.durable_seq:,}"), *([Text(f"+{behind:,}", style=WARN if behind > 1_000 else DIM)] if behind > 0 else [])],
            " ",
        )
    ]
