"""Which phases the account's equity calls for: bands with hysteresis, and the weights of the allocation. Pure arithmetic."""

import math
from collections.abc import Mapping, Sequence
from enum import Enum

from titan_core.brain.limits import BrainLimits
from titan_core.model.ids import PhaseId
from titan_core.model.phase import CapitalBand, PhaseDeclaration
from titan_core.model.units import BPS, Money, share


class Verdict(Enum):
    """What equity says about one phase."""

    ENTER = "enter"
    """Well inside the band: the phase may be entered after the dwell."""
    KEEP = "keep"
    """Near an edge: whatever is, stays."""
    LEAVE = "leave"
    """Below the band: leave at once."""
    OUTGROWN = "outgrown"
    """Above the band: leave once a successor is active."""


def unserved(bands: Sequence[CapitalBand]) -> list[CapitalBand]:
    """Return the stretches of equity above the lowest band that no band holds; all of them from 0 on where there is no band."""
    found, reached = [], None
    for band in sorted(bands, key=lambda each: each.lower):
        if reached is not None and band.lower > reached:
            found.append(CapitalBand(reached, band.lower))
        if band.upper is None:
            return found
        reached = band.upper if reached is None else max(reached, band.upper)
    return [*found, CapitalBand(Money(0) if reached is None else reached)]


def boot_verdict(band: CapitalBand, equity: int) -> Verdict:
    """Judge without hysteresis, as at the first boot: lower <= E < upper."""
    return Verdict.ENTER if band.holds(equity) else Verdict.LEAVE


def judge(band: CapitalBand, equity: int, limits: BrainLimits) -> Verdict:
    """Judge with hysteresis. `equity` is in 1e-8 USDT."""
    if equity < band.lower - share(band.lower, limits.band_leave_bps):
        return Verdict.LEAVE
    if band.upper is not None and equity > band.upper + share(band.upper, limits.band_leave_bps):
        return Verdict.OUTGROWN
    roomy = band.upper is None or equity <= band.upper - share(band.upper, limits.band_enter_bps)
    if equity >= band.lower + share(band.lower, limits.band_enter_bps) and roomy:
        return Verdict.ENTER
    return Verdict.KEEP


def edges2(band: CapitalBand, limits: BrainLimits) -> tuple[int, ...]:
    """Return the doubled equities at which `judge` changes: below an edge one verdict holds, from it on another."""
    low, up = band.lower, band.upper
    edges = [2 * (low - share(low, limits.band_leave_bps)), 2 * (low + share(low, limits.band_enter_bps))]
    if up is not None:  # `judge` sees whole 1e-8 USDT, so what lies above X begins at X + 1
        edges += [2 * (up - share(up, limits.band_enter_bps)) + 2, 2 * (up + share(up, limits.band_leave_bps)) + 2]
    return tuple(edges)


def weights_bps(active: Sequence[PhaseDeclaration], equity: int) -> Mapping[PhaseId, int]:
    """Return each active phase's share of equity in basis points; they sum to 10,000.

    Where two bands overlap the shares cross-fade linearly in log equity over the overlap. Only active phases count.
    """
    ordered = sorted((p for p in active if p.band is not None), key=lambda p: (p.band.lower if p.band else 0, p.id))
    if not ordered:
        return {}
    raw = {p.id: 1.0 for p in ordered}
    for junior, senior in zip(ordered, ordered[1:], strict=False):
        rising = _fade(junior, senior, equity)
        raw[junior.id] *= 1.0 - rising
        raw[senior.id] *= rising
    total = sum(raw.values())
    if total <= 0.0:
        return {p.id: BPS // len(ordered) for p in ordered}
    out = {p.id: int(BPS * raw[p.id] / total) for p in ordered}
    largest = max(ordered, key=lambda p: (out[p.id], p.id)).id
    out[largest] += BPS - sum(out.values())
    return out


def _fade(junior: PhaseDeclaration, senior: PhaseDeclaration, equity: int) -> float:
    """Return the senior's share between two neighbours: 0 below their overlap, 1 above it."""
    assert junior.band is not None and senior.band is not None
    low = max(1, senior.band.lower)
    high = junior.band.upper
    if high is None or high <= low:
        return 1.0 if equity >= low else 0.0
    if equity <= low:
        return 0.0
    return min(1.0, math.log(equity / low) / math.log(high / low))
