"""Escalation of risk: draw-down of the account, daily loss of a phase. Pure arithmetic on doubled amounts (2e-8 USDT)."""

from enum import IntEnum

from titan_core.brain.limits import BrainLimits
from titan_core.model.phase import LossLevels
from titan_core.model.units import BPS, share


class Drawdown(IntEnum):
    """How far equity lies below its peak."""

    NONE = 0
    WARNING = 1
    REDUCED = 2
    EMERGENCY = 3


class DayLoss(IntEnum):
    """How much of its day base a phase has lost."""

    NONE = 0
    REDUCED = 1
    HALTED = 2
    ESCALATED = 3


def is_emergency(equity2: int, peak2: int, limits: BrainLimits) -> bool:
    """Whether the draw-down exceeds what begins the emergency."""
    return equity2 <= peak2 - share(peak2, limits.drawdown_emergency_bps) - 1


def drawdown(equity2: int, peak2: int, limits: BrainLimits) -> Drawdown:
    """Judge the draw-down. The emergency needs more than its share, the other levels at least theirs."""
    if is_emergency(equity2, peak2, limits):
        return Drawdown.EMERGENCY
    if equity2 <= peak2 - share(peak2, limits.drawdown_reduced_bps):
        return Drawdown.REDUCED
    if equity2 <= peak2 - share(peak2, limits.drawdown_warning_bps):
        return Drawdown.WARNING
    return Drawdown.NONE


def next_drawdown(level: Drawdown, limits: BrainLimits) -> tuple[int, int]:
    """Return (bps, strict) of the next level to watch for; (0, 0) where there is none."""
    return {
        Drawdown.NONE: (limits.drawdown_warning_bps, 0),
        Drawdown.WARNING: (limits.drawdown_reduced_bps, 0),
        Drawdown.REDUCED: (limits.drawdown_emergency_bps, 1),
        Drawdown.EMERGENCY: (0, 0),
    }[level]


def day_loss(equity2: int, base2: int, levels: LossLevels) -> DayLoss:
    """Judge a phase's loss since its day base."""
    loss = base2 - equity2
    if loss <= 0 or base2 <= 0:
        return DayLoss.NONE
    for level, bps in ((DayLoss.ESCALATED, levels.escalated_bps), (DayLoss.HALTED, levels.halted_bps), (DayLoss.REDUCED, levels.reduced_bps)):
        if loss >= share(base2, bps):
            return level
    return DayLoss.NONE


def day_loss_floor2(level: DayLoss, base2: int, levels: LossLevels) -> int | None:
    """Return the doubled phase equity at or below which the next level is reached, or None at the last one."""
    if level is DayLoss.ESCALATED:
        return None
    bps = (levels.reduced_bps, levels.halted_bps, levels.escalated_bps)[level]
    return base2 - share(base2, bps)


def drawdown_ppm(equity2: int, peak2: int) -> int:
    """Return the draw-down in parts per million, for records and messages."""
    return 0 if peak2 <= 0 else max(0, (peak2 - equity2) * 100 * BPS // peak2)
