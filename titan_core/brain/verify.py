"""The model checker: proves six properties of a chart over every configuration that can be reached, or shows a shortest way to break one.

Guards are free booleans, so what is proven holds whatever the market, the venues and the operator do.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from titan_core.brain.chart import Chart, Configuration, Guard, Transition, gate_open, initial
from titan_core.brain.statechart import facts_for
from titan_core.brain.symmetry import Exploration, Move, Node, Space, explore
from titan_core.brain.watch import PROPERTY_TEXT, Breach, Gate, Property, Watch
from titan_core.model.ids import PhaseId

__all__ = ["PROPERTY_TEXT", "CheckReport", "CounterExample", "Hop", "Property", "check"]


@frozen
class Hop:
    """One step of a counter-example: the row that is taken, facts that let it be taken, and where it leads."""

    row: Transition
    facts: Mapping[Guard, bool]
    configuration: Configuration

    def __str__(self) -> str:
        facts = ", ".join(f"{guard}: {'yes' if value else 'no'}" for guard, value in self.facts.items())
        return f"{self.row.event}{f' [{facts}]' if facts else ''} → {self.configuration}"


@frozen(kw_only=True)
class CounterExample:
    """A shortest way from the start to the breach of a property; no hop where nothing leads to what is missing."""

    broken: Property
    message: str
    start: Configuration
    hops: tuple[Hop, ...] = ()

    def __str__(self) -> str:
        lines = [f"property {self.broken.value} does not hold: {self.message}", f"  start  {self.start}"]
        return "\n".join([*lines, *(f"  {number:>5}  {hop}" for number, hop in enumerate(self.hops, 1))])

    def as_json(self) -> dict[str, Any]:
        """Return the path as plain data; configurations are lists of active leaves."""
        hops = [
            {"event": hop.row.event, "facts": {str(g): v for g, v in hop.facts.items()}, "configuration": list(hop.configuration.leaves)} for hop in self.hops
        ]
        return {"property": self.broken.value, "message": self.message, "start": list(self.start.leaves), "path": hops}


@frozen(kw_only=True)
class CheckReport:
    """What was explored and what was found."""

    phases: tuple[PhaseId, ...]
    configurations: int
    """Reachable configurations of the chart."""
    explored: int
    """What was visited for them: alike phases are renamed freely, and each phase's history of draining is told apart."""
    fired: int
    """Transitions taken from what was visited."""
    states: int
    rows: int
    counter_examples: tuple[CounterExample, ...]

    @property
    def ok(self) -> bool:
        """Whether every property holds."""
        return not self.counter_examples

    def holds(self, which: Property) -> bool:
        """Whether one property holds."""
        return all(example.broken is not which for example in self.counter_examples)

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "ok": self.ok,
            "phases": list(self.phases),
            "states": self.states,
            "rows": self.rows,
            "configurations": self.configurations,
            "explored": self.explored,
            "transitions_fired": self.fired,
            "properties": [{"number": item.value, "text": text, "holds": self.holds(item)} for item, text in PROPERTY_TEXT.items()],
            "counter_examples": [example.as_json() for example in self.counter_examples],
        }


def check(chart: Chart, *, gate: Gate = gate_open, symmetric: bool = True, progress: Callable[[float], None] | None = None) -> CheckReport:
    """Explore every reachable configuration and check the six properties.

    `gate` is the function that approval asks; another one is given to see the check fail. With `symmetric` unset alike phases are told apart.
    `progress` is called now and then with the share of the work that is done.
    """
    space = Space(chart, symmetric=symmetric)
    watch = Watch(space, gate)
    bound = space.bound

    def visit(index: int, node: Node, moves: Sequence[Move]) -> None:
        watch.visit(index, node, moves)
        if progress is not None and not index % 1024:
            progress(min(1.0, index / bound))

    found = explore(space, visit)
    watch.conclude(found)
    return CheckReport(
        phases=chart.phases,
        configurations=found.configurations,
        explored=len(found.nodes),
        fired=len(found.targets),
        states=len(chart.states),
        rows=len(chart.transitions),
        counter_examples=tuple(_example(found, watch.breaches[which]) for which in sorted(watch.breaches)),
    )


def _example(found: Exploration, breach: Breach) -> CounterExample:
    """Make a path of real configurations of the one that was found among nodes, where alike phases have no names."""
    chart = found.space.chart
    plain = Space(chart, symmetric=False)
    way = [] if breach.index is None else found.path_to(breach.index)
    if breach.move is not None:
        way.append((breach.move.row, breach.move.target))
    here, hops = plain.start, []
    for row, target in way:
        taken, here = _plain_move(found.space, plain, here, chart.transitions[row], target)
        rivals = [rival for rival in chart.rows(taken.trigger, taken.phase) if rival.source == taken.source]
        hops.append(Hop(taken, facts_for(taken, rivals), plain.decode(here)))
    return CounterExample(broken=breach.broken, message=breach.message, start=initial(chart), hops=tuple(hops))


def _plain_move(space: Space, plain: Space, here: Node, row: Transition, target: Node) -> tuple[Transition, Node]:
    """Return the move with named phases that corresponds to a row and the node it led to."""
    for move in plain.moves(here):
        taken = space.chart.transitions[move.row]
        same = (taken.trigger, taken.guards, taken.commands, taken.phase is None) == (row.trigger, row.guards, row.commands, row.phase is None)
        if same and space.pack(plain.unpack(move.target)) == target:
            return taken, move.target
    raise AssertionError(f"{row} has no counterpart among named phases: alike phases are not alike")
