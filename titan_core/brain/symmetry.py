"""The space of all configurations of a chart, explored breadth first, with alike phases counted once.

Guards are free: a row can be taken from a configuration when its source is active and some values of the guards let it fire. Where the regions of
several phases have the same rows, renaming those phases changes nothing, so a configuration stands for all that differ from it by such a renaming:
the states of the phases become a multiset, and eight phases have 6,435 of them instead of 8 ** 8.

Each phase carries one bit of history, *exposed*: it has been in a level where it may hold positions and has not gone through `draining` or an
emergency since. A sound chart never shows it outside the levels, so the bit costs no configurations.
"""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import comb, factorial, prod
from typing import NamedTuple

from attrs import define, frozen

from titan_core.brain.chart import Chart, Configuration, PhaseState, State, initial
from titan_core.brain.statechart import SEPARATOR, StateKind, is_within, possible_rows
from titan_core.brain.table import EMERGENCY, LEVELS
from titan_core.errors import ChartError
from titan_core.model.ids import PhaseId

Slots = tuple[int, ...]
Node = tuple[Slots, Slots]
"""A configuration in numbers: the leaves of the account's regions, and those of the phases; each slot is twice a leaf's number plus its exposed bit."""


class Move(NamedTuple):
    """Something that can happen: the table's row, which slot of the phases it moves (-1 where it is the account's), and where it leads."""

    row: int
    slot: int
    target: Node


@frozen
class _Local:
    """A row seen from a leaf: the leaf that its slot becomes, or None where it changes the top-level mode."""

    row: int
    leaf: int | None


def phase_classes(chart: Chart) -> tuple[tuple[PhaseId, ...], ...]:
    """Group the phases whose regions have the same states and rows."""
    groups: dict[object, list[PhaseId]] = {}
    for phase in chart.phases:
        root = next(state.path for state in chart.states if state.phase == phase and state.kind is StateKind.COMPOUND)
        states = tuple((state.name, state.size_bps, state.leverage_bps, state.severity, state.closes_gate) for state in chart.states if state.phase == phase)
        rows = tuple(
            (row.trigger, row.phase == phase, _below(row.source, root), row.dest and _below(row.dest, root), row.guards, row.commands, row.direction)
            for row in chart.transitions
            if is_within(row.source, root)
        )
        groups.setdefault((states[1:], rows), []).append(phase)
    return tuple(tuple(group) for group in groups.values())


def _below(path: str, root: str) -> str:
    return path[len(root) + 1 :] if is_within(path, root) else f"/{path}"


class Space:
    """Configurations as nodes, and the moves between them. With `symmetric` unset every phase is a class of its own."""

    def __init__(self, chart: Chart, *, symmetric: bool = True) -> None:
        self.chart = chart
        self.classes = phase_classes(chart) if symmetric else tuple((phase,) for phase in chart.phases)
        self._spans = _spans(self.classes)
        self._order = tuple(phase for group in self.classes for phase in group)
        # the phases of a class share the leaves of its first one
        self._leader = {phase: group[0] for group in self.classes for phase in group}
        self.leaves = [state.path for state in chart.atomic if state.phase is None or self._leader[state.phase] == state.phase]
        self._number = {path: number for number, path in enumerate(self.leaves)}
        self._paths = {phase: [self._renamed(path, phase) if chart.state(path).phase else path for path in self.leaves] for phase in chart.phases}
        self._exposes = [_exposure(path, chart.state(path).phase) for path in self.leaves]
        self._locals = [self._rows_of(path) for path in self.leaves]
        self._account_moves: dict[Slots, list[tuple[int, int, int | None]]] = {}
        self._mode_changes: dict[tuple[int, bool], Node] = {}
        self._phase_moves: dict[Slots, list[tuple[int, int, Slots]]] = {}
        self.start = self.pack(dict.fromkeys(initial(chart).leaves, False))

    # -- between configurations and nodes -----------------------------------------------------------------------------
    def unpack(self, node: Node) -> dict[str, bool]:
        """Return the active leaves that a node stands for, with their exposed bits: the phases of a class take its states in order."""
        account, phases = node
        leaves = {self.leaves[slot >> 1]: bool(slot & 1) for slot in account}
        if phases:
            slots = dict(zip(self._order, phases, strict=True))
            leaves |= {self._paths[phase][slots[phase] >> 1]: bool(slots[phase] & 1) for phase in self.chart.phases}
        return leaves

    def pack(self, leaves: Mapping[str, bool]) -> Node:
        """Return the node that stands for some active leaves and their exposed bits."""
        account, phases = [], {}
        for path, exposed in leaves.items():
            phase = self.chart.state(path).phase
            leaf = self._number[path if phase is None else self._renamed(path, self._leader[phase])]
            if phase is None:
                account.append(leaf << 1 | exposed)
            else:
                phases[phase] = leaf << 1 | exposed
        slots = [phases[phase] for phase in self._order if phases]
        return tuple(account), tuple(slot for start, end in self._spans for slot in sorted(slots[start:end]))

    def decode(self, node: Node) -> Configuration:
        """Return a configuration that the node stands for."""
        return Configuration(tuple(self.unpack(node)))

    @property
    def bound(self) -> int:
        """An upper bound of the number of nodes in a sound chart: for each top-level state the product of what its regions can be."""
        return sum(self._bound(state) for state in self.chart.children()) + 2

    def _bound(self, state: State) -> int:
        if state.kind is StateKind.PARALLEL:
            owned = [child for child in self.chart.children(state.path) if child.phase is None]
            count = prod(self._bound(child) for child in owned)
            for group in self.classes if len(owned) < len(self.chart.children(state.path)) else ():
                root = next(child for child in self.chart.children(state.path) if child.phase == group[0])
                count *= comb(len(group) + self._bound(root) - 1, len(group))
            return count
        return sum(self._bound(child) for child in self.chart.children(state.path)) or 1

    def represented(self, node: Node) -> int:
        """Return how many configurations the node stands for."""
        count = 1
        for start, end in self._spans if node[1] else ():
            part = node[1][start:end]
            count *= factorial(end - start) // prod(factorial(part.count(slot)) for slot in set(part))
        return count

    # -- moves --------------------------------------------------------------------------------------------------------
    def moves(self, node: Node) -> Iterable[Move]:
        """List what can happen in a node, internal rows included, one move per row and distinct phase state."""
        account, phases = node
        for row, index, leaf in self._moves_of_account(account):
            yield Move(row, -1, self._mode_change(row, node) if leaf is None else (_replace(account, index, self._moved(account[index], leaf)), phases))
        for row, slot, target in self._moves_of_phases(phases):
            yield Move(row, slot, (account, target))

    def _moves_of_account(self, account: Slots) -> list[tuple[int, int, int | None]]:
        if account not in self._account_moves:
            found: dict[int, tuple[int, int, int | None]] = {}
            for index, slot in enumerate(account):
                for local in self._locals[slot >> 1]:
                    found.setdefault(local.row, (local.row, index, local.leaf))
            self._account_moves[account] = list(found.values())
        return self._account_moves[account]

    def _moves_of_phases(self, phases: Slots) -> list[tuple[int, int, Slots]]:
        if phases not in self._phase_moves:
            found = []
            for start, end in self._spans if phases else ():
                for index in range(start, end):
                    if index > start and phases[index] == phases[index - 1]:
                        continue
                    for local in self._locals[phases[index] >> 1]:
                        if local.leaf is not None:
                            moved = _replace(phases, index, self._moved(phases[index], local.leaf))
                            found.append((local.row, index, moved[:start] + tuple(sorted(moved[start:end])) + moved[end:]))
            self._phase_moves[phases] = found
        return self._phase_moves[phases]

    def _mode_change(self, row: int, node: Node) -> Node:
        carried = any(slot & 1 for part in node for slot in part)
        if (row, carried) not in self._mode_changes:
            leaves = self.chart.entered(str(self.chart.transitions[row].dest))
            # where there are regions, the phases carry the bit and the account's leaves do not
            bits = {path: self._bit(path, carried and (len(leaves) == 1 or self.chart.state(path).phase is not None)) for path in leaves}
            self._mode_changes[row, carried] = self.pack(bits)
        return self._mode_changes[row, carried]

    def _bit(self, path: str, carried: bool) -> bool:
        phase = self.chart.state(path).phase
        exposes = self._exposes[self._number[path if phase is None else self._renamed(path, self._leader[phase])]]
        return carried if exposes is None else bool(exposes)

    def _moved(self, slot: int, leaf: int) -> int:
        exposes = self._exposes[leaf]
        return leaf << 1 | (slot & 1 if exposes is None else exposes)

    # -- construction -------------------------------------------------------------------------------------------------
    def _renamed(self, path: str, phase: PhaseId) -> str:
        owner = self.chart.state(path).phase
        return path if owner == phase else SEPARATOR.join(phase if word == owner else word for word in path.split(SEPARATOR))

    def _rows_of(self, leaf: str) -> tuple[_Local, ...]:
        rivals: dict[tuple[str, str], list[int]] = {}
        for number, row in enumerate(self.chart.transitions):
            if is_within(leaf, row.source):
                rivals.setdefault((row.event, row.source), []).append(number)
        found = []
        for numbers in rivals.values():
            possible = possible_rows([self.chart.transitions[number] for number in numbers])
            found += [_Local(number, self._leaf_after(leaf, number)) for number in numbers if self.chart.transitions[number] in possible]
        return tuple(found)

    def _leaf_after(self, leaf: str, number: int) -> int | None:
        row = self.chart.transitions[number]
        if row.dest is None:
            return self._number[leaf]
        entered = self.chart.entered(row.dest)
        region = self.chart.state(leaf).parent
        if SEPARATOR in row.dest and len(entered) == 1 and self.chart.state(row.dest).parent == region:
            return self._number[entered[0]]
        if row.source.partition(SEPARATOR)[0] == row.dest.partition(SEPARATOR)[0]:
            raise ChartError(f"{row}: the checker follows rows within one region and rows between top-level states; this is neither")
        return None


@define
class Exploration:
    """Every node that can be reached, in the order of its distance, and how it was first reached."""

    space: Space
    nodes: list[Node]
    parents: list[tuple[int, int]]
    """Per node: the index of the node before it and the row that led here; (-1, -1) for the start."""
    offsets: "array[int]"
    """Where in `targets` the moves of each node begin."""
    targets: "array[int]"
    taken: set[int]
    """The rows that fired at least once."""

    @property
    def configurations(self) -> int:
        """How many configurations of the chart the nodes stand for."""
        plain = {(tuple(slot & ~1 for slot in account), tuple(slot & ~1 for slot in phases)) for account, phases in self.nodes}
        return sum(self.space.represented(node) for node in plain)

    def path_to(self, index: int) -> list[tuple[int, Node]]:
        """Return the rows from the start to a node, each with the node that it leads to."""
        path = []
        while index > 0:
            target = self.nodes[index]
            index, row = self.parents[index]
            path.append((row, target))
        return path[::-1]


def explore(space: Space, visit: Callable[[int, Node, Sequence[Move]], None] | None = None) -> Exploration:
    """Explore a space breadth first. `visit` sees each node once, in order of distance, with its moves."""
    found = Exploration(space, [space.start], [(-1, -1)], array("Q"), array("L"), set())
    known = {space.start: 0}
    index = 0
    while index < len(found.nodes):
        node = found.nodes[index]
        moves = list(space.moves(node))
        found.offsets.append(len(found.targets))
        for move in moves:
            target = known.get(move.target)
            if target is None:
                target = known[move.target] = len(found.nodes)
                found.nodes.append(move.target)
                found.parents.append((index, move.row))
            found.targets.append(target)
            found.taken.add(move.row)
        if visit is not None:
            visit(index, node, moves)
        index += 1
    found.offsets.append(len(found.targets))
    return found


def _exposure(path: str, phase: PhaseId | None) -> int | None:
    """Return the exposed bit that a leaf sets (1) or clears (0), or None where it keeps what was."""
    name = path.rpartition(SEPARATOR)[2]
    if phase is None:
        return 0 if is_within(path, EMERGENCY) else None
    return 1 if name in LEVELS else 0 if name == PhaseState.DRAINING else None


def _spans(classes: Sequence[Sequence[PhaseId]]) -> tuple[tuple[int, int], ...]:
    spans, start = [], 0
    for group in classes:
        spans.append((start, start + len(group)))
        start += len(group)
    return tuple(spans)


def _replace(slots: Slots, index: int, value: int) -> Slots:
    return slots[:index] + (value,) + slots[index + 1 :]
