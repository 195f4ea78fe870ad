"""How much of the capital each pair gets: risk parity of the basis.

A pair's risk is the deviation of its basis; weights are inverse to it, so that each pair contributes the same. No weight exceeds the cap; what that frees
goes to the others in proportion.
"""

from collections.abc import Mapping
from typing import TypeVar

Key = TypeVar("Key")
FLOOR_BPS = 0.5
"""A basis that hardly moves is not thereby without risk."""


def risk_parity(deviations_bps: Mapping[Key, float], cap: float = 1.0) -> dict[Key, float]:
    """Return the weight of each pair; they sum to 1, or to less where the caps leave something over."""
    weights = dict.fromkeys(deviations_bps, 0.0)
    free, left = set(deviations_bps), 1.0
    while free and left > 1e-12:
        inverse = {name: 1 / max(FLOOR_BPS, deviations_bps[name]) for name in free}
        total = sum(inverse.values())
        over = {name for name in free if left * inverse[name] / total >= cap}
        if not over:
            for name in free:
                weights[name] = left * inverse[name] / total
            break
        for name in over:
            weights[name] = cap
        free -= over
        left = 1.0 - cap * (len(weights) - len(free))
    return weights
