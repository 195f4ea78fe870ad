"""The steps of an emergency, each verified before the next and retried until it is true. The chart says which step comes next."""

from typing import TYPE_CHECKING

from titan_core.brain.vocabulary import Emergency, Trigger
from titan_core.engine.conditions import Timer
from titan_core.model.units import MS, S

if TYPE_CHECKING:
    from titan_core.engine.core import Engine
    from titan_core.engine.governor import BrainGovernor

RETRY_NS = S
SECOND_READ_NS = MS
"""Two reads that agree, this far apart, are believed."""
LATE = (Emergency.VERIFYING, Emergency.DISABLING, Emergency.LOCKED)


class EmergencySteps:
    """Drives the emergency of one run."""

    def __init__(self, governor: "BrainGovernor", engine: "Engine") -> None:
        """Bind the run."""
        self._governor = governor
        self._engine = engine
        self._reads = 0
        self._retry: Timer | None = None

    @property
    def reads_agree(self) -> bool:
        """Whether two reads have found the account flat."""
        return self._reads >= 2

    @property
    def step(self) -> str:
        """The step that the chart is in."""
        return self._governor.machine.configuration.mode.rpartition(".")[2]

    def verify_flat(self) -> None:
        """Read the positions where they are, or the account now and again a moment later."""
        if self._engine.venue.verify():
            self._reads = 0
            return
        self._reads = 1 if self._governor.closing.is_flat(None) else 0
        self._engine.at_system(self._engine.now + SECOND_READ_NS, self._second_read)

    def _second_read(self, timer: Timer) -> None:
        if self._reads and self._governor.closing.is_flat(None):
            self._reads = 2
        self._governor.settle()

    def venue_read(self, is_flat: bool) -> None:
        """Take in what the venue says of positions; it counts as two reads that agree. Where the account is flat as well they are believed."""
        if is_flat:
            self._reads = 2
            return
        self._reads = 0
        if self.step in LATE:
            self._governor.fire(Trigger.NOT_FLAT)

    def go_on(self) -> None:
        """Take every step whose condition is met, and come back later for the one that is not."""
        while self._advance(self.step):
            pass
        if self.step != Emergency.LOCKED and (self._retry is None or not self._retry.alive):
            self._retry = self._engine.at_system(self._engine.now + RETRY_NS, self._retry_step)

    def _advance(self, step: str) -> bool:
        fire, closing = self._governor.fire, self._governor.closing
        if step == Emergency.CLOSING_GATE:
            return fire(Trigger.GATE_CLOSED)
        if step == Emergency.CANCELLING_ENTRIES:
            return not closing.entries(None) and fire(Trigger.ENTRIES_CANCELLED)
        if step == Emergency.FLATTENING:
            if not closing.is_flat(None):
                self.flatten()
                return False
            return fire(Trigger.FLAT)
        if step in LATE and not closing.is_flat(None):  # a fill that was on its way
            self._reads = 0
            return fire(Trigger.NOT_FLAT) and step != Emergency.LOCKED
        if step == Emergency.VERIFYING:
            return self.reads_agree and fire(Trigger.VERIFIED)
        return step == Emergency.DISABLING and fire(Trigger.ALL_DISABLED)

    def _retry_step(self, timer: Timer) -> None:
        if self.step == Emergency.CANCELLING_ENTRIES:
            self._governor.closing.cancel_entries(None)
        elif self.step == Emergency.FLATTENING:
            self.flatten()
        elif self.step == Emergency.VERIFYING and not self.reads_agree:
            self._engine.venue.verify()
        self._governor.settle()

    def flatten(self) -> None:
        """Leave out of band where the venue can, else order by order."""
        if not self._engine.venue.leave():
            self._governor.closing.flatten(None)
