"""The growing columns of the per-event form against plain lists. Everything is seeded."""

import random
from bisect import bisect_right

import pytest

from titan_core.engine.history import MinuteBars, TradeBars, TradeHistory
from titan_core.model.units import MIN, S

T0 = 28_333_333 * MIN


def grown(seed, count, segment_rows, history_ns=10**18, step=S):
    """Return a history and the rows that it was given: (time, price, signed lots)."""
    r = random.Random(seed)
    history, rows, ts, price = TradeHistory(history_ns, segment_rows), [], T0, 1000
    for _ in range(count):
        ts += r.choice((1, step, 3 * step))
        price += r.choice((-1, 0, 1, 0, r.choice((-9, 9))))
        rows.append((ts, price, r.choice((-3, -1, 0, 1, 2))))
        history.append(*rows[-1])
    return history, rows


@pytest.mark.parametrize("segment_rows", [64, 128, 256, 16_384])
@pytest.mark.parametrize("count", [1, 63, 64, 65, 127, 128, 129, 256, 257, 1_000])
def test_sums_ranges_and_footprints(segment_rows, count):
    history, rows = grown(count, count, segment_rows)
    times = [row[0] for row in rows]
    assert history.rows == count and history.first_ns == times[0]
    probes = {0, times[-1] + 5, *(t + x for t in times[:: max(1, count // 60)] for x in (-1, 0, 1))}
    for since in probes:
        after = rows[bisect_right(times, since) :]
        place = history.after(since)
        assert history.signed_after(since) == sum(s for _, _, s in after)
        assert history.lots_after(since) == sum(abs(s) for _, _, s in after)
        assert history.notional_after(since) == sum(abs(s) * p for _, p, s in after)
        assert history.highest(place, history.end()) == max((p for _, p, _ in after), default=None)
        assert history.lowest(place, history.end()) == min((p for _, p, _ in after), default=None)
        low, high = 995, 1004
        inside = [s for _, p, s in after if low <= p <= high]
        assert history.footprint(since, low, high) == (sum(s for s in inside if s > 0), -sum(s for s in inside if s < 0))


@pytest.mark.parametrize("segment_rows", [64, 256])
def test_ranges_that_end_before_the_newest_trade(segment_rows):
    history, rows = grown(5, 900, segment_rows)
    times = [row[0] for row in rows]
    r = random.Random(1)
    for _ in range(400):
        a, b = sorted((r.randrange(-1, 900), r.randrange(-1, 900)))
        first, end = (times[i] if i >= 0 else 0 for i in (a, b))
        part = rows[a + 1 : b + 1]
        bar = history.bar(history.after(first), history.after(end))
        prices, lots = [p for _, p, _ in part], [s for _, _, s in part]
        assert bar == ((prices[0], max(prices), min(prices), prices[-1], sum(map(abs, lots)), sum(lots)) if part else None)


def plain_bars(rows, timeframe, now):
    """Return the closed bars, made from trades alone."""
    first, out = rows[0][0] // timeframe, []
    for slot in range(first, now // timeframe):
        inside = [(p, s) for t, p, s in rows if t // timeframe == slot]
        close = out[-1][3] if out else 0
        prices = [p for p, _ in inside]
        out.append(
            (prices[0], max(prices), min(prices), prices[-1], sum(abs(s) for _, s in inside), sum(s for _, s in inside)) if inside else (close,) * 4 + (0, 0)
        )
    return out


def table(bars):
    return list(zip(bars.o, bars.h, bars.l, bars.c, bars.volume, bars.delta, strict=True))


@pytest.mark.parametrize("step", [S, 25 * S, 100 * S])
@pytest.mark.parametrize("timeframe", [7 * S, MIN, 3 * MIN])
def test_bars_grow_as_time_passes_however_seldom_they_are_asked_for(step, timeframe):
    history, rows = TradeHistory(10**18, 64), grown(step, 300, 64, step=step)[1]
    r = random.Random(step)
    bars = MinuteBars(history.minutes, timeframe) if timeframe == 3 * MIN else history.minutes if timeframe == MIN else TradeBars(history, timeframe)
    for i, row in enumerate(rows):
        history.append(*row)
        if r.random() < 0.05:
            now = row[0] + r.choice((0, 1, step // 2)) if i + 1 == len(rows) or rows[i + 1][0] > row[0] + step // 2 else row[0]
            bars.roll(now)
            assert table(bars) == plain_bars(rows[: i + 1], timeframe, now)
            assert bars.size == len(bars.c) == len(bars.sums) - 1 and bars.base == rows[0][0] // timeframe
            assert bars.sums[-1] == sum(bars.c) and bars.squares[-1] == sum(c * c for c in bars.c)


def test_swings_and_true_ranges_are_the_same_asked_for_once_or_often():
    history, rows = grown(3, 600, 64, step=25 * S)
    often = TradeHistory(10**18, 64)
    for row in rows:
        often.append(*row)
        often.minutes.roll(row[0])
        for reach in (0, 1, 2):
            often.minutes.swings(reach, True), often.minutes.swings(reach, False)
        often.minutes.atr(5)
    history.minutes.roll(rows[-1][0])
    for reach in (0, 1, 2):
        for highs in (True, False):
            found = history.minutes.swings(reach, highs)
            assert found == often.minutes.swings(reach, highs)
            values = list(history.minutes.h) if highs else [-x for x in history.minutes.l]
            around = [values[i - reach : i] + values[i + 1 : i + reach + 1] for i in range(len(values))]
            assert found == [i for i in range(reach, len(values) - reach) if all(values[i] > x for x in around[i])]
    assert history.minutes.atr(5) == often.minutes.atr(5)


def test_what_is_old_is_forgotten_by_whole_segments_and_never_what_a_bar_needs():
    history, rows = grown(2, 5_000, 128, history_ns=600 * S)
    newest = rows[-1][0]
    kept = [row for row in rows if row[0] > newest - 600 * S]
    assert len(kept) <= history.rows <= len(kept) + 2 * 128
    assert history.signed_after(newest - 600 * S) == sum(s for _, _, s in kept)
    history.minutes.roll(newest)
    assert table(history.minutes) == plain_bars(rows, MIN, newest)
    # a bar that lasts longer than what is kept holds on to its trades
    history, rows = grown(2, 2_000, 64, history_ns=S, step=S // 10)
    history.minutes.roll(rows[-1][0])
    assert table(history.minutes) == plain_bars(rows, MIN, rows[-1][0])


def test_sums_beyond_64_bits_are_exact_over_any_window_that_fits():
    history = TradeHistory(10**18, 64)
    for i in range(300):
        history.append(T0 + i, 2**29, 2**31)
    assert history.notional_after(T0 + 298) == 2**60
    assert history.notional_after(T0 + 290) == 9 * 2**60
    assert history.lots_after(0) == 300 * 2**31
