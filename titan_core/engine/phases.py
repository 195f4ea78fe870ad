"""What the governor keeps of each phase during a run."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from titan_core.brain.risk import DayLoss
from titan_core.brain.table import LEVELS
from titan_core.brain.vocabulary import PhaseState
from titan_core.hookspecs import Handover, Health
from titan_core.model.fill import Fill
from titan_core.model.ids import PhaseId, StrategyId
from titan_core.model.instrument import Instrument
from titan_core.model.phase import PhaseDeclaration

OPERATING = frozenset(LEVELS)
"""The states in which a phase trades, or at least holds, under its own strategies."""

ENTERING = frozenset((PhaseState.ACTIVE, PhaseState.REDUCED))
"""The states in which a phase may open positions."""

if TYPE_CHECKING:
    from titan_core.engine.conditions import Timer
    from titan_core.engine.desk import Desk
    from titan_core.engine.venue import WorkingOrder


def _healthy() -> Health:
    return Health(True)


def _declines(handover: Handover) -> bool:
    return False


def _nothing() -> None:
    return None


@frozen(kw_only=True)
class PhaseBinding:
    """A phase plugin, bound to its configuration: all that a run needs of it."""

    declaration: PhaseDeclaration
    create: Callable[[], Sequence[Any]]
    """Make the strategies of one activation."""
    health: Callable[[], Health] = _healthy
    adopt: Callable[[Handover], bool] = _declines
    activated: Callable[[], None] = _nothing
    deactivated: Callable[[], None] = _nothing


@define(eq=False)
class PhaseBook:
    """The running numbers of one phase. Amounts are doubled (2e-8 USDT)."""

    binding: PhaseBinding
    slot: int
    offset2: int = 0
    """Phase equity = offset + what the phase has moved + what it holds."""
    expires_ns: int = 0
    """Until when the allocation holds: it must be renewed each day, or the phase may not enter any more."""
    base2: int = 0
    """Day base: phase equity at 00:00 UTC or at activation."""
    loss_base2: int = 0
    """What the losses of the day are measured against: the day base, not made smaller by a smaller allocation during the day."""
    level: DayLoss = DayLoss.NONE
    shrunk: bool = False
    """Whether a smaller allocation, not the market, put its margin above the drifted cap; that never forces a close."""
    desks: "list[Desk]" = field(factory=list)
    activations: int = 0
    broken: str = ""
    """Why the plugin is in quarantine; empty while it is trusted."""
    to_be_disabled: bool = False
    active_since: int = 0
    exposed: bool = False
    """Whether it has held a position during the present hour."""
    result2: int = 0
    """Its net result at the start of the present hour."""
    recalled: PhaseState | None = None
    """Where it stood when an earlier process ended; None on a first boot and once it stands somewhere again."""
    day_goes_on: bool = False
    """Whether an earlier process has left it the bases and the level of this very day: what was lost in it still counts."""
    held_down: bool = False
    """Reduced because of its correlation with an earlier-activated phase."""
    dwell: "Timer | None" = None
    drain: "Timer | None" = None
    dwelt: bool = False
    flattening: bool = False
    """Whether its positions are being closed on the Brain's command; goes on until they are."""
    reducing: bool = False
    """While leaving: a position is being reduced so that another phase can take it over."""

    @property
    def id(self) -> PhaseId:
        """The phase's name."""
        return self.binding.declaration.id

    @property
    def leverage(self) -> int:
        """Leverage set at the venue: the top of the declared range."""
        return self.binding.declaration.leverage[1]

    @property
    def was_operating(self) -> bool:
        """Whether it was on duty, or leaving, when an earlier process ended."""
        return self.recalled in OPERATING or self.recalled is PhaseState.DRAINING

    def leverage_on(self, instrument: Instrument) -> int:
        """Return how many times its margin a position is worth: no more than the venue lends on this instrument; spot is paid in full."""
        return min(self.leverage, instrument.max_leverage) if instrument.is_perp else 1


class ServiceDesk:
    """The desk of orders that the Brain places on behalf of a phase: closing, reducing. It passes news on to the phase's own desks."""

    def __init__(self, phase: PhaseId, slot: int, book: PhaseBook | None) -> None:
        """Book executions on `slot`."""
        self.phase = phase
        self.slot = slot
        self.strategy_id = StrategyId("brain")
        self._book = book

    def filled(self, order: "WorkingOrder", fill: Fill, flat: bool) -> None:
        """Tell the phase's strategies about an execution that they did not ask for."""
        for desk in self._book.desks if self._book else ():
            desk.filled(order, fill, flat)

    def order_closed(self, order: "WorkingOrder") -> None:
        """Nothing to pass on."""
