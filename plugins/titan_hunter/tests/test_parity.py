"""The decisions are the same tick by tick, skipping ahead and event by event, and depend on nothing later."""

import attrs
import pytest

from titan_core import S
from titan_core.testing.lookahead import truncate
from titan_hunter.config import Rule


@pytest.mark.parametrize("seed", [1, 3])
def test_all_forms_take_the_same_decisions(hunts, seed):
    tape = hunts.market(seed)
    slow, fast, live = (hunts.run(tape, form=form) for form in ("reference", "replay", "per-event"))
    for ours, theirs in zip(slow.engine.record.entries, fast.engine.record.entries, strict=False):
        assert ours == theirs
    assert slow.engine.record.digest == fast.engine.record.digest == live.engine.record.digest
    assert slow.tally == fast.tally == live.tally
    assert len(fast.engine.record.fills) >= 10


def test_with_every_witness_asked_too(hunts):
    config = attrs.evolve(hunts.QUICK, absorption=Rule.REQUIRE, judas=Rule.REQUIRE, only_sessions=True)
    runs = [hunts.run(hunts.market(3), config, form=form).engine.record.digest for form in ("reference", "replay", "per-event")]
    assert len(set(runs)) == 1


@pytest.mark.parametrize("hour", [20, 41, 77])
def test_deleting_the_future_changes_no_decision(hunts, hour):
    tape = hunts.market(3)
    end = tape.first_ns + hour * 3_600 * S + 123_456_789
    known = hunts.run(truncate(tape, end)).engine.record.entries
    whole = hunts.run(tape).engine.record.entries
    assert known == [entry for entry in whole if entry[1] <= end] and len(known) >= 10


def test_a_second_run_is_the_first(hunts):
    assert hunts.run(hunts.market(1)).engine.record.digest == hunts.run(hunts.market(1)).engine.record.digest
