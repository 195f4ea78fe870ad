"""One failure at a time, each within the time that it may take."""

import pytest

from tests.app.live import scenes
from titan_core.simulator.faults import FaultKind


def test_a_private_socket_that_carries_nothing_is_noticed_and_made_up_for() -> None:
    found = scenes.deaf(1)
    assert found.noticed_s < 4 and found.right_s < 10, found


@pytest.mark.parametrize("seconds", [6.0, -6.0])
def test_a_computers_clock_that_is_set_halts_entries_until_the_venues_is_known_again(seconds: float) -> None:
    found = scenes.stepped(1, seconds)
    assert found.halted_s < 2 and found.resumed_s < 5, found


@pytest.mark.parametrize("seconds", [6.0, -6.0])
def test_a_venues_clock_that_is_set_halts_entries_with_the_first_refusal(seconds: float) -> None:
    found = scenes.venue_stepped(1, seconds)
    assert found.halted_s < 60 and found.resumed_s < 5, found
    assert any("10002" in note for note in found.notes)


@pytest.mark.parametrize(("kind", "lots"), scenes.UPSETS, ids=lambda value: str(value))
def test_what_the_venue_does_by_itself_is_in_the_ledger_and_is_not_undone(kind: FaultKind, lots: int) -> None:
    found = scenes.upset(2, kind, lots)
    assert found.right_s < 5 and found.reopened == 0, found


def test_what_no_word_came_of_is_in_the_ledger_after_the_next_poll() -> None:
    found = scenes.upset(2, FaultKind.MANUAL_TRADE, -4, deaf_to="/v5/private*")
    assert found.right_s < 15 and found.reopened == 0, found


@pytest.mark.parametrize("seconds", [4.0, 60.0])
def test_a_process_that_stood_still_sends_no_entry_from_before(seconds: float) -> None:
    found = scenes.standstill(1, seconds)
    assert found.stale == 0 and found.fresh > 100, found


def test_hundreds_of_positions_and_orders_are_read_and_settled() -> None:
    found = scenes.crowd(1)
    assert (found.positions, found.orders, found.wrong) == (300, 500, 0), found


def test_every_position_that_is_nobodys_is_adopted_with_a_stop() -> None:
    found = scenes.crowd_adopted(1, 30, 50)
    assert (found.positions, found.orders, found.wrong) == (30, 50, 0), found


def test_a_kill_that_drops_what_was_not_synced_loses_no_order() -> None:
    found = scenes.dropped(2, 20)
    assert found.entries_dropped and found.orders > 20 and not found.breaks, found
