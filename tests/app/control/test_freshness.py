"""A message is taken once, and only while it is recent."""

from hypothesis import given
from hypothesis import strategies as st

from titan_core.app.control import freshness
from titan_core.app.control.freshness import AHEAD_NS, KEEP_NS, MAX_AGE_NS, Freshness
from titan_core.model.units import S

NOW = 1_700_000_000 * S


class Clocks:
    def __init__(self) -> None:
        self.wall, self.since = NOW, 0

    def go(self, ns: int) -> None:
        self.wall += ns
        self.since += ns

    def made(self) -> Freshness:
        return Freshness(lambda: self.wall, lambda: self.since)


def test_a_message_is_taken_once() -> None:
    clocks = Clocks()
    fresh = clocks.made()
    assert fresh.problem(NOW, "a") == ""
    assert "sent before" in fresh.problem(NOW, "a")
    assert "sent before" in fresh.problem(NOW + 1, "a")
    assert fresh.problem(NOW, "b") == ""


def test_old_ones_and_those_of_the_future_are_refused() -> None:
    fresh = Clocks().made()
    assert fresh.problem(NOW - MAX_AGE_NS, "a") == "" == fresh.problem(NOW + AHEAD_NS, "b")
    assert "30.0 s old" in fresh.problem(NOW - MAX_AGE_NS - 1, "c")
    assert "in the future" in fresh.problem(NOW + AHEAD_NS + 1, "d")
    assert fresh.problem(NOW, "c") == ""  # what was refused was not taken


def test_a_wall_clock_that_is_set_back_brings_no_message_back() -> None:
    clocks = Clocks()
    fresh = clocks.made()
    assert fresh.problem(clocks.wall, "a") == ""
    clocks.wall += 3_600 * S  # set forward: the nonce is old by this clock alone
    assert fresh.problem(clocks.wall, "b") == ""
    clocks.wall -= 3_600 * S
    assert "sent before" in fresh.problem(NOW, "a")


def test_what_can_no_longer_be_taken_for_recent_is_forgotten() -> None:
    clocks = Clocks()
    fresh = clocks.made()
    for number in range(100):
        assert fresh.problem(clocks.wall, str(number)) == ""
        clocks.go(S)
    assert len(fresh._nonces) == len(fresh._kept) <= KEEP_NS // S + 1


def test_a_flood_keeps_no_new_message_out_and_lets_no_old_one_in() -> None:
    clocks = Clocks()
    fresh = clocks.made()
    before, freshness.MAX_KEPT = freshness.MAX_KEPT, 8
    try:
        for number in range(50):
            clocks.go(1_000)
            assert fresh.problem(clocks.wall, str(number)) == ""
        assert len(fresh._nonces) == 8
        for number in range(50):
            assert "sent before" in fresh.problem(NOW + 1_000 * (number + 1), str(number))
    finally:
        freshness.MAX_KEPT = before


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-40, 40), st.integers(0, 20), st.integers(-50, 50))))
def test_no_nonce_is_ever_taken_twice(script: list[tuple[int, int, int, int]]) -> None:
    """Whatever the clocks do, as long as the wall clock is not set back by more than what it goes on in between."""
    clocks = Clocks()
    fresh = clocks.made()
    taken: set[tuple[int, str]] = set()
    for nonce, offset, passed, step in script:
        clocks.go(passed * S)
        clocks.wall = max(clocks.wall + step * S, NOW + clocks.since)  # steps forward, and back to where it should be
        message = (clocks.wall + offset * S, str(nonce))
        if fresh.problem(*message) == "":
            assert message not in taken
            taken.add(message)
