"""The structure is what its definition says, worked out anew from all candles at each close; and closes alone break swings."""

import pytest

from titan_hunter.candles import Candle
from titan_hunter.fractals import Fractal
from titan_hunter.structure import Break, Structure, Trend


def fractals_until(candles: list[Candle], last: int, reach: int) -> list[Fractal]:
    """Return the fractals that are known once candle `last` has closed, by looking at every candle around each."""
    found = []
    for i in range(max(reach, last - 400), last - reach + 1):
        sides = candles[i - reach : i] + candles[i + 1 : i + reach + 1]
        if candles[i].high > max(each.high for each in sides):
            found.append(Fractal(True, candles[i].high, candles[i].start_ns, candles[i + reach].end_ns))
        if candles[i].low < min(each.low for each in sides):
            found.append(Fractal(False, candles[i].low, candles[i].start_ns, candles[i + reach].end_ns))
    return found


def worked_out(candles: list[Candle], reach: int = 2) -> list[tuple[Trend, tuple[int, int] | None]]:
    """Return trend and leg after each candle, by looking back over all of them every time a swing breaks."""
    trend, leg = Trend.NONE, None
    broken: set[tuple[bool, int]] = set()
    found = []
    for i, candle in enumerate(candles):
        swings = fractals_until(candles, i, reach)
        tops, bottoms = [s for s in swings if s.is_high], [s for s in swings if not s.is_high]
        top = tops[-1] if tops and (True, tops[-1].at_ns) not in broken else None
        bottom = bottoms[-1] if bottoms and (False, bottoms[-1].at_ns) not in broken else None
        if leg is not None:
            leg = (leg[0], max(leg[1], candle.high)) if trend is Trend.UP else (leg[0], min(leg[1], candle.low))
        if top is not None and candle.close > top.price:
            broken.add((True, top.at_ns))
            lows = [each.low for each in candles[: i + 1] if each.start_ns >= top.at_ns]
            trend, leg = Trend.UP, (min(lows), candle.high)
        elif bottom is not None and candle.close < bottom.price:
            broken.add((False, bottom.at_ns))
            highs = [each.high for each in candles[: i + 1] if each.start_ns >= bottom.at_ns]
            trend, leg = Trend.DOWN, (max(highs), candle.low)
        found.append((trend, leg))
    return found


def taken(candles: list[Candle]) -> tuple[list[tuple[Trend, tuple[int, int] | None]], list[Break]]:
    structure, states, breaks = Structure(), [], []
    for candle in candles:
        _, broken = structure.take(candle)
        states.append((structure.trend, structure.leg))
        breaks += [broken] if broken is not None else []
    return states, breaks


def test_it_is_what_its_definition_says(candles):
    candles = candles[:900]
    states, breaks = taken(candles)
    assert states == worked_out(candles)
    assert {each.trend for each in breaks} == {Trend.UP, Trend.DOWN}
    assert {each.is_change for each in breaks} == {True, False}


@pytest.mark.parametrize("part", [0.4, 0.8])
def test_deleting_the_future_changes_none_of_the_past(candles, part):
    known = candles[: int(len(candles) * part)]
    states, breaks = taken(known)
    whole_states, whole_breaks = taken(candles)
    assert states == whole_states[: len(known)]
    assert breaks == [each for each in whole_breaks if each.at_ns <= known[-1].end_ns]


def test_a_wick_breaks_nothing():
    shape = [(10, 11, 9, 10), (10, 13, 10, 12), (12, 20, 12, 14), (14, 15, 12, 13), (13, 14, 11, 12), (12, 25, 12, 19), (19, 22, 18, 21)]
    candles = [Candle(k, k + 1, *prices) for k, prices in enumerate(shape)]
    states, breaks = taken(candles)
    assert [trend for trend, _ in states] == [Trend.NONE] * 6 + [Trend.UP]
    assert breaks[0].swing.price == 20 and breaks[0].origin == 11


def test_the_middle_of_the_leg_parts_premium_from_discount():
    structure = Structure()
    structure.leg = (100, 200)
    assert (structure.place(100), structure.place(150), structure.place(200)) == (0.0, 0.5, 1.0)
    structure.leg = (200, 100)
    assert structure.place(125) == 0.25
