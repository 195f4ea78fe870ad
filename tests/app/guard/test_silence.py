"""Silence is counted in the listener's own time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titan_core.app.guard.silence import JUMP_S, Silence

TURN_S = 0.1


def turns_until_full(silence: Silence, passed_s: float = TURN_S) -> int:
    turns = 1
    while not silence.pass_time(passed_s):
        turns += 1
    return turns


def test_silence_is_full_after_its_limit_and_a_sign_of_life_empties_it() -> None:
    silence = Silence(TURN_S, 10.0)
    assert turns_until_full(silence) == pytest.approx(100, abs=1)
    silence.heard()
    assert not silence.pass_time(TURN_S)


@given(st.floats(0.0, 9.8), st.floats(JUMP_S, 1e6))
def test_a_machine_that_slept_leaves_at_least_half_of_the_limit_for_a_sign_of_life(already_s: float, slept_s: float) -> None:
    silence = Silence(TURN_S, 10.0, seconds=already_s)
    assert not silence.pass_time(slept_s)
    assert turns_until_full(silence) >= 47


@given(st.lists(st.floats(0.0, 1e3), min_size=1, max_size=300))
def test_a_listener_whose_every_turn_is_late_is_excused_once_and_ends_all_the_same(late: list[float]) -> None:
    silence = Silence(TURN_S, 10.0)
    for passed_s in late:
        if silence.pass_time(passed_s):
            break
    assert turns_until_full(silence, 5.0) <= 51


def test_a_turn_counts_for_two_at_most() -> None:
    silence = Silence(TURN_S, 10.0)
    silence.pass_time(1.9)
    assert silence.seconds == pytest.approx(2 * TURN_S)
