"""A start of the Brain: from the chart's beginning to where the journal, the venue and equity demand. A restart never loosens anything."""

from typing import TYPE_CHECKING

from titan_core.brain.chart import Configuration
from titan_core.brain.risk import Drawdown
from titan_core.brain.selection import Verdict, boot_verdict
from titan_core.brain.table import EMERGENCY, LOCKED, OPERATIONAL
from titan_core.brain.vocabulary import Control, Risk, Trigger
from titan_core.engine.memory import Memory, recall
from titan_core.engine.phases import PhaseBook

if TYPE_CHECKING:
    from titan_core.engine.core import Engine
    from titan_core.engine.governor import BrainGovernor


class Booting:
    """Boots one run, and boots it again after a lock."""

    def __init__(self, governor: "BrainGovernor", memory: Memory | None) -> None:
        """Bind the run; `memory` is what an earlier process has left."""
        self._governor = governor
        self._memory = memory
        self.is_on = True
        """Whether a boot is under way."""
        self.standing: Configuration | None = None
        """Where the chart stood when it last left `operational`: what a stop must not forget."""
        self._starting: list[PhaseBook] = []
        self._booted: list[PhaseBook] = []

    @property
    def is_first(self) -> bool:
        """Whether a first boot is under way: bands then count to the cent. What goes on keeps hysteresis and dwell."""
        return self.is_on and (self._memory is None or not self._memory.phases)

    @property
    def was_locked(self) -> bool:
        """Whether the earlier process was in a locked emergency."""
        return self._memory is not None and self._memory.is_in(LOCKED)

    @property
    def was_in_emergency(self) -> bool:
        """Whether it was in one that had not reached the lock."""
        return self._memory is not None and self._memory.is_in(EMERGENCY) and not self.was_locked

    def recall(self, engine: "Engine") -> None:
        """Put the run on what was remembered."""
        if self._memory is not None:
            recall(self._memory, self._governor, engine)

    def boot(self) -> None:
        """Take the chart from its beginning to its place."""
        self.is_on = True
        self._booted.clear()
        self._governor.fire(Trigger.LOADED)
        if self._governor.machine.configuration.is_in("booting"):
            self._governor.fire(Trigger.RECONCILED)
            self._bring_back()
        self.is_on = False
        self._memory = None

    def boot_again(self) -> bool:
        """Leave `locked` on the operator's word and boot as if for the first time. Returns whether the chart allowed it."""
        if not self._governor.fire(Trigger.RESUME):
            return False
        self.standing = None
        for book in self._governor.books:
            book.recalled, book.day_goes_on = None, False
        self._governor.drawdown = Drawdown.NONE
        self.boot()
        return True

    def leave(self, before: Configuration, after: Configuration) -> None:
        """Take note of a step of the chart: it may be leaving `operational`."""
        if before.mode == OPERATIONAL != after.mode:
            self.standing = before

    def select_phases(self) -> None:
        """Arm the phases that were on duty, on a first boot those whose band holds equity; strategies start once all phases have their allocations."""
        governor = self._governor
        governor.steering.judge_link()  # first, so that what a strategy asks for at its start may be approved
        equity = governor.equity2() // 2
        for each in governor.books:
            if governor.swapping.holds_back(each.id):
                governor.fire(Trigger.DISABLE, each)
                continue
            band = each.binding.declaration.band
            if band is not None and (each.was_operating or (self.is_first and boot_verdict(band, equity) is Verdict.ENTER)):
                governor.fire(Trigger.ARM, each)
        starting, self._starting = self._starting, []
        for each in starting:
            governor.start_phase(each)

    def puts_off(self, book: PhaseBook) -> bool:
        """Whether the start of a phase waits for the other phases of this boot."""
        if not self.is_on or book in self._booted:
            return False
        self._booted.append(book)
        self._starting.append(book)
        return True

    def _bring_back(self) -> None:
        """Bring the levels of the earlier process back."""
        governor, memory = self._governor, self._memory
        if memory is None:
            return
        for book in governor.books:
            book.recalled, book.day_goes_on = None, False
            if book.to_be_disabled:
                governor.fire(Trigger.DISABLE, book)
        known = Drawdown(memory.drawdown)
        if known > Drawdown.NONE:
            governor.drawdown = min(known, Drawdown.REDUCED)
            governor.fire(Trigger.WARN if governor.drawdown is Drawdown.WARNING else Trigger.REDUCE)
        if memory.stood_in(f"{OPERATIONAL}.risk.{Risk.HALTED}"):
            governor.fire(Trigger.HALT)
        if memory.stood_in(f"{OPERATIONAL}.control.{Control.PAUSED}"):
            governor.fire(Trigger.PAUSE)
