"""Counts of a day are noted when the next one begins, and read back from the notes."""

from hypothesis import given
from hypothesis import strategies as st

from titan_core.model.tally import DayTally
from titan_core.model.units import D


def test_a_day_is_noted_when_the_next_begins() -> None:
    tally, notes = DayTally(), list[str]()
    assert tally.turn(5 * D, notes.append) and not notes
    tally["sprung"] += 2
    tally["won"] += 1
    assert not tally.turn(6 * D - 1, notes.append)
    assert tally.turn(6 * D, notes.append)
    assert notes == ["day: sprung 2, won 1"] and not tally
    assert tally.turn(9 * D, notes.append) and len(notes) == 1, "nothing happened, nothing is noted"


@given(st.lists(st.lists(st.sampled_from(["won", "lost", "not aligned"]), max_size=5), max_size=6))
def test_nothing_is_lost_between_notes_and_counts(days: list[list[str]]) -> None:
    tally, notes = DayTally(), list[str]()
    for day, words in enumerate(days):
        tally.turn(day * D, notes.append)
        tally.update(words)
    total = tally.with_notes([*notes, "something else"])
    assert total == {word: count for word in ("won", "lost", "not aligned") if (count := sum(day.count(word) for day in days))}
