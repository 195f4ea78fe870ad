"""What a trader can set."""

from enum import StrEnum

import attrs

from titan_core import key


class Follow(StrEnum):
    """Which moves are followed."""

    BOTH = "both"
    LONG = "long"
    SHORT = "short"

    def allows(self, side: int) -> bool:
        """Whether a move upwards (+1) or downwards (-1) is followed."""
        return self is Follow.BOTH or (self is Follow.LONG) == (side > 0)


@attrs.frozen
class MomentumConfig:
    """The section `momentum` of the configuration."""

    side: Follow = key(Follow.BOTH, "which moves are followed")
    bar_s: int = key(900, "length of the bars", unit="s", low=60, high=86_400)
    lookback_bars: int = key(4, "the move is measured over so many closed bars", unit="bars", low=1, high=500)
    entry_bps: float = key(50.0, "smallest move that is followed", unit="bps", low=1, high=2_000)
    exit_bps: float = key(0.0, "the position is closed when the move has fallen below this", unit="bps", low=-2_000, high=2_000)
    atr_bars: int = key(14, "bars of the average true range", unit="bars", low=1, high=500)
    stop_atr: float = key(2.5, "distance of the stop in average true ranges", low=0.1, high=50)
    max_stop_bps: int = key(150, "farthest stop; beyond it nothing is entered", unit="bps", low=5, high=2_000)
    risk_bps: int = key(60, "loss at the stop, fees included, as a share of phase equity", unit="bps", low=1, high=300)
    pause_s: int = key(1_800, "pause after a trade and after a refusal", unit="s", low=0, high=86_400)
