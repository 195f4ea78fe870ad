"""The compiled kernels against plain Python, with arguments chosen where blocks, buckets and heaps have their edges. Everything is seeded."""

import bisect
import random

import numpy as np
import pytest

from tests.engine.tiny import OTHER, PERP, T0
from titan_core.engine.conditions import LEVEL, Condition
from titan_core.model.enums import StreamKind
from titan_core.model.units import NEVER, S, share
from titan_core.tape.tape import build_tape

scan = pytest.importorskip("titan_core.engine.scan", reason="numba is not installed")
bounds = pytest.importorskip("titan_core.engine.bounds")
levels = pytest.importorskip("titan_core.engine.levels")

SIZES = (1, 2, 63, 64, 65, 128, 700, 4_095, 4_096, 4_097, 9_000)
LARGE = 2 * 262_144 + 5_000


def prints(n, seed=0, span=20, gap_ns=None):
    """Return (stream, times, prices, signed lots) of n trades whose price seldom moves and sometimes leaps."""
    g = np.random.default_rng(seed)
    price = 1000 + np.abs(np.cumsum(g.choice([-1, 0, 0, 0, 1], n)) % (2 * span) - span)
    if n > 200:  # rare extremes, so that whole blocks of every size are passed over
        price[g.integers(0, n, 3)] += g.choice([-100, 100], 3)
    price = price.astype(np.int32)
    ts = T0 + np.cumsum(g.choice([1, 1, 7, 10**6] if gap_ns is None else [1, gap_ns], n)).astype(np.int64)
    signed = g.choice([-3, -2, -1, 0, 1, 2, 3], n).astype(np.int32)
    quote = {"ts": np.array([T0]), "bid": np.int32([1]), "ask": np.int32([2]), "bid_lots": np.int32([1]), "ask_lots": np.int32([1])}
    raw = {(PERP.id, StreamKind.TRADE): {"ts": ts, "price": price, "signed_lots": signed}, (PERP.id, StreamKind.QUOTE): quote}
    stream = build_tape((PERP,), raw).stream(PERP.id, StreamKind.TRADE)
    return stream, ts, price.astype(np.int64), signed.astype(np.int64)


def spans(n, seed, count=40):
    """Return row ranges: at the edges of blocks, and anywhere."""
    r = random.Random(seed)
    marks = sorted({x for x in (0, 1, 63, 64, 65, 4_095, 4_096, 4_097, 8_192, 262_143, 262_144, 262_145, 524_288, n - 1, n) if 0 <= x <= n})
    out = [(a, b) for a in marks for b in marks if a <= b]
    r.shuffle(out)
    return out[:count] + [tuple(sorted((r.randrange(n + 1), r.randrange(n + 1)))) for _ in range(count)]


def first(mask, start, end):
    found = np.flatnonzero(mask[start:end])
    return start + int(found[0]) if len(found) else end


# -- searches ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [*SIZES, LARGE])
def test_first_crossings(n):
    stream, _, price, _ = prints(n, n)
    d = scan.descriptor(stream)
    wanted = sorted({int(price.min()) - 1, *price[:: max(1, n // 5)].tolist(), int(price.max()), int(price.max()) + 1, int(price.min())})
    for start, end in spans(n, n, 15 if n == LARGE else 40):
        for level in wanted:
            assert scan.first_ge(d, 0, start, end, level) == first(price >= level, start, end), (start, end, level)
            assert scan.first_le(d, 0, start, end, level) == first(price <= level, start, end), (start, end, level)


def test_a_single_row_at_the_edge_of_a_block_is_found():
    """Every other price is the same, so a search that steps over one row too many misses it, and one that stops a row early answers wrongly."""
    n = LARGE
    edges = [0, 1, 63, 64, 65, 127, 128, 4_095, 4_096, 4_097, 8_191, 8_192, 262_143, 262_144, 262_145, 524_287, 524_288, n - 1]
    for spike, up in ((row, up) for row in edges for up in (True, False)):
        price = np.full(n, 1000, np.int32)
        price[spike] = 1100 if up else 900
        quote = {"ts": np.array([T0]), "bid": np.int32([1]), "ask": np.int32([2]), "bid_lots": np.int32([1]), "ask_lots": np.int32([1])}
        trade = {"ts": T0 + np.arange(n), "price": price, "signed_lots": np.ones(n, np.int32)}
        stream = build_tape((PERP,), {(PERP.id, StreamKind.TRADE): trade, (PERP.id, StreamKind.QUOTE): quote}).stream(PERP.id, StreamKind.TRADE)
        d = scan.descriptor(stream)
        search, level = (scan.first_ge, 1100) if up else (scan.first_le, 900)
        for start in (0, 1, 64, 4_096, 262_144, spike):
            for end in (spike, spike + 1, n):
                if start <= end:
                    assert search(d, 0, start, end, level) == (spike if start <= spike < end else end), (spike, start, end)
                if start < end:
                    extreme = scan.range_max(d, 0, start, end) if up else scan.range_min(d, 0, start, end)
                    assert extreme == (price[spike] if start <= spike < end else 1000), (spike, start, end)
                    side, distance = (-1, 100) if up else (1, 100)
                    row, _ = scan.trail(d, start, end, side, 1000, distance)
                    assert row == (spike if start <= spike < end else end), (spike, start, end)


@pytest.mark.parametrize("n", [*SIZES, LARGE])
def test_extremes_of_ranges(n):
    stream, _, price, _ = prints(n, n + 1)
    d = scan.descriptor(stream)
    for start, end in spans(n, n):
        if start < end:
            assert scan.range_max(d, 0, start, end) == price[start:end].max()
            assert scan.range_min(d, 0, start, end) == price[start:end].min()


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("gap_ns", [3, S, 7 * S])
def test_rows_by_time(n, gap_ns):
    stream, ts, _, _ = prints(n, n, gap_ns=gap_ns)
    d = scan.descriptor(stream)
    probes = [
        0,
        int(ts[0]) - 10 * S,
        int(ts[-1]) + 1,
        int(ts[-1]) + S,
        int(ts[-1]) + 100 * S,
        *(int(t) + x for t in ts[:: max(1, n // 200)] for x in (-1, 0, 1)),
    ]
    probes += [t // S * S + x for t in probes[-60:] for x in (-1, 0, S - 1, S)]
    for t in probes:
        assert scan.pos_right(d, t) == np.searchsorted(ts, t, side="right"), t


@pytest.mark.parametrize("n", SIZES)
def test_sums_of_windows(n):
    stream, ts, price, signed = prints(n, n, gap_ns=S)
    d = scan.descriptor(stream)
    for start, end in spans(n, n):
        for shift in (-1, 0, 1):
            t = int(ts[min(start, n - 1)]) + shift
            inside = (ts > t) & (np.arange(n) < end)
            assert scan.window_sum(d, scan.SUM_SIGNED, end, t) == signed[inside].sum()
            assert scan.window_sum(d, scan.SUM_LOTS, end, t) == np.abs(signed[inside]).sum()
            assert scan.window_sum(d, scan.SUM_NOTIONAL, end, t) == (np.abs(signed) * price)[inside].sum()


@pytest.mark.parametrize("n", SIZES)
def test_footprints(n):
    stream, _, price, signed = prints(n, n)
    d = scan.descriptor(stream)
    for start, end in spans(n, n):
        for low, high in ((990, 995), (1000, 1000), (1010, 2000), (0, 900), (int(price.min()), int(price.max()))):
            inside = signed[start:end][(price[start:end] >= low) & (price[start:end] <= high)]
            assert scan.footprint(d, start, end, low, high) == (inside[inside > 0].sum(), -inside[inside < 0].sum())


@pytest.mark.parametrize("n", SIZES)
def test_executions_of_resting_orders(n):
    stream, _, price, signed = prints(n, n)
    d = scan.descriptor(stream)
    r = random.Random(n)

    def expected(start, end, side, limit, queue, leaves):
        for i in range(start, end):
            if (price[i] - limit) * side < 0:
                return i, leaves, 0
            if price[i] == limit and signed[i] * side < 0:
                size = abs(int(signed[i]))
                if size > queue:
                    return i, min(size - queue, leaves), 0
                queue -= size
        return end, 0, queue

    for start, end in spans(n, n, 30):
        side, limit, queue, leaves = r.choice((-1, 1)), int(price[min(start, n - 1)]) + r.randrange(-2, 3), r.randrange(0, 12), r.randrange(1, 5)
        assert scan.limit_fill(d, start, end, side, limit, queue, leaves) == expected(start, end, side, limit, queue, leaves)


@pytest.mark.parametrize("n", [*SIZES, LARGE])
def test_trails(n):
    stream, _, price, _ = prints(n, n + 2)
    d = scan.descriptor(stream)
    values = price.tolist()

    def expected(start, end, side, peak, distance):
        for i in range(start, end):
            x = values[i]
            if (x - peak) * side > 0:
                peak = x
            elif (x - peak) * side <= -distance:
                return i, peak
        return end, peak

    for start, end in spans(n, n, 4 if n == LARGE else 30):
        for side, distance in ((1, 3), (-1, 3), (1, 39), (-1, 39), (1, 60), (-1, 60), (1, 115), (-1, 115)):
            for peak in (-(1 << 40) * side, 1000):
                assert scan.trail(d, start, end, side, peak, distance) == expected(start, end, side, peak, distance), (start, end, side, distance)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("window", [1, 2, 9, S, S + 1])
def test_rolling_flow(n, window):
    stream, ts, _, signed = prints(n, n, gap_ns=S)
    d = scan.descriptor(stream)
    totals = np.array([signed[(ts > t - window) & (ts <= t)].sum() for t in ts[:1_200]])
    for start, end in spans(min(n, 1_200), n, 12):
        for level in (-6, -1, 0, 2, 5, 99):
            assert scan.flow(d, start, end, window, level, 1) == first(totals >= level, start, end)
            assert scan.flow(d, start, end, window, level, -1) == first(totals <= level, start, end)


# -- bounds -----------------------------------------------------------------------------------------------------------
def price_streams(seed, rows):
    """Return streams (quotes of two instruments) with a common clock, hence with ties, and their doubled mids."""
    g = np.random.default_rng(seed)
    raw, mids = {}, []
    for instrument, n in zip((PERP, OTHER), rows, strict=True):
        ts = T0 + np.cumsum(g.choice([1, 1, 2, 5, 400], n)) * 1000
        bid = (1000 + np.abs(np.cumsum(g.choice([-1, 0, 0, 1], n)) % 80 - 40)).astype(np.int32)
        ask = bid + g.integers(1, 3, n).astype(np.int32)
        ones = np.ones(n, np.int32)
        raw[instrument.id, StreamKind.QUOTE] = {"ts": ts, "bid": bid, "ask": ask, "bid_lots": ones, "ask_lots": ones}
        mids.append((bid + ask).astype(np.int64).tolist())
    return [build_tape((PERP, OTHER), raw).stream(i.id, StreamKind.QUOTE) for i in (PERP, OTHER)], mids


def walk_bound(legs, const, low, high, peak, bps, strict):
    """The meaning, event by event: returns (leg, row, peak, sum), or (None, None, peak, None)."""
    values = [leg["value"] for leg in legs]
    events = sorted((leg["ts"][row], k, row) for k, leg in enumerate(legs) for row in range(leg["row"], leg["end"]))
    for _, k, row in events:
        values[k] = legs[k]["values"][row]
        total = const + sum(leg["weight"] * value for leg, value in zip(legs, values, strict=True))
        peak = max(peak, total)
        if total <= low or total >= high or (bps > 0 and total <= peak - share(peak, bps) - strict):
            return k, row, peak, total
    return None, None, peak, None


@pytest.mark.parametrize("seed", range(40))
def test_bounds(seed):
    r = random.Random(seed)
    streams, mids = price_streams(seed, (r.choice((70, 500, 5_000, 9_000)), r.choice((1, 64, 900, 5_000))))
    descriptors = [scan.descriptor(stream) for stream in streams]
    count = r.choice((1, 1, 2))
    legs = []
    for k in range(count):
        n = len(mids[k])
        row, end = r.choice((0, r.randrange(n + 1), min(64, n))), r.choice((n, n, n, r.randrange(n + 1)))
        weight = r.choice((-3, -1, 1, 2, 7))
        legs.append({"ts": streams[k].ts.tolist(), "values": mids[k], "weight": weight, "row": min(row, end), "end": end, "value": mids[k][max(0, row - 1)]})
    const = r.choice((0, 10**6, -(10**4)))
    now = const + sum(leg["weight"] * leg["value"] for leg in legs)
    size = sum(abs(leg["weight"]) for leg in legs)
    out = np.zeros(4, np.int64)
    for reach in (0, 1, 20 * size, 60 * size, 150 * size, 1 << 40):
        for bps, strict, peak in ((0, 0, -NEVER), (5, 0, now), (200, 1, now), (700, 0, -NEVER), (200, 0, now + 30)):
            terms = bounds.empty_terms(count)
            for k, leg in enumerate(legs):
                terms[k * bounds.TERM_SIZE : (k + 1) * bounds.TERM_SIZE] = (descriptors[k].ctypes.data, 2, leg["weight"], leg["value"], leg["row"], leg["end"])
            found = bounds.bound_scan(terms, count, const, now - reach, now + reach, peak, bps, strict, out)
            expected = walk_bound(legs, const, now - reach, now + reach, peak, bps, strict)
            assert found == (expected[0] is not None)
            assert not bps or out[bounds.OUT_PEAK] == expected[2]  # without a draw-down the peak is not followed
            if found:
                assert (int(out[bounds.OUT_TERM]), int(out[bounds.OUT_ROW]), int(out[bounds.OUT_SUM])) == (expected[0], expected[1], expected[3])


def test_a_bound_keeps_the_price_of_an_instrument_that_has_not_moved_yet():
    """The first instrument has stood at 900 until the end of a block and is quoted at 1000 much later; meanwhile the second falls from 1000 to 990."""
    ones, last = np.ones(70, np.int32), np.arange(70) >= 64
    raw = {}
    for instrument, late, before, after in ((PERP, 5_000, 900, 1000), (OTHER, 2_000, 1000, 990)):
        price = np.where(last, after, before).astype(np.int32)
        raw[instrument.id, StreamKind.QUOTE] = {"ts": T0 + np.arange(70) + last * late, "bid": price, "ask": price, "bid_lots": ones, "ask_lots": ones}
    tape = build_tape((PERP, OTHER), raw)
    descriptors = [scan.descriptor(tape.stream(i.id, StreamKind.QUOTE)) for i in (PERP, OTHER)]
    for sign in (1, -1):
        terms, out = bounds.empty_terms(2), np.zeros(4, np.int64)
        for k, value in ((0, 1_800), (1, 2_000)):
            terms[k * bounds.TERM_SIZE : (k + 1) * bounds.TERM_SIZE] = (descriptors[k].ctypes.data, 2, sign, value, 64, 70)
        # doubled mids: 1800 + 2000 now, 1800 + 1980 when the second has fallen, 2000 + 1980 in the end
        low, high = (3_780, 1 << 40) if sign > 0 else (-(1 << 40), -3_780)
        assert bounds.bound_scan(terms, 2, 0, low, high, -NEVER, 0, 0, out)
        assert (out[bounds.OUT_TERM], out[bounds.OUT_ROW], out[bounds.OUT_SUM]) == (1, 64, sign * 3_780)


@pytest.mark.parametrize("weight", [1, -2])
def test_a_bound_over_streams_of_three_levels_of_blocks(weight):
    streams, mids = price_streams(3, (600_000, 1))
    d = scan.descriptor(streams[0])
    values = np.array(mids[0]) * weight
    out = np.zeros(4, np.int64)
    for start in (0, 1, 262_144, 299_000, 524_288, 590_000):
        for reach in (30, 78, 79, 90, 200):
            terms = bounds.empty_terms(1)
            terms[:] = (d.ctypes.data, 2, weight, mids[0][max(0, start - 1)], start, len(values))
            low = int(values[max(0, start - 1)]) - reach
            row = first(values <= low, start, len(values))
            # a draw-down that nothing reaches, as when the peak of an armed bound is asked for
            assert bounds.bound_scan(terms, 1, 0, low, 1 << 40, -NEVER, 10_000, NEVER // 2, out) == (row < len(values))
            assert out[bounds.OUT_PEAK] == values[start : row + 1].max()
            assert row == len(values) or out[bounds.OUT_ROW] == row


def test_the_level_of_a_drawdown_is_the_share_that_the_model_computes():
    for peak in (0, 1, 9_999, 10_000, 10_001, 123_456_789_012, -1, -25_000, 1 << 60):
        for bps in (0, 1, 500, 1_250, 9_999, 10_000):
            for strict in (0, 1):
                assert bounds.drawdown_level(peak, bps, strict) == peak - share(peak, bps) - strict


# -- the level book ---------------------------------------------------------------------------------------------------
class PlainBook:
    """Armed levels in a list; finds what is due by looking at every row."""

    def __init__(self, columns):
        self.columns = columns
        self.armed = []

    def next_due(self, ts, rank, row, limit):
        """Return (event, ids due at it) for the first event after (ts, rank, row) and not beyond `limit`, or None."""
        best = None
        for c in self.armed:
            times, values = self.columns[c.rank]
            begin = row + 1 if c.rank == rank else bisect.bisect_right(times, ts if c.rank < rank else ts - 1)
            for i in range(begin, len(times)):
                if best is not None and (times[i], c.rank, i) > best:
                    break
                if values[i] >= c.level if c.rising else values[i] <= c.level:
                    best = (times[i], c.rank, i)
                    break
        if best is None or best > limit:
            return None
        value = self.columns[best[1]][1][best[2]]
        due = [c for c in self.armed if c.rank == best[1] and (value >= c.level if c.rising else value <= c.level)]
        return best, sorted(c.seq for c in due)


@pytest.mark.parametrize("seed", range(25))
def test_the_level_book(seed):
    r = random.Random(seed)
    rows = (r.choice((5, 200, 600)), r.choice((1, 90, 300)))
    g = np.random.default_rng(seed)
    raw, columns = {}, []
    for instrument, n in zip((PERP, OTHER), rows, strict=True):
        ts = T0 + np.cumsum(g.choice([1, 1, 2, 9], n)).astype(np.int64)
        price = (1000 + np.abs(np.cumsum(g.choice([-1, 0, 0, 1, -9, 9], n)) % 40 - 20)).astype(np.int32)
        raw[instrument.id, StreamKind.TRADE] = {"ts": ts, "price": price, "signed_lots": np.ones(n, np.int32)}
        columns.append((ts.tolist(), price.tolist()))
    streams = build_tape((PERP, OTHER), raw).streams
    descriptors = [scan.descriptor(stream) for stream in streams]
    book = levels.LevelBook(descriptors, capacity=r.choice((1, 2, 64)), alive_bits=r.choice((1, 2, 6, 16)))
    plain = PlainBook(columns)
    at, serial = (T0 - 1, 5, 0), 0
    while True:
        for _ in range(r.randrange(0, 12)):
            serial += r.choice((1, 1, 2, 64))
            now_price = columns[0][1][0]
            c = Condition(LEVEL, r.randrange(2), 0, r.random() < 0.5, now_price + r.randrange(-22, 23))
            c.seq = serial
            book.push(c)
            plain.armed.append(c)
        for _ in range(r.randrange(0, 6)):
            if plain.armed:
                book.remove(plain.armed.pop(r.randrange(len(plain.armed))))
        limit = (at[0] + r.choice((0, 1, 3, 50, 10**6)), r.choice((-1, 0, 1, 5)), r.randrange(0, 5))
        limit = max(limit, at)
        found = levels.next_due(book.control, *at, *limit)
        expected = plain.next_due(*at, limit)
        if expected is None:
            assert found == 0
            if limit[0] > columns[0][0][-1] and limit[0] > columns[1][0][-1]:
                return
            at = (limit[0], -1, -1) if r.random() < 0.5 and limit[0] > at[0] else at
            continue
        event, due = expected
        assert (book.out[0], book.out[1], book.out[2]) == event
        assert sorted(book.out[levels.FIRST_SLOT + i] for i in range(found)) == due
        for ident in due:
            del book.conditions[ident]
        plain.armed = [c for c in plain.armed if c.seq not in due]
        at = event
