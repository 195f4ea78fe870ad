"""What a run must remember to go on after its process has ended: account, positions with their stops, the Brain's levels. Written as it stands, read back.

Not remembered: conditions and timers of strategies (a phase's strategies are made anew and find their positions), the time that equity has dwelt in a band,
and a plugin's quarantine, because another start may find it repaired.
"""

from typing import TYPE_CHECKING

from msgspec import Struct

from titan_core.brain.risk import DayLoss
from titan_core.brain.statechart import is_within
from titan_core.brain.table import OPERATIONAL
from titan_core.brain.vocabulary import PhaseState
from titan_core.engine.account import NOBODY
from titan_core.model.ids import BRAIN, InstrumentId
from titan_core.model.units import D

if TYPE_CHECKING:
    from titan_core.engine.core import Engine
    from titan_core.engine.governor import BrainGovernor

FORMAT = 1


class PhaseMemory(Struct, kw_only=True):
    """One phase; amounts are doubled (2e-8 USDT)."""

    state: str
    flow2: int
    offset2: int
    base2: int
    loss_base2: int
    level: int
    activations: int
    active_since: int
    held_down: bool = False
    flattening: bool = False
    to_be_disabled: bool = False


class Holding(Struct, kw_only=True):
    """An open position; `owner` is a phase or the Brain."""

    lots: int
    owner: str
    stop: int | None = None
    target: int | None = None


class Memory(Struct, kw_only=True):
    """A run at one moment."""

    ts_ns: int
    leaves: tuple[str, ...]
    """Where the chart was."""
    standing: tuple[str, ...] = ()
    """Where it stood in `operational`: now, or when it left that for a stop or an emergency."""
    cash: int
    fees: int
    funding: int
    brain_flow2: int
    peak2: int
    drawdown: int
    worst_drawdown_ppm: int
    escalated_today: int
    closing_orders: int
    phases: dict[str, PhaseMemory]
    holdings: dict[str, Holding]

    def is_in(self, path: str) -> bool:
        """Whether the chart was in a state."""
        return _is_in(self.leaves, path)

    def stood_in(self, path: str) -> bool:
        """Whether the chart was in a state when it was last operational."""
        return _is_in(self.standing or self.leaves, path)


def _is_in(leaves: tuple[str, ...], path: str) -> bool:
    return any(is_within(leaf, path) for leaf in leaves)


def remember(governor: "BrainGovernor", engine: "Engine") -> Memory:
    """Write down a run as it stands."""
    account, venue = engine.account, engine.venue
    configuration = governor.machine.configuration
    standing = configuration if configuration.mode == OPERATIONAL else governor.booting.standing
    holdings = {}
    for k in account.held():
        known = venue.protection.get(k)
        owner = account.owner[k]
        holdings[str(engine.layout.instruments[k].id)] = Holding(
            lots=account.lots[k],
            owner=engine.phase_of(owner) if owner != NOBODY else BRAIN,
            stop=known.stop if known else None,
            target=known.target if known else None,
        )
    return Memory(
        ts_ns=engine.now,
        leaves=configuration.leaves,
        standing=standing.leaves if standing is not None else (),
        cash=account.cash,
        fees=account.fees,
        funding=account.funding,
        brain_flow2=account.flow2[governor.brain_slot],
        peak2=max(governor.peak2, governor.watch.peak2()),
        drawdown=int(governor.drawdown),
        worst_drawdown_ppm=governor.worst_drawdown_ppm,
        escalated_today=governor.escalated_today,
        closing_orders=governor.closing.serial,
        phases={
            book.id: PhaseMemory(
                state=str(standing.phases.get(book.id, "")) if standing is not None else "",
                flow2=account.flow2[book.slot],
                offset2=book.offset2,
                base2=book.base2,
                loss_base2=book.loss_base2,
                level=int(book.level),
                activations=book.activations,
                active_since=book.active_since,
                held_down=book.held_down,
                flattening=book.flattening,
                to_be_disabled=book.to_be_disabled,
            )
            for book in governor.books
        },
        holdings=holdings,
    )


def recall(memory: Memory, governor: "BrainGovernor", engine: "Engine") -> None:
    """Put a run on what was remembered, before it boots. What belongs to phases that are not installed any more goes to the Brain."""
    account = engine.account
    account.cash, account.fees, account.funding = memory.cash, memory.fees, memory.funding
    account.flow2[governor.brain_slot] = memory.brain_flow2
    for name, phase in memory.phases.items():
        book = governor.by_id.get(name)  # type: ignore[call-overload]  # names in the journal are plain text
        account.flow2[book.slot if book else governor.brain_slot] += phase.flow2
        if book is not None:
            book.offset2, book.activations = phase.offset2, phase.activations
            book.to_be_disabled, book.flattening, book.held_down = phase.to_be_disabled, phase.flattening, phase.held_down
    governor.peak2 = max(governor.peak2, memory.peak2)
    governor.worst_drawdown_ppm = memory.worst_drawdown_ppm
    governor.closing.serial = memory.closing_orders
    same_day = memory.ts_ns // D == engine.now // D
    if same_day:
        governor.escalated_today = memory.escalated_today
    for name, held in memory.holdings.items():
        k = engine.layout.place[InstrumentId(name)]
        book = governor.by_id.get(held.owner)  # type: ignore[call-overload]
        slot = book.slot if book else governor.brain_slot
        account.lots[k], account.owner[k] = held.lots, slot
        governor.exposure.lease[k] = slot
        if held.stop is not None or held.target is not None:
            engine.venue.restore_protection(k, governor.steering.service_desk(slot), held.stop, held.target)
    for book in governor.books:
        phase_memory = memory.phases.get(book.id)
        if phase_memory is not None and phase_memory.state in set(PhaseState):
            book.recalled = PhaseState(phase_memory.state)
            if same_day and book.was_operating:
                book.day_goes_on = True
                book.level, book.base2, book.loss_base2 = DayLoss(phase_memory.level), phase_memory.base2, phase_memory.loss_base2
