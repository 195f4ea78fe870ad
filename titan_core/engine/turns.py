"""The turns of the hour and of the day: correlation between phases, and what 00:00 UTC clears, shares out anew and relaxes."""

from typing import TYPE_CHECKING

from titan_core.brain.correlation import Correlations
from titan_core.brain.risk import DayLoss, drawdown
from titan_core.brain.vocabulary import Risk, Trigger
from titan_core.engine.conditions import Timer
from titan_core.engine.phases import OPERATING, PhaseBook
from titan_core.model.ids import PhaseId
from titan_core.model.units import D, H

if TYPE_CHECKING:
    from titan_core.engine.core import Engine
    from titan_core.engine.governor import BrainGovernor


class Turns:
    """Runs the clock-driven part of the governor."""

    def __init__(self, governor: "BrainGovernor", engine: "Engine") -> None:
        """Bind the run."""
        self._governor = governor
        self._engine = engine
        self.correlations = Correlations(governor.limits)

    def begin(self) -> None:
        """Set the first turns. With a single phase there is nothing to correlate."""
        self._engine.at_system((self._engine.now // D + 1) * D, self._midnight)
        if len(self._governor.books) > 1:
            self._engine.at_system((self._engine.now // H + 1) * H, self._hour)

    def _hour(self, timer: Timer) -> None:
        """Note what each phase has made in the hour, and hold down a phase that moves with an earlier one."""
        self._engine.at_system(self._engine.now + H, self._hour)
        hour = {}
        for book in self._governor.books:
            result2, equity2 = self._engine.account.result2(book.slot, self._engine.value2), self._governor.phase_equity2(book)
            if (book.exposed or self._governor.closing.holds(book)) and equity2 > 0:
                hour[book.id] = (result2 - book.result2) / equity2
            book.result2, book.exposed = result2, self._governor.closing.holds(book)
        self.correlations.add(hour)
        running = sorted((b for b in self._governor.books if self._governor.state_of(b) in OPERATING), key=lambda b: (b.active_since, b.slot))
        for phase in self.correlations.held_down([book.id for book in running]):
            book = self._governor.by_id[phase]
            if not book.held_down:
                book.held_down = True
                self._governor.fire(Trigger.REDUCE, book)

    def _activated_before(self, book: PhaseBook) -> list[PhaseId]:
        """Return the operating phases that were activated earlier: only they hold a phase down."""
        others = [other for other in self._governor.books if other is not book and self._governor.state_of(other) in OPERATING]
        return [other.id for other in others if (other.active_since, other.slot) < (book.active_since, book.slot)]

    def _midnight(self, timer: Timer) -> None:
        """Clear the phases' levels, share equity out anew, relax what draw-down admits."""
        self._engine.at_system((self._engine.now // D + 1) * D, self._midnight)
        if not self._governor.machine.configuration.is_in("operational"):
            return
        self._governor.escalated_today = 0
        self._governor.allocate()
        for book in self._governor.books:
            book.level = DayLoss.NONE
            book.base2 = book.loss_base2 = self._governor.phase_equity2(book)
            if self._governor.state_of(book) in OPERATING:
                book.held_down = book.held_down and not self.correlations.released(book.id, self._activated_before(book))
                self._governor.fire(Trigger.RECOVER, book)
        level = drawdown(self._governor.equity2(), self._governor.peak2, self._governor.limits)
        if level < self._governor.drawdown and self._governor.machine.configuration.risk is not Risk.HALTED:
            self._governor.drawdown = level
            self._governor.fire(Trigger.RELAX)
        self._governor.settle()
