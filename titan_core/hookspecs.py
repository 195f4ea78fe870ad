"""The whole pluggy contract of a phase plugin.

A plugin is a module (or object) named by an entry point of the group `titan.phases`. Hooks are called at registration and at the turns of a phase's
life; what happens per event goes through the typed `titan_core.ports.Strategy`. pluggy passes only the arguments that an implementation names.
"""

from collections.abc import Mapping

import pluggy
from attrs import frozen

from titan_core.model.ids import InstrumentId, PhaseId
from titan_core.model.phase import PhaseDeclaration

PROJECT = "titan"
ENTRY_POINT_GROUP = "titan.phases"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@frozen
class Health:
    """Whether a phase can work, and why not."""

    ok: bool
    reason: str = ""


@frozen
class Handover:
    """Positions that a leaving phase offers to another: signed lots and protective stop (ticks, None for a hedged leg) by instrument."""

    giver: PhaseId
    positions: Mapping[InstrumentId, tuple[int, int | None]]


class PhaseHooks:
    """The hooks. `titan_phase` is required; the others are optional."""

    @hookspec(firstresult=True)
    def titan_phase(self) -> PhaseDeclaration:  # type: ignore[empty-body]
        """Declare the phase: band, leverage, risk levels, config schema, strategies."""

    @hookspec(firstresult=True)
    def titan_health(self) -> Health:  # type: ignore[empty-body]
        """Say whether the phase can work: asked before it is armed and by `titan plugin doctor`."""

    @hookspec(firstresult=True)
    def titan_adopt(self, handover: Handover) -> bool:  # type: ignore[empty-body]
        """Accept (True) or decline (False) the positions of a leaving phase. Declining is the default."""

    @hookspec
    def titan_activated(self) -> None:
        """The phase has become active."""

    @hookspec
    def titan_deactivated(self) -> None:
        """The phase has left its last position and sleeps."""
