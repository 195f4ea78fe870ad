"""The Brain's machine: a `transitions` hierarchical machine built from the chart's table, held to that table at every trigger.

The library runs synchronously, unqueued, with callables only, and carries out no work in its callbacks: a step gives commands, and the caller carries
them out. A trigger's return value proves nothing about the state it led to, hence the state is compared with what the table demands each time.
"""

from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from attrs import frozen
from transitions import MachineError
from transitions.extensions.nesting import HierarchicalMachine, NestedState

from titan_core.brain.chart import NO_FACTS, Chart, Command, Configuration, Facts, State, StateKind, Step, Transition, Trigger, gate_open, initial, step
from titan_core.brain.statechart import SEPARATOR
from titan_core.errors import ChartError
from titan_core.model.ids import PhaseId


@frozen(kw_only=True)
class Turn:
    """A step as the journal keeps it: when it was taken, and the step with its guards' values."""

    ts_ns: int
    step: Step


class _DottedState(NestedState):
    separator = SEPARATOR


class _Machine(HierarchicalMachine):
    state_cls = _DottedState


class _Place:
    """What the library moves: it holds the current state and nothing else."""

    state: Any


class BrainMachine:
    """The running chart. Every change goes through `fire`; reading `configuration` or `gate_open` costs nothing.

    `configuration` starts it elsewhere than at the beginning, for recovery from a journal. `record` is called after each step, with the
    time that the caller gave to `fire`.
    """

    def __init__(self, chart: Chart, *, configuration: Configuration | None = None, record: Callable[[Turn], None] | None = None) -> None:
        self.chart = chart
        self._configuration = initial(chart) if configuration is None else configuration
        self._record = record
        self._shut = False
        self._place = _Place()
        self._machine = self._build()
        self._compare("at the start")

    @property
    def configuration(self) -> Configuration:
        """Where the chart is."""
        return self._configuration

    @property
    def gate_open(self) -> bool:
        """Whether entries may be approved: never between a panic and the operator's resume, nor after the machine was found inconsistent."""
        return not self._shut and gate_open(self._configuration)

    def fire(self, trigger: Trigger, phase: PhaseId | None = None, *, facts: Facts = NO_FACTS, ts_ns: int = 0) -> tuple[Command, ...] | None:
        """Fire a trigger and return the commands to carry out, or None where the chart refuses it here.

        `facts` gives the values of the guards that the trigger's rows ask for. Raises ChartError where the chart has no such trigger, where a
        guard has no value, and where the library did not do what the table demands: the gate is then shut until an operator's resume, and the
        machine is put on the state that the table demands, so that an emergency can still run.
        """
        ask = _asked_once(facts)
        demanded = step(self.chart, self._configuration, trigger, phase, ask)
        name = str(trigger) if phase is None else f"{phase}{SEPARATOR}{trigger}"
        moved = self._trigger(name, ask)
        if demanded is not None:
            self._configuration = demanded.configuration
        if moved != (demanded is not None):
            self._inconsistent(f"{name}: the machine {'moved' if moved else 'refused'}, the table demands {demanded and demanded.transition}")
        self._compare(name)
        if demanded is None:
            return None
        if demanded.transition.trigger is Trigger.RESUME:
            self._shut = False
        if self._record is not None:
            self._record(Turn(ts_ns=ts_ns, step=demanded))
        return demanded.commands

    def panic(self, *, ts_ns: int = 0) -> tuple[Command, ...]:
        """Shut the gate at once by a plain flag, then fire `panic`. Returns no command where the chart has ended."""
        self._shut = True
        return self.fire(Trigger.PANIC, ts_ns=ts_ns) or ()

    def can_fire(self, trigger: Trigger, phase: PhaseId | None = None, *, facts: Facts = NO_FACTS) -> bool:
        """Whether `fire` would take a step."""
        return step(self.chart, self._configuration, trigger, phase, facts) is not None

    def _trigger(self, name: str, ask: Callable[[str], bool]) -> bool:
        try:
            return bool(self._machine.trigger_event(self._place, name, ask))
        except MachineError:
            return False
        except Exception as error:
            self._inconsistent(f"{name}: the machine broke: {error!r}")

    def _compare(self, name: str) -> None:
        found = set(_flatten(self._place.state))
        if found != set(self._configuration.leaves):
            self._inconsistent(f"{name}: the machine is in {sorted(found)}, the table demands {sorted(self._configuration.leaves)}")

    def _inconsistent(self, message: str) -> NoReturn:
        self._shut = True
        self._machine.set_state(list(self._configuration.leaves), self._place)
        raise ChartError(message)

    def _build(self) -> _Machine:
        machine = _Machine(model=None, states=[self._described(state) for state in self.chart.children()], initial=None, auto_transitions=False, queued=False)
        for row in self.chart.transitions:
            machine.add_transition(row.event, row.source, row.dest, conditions=[_condition(row)] if row.guards else None)
        machine.add_model(self._place, initial=list(self._configuration.leaves))
        return machine

    def _described(self, state: State) -> dict[str, Any]:
        described: dict[str, Any] = {"name": state.name}
        children = [self._described(child) for child in self.chart.children(state.path)]
        if state.kind is StateKind.PARALLEL:
            described["parallel"] = children
        elif state.kind is StateKind.COMPOUND:
            described |= {"children": children, "initial": self.chart.state(str(state.initial)).name}
        elif state.kind is StateKind.FINAL:
            described["final"] = True
        return described


def _condition(row: Transition) -> Callable[[Callable[[str], bool]], bool]:
    guards = row.guards
    return lambda ask: all(ask(guard) for guard in guards)


def _asked_once(facts: Facts) -> Callable[[str], bool]:
    """Make a function that asks for each fact at most once, so that table and machine judge by the same values."""
    known: dict[str, bool] = {}

    def ask(guard: str) -> bool:
        if guard not in known:
            known[guard] = bool(facts(guard) if callable(facts) else facts[guard])
        return known[guard]

    return ask


def _flatten(state: Any) -> Iterable[str]:
    if isinstance(state, str):
        yield state
    else:
        for part in state:
            yield from _flatten(part)
