"""The checker's space has exactly the configurations and moves of the table's interpreter."""

from itertools import product

import attrs
import pytest

from titan_core.brain import table
from titan_core.brain.chart import Chart, Configuration, Direction, Guard, Transition, Trigger, alike_phases, chart_of, initial, step
from titan_core.brain.symmetry import Space, explore, phase_classes
from titan_core.errors import ChartError

ONE, TWO = alike_phases(2)


def reachable_by_the_interpreter(chart: Chart) -> tuple[set[Configuration], int]:
    """Fire every trigger under all values of the guards that its rows ask for; count the different (row, destination) pairs per configuration."""
    keys = {(row.trigger, row.phase) for row in chart.transitions}
    open_ones, known, fired = [initial(chart)], {initial(chart)}, 0
    while open_ones:
        here = open_ones.pop()
        taken = set()
        for trigger, phase in keys:
            asked = sorted({guard for row in chart.rows(trigger, phase) for guard in row.guards})
            for values in product((False, True), repeat=len(asked)):
                done = step(chart, here, trigger, phase, dict(zip(asked, values, strict=True)))
                if done is not None:
                    taken.add((done.transition, done.configuration))
        fired += len(taken)
        new = {there for _, there in taken} - known
        known |= new
        open_ones += new
    return known, fired


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_plain_space_is_what_the_interpreter_reaches(count: int) -> None:
    chart = chart_of(alike_phases(count))
    configurations, fired = reachable_by_the_interpreter(chart)
    found = explore(Space(chart, symmetric=False))
    assert {found.space.decode(node) for node in found.nodes} == configurations
    history = [node for node in found.nodes if found.space.unpack(node).get("stopping") or found.space.unpack(node).get("stopped")]
    repeated = sum(found.offsets[index + 1] - found.offsets[index] for index, node in enumerate(found.nodes) if node in history)
    assert len(found.targets) - repeated == fired


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_node_stands_for_every_renaming_of_its_phases(count: int) -> None:
    chart = chart_of(alike_phases(count))
    plain, symmetric = explore(Space(chart, symmetric=False)), explore(Space(chart))
    assert {symmetric.space.pack(plain.space.unpack(node)) for node in plain.nodes} == set(symmetric.nodes)
    assert sum(symmetric.space.represented(node) for node in symmetric.nodes) == len(plain.nodes)


def test_packing_undoes_unpacking() -> None:
    found = explore(Space(chart_of((ONE, TWO))))
    assert all(found.space.pack(found.space.unpack(node)) == node for node in found.nodes)


def test_phases_are_alike_only_where_their_rows_are() -> None:
    chart = chart_of((ONE, TWO))
    assert phase_classes(chart) == ((ONE, TWO),)
    root = f"{table.PHASES}.{TWO}"
    odd = Transition(trigger=Trigger.PANIC, source=f"{root}.active", dest=f"{root}.halted", direction=Direction.MORE_RISK, phase=TWO)
    assert phase_classes(attrs.evolve(chart, transitions=(*chart.transitions, odd))) == ((ONE,), (TWO,))
    guarded = tuple(attrs.evolve(row, guards=(Guard.HEALTHY,)) if row.phase == ONE and row.trigger is Trigger.REJECT else row for row in chart.transitions)
    assert phase_classes(attrs.evolve(chart, transitions=guarded)) == ((ONE,), (TWO,))


def test_a_row_that_the_space_cannot_follow_is_refused() -> None:
    chart = chart_of((ONE,))
    odd = Transition(trigger=Trigger.FLAT, source="emergency.locked", dest="emergency.inner", direction=Direction.EQUAL)
    states = (*chart.states, *_inner())
    with pytest.raises(ChartError, match="the checker follows"):
        Space(attrs.evolve(chart, states=states, transitions=(*chart.transitions, odd)))


def _inner():
    from titan_core.brain.chart import State, StateKind

    return (State(path="emergency.inner", kind=StateKind.PARALLEL), State(path="emergency.inner.a"), State(path="emergency.inner.b"))
