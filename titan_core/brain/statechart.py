"""Statecharts as data: states, transitions, configurations, and the pure interpreter of their table.

Nothing here knows what the Brain does: the table is in `titan_core.brain.table`. The semantics are those of Harel's charts, kept to what can be
read off a table: a trigger fires at most one row, the first whose source is active and whose guards hold; a row leaves everything below the
nearest common ancestor of source and destination and enters the destination's initial states; a row without destination is internal.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from attrs import field, frozen

from titan_core.brain.vocabulary import Command, Control, Direction, Guard, Link, PhaseState, Risk, Trigger
from titan_core.errors import ChartError
from titan_core.model.ids import PhaseId

SEPARATOR = "."
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
Facts = Mapping[str, bool] | Callable[[str], bool]
"""The values of guards: a mapping by name, or a function of the name."""
NO_FACTS: Mapping[str, bool] = MappingProxyType({})


class StateKind(StrEnum):
    """What a state is made of: nothing, one active child, all children at once, or the end."""

    ATOMIC = "atomic"
    COMPOUND = "compound"
    PARALLEL = "parallel"
    FINAL = "final"


@frozen(kw_only=True)
class State:
    """One row of the table of states. `path` joins the names from the root with dots."""

    path: str
    kind: StateKind = StateKind.ATOMIC
    initial: str | None = None
    """Path of the child that a compound state is entered by."""
    summary: str = ""
    phase: PhaseId | None = None
    closes_gate: bool = False
    """While this state is active no entry is approved, whatever the others say."""
    size_bps: int | None = None
    """Size multiplier in basis points that this state admits for entries; None where it has no say."""
    leverage_bps: int | None = None
    """Share in basis points of the leverage cap up to which this state admits entries; None where it has no say."""
    severity: int | None = None
    """Rank among its siblings, calmest first; None where the states are not ranked by risk."""

    @property
    def name(self) -> str:
        """The last word of the path."""
        return self.path.rpartition(SEPARATOR)[2]

    @property
    def parent(self) -> str:
        """Path of the enclosing state; empty for a top-level state."""
        return self.path.rpartition(SEPARATOR)[0]


@frozen(kw_only=True)
class Transition:
    """One row of the table of transitions. `dest` is None for an internal one, which only gives commands. All `guards` must hold."""

    trigger: Trigger
    source: str
    dest: str | None
    direction: Direction
    guards: tuple[Guard, ...] = ()
    commands: tuple[Command, ...] = ()
    phase: PhaseId | None = None
    summary: str = ""

    @property
    def event(self) -> str:
        """The trigger's full name: `halt`, or `<phase>.halt` for a phase's own."""
        return str(self.trigger) if self.phase is None else f"{self.phase}{SEPARATOR}{self.trigger}"

    def __str__(self) -> str:
        guards = f" [{', '.join(self.guards)}]" if self.guards else ""
        return f"{self.source} --{self.event}{guards}--> {self.dest or 'stays'}"


@frozen
class Configuration:
    """Where a chart is: the paths of its active leaves in the order of the table. Immutable and hashable; the rest is read off the leaves."""

    leaves: tuple[str, ...]
    mode: str = field(init=False, eq=False, repr=False)
    """`operational`, or the path of the one active leaf, for example `emergency.locked`."""
    risk: Risk | None = field(init=False, eq=False, repr=False)
    link: Link | None = field(init=False, eq=False, repr=False)
    control: Control | None = field(init=False, eq=False, repr=False)
    phases: Mapping[PhaseId, PhaseState] = field(init=False, eq=False, repr=False)
    """State of each phase; empty outside `operational`."""

    def __attrs_post_init__(self) -> None:
        regions: dict[str, str] = {}
        phases: dict[PhaseId, PhaseState] = {}
        for leaf in self.leaves:
            words = leaf.split(SEPARATOR)
            if len(words) == 4:
                phases[PhaseId(words[2])] = PhaseState(words[3])
            elif len(words) == 3:
                regions[words[1]] = words[2]
        put = object.__setattr__
        put(self, "mode", self.leaves[0] if len(self.leaves) == 1 else self.leaves[0].partition(SEPARATOR)[0])
        put(self, "risk", Risk(regions["risk"]) if "risk" in regions else None)
        put(self, "link", Link(regions["link"]) if "link" in regions else None)
        put(self, "control", Control(regions["control"]) if "control" in regions else None)
        put(self, "phases", MappingProxyType(phases))

    def is_in(self, path: str) -> bool:
        """Whether the state is active, itself or through a state below it."""
        return any(is_within(leaf, path) for leaf in self.leaves)

    def __str__(self) -> str:
        if self.risk is None:
            return self.mode
        regions = f"risk {self.risk}, link {self.link}, control {self.control}"
        phases = ", ".join(f"{phase} {state}" for phase, state in self.phases.items())
        return f"{self.mode}: {regions}" + (f"; {phases}" if phases else "")


@frozen(kw_only=True)
class Step:
    """What firing a trigger did: the row taken, the configurations around it, and the value of every guard that was asked."""

    transition: Transition
    before: Configuration
    configuration: Configuration
    facts: tuple[tuple[Guard, bool], ...] = ()

    @property
    def commands(self) -> tuple[Command, ...]:
        """What to carry out now, in order."""
        return self.transition.commands


def is_within(path: str, ancestor: str) -> bool:
    """Whether `path` is `ancestor` or lies below it; everything lies below the root ''."""
    return not ancestor or path == ancestor or path.startswith(ancestor + SEPARATOR)


def common_ancestor(first: str, second: str) -> str:
    """Return the path of the nearest state that properly encloses both; '' is the root."""
    shared: list[str] = []
    for one, other in zip(first.split(SEPARATOR)[:-1], second.split(SEPARATOR)[:-1], strict=False):
        if one != other:
            break
        shared.append(one)
    return SEPARATOR.join(shared)


def possible_rows(rows: Sequence[Transition]) -> tuple[Transition, ...]:
    """Return those of some competing rows (one trigger, one source, in order) that some values of their guards let fire.

    Guards are only ever asked to hold, so a row is dead exactly where the guards of a row before it are among its own.
    """
    return tuple(row for number, row in enumerate(rows) if not any(set(earlier.guards) <= set(row.guards) for earlier in rows[:number]))


def facts_for(row: Transition, rivals: Iterable[Transition]) -> dict[Guard, bool]:
    """Return values of the guards of competing rows for which `row` fires: its own hold, the others do not."""
    return {guard: guard in row.guards for rival in rivals for guard in rival.guards}


@frozen
class Chart:
    """The two tables, checked for sense, with the look-ups that an interpreter needs."""

    states: tuple[State, ...]
    transitions: tuple[Transition, ...]
    phases: tuple[PhaseId, ...] = ()
    _states: dict[str, State] = field(init=False, eq=False, repr=False)
    _children: dict[str, tuple[State, ...]] = field(init=False, eq=False, repr=False)
    _rows: dict[tuple[Trigger, PhaseId | None], tuple[Transition, ...]] = field(init=False, eq=False, repr=False)
    _effects: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        put = object.__setattr__
        put(self, "_states", {state.path: state for state in self.states})
        put(self, "_children", _group((state.parent, state) for state in self.states))
        put(self, "_rows", _group(((row.trigger, row.phase), row) for row in self.transitions))
        put(self, "_effects", {})
        _validate(self)
        for row in self.transitions:
            if row.dest is not None:
                self._effects[row.source, row.dest] = (common_ancestor(row.source, row.dest), self.entered(row.dest))

    def state(self, path: str) -> State:
        """Return a state. Raises ChartError where there is none of that path."""
        try:
            return self._states[path]
        except KeyError:
            raise ChartError(f"the chart has no state {path!r}") from None

    def children(self, path: str = "") -> tuple[State, ...]:
        """Return the states directly below one, or the top-level states."""
        return self._children.get(path, ())

    @property
    def atomic(self) -> tuple[State, ...]:
        """The states that have no states below them."""
        return tuple(state for state in self.states if state.kind in (StateKind.ATOMIC, StateKind.FINAL))

    def entered(self, path: str) -> tuple[str, ...]:
        """Return the leaves that are active after a state is entered."""
        state = self.state(path)
        if state.kind is StateKind.PARALLEL:
            return tuple(leaf for child in self.children(path) for leaf in self.entered(child.path))
        return (path,) if state.initial is None else self.entered(state.initial)

    def rows(self, trigger: Trigger, phase: PhaseId | None = None) -> tuple[Transition, ...]:
        """Return the rows of a trigger in the order in which they are tried. Raises ChartError for one that the chart does not have."""
        try:
            return self._rows[trigger, phase]
        except KeyError:
            raise ChartError(self._unknown(trigger, phase)) from None

    def is_final(self, configuration: Configuration) -> bool:
        """Whether this is the end: a final state takes no trigger."""
        return self.state(configuration.leaves[0]).kind is StateKind.FINAL

    def take(self, configuration: Configuration, row: Transition) -> Configuration:
        """Return the configuration after a row whose source is active."""
        if row.dest is None:
            return configuration
        scope, entered = self._effects[row.source, row.dest]
        leaves = configuration.leaves
        inside = [index for index, leaf in enumerate(leaves) if is_within(leaf, scope)]
        return Configuration(leaves[: inside[0]] + entered + leaves[inside[-1] + 1 :])

    def _unknown(self, trigger: Trigger, phase: PhaseId | None) -> str:
        if phase is not None and phase not in self.phases:
            return f"the chart has no phase {phase!r}; it has {', '.join(self.phases) or 'none'}"
        known = sorted(verb for verb, owner in self._rows if owner == phase)
        return f"{'the account' if phase is None else f'phase {phase!r}'} has no trigger {str(trigger)!r}; it has {', '.join(known)}"


def initial(chart: Chart) -> Configuration:
    """Return the configuration that a chart starts in: its first top-level state, entered."""
    return Configuration(chart.entered(chart.children()[0].path))


def step(chart: Chart, configuration: Configuration, trigger: Trigger, phase: PhaseId | None = None, facts: Facts = NO_FACTS) -> Step | None:
    """Fire a trigger and return the step, or None where the chart refuses it here.

    Raises ChartError where the chart knows no such trigger, or where a guard that must be asked has no value in `facts`.
    """
    asked: dict[Guard, bool] = {}
    for row in chart.rows(trigger, phase):
        if configuration.is_in(row.source) and all(_ask(asked, facts, guard, row) for guard in row.guards):
            return Step(transition=row, before=configuration, configuration=chart.take(configuration, row), facts=tuple(asked.items()))
    return None


def _ask(asked: dict[Guard, bool], facts: Facts, guard: Guard, row: Transition) -> bool:
    if guard not in asked:
        try:
            asked[guard] = bool(facts(guard) if callable(facts) else facts[guard])
        except KeyError:
            raise ChartError(f"{row.event} was fired without a value for its guard {str(guard)!r}; give one in `facts`") from None
    return asked[guard]


def _group(pairs: Iterable[tuple[_Key, _Value]]) -> dict[_Key, tuple[_Value, ...]]:
    groups: dict[_Key, list[_Value]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in groups.items()}


def _validate(chart: Chart) -> None:
    """Refuse tables that have no meaning; whether a meaningful chart is a good one is the model checker's question."""
    if len({state.path for state in chart.states}) != len(chart.states):
        raise ChartError("two states have the same path")
    for state in chart.states:
        if state.parent:
            chart.state(state.parent)
        if (state.kind is StateKind.COMPOUND) != (state.initial is not None) or (state.initial is not None and chart.state(state.initial).parent != state.path):
            raise ChartError(f"state {state.path}: a compound state, and no other, needs one of its children as `initial`; found {state.initial!r}")
        if (state.kind in (StateKind.COMPOUND, StateKind.PARALLEL)) != bool(chart.children(state.path)):
            raise ChartError(f"state {state.path} is {state.kind} and has {len(chart.children(state.path))} children")
    for row in chart.transitions:
        _validate_row(chart, row)
    for rows in chart._rows.values():
        _validate_rivals(chart, rows)


def _validate_row(chart: Chart, row: Transition) -> None:
    if chart.state(row.source).kind is StateKind.FINAL:
        raise ChartError(f"{row}: a final state cannot be left")
    if row.dest is None:
        return
    chart.state(row.dest)
    if is_within(row.dest, row.source) or is_within(row.source, row.dest):
        raise ChartError(f"{row}: source and destination must not contain each other; leave `dest` out for an internal transition")
    scope = common_ancestor(row.source, row.dest)
    enclosing = [state for state in chart.states if state.path != row.dest and is_within(row.dest, state.path) and is_within(state.path, scope)]
    if any(state.kind is StateKind.PARALLEL for state in enclosing):
        raise ChartError(f"{row}: crosses into one region of a parallel state, which leaves the other regions undefined")


def _validate_rivals(chart: Chart, rows: Sequence[Transition]) -> None:
    sources = list(dict.fromkeys(row.source for row in rows))
    for index, first in enumerate(sources):
        for second in sources[index + 1 :]:
            ancestor = common_ancestor(first, second)
            if is_within(first, second) or is_within(second, first) or (ancestor and chart.state(ancestor).kind is StateKind.PARALLEL):
                raise ChartError(f"{rows[0].event}: {first} and {second} can be active together, so one trigger would fire two rows")
        rivals = [row for row in rows if row.source == first]
        dead = set(rivals) - set(possible_rows(rivals))
        if dead:
            raise ChartError(f"{next(row for row in rivals if row in dead)}: never fires, because rows above it always fire first")
