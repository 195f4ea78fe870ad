import numpy as np
import pytest

from titan_core.model.market import GapReason
from titan_core.tape.columns import DEPTH_LEVELS
from titan_core.tape.faults import FaultKind, FaultLog
from titan_core.tape.importers.book import LevelRuns
from titan_core.tape.importers.depth import BinanceDepth, Differences
from titan_core.tape.importers.rows import GapRows

Message = tuple[int, int, int]
"""U, u, pu; the message sets the bid at price u to size 1."""


def differences(messages: list[Message], first_slot: int) -> Differences:
    table = np.array(messages, np.int64).reshape(-1, 3)
    count = len(table)
    slots = first_slot + np.arange(count)
    ends = np.arange(count + 1)
    runs = LevelRuns(ends[:-1], ends[1:], ends[1:], table[:, 1].copy(), np.ones(count, np.int64))
    return Differences(slots, slots + 1, np.zeros(count, np.int64), table[:, 0], table[:, 1], table[:, 2], runs)


class Feed:
    """Feeds messages and snapshots one after another, in blocks of any size."""

    def __init__(self, usdm: bool, block: int) -> None:
        self.log, self.gaps, self.block, self.slot = FaultLog("f"), GapRows(), block, 0
        self.depth = BinanceDepth(usdm, self.log, self.gaps)

    def send(self, *messages: Message) -> None:
        for start in range(0, len(messages), self.block):
            batch = list(messages[start : start + self.block])
            self.depth.differences(differences(batch, self.slot), 0, len(batch))
            self.slot += len(batch)

    def snapshot(self, last_id: int) -> None:
        self.depth.snapshot(self.slot, last_id, ([1], [5]), ([9_000], [5]))
        self.slot += 1

    def end(self) -> tuple[list[int], list[list[int]], dict[FaultKind, int]]:
        """Return the slots of the rows, the bids of each, and the faults."""
        self.depth.finish()
        found = {fault.kind: fault.count for fault in self.log.faults}
        if not self.depth.rows.count:
            return [], [], found
        table = self.depth.rows.join()
        assert table.fields["bids"].shape == (len(table.slots), DEPTH_LEVELS)
        return table.slots.tolist(), [[price for price in row if price] for row in table.fields["bids"].tolist()], found


def spot(*ranges: tuple[int, int]) -> list[Message]:
    return [(first, last, -1) for first, last in ranges]


@pytest.fixture(params=[1, 2, 100], ids=lambda block: f"blocks of {block}")
def block(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_spot_differences_before_the_snapshot_are_applied_to_it(block: int) -> None:
    feed = Feed(False, block)
    feed.send(*spot((11, 20), (21, 30), (31, 40)))
    feed.snapshot(25)
    feed.send(*spot((41, 50)))
    assert feed.end() == ([3, 4], [[40, 30, 1], [50, 40, 30, 1]], {})


def test_spot_differences_that_the_snapshot_holds_are_left_out(block: int) -> None:
    feed = Feed(False, block)
    feed.snapshot(30)
    feed.send(*spot((11, 20), (21, 30), (31, 40), (41, 50)))
    assert feed.end() == ([3, 4], [[40, 1], [50, 40, 1]], {})


def test_usdm_starts_with_the_message_that_spans_the_snapshot(block: int) -> None:
    feed = Feed(True, block)
    feed.send((11, 20, 10), (25, 30, 20))
    feed.snapshot(30)
    feed.send((33, 40, 30), (41, 50, 40))
    assert feed.end() == ([2, 3, 4], [[30, 1], [40, 30, 1], [50, 40, 30, 1]], {})


def test_a_jump_is_a_gap_and_ends_the_book_until_the_next_snapshot(block: int) -> None:
    feed = Feed(False, block)
    feed.snapshot(10)
    feed.send(*spot((11, 20), (21, 30), (41, 50), (51, 60)))
    feed.snapshot(55)
    feed.send(*spot((61, 70)))
    slots, bids, faults = feed.end()
    assert slots == [1, 2, 5, 6] and bids[-1] == [70, 60, 1] and faults == {FaultKind.GAP: 1}
    assert feed.gaps._rows == [(2, 3, GapReason.SEQUENCE)]


def test_the_fault_of_a_jump_tells_both_ids(block: int) -> None:
    for usdm, text in ((False, "U 41 follows u 30"), (True, "pu 39 follows u 30")):
        feed = Feed(usdm, block)
        feed.send((21, 30, 20), (41, 50, 39))
        (fault, _) = [f for f in feed.log.faults if f.kind is FaultKind.GAP] + [None]
        assert fault is not None and text in fault.example and fault.line == 2


def test_without_a_snapshot_every_message_is_accounted_for(block: int) -> None:
    feed = Feed(False, block)
    feed.send(*spot((11, 20), (21, 30), (31, 40)))
    assert feed.end() == ([], [], {FaultKind.UNSYNCED: 3})
    assert feed.log.faults[0].line == 1


def test_a_snapshot_older_than_the_messages_is_of_no_use_and_a_fitting_one_still_is(block: int) -> None:
    feed = Feed(False, block)
    feed.send(*spot((11, 20), (21, 30)))
    feed.snapshot(5)
    feed.send(*spot((31, 40)))
    feed.snapshot(25)
    slots, bids, faults = feed.end()
    assert (slots, bids) == ([4], [[40, 30, 1]])
    assert faults == {FaultKind.UNSYNCED: 1}


def test_a_snapshot_while_in_step_changes_nothing(block: int) -> None:
    feed = Feed(False, block)
    feed.snapshot(10)
    feed.send(*spot((11, 20)))
    feed.snapshot(15)
    feed.send(*spot((21, 30)))
    assert feed.end() == ([1, 3], [[20, 1], [30, 20, 1]], {})


def test_messages_of_two_sources_are_put_in_order() -> None:
    odd, even = differences(spot((1, 1), (3, 3)), 0), differences(spot((2, 2)), 0)
    odd = Differences(np.array([0, 2]), odd.lines, odd.events, odd.first, odd.last, odd.previous, odd.levels)
    even = Differences(np.array([1]), even.lines, even.events, even.first, even.last, even.previous, even.levels)
    merged = odd.merged(even)
    assert merged.last.tolist() == [1, 2, 3]
    assert merged.levels.prices[merged.levels.bids].tolist() == [1, 2, 3]
