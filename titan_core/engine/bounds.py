"""Compiled search for the moment when a weighted sum of prices leaves its bounds.

Account equity, phase equity, the distance to liquidation and the drift above a cap are all `const + Σ weight × price` over the instruments held.
The search merges the price streams in time order, but skips every stretch in which interval arithmetic on the zone maps shows that the sum
cannot leave its bounds.
"""

import numpy as np
from numba import carray, int64  # type: ignore[attr-defined]
from numpy.typing import NDArray

from titan_core.engine.scan import FIRST_COLUMN, ROWS, TS, compiled, p32, p64

TERM_SIZE = 6
"""Words of one term: descriptor address, searched column, weight, value as of now, first row, end row. Terms are in rank order."""
T_DESCRIPTOR, T_COLUMN, T_WEIGHT, T_VALUE, T_ROW, T_END = range(TERM_SIZE)
OUT_TERM, OUT_ROW, OUT_PEAK, OUT_SUM = range(4)


@compiled
def drawdown_level(peak, bps, strict):
    """Return the largest sum that counts as a draw-down of `bps` from `peak`; `strict` demands more than that share."""
    return peak - (peak // 10_000 * bps + peak % 10_000 * bps // 10_000) - strict


@compiled
def _stretch_is_safe(terms, count, shift, const, low, high, peak, bps, strict, reach):
    """Check one stretch: returns (safe, time where it ends, exact maximum or the unknown marker).

    The stretch runs to the earliest end of a block of 1 << shift rows among the terms. The maximum is exact for a single aligned block.
    """
    floor = const
    ceiling = const
    until = int64(1) << 62
    aligned = count == 1
    for k in range(count):
        t = k * TERM_SIZE
        d = carray(p64(terms[t + T_DESCRIPTOR]), 20)
        n = d[ROWS]
        row = terms[t + T_ROW]
        end = terms[t + T_END]
        value = terms[t + T_VALUE]
        lo = value
        hi = value
        if row < end:
            slot = FIRST_COLUMN + 3 * terms[t + T_COLUMN]
            n1 = (n + 63) >> 6
            n2 = (n1 + 63) >> 6
            base = int64(0)
            if shift == 12:
                base = n1
            elif shift == 18:
                base = n1 + n2
            zones = n1 + n2 + ((n2 + 63) >> 6)
            block = base + (row >> shift)
            top = int64(carray(p32(d[slot + 1]), zones)[block])
            bottom = int64(carray(p32(d[slot + 2]), zones)[block])
            stop = ((row >> shift) + 1) << shift
            if row & ((1 << shift) - 1) != 0 or stop > end:
                aligned = False
            if aligned:
                lo = bottom
                hi = top
            else:
                lo = min(lo, bottom)
                hi = max(hi, top)
            if stop < end:
                ends = carray(p64(d[TS]), n)[stop]
                if ends < until:
                    until = ends
        weight = terms[t + T_WEIGHT]
        if weight >= 0:
            floor += weight * lo
            ceiling += weight * hi
        else:
            floor += weight * hi
            ceiling += weight * lo
    reach[0] = until
    reach[1] = peak
    if floor <= low or ceiling >= high:
        return False
    if bps > 0:
        if ceiling > peak:
            if not aligned:
                return False
            reach[1] = ceiling
        if floor <= drawdown_level(reach[1], bps, strict):
            return False
    return True


@compiled
def _advance(terms, count, until):
    """Move every term to its first row at or after `until`."""
    for k in range(count):
        t = k * TERM_SIZE
        row = terms[t + T_ROW]
        end = terms[t + T_END]
        if row >= end:
            continue
        d = carray(p64(terms[t + T_DESCRIPTOR]), 20)
        n = d[ROWS]
        ts = carray(p64(d[TS]), n)
        lo = row
        hi = end
        while lo < hi:
            middle = (lo + hi) >> 1
            if ts[middle] < until:
                lo = middle + 1
            else:
                hi = middle
        if lo > row:
            terms[t + T_ROW] = lo
            terms[t + T_VALUE] = carray(p32(d[FIRST_COLUMN + 3 * terms[t + T_COLUMN]]), n)[lo - 1]


@compiled
def bound_scan(terms, count, const, low, high, peak, bps, strict, out):
    """Find the first event at which the sum is <= low, >= high, or `bps` below its running peak (bps = 0: not watched).

    The peak is raised before it is compared, at each event. Writes term, row, peak and sum to `out`; returns whether an event was found.
    `terms` is consumed: afterwards it holds where the search stopped.
    """
    reach = np.empty(2, np.int64)
    while True:
        left = False
        for k in range(count):
            if terms[k * TERM_SIZE + T_ROW] < terms[k * TERM_SIZE + T_END]:
                left = True
        if not left:
            out[OUT_PEAK] = peak
            return False
        skipped = False
        for shift in (18, 12, 6):
            if _stretch_is_safe(terms, count, shift, const, low, high, peak, bps, strict, reach):
                _advance(terms, count, reach[0])
                peak = reach[1]
                skipped = True
                break
        if skipped:
            continue
        # `reach` now describes the 64-row stretch: go through it row by row
        until = reach[0]
        total = const
        for k in range(count):
            total += terms[k * TERM_SIZE + T_WEIGHT] * terms[k * TERM_SIZE + T_VALUE]
        while True:
            best = int64(1) << 62
            which = -1
            for k in range(count):
                t = k * TERM_SIZE
                if terms[t + T_ROW] < terms[t + T_END]:
                    d = carray(p64(terms[t + T_DESCRIPTOR]), 20)
                    at = carray(p64(d[TS]), d[ROWS])[terms[t + T_ROW]]
                    if at < best:
                        best = at
                        which = k
            if which < 0 or best >= until:
                break
            t = which * TERM_SIZE
            d = carray(p64(terms[t + T_DESCRIPTOR]), 20)
            row = terms[t + T_ROW]
            value = int64(carray(p32(d[FIRST_COLUMN + 3 * terms[t + T_COLUMN]]), d[ROWS])[row])
            total += terms[t + T_WEIGHT] * (value - terms[t + T_VALUE])
            terms[t + T_VALUE] = value
            terms[t + T_ROW] = row + 1
            if total > peak:
                peak = total
            if total <= low or total >= high or (bps > 0 and total <= drawdown_level(peak, bps, strict)):
                out[OUT_TERM] = which
                out[OUT_ROW] = row
                out[OUT_PEAK] = peak
                out[OUT_SUM] = total
                return True


def empty_terms(count: int) -> NDArray[np.int64]:
    """Return room for `count` terms."""
    return np.zeros(max(1, count) * TERM_SIZE, np.int64)
