"""The checker proves the chart, and each property can be broken and is then found broken, by a shortest path."""

import attrs
import pytest

from titan_core.brain import table
from titan_core.brain.chart import (
    Chart,
    Configuration,
    Control,
    Direction,
    Guard,
    Link,
    Risk,
    State,
    StateKind,
    Transition,
    Trigger,
    alike_phases,
    chart_of,
    gate_open,
    initial,
    step,
)
from titan_core.brain.verify import CounterExample, Property, check
from titan_core.model.ids import PhaseId

ONE, TWO, THREE = alike_phases(3)
CHART = chart_of((ONE, TWO, THREE))
P1 = f"{table.PHASES}.{ONE}"


def mutated(chart: Chart, *, drop: tuple[Trigger, str] | None = None, add: tuple[Transition, ...] = (), **changes: object) -> Chart:
    """Drop the rows of a trigger from a source, add rows."""
    kept = tuple(row for row in chart.transitions if drop is None or (row.trigger, row.source) != drop)
    assert drop is None or len(kept) < len(chart.transitions)
    return attrs.evolve(chart, transitions=(*add, *kept), **changes)


def row(
    trigger: Trigger, source: str, dest: str, direction: Direction = Direction.EQUAL, *, phase: PhaseId | None = None, guards: tuple[Guard, ...] = ()
) -> Transition:
    return Transition(trigger=trigger, source=source, dest=dest, direction=direction, phase=phase, guards=guards)


def only(chart: Chart, which: Property, **options: object) -> CounterExample:
    """Check a broken chart, and that its counter-example is a path that the interpreter takes."""
    report = check(chart, **options)
    assert not report.ok
    example = next(example for example in report.counter_examples if example.broken is which)
    here = example.start
    assert here == initial(chart)
    for hop in example.hops:
        taken = step(chart, here, hop.row.trigger, hop.row.phase, hop.facts)
        assert taken is not None
        assert (taken.transition, taken.configuration) == (hop.row, hop.configuration)
        here = hop.configuration
    return example


def events(example: CounterExample) -> list[str]:
    return [hop.row.event for hop in example.hops]


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_the_chart_holds_all_six_properties(count: int) -> None:
    report = check(chart_of(alike_phases(count)))
    assert report.ok, "\n".join(map(str, report.counter_examples))
    assert report.configurations == 4 * 3 * 2 * 8**count + 10


@pytest.mark.parametrize("count", [1, 2, 3])
def test_counting_alike_phases_once_finds_the_same_configurations(count: int) -> None:
    chart = chart_of(alike_phases(count))
    plain, symmetric = check(chart, symmetric=False), check(chart)
    assert plain.configurations == symmetric.configurations
    assert plain.explored == plain.configurations + 2, "stopping and stopped, each with and without phases that were not drained"
    assert (plain.explored == symmetric.explored) is (count == 1)
    assert plain.ok and symmetric.ok


def test_eight_phases_are_checked_by_their_symmetry() -> None:
    report = check(chart_of(alike_phases(8)))
    assert report.ok
    assert report.configurations == 24 * 8**8 + 10
    assert report.explored < 200_000


# -- property 1 ---------------------------------------------------------------------------------------------------------


def test_a_gate_that_forgets_the_pause_is_found() -> None:
    def forgetful(here: Configuration) -> bool:
        return here.mode == "operational" and here.risk is not Risk.HALTED and here.link is not Link.DOWN

    example = only(CHART, Property.GATE, gate=forgetful)
    assert "with control paused" in example.message
    assert set(events(example)[2:]) == {"link_up", "pause"} or set(events(example)[2:]) == {"link_degraded", "pause"}
    assert len(example.hops) == 4


@pytest.mark.parametrize(
    ("gate", "message", "length"),
    [
        (lambda here: here.control is Control.RUNNING and here.link is not Link.DOWN, "with risk halted", 4),
        (lambda here: here.control is Control.RUNNING and here.risk is not Risk.HALTED, "with link down", 2),
        (lambda here: gate_open(here) or here.mode == "emergency.locked", "in emergency.locked", 1),
        (lambda here: gate_open(here) or here.mode == "booting.loading", "in booting.loading", 0),
    ],
)
def test_other_gates_that_open_too_wide_are_found(gate, message: str, length: int) -> None:
    example = only(CHART, Property.GATE, gate=gate)
    assert message in example.message
    assert len(example.hops) == length


# -- property 2 ---------------------------------------------------------------------------------------------------------


def test_a_mode_without_panic_is_found() -> None:
    example = only(mutated(CHART, drop=(Trigger.PANIC, "stopping")), Property.PANIC)
    assert example.message == "panic is refused in stopping"
    assert events(example) == ["stop"]


def test_a_guarded_panic_is_found() -> None:
    guarded = row(Trigger.PANIC, "operational", "emergency.closing_gate", Direction.MORE_RISK, guards=(Guard.HEALTHY,))
    example = only(mutated(CHART, drop=(Trigger.PANIC, "operational"), add=(guarded,)), Property.PANIC)
    assert "may be refused" in example.message
    assert events(example) == ["loaded", "reconciled"]


def test_a_panic_that_leads_elsewhere_is_found() -> None:
    astray = row(Trigger.PANIC, "stopping", "booting", Direction.MORE_RISK)
    example = only(mutated(CHART, drop=(Trigger.PANIC, "stopping"), add=(astray,)), Property.PANIC)
    assert "panic leads to booting.loading" in example.message
    assert events(example) == ["stop", "panic"]


def test_a_panic_into_an_open_gate_is_found() -> None:
    example = only(CHART, Property.PANIC, gate=lambda here: gate_open(here) or here.mode == "emergency.closing_gate")
    assert events(example) == ["panic"]


# -- property 3 ---------------------------------------------------------------------------------------------------------


def test_a_phase_that_falls_asleep_without_draining_is_found() -> None:
    nap = row(Trigger.DRAIN, f"{P1}.active", f"{P1}.dormant", Direction.MORE_RISK, phase=ONE)
    example = only(mutated(CHART, drop=(Trigger.DRAIN, f"{P1}.active"), add=(nap,)), Property.DRAINING)
    assert events(example) == ["loaded", "reconciled", f"{ONE}.arm", f"{ONE}.activate", f"{ONE}.drain"]
    assert example.hops[-1].configuration.phases[ONE] == "dormant"


def test_a_detour_that_avoids_draining_is_found() -> None:
    detour = row(Trigger.RECOVER, f"{P1}.escalated", f"{P1}.arming", Direction.LESS_RISK, phase=ONE)
    example = only(mutated(CHART, drop=(Trigger.RECOVER, f"{P1}.escalated"), add=(detour,)), Property.DRAINING)
    assert events(example)[2:6] == [f"{ONE}.arm", f"{ONE}.activate", f"{ONE}.escalate", f"{ONE}.recover"]
    assert events(example)[6:] in ([f"{ONE}.reject"], [f"{ONE}.drain"], [f"{ONE}.disable"], [f"{ONE}.fault"])


def test_leaving_and_coming_back_around_the_emergency_is_found() -> None:
    back = row(Trigger.UNPAUSE, "stopping", "booting")
    example = only(mutated(chart_of((ONE,)), add=(back,)), Property.DRAINING)
    assert events(example) == ["loaded", "reconciled", f"{ONE}.arm", f"{ONE}.activate", "stop", "unpause", "loaded", "reconciled"]


# -- property 4 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dest", ["stopping", "booting", "emergency.flattening"])
def test_a_lock_that_something_else_opens_is_found(dest: str) -> None:
    example = only(mutated(CHART, add=(row(Trigger.UNPAUSE, "emergency.locked", dest),)), Property.LOCK)
    assert "emergency.locked is left by unpause" in example.message
    assert events(example) == ["loaded", "unpause"], "the shortest way into the lock is a restart"


def test_a_resume_that_skips_booting_is_found() -> None:
    example = only(mutated(CHART, drop=(Trigger.RESUME, "emergency.locked"), add=(row(Trigger.RESUME, "emergency.locked", "operational"),)), Property.LOCK)
    assert events(example) == ["loaded", "resume"]


def test_an_emergency_that_is_left_before_it_is_locked_is_found() -> None:
    example = only(mutated(CHART, add=(row(Trigger.RESUME, "emergency.flattening", "booting"),)), Property.LOCK)
    assert events(example)[1:] == ["gate_closed", "entries_cancelled", "resume"]
    assert events(example)[0] in ("panic", "loaded"), "an interrupted emergency is as near as a new one"


# -- property 5 ---------------------------------------------------------------------------------------------------------


def test_a_state_that_nothing_leads_to_is_found() -> None:
    limbo = State(path="limbo", summary="")
    example = only(mutated(CHART, states=(*CHART.states, limbo)), Property.LIVENESS)
    assert "limbo is never reached" in example.message


def test_a_trap_is_found_by_the_way_into_it() -> None:
    example = only(mutated(CHART, drop=(Trigger.STOP_COMPLETED, "stopping")), Property.LIVENESS)
    assert "stopped is never reached" in example.message
    locked_for_ever = mutated(CHART, drop=(Trigger.RESUME, "emergency.locked"))
    example = only(locked_for_ever, Property.LIVENESS)
    assert "no way leads from emergency" in example.message
    assert len(example.hops) == 1


def test_a_circle_without_an_exit_is_found() -> None:
    states = (State(path="limbo"), State(path="purgatory"))
    circle = (row(Trigger.UNPAUSE, "limbo", "purgatory"), row(Trigger.UNPAUSE, "purgatory", "limbo"))
    into = row(Trigger.PAUSE, "stopping", "limbo")
    example = only(mutated(CHART, states=(*CHART.states, *states), add=(*circle, into)), Property.LIVENESS)
    assert events(example) == ["stop", "pause"]


# -- property 6 ---------------------------------------------------------------------------------------------------------


def test_a_tightening_that_loosens_is_found() -> None:
    loose = row(Trigger.REDUCE, f"{P1}.halted", f"{P1}.reduced", Direction.MORE_RISK, phase=ONE)
    example = only(mutated(CHART, add=(loose,)), Property.MULTIPLIERS)
    assert "ranks" in example.message
    assert events(example)[-1] == f"{ONE}.reduce"
    assert len(example.hops) == 5, "a phase may be activated to halted"


def test_a_size_multiplier_that_rises_with_risk_is_found() -> None:
    states = tuple(attrs.evolve(state, size_bps=5_000) if state.path == f"{table.RISK}.normal" else state for state in CHART.states)
    example = only(attrs.evolve(CHART, states=states), Property.MULTIPLIERS)
    assert "size 50% → 100%" in example.message
    assert events(example) == ["loaded", "reconciled", f"{ONE}.arm", f"{ONE}.activate", "warn"]


def test_a_leverage_cap_that_rises_with_risk_is_found() -> None:
    states = tuple(attrs.evolve(state, leverage_bps=5_000) if state.name == "active" else state for state in CHART.states)
    example = only(attrs.evolve(CHART, states=states), Property.MULTIPLIERS)
    assert "leverage cap 50% → 100%" in example.message
    assert events(example) == ["loaded", "reconciled", f"{ONE}.arm", f"{ONE}.activate", f"{ONE}.reduce"]


# -- the search itself --------------------------------------------------------------------------------------------------

DAMAGE = {
    "nap": lambda chart: mutated(
        chart, add=tuple(row(Trigger.PANIC, f"{table.PHASES}.{phase}.active", f"{table.PHASES}.{phase}.dormant", phase=phase) for phase in chart.phases)
    ),
    "lock": lambda chart: mutated(chart, add=(row(Trigger.UNPAUSE, "emergency.locked", "stopping"),)),
    "panic": lambda chart: mutated(chart, drop=(Trigger.PANIC, "operational")),
    "loose": lambda chart: attrs.evolve(
        chart, states=tuple(attrs.evolve(state, size_bps=10_000) if state.name == "draining" else state for state in chart.states)
    ),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("count", [1, 2, 3])
def test_counting_alike_phases_once_finds_the_same_breaches_at_the_same_distance(damage, count: int) -> None:
    chart = damage(chart_of(alike_phases(count)))
    plain, symmetric = check(chart, symmetric=False), check(chart)
    assert [(example.broken, len(example.hops)) for example in plain.counter_examples] == [
        (example.broken, len(example.hops)) for example in symmetric.counter_examples
    ]
    assert plain.configurations == symmetric.configurations
    assert not plain.ok


def test_a_damaged_phase_is_not_taken_for_its_healthy_brothers() -> None:
    broken = mutated(CHART, add=(row(Trigger.PANIC, f"{table.PHASES}.{TWO}.active", f"{table.PHASES}.{TWO}.dormant", phase=TWO),))
    assert events(only(broken, Property.DRAINING))[2:] == [f"{TWO}.arm", f"{TWO}.activate", f"{TWO}.panic"]


def test_a_counter_example_reads_as_a_path() -> None:
    text = str(only(mutated(CHART, drop=(Trigger.PANIC, "stopping")), Property.PANIC))
    assert text.splitlines() == ["property 2 does not hold: panic is refused in stopping", "  start  booting.loading", "      1  stop → stopping"]
    astray = only(mutated(CHART, drop=(Trigger.RESUME, "emergency.locked"), add=(row(Trigger.RESUME, "emergency.locked", "operational"),)), Property.LOCK)
    assert "      1  loaded [emergency_locked: yes, emergency_unfinished: no] → emergency.locked" in str(astray)


def test_a_report_is_plain_data() -> None:
    broken = check(mutated(CHART, drop=(Trigger.PANIC, "stopping"))).as_json()
    assert broken["ok"] is False
    assert [item["holds"] for item in broken["properties"]] == [True, False, True, True, True, True]
    assert broken["counter_examples"][0]["path"] == [{"event": "stop", "facts": {}, "configuration": ["stopping"]}]


def test_a_final_state_needs_no_way_out() -> None:
    states = (State(path="begin"), State(path="end", kind=StateKind.FINAL))
    chart = Chart(states=states, transitions=(row(Trigger.STOP, "begin", "end"),))
    assert check(chart).holds(Property.LIVENESS)
