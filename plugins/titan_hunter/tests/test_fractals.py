"""Fractals are those of the definition, read off whole columns, and none is known before it is confirmed."""

import numpy as np
import pytest

from titan_hunter.candles import Candle
from titan_hunter.fractals import Fractal, Fractals


def by_columns(candles: list[Candle], reach: int) -> list[Fractal]:
    """The definition on whole columns: an extreme strictly beyond the `reach` bars on either side."""
    high, low = (np.array([getattr(each, name) for each in candles]) for name in ("high", "low"))
    found = []
    for i in range(reach, len(candles) - reach):
        around = [j for j in range(i - reach, i + reach + 1) if j != i]
        if high[i] > high[around].max():
            found.append(Fractal(True, int(high[i]), candles[i].start_ns, candles[i + reach].end_ns))
        if low[i] < low[around].min():
            found.append(Fractal(False, int(low[i]), candles[i].start_ns, candles[i + reach].end_ns))
    return found


def taken(candles: list[Candle], reach: int) -> list[Fractal]:
    fractals = Fractals(reach)
    return [found for candle in candles for found in fractals.take(candle)]


@pytest.mark.parametrize("reach", [1, 2, 5])
def test_they_are_those_of_the_definition(candles, reach):
    found = taken(candles, reach)
    assert found == by_columns(candles, reach)
    assert len(found) > 20 or reach == 5


@pytest.mark.parametrize("part", [0.31, 0.5, 0.77])
def test_deleting_the_future_changes_none_of_the_past(candles, part):
    known = candles[: int(len(candles) * part)]
    assert taken(known, 2) == [found for found in taken(candles, 2) if found.known_ns <= known[-1].end_ns]


def test_equal_extremes_make_none():
    flat = [Candle(k, k + 1, 10, 12, 9, 10) for k in range(9)]
    assert taken(flat, 2) == []
