"""The machine that the library runs takes exactly the steps of the table."""

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_core.brain.chart import Command, Configuration, Guard, Trigger, alike_phases, chart_of, initial, step
from titan_core.brain.machine import BrainMachine, Turn
from titan_core.brain.symmetry import Space, explore
from titan_core.errors import ChartError
from titan_core.model.ids import PhaseId

CHARTS = [chart_of(alike_phases(count)) for count in range(4)]
NOTHING = dict.fromkeys(Guard, False)
ANYTHING = dict.fromkeys(Guard, True)
FACTS = st.frozensets(st.sampled_from(Guard)).map(lambda held: {guard: guard in held for guard in Guard})


def trading() -> BrainMachine:
    machine = BrainMachine(CHARTS[2])
    machine.fire(Trigger.LOADED, facts=NOTHING)
    machine.fire(Trigger.RECONCILED)
    machine.fire(Trigger.LINK_UP, facts=ANYTHING)
    return machine


@settings(max_examples=60, deadline=None)
@given(data=st.data(), chart=st.sampled_from(CHARTS))
def test_the_machine_takes_exactly_the_steps_of_the_table(data: st.DataObject, chart) -> None:
    keys = sorted({(row.trigger, row.phase or "") for row in chart.transitions})
    machine, here = BrainMachine(chart), initial(chart)
    for _ in range(40):
        (trigger, name), facts = data.draw(st.sampled_from(keys)), data.draw(FACTS)
        phase = PhaseId(name) if name else None
        demanded = step(chart, here, trigger, phase, facts)
        commands = machine.fire(trigger, phase, facts=facts)
        assert (commands is None) is (demanded is None)
        if demanded is not None:
            assert commands == demanded.commands
            here = demanded.configuration
        assert machine.configuration == here
        assert _library_leaves(machine) == sorted(here.leaves)


def test_the_machine_agrees_with_the_table_from_every_configuration_under_every_trigger() -> None:
    chart = CHARTS[1]
    found = explore(Space(chart))
    keys = {(row.trigger, row.phase) for row in chart.transitions}
    machine = BrainMachine(chart)
    for here in dict.fromkeys(found.space.decode(node) for node in found.nodes):
        for trigger, phase in keys:
            for facts in (NOTHING, ANYTHING):
                machine._configuration = here
                machine._machine.set_state(list(here.leaves), machine._place)
                taken = step(chart, here, trigger, phase, facts)
                assert (machine.fire(trigger, phase, facts=facts) is None) is (taken is None)
                assert _library_leaves(machine) == sorted((taken.configuration if taken else here).leaves)


def _library_leaves(machine: BrainMachine) -> list[str]:
    def leaves(state: object) -> list[str]:
        return [state] if isinstance(state, str) else [leaf for part in state for leaf in leaves(part)]  # type: ignore[attr-defined]

    return sorted(leaves(machine._place.state))


def test_a_refused_trigger_is_told_from_a_step_without_commands() -> None:
    machine = trading()
    machine.fire(Trigger.PAUSE)
    assert machine.fire(Trigger.PAUSE) is None
    assert machine.fire(Trigger.UNPAUSE) == ()


def test_panic_shuts_the_gate_before_anything_else_and_only_resume_opens_it() -> None:
    machine = trading()
    assert machine.gate_open
    assert machine.panic() == (Command.CLOSE_GATE, Command.SEND_ALERT)
    for trigger in (Trigger.GATE_CLOSED, Trigger.ENTRIES_CANCELLED, Trigger.FLAT, Trigger.VERIFIED, Trigger.ALL_DISABLED):
        machine.fire(trigger, facts=ANYTHING)
        assert not machine.gate_open
    machine.fire(Trigger.RESUME, facts=ANYTHING)
    machine.fire(Trigger.LOADED, facts=NOTHING)
    machine.fire(Trigger.RECONCILED)
    assert not machine.gate_open
    machine.fire(Trigger.LINK_UP, facts=ANYTHING)
    assert machine.gate_open


def test_a_panic_that_breaks_the_library_leaves_the_gate_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = trading()

    def broken(*args: object) -> bool:
        raise RuntimeError("the library fell over")

    monkeypatch.setattr(machine._machine, "trigger_event", broken)
    with pytest.raises(ChartError, match="fell over"):
        machine.panic()
    assert not machine.gate_open


def test_a_library_that_strays_from_the_table_is_found_out_and_put_back() -> None:
    machine = trading()
    machine._machine.set_state(["operational.risk.halted", *machine.configuration.leaves[1:]], machine._place)
    with pytest.raises(ChartError, match="the table demands"):
        machine.fire(Trigger.PAUSE)
    assert not machine.gate_open
    assert machine.panic() == (Command.CLOSE_GATE, Command.SEND_ALERT)
    assert machine.configuration.mode == "emergency.closing_gate"


def test_a_library_that_only_claims_to_move_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = trading()
    monkeypatch.setattr(machine._machine, "trigger_event", lambda *args: True)
    with pytest.raises(ChartError, match="the table demands"):
        machine.fire(Trigger.PAUSE)


def test_each_step_is_recorded_with_its_time_and_the_facts_that_were_asked() -> None:
    turns: list[Turn] = []
    machine = BrainMachine(CHARTS[1], record=turns.append)
    machine.fire(Trigger.LOADED, facts=NOTHING, ts_ns=7)
    machine.fire(Trigger.STOP_COMPLETED, ts_ns=8)
    assert [(turn.ts_ns, turn.step.transition.trigger, dict(turn.step.facts)) for turn in turns] == [
        (7, Trigger.LOADED, {Guard.EMERGENCY_LOCKED: False, Guard.EMERGENCY_UNFINISHED: False})
    ]


def test_each_fact_is_asked_once_for_table_and_machine() -> None:
    asked: list[str] = []

    def ask(guard: str) -> bool:
        asked.append(guard)
        return False

    BrainMachine(CHARTS[0]).fire(Trigger.LOADED, facts=ask)
    assert asked == ["emergency_locked", "emergency_unfinished"]


def test_it_starts_where_a_journal_says() -> None:
    locked = Configuration(("emergency.locked",))
    machine = BrainMachine(CHARTS[3], configuration=locked)
    assert machine.configuration == locked
    assert machine.can_fire(Trigger.RESUME, facts=ANYTHING)
    assert not machine.can_fire(Trigger.RESUME, facts=NOTHING)


def test_building_and_firing_are_cheap() -> None:
    started = time.perf_counter()
    machine = BrainMachine(CHARTS[3])
    assert time.perf_counter() - started < 0.05
    machine.fire(Trigger.LOADED, facts=NOTHING)
    machine.fire(Trigger.RECONCILED)
    costs = []
    for _ in range(50):
        started = time.perf_counter()
        machine.fire(Trigger.PAUSE)
        machine.fire(Trigger.UNPAUSE)
        costs.append((time.perf_counter() - started) / 2)
    assert min(costs) < 0.0005


def test_the_chart_and_its_checker_do_not_import_the_library() -> None:
    code = "import sys, titan_core.brain.verify, titan_core.brain.diagram; sys.exit('transitions' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
