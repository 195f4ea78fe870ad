"""What a phase plugin declares about itself: the numbers from which the Brain builds its chart, its allocation and its limits."""

from collections.abc import Callable, Sequence
from typing import Any

from attrs import field, frozen

from titan_core.errors import UsageError
from titan_core.model.ids import PhaseId
from titan_core.model.units import BPS, MONEY_PER_USDT, Money


@frozen
class CapitalBand:
    """Account equity (1e-8 USDT) for which a phase is made: lower ≤ E < upper; no upper bound where `upper` is None."""

    lower: Money
    upper: Money | None = None

    def __attrs_post_init__(self) -> None:
        if self.lower < 0 or (self.upper is not None and self.upper <= self.lower):
            raise UsageError(f"capital band {self} is impossible: it needs 0 <= lower < upper")

    @classmethod
    def usdt(cls, lower: int, upper: int | None = None) -> "CapitalBand":
        """Make a band from whole USDT."""
        return cls(Money(lower * MONEY_PER_USDT), None if upper is None else Money(upper * MONEY_PER_USDT))

    def holds(self, equity: int) -> bool:
        """Whether `equity` lies inside the band."""
        return self.lower <= equity and (self.upper is None or equity < self.upper)

    def __str__(self) -> str:
        lower = f"{self.lower // MONEY_PER_USDT:,}"
        return f"{lower} and above" if self.upper is None else f"{lower} – {self.upper // MONEY_PER_USDT:,}"


@frozen
class LossLevels:
    """Daily loss in basis points of the day base at which a phase is reduced, halted and escalated."""

    reduced_bps: int = 300
    halted_bps: int = 500
    escalated_bps: int = 700

    def __attrs_post_init__(self) -> None:
        if not 0 < self.reduced_bps < self.halted_bps < self.escalated_bps <= BPS:
            raise UsageError(f"daily loss levels must rise: 0 < L1 < L2 < L3 <= {BPS} bps, found {self.reduced_bps}, {self.halted_bps}, {self.escalated_bps}")


@frozen(kw_only=True)
class PhaseDeclaration:
    """A phase as its plugin declares it.

    `band` is None for an adviser, which trades nothing and gets no region in the chart. `create` makes the phase's strategies from a validated
    instance of `config_type` (an attrs class); it is called at each activation. The bottom of the leverage range is never enforced.
    """

    id: PhaseId
    title: str
    summary: str
    band: CapitalBand | None
    leverage: tuple[int, int] = (1, 1)
    max_position_bps: int = 2_500
    """Largest Σ margin as a share of phase equity."""
    daily_loss: LossLevels = field(factory=LossLevels)
    drain_s: int = 900
    """How long the phase may take to leave its positions by itself before they are flattened."""
    hedged: bool = False
    """A hedged phase trades pairs: its leverage counts the spot leg too and its entries need no stop."""
    config_type: type[Any] = object
    create: Callable[[Any], Sequence[Any]] = field(default=lambda config: ())

    def __attrs_post_init__(self) -> None:
        low, top = self.leverage
        if not 1 <= low <= top:
            raise UsageError(f"phase {self.id}: leverage {low}–{top} is impossible: it needs 1 <= low <= top")
        if not 0 < self.max_position_bps <= BPS:
            raise UsageError(f"phase {self.id}: max_position_bps must lie in 1..{BPS}, found {self.max_position_bps}")
        if not str(self.id).isidentifier() or not str(self.id).islower():
            raise UsageError(f"phase id {self.id!r} must be a lower-case identifier such as 'scavenger'")
