"""Effective caps: the smallest of what Brain, phase and strategy say is in force for all three."""

import math
from collections.abc import Mapping, Sequence

from titan_core.config.keys import KeySpec
from titan_core.config.schema import LIMITS_TABLE, PhaseLimits
from titan_core.config.sources import KeyPath, Raw
from titan_core.model.phase import PhaseDeclaration

BRAIN_CAPS: Mapping[str, KeyPath] = {"max_leverage": ("brain", "max_total_leverage")}
"""The key of the Brain that competes with a limit of a phase."""
CAPS = ("max_leverage", "max_position_bps", "loss_reduced_bps", "loss_halted_bps", "loss_escalated_bps")


def tighten(values: dict[KeyPath, Raw], schema: Mapping[str, Sequence[KeySpec]], declarations: Sequence[PhaseDeclaration]) -> list[str]:
    """Lower values to the caps in force, in place, and return a note for each that was given higher."""
    notes: list[str] = []
    for declaration in declarations:
        declared = PhaseLimits.declared(declaration)
        for limit in CAPS:
            path = (declaration.id, LIMITS_TABLE, limit)
            _lower(values, path, getattr(declared, limit), "the plugin's declaration", notes)
            if limit in BRAIN_CAPS:
                brain = BRAIN_CAPS[limit]
                _lower(values, path, values[brain].value, ".".join(brain), notes)
            _settle_with_strategy(values, path, [spec.path for spec in schema[declaration.id] if spec.meaning.cap == limit], notes)
    return notes


def _settle_with_strategy(values: dict[KeyPath, Raw], limit: KeyPath, rivals: Sequence[KeyPath], notes: list[str]) -> None:
    """Lower the strategy's keys to the limit of the phase, and the limit to the widest of them: the Brain then enforces the strategy's own cap too."""
    for rival in rivals:
        _lower(values, rival, values[limit].value, ".".join(limit), notes)
    if rivals:
        widest = max(rivals, key=lambda path: values[path].value)
        _lower(values, limit, math.ceil(values[widest].value), ".".join(widest), [])


def _lower(values: dict[KeyPath, Raw], path: KeyPath, cap: float, by: str, notes: list[str]) -> None:
    given = values[path]
    if given.value > cap:
        values[path] = Raw(cap, f"capped by {by} (given {given.value}: {given.origin})")
        notes.append(f"{'.'.join(path)} = {given.value} ({given.origin}) is capped to {cap} by {by}")
