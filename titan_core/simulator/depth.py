"""A listing's book as of now: the market's best prices on the listing's grid, and the depth behind them."""

from collections.abc import Iterator, Mapping
from itertools import islice

from titan_core.model.enums import Side
from titan_core.model.ids import InstrumentId
from titan_core.simulator.ladder import MAX_LEVELS, Ladder, Level
from titan_core.simulator.listings import Listing, Role
from titan_core.simulator.market import Market

TYPICAL_COIN_LOTS = {Role.SPOT: 30_000, Role.PERP: 800}
"""Mean size of a level behind the best one, in lots of the market's own books (0.3 and 0.8 BTC)."""
LEVELS_PER_BP = 50
"""How close levels lie where the tick would let them lie closer; books of fine ticks have holes."""


class Depth:
    """All books of the box."""

    def __init__(self, market: Market, seed: int, first: Mapping[Role, int] | None = None) -> None:
        self._market, self._seed = market, seed
        self.first = dict(first or {role: book.bid for role, book in market.books.items()})
        """The bids with which the box began: they say how close levels lie."""
        self._ladders: dict[InstrumentId, Ladder] = {}

    def best(self, listing: Listing) -> tuple[int, int, int, int]:
        """Return (bid, ask, bid lots, ask lots)."""
        book = self._market.books[listing.role]
        bid, ask = listing.bid(book.bid), listing.ask(book.ask)
        return bid, max(ask, bid + 1), listing.lots(book.bid_lots), listing.lots(book.ask_lots)

    def last(self, listing: Listing) -> int:
        """Return the price of the last trade."""
        return listing.bid(self._market.books[listing.role].last)

    def marks(self, listing: Listing) -> tuple[int, int]:
        """Return mark and index price; for a spot instrument the middle of its book, twice."""
        if listing.role is Role.SPOT:
            mid = listing.bid(self._market.books[listing.role].mid)
            return mid, mid
        mark, index = self._market.marks()
        return listing.bid(mark), listing.bid(index)

    def size_behind(self, listing: Listing, price: int) -> int:
        """Return what rests at a price behind the best one."""
        return self._ladder(listing).size(price)

    def between(self, listing: Listing, low: int, high: int) -> range:
        """Return the prices from `low` to `high` at which something may rest behind the best price."""
        stride = self._ladder(listing).stride
        return range(-(-low // stride) * stride, high + 1, stride)

    def side(self, listing: Listing, side: Side) -> Iterator[Level]:
        """Yield the levels of the bids (`Side.BUY`) or asks, best first."""
        book = self._market.books[listing.role]
        bid, ask, bid_lots, ask_lots = self.best(listing)
        step, best, lots = (-1, bid, bid_lots) if side is Side.BUY else (1, ask, ask_lots)
        yield best, lots
        count = MAX_LEVELS - 1
        if book.depth is not None:
            convert = listing.bid if side is Side.BUY else listing.ask
            for price, size in book.depth[0 if side is Side.BUY else 1]:
                converted = convert(price)
                if (converted - best) * step > 0:
                    yield converted, listing.lots(size)
                    best, count = converted, count - 1
        yield from self._ladder(listing).behind(best, step, count)

    def levels(self, listing: Listing, side: Side, count: int) -> list[Level]:
        """Return the best `count` levels of one side."""
        return list(islice(self.side(listing, side), count))

    def _ladder(self, listing: Listing) -> Ladder:
        found = self._ladders.get(listing.instrument.id)
        if found is None:
            stride = listing.bid(self.first[listing.role]) // (10_000 * LEVELS_PER_BP)
            found = self._ladders[listing.instrument.id] = Ladder(listing.lots(TYPICAL_COIN_LOTS[listing.role]), self._seed, stride)
        return found
