"""Publishing books: what has changed since the last message, at most every so often.

A *window* holds the best N levels (Bybit: the snapshot comes in the stream, so the net change is enough). A *diff* is over the whole book (Binance, MEXC:
the snapshot is fetched beside the stream, so every level that was touched since the last message must be named, also where it is what it was).
"""

from collections.abc import Callable
from itertools import takewhile

from titan_core.model.enums import Side
from titan_core.simulator.depth import Depth
from titan_core.simulator.ladder import Level
from titan_core.simulator.listings import Listing
from titan_core.simulator.market import Book
from titan_core.simulator.timers import Timers

Levels = list[Level]
SIDES = (Side.BUY, Side.SELL)


class Throttle:
    """Calls `publish` when asked, at once or when the last call was long enough ago."""

    def __init__(self, every_ns: int, now_ns: Callable[[], int], timers: Timers, publish: Callable[[], None]) -> None:
        self._every, self._now, self._timers, self._publish = every_ns, now_ns, timers, publish
        self._free_at = 0
        self._waiting = False

    def ask(self) -> None:
        """Something is to be published."""
        now = self._now()
        if now >= self._free_at:
            self._free_at = now + self._every
            self._publish()
        elif not self._waiting:
            self._waiting = True
            self._timers.call_at(self._free_at, self._due)

    def ask_later(self) -> None:
        """Something is to be published, at the end of a span in any case."""
        if not self._waiting:
            self._waiting = True
            self._timers.call_at(max(self._free_at, self._now() + self._every), self._due)

    def _due(self) -> None:
        self._waiting = False
        self._free_at = self._now() + self._every
        self._publish()


class WindowBook:
    """The best N levels of a book, and what has changed of them."""

    def __init__(self, listing: Listing, depth: Depth, book: Book, levels: int) -> None:
        self.listing, self._depth, self._book, self.levels = listing, depth, book, levels
        self.update_id = 1_000
        self._best = (0, 0, 0, 0)
        self._version = 0
        self._sides: tuple[dict[int, int], dict[int, int]] = ({}, {})

    def refresh(self) -> None:
        """Catch up with the book while nobody listens."""
        if self._version != self._book.version:
            self._read()
            self.update_id += 1

    def snapshot(self) -> tuple[Levels, Levels]:
        """Return the levels as last published."""
        return list(self._sides[0].items()), list(self._sides[1].items())

    def changes(self) -> tuple[Levels, Levels] | None:
        """Return what has changed since the last message (size 0: gone) and count it as published; None where nothing has."""
        if self._version == self._book.version:
            return None
        before, best = self._best, self._depth.best(self.listing)
        old = self._sides
        if best[:2] == before[:2] and self._book.depth is None and old[0]:
            self._version, self._best = self._book.version, best
            found: tuple[Levels, Levels] = ([], [])
            for place in (0, 1):
                if best[place + 2] != before[place + 2]:
                    old[place][best[place]] = best[place + 2]
                    found[place].append((best[place], best[place + 2]))
        else:
            self._read()
            found = (_net(old[0], self._sides[0]), _net(old[1], self._sides[1]))
        if not found[0] and not found[1]:
            return None
        self.update_id += 1
        return found

    def _read(self) -> None:
        self._version, self._best = self._book.version, self._depth.best(self.listing)
        self._sides = (dict(self._depth.levels(self.listing, Side.BUY, self.levels)), dict(self._depth.levels(self.listing, Side.SELL, self.levels)))


def _net(old: dict[int, int], new: dict[int, int]) -> Levels:
    gone = [(price, 0) for price in old if price not in new]
    return gone + [(price, lots) for price, lots in new.items() if old.get(price) != lots]


class DiffBook:
    """The levels of a whole book that were touched since the last message."""

    def __init__(self, listing: Listing, depth: Depth, book: Book) -> None:
        self.listing, self._depth, self._book = listing, depth, book
        self.published = book.version
        best = depth.best(listing)[:2]
        self._touched: tuple[set[int], set[int]] = ({best[0]}, {best[1]})
        self._reach = (best, best)
        self._known_depth = book.depth

    def note(self) -> None:
        """Take in a change of the book."""
        best = self._depth.best(self.listing)[:2]
        for place in (0, 1):
            self._touched[place].add(best[place])
        low, high = self._reach
        self._reach = ((min(low[0], best[0]), min(low[1], best[1])), (max(high[0], best[0]), max(high[1], best[1])))
        if self._book.depth is not self._known_depth:
            for place in (0, 1):
                for depth in (self._known_depth, self._book.depth):
                    if depth is not None:
                        convert = self.listing.bid if place == 0 else self.listing.ask
                        self._touched[place].update(convert(price) for price, _ in depth[place])
            self._known_depth = self._book.depth

    def take(self) -> tuple[int, int, Levels, Levels] | None:
        """Return (first update id, last update id, bids, asks) since the last message; None where the book has not changed."""
        first, last = self.published + 1, self._book.version
        if last < first:
            return None
        best = self._depth.best(self.listing)
        low, high = self._reach
        sides: list[Levels] = []
        for place in (0, 1):
            prices = {*self._depth.between(self.listing, low[place], high[place]), *self._touched[place]}
            self._touched[place].clear()
            self._touched[place].add(best[place])  # may be behind the best price, and off the ladder, by the next message
            sides.append([(price, self._size(price, best, place)) for price in sorted(prices, reverse=place == 0)])
        self._reach = (best[:2], best[:2])
        self.published = last
        return first, last, sides[0], sides[1]

    def _size(self, price: int, best: tuple[int, int, int, int], place: int) -> int:
        ahead = price > best[0] if place == 0 else price < best[1]
        if ahead:
            return 0
        if price == best[place]:
            return best[place + 2]
        if self._book.depth is None:
            return self._depth.size_behind(self.listing, price)
        beyond = (lambda level: level[0] >= price) if place == 0 else (lambda level: level[0] <= price)
        return dict(takewhile(beyond, self._depth.side(self.listing, SIDES[place]))).get(price, 0)
