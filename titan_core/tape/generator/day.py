"""One day of the market, stream by stream, and the state that it hands to the next."""

import enum
from collections.abc import Iterator

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

from titan_core.model.enums import StreamKind
from titan_core.model.units import MS
from titan_core.tape.generator import derivatives as perpetual
from titan_core.tape.generator.arrivals import Setting, choose_sweeping, make_jumps, make_moves, make_orders, make_quote_times, mean_of
from titan_core.tape.generator.book import BookTables, Quotes, Steps, Trades, free_updates, make_quotes, make_steps, make_trades, rest_sizes
from titan_core.tape.generator.draws import Ints, NormalQuantiles, QuantileTable, child
from titan_core.tape.generator.path import PathState, make_path
from titan_core.tape.generator.profile import MINUTES, PIPS_PER_USDT, REFERENCE_QUOTES_AND_TRADES, SECONDS, BookProfile, MarketProfile
from titan_core.tape.tape import StreamKey

SLOW_ROWS = SECONDS + 300
"""Mark, open interest and funding of a day, roughly."""


class Part(enum.IntEnum):
    """The independent sources of randomness of a day. Values are part of a seed's meaning and never change."""

    PATH = 0
    JUMPS = 1
    BASIS = 2
    SPOT = 3
    PERP = 4
    SLOW = 5


@define
class MarketState:
    """Everything that a day needs from the days before it. `bids` holds each book's last bid in ticks."""

    path: PathState
    derivatives: perpetual.DerivativesState = field(factory=perpetual.DerivativesState)
    bids: dict[str, int] = field(factory=dict)


@frozen(eq=False)
class Tables:
    """The distributions of a market at one density, tabulated once."""

    density: float
    quotes_and_trades: int
    spot: BookTables
    perp: BookTables

    @classmethod
    def of(cls, profile: MarketProfile, ticks_per_day: int) -> "Tables":
        """Tabulate a profile for a number of ticks a day, all streams together."""
        wanted = ticks_per_day - SLOW_ROWS
        density = wanted / REFERENCE_QUOTES_AND_TRADES
        normal = NormalQuantiles()
        return cls(density, wanted, BookTables.of(normal, profile.spot, density), BookTables.of(normal, profile.perp, density))


@frozen(eq=False)
class BookDay:
    """A book's day: the steps behind it and its two streams."""

    steps: Steps
    trades: Trades
    quotes: Quotes
    bid_lots: Ints
    ask_lots: Ints


def make_book(rng: np.random.Generator, tables: BookTables, quotes_and_trades: int, setting: Setting, bid: int) -> BookDay:
    """Make one instrument's day with about as many quotes and trades as its profile's shares of the wanted number."""
    book, arrivals = tables.profile, tables.arrivals
    orders_wanted = int(quotes_and_trades * book.trade_share / 1_000 / mean_of(tables.prints))
    moves = choose_sweeping(rng, make_moves(rng, book, arrivals, setting), int(orders_wanted * book.move_order_share))
    orders = make_orders(rng, arrivals, setting, moves, max(0, orders_wanted - int(moves.by_order.sum())))
    steps = make_steps(rng, tables, moves, orders, bid)
    trades = make_trades(rng, steps)
    wanted = quotes_and_trades * (book.quote_share + book.trade_share) // 1_000 - int(steps.rows.sum()) - len(trades.ts)
    # a tenth more than wanted, because some fall among the rows of a step
    times = make_quote_times(rng, arrivals, setting.path, steps.ts, max(wanted, 0) * 11 // 10)
    quotes = make_quotes(rng, tables, steps, free_updates(steps, times, wanted), bid)
    return BookDay(steps, trades, quotes, *rest_sizes(rng, tables, steps, trades, quotes))


def make_day(profile: MarketProfile, market: Tables, seed: int, day: int, state: MarketState) -> Iterator[tuple[StreamKey, dict[str, Ints]]]:
    """Yield the streams of one day, times counted from its midnight, and advance the state."""
    path = make_path(child(seed, day, Part.PATH), profile.path, state.path)
    jumps = make_jumps(child(seed, day, Part.JUMPS), path, market.density)
    basis = perpetual.make_basis(child(seed, day, Part.BASIS), state.derivatives)
    books: list[BookDay] = []
    # a sweep is the perpetual's: there takers go with it, on the spot market they show whether it will last
    spot = (Part.SPOT, market.spot, np.zeros(MINUTES, np.int64), path.lean)
    for part, tables, own, lean in (spot, (Part.PERP, market.perp, basis, path.sweep)):
        rng, book = child(seed, day, part), tables.profile
        name = book.instrument.id
        bid = state.bids.get(name) or first_bid(book, int(path.pips[0]), int(own[0]))
        made = make_book(rng, tables, market.quotes_and_trades, Setting(path, jumps, own, lean, market.density), bid)
        state.bids[name] = int(made.steps.after[-1]) if len(made.steps.after) else bid
        yield (name, StreamKind.QUOTE), quote_rows(rng, tables.latency, made)
        yield (name, StreamKind.TRADE), trade_rows(rng, tables.latency, made)
        books.append(made)
    rng, name = child(seed, day, Part.SLOW), profile.perp.instrument.id
    yield (name, StreamKind.MARK), perpetual.mark_rows(rng, profile.spot, profile.perp, books[0].quotes, books[1].quotes)
    yield (name, StreamKind.FUNDING), perpetual.funding_rows(rng, state.derivatives)
    forced = perpetual.liquidation_rows(rng, books[1].steps, path)
    yield (name, StreamKind.OPEN_INTEREST), perpetual.open_interest_rows(rng, path, forced, state.derivatives)
    yield (name, StreamKind.LIQUIDATION), forced


def first_bid(book: BookProfile, pips: int, basis: int) -> int:
    """Return the bid with which a market begins."""
    return (pips + pips * basis // 10_000_000) // int(book.instrument.tick_size * PIPS_PER_USDT)


def quote_rows(rng: np.random.Generator, latency: QuantileTable, made: BookDay) -> dict[str, Ints]:
    """Return the columns of the quote stream."""
    quotes = made.quotes
    event = np.maximum.accumulate((quotes.ts - latency.draw(rng, len(quotes.ts))) // MS * MS)
    return {"ts": quotes.ts, "bid": quotes.bid, "ask": quotes.ask, "bid_lots": made.bid_lots, "ask_lots": made.ask_lots, "ts_event": event}


def trade_rows(rng: np.random.Generator, latency: QuantileTable, made: BookDay) -> dict[str, Ints]:
    """Return the columns of the trade stream. All trades of an order carry the same venue time."""
    trades, steps = made.trades, made.steps
    event = np.maximum.accumulate((steps.ts - latency.draw(rng, len(steps.ts))) // MS * MS) if len(steps.ts) else steps.ts
    return {"ts": trades.ts, "price": trades.price, "signed_lots": trades.lots * steps.side[trades.step], "ts_event": event[trades.step]}


def as_columns(raw: dict[str, type[np.generic]], rows: dict[str, Ints], midnight: int) -> dict[str, NDArray[np.generic]]:
    """Convert a stream's rows to a tape's types and to absolute times."""
    shift = {"ts": midnight, "ts_event": midnight}
    return {name: (column + shift.get(name, 0)).astype(raw.get(name, np.int64)) for name, column in rows.items()}
