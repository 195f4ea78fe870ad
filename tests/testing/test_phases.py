"""The test kit's phases do what their names say, under the Brain, in both forms of the engine."""

import pytest

from titan_core.brain.limits import BrainLimits
from titan_core.engine.forms import Form
from titan_core.errors import CallbackHung
from titan_core.model.enums import RefusalCode
from titan_core.model.units import MIN, S
from titan_core.testing import Flipper, Greedy, Hold, Idle, Raiser, Sleeper, alike_phases, make_phase, ranges, run_phases, stepped_market
from titan_core.testing.phases import named

CALM = stepped_market([60_000] * 1_200)


def both(tape, make_bindings, **options):
    fast, slow = (run_phases(tape, make_bindings(), form=form, **options) for form in Form)
    assert fast.engine.record.entries == slow.engine.record.entries
    return fast


def test_hold_buys_once_with_its_stop():
    run = both(CALM, lambda: [make_phase("only", 200, None, strategy=named(Hold, "hold", share=2.0, stop_bps=100))])
    (order,) = run.entries("approved")
    assert order[4] == 2_000 * 1_000 // 60_000 and order[8] == 600_001 - 6_000
    assert [fill.signed_lots for fill in run.engine.record.fills] == [order[4]]


def test_hold_may_be_short_with_a_target_and_begin_again():
    shorts = named(Hold, "short", side=-1, stop_bps=50, target_bps=20, again=True)
    run = both(ranges(2), lambda: [make_phase("only", 200, None, strategy=shorts)])
    entries = [entry for entry in run.entries("approved") if entry[8] is not None]
    assert len(entries) > 1 and all(entry[4] < 0 and entry[9] < entry[8] for entry in entries)


def test_flipper_takes_both_sides_in_turn():
    run = both(ranges(3), lambda: [make_phase("only", 200, None, strategy=Flipper)])
    entries = [entry for entry in run.entries("approved") if entry[8] is not None]
    assert len(entries) > 10
    assert all((one[4] > 0) != (other[4] > 0) for one, other in zip(entries, entries[1:], strict=False))
    assert all(entry[1] % (5 * MIN) == 0 for entry in entries)


def test_greedy_is_refused_each_time():
    run = both(CALM, lambda: [make_phase("only", 200, None, strategy=Greedy)])
    refused = run.entries("refused")
    assert len(refused) == 19 and {entry[5] for entry in refused} == {RefusalCode.MAX_POSITION}
    assert run.entries("approved") == []


@pytest.mark.parametrize("where", ["on_start", "on_fill", "on_flat", "on_order_closed", "timer", "condition"])
def test_raiser_raises_in_the_chosen_callback(where):
    run = both(CALM, lambda: [make_phase("only", 200, None, strategy=named(Raiser, "raiser", where=where))])
    assert run.governor.books[0].broken == "RuntimeError: the strategy is broken"
    assert run.states("only")[-1] == "disabled"


@pytest.mark.parametrize("busy", [False, True])
def test_sleeper_hangs_until_somebody_stops_it(busy):
    with pytest.raises(CallbackHung, match="'only'.*'sleeper'"):
        run_phases(CALM, [make_phase("only", 200, None, strategy=named(Sleeper, "sleeper", busy=busy))], timeout_s=0.2)


def test_idle_decides_nothing():
    assert run_phases(CALM, [make_phase("only", 200, None, strategy=Idle)]).engine.calls == 1


def test_alike_phases_differ_by_name_only():
    phases = alike_phases(8, lower=100, upper=None, leverage=(1, 3))
    assert len({binding.declaration.id for binding in phases}) == 8
    assert {(binding.declaration.band, binding.declaration.leverage) for binding in phases} == {(phases[0].declaration.band, (1, 3))}
    run = both(CALM, lambda: alike_phases(8, strategy=Idle))
    assert set(run.governor.machine.configuration.phases.values()) == {"active"}


def test_a_phase_may_have_several_strategies_and_each_activation_gets_new_ones():
    binding = make_phase("only", 200, None, strategy=[named(Hold, "one"), named(Idle, "other")])
    first, second = binding.create(), binding.create()
    assert [strategy.id for strategy in first] == ["one", "other"]
    assert not set(map(id, first)) & set(map(id, second))


def test_a_run_tells_of_itself():
    run = run_phases(CALM, [make_phase("only", 200, None, strategy=Greedy)], limits=BrainLimits(stale_s=1), usdt="250.5")
    assert run.states("only")[:2] == ["arming", "active"]
    assert run.notes("only.main")[0].startswith("max_position: phase only: margin ")
    assert run.engine.now - CALM.first_ns == 1_199 * S + 1_001_000
