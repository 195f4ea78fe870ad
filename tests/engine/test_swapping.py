"""Exchanging a phase while it holds a position: the position moves with its stop, or is closed, and what is not fit is rolled back."""

from decimal import Decimal

import pytest
from attrs import evolve

from tests.engine.governed import NOON, Checked, Hold, phase, play, price_tape, state, steps
from titan_core.brain.limits import BrainLimits
from titan_core.engine.governor import BrainGovernor
from titan_core.engine.swapping import Swap
from titan_core.errors import UsageError
from titan_core.hookspecs import Health
from titan_core.model.ids import PhaseId
from titan_core.model.units import S
from titan_core.ports import Strategy

pytest.importorskip("titan_core.engine.replay", reason="numba is not installed")

AT = NOON + 600 * S
SWAP = Swap(PhaseId("old"), PhaseId("new"), AT)


def swapped(adopt=True, new_band=(200, 50_000), health=None, swap=SWAP, quiet=Strategy):
    """Run one hour: `old` holds a position, and is exchanged for `new` after ten minutes."""

    def bindings():
        new = phase("new", *new_band, strategy=quiet, adopt=lambda offer: adopt)
        return [phase("old", 200, 50_000, strategy=Hold), evolve(new, health=health) if health else new]

    def governor(phases, limits):
        return type("Swapped", (Checked,), {})(phases, limits, swaps=(swap,))

    return play(price_tape([600_000 + (k % 3) for k in range(60)]), bindings, Decimal(3_000), governor=governor, limits=BrainLimits())


class Late(Hold):
    """Enters once the old phase has left the instrument."""

    def on_start(self, market):
        market.after(1_000 * S, self._enter)


def noted(engine):
    return [entry[3] for entry in engine.record.entries if entry[0] == "note" and "swap" in entry[3]]


def test_the_new_phase_takes_no_part_before_its_time():
    engine, _ = swapped()
    before = [step for entry, step in zip([e for e in engine.record.entries if e[0] == "chart"], steps(engine), strict=True) if entry[1] < AT]
    assert ("new.disable", "disabled") in before and ("old.activate", "active") in before
    assert not any(step.startswith("new.") and step != "new.disable" for step, _ in before)


def test_a_position_that_is_adopted_moves_with_its_stop():
    engine, governor = swapped()
    assert (state(governor, "old"), state(governor, "new")) == ("disabled", "active")
    (moved,) = [entry for entry in engine.record.entries if entry[0] == "handed_over"]
    assert moved[1] == AT and moved[4:6] == ("old", "new")
    assert len(engine.record.fills) == 1 and engine.account.lots[0] == moved[3] and engine.account.owner[0] == governor.by_id[PhaseId("new")].slot
    assert engine.venue.protection[0].stop is not None
    assert noted(engine) == ["swap of old for new: new is active, old leaves"]


def test_a_position_that_is_declined_is_closed_when_the_time_to_leave_is_over():
    engine, governor = swapped(adopt=False)
    assert (state(governor, "old"), state(governor, "new")) == ("disabled", "active")
    assert not engine.account.lots[0] and engine.record.fills[-1].ts_ns >= AT + 900 * S
    assert not [entry for entry in engine.record.entries if entry[0] == "handed_over"]


@pytest.mark.parametrize("unfit", [{"health": lambda: Health(False, "it has no key")}, {"new_band": (100_000, None)}])
def test_a_phase_that_is_not_fit_is_rolled_back_and_the_old_one_goes_on(unfit):
    engine, governor = swapped(**unfit)
    assert (state(governor, "old"), state(governor, "new")) == ("active", "disabled")
    assert engine.account.lots[0] and len(engine.record.fills) == 1
    assert noted(engine) == ["swap of old for new is rolled back: new is not fit to trade now; old goes on"]


def test_the_new_phase_may_trade_from_then_on():
    engine, governor = swapped(adopt=False, quiet=Late)
    bought = [fill for fill in engine.record.fills if fill.phase == "new"]
    assert bought and all(fill.ts_ns > AT + 900 * S for fill in bought), "its instrument is the old phase's until that has left it"
    assert state(governor, "new") == "active"


@pytest.mark.parametrize(
    ("swap", "words"),
    [
        (Swap(PhaseId("old"), PhaseId("other"), AT), "no phase 'other' takes part in this run; it has new, old"),
        (Swap(PhaseId("old"), PhaseId("old"), AT), "phase 'old' cannot be exchanged for itself"),
    ],
)
def test_what_cannot_be_is_refused(swap, words):
    with pytest.raises(UsageError, match=words):
        BrainGovernor([phase("old", 200, 5_000), phase("new", 200, 5_000)], BrainLimits(), swaps=[swap])
