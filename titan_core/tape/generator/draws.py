"""Randomness that is the same on every machine: one child generator per day and part, and tables of whole-numbered quantiles."""

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

CELLS = 65_536
_GRID = float(1 << 20)


def child(seed: int, day: int, part: int) -> np.random.Generator:
    """Return the generator of one part of one day. It depends on nothing else, so that a longer market begins with the shorter one."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(day, part))))


def normals(rng: np.random.Generator, count: int) -> Floats:
    """Draw standard normal numbers on a grid of 2^-20, coarse enough to hide the last bit of the maths library."""
    out: Floats = np.rint(rng.standard_normal(count) * _GRID) / _GRID
    return out


@frozen(eq=False)
class QuantileTable:
    """A distribution over whole numbers: 65,536 equally likely cells, the uppermost split into as many again."""

    body: Ints
    tail: Ints

    @classmethod
    def of(cls, quantile: Callable[[Floats], Floats]) -> "QuantileTable":
        """Tabulate a function that gives the quantile where a value is exceeded with the probabilities passed, and round it."""
        beyond = (CELLS - np.arange(CELLS, dtype=np.float64) - 0.5) / CELLS
        return cls(np.rint(quantile(beyond)).astype(np.int64), np.rint(quantile(beyond / CELLS)).astype(np.int64))

    def draw(self, rng: np.random.Generator, count: int) -> Ints:
        """Draw `count` numbers."""
        cell = rng.integers(0, CELLS, count, dtype=np.uint16)
        out: Ints = self.body[cell]
        last = np.flatnonzero(cell == CELLS - 1)
        out[last] = self.tail[rng.integers(0, CELLS, len(last), dtype=np.uint16)]
        return out


class NormalQuantiles:
    """Standard normal quantiles for the two resolutions of a `QuantileTable`: computed once, they are its slowest part."""

    def __init__(self) -> None:
        inverse = NormalDist().inv_cdf
        half = [inverse((i + 0.5) / CELLS) for i in range(CELLS // 2)]
        self._body = np.array(half + [-z for z in reversed(half)])
        knots = [inverse(1.0 - (1.0 - (i + 0.5) / 1024) / CELLS) for i in range(1024)]
        self._tail = np.repeat(np.array(knots), CELLS // 1024)

    def __call__(self, beyond: Floats) -> Floats:
        """Return the quantiles of the body's or the tail's probabilities."""
        return self._body if beyond[0] > 0.5 else self._tail


def lognormal(normal: NormalQuantiles, median: float, sigma: float, *, low: float = 1.0, high: float = 2e9) -> QuantileTable:
    """Tabulate a lognormal distribution, clipped to [low, high]."""
    return QuantileTable.of(lambda beyond: np.clip(median * np.exp(sigma * normal(beyond)), low, high))


def log_uniform(low: float, high: float) -> QuantileTable:
    """Tabulate a distribution that is uniform in the logarithm: delays as likely between 1 and 10 ms as between 10 and 100."""
    return QuantileTable.of(lambda beyond: high * (low / high) ** beyond)


def pareto(tail: float, unit: float, cap: float) -> QuantileTable:
    """Tabulate a Pareto distribution that starts at `unit`, capped."""
    return QuantileTable.of(lambda beyond: np.minimum(unit * beyond ** (-1.0 / tail), cap))


def exponential(mean: float) -> QuantileTable:
    """Tabulate an exponential distribution."""
    return QuantileTable.of(lambda beyond: -mean * np.log(beyond))


def log_knots(knots: tuple[tuple[float, float], ...]) -> QuantileTable:
    """Tabulate a distribution given by knots (probability of more, value), log-log linear in between and 1 before the first."""
    at = np.log([p for p, _ in reversed(knots)])
    value = np.log([v for _, v in reversed(knots)])
    return QuantileTable.of(lambda beyond: np.where(beyond > knots[0][0], 1.0, np.exp(np.interp(np.log(beyond), at, value))))


def order_sizes(normal: NormalQuantiles, median: float, sigma: float, tail: float, cap: float) -> QuantileTable:
    """Tabulate taker order sizes: a lognormal body and a Pareto law for the largest 5 %, capped, at least one lot."""
    joint = median * float(np.exp(sigma * NormalDist().inv_cdf(0.95)))

    def quantile(beyond: Floats) -> Floats:
        body = median * np.exp(sigma * normal(beyond))
        return np.clip(np.where(beyond > 0.05, body, joint * (beyond / 0.05) ** (-1.0 / tail)), 1.0, cap)

    return QuantileTable.of(quantile)


def pick(rng: np.random.Generator, weights: Ints, count: int) -> Ints:
    """Draw `count` indices with probability proportional to whole-numbered weights, in rising order."""
    bounds = np.cumsum(weights)
    spots = np.sort(rng.integers(0, int(bounds[-1]), count, dtype=np.int64))
    return np.searchsorted(bounds, spots, side="right").astype(np.int64)
