"""Exchanging one phase plugin for another while the run goes on: drain or hand over, check health, arm; what is not fit is rolled back.

The new phase is switched off until its time, so that it takes no part before. At its time it is enabled and armed. Only once it is active is the old one
switched off: it drains, and offers its positions, which the new one may adopt. Where the new one is not healthy or equity does not fit its band, it is switched
off again and the old one never notices.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from titan_core.brain.vocabulary import Trigger
from titan_core.engine.conditions import Timer
from titan_core.engine.phases import ENTERING
from titan_core.errors import UsageError
from titan_core.model.ids import BRAIN, PhaseId

if TYPE_CHECKING:
    from titan_core.engine.governor import BrainGovernor


@frozen
class Swap:
    """`old` is exchanged for `new` at a time (ns since 1970)."""

    old: PhaseId
    new: PhaseId
    at_ns: int


class Swapping:
    """Carries out the swaps of one run."""

    def __init__(self, governor: "BrainGovernor", swaps: Sequence[Swap]) -> None:
        """Raises UsageError for a phase that the run does not have, or one that is exchanged for itself."""
        self._governor = governor
        self._swaps = tuple(swaps)
        for swap in self._swaps:
            for name in (swap.old, swap.new):
                if name not in governor.by_id:
                    raise UsageError(f"no phase {name!r} takes part in this run; it has {', '.join(governor.by_id) or 'none'}")
            if swap.old == swap.new:
                raise UsageError(f"phase {swap.old!r} cannot be exchanged for itself")

    def holds_back(self, name: PhaseId) -> bool:
        """Whether a phase waits for its swap."""
        return any(swap.new == name for swap in self._swaps)

    def begin(self) -> None:
        """Set the times; the run has been booted."""
        for swap in self._swaps:
            self._governor.engine.at_system(max(swap.at_ns, self._governor.engine.now + 1), self._due, swap)

    def _due(self, timer: Timer) -> None:
        swap: Swap = timer.payload
        governor = self._governor
        old, new = governor.by_id[swap.old], governor.by_id[swap.new]
        said = f"swap of {swap.old} for {swap.new}"
        governor.fire(Trigger.ENABLE, new)
        new.dwelt = True  # the operator's word stands for the dwell; the band and the health check do not give way
        governor.fire(Trigger.ARM, new)
        new.dwelt = False
        if governor.state_of(new) in ENTERING:
            governor.engine.record.note(governor.engine.now, BRAIN, f"{said}: {swap.new} is active, {swap.old} leaves")
            old.to_be_disabled = True
            governor.fire(Trigger.DISABLE, old)
        else:
            governor.fire(Trigger.DISABLE, new)
            governor.engine.record.note(governor.engine.now, BRAIN, f"{said} is rolled back: {swap.new} is not fit to trade now; {swap.old} goes on")
        governor.settle()
