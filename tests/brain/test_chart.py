"""The table, its interpreter, and what a configuration allows."""

from itertools import product

import attrs
import pytest

from titan_core.brain import table
from titan_core.brain.chart import (
    Chart,
    Command,
    Configuration,
    Direction,
    Guard,
    PhaseState,
    Risk,
    State,
    StateKind,
    Transition,
    Trigger,
    alike_phases,
    build_chart,
    chart_of,
    gate_open,
    initial,
    leverage_cap_bps,
    phase_may_enter,
    size_multiplier_bps,
    step,
)
from titan_core.brain.statechart import is_within
from titan_core.brain.symmetry import Space, explore
from titan_core.brain.vocabulary import COMMAND_TEXT, GUARD_TEXT
from titan_core.errors import ChartError
from titan_core.model.ids import PhaseId
from titan_core.model.phase import CapitalBand, PhaseDeclaration

ONE, TWO = alike_phases(2)
NOTHING = dict.fromkeys(Guard, False)
ANYTHING = dict.fromkeys(Guard, True)
CHART = chart_of((ONE, TWO))


def operating(*, risk: str = "normal", link: str = "up", control: str = "running", one: str = "active", two: str = "dormant") -> Configuration:
    phases = (f"operational.phases.{ONE}.{one}", f"operational.phases.{TWO}.{two}")
    return Configuration((f"operational.risk.{risk}", f"operational.link.{link}", f"operational.control.{control}", *phases))


def after(configuration: Configuration, *triggers: Trigger, phase: PhaseId | None = None, facts: dict[Guard, bool] = NOTHING) -> Configuration:
    for trigger in triggers:
        taken = step(CHART, configuration, trigger, phase, facts)
        assert taken is not None, f"{trigger} is refused in {configuration}"
        configuration = taken.configuration
    return configuration


def everything() -> list[Configuration]:
    found = explore(Space(CHART, symmetric=False))
    return list(dict.fromkeys(found.space.decode(node) for node in found.nodes))


def test_an_adviser_gets_no_region() -> None:
    trader = PhaseDeclaration(id=PhaseId("trader"), title="T", summary="", band=CapitalBand.usdt(200))
    adviser = PhaseDeclaration(id=PhaseId("adviser"), title="A", summary="", band=None)
    chart = build_chart([trader, adviser])
    assert chart.phases == ("trader",)
    assert not any("adviser" in state.path for state in chart.states)


def test_a_chart_without_phases_has_no_region_for_them() -> None:
    chart = chart_of(())
    assert all(not is_within(state.path, table.PHASES) for state in chart.states)


def test_two_phases_of_one_name_are_refused() -> None:
    with pytest.raises(ChartError, match="same name"):
        chart_of((ONE, ONE))


def test_trading_begins_with_the_gate_shut_and_every_phase_dormant() -> None:
    here = after(initial(CHART), Trigger.LOADED, Trigger.RECONCILED)
    assert str(here) == f"operational: risk normal, link down, control running; {ONE} dormant, {TWO} dormant"
    assert not gate_open(here)


@pytest.mark.parametrize(
    ("guard", "mode"), [(Guard.EMERGENCY_LOCKED, "emergency.locked"), (Guard.EMERGENCY_UNFINISHED, "emergency.closing_gate"), (None, "booting.reconciling")]
)
def test_a_restart_does_not_forget_an_emergency(guard: Guard | None, mode: str) -> None:
    assert after(initial(CHART), Trigger.LOADED, facts=NOTHING | ({guard: True} if guard else {})).mode == mode


def test_an_emergency_goes_through_its_six_steps_and_only_resume_unlocks() -> None:
    here = after(operating(), Trigger.PANIC)
    walk = (Trigger.GATE_CLOSED, Trigger.ENTRIES_CANCELLED, Trigger.FLAT, Trigger.VERIFIED, Trigger.ALL_DISABLED)
    modes = [here.mode]
    for trigger in walk:
        here = after(here, trigger, facts=ANYTHING)
        modes.append(here.mode)
    assert [mode.removeprefix("emergency.") for mode in modes] == ["closing_gate", "cancelling_entries", "flattening", "verifying", "disabling", "locked"]
    leaving = {row.trigger for row in CHART.transitions if row.source == "emergency.locked" and row.dest is not None}
    assert leaving == {Trigger.RESUME}
    assert step(CHART, here, Trigger.RESUME, facts=NOTHING) is None
    assert after(here, Trigger.RESUME, facts=ANYTHING) == initial(CHART)


def test_a_late_fill_sends_the_emergency_back_to_flattening() -> None:
    for leaf in ("verifying", "disabling"):
        assert after(Configuration((f"emergency.{leaf}",)), Trigger.NOT_FLAT).mode == "emergency.flattening"
    locked = step(CHART, Configuration(("emergency.locked",)), Trigger.NOT_FLAT)
    assert locked is not None
    assert locked.configuration.mode == "emergency.locked"
    assert Command.FLATTEN_ALL in locked.commands


def test_panic_repeated_inside_the_emergency_does_not_start_it_over() -> None:
    for leaf in CHART.children("emergency"):
        assert after(Configuration((leaf.path,)), Trigger.PANIC).mode == leaf.path


def test_a_lifted_halt_lands_where_drawdown_allows() -> None:
    halted = operating(risk="halted")
    assert step(CHART, halted, Trigger.LIFT_HALT, facts=NOTHING) is None
    assert after(halted, Trigger.LIFT_HALT, facts=NOTHING | {Guard.BELOW_EMERGENCY: True}).risk is Risk.REDUCED
    assert after(halted, Trigger.LIFT_HALT, facts=ANYTHING | {Guard.BELOW_WARNING: False}).risk is Risk.WARNING
    assert after(halted, Trigger.LIFT_HALT, facts=ANYTHING).risk is Risk.NORMAL


@pytest.mark.parametrize(
    ("facts", "state"), [({}, "active"), ({Guard.DAY_REDUCED: True}, "reduced"), ({Guard.DAY_REDUCED: True, Guard.DAY_HALTED: True}, "halted")]
)
@pytest.mark.parametrize(("trigger", "source"), [(Trigger.ACTIVATE, "arming"), (Trigger.REACTIVATE, "draining")])
def test_a_phase_comes_back_to_the_level_that_its_day_has_earned(trigger: Trigger, source: str, facts: dict[Guard, bool], state: str) -> None:
    known = NOTHING | {Guard.MAY_RETURN: True} | facts
    assert after(operating(one=source), trigger, phase=ONE, facts=known).phases[ONE] == state


def test_a_phase_that_failed_is_disabled_after_it_has_drained() -> None:
    here = after(operating(), Trigger.FAULT, phase=ONE)
    assert here.phases == {ONE: "draining", TWO: "dormant"}
    assert step(CHART, here, Trigger.DRAINED, ONE, NOTHING | {Guard.TO_BE_DISABLED: True}) is None, "it still holds something"
    assert step(CHART, here, Trigger.REACTIVATE, ONE, NOTHING) is None
    assert after(here, Trigger.DRAINED, phase=ONE, facts=NOTHING | {Guard.PHASE_FLAT: True, Guard.TO_BE_DISABLED: True}).phases[ONE] == "disabled"
    assert after(here, Trigger.DRAINED, phase=ONE, facts=NOTHING | {Guard.PHASE_FLAT: True}).phases[ONE] == "dormant"


def test_what_tightens_cannot_be_refused_by_a_fact() -> None:
    assert [row for row in CHART.transitions if row.direction is Direction.MORE_RISK and row.guards] == []


def test_every_word_is_explained_and_used() -> None:
    assert set(GUARD_TEXT) == set(Guard) == {guard for row in CHART.transitions for guard in row.guards}
    assert set(COMMAND_TEXT) == set(Command) == {command for row in CHART.transitions for command in row.commands}
    assert set(Trigger) == {row.trigger for row in CHART.transitions}
    assert all(item.summary for item in (*CHART.states, *CHART.transitions))


def test_the_gate_is_open_exactly_where_no_active_state_closes_it() -> None:
    for here in everything():
        closed = any(state.closes_gate and here.is_in(state.path) for state in CHART.states)
        assert gate_open(here) is not closed, here


def test_multipliers_are_the_minimum_of_what_the_active_states_admit() -> None:
    for here, phase in product(everything(), CHART.phases):
        active = [state for state in CHART.states if here.is_in(state.path) and state.phase in (None, phase)]
        sizes = [state.size_bps for state in active if state.size_bps is not None]
        caps = [state.leverage_bps for state in active if state.leverage_bps is not None]
        assert size_multiplier_bps(here, phase) == min(sizes, default=0)
        assert leverage_cap_bps(here, phase) == min(caps, default=0)
        assert phase_may_enter(here, phase) is (gate_open(here) and min(sizes, default=0) > 0)


def test_a_phase_may_enter_only_where_the_gate_and_its_own_state_allow() -> None:
    assert phase_may_enter(operating(link="degraded", risk="reduced"), ONE)
    assert not phase_may_enter(operating(), TWO)
    assert not phase_may_enter(operating(control="paused"), ONE)
    assert not phase_may_enter(operating(), PhaseId("unheard_of"))
    assert size_multiplier_bps(operating(risk="reduced"), ONE) == 5_000
    assert size_multiplier_bps(operating(one="reduced"), ONE) == 5_000
    assert size_multiplier_bps(operating(one="halted"), ONE) == 0


def test_a_missing_fact_is_an_error_that_names_it() -> None:
    with pytest.raises(ChartError, match="relax was fired without a value for its guard 'below_warning'"):
        step(CHART, operating(risk="warning"), Trigger.RELAX)


def test_guards_are_asked_only_where_they_matter() -> None:
    taken = step(CHART, operating(risk="warning"), Trigger.RELAX, facts={Guard.BELOW_WARNING: True})
    assert taken is not None
    assert taken.facts == ((Guard.BELOW_WARNING, True),)
    assert step(CHART, operating(), Trigger.RELAX) is None


def test_unknown_triggers_are_errors_that_list_the_known_ones() -> None:
    with pytest.raises(ChartError, match="no phase 'ghost'; it has phase_1, phase_2"):
        step(CHART, operating(), Trigger.ARM, PhaseId("ghost"))
    with pytest.raises(ChartError, match="the account has no trigger 'arm'; it has all_disabled"):
        step(CHART, operating(), Trigger.ARM)


def test_a_configuration_is_a_value() -> None:
    assert operating() == operating()
    assert len({operating(), operating(), operating(two="active")}) == 2
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        operating().leaves = ()  # type: ignore[misc]
    assert operating().phases == {ONE: PhaseState.ACTIVE, TWO: PhaseState.DORMANT}


def row(trigger: Trigger, source: str, dest: str | None, *guards: Guard) -> Transition:
    return Transition(trigger=trigger, source=source, dest=dest, direction=Direction.EQUAL, guards=guards)


@pytest.mark.parametrize(
    ("added", "message"),
    [
        (row(Trigger.FLAT, "stopped", "stopping"), "final state cannot be left"),
        (row(Trigger.FLAT, "emergency", "emergency.locked"), "must not contain each other"),
        (row(Trigger.FLAT, "stopping", "operational.risk.normal"), "one region of a parallel state"),
        (row(Trigger.FLAT, "operational.risk.normal", "operational.link.up"), "one region of a parallel state"),
        (row(Trigger.PAUSE, "operational.risk.normal", "operational.risk.halted"), "can be active together"),
        (row(Trigger.STOP, "operational.risk.normal", "operational.risk.halted"), "can be active together"),
        (row(Trigger.PAUSE, "operational.control.running", None, Guard.HEALTHY), "never fires"),
        (row(Trigger.FLAT, "nowhere", None), "no state 'nowhere'"),
    ],
)
def test_rows_without_meaning_are_refused(added: Transition, message: str) -> None:
    with pytest.raises(ChartError, match=message):
        attrs.evolve(CHART, transitions=(*CHART.transitions, added))


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ((State(path="a"), State(path="a")), "same path"),
        ((State(path="a.b"),), "no state 'a'"),
        ((State(path="a", kind=StateKind.COMPOUND), State(path="a.b")), "needs one of its children as `initial`"),
        ((State(path="a", kind=StateKind.PARALLEL),), "has 0 children"),
    ],
)
def test_states_without_meaning_are_refused(states: tuple[State, ...], message: str) -> None:
    with pytest.raises(ChartError, match=message):
        Chart(states=states, transitions=())
