"""Gaps, order blocks and pools are those of their definitions, looked up over all candles at once; what becomes of them is told at closes."""

import numpy as np
import pytest

from titan_core import BPS
from titan_hunter.candles import Candle
from titan_hunter.inefficiency import Inefficiencies, OrderBlock
from titan_hunter.structure import Break, Structure, Trend

GAP_BPS, EQUAL_BPS = 2.0, 3.0


def taken(candles: list[Candle]) -> list[tuple[list[tuple[int, ...]], list[tuple[int, ...]], list[tuple[object, ...]]]]:
    """Return what is on the map after each candle."""
    structure, found, states = Structure(), Inefficiencies(min_gap_bps=GAP_BPS, equal_bps=EQUAL_BPS, kept=10_000), []
    for candle in candles:
        found.take(candle, *structure.take(candle))
        gaps = [(g.side, g.low, g.high, g.at_ns, g.mitigated_ns) for g in found.gaps]
        blocks = [(b.side, b.low, b.high, b.at_ns, b.known_ns, b.mitigated_ns) for b in found.blocks]
        pools = [(p.is_high, tuple(p.prices), p.known_ns, p.swept_ns) for p in found.pools]
        states.append((gaps, blocks, pools))
    return states


def gaps_by_columns(candles: list[Candle]) -> list[tuple[int, ...]]:
    """Return the gaps that are left after the last candle: all triples, then what the candles after each did to it."""
    high, low = (np.array([getattr(each, name) for each in candles]) for name in ("high", "low"))
    end = [each.end_ns for each in candles]
    found = []
    for i in range(2, len(candles)):
        for side, bottom, top in ((1, high[i - 2], low[i]), (-1, high[i], low[i - 2])):
            if top <= bottom or (top - bottom) * BPS < bottom * GAP_BPS:
                continue
            later = range(i + 1, len(candles))
            crossed = [j for j in later if (low[j] <= bottom if side > 0 else high[j] >= top)]
            back = [j for j in later if (2 * low[j] <= bottom + top if side > 0 else 2 * high[j] >= bottom + top)]
            if not crossed:
                found.append((side, int(bottom), int(top), candles[i - 1].start_ns, end[back[0]] if back else 0))
    return found


def test_gaps_are_those_of_the_definition(candles):
    candles = candles[:700]
    states = taken(candles)
    for last in (len(candles) // 3, len(candles) - 1):
        assert states[last][0] == gaps_by_columns(candles[: last + 1])
    assert sum(bool(gaps) for gaps, _, _ in states) > 20


def test_an_order_block_is_the_last_candle_against_a_displacement(candles):
    """Held against its definition at every break, with the gaps of that moment from whole columns."""
    candles = candles[:900]
    structure, seen = Structure(), []
    states = taken(candles)
    for i, candle in enumerate(candles):
        _, broken = structure.take(candle)
        made = [block for block in states[i][1] if block[4] == candle.end_ns]
        wanted = expected_block(candles[: i + 1], broken) if broken is not None else None
        assert [block[:4] for block in made] == ([wanted] if wanted is not None else [])
        seen += made
    assert {block[0] for block in seen} == {1, -1}


def expected_block(candles: list[Candle], broken: Break) -> tuple[int, ...] | None:
    side = 1 if broken.trend is Trend.UP else -1
    if not any(gap[0] == side and gap[3] >= broken.origin_ns for gap in gaps_by_columns(candles[-300:])):
        return None
    first = next(k for k, each in enumerate(candles) if each.start_ns == broken.origin_ns)
    for k in range(first, max(-1, first - 4), -1):
        if side * (candles[k].close - candles[k].open) < 0:
            return side, candles[k].low, candles[k].high, candles[k].start_ns
    return None


def test_a_block_is_mitigated_by_the_first_return_and_void_by_a_close_beyond(candles):
    candles = candles[:1_500]
    states = taken(candles)
    known: dict[tuple[int, ...], int] = {}
    for i, (_, blocks, _) in enumerate(states):
        for block in blocks:
            known.setdefault(block[:5], i)
    assert known
    for (side, low, high, _, _), i in known.items():
        later = candles[i + 1 :]
        void = next((k for k, each in enumerate(later) if (each.close < low if side > 0 else each.close > high)), len(later))
        back = next((k for k, each in enumerate(later[:void]) if (each.low <= high if side > 0 else each.high >= low)), None)
        for k in range(void):
            now = next(block for block in states[i + 1 + k][1] if block[:3] == (side, low, high))
            assert bool(now[5]) == (back is not None and k >= back)
        if void < len(later):
            assert not any(block[:4] == (side, low, high, block[3]) and block[4] <= candles[i].end_ns for block in states[i + 1 + void][1])


def test_pools_are_equal_swings_that_nothing_has_passed(candles):
    candles = candles[:900]
    final = taken(candles)[-1][2]
    for is_high, prices, known_ns, swept_ns in final:
        assert len(prices) >= 2 and max(prices) - min(prices) <= 2 * max(prices) * EQUAL_BPS / BPS
        bound = max(prices) if is_high else min(prices)
        after = [each for each in candles if each.start_ns >= known_ns and (not swept_ns or each.end_ns < swept_ns)]
        assert all(each.high <= bound if is_high else each.low >= bound for each in after)
        if swept_ns:
            sweeping = next(each for each in candles if each.end_ns == swept_ns)
            assert sweeping.high > bound if is_high else sweeping.low < bound
    assert final


@pytest.mark.parametrize("part", [0.4, 0.8])
def test_deleting_the_future_changes_none_of_the_past(candles, part):
    candles = candles[:1_000]
    known = candles[: int(len(candles) * part)]
    assert taken(known) == taken(candles)[: len(known)]


def test_the_ends_of_a_block_by_its_side():
    bought, sold = OrderBlock(1, 10, 12, 0, 1, False), OrderBlock(-1, 10, 12, 0, 1, False)
    assert (bought.near, bought.far) == (12, 10) and (sold.near, sold.far) == (10, 12)


def test_no_more_are_remembered_than_asked_for():
    found, structure = Inefficiencies(min_gap_bps=0, kept=2), Structure()
    for k in range(12):  # each three leave a gap upwards
        candle = Candle(k, k + 1, 100 * k, 100 * k + 20, 100 * k - 20, 100 * k + 10)
        found.take(candle, *structure.take(candle))
    assert len(found.gaps) == 2 and found.gaps[-1].at_ns == 10
