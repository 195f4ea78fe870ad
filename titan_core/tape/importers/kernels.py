"""Compiled forms of the two hot loops of a Binance import: reading lines, and keeping the book.

`scan` understands combined-stream lines written exactly as Binance writes them, without a blank, and calls everything else odd: odd lines go through the
ordinary decoder, so there is one place that knows what an error is. Importing this module needs numba; `fast.py` does without where it is absent.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

ODD, QUOTE, TRADE, AGG_TRADE, DEPTH = 0, 1, 2, 3, 4
ID, ID_LAST, ID_BEFORE, EVENT, TRANSACTION, V0, V1, V2, V3, LEVELS_FROM, BIDS_TO, ASKS_TO, FLAG = range(13)
FIELDS = 13
"""What is kept of a line: ids, times, up to four numbers (prices, then sizes), where its levels begin and end, the maker flag."""
ORIGIN, NOWHERE = 30, -1
"""Places of members that are looked at but not kept, and of those that are passed over."""
NAME_FROM, NAME_TO, HEADER_FROM, HEADER_SIZE, KIND = range(5)
STREAM_FIELDS = 5
"""What is noted of a stream: where its name stands, how its messages begin, what kind it is."""
MOST_STREAMS = 32
_PRICE_SCALE, _SIZE_SCALE, _MOST_DIGITS = 10, 8, 18
_TENS = 10 ** np.arange(_PRICE_SCALE + 1, dtype=np.int64)
_LARGEST = np.int64(9_223_372_036_854_775_807) // _TENS


def _place_table() -> NDArray[np.int64]:
    """Return where the value of each one-letter member goes, by kind of line."""
    table = np.full((5, 128), NOWHERE, np.int64)
    names = {
        QUOTE: {"u": ID, "b": V0, "a": V1, "B": V2, "A": V3},
        TRADE: {"t": ID, "p": V0, "q": V1, "m": FLAG, "X": ORIGIN},
        AGG_TRADE: {"a": ID, "p": V0, "q": V1, "m": FLAG},
        DEPTH: {"U": ID, "u": ID_LAST, "b": BIDS_TO, "a": ASKS_TO},
    }
    for kind, places in names.items():
        for name, place in {"E": EVENT, "T": TRANSACTION, **places}.items():
            table[kind, ord(name)] = place
    return table


_PLACES = _place_table()
_PLAIN = np.array([32 <= c < 127 and c not in b'"\\' for c in range(256)])
"""Characters that stand for themselves inside a JSON string."""
_PREFIX = np.frombuffer(b'{"stream":"', np.uint8)
_DATA = np.frombuffer(b'","data":{', np.uint8)
_BOOK_TICKER = np.frombuffer(b"bookTicker", np.uint8)
_TRADE = np.frombuffer(b"trade", np.uint8)
_AGG_TRADE = np.frombuffer(b"aggTrade", np.uint8)
_DEPTH = np.frombuffer(b"depth", np.uint8)
_TRUE = np.frombuffer(b"true", np.uint8)
_FALSE = np.frombuffer(b"false", np.uint8)
_MARKET = np.frombuffer(b"MARKET", np.uint8)
_PU = 256 * ord("p") + ord("u")
_NEWLINE, _SPACE, _QUOTE_MARK, _COMMA, _COLON, _DOT = 10, 32, 34, 44, 58, 46
_OPEN, _CLOSE, _END, _ZERO = 91, 93, 125, 48


@njit(cache=True, inline="always")
def _starts_with(data, at, text):  # type: ignore[no-untyped-def]
    for i in range(len(text)):
        if data[at + i] != text[i]:
            return False
    return True


@njit(cache=True, inline="always")
def _integer(data, at):  # type: ignore[no-untyped-def]
    """Read digits from `at`; return (value, end of the digits), the end being `at` where there are none or too many."""
    value, i = 0, at
    while _ZERO <= data[i] <= 57:
        value = value * 10 + (data[i] - _ZERO)
        i += 1
    return (value, i) if i - at <= _MOST_DIGITS + 1 and value >= 0 else (0, at)


@njit(cache=True, inline="always")
def _decimal(data, at, scale):  # type: ignore[no-untyped-def]
    """Read a decimal number up to its closing quote as an integer of 10^-scale.

    Returns (value, position of the quote); the value is -1 where it is not a plain, small, unsigned number.
    """
    i, value = at, 0
    c = data[i]
    while _ZERO <= c <= 57:
        value = value * 10 + (c - _ZERO)
        i += 1
        c = data[i]
    digits, decimals = i - at, 0
    if c == _DOT:
        i += 1
        point = i
        c = data[i]
        while _ZERO <= c <= 57:
            value = value * 10 + (c - _ZERO)
            i += 1
            c = data[i]
        decimals = i - point
        digits += decimals
    if c != _QUOTE_MARK or digits == 0 or digits > _MOST_DIGITS or decimals > scale or value > _LARGEST[scale - decimals]:
        return -1, i
    return value * _TENS[scale - decimals], i


@njit(cache=True, inline="always")
def _closing_quote(data, at):  # type: ignore[no-untyped-def]
    """Return where the string that begins at `at` ends, or -1 where it has anything but plain characters or no end on its line."""
    i = at
    while _PLAIN[data[i]]:
        i += 1
    return i if data[i] == _QUOTE_MARK else -1


@njit(cache=True)
def _levels(data, at, prices, sizes, count):  # type: ignore[no-untyped-def]
    """Read `[["price","size"],...]` from the opening bracket on; return (position after it, levels so far), position -1 for anything else."""
    i = at + 1
    if data[i] == _CLOSE:
        return i + 1, count
    while data[i] == _OPEN and data[i + 1] == _QUOTE_MARK:
        price, i = _decimal(data, i + 2, _PRICE_SCALE)
        if price < 0 or data[i + 1] != _COMMA or data[i + 2] != _QUOTE_MARK:
            return -1, count
        size, i = _decimal(data, i + 3, _SIZE_SCALE)
        if size < 0 or data[i + 1] != _CLOSE:
            return -1, count
        prices[count], sizes[count] = price, size
        count += 1
        i += 3
        if data[i - 1] == _CLOSE:
            return i, count
        if data[i - 1] != _COMMA:
            return -1, count
    return -1, count


@njit(cache=True, inline="always")
def _kind(data, at, stop):  # type: ignore[no-untyped-def]
    """Tell the kind of a stream from the part of its name after the symbol."""
    size = stop - at
    if size == len(_BOOK_TICKER) and _starts_with(data, at, _BOOK_TICKER):
        return QUOTE
    if size == len(_TRADE) and _starts_with(data, at, _TRADE):
        return TRADE
    if size == len(_AGG_TRADE) and _starts_with(data, at, _AGG_TRADE):
        return AGG_TRADE
    if size >= len(_DEPTH) and _starts_with(data, at, _DEPTH) and (size == len(_DEPTH) or data[at + len(_DEPTH)] == 64):
        return DEPTH
    return ODD


@njit(cache=True, inline="always")
def _stream(data, at, streams, known):  # type: ignore[no-untyped-def]
    """Return the number of the stream whose messages begin like the text at `at`, or -1 for a beginning not seen before."""
    for number in range(known):
        begin, size = streams[number, HEADER_FROM], streams[number, HEADER_SIZE]
        i = 0
        while i < size and data[begin + i] == data[at + i]:
            i += 1
        if i == size:
            return number
    return -1


@njit(cache=True, inline="always")
def _new_stream(data, at, streams, known):  # type: ignore[no-untyped-def]
    """Read `{"stream":"symbol@kind","data":{` and note it as stream `known`. Returns whether it is one that can be read."""
    if known == len(streams) or not _starts_with(data, at, _PREFIX):
        return False
    name = at + len(_PREFIX)
    stop = _closing_quote(data, name)
    if stop < 0 or not _starts_with(data, stop, _DATA):
        return False
    split = name
    while split < stop and data[split] != 64:  # @
        split += 1
    kind = _kind(data, split + 1, stop)
    streams[known, NAME_FROM], streams[known, NAME_TO], streams[known, KIND] = name, stop, kind
    streams[known, HEADER_FROM], streams[known, HEADER_SIZE] = at, stop + len(_DATA) - at
    return kind != ODD


@njit(cache=True, inline="always")
def _value(data, at, place, scale, row, prices, sizes, count):  # type: ignore[no-untyped-def]
    """Read one value; return (position after it, levels so far), position -1 where it is odd or not of the type that its place takes."""
    c = data[at]
    if c == _QUOTE_MARK:
        if V0 <= place <= V3:
            value, stop = _decimal(data, at + 1, scale)
            row[place] = value
            return (stop + 1 if value >= 0 else -1), count
        if place == ORIGIN:
            market = _starts_with(data, at + 1, _MARKET) and data[at + 1 + len(_MARKET)] == _QUOTE_MARK
            return (at + len(_MARKET) + 2 if market else -1), count
        stop = _closing_quote(data, at + 1)
        return (stop + 1 if stop >= 0 and place == NOWHERE else -1), count
    if _ZERO <= c <= 57:
        value, after = _integer(data, at)
        if after == at or (c == _ZERO and after > at + 1) or not (ID <= place <= TRANSACTION or place == NOWHERE):
            return -1, count
        if place != NOWHERE:
            row[place] = value
        return after, count
    if c == _OPEN:
        if place != BIDS_TO and place != ASKS_TO:
            return -1, count
        after, count = _levels(data, at, prices, sizes, count)
        row[place] = count
        return after, count
    yes = _starts_with(data, at, _TRUE)
    if (not yes and not _starts_with(data, at, _FALSE)) or (place != FLAG and place != NOWHERE):
        return -1, count
    if place == FLAG:
        row[FLAG] = yes
    return at + (4 if yes else 5), count


@njit(cache=True)
def _needed(kind):  # type: ignore[no-untyped-def]
    if kind == QUOTE:
        return (1 << ID) | (1 << V0) | (1 << V1) | (1 << V2) | (1 << V3)
    if kind == DEPTH:
        return (1 << ID) | (1 << ID_LAST) | (1 << BIDS_TO) | (1 << ASKS_TO)
    return (1 << ID) | (1 << V0) | (1 << V1) | (1 << TRANSACTION) | (1 << FLAG)


@njit(cache=True, inline="always")
def read_message(data, at, kind, row, prices, sizes, count):  # type: ignore[no-untyped-def]
    """Read the members of a message; return (position after the last, levels so far), position -1 where it is odd or lacks one."""
    i, seen = at, 0
    sizes_from = V2 if kind == QUOTE else V1
    while data[i] == _QUOTE_MARK:
        key, i = 0, i + 1
        while _PLAIN[data[i]] and key < 65536:
            key, i = key * 256 + data[i], i + 1
        if data[i] != _QUOTE_MARK or data[i + 1] != _COLON:
            return -1, count
        place = _PLACES[kind, key] if key < 128 else (ID_BEFORE if key == _PU and kind == DEPTH else NOWHERE)
        if place != NOWHERE and (seen & (1 << place) or (place == ASKS_TO and not seen & (1 << BIDS_TO))):
            return -1, count
        i, count = _value(data, i + 2, place, _SIZE_SCALE if place >= sizes_from else _PRICE_SCALE, row, prices, sizes, count)
        if i < 0:
            return -1, count
        if place != NOWHERE:
            seen |= 1 << place
        if data[i] != _COMMA:
            break
        i += 1
        if data[i] != _QUOTE_MARK:
            return -1, count
    needed = _needed(kind)
    return (i if seen & needed == needed else -1), count


@njit(cache=True)
def _is_time(value):  # type: ignore[no-untyped-def]
    for unit in (10**18, 10**15, 10**12, 10**9):
        if unit <= value < 5 * unit:
            return True
    return False


@njit(cache=True, inline="always")
def _line(data, at, row, prices, sizes, count, streams, known):  # type: ignore[no-untyped-def]
    """Read one line; return (kind, receive time, stream number, levels so far, position of its end)."""
    receive, i = _integer(data, at)
    if not _is_time(receive) or data[i] != _SPACE or data[at] == _ZERO:
        return ODD, 0, 0, count, i
    number = _stream(data, i + 1, streams, known)
    if number < 0:
        if not _new_stream(data, i + 1, streams, known):
            return ODD, 0, 0, count, i
        number = known
    kind = streams[number, KIND]
    row[:] = 0
    row[ID_BEFORE] = -1
    row[LEVELS_FROM] = count
    end, levels = read_message(data, i + 1 + streams[number, HEADER_SIZE], kind, row, prices, sizes, count)
    if end < 0 or data[end] != _END or data[end + 1] != _END:
        return ODD, 0, 0, count, i
    end += 3 if data[end + 2] == 13 else 2
    if data[end] != _NEWLINE:
        return ODD, 0, 0, count, i
    return kind, receive, number, levels, end


@njit(cache=True)
def scan(data, starts, ends, kinds, receive, numbers, fields, prices, sizes, streams):  # type: ignore[no-untyped-def]
    """Read all lines of a block, which must end with a newline; returns (lines, levels, streams), lines -1 where there are more than the arrays hold.

    The arrays have one entry per line, level or stream; those of levels must hold as many as the block can have. No read goes beyond the last newline:
    each stops at one.
    """
    at, line, levels, known = 0, 0, 0, 0
    while at < len(data):
        if line == len(starts):
            return -1, 0, 0
        kind, time, number, levels, end = _line(data, at, fields[line], prices, sizes, levels, streams, known)
        while data[end] != _NEWLINE:
            end += 1
        starts[line], ends[line] = at, end
        kinds[line], receive[line], numbers[line] = kind, time, number
        if kind != ODD and number == known:
            known += 1
        line, at = line + 1, end + 1
    return line, levels, known


# -- the book -------------------------------------------------------------------------------------------------------
@njit(cache=True)
def set_level(keys, values, count, key, size):  # type: ignore[no-untyped-def]
    """Set one level in ascending arrays; a size of 0 empties it. Returns (number of levels, emptied ones included; levels moved).

    A new level moves its neighbours only as far as the next emptied one.
    """
    low, left = 0, count
    while left > 1:  # without a branch to guess wrong
        half = left >> 1
        low += half * (keys[low + half - 1] < key)
        left -= half
    if left == 1 and keys[low] < key:
        low += 1
    if low < count and keys[low] == key:
        values[low] = size
        return count, 0
    if size == 0:
        return count, 0
    if low > 0 and values[low - 1] == 0:
        keys[low - 1], values[low - 1] = key, size
        return count, 0
    free = low
    while free < count and values[free] != 0:
        free += 1
    for i in range(free, low, -1):
        keys[i], values[i] = keys[i - 1], values[i - 1]
    keys[low], values[low] = key, size
    return max(count, free + 1), free - low


@njit(cache=True)
def spread(keys, values, count):  # type: ignore[no-untyped-def]
    """Drop the emptied levels and leave one after every eighth of the others, where there is room, so that new ones find space close by."""
    kept = 0
    for i in range(count):
        if values[i] != 0:
            keys[kept], values[kept] = keys[i], values[i]
            kept += 1
    to = kept + kept // 8
    if to > len(keys):
        return kept
    count = to
    for i in range(kept - 1, -1, -1):
        if i % 8 == 7:
            to -= 1
            keys[to], values[to] = keys[i], 0  # behind the level itself, so that looking for its key finds the level
        to -= 1
        keys[to], values[to] = keys[i], values[i]
    return count


@njit(cache=True)
def best_levels(keys, values, count, prices, sizes):  # type: ignore[no-untyped-def]
    """Write the best levels, best first; returns (number of levels without the emptied ones at the top, emptied ones passed over)."""
    while count > 0 and values[count - 1] == 0:
        count -= 1
    i, found = count - 1, 0
    while i >= 0 and found < len(prices):
        if values[i] != 0:
            prices[found], sizes[found] = keys[i], values[i]
            found += 1
        i -= 1
    return count, (count - 1 - i) - found


@njit(cache=True)
def apply_levels(keys, values, counts, sign, starts, stops, prices, sizes, best_prices, best_sizes):  # type: ignore[no-untyped-def]
    """Apply the levels starts[m]:stops[m] of each message m to one side and write its best levels after each; missing ones stay as they are.

    `sign` is -1 for asks, whose keys are negated so that the best is the largest. Returns the number of messages applied: fewer than there are where
    the arrays are full.
    """
    count = counts[0]
    for message in range(len(starts)):
        room = len(keys) - (stops[message] - starts[message])
        if count > room:
            count = spread(keys, values, count)
            if count > room:
                counts[0] = count
                return message
        worn = 0
        for i in range(starts[message], stops[message]):
            count, moved = set_level(keys, values, count, sign * prices[i], sizes[i])
            worn += moved
        count, skipped = best_levels(keys, values, count, best_prices[message], best_sizes[message])
        if skipped > 64 or worn > count:
            count = spread(keys, values, count)
    counts[0] = count
    return len(starts)
