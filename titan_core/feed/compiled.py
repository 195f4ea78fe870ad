"""Reading Binance Spot frames in compiled code: one call reads a frame, puts it on the grid and, for a book, checks its sequence and applies it.

A frame is held against the shape in which Binance writes it, character by character. What has another shape, does not follow the message before, or lies off
the grid is left to the plain way, so there is one place that knows what an error is. The book is that of the tape's importers. Importing this needs numba.

A frame is followed by a zero byte in memory, as CPython keeps its bytes; no loop reads on beyond one.
"""

import re

import numpy as np
from numba import njit
from numpy.typing import NDArray

from titan_core.errors import UsageError
from titan_core.feed.book import Depth, Levels
from titan_core.model.instrument import Instrument
from titan_core.model.units import INT32_MAX
from titan_core.tape.columns import DEPTH_LEVELS, PRICE_MAX
from titan_core.tape.importers import kernels
from titan_core.tape.importers.decimals import PRICE_DECIMALS, SIZE_DECIMALS
from titan_core.tape.importers.target import fine_unit

TICKER = '"u":$integer,"s":"$symbol","b":"$price","B":"$size","a":"$price","A":"$size"'
TRADE = '"e":"trade","E":$integer,"s":"$symbol","t":$integer,"p":"$price","q":"$size","T":$integer,"m":$flag,"M":$flag'
AGG_TRADE = '"e":"aggTrade","E":$integer,"s":"$symbol","a":$integer,"p":"$price","q":"$size","f":$integer,"l":$integer,"T":$integer,"m":$flag,"M":$flag'
DEPTH = '"e":"depthUpdate","E":$integer,"s":"$symbol","U":$integer,"u":$integer,"b":$levels,"a":$levels'
"""The members of each message, in the order in which Binance writes them."""
MOST_LEVELS = 1 << 14
LONGEST = 8 * MOST_LEVELS
"""No message of this length has more levels than there is room for: one is written with at least ten characters."""
LEAST_ROOM = 8192
COUNT, KEYS, VALUES = 0, 1, 2
_INTEGER, _PRICE, _SIZE, _FLAG, _LEVELS = -1, -2, -3, -4, -5
_SLOTS = {"$integer": _INTEGER, "$price": _PRICE, "$size": _SIZE, "$flag": _FLAG, "$levels": _LEVELS}
_TICK, _LOT, _LEVELS_AT, _SHAPE = 16, 17, 18, 19
"""Places in a room: values found, units of tick and lot on the fine scale, where levels go (prices, then sizes `MOST_LEVELS` further on), then characters of
the shape, with slots as negative numbers, and a zero."""
_QUOTE_MARK, _COMMA, _DOT, _OPEN, _CLOSE, _ZERO, _NINE, _T = 34, 44, 46, 91, 93, 48, 57, 116
_MOST_DIGITS = 18
_TENS = 10 ** np.arange(PRICE_DECIMALS + 1, dtype=np.int64)
_LARGEST = np.int64(9_223_372_036_854_775_807) // _TENS

Ints = NDArray[np.int64]


# -- frames ---------------------------------------------------------------------------------------------------------
@njit(cache=True, inline="always")
def _integer(data, at):  # type: ignore[no-untyped-def]
    """Read an integer as JSON writes it; return (value, place after it), the value being -1 for anything else."""
    i, value = at, 0
    while _ZERO <= data[i] <= _NINE:
        value, i = value * 10 + (data[i] - _ZERO), i + 1
    return (value if 0 < i - at <= _MOST_DIGITS and (data[at] != _ZERO or i == at + 1) else -1), i


@njit(cache=True, inline="always")
def _decimal(data, at, scale):  # type: ignore[no-untyped-def]
    """Read a decimal number up to a quotation mark as an integer of 10^-scale; return (value, place of the mark), the value being -1 for anything else."""
    i, value = at, 0
    while _ZERO <= data[i] <= _NINE:
        value, i = value * 10 + (data[i] - _ZERO), i + 1
    digits, decimals = i - at, 0
    if data[i] == _DOT:
        i += 1
        point = i
        while _ZERO <= data[i] <= _NINE:
            value, i = value * 10 + (data[i] - _ZERO), i + 1
        decimals = i - point
        digits += decimals
    if data[i] != _QUOTE_MARK or digits == 0 or digits > _MOST_DIGITS or decimals > scale or value > _LARGEST[scale - decimals]:
        return -1, i
    return value * _TENS[scale - decimals], i


@njit(cache=True, inline="always")
def _steps(value, unit, most):  # type: ignore[no-untyped-def]
    """Return a fine integer in whole steps, -1 where it lies between two, is too large or negative."""
    steps = value // unit
    return steps if steps * unit == value and 0 <= steps <= most else -1


@njit(cache=True, inline="always")
def _nearest(value, unit, most):  # type: ignore[no-untyped-def]
    """Return a fine integer in the nearest step (halves to even), -1 where it is too large or negative."""
    steps = value // unit
    rest = value - steps * unit
    if rest != 0 and (2 * rest > unit or (2 * rest == unit and steps % 2 != 0)):
        steps += 1
    return steps if 0 <= value and steps <= most else -1


@njit(cache=True)
def _flag(data, at):  # type: ignore[no-untyped-def]
    """Read `true` or `false`; return (1 or 0, place after it), the value being -1 for anything else."""
    yes = data[at] == _T
    for i, code in enumerate((116, 114, 117, 101) if yes else (102, 97, 108, 115)):
        if data[at + i] != code:
            return -1, at
    if yes:
        return 1, at + 4
    return (0, at + 5) if data[at + 4] == 101 else (-1, at)


@njit(cache=True)
def _levels(data, at, room, count):  # type: ignore[no-untyped-def]
    """Read `[["price","size"],...]`; return (number of levels so far, place after it), the number being -1 for anything else."""
    if data[at] != _OPEN:
        return -1, at
    i, to = at + 1, room[_LEVELS_AT]
    if data[i] == _CLOSE:
        return count, i + 1
    while data[i] == _OPEN and data[i + 1] == _QUOTE_MARK:
        price, i = _decimal(data, i + 2, PRICE_DECIMALS)
        if price < 0 or data[i + 1] != _COMMA or data[i + 2] != _QUOTE_MARK:
            return -1, i
        size, i = _decimal(data, i + 3, SIZE_DECIMALS)
        price, size = _steps(price, room[_TICK], PRICE_MAX), _nearest(size, room[_LOT], INT32_MAX)
        if price < 0 or size < 0 or data[i + 1] != _CLOSE:
            return -1, i
        room[to + count], room[to + MOST_LEVELS + count] = price, size
        count, i = count + 1, i + 3
        if data[i - 1] != _COMMA:
            return (count if data[i - 1] == _CLOSE else -1), i
    return -1, i


@njit(cache=True, inline="always")
def _read(data, room):  # type: ignore[no-untyped-def]
    """Read a frame into the values of its slots, prices in ticks and sizes in lots; return whether it is of that shape and on the grid."""
    i, place, value, count, at = 0, 0, 0, 0, _SHAPE
    while room[at] != 0:
        code, at = room[at], at + 1
        if code > 0:
            if data[i] != code:
                return False
            i += 1
            continue
        if code == _INTEGER:
            value, i = _integer(data, i)
        elif code == _PRICE:
            value, i = _decimal(data, i, PRICE_DECIMALS)
            value = _steps(value, room[_TICK], PRICE_MAX)
        elif code == _SIZE:
            value, i = _decimal(data, i, SIZE_DECIMALS)
            value = _steps(value, room[_LOT], INT32_MAX)
        elif code == _FLAG:
            value, i = _flag(data, i)
        else:
            value, i = _levels(data, i, room, count)
            count = value
        if value < 0:
            return False
        room[place], place = value, place + 1
    return i == len(data)


@njit(cache=True)
def ticker(data, room):  # type: ignore[no-untyped-def]
    """Read a `bookTicker` frame; return bid, ask, bid lots, ask lots, or a bid of 0 for the plain way."""
    if not _read(data, room) or not 0 < room[1] < room[3]:
        return 0, 0, 0, 0
    return room[1], room[3], room[2], room[4]


@njit(cache=True)
def trade(data, room):  # type: ignore[no-untyped-def]
    """Read a `trade` frame; return id, time in ms, price, signed lots, or an id of -1 for the plain way."""
    if not _read(data, room) or room[2] == 0 or room[3] == 0:
        return -1, 0, 0, 0
    return room[1], room[4], room[2], -room[3] if room[5] else room[3]


@njit(cache=True)
def agg_trade(data, room):  # type: ignore[no-untyped-def]
    """Read an `aggTrade` frame as `trade` does."""
    if not _read(data, room) or room[2] == 0 or room[3] == 0:
        return -1, 0, 0, 0
    return room[1], room[6], room[2], -room[3] if room[7] else room[3]


@njit(cache=True)
def depth(data, room, known, sides, told):  # type: ignore[no-untyped-def]
    """Take in a difference that follows id `known` and write the best levels to `told`; return its last id and its time in ms, or -1 for the plain way."""
    if len(data) > LONGEST or not _read(data, room):
        return -1, 0
    sent_ms, first, last, middle, stop = room[0], room[1], room[2], room[3], room[4]
    bids, asks = sides[0], sides[1]
    if first != known + 1 or last < first or bids.shape[1] - bids[COUNT, 0] < stop or asks.shape[1] - asks[COUNT, 0] < stop:
        return -1, 0
    prices, sizes = room[room[_LEVELS_AT] :], room[room[_LEVELS_AT] + MOST_LEVELS :]
    _apply(bids, 1, prices, sizes, 0, middle)
    _apply(asks, -1, prices, sizes, middle, stop)
    best(sides, told)
    return last, sent_ms


def room_for(key: bytes, members: str, instrument: Instrument) -> Ints | None:
    """Make the room that the readers of a topic need, whose frames begin with `key` and have those members; None where the grid is too fine for them."""
    try:
        units = fine_unit(instrument.tick_size, PRICE_DECIMALS), fine_unit(instrument.lot_size, SIZE_DECIMALS)
    except UsageError:
        return None
    shape = [*key, *b'","data":{']
    for part in re.split(r"(\$\w+)", members.replace("$symbol", instrument.symbol)):
        shape += [_SLOTS[part]] if part in _SLOTS else part.encode()
    shape += b"}}\0"
    most = 2 * MOST_LEVELS if _LEVELS in shape else 0
    room = np.zeros(_SHAPE + len(shape) + most, np.int64)
    room[_TICK:_SHAPE] = *units, _SHAPE + len(shape)
    room[_SHAPE : _SHAPE + len(shape)] = shape
    return room


# -- the book -------------------------------------------------------------------------------------------------------
@njit(cache=True)
def _apply(side, sign, prices, sizes, start, stop):  # type: ignore[no-untyped-def]
    """Apply levels to one side; return whether they found room."""
    keys, values, count = side[KEYS], side[VALUES], side[COUNT, 0]
    room = len(keys) - (stop - start)
    if count > room:
        count = kernels.spread(keys, values, count)
        if count > room:
            side[COUNT, 0] = count
            return False
    worn = 0
    for i in range(start, stop):
        count, moved = kernels.set_level(keys, values, count, sign * prices[i], sizes[i])
        worn += moved
    side[COUNT, 0] = count
    side[COUNT, 1] += worn
    return True


@njit(cache=True)
def _top(side, sign, prices, sizes):  # type: ignore[no-untyped-def]
    """Write the best levels of one side, and tidy it up where that is due."""
    keys, values = side[KEYS], side[VALUES]
    prices[:], sizes[:] = 0, 0
    count, skipped = kernels.best_levels(keys, values, side[COUNT, 0], prices, sizes)
    if skipped > 64 or side[COUNT, 1] > count:
        count = kernels.spread(keys, values, count)
        side[COUNT, 1] = 0
    side[COUNT, 0] = count
    for i in range(len(prices)):
        prices[i] *= sign


@njit(cache=True)
def best(sides, told):  # type: ignore[no-untyped-def]
    """Write the best levels of both sides in four rows: bid prices, bid sizes, ask prices, ask sizes; 0 where there is no level."""
    _top(sides[0], 1, told[0], told[1])
    _top(sides[1], -1, told[2], told[3])


class CompiledSides:
    """Both sides of a book as arrays: the number of levels in the first row, keys ascending by sign × price in the second, sizes in the third."""

    def __init__(self) -> None:
        self.sides = np.zeros((2, 3, LEAST_ROOM), np.int64)
        self.told = np.zeros((4, DEPTH_LEVELS), np.int64)
        """The best levels as they were told last."""

    def load(self, bids: Levels, asks: Levels) -> None:
        """Replace everything."""
        room = max(LEAST_ROOM, 2 * len(bids[0]), 2 * len(asks[0]))
        self.sides = np.zeros((2, 3, room), np.int64)
        for side, levels, sign in ((self.sides[0], bids, 1), (self.sides[1], asks, -1)):
            prices, sizes = (np.array(column, np.int64) for column in levels)
            keys, last = np.unique((prices * sign)[::-1], return_index=True)
            side[KEYS, : len(keys)], side[VALUES, : len(keys)] = keys, sizes[::-1][last]
            side[COUNT, 0] = len(keys)

    def update(self, bids: Levels, asks: Levels) -> None:
        """Set the size of each level; 0 removes it."""
        for place, levels, sign in ((0, bids, 1), (1, asks, -1)):
            prices, sizes = (np.array(column, np.int64) for column in levels)
            while not _apply(self.sides[place], sign, prices, sizes, 0, len(prices)):
                self.sides = np.concatenate([self.sides, np.zeros_like(self.sides)], axis=2)

    def best(self) -> tuple[int, int, int, int]:
        """Return bid, ask, bid lots, ask lots; 0 where a side is empty."""
        bids, bid_lots, asks, ask_lots = self.depth()
        return bids[0], asks[0], bid_lots[0], ask_lots[0]

    def depth(self) -> Depth:
        """Return the ten best levels of either side."""
        best(self.sides, self.told)
        bids, bid_lots, asks, ask_lots = self.told.tolist()
        return bids, bid_lots, asks, ask_lots

    def levels(self) -> tuple[dict[int, int], dict[int, int]]:
        """Return the size of every level by price, bids and asks."""
        found = []
        for side, sign in ((self.sides[0], 1), (self.sides[1], -1)):
            count = int(side[COUNT, 0])
            rows = zip(side[KEYS, :count].tolist(), side[VALUES, :count].tolist(), strict=True)
            found.append({sign * key: size for key, size in rows if size})
        return found[0], found[1]


def warm_up() -> None:
    """Call everything once, so that the first frames do not wait for it: seconds the first time on a machine, some tenths of one after that."""
    room, sides = np.ones(_SHAPE + 1, np.int64), CompiledSides()
    for read in (ticker, trade, agg_trade):
        read(b"", room)
    depth(b"", room, 0, sides.sides, sides.told)
    sides.update(([1], [1]), ([2], [1]))
    sides.depth()
