"""The Brain's statechart as data, the pure interpreter of its table, and what a configuration allows.

    chart = build_chart(declarations)
    here = initial(chart)
    taken = step(chart, here, Trigger.LOADED, facts={Guard.EMERGENCY_LOCKED: False, Guard.EMERGENCY_UNFINISHED: False})

The machine, the model checker, the pictures and the documentation table are all made from the `Chart` that `build_chart` returns.
"""

from collections.abc import Iterable, Sequence

from titan_core.brain import table
from titan_core.brain.statechart import NO_FACTS, Chart, Configuration, Facts, State, StateKind, Step, Transition, initial, step
from titan_core.brain.vocabulary import Booting, Command, Control, Direction, Emergency, Guard, Link, PhaseState, Risk, Trigger
from titan_core.errors import ChartError
from titan_core.model.ids import PhaseId
from titan_core.model.phase import PhaseDeclaration

__all__ = [
    "LOCKED",
    "NO_FACTS",
    "OPERATIONAL",
    "Booting",
    "Chart",
    "Command",
    "Configuration",
    "Control",
    "Direction",
    "Emergency",
    "Facts",
    "Guard",
    "Link",
    "PhaseState",
    "Risk",
    "State",
    "StateKind",
    "Step",
    "Transition",
    "Trigger",
    "alike_phases",
    "build_chart",
    "chart_of",
    "gate_open",
    "initial",
    "leverage_cap_bps",
    "phase_may_enter",
    "size_multiplier_bps",
    "step",
]

OPERATIONAL = table.OPERATIONAL
LOCKED = table.LOCKED
_ENTERING = (PhaseState.ACTIVE, PhaseState.REDUCED)


def build_chart(phases: Iterable[PhaseDeclaration]) -> Chart:
    """Build the chart for the phases that trade; an adviser, which declares no capital band, gets no region."""
    return chart_of([phase.id for phase in phases if phase.band is not None])


def chart_of(phases: Sequence[PhaseId]) -> Chart:
    """Build the chart for phases of the given names. Raises ChartError where two have the same name."""
    if len(set(phases)) != len(phases):
        raise ChartError(f"two phases have the same name among {', '.join(phases)}; each installed plugin needs a name of its own")
    return Chart(states=table.states(phases), transitions=table.transitions(phases), phases=tuple(phases))


def alike_phases(count: int) -> tuple[PhaseId, ...]:
    """Return names for `count` phases that nobody has installed: the checker's questions do not depend on names."""
    return tuple(PhaseId(f"phase_{number}") for number in range(1, count + 1))


def gate_open(configuration: Configuration) -> bool:
    """Whether any entry may be approved: the one definition, used by the approval of orders and by the model checker."""
    return (
        configuration.mode == OPERATIONAL
        and configuration.control is Control.RUNNING
        and configuration.risk is not Risk.HALTED
        and configuration.link is not Link.DOWN
    )


def phase_may_enter(configuration: Configuration, phase: PhaseId) -> bool:
    """Whether the phase may open or increase positions. A phase that the chart does not have may not."""
    return gate_open(configuration) and configuration.phases.get(phase) in _ENTERING


def size_multiplier_bps(configuration: Configuration, phase: PhaseId) -> int:
    """Return the factor, in basis points, for the size of the phase's entries: the smaller of the account's and the phase's own; 0 bars them."""
    state = configuration.phases.get(phase)
    if configuration.risk is None or state is None:
        return 0
    return min(table.SIZE_BY_RISK[configuration.risk], table.SIZE_BY_PHASE[state])


def leverage_cap_bps(configuration: Configuration, phase: PhaseId) -> int:
    """Return the share, in basis points, of the phase's leverage cap up to which entries may go; 0 bars them, and forces nothing to close."""
    state = configuration.phases.get(phase)
    if configuration.risk is None or state is None:
        return 0
    return min(table.LEVERAGE_BY_RISK[configuration.risk], table.LEVERAGE_BY_PHASE[state])
