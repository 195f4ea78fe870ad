"""Correlation between phases: two phases that win and lose together are one bet, and the later one is made smaller.

Signed Pearson correlation of the phases' hourly results relative to their equity over 30 days, over the hours in which both held exposure.
"""

import math
from collections import deque
from itertools import combinations

from attrs import define, field

from titan_core.brain.limits import BrainLimits
from titan_core.model.ids import PhaseId
from titan_core.model.units import PPM

WINDOW_HOURS = 30 * 24
Hour = dict[PhaseId, float]
"""Result over equity of each phase that held exposure during one hour."""


def pearson(xs: list[float], ys: list[float]) -> float | None:
    """Return Pearson's correlation, or None where one series does not vary."""
    count = len(xs)
    if count < 2:
        return None
    mean_x, mean_y = math.fsum(xs) / count, math.fsum(ys) / count
    var_x = math.fsum((x - mean_x) ** 2 for x in xs)
    var_y = math.fsum((y - mean_y) ** 2 for y in ys)
    if var_x <= 0.0 or var_y <= 0.0:
        return None
    return math.fsum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / math.sqrt(var_x * var_y)


@define
class Correlations:
    """Keeps the hours and judges pairs of phases."""

    limits: BrainLimits
    _hours: deque[Hour] = field(factory=lambda: deque(maxlen=WINDOW_HOURS))

    def add(self, hour: Hour) -> None:
        """Add an hour; phases without exposure are left out of it."""
        self._hours.append(hour)

    def between(self, first: PhaseId, second: PhaseId) -> float | None:
        """Return the correlation of two phases, or None without a verdict: too few common hours, or no variation."""
        common = [(hour[first], hour[second]) for hour in self._hours if first in hour and second in hour]
        if len(common) < self.limits.correlation_hours:
            return None
        return pearson([x for x, _ in common], [y for _, y in common])

    def held_down(self, by_activation: list[PhaseId]) -> set[PhaseId]:
        """Return the phases (given in the order of their activation) that correlate too closely with an earlier one."""
        return {later for earlier, later in combinations(by_activation, 2) if self._exceeds(earlier, later, self.limits.correlation_max_ppm)}

    def released(self, phase: PhaseId, others: list[PhaseId]) -> bool:
        """Whether a phase that was held down correlates with none of the others any more."""
        return not any(self._exceeds(other, phase, self.limits.correlation_release_ppm) for other in others)

    def _exceeds(self, first: PhaseId, second: PhaseId, limit_ppm: int) -> bool:
        value = self.between(first, second)
        return value is not None and value * PPM > limit_ppm
