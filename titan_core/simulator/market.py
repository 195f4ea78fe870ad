"""The market that all venues of the box share: two books (spot and perpetual) that are replayed in time order and never end."""

from collections import deque
from typing import Protocol

import numpy as np
from attrs import define, field, frozen

from titan_core.model.enums import StreamKind
from titan_core.model.units import BPS, MIN, RATE_SCALE, H
from titan_core.simulator.bars import Bars
from titan_core.simulator.chunks import Supply
from titan_core.simulator.listings import Role
from titan_core.simulator.spans import Spans
from titan_core.tape.columns import view

ONE_BP = RATE_SCALE // BPS
FUNDING_NS = 8 * H
FIRST_VERSION = 50_000_000_000
FIRST_TRADE = 3_700_000_000
KEPT_SPANS = 3
"""How many days before its last one a market knows when it is resumed: bars and open interest from before are not made again."""


class Listener(Protocol):
    """What is told about the market, after its state has changed."""

    def on_quote(self, role: Role) -> None:
        """The best prices, or the depth behind them, have changed."""

    def on_trade(self, role: Role, price: int, signed_lots: int) -> None:
        """Somebody has traded; positive lots when the taker bought."""

    def on_mark(self) -> None:
        """Mark and index price have changed."""

    def on_open_interest(self) -> None:
        """The number of open contracts has changed."""

    def on_liquidation(self, price: int, signed_lots: int) -> None:
        """Somebody else was liquidated."""


@define(eq=False)
class Book:
    """The state of one book now."""

    bid: int = 0
    ask: int = 0
    bid_lots: int = 0
    ask_lots: int = 0
    last: int = 0
    last_tick: int = 0
    """How the last trade's price differed from the one before that was different."""
    version: int = FIRST_VERSION
    """Rises by one whenever the book changes."""
    trades: int = FIRST_TRADE
    """The number of the last trade."""
    depth: tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]] | None = None
    """Bids and asks where the recording has depth."""
    bars: Bars = field(factory=Bars)

    @property
    def mid(self) -> int:
        """The middle between bid and ask, rounded down."""
        return (self.bid + self.ask) // 2


@frozen
class Bookmark:
    """Where a supply may begin later on: the generator's state (JSON) before a span, and the numbers that had been given until then."""

    state: str
    trades: dict[Role, int]
    versions: dict[Role, int]


@frozen
class Resumed:
    """Where a market goes on: before its event at `next_ns`, of whose time `done` events have happened; and where its supply begins."""

    next_ns: int
    done: int
    last: dict[Role, tuple[int, int]]
    """Price and tick of each book's last trade: there may have been none since the supply's beginning."""
    bookmark: Bookmark | None = None


class Market:
    """The market's time line. `listener` is called for each event from `start_ns` on."""

    def __init__(self, supply: Supply, start_ns: int, listener: Listener | None = None, resumed: Resumed | None = None) -> None:
        self.spot, self.perp = supply.spot, supply.perp
        self.listener = listener
        self.books = {Role.SPOT: Book(), Role.PERP: Book()}
        self.mark = self.index = self.open_interest = 0
        self.interest_history: list[tuple[int, int]] = []
        self.funding_rates: dict[int, int] = {}
        """Rate (1e-8) settled at each 8-hour boundary."""
        self.bookmarks: deque[Bookmark] = deque(maxlen=KEPT_SPANS + 1)
        self._spans = Spans(supply)
        self._has_mark = False
        self._cursor, self._end = 0, 0
        if resumed is not None and resumed.bookmark is not None:
            for role, book in self.books.items():
                book.trades, book.version = resumed.bookmark.trades[role], resumed.bookmark.versions[role]
        begin = start_ns if resumed is None else resumed.next_ns
        self._load()
        while self._end == 0 or int(self._ts_array[-1]) < begin:
            self._skip_to(self._end)
            self._load()
        self._skip_to(int(np.searchsorted(self._ts_array, begin)) + (0 if resumed is None else resumed.done))
        if resumed is not None:
            for role, (last, tick) in resumed.last.items():
                self.books[role].last, self.books[role].last_tick = last, tick

    # -- time ---------------------------------------------------------------------------------------------------
    def next_ns(self) -> int:
        """Return the time of the next event."""
        while self._cursor >= self._end:
            self._load()
        return self._ts[self._cursor]

    def step(self) -> None:
        """Make the next event happen."""
        while self._cursor >= self._end:
            self._load()
        cursor = self._cursor
        self._cursor = cursor + 1
        self._apply(self._code[cursor], self._row[cursor], self._ts[cursor])

    def _load(self) -> None:
        span = next(self._spans)
        self._streams, self._keys, self._values = span.streams, span.keys, span.values
        self._ts_array, self._codes, self._rows = span.times, span.codes, span.rows
        self._ts, self._code, self._row = view(span.times), view(span.codes), view(span.rows)
        self._cursor, self._end = 0, len(span.times)
        self._first_trade = {role: self.books[role].trades + 1 for role in Role}
        if span.state is not None:
            trades, versions = ({role: getattr(book, name) for role, book in self.books.items()} for name in ("trades", "version"))
            self.bookmarks.append(Bookmark(state=span.state.decode(), trades=trades, versions=versions))
        self._read_funding()
        for role, minutes in span.minutes.items():
            found = self._streams[role, StreamKind.TRADE]
            self.books[role].bars.extend(found["ts"], found["price"], found["signed_lots"], minutes)  # type: ignore[arg-type]

    def prepare(self) -> None:
        """Make the next span beforehand, in a thread."""
        self._spans.prepare()

    @property
    def ends_ns(self) -> int:
        """When the loaded span's last event happens."""
        return self._ts[self._end - 1] if self._end else 0

    def place(self) -> tuple[int, int]:
        """Return the time of the next event of the loaded span (its last one, where all have happened) and how many events of that time have happened."""
        cursor, ts = self._cursor, self._ts
        at = ts[min(cursor, self._end - 1)] if self._end else 0
        done = 0
        while done < cursor and ts[cursor - 1 - done] == at:
            done += 1
        return at, done

    def _read_funding(self) -> None:
        funding = self._streams.get((Role.PERP, StreamKind.FUNDING))
        if funding is None:
            return
        for ts, rate in zip(funding["ts"].tolist(), funding["rate_e8"].tolist(), strict=True):
            self.funding_rates[(ts + 5 * MIN) // FUNDING_NS * FUNDING_NS] = rate

    def _skip_to(self, position: int) -> None:
        """Take over the state as of a position without telling anybody."""
        listener, self.listener = self.listener, None
        for place, (role, kind) in enumerate(self._keys):
            ts = self._values[place]["ts"]
            happened = int(np.count_nonzero(self._codes[:position] == place))
            if happened:
                self._pass(place, happened - 1)
                self._apply(place, happened - 1, ts[happened - 1])
            elif len(ts) and kind is not StreamKind.TRADE and not self._is_known(role, kind):
                version = self.books[role].version
                self._apply(place, 0, ts[0])
                self.books[role].version = version
        self._cursor = position
        for book in self.books.values():
            book.last = book.last or book.mid
        self.listener = listener

    def _pass(self, place: int, last: int) -> None:
        """Count the rows of a stream before its row `last` as happened."""
        (role, kind), values = self._keys[place], self._values[place]
        book = self.books[role]
        if kind is StreamKind.OPEN_INTEREST:
            self.interest_history.extend((values["ts"][row], values["lots"][row]) for row in range(last))
        elif kind is StreamKind.TRADE:
            book.trades += last
        elif kind in (StreamKind.QUOTE, StreamKind.DEPTH):
            book.version += last

    def _is_known(self, role: Role, kind: StreamKind) -> bool:
        book = self.books[role]
        known = {StreamKind.QUOTE: book.bid, StreamKind.DEPTH: book.depth, StreamKind.MARK: self._has_mark, StreamKind.OPEN_INTEREST: self.open_interest}
        return bool(known.get(kind, False))

    # -- events -------------------------------------------------------------------------------------------------
    def _apply(self, place: int, row: int, ts: int) -> None:
        role, kind = self._keys[place]
        values, book, listener = self._values[place], self.books[role], self.listener
        if kind is StreamKind.QUOTE:
            book.bid, book.ask = values["bid"][row], values["ask"][row]
            book.bid_lots, book.ask_lots = values["bid_lots"][row], values["ask_lots"][row]
            book.version += 1
            if listener is not None:
                listener.on_quote(role)
        elif kind is StreamKind.TRADE:
            price, signed = values["price"][row], values["signed_lots"][row]
            book.last_tick = price - book.last or book.last_tick
            book.last = price
            book.trades += 1
            if listener is not None:
                listener.on_trade(role, price, signed)
        else:
            self._apply_slow(kind, role, place, row, ts)

    def _apply_slow(self, kind: StreamKind, role: Role, place: int, row: int, ts: int) -> None:
        values, book, listener = self._values[place], self.books[role], self.listener
        if kind is StreamKind.MARK:
            self.mark, self.index, self._has_mark = values["price"][row], values["index"][row], True
            if listener is not None:
                listener.on_mark()
        elif kind is StreamKind.OPEN_INTEREST:
            self.open_interest = values["lots"][row]
            self.interest_history.append((ts, self.open_interest))
            if listener is not None:
                listener.on_open_interest()
        elif kind is StreamKind.LIQUIDATION:
            if listener is not None:
                listener.on_liquidation(values["price"][row], values["signed_lots"][row])
        else:
            book.depth = self._depth(self._streams[role, kind], row)
            book.version += 1
            if listener is not None:
                listener.on_quote(role)

    @staticmethod
    def _depth(columns: object, row: int) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
        sides = []
        for prices, lots in (("bids", "bid_lots"), ("asks", "ask_lots")):
            pairs = zip(columns[prices][row].tolist(), columns[lots][row].tolist(), strict=True)  # type: ignore[index]
            sides.append(tuple((price, size) for price, size in pairs if price > 0 and size > 0))
        return sides[0], sides[1]

    # -- what venues ask ----------------------------------------------------------------------------------------
    def marks(self) -> tuple[int, int]:
        """Return mark and index price in ticks of the perpetual's book; its mid and the spot's where the recording has neither."""
        if self._has_mark:
            return self.mark, self.index
        perp, spot = self.books[Role.PERP], self.books[Role.SPOT]
        if not spot.bid:
            return perp.mid, perp.mid
        return perp.mid, int(spot.mid * self.spot.tick_size / self.perp.tick_size)

    def funding_rate(self, boundary_ns: int) -> int:
        """Return the rate (1e-8 per 8 hours) that applies at a settlement: the market's, else the last one known, else one basis point."""
        slot = -(-boundary_ns // FUNDING_NS) * FUNDING_NS
        for back in range(4):
            rate = self.funding_rates.get(slot - back * FUNDING_NS)
            if rate is not None:
                return rate
        return ONE_BP

    def trades_since(self, role: Role, count: int, now_ns: int) -> list[tuple[int, int, int, int]]:
        """Return the last `count` trades of the loaded span as (number, ts, price, signed lots), oldest first."""
        trades = self._streams.get((role, StreamKind.TRADE))
        if trades is None:
            return []
        end = int(np.searchsorted(trades["ts"], now_ns, side="right"))
        begin = max(0, end - count)
        first = self._first_trade[role]
        rows = zip(trades["ts"][begin:end].tolist(), trades["price"][begin:end].tolist(), trades["signed_lots"][begin:end].tolist(), strict=True)
        return [(first + begin + place, ts, price, lots) for place, (ts, price, lots) in enumerate(rows)]
