"""Receive times strictly increase whatever the clock does, and a clock that is set is noticed."""

from hypothesis import given
from hypothesis import strategies as st

from titan_core.feed.strict_time import STEP_NS, StrictTime
from titan_core.model.units import MS, S


@given(st.lists(st.tuples(st.integers(-(10**10), 10**10), st.integers(0, 5)), min_size=1))
def test_times_strictly_increase_and_are_the_clocks_where_they_can_be(moves: list[tuple[int, int]]) -> None:
    now = 10**18
    time = StrictTime(lambda: now)
    given_out: list[int] = []
    for move, rows in moves:
        now += move
        time.frame()
        for row in range(rows):
            before = given_out[-1] if given_out else 0
            given_out.append(time.next())
            assert given_out[-1] == max(now, before + 1)
            assert row or given_out[-1] >= now
    assert all(a < b for a, b in zip(given_out, given_out[1:], strict=False))


@given(st.lists(st.tuples(st.integers(0, S), st.sampled_from([0, 0, 0, -6 * S, 6 * S, 50_000, -50_000])), min_size=1))
def test_a_clock_that_is_set_is_noticed_and_one_that_drifts_is_not(moves: list[tuple[int, int]]) -> None:
    steady, wall = 0, 10**18
    found: list[int] = []
    time = StrictTime(lambda: wall, lambda: steady, found.append)
    time.check()
    wanted = []
    for passed, step in moves:
        steady += passed
        wall += passed + step
        assert time.check() == time.now == wall
        if abs(step) >= STEP_NS:
            wanted.append(step)
    assert found == wanted and time.steps == len(wanted)
    assert STEP_NS == 100 * MS
