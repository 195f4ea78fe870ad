"""Order books kept while a recording is read.

Prices and sizes are integers of any fixed scale. `Book` is plain Python: a removed level stays as a level of size 0 until it reaches the top or the next
compaction, since most updates are far from the top and marking them costs one dictionary store. `CompiledBook` does the same in compiled code.
"""

from bisect import insort
from collections.abc import Sequence
from types import ModuleType
from typing import Protocol

import numpy as np
from attrs import frozen

from titan_core.tape.columns import DEPTH_LEVELS
from titan_core.tape.importers.decimals import Ints

ROW = 4 * DEPTH_LEVELS
"""Numbers per row of best levels: bid prices, bid sizes, negated ask prices, ask sizes; missing levels are 0."""

_COMPACT_AFTER = 20_000
_PADDING = (0,) * DEPTH_LEVELS

Levels = tuple[Sequence[int], Sequence[int]]
"""Prices and sizes of some levels of one side."""


@frozen(eq=False)
class LevelRuns:
    """The changed levels of many messages: those of message m are bids[m]:asks[m] and asks[m]:ends[m] of `prices` and `sizes`."""

    bids: Ints
    asks: Ints
    ends: Ints
    prices: Ints
    sizes: Ints


class AnyBook(Protocol):
    """What depth needs of a book."""

    def load(self, bids: Levels, asks: Levels) -> None:
        """Replace everything with a snapshot."""

    def row(self) -> Ints:
        """Return the best levels as ROW numbers."""

    def apply(self, runs: LevelRuns, start: int, stop: int) -> Ints:
        """Apply messages start:stop and return the best levels after each, one row per message."""


class BookSide:
    """One side. Prices are kept so that the best is the largest: the asks of a book go in negated."""

    __slots__ = ("_keys", "_removed", "_sizes")

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}
        self._keys: list[int] = []
        self._removed = 0

    def load(self, prices: Sequence[int], sizes: Sequence[int]) -> None:
        """Replace everything."""
        self._sizes = {price: size for price, size in dict(zip(prices, sizes, strict=True)).items() if size}
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
    """Both sides of one instrument in plain Python."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = BookSide()
        self.asks = BookSide()

    def load(self, bids: Levels, asks: Levels) -> None:
        """Replace the book with a snapshot."""
        self.bids.load(*bids)
        self.asks.load([-price for price in asks[0]], asks[1])

    def update(self, bids: Levels, asks: Levels) -> None:
        """Apply the changed levels."""
        self.bids.update(*bids)
        self.asks.update([-price for price in asks[0]], asks[1])

    def row(self) -> Ints:
        """Return the best levels as ROW numbers."""
        return np.array(self._row(), np.int64)

    def apply(self, runs: LevelRuns, start: int, stop: int) -> Ints:
        """Apply messages start:stop and return the best levels after each, one row per message."""
        flat: list[int] = []
        if stop > start:
            low, high = int(runs.bids[start:stop].min()), int(runs.ends[start:stop].max())
            prices, sizes = runs.prices[low:high].tolist(), runs.sizes[low:high].tolist()
            ranges = zip(*((column[start:stop] - low).tolist() for column in (runs.bids, runs.asks, runs.ends)), strict=True)
            for bids, asks, end in ranges:
                self.update((prices[bids:asks], sizes[bids:asks]), (prices[asks:end], sizes[asks:end]))
                flat += self._row()
        return np.array(flat, np.int64).reshape(-1, ROW)

    def best(self) -> tuple[int, int, int, int]:
        """Return (bid, bid size, ask, ask size); zeros where a side is empty."""
        bids, asks = self.bids.top(1), self.asks.top(1)
        return (*((bids[0][0], bids[1][0]) if bids[0] else (0, 0)), *((-asks[0][0], asks[1][0]) if asks[0] else (0, 0)))

    def _row(self) -> list[int]:
        row: list[int] = []
        for side in (self.bids, self.asks):
            prices, sizes = side.top()
            row += prices
            row += _PADDING[len(prices) :]
            row += sizes
            row += _PADDING[len(sizes) :]
        return row


class CompiledBook:
    """Both sides of one instrument in compiled code; `kernels` is `titan_core.tape.importers.kernels`."""

    def __init__(self, kernels: ModuleType) -> None:
        self._kernels = kernels
        self._sides = [_Arrays(1), _Arrays(-1)]

    def load(self, bids: Levels, asks: Levels) -> None:
        """Replace the book with a snapshot."""
        for side, (prices, sizes) in zip(self._sides, (bids, asks), strict=True):
            side.load(np.array(prices, np.int64), np.array(sizes, np.int64))

    def row(self) -> Ints:
        """Return the best levels as ROW numbers."""
        nothing = np.zeros(1, np.int64)
        row: Ints = self.apply(LevelRuns(nothing, nothing, nothing, nothing[:0], nothing[:0]), 0, 1)[0]
        return row

    def apply(self, runs: LevelRuns, start: int, stop: int) -> Ints:
        """Apply messages start:stop and return the best levels after each, one row per message."""
        out = np.zeros((4, stop - start, DEPTH_LEVELS), np.int64)
        for side, first, last, place in ((self._sides[0], runs.bids, runs.asks, 0), (self._sides[1], runs.asks, runs.ends, 2)):
            done = start
            while done < stop:
                best = out[place, done - start :], out[place + 1, done - start :]
                args = side.keys, side.sizes, side.count, side.sign, first[done:stop], last[done:stop], runs.prices, runs.sizes
                done += self._kernels.apply_levels(*args, *best)
                if done < stop:
                    side.grow(int(last[done] - first[done]))
        return out.transpose(1, 0, 2).reshape(-1, ROW)


class _Arrays:
    """One side as arrays ascending by sign × price."""

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys = np.zeros(8192, np.int64)
        self.sizes = np.zeros(8192, np.int64)
        self.count = np.zeros(1, np.int64)

    def load(self, prices: Ints, sizes: Ints) -> None:
        keys, last = np.unique((prices * self.sign)[::-1], return_index=True)
        if len(keys) > len(self.keys):
            self.grow(len(keys))
        self.keys[: len(keys)], self.sizes[: len(keys)] = keys, sizes[::-1][last]
        self.count[0] = len(keys)

    def grow(self, more: int) -> None:
        room = np.zeros(len(self.keys) + more, np.int64)
        self.keys, self.sizes = np.concatenate([self.keys, room]), np.concatenate([self.sizes, room])
