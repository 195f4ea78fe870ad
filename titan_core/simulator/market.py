"""The market that all venues of the box share: two books (spot and perpetual) that are replayed in time order and never end."""

from typing import Protocol

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from titan_core.model.enums import StreamKind
from titan_core.model.units import BPS, MIN, RATE_SCALE, H
from titan_core.simulator.bars import Bars
from titan_core.simulator.chunks import Streams, Supply
from titan_core.simulator.listings import Role
from titan_core.tape.columns import view

ONE_BP = RATE_SCALE // BPS
FUNDING_NS = 8 * H
FIRST_VERSION = 50_000_000_000
FIRST_TRADE = 3_700_000_000

EVENTS = (StreamKind.QUOTE, StreamKind.DEPTH, StreamKind.TRADE, StreamKind.MARK, StreamKind.OPEN_INTEREST, StreamKind.LIQUIDATION)


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


class Market:
    """The market's time line. `listener` is called for each event from `start_ns` on."""

    def __init__(self, supply: Supply, start_ns: int, listener: Listener | None = None) -> None:
        self.spot, self.perp = supply.spot, supply.perp
        self.listener = listener
        self.books = {Role.SPOT: Book(), Role.PERP: Book()}
        self.mark = self.index = self.open_interest = 0
        self.interest_history: list[tuple[int, int]] = []
        self.funding_rates: dict[int, int] = {}
        """Rate (1e-8) settled at each 8-hour boundary."""
        self._spans = supply.spans
        self._has_mark = False
        self._streams: Streams = {}
        self._cursor, self._end = 0, 0
        self._load()
        while self._end == 0 or int(self._ts_array[-1]) < start_ns:
            self._skip_to(self._end)
            self._load()
        self._skip_to(int(np.searchsorted(self._ts_array, start_ns)))

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
        self._streams = next(self._spans)
        keys = sorted((key for key in self._streams if key[1] in EVENTS), key=lambda key: (key[0] != Role.SPOT, EVENTS.index(key[1])))
        self._keys = keys
        columns = [self._streams[key] for key in keys]
        self._values = [{name: view(column) for name, column in each.items() if column.ndim == 1} for each in columns]
        ts: NDArray[np.int64] = np.concatenate([each["ts"] for each in columns]).astype(np.int64) if columns else np.zeros(0, np.int64)
        order = np.argsort(ts, kind="stable")
        self._ts_array = ts[order]
        code = np.concatenate([np.full(len(each["ts"]), place, np.int8) for place, each in enumerate(columns)])[order]
        row = np.concatenate([np.arange(len(each["ts"]), dtype=np.int32) for each in columns])[order]
        self._codes = code
        self._rows = row
        self._ts, self._code, self._row = view(self._ts_array), view(code), view(row)
        self._cursor, self._end = 0, len(ts)
        self._first_trade = {role: self.books[role].trades + 1 for role in Role}
        self._read_funding()
        for role in Role:
            trades = self._streams.get((role, StreamKind.TRADE))
            if trades is not None:
                self.books[role].bars.extend(trades["ts"], trades["price"], trades["signed_lots"])  # type: ignore[arg-type]

    def _read_funding(self) -> None:
        funding = self._streams.get((Role.PERP, StreamKind.FUNDING))
        if funding is None:
            return
        for ts, rate in zip(funding["ts"].tolist(), funding["rate_e8"].tolist(), strict=True):
            self.funding_rates[(ts + 5 * MIN) // FUNDING_NS * FUNDING_NS] = rate

    def _skip_to(self, position: int) -> None:
        """Take over the state as of a position without telling anybody."""
        listener, self.listener = self.listener, None
        for place, key in enumerate(self._keys):
            before = np.flatnonzero(self._codes[:position] == place)
            after = np.flatnonzero(self._codes == place)
            if key[1] is StreamKind.OPEN_INTEREST:
                for at in before[:-1].tolist():
                    self.interest_history.append((self._ts[at], self._values[place]["lots"][self._row[at]]))
            if key[1] is StreamKind.TRADE:
                self.books[key[0]].trades += max(0, len(before) - 1)
            chosen = before[-1] if len(before) else after[0] if len(after) and key[1] is not StreamKind.TRADE else None
            if chosen is not None:
                self._apply(place, self._row[int(chosen)], self._ts[int(chosen)])
        self._cursor = position
        for book in self.books.values():
            book.last = book.last or book.mid
        self.listener = listener

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
