"""The six properties of the chart, each checked on the nodes and moves that the checker's exploration visits."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType

from attrs import frozen

from titan_core.brain.chart import LOCKED, Chart, Configuration, Control, Direction, Link, PhaseState, Risk, Transition, Trigger
from titan_core.brain.statechart import SEPARATOR, common_ancestor, is_within
from titan_core.brain.symmetry import Exploration, Move, Node, Slots, Space
from titan_core.brain.table import BOOTING, EMERGENCY, OPERATIONAL
from titan_core.model.units import BPS

Gate = Callable[[Configuration], bool]
_Limits = tuple[int, int]
"""Size multiplier and share of the leverage cap, both in basis points."""
_NONE: _Limits = (0, 0)


class Property(IntEnum):
    """What is proven."""

    GATE = 1
    PANIC = 2
    DRAINING = 3
    LOCK = 4
    LIVENESS = 5
    MULTIPLIERS = 6


PROPERTY_TEXT: Mapping[Property, str] = MappingProxyType(
    {
        Property.GATE: "the gate is open only in operational, with risk not halted, link not down, control not paused",
        Property.PANIC: "from every configuration that is not final, panic reaches the emergency in one step with the gate closed",
        Property.DRAINING: "a phase goes from active, reduced, halted or escalated to dormant or disabled only through draining or an emergency",
        Property.LOCK: "the emergency is left only from locked, only by the operator's resume, only into booting",
        Property.LIVENESS: "every state is reached, every row fires, and from everywhere the chart can still end",
        Property.MULTIPLIERS: "only a transition towards less risk raises a size multiplier or a leverage cap, and its mark agrees with the states' ranks",
    }
)
"""Each property in one sentence."""


@frozen
class Breach:
    """A property that does not hold: what happened, at which node (None: nowhere), and by which move (None: being there is enough)."""

    broken: Property
    message: str
    index: int | None = None
    move: Move | None = None


class Watch:
    """Looks at each node and its moves in order of distance, and keeps the first breach of each property, hence a nearest one."""

    def __init__(self, space: Space, gate: Gate) -> None:
        self.breaches: dict[Property, Breach] = {}
        self._space = space
        self._chart = space.chart
        self._rows = space.chart.transitions
        self._gate = gate
        self._names = [path.rpartition(SEPARATOR)[2] for path in space.leaves]
        self._mislabelled = [_mislabelled(space.chart, row) for row in self._rows]
        self._unwatched = [
            (row.dest is None or row.direction is Direction.LESS_RISK) and not wrong for row, wrong in zip(self._rows, self._mislabelled, strict=True)
        ]
        self._panics = [row.trigger is Trigger.PANIC and row.phase is None for row in self._rows]
        self._own = [_own_limits(space.chart, path) for path in space.leaves]
        self._after = [_NONE if row.dest is None else _own_limits(space.chart, row.dest) for row in self._rows]
        self._account: dict[Slots, _Limits] = {}
        self._safe: dict[Node, bool] = {}

    def visit(self, index: int, node: Node, moves: Sequence[Move]) -> None:
        """Check one node and everything that can happen in it."""
        here = self._space.decode(node)
        self._check_gate(index, here)
        self._check_draining(index, node)
        self._check_panic(index, here, moves)
        if is_within(here.mode, EMERGENCY):
            self._check_lock(index, node, here.mode, moves)
        for move in moves:
            if not self._unwatched[move.row]:
                self._check_multipliers(index, node, move)

    def conclude(self, found: Exploration) -> None:
        """Check what only the whole exploration tells."""
        seen = {slot >> 1 for account, phases in found.nodes for slot in (*account, *phases)}
        reached = [path for number, path in enumerate(self._space.leaves) if number in seen]
        for path in self._space.leaves:
            if path not in reached:
                self._breach(Property.LIVENESS, f"the state {path} is never reached")
        for number, row in enumerate(self._rows):
            if number not in found.taken and any(is_within(leaf, row.source) for leaf in reached):
                self._breach(Property.LIVENESS, f"the row {row} never fires")
        stuck = _first_without_end(found)
        if stuck is not None:
            self._breach(Property.LIVENESS, f"no way leads from {self._space.decode(found.nodes[stuck])} to a final state", stuck)

    def _breach(self, which: Property, message: str, index: int | None = None, move: Move | None = None) -> None:
        self.breaches.setdefault(which, Breach(which, message, index, move))

    def _check_gate(self, index: int, here: Configuration) -> None:
        if not self._gate(here):
            return
        barred = {
            f"in {here.mode}": here.mode != OPERATIONAL,
            "with risk halted": here.risk is Risk.HALTED,
            "with link down": here.link is Link.DOWN,
            "with control paused": here.control is Control.PAUSED,
        }
        if any(barred.values()):
            self._breach(Property.GATE, f"the gate is open {' and '.join(text for text, bad in barred.items() if bad)}", index)

    def _check_draining(self, index: int, node: Node) -> None:
        for slot in node[1]:
            if slot & 1 and self._names[slot >> 1] in (PhaseState.DORMANT, PhaseState.DISABLED):
                self._breach(Property.DRAINING, f"a phase is {self._names[slot >> 1]} without having been drained since it could hold positions", index)

    def _check_panic(self, index: int, here: Configuration, moves: Sequence[Move]) -> None:
        if self._chart.is_final(here):
            return
        panics = [move for move in moves if self._panics[move.row]]
        if all(self._rows[move.row].guards for move in panics):
            self._breach(Property.PANIC, f"panic {'may be refused, for it is guarded,' if panics else 'is refused'} in {here}", index)
        for move in panics:
            if not self._is_safe(move.target):
                self._breach(Property.PANIC, f"panic leads to {self._space.decode(move.target)}", index, move)

    def _is_safe(self, node: Node) -> bool:
        if node not in self._safe:
            there = self._space.decode(node)
            self._safe[node] = is_within(there.mode, EMERGENCY) and not self._gate(there)
        return self._safe[node]

    def _check_lock(self, index: int, node: Node, mode: str, moves: Sequence[Move]) -> None:
        for move in moves:
            there, row = self._space.decode(move.target).mode, self._rows[move.row]
            resumed = mode == LOCKED and row.trigger is Trigger.RESUME and row.phase is None and is_within(there, BOOTING)
            if move.target != node and not resumed and (mode == LOCKED or not is_within(there, EMERGENCY)):
                self._breach(Property.LOCK, f"{mode} is left by {row.event} for {there}", index, move)

    def _check_multipliers(self, index: int, node: Node, move: Move) -> None:
        row = self._rows[move.row]
        if self._mislabelled[move.row]:
            self._breach(Property.MULTIPLIERS, f"{row} is marked '{row.direction}', which the ranks of its states deny", index, move)
        for before, after in self._limits(node, move):
            if _rises(before, after):
                change = f"size {before[0] / BPS:.0%} → {after[0] / BPS:.0%}, leverage cap {before[1] / BPS:.0%} → {after[1] / BPS:.0%}"
                self._breach(Property.MULTIPLIERS, f"{row} is marked '{row.direction}' and raises what a phase may do: {change}", index, move)

    def _limits(self, node: Node, move: Move) -> Iterable[tuple[_Limits, _Limits]]:
        """List what each phase may do before a move and after it, where the move could raise it at all."""
        (account, phases), (new_account, new_phases) = node, move.target
        admitted = self._admitted(account) if phases else _NONE
        if move.slot >= 0:
            own, new_own = self._own[phases[move.slot] >> 1], self._after[move.row]
            if _rises(own, new_own):
                yield _lower(admitted, own), _lower(admitted, new_own)
        elif new_phases and _rises(admitted, self._admitted(new_account)):
            for slot in new_phases:
                own = self._own[slot >> 1]
                yield _lower(admitted, own), _lower(self._admitted(new_account), own)

    def _admitted(self, account: Slots) -> _Limits:
        if account not in self._account:
            limits = (BPS, BPS)
            for slot in account:
                limits = _lower(limits, self._own[slot >> 1])
            self._account[account] = limits
        return self._account[account]


def _lower(first: _Limits, second: _Limits) -> _Limits:
    return min(first[0], second[0]), min(first[1], second[1])


def _rises(before: _Limits, after: _Limits) -> bool:
    return after[0] > before[0] or after[1] > before[1]


def _own_limits(chart: Chart, path: str) -> _Limits:
    state = chart.state(path)
    return (BPS if state.size_bps is None else state.size_bps), (BPS if state.leverage_bps is None else state.leverage_bps)


def _mislabelled(chart: Chart, row: Transition) -> bool:
    """Whether a row between ranked siblings is marked with another direction than their ranks have."""
    if row.dest is None or common_ancestor(row.source, row.dest) != chart.state(row.source).parent:
        return False
    before, after = chart.state(row.source).severity, chart.state(row.dest).severity
    if before is None or after is None:
        return False
    return row.direction is not (Direction.MORE_RISK if after > before else Direction.LESS_RISK)


def _first_without_end(found: Exploration) -> int | None:
    """Return the nearest node from which no final one can be reached."""
    chart, targets, offsets = found.space.chart, found.targets, found.offsets
    ends = bytearray(not phases and chart.is_final(found.space.decode((account, phases))) for account, phases in found.nodes)
    open_nodes = [index for index in range(len(ends) - 1, -1, -1) if not ends[index]]
    while True:
        still_open = []
        for index in open_nodes:
            if any(ends[targets[at]] for at in range(offsets[index], offsets[index + 1])):
                ends[index] = 1
            else:
                still_open.append(index)
        if len(still_open) == len(open_nodes):
            return min(still_open, default=None)
        open_nodes = still_open
