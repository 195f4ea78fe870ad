"""The decisions are the same tick by tick, skipping ahead and event by event, and depend on nothing later."""

import attrs
import pytest

from titan_core import S
from titan_core.testing.lookahead import truncate


@pytest.mark.parametrize("seed", [1, 2])
def test_all_forms_take_the_same_decisions(spreads, seed):
    tape = spreads.market(seed)
    slow, fast, live = (spreads.run(tape, form=form) for form in ("reference", "replay", "per-event"))
    for ours, theirs in zip(slow.engine.record.entries, fast.engine.record.entries, strict=False):
        assert ours == theirs
    assert slow.engine.record.digest == fast.engine.record.digest == live.engine.record.digest
    assert slow.tally == fast.tally == live.tally
    assert len(fast.fills) >= 10


def test_with_carry_too(spreads):
    config = attrs.evolve(spreads.QUICK, carry=True, horizon_h=2_000, decay_h=8_000.0)
    assert len({spreads.run(spreads.market(3), config, form=form).engine.record.digest for form in ("reference", "replay", "per-event")}) == 1


@pytest.mark.parametrize("hour", [6, 13, 20])
def test_deleting_the_future_changes_no_decision(spreads, hour):
    tape = spreads.market(2)
    end = tape.first_ns + hour * 3_600 * S + 123_456_789
    known = spreads.run(truncate(tape, end)).engine.record.entries
    whole = spreads.run(tape).engine.record.entries
    assert known == [entry for entry in whole if entry[1] <= end] and len(known) >= 4
