"""Order books that know whether they can be trusted: every message carries the ids it covers, and one that does not follow makes the book unreadable.

A message that covers ids `first` to `last` sets levels to their sizes as of `last`, so it may be applied to a book as of `have` exactly where
first <= have + 1 <= last. Older ones are repetitions, newer ones prove a loss.

- Bybit sends snapshots in the stream and one id per message (`u`): a snapshot makes the book readable at once.
- Binance (`U`..`u`) and MEXC (`begin`..`end`, or `version`) send differences only; the snapshot comes by REST. Differences are kept until it is there, and the
  book is readable once one of them joins it: covers the id after the snapshot's ("How to manage a local order book correctly"). Such a snapshot holds so many
  levels and no more. What rests beyond them is unknown until it changes, and prices wander: where the best levels come to lie out there the book is *worn*, and
  needs another snapshot, though its sequence is whole.
"""

from collections import deque
from collections.abc import Sequence
from enum import IntEnum
from typing import Protocol

from titan_core.tape.columns import DEPTH_LEVELS, PRICE_MAX
from titan_core.tape.importers.book import Book, BookSide

Levels = tuple[Sequence[int], Sequence[int]]
"""Prices in ticks and sizes in lots of some levels of one side; size 0 removes a level."""
Depth = tuple[list[int], list[int], list[int], list[int]]
"""The ten best levels as a depth row has them: bid prices, bid lots, ask prices, ask lots; 0 where there is no level."""

KEPT = 4096
"""Differences kept while there is no snapshot: minutes, where a venue sends one each 100 ms."""

CUT_OFF = 100
"""A side of a snapshot with at least so many levels may have been cut off; the venues are asked for a thousand."""


class Outcome(IntEnum):
    """What a message did to a book."""

    APPLIED = 0
    """The book is readable and includes the message."""
    REPEATED = 1
    """Everything in it was known; the book is as it was."""
    WAITING = 2
    """The book is not readable; the message was kept where it can be of use once a snapshot comes."""
    UNFIT = 3
    """The snapshot at hand is older than the differences at hand: another one is needed."""
    BROKEN = 4
    """Ids are missing. The book is not readable until it has a new snapshot."""


class Sides(Protocol):
    """Both sides of a book without any sequence, in plain Python or compiled."""

    def load(self, bids: Levels, asks: Levels) -> None:
        """Replace everything."""
        ...

    def update(self, bids: Levels, asks: Levels) -> None:
        """Set the size of each level; 0 removes it."""
        ...

    def best(self) -> tuple[int, int, int, int]:
        """Return bid, ask, bid lots, ask lots; 0 where a side is empty."""
        ...

    def depth(self) -> Depth:
        """Return the ten best levels of either side."""
        ...

    def levels(self) -> tuple[dict[int, int], dict[int, int]]:
        """Return the lots of every level by price, bids and asks."""
        ...


class PlainSides(Book):
    """Both sides in plain Python."""

    def best(self) -> tuple[int, int, int, int]:
        """See Sides.best."""
        bid, bid_lots, ask, ask_lots = super().best()
        return bid, ask, bid_lots, ask_lots

    def depth(self) -> Depth:
        """See Sides.depth."""
        bids, bid_lots = _padded(self.bids)
        asks, ask_lots = _padded(self.asks)
        return bids, bid_lots, [-price for price in asks], ask_lots

    def levels(self) -> tuple[dict[int, int], dict[int, int]]:
        """See Sides.levels."""
        bids, asks = (side.top(1 << 30) for side in (self.bids, self.asks))
        return dict(zip(*bids, strict=True)), {-price: size for price, size in zip(*asks, strict=True)}


class SequencedBook:
    """One book. `joins` says that snapshots come from elsewhere and must be joined to the stream of differences."""

    __slots__ = ("_kept", "_reach", "_sides", "_snapshot", "joins", "last", "readable", "worn")

    def __init__(self, joins: bool, sides: Sides | None = None) -> None:
        self.joins = joins
        self.readable = False
        """Whether the book is complete as of `last`."""
        self.last: int | None = None
        """The newest id seen; None before the first."""
        self.worn = False
        """Whether the best levels were found to reach beyond what the snapshot told. See `wear`."""
        self._reach: tuple[int, int] | None = None
        self._sides = PlainSides() if sides is None else sides
        self._kept: deque[tuple[int, int, Levels, Levels]] = deque(maxlen=KEPT)
        self._snapshot: int | None = None

    def lose(self) -> None:
        """Forget everything: messages may have been lost."""
        self.readable = self.worn = False
        self.last = self._snapshot = None
        self._kept.clear()

    def delta(self, first: int, last: int, bids: Levels, asks: Levels) -> Outcome:
        """Take in a difference that covers the ids `first` to `last`."""
        known = self.last
        if known is not None:
            if last <= known:
                return Outcome.REPEATED
            if first > known + 1:
                self.lose()
                self._keep(first, last, bids, asks)
                return Outcome.BROKEN
        if self.readable:
            self._sides.update(bids, asks)
            self.last = last
            if self.worn:
                self._kept.append((first, last, bids, asks))
            return Outcome.APPLIED
        if self._snapshot is None:
            self._keep(first, last, bids, asks)
            return Outcome.WAITING
        self.last = last
        return self._join(first, last, bids, asks)

    def snapshot(self, update_id: int, bids: Levels, asks: Levels) -> Outcome:
        """Take in a whole book as of `update_id`."""
        if not self.joins:
            self._sides.load(bids, asks)
            self.last = update_id
            self.readable = True
            return Outcome.APPLIED
        if self.readable:
            if not self.worn:
                return Outcome.REPEATED
            if self._kept and self._kept[0][0] > update_id + 1:
                return Outcome.UNFIT
            self.readable = self.worn = False
        self._sides.load(bids, asks)
        self._reach = _reach(bids, asks)
        self._snapshot = update_id
        outcome = Outcome.WAITING
        for message in self._kept:
            outcome = self._join(*message)
            if outcome is Outcome.UNFIT:
                return outcome
        self._kept.clear()
        return outcome

    def wear(self, bid: int, ask: int) -> bool:
        """Return whether a bid and an ask among the best levels (0: there is none) lie beyond what the snapshot told. The book is worn while they do."""
        if self._reach is None:
            return False
        lowest, highest = self._reach
        worn = bid < lowest or ask > highest or (not ask and highest < PRICE_MAX)
        if self.worn and not worn:
            self._kept.clear()
        self.worn = worn
        return worn

    def depth(self) -> Depth:
        """Return the ten best levels of either side. Raises ValueError while the book cannot be read."""
        self._check()
        return self._sides.depth()

    def best(self) -> tuple[int, int, int, int]:
        """Return bid, ask, bid lots, ask lots; 0 where a side is empty. Raises ValueError while the book cannot be read."""
        self._check()
        return self._sides.best()

    def levels(self) -> tuple[dict[int, int], dict[int, int]]:
        """Return the lots of every level by price, bids and asks. Raises ValueError while the book cannot be read."""
        self._check()
        return self._sides.levels()

    def _check(self) -> None:
        if not self.readable:
            raise ValueError("the book has lost its sequence; it can be read again after a snapshot")

    def _keep(self, first: int, last: int, bids: Levels, asks: Levels) -> None:
        if self.joins:
            self.last = last
            self._kept.append((first, last, bids, asks))

    def _join(self, first: int, last: int, bids: Levels, asks: Levels) -> Outcome:
        """Apply a message to the loaded snapshot, or to what earlier messages have made of it."""
        snapshot = self._snapshot
        if not self.readable:
            assert snapshot is not None
            if last <= snapshot:
                return Outcome.WAITING
            if first > snapshot + 1:
                self._snapshot = None
                if not self._kept:
                    self._keep(first, last, bids, asks)
                return Outcome.UNFIT
            self.readable = True
            self._snapshot = None
        self._sides.update(bids, asks)
        return Outcome.APPLIED


def _reach(bids: Levels, asks: Levels) -> tuple[int, int]:
    """Return the lowest bid and the highest ask that a snapshot tells of; a side with few levels is taken for whole."""
    return min(bids[0]) if len(bids[0]) >= CUT_OFF else 0, max(asks[0]) if len(asks[0]) >= CUT_OFF else PRICE_MAX


def _padded(side: BookSide) -> tuple[list[int], list[int]]:
    prices, sizes = side.top()
    lack = DEPTH_LEVELS - len(prices)
    if lack:
        return prices + [0] * lack, sizes + [0] * lack
    return prices, sizes
