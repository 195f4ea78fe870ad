"""The hologram: one state per timeframe, and how far they agree.

The score is Σ weight × trend over Σ weight, between -1 (all falling) and +1 (all rising); a timeframe without a trend counts as nothing either way. A
direction is admitted where the score reaches the threshold on its side, where the coin is not weak against bitcoin (for a purchase; not strong, for a sale),
and where the price stands on the cheap side of its leg: purchases in the discount below the middle, sales in the premium above it.
"""

from enum import StrEnum

from attrs import define, frozen

from titan_hunter.structure import Structure, Trend


class Veto(StrEnum):
    """Why a direction is not admitted."""

    NOT_ALIGNED = "not_aligned"
    WEAK = "weak"
    PREMIUM = "premium"
    DISCOUNT = "discount"
    NO_LEG = "no_leg"


@define(eq=False)
class Frame:
    """One timeframe: its weight in the score and its structure."""

    timeframe_ns: int
    weight: float
    structure: Structure


@frozen
class Hologram:
    """All timeframes, longest first. `place_of` names the one whose leg says what is cheap."""

    frames: tuple[Frame, ...]
    place_of: int
    min_alignment: float
    min_strength_bps: float
    equilibrium: float = 0.5

    def score(self) -> float:
        """Return the agreement of the timeframes, -1 to +1."""
        total = sum(frame.weight for frame in self.frames)
        return sum(frame.weight * frame.structure.trend.sign for frame in self.frames) / total if total else 0.0

    def trends(self) -> tuple[Trend, ...]:
        """Return the trend of each timeframe, longest first."""
        return tuple(frame.structure.trend for frame in self.frames)

    def veto(self, side: int, price: int, strength_bps: float | None) -> Veto | None:
        """Say why a purchase (+1) or a sale (-1) at a price is not admitted; None where it is.

        `strength_bps` is the coin's return less bitcoin's over a window; None for bitcoin itself and where it is not known.
        """
        if side * self.score() < self.min_alignment:
            return Veto.NOT_ALIGNED
        if strength_bps is not None and side * strength_bps < self.min_strength_bps:
            return Veto.WEAK
        place = self.frames[self.place_of].structure.place(price)
        if place is None:
            return Veto.NO_LEG
        if side > 0 and place > self.equilibrium:
            return Veto.PREMIUM
        return Veto.DISCOUNT if side < 0 and place < self.equilibrium else None
