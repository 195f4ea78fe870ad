"""Compiled searches over the columns of a tape.

A kernel takes a stream's *descriptor*: one int64 array that holds the row count and the addresses of the columns, because passing one array costs
a tenth of passing ten. Whoever builds a descriptor keeps the columns alive. Layout: `ROWS..BUCKETS` below, then a triple (values, zone maxima,
zone minima) for each searched column, then the extra columns of trades.

All values are int32 ticks or lots, times int64 ns and money int64, so results are exact on any processor.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numba import carray, int64, njit, types  # type: ignore[attr-defined]
from numba.extending import intrinsic
from numpy.typing import NDArray

from titan_core.tape.columns import SPECS
from titan_core.tape.tape import Stream

ROWS, TS, INDEX, ORIGIN, BUCKET, BUCKETS = 0, 1, 2, 3, 4, 5
FIRST_COLUMN = 6
SIGNED_LOTS, SUM_SIGNED, SUM_LOTS, SUM_NOTIONAL = 15, 16, 17, 18
DESCRIPTOR_SIZE = 20

_TRADE_EXTRAS = {"signed_lots": SIGNED_LOTS, "sum_signed": SUM_SIGNED, "sum_lots": SUM_LOTS, "sum_notional": SUM_NOTIONAL}


def descriptor(stream: Stream) -> NDArray[np.int64]:
    """Describe a stream for the kernels. The stream's columns must outlive the result."""
    columns: Mapping[str, NDArray[Any]] = stream.columns
    out = np.zeros(DESCRIPTOR_SIZE, np.int64)
    origin, bucket = (int(x) for x in columns["bucket_meta"])
    out[:FIRST_COLUMN] = (stream.rows, columns["ts"].ctypes.data, columns["buckets"].ctypes.data, origin, bucket, len(columns["buckets"]) - 2)
    for position, name in enumerate(SPECS[stream.kind].searched):
        for part, column in enumerate((name, f"{name}_max", f"{name}_min")):
            out[FIRST_COLUMN + 3 * position + part] = columns[column].ctypes.data
    for name, slot in _TRADE_EXTRAS.items():
        if name in columns:
            out[slot] = columns[name].ctypes.data
    return out


def _pointer(kind: Any) -> Any:
    @intrinsic
    def to_pointer(typing_context: Any, address: Any) -> Any:
        signature = types.CPointer(kind)(types.int64)

        def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(sig.return_type))

        return signature, generate

    return to_pointer


p32 = _pointer(types.int32)
p64 = _pointer(types.int64)
compiled = njit(cache=True, nogil=True)


@compiled
def pos_right(d, t):
    """Return the number of rows with ts <= t."""
    n = d[ROWS]
    if n == 0:
        return int64(0)
    bucket = (t - d[ORIGIN]) // d[BUCKET]
    if bucket < 0:
        return int64(0)
    if bucket > d[BUCKETS]:
        return n
    index = carray(p32(d[INDEX]), d[BUCKETS] + 2)
    ts = carray(p64(d[TS]), n)
    lo = int64(index[bucket])
    hi = int64(index[bucket + 1])
    while lo < hi:
        middle = (lo + hi) >> 1
        if ts[middle] <= t:
            lo = middle + 1
        else:
            hi = middle
    return lo


@compiled
def rows_before(d, first, step, count):
    """Return the number of rows with ts < t for t = first, first + step, ..., `count` times."""
    out = np.empty(count, np.int64)
    for i in range(count):
        out[i] = pos_right(d, first + i * step - 1)
    return out


@compiled
def first_ge(d, column, start, end, level):
    """Return the first row in [start, end) whose value is >= level, or `end`."""
    n = d[ROWS]
    slot = FIRST_COLUMN + 3 * column
    v = carray(p32(d[slot]), n)
    n1 = (n + 63) >> 6
    n2 = (n1 + 63) >> 6
    zone = carray(p32(d[slot + 1]), n1 + n2 + ((n2 + 63) >> 6))
    i = start
    while i < end:
        if i & 63 == 0:
            if i & 4095 == 0:
                if i & 262143 == 0 and zone[n1 + n2 + (i >> 18)] < level:
                    i += 262144
                    continue
                if zone[n1 + (i >> 12)] < level:
                    i += 4096
                    continue
            if zone[i >> 6] < level:
                i += 64
                continue
        stop = min((i | 63) + 1, end)
        while i < stop:
            if v[i] >= level:
                return i
            i += 1
    return end


@compiled
def first_le(d, column, start, end, level):
    """Return the first row in [start, end) whose value is <= level, or `end`."""
    n = d[ROWS]
    slot = FIRST_COLUMN + 3 * column
    v = carray(p32(d[slot]), n)
    n1 = (n + 63) >> 6
    n2 = (n1 + 63) >> 6
    zone = carray(p32(d[slot + 2]), n1 + n2 + ((n2 + 63) >> 6))
    i = start
    while i < end:
        if i & 63 == 0:
            if i & 4095 == 0:
                if i & 262143 == 0 and zone[n1 + n2 + (i >> 18)] > level:
                    i += 262144
                    continue
                if zone[n1 + (i >> 12)] > level:
                    i += 4096
                    continue
            if zone[i >> 6] > level:
                i += 64
                continue
        stop = min((i | 63) + 1, end)
        while i < stop:
            if v[i] <= level:
                return i
            i += 1
    return end


@compiled
def range_max(d, column, start, end):
    """Return the largest value in rows [start, end); the range must not be empty."""
    n = d[ROWS]
    slot = FIRST_COLUMN + 3 * column
    v = carray(p32(d[slot]), n)
    n1 = (n + 63) >> 6
    n2 = (n1 + 63) >> 6
    zone = carray(p32(d[slot + 1]), n1 + n2 + ((n2 + 63) >> 6))
    best = v[start]
    i = start
    while i < end:
        if i & 4095 == 0 and i + 4096 <= end:
            x = zone[n1 + (i >> 12)]
            i += 4096
        elif i & 63 == 0 and i + 64 <= end:
            x = zone[i >> 6]
            i += 64
        else:
            x = v[i]
            i += 1
        if x > best:
            best = x
    return int64(best)


@compiled
def range_min(d, column, start, end):
    """Return the smallest value in rows [start, end); the range must not be empty."""
    n = d[ROWS]
    slot = FIRST_COLUMN + 3 * column
    v = carray(p32(d[slot]), n)
    n1 = (n + 63) >> 6
    n2 = (n1 + 63) >> 6
    zone = carray(p32(d[slot + 2]), n1 + n2 + ((n2 + 63) >> 6))
    best = v[start]
    i = start
    while i < end:
        if i & 4095 == 0 and i + 4096 <= end:
            x = zone[n1 + (i >> 12)]
            i += 4096
        elif i & 63 == 0 and i + 64 <= end:
            x = zone[i >> 6]
            i += 64
        else:
            x = v[i]
            i += 1
        if x < best:
            best = x
    return int64(best)


@compiled
def window_sum(d, slot, pos, t_from):
    """Return the sum of a prefix-summed column over rows with ts > t_from and row < pos."""
    start = pos_right(d, t_from)
    if start >= pos:
        return int64(0)
    sums = carray(p64(d[slot]), d[ROWS] + 1)
    return sums[pos] - sums[start]


@compiled
def footprint(d, start, end, low, high):
    """Return the taker-bought and taker-sold lots at low <= price <= high in trade rows [start, end)."""
    n = d[ROWS]
    v = carray(p32(d[FIRST_COLUMN]), n)
    lots = carray(p32(d[SIGNED_LOTS]), n)
    n1 = (n + 63) >> 6
    n2 = (n1 + 63) >> 6
    zones = n1 + n2 + ((n2 + 63) >> 6)
    top = carray(p32(d[FIRST_COLUMN + 1]), zones)
    bottom = carray(p32(d[FIRST_COLUMN + 2]), zones)
    bought = int64(0)
    sold = int64(0)
    i = start
    while i < end:
        if i & 4095 == 0 and i + 4096 <= end and (top[n1 + (i >> 12)] < low or bottom[n1 + (i >> 12)] > high):
            i += 4096
            continue
        if i & 63 == 0 and i + 64 <= end and (top[i >> 6] < low or bottom[i >> 6] > high):
            i += 64
            continue
        if low <= v[i] <= high:
            if lots[i] > 0:
                bought += lots[i]
            else:
                sold -= lots[i]
        i += 1
    return bought, sold


@compiled
def limit_fill(d, start, end, side, limit, queue, leaves):
    """Find the next execution of a resting limit order among the trades [start, end).

    A print beyond the limit fills everything; a print at the limit by a taker of the other side first eats the queue ahead.
    Returns (row or `end`, lots filled, queue left).
    """
    v = carray(p32(d[FIRST_COLUMN]), d[ROWS])
    lots = carray(p32(d[SIGNED_LOTS]), d[ROWS])
    i = start
    while True:
        if side > 0:
            i = first_le(d, 0, i, end, limit)
        else:
            i = first_ge(d, 0, i, end, limit)
        if i >= end:
            return end, int64(0), queue
        if v[i] != limit:
            return i, leaves, int64(0)
        signed = int64(lots[i])
        if (side > 0 and signed < 0) or (side < 0 and signed > 0):
            size = abs(signed)
            if size > queue:
                return i, min(size - queue, leaves), int64(0)
            queue -= size
        i += 1


@compiled
def trail(d, start, end, side, peak, distance):
    """Find the first trade in [start, end) at `distance` or more from the running extreme.

    side +1: the extreme is the running maximum and a fall fires; side -1: the minimum and a rise. Returns (row or `end`, extreme).
    """
    n = d[ROWS]
    v = carray(p32(d[FIRST_COLUMN]), n)
    n1 = (n + 63) >> 6
    n2 = (n1 + 63) >> 6
    zones = n1 + n2 + ((n2 + 63) >> 6)
    top = carray(p32(d[FIRST_COLUMN + 1]), zones)
    bottom = carray(p32(d[FIRST_COLUMN + 2]), zones)
    i = start
    while i < end:
        if i & 63 == 0:
            skipped = False
            level = 2 if i & 262143 == 0 else (1 if i & 4095 == 0 else 0)
            while level >= 0:
                if level == 2:
                    k = n1 + n2 + (i >> 18)
                    size = 262144
                elif level == 1:
                    k = n1 + (i >> 12)
                    size = 4096
                else:
                    k = i >> 6
                    size = 64
                level -= 1
                if i + size > end:
                    continue
                hi = int64(top[k])
                lo = int64(bottom[k])
                if side > 0:
                    reached = max(peak, hi)
                    if reached - distance < lo:
                        peak = reached
                        skipped = True
                else:
                    reached = min(peak, lo)
                    if reached + distance > hi:
                        peak = reached
                        skipped = True
                if skipped:
                    i += size
                    break
            if skipped:
                continue
        stop = min((i | 63) + 1, end)
        while i < stop:
            x = int64(v[i])
            if side > 0:
                if x > peak:
                    peak = x
                elif x <= peak - distance:
                    return i, peak
            elif x < peak:
                peak = x
            elif x >= peak + distance:
                return i, peak
            i += 1
    return end, peak


@compiled
def flow(d, start, end, window, level, side):
    """Find the first trade in [start, end) where signed lots over (ts - window, ts] are >= level (side > 0) or <= level."""
    if start >= end:
        return end
    n = d[ROWS]
    ts = carray(p64(d[TS]), n)
    sums = carray(p64(d[SUM_SIGNED]), n + 1)
    j = pos_right(d, ts[start] - window)
    for i in range(start, end):
        t = ts[i] - window
        while ts[j] <= t:
            j += 1
        total = sums[i + 1] - sums[j]
        if side > 0:
            if total >= level:
                return i
        elif total <= level:
            return i
    return end
