"""The spot market as a witness: does it confirm what the perpetual has just done, and can it be believed at all?"""

from titan_core import BPS, PairView, S
from titan_scavenger.config import ScavengerConfig
from titan_scavenger.plan import Skip
from titan_scavenger.tripwires import QUARTER


class SpotWitness:
    """Judges breaks of a perpetual by its spot market: by taker flow where the recording has it, else by price."""

    def __init__(self, config: ScavengerConfig, pair: PairView) -> None:
        """Watch a pair."""
        self._pair, self._spot, self._perp = pair, pair.spot, pair.perp
        self.by_flow = pair.spot.has_flow
        self._window_ns, self._baseline_ns = config.flow_window_s * S, config.flow_baseline_s * S
        self._share = config.flow_share * config.flow_window_s / config.flow_baseline_s
        # a bar's trades are a handful of points, so seconds without one mean nothing there
        self._stale_ns = config.stale_s * S if self.by_flow else QUARTER
        self._max_basis = int(config.max_basis_bps * 1_000)
        self._max_spread_bps = config.max_spread_bps
        self._needed = 1
        self._then: tuple[int, int] | None = None

    def look(self) -> None:
        """Take note of what is usual: called when the traps are set, so that a break is judged against the market before it."""
        if self.by_flow:
            self._needed = max(1, int(self._spot.volume(self._baseline_ns) * self._share))
            return
        spot, perp = self._spot.last(), self._perp.last()
        self._then = None if spot is None or perp is None else (spot, perp)

    def confirms(self, direction: int, trigger: int) -> bool:
        """Whether spot confirms a break of the perpetual beyond `trigger` ticks, upwards (+1) or downwards (-1).

        By flow: the signed taker flow of the window points the same way and is at least the configured share of the usual volume of such a window.
        By price: since the traps were set spot has moved as far, relative to its price, as the trigger lay away from the perpetual's.
        """
        if self.by_flow:
            return direction * self._spot.cvd(self._window_ns) >= self._needed
        spot = self._spot.last()
        if self._then is None or spot is None:
            return False
        spot_then, perp_then = self._then
        return direction * (spot * perp_then - spot_then * trigger) >= 0

    def objection(self) -> Skip | None:
        """Say why no entry may be sent now: spot silent or far away from the perpetual, or the perpetual's spread too wide; None where all is well."""
        quote, basis = self._perp.quote(), self._pair.basis()
        if quote is None or (quote[1] - quote[0]) * BPS > quote[0] * self._max_spread_bps:
            return Skip.WIDE_SPREAD
        if basis is None or abs(basis) > self._max_basis:
            return Skip.WIDE_BASIS
        return None if self._spot.volume(self._stale_ns) else Skip.STALE_SPOT
