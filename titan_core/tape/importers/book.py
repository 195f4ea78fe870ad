"""Order books kept while a recording is read, cheap enough for hundreds of thousands of levels a second in plain Python.

Prices and sizes are integers of any fixed scale. A removed level stays as a level of size 0 until it reaches the top or the next compaction: most
updates are far from the top, and marking them costs one dictionary store.
"""

from bisect import insort
from collections.abc import Sequence

from titan_core.tape.columns import DEPTH_LEVELS

_COMPACT_AFTER = 20_000
_PADDING = (0,) * DEPTH_LEVELS


class BookSide:
    """One side. Prices are kept so that the best is the largest: the asks of a book go in negated."""

    __slots__ = ("_keys", "_removed", "_sizes")

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}
        self._keys: list[int] = []
        self._removed = 0

    def load(self, prices: Sequence[int], sizes: Sequence[int]) -> None:
        """Replace everything."""
        self._sizes = {price: size for price, size in zip(prices, sizes, strict=True) if size}
        self._keys = sorted(self._sizes)
        self._removed = 0

    def update(self, prices: Sequence[int], sizes: Sequence[int]) -> None:
        """Set the size of each level; 0 removes it."""
        known, keys = self._sizes, self._keys
        for price, size in zip(prices, sizes, strict=True):
            if price in known:
                known[price] = size
                if not size:
                    self._removed += 1
            elif size:
                known[price] = size
                insort(keys, price)
        if self._removed > _COMPACT_AFTER:
            self.load(list(known), list(known.values()))

    def top(self, levels: int = DEPTH_LEVELS) -> tuple[list[int], list[int]]:
        """Return up to `levels` (prices, sizes), best first."""
        keys, known = self._keys, self._sizes
        prices = keys[: -levels - 1 : -1]
        sizes = [known[price] for price in prices]
        if all(sizes):
            return prices, sizes
        prices, sizes = [], []
        place = len(keys) - 1
        while place >= 0 and len(prices) < levels:
            price = keys[place]
            size = known[price]
            if size:
                prices.append(price)
                sizes.append(size)
            else:
                del keys[place], known[price]
            place -= 1
        return prices, sizes


class Book:
    """Both sides of one instrument."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = BookSide()
        self.asks = BookSide()

    def load(self, bids: "Levels", asks: "Levels") -> None:
        """Replace the book with a snapshot."""
        self.bids.load(*bids)
        self.asks.load([-price for price in asks[0]], asks[1])

    def update(self, bids: "Levels", asks: "Levels") -> None:
        """Apply the changed levels."""
        self.bids.update(*bids)
        self.asks.update([-price for price in asks[0]], asks[1])

    def row(self) -> list[int]:
        """Return the best levels as 4 × DEPTH_LEVELS numbers: bid prices, bid sizes, negated ask prices, ask sizes; missing ones 0."""
        row: list[int] = []
        for side in (self.bids, self.asks):
            prices, sizes = side.top()
            row += prices
            row += _PADDING[len(prices) :]
            row += sizes
            row += _PADDING[len(sizes) :]
        return row

    def best(self) -> tuple[int, int, int, int]:
        """Return (bid, bid size, ask, ask size); zeros where a side is empty."""
        bids, asks = self.bids.top(1), self.asks.top(1)
        return (*((bids[0][0], bids[1][0]) if bids[0] else (0, 0)), *((-asks[0][0], asks[1][0]) if asks[0] else (0, 0)))


Levels = tuple[Sequence[int], Sequence[int]]
"""Prices and sizes of some levels of one side."""
