"""Correlation of two phases' hourly results."""

import math

import pytest

from titan_core.brain.correlation import WINDOW_HOURS, Correlations, pearson
from titan_core.brain.limits import BrainLimits
from titan_core.model.ids import PhaseId

A, B = PhaseId("a"), PhaseId("b")


def filled(pairs):
    made = Correlations(BrainLimits())
    for hour in pairs:
        made.add(hour)
    return made


def test_pearson_of_known_series():
    assert pearson([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]) == pytest.approx(1.0)
    assert pearson([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]) == pytest.approx(-1.0)
    assert pearson([1.0], [1.0]) is None
    assert pearson([1.0, 1.0], [1.0, 2.0]) is None


def test_there_is_no_verdict_before_48_common_hours():
    hours = [{A: math.sin(i), B: math.sin(i)} for i in range(47)]
    made = filled(hours)
    assert made.between(A, B) is None
    made.add({A: 0.0})  # an hour in which only one held exposure does not count
    assert made.between(A, B) is None
    made.add({A: 0.5, B: 0.5})
    assert made.between(A, B) == pytest.approx(1.0)


def test_the_later_activated_phase_is_held_down_and_released_below_the_lower_limit():
    together = filled([{A: math.sin(i), B: math.sin(i)} for i in range(60)])
    assert together.held_down([A, B]) == {B}
    assert together.held_down([B, A]) == {A}
    assert not together.released(B, [A])
    apart = filled([{A: math.sin(i), B: math.cos(i * 1.7)} for i in range(200)])
    assert apart.held_down([A, B]) == set()
    assert apart.released(B, [A])


def test_only_the_sign_upwards_counts():
    opposite = filled([{A: math.sin(i), B: -math.sin(i)} for i in range(60)])
    assert opposite.held_down([A, B]) == set()


def test_hours_older_than_thirty_days_are_forgotten():
    made = filled([{A: 1.0 * (i % 2), B: 1.0 * (i % 2)} for i in range(60)] + [{A: math.sin(i), B: -math.sin(i)} for i in range(WINDOW_HOURS)])
    assert made.between(A, B) == pytest.approx(-1.0)
