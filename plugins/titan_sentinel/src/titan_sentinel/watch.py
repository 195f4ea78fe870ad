"""One pair under watch: its usual basis, its funding, what an entry would earn, what an open pair has earned."""

from enum import StrEnum

from attrs import define, field

from titan_core import BPS, H, Order, PairView
from titan_sentinel.basis import BasisStatistics
from titan_sentinel.config import SentinelConfig
from titan_sentinel.funding import FundingClock
from titan_sentinel.legs import Legs


class Setup(StrEnum):
    """Why a pair is entered; the tag of its orders."""

    SCALP = "scalp"
    CARRY = "carry"


class Ending(StrEnum):
    """Why a pair is left; the tag of its orders."""

    OVER = "over"
    NO_CARRY = "no_carry"
    ADVERSE = "adverse"
    TIME = "time"
    REBALANCE = "rebalance"
    UNWIND = "unwind"


@define(eq=False)
class OpenPair:
    """A pair from its first order until both legs are flat."""

    setup: Setup
    since_ns: int
    target_units: int
    spot_lots: int = 0
    spot_cost: int = 0
    """Σ lots × price of the spot purchases; likewise for the perpetual's sales."""
    perp_lots: int = 0
    perp_cost: int = 0
    funding_bps: float = 0.0
    """Funding that the short leg has received, as a share of its notional."""
    cash: int = 0
    """Cash moved by its fills and fees, in 1e-8 USDT: its result but for funding, once flat."""
    notional: int = 0
    """The largest worth of the spot leg so far, in 1e-8 USDT."""
    ending: Ending | None = None


@define(eq=False)
class Watch:
    """What is known of one pair, and what is open in it."""

    config: SentinelConfig
    pair: PairView
    legs: Legs
    statistics: BasisStatistics
    clock: FundingClock = field(factory=FundingClock)
    open: OpenPair | None = None
    orders: list[Order] = field(factory=list)
    """Orders of both legs that are under way."""
    armed: object = None
    check: object = None
    """The timer of the next look at the net delta."""
    quiet_until_ns: int = 0

    @classmethod
    def of(cls, config: SentinelConfig, pair: PairView) -> "Watch":
        """Begin to watch a pair."""
        return cls(config, pair, Legs.of(pair.spot.spec, pair.perp.spec), BasisStatistics(config.window_samples))

    # -- prices -----------------------------------------------------------------------------------------------------
    def entry_basis_bps(self) -> float | None:
        """Return the basis at which both legs can be entered now: spot bought at the ask, the perpetual sold at the bid. None without sane quotes."""
        spot, perp = self._quotes()
        return None if spot is None or perp is None else self._basis_bps(spot[1], perp[0])

    def exit_basis_bps(self) -> float | None:
        """Return the basis at which both legs can be left now: spot sold at the bid, the perpetual bought at the ask."""
        spot, perp = self.pair.spot.quote(), self.pair.perp.quote()
        return None if spot is None or perp is None else self._basis_bps(spot[0], perp[1])

    def _quotes(self) -> tuple[tuple[int, int, int, int] | None, tuple[int, int, int, int] | None]:
        """Return the quotes of both legs; None for one whose spread is wider than allowed."""
        found = []
        for leg in (self.pair.spot, self.pair.perp):
            quote = leg.quote()
            wide = quote is None or (quote[1] - quote[0]) * BPS > quote[0] * self.config.max_spread_bps
            found.append(None if wide else quote)
        return found[0], found[1]

    def _basis_bps(self, spot_ticks: float, perp_ticks: float) -> float:
        spot, perp = spot_ticks * float(self.legs.spot.tick_size), perp_ticks * float(self.legs.perp.tick_size)
        return (perp - spot) / spot * BPS

    # -- what may be earned -------------------------------------------------------------------------------------------
    @property
    def _half_life_ns(self) -> float:
        return self.config.decay_h * H

    def carry_bps(self, now_ns: int) -> float:
        """Return the funding that is expected over the horizon."""
        return self.clock.expected_bps(self.pair.perp.funding_rate(), now_ns, self.config.horizon_h * H, self._half_life_ns)

    def next_carry_bps(self) -> float:
        """Return the funding that is expected of the next settlement."""
        return self.clock.next_bps(self.pair.perp.funding_rate(), self._half_life_ns)

    def setup(self, now_ns: int) -> Setup | None:
        """Say what an entry would be now; None where none is worth its costs."""
        config, basis, statistics = self.config, self.entry_basis_bps(), self.statistics
        if basis is None or statistics.count < config.warmup_samples:
            return None
        deviation = statistics.deviation_bps()
        stretch = basis - statistics.mean_bps()
        gain = stretch - self.legs.costs_bps()
        if config.scalp and stretch >= config.z_enter * deviation and gain + min(0.0, self.next_carry_bps()) >= config.min_edge_bps:
            return Setup.SCALP
        near = (self.clock.next_ns(now_ns) - now_ns) <= config.lead_s * 1_000_000_000
        if config.carry and near and gain + self.carry_bps(now_ns) - config.risk_deviations * deviation >= config.min_edge_bps:
            return Setup.CARRY
        return None

    def scalp_level_milli_bps(self) -> int | None:
        """Return the basis (mid to mid) from which a scalp may be worth it; None while too little is known or scalps are off."""
        config, statistics = self.config, self.statistics
        if not config.scalp or statistics.count < config.warmup_samples:
            return None
        needed = max(config.z_enter * statistics.deviation_bps(), self.legs.costs_bps() + config.min_edge_bps)
        return int((statistics.mean_bps() + needed) * 1_000)

    # -- what has been earned -----------------------------------------------------------------------------------------
    def entered_basis_bps(self) -> float | None:
        """Return the basis at which the open pair was entered; None before both legs have fills."""
        held = self.open
        if held is None or not held.spot_lots or not held.perp_lots:
            return None
        return self._basis_bps(held.spot_cost / held.spot_lots, held.perp_cost / held.perp_lots)

    def net_bps(self) -> float | None:
        """Return what the open pair would have earned if it were left now: convergence and funding less all fees; None where that is not known."""
        entered, now, held = self.entered_basis_bps(), self.exit_basis_bps(), self.open
        return None if entered is None or now is None or held is None else entered - now + held.funding_bps - self.legs.costs_bps()

    def ending(self, now_ns: int) -> Ending | None:
        """Say why the open pair should be left now; None where it should not."""
        held, config = self.open, self.config
        entered, basis, net = self.entered_basis_bps(), self.exit_basis_bps(), self.net_bps()
        if held is None or entered is None or basis is None or net is None:
            return None
        if now_ns - held.since_ns >= config.max_hold_s * 1_000_000_000:
            return Ending.TIME
        if basis - entered >= config.max_adverse_bps:
            return Ending.ADVERSE
        carry = self.next_carry_bps()
        is_over = basis - self.statistics.mean_bps() <= config.z_exit * self.statistics.deviation_bps()
        if config.carry and carry >= config.min_carry_bps:
            return None  # it earns by standing
        if held.setup is Setup.SCALP and is_over and (net >= 0 or carry < 0):
            return Ending.OVER
        return Ending.NO_CARRY if held.setup is Setup.CARRY and (net >= config.min_carry_net_bps or carry < 0) and is_over else None

    # -- what is held -------------------------------------------------------------------------------------------------
    def positions(self) -> tuple[int, int]:
        """Return the lots of both legs."""
        return self.pair.spot.position(), self.pair.perp.position()

    def held_units(self) -> int:
        """Return how many whole units both legs hold."""
        spot, perp = self.positions()
        return min(spot // self.legs.spot_per_unit, -perp // self.legs.perp_per_unit) if spot > 0 and perp < 0 else 0

    def excess(self) -> tuple[bool, int]:
        """Return (whether the spot leg is the larger, lots of it that the other does not undo beyond what is tolerated); 0 lots where all is well."""
        spot, perp = self.positions()
        legs = self.legs
        spot_size, perp_size = spot * legs.spot.lot_size, -perp * legs.perp.lot_size
        spot_is_larger = spot_size >= perp_size
        larger, smaller = max(spot_size, perp_size), min(spot_size, perp_size)
        leg = legs.spot if spot_is_larger else legs.perp
        beyond = larger - smaller
        tolerated = max(legs.spot.lot_size, legs.perp.lot_size)
        if beyond < tolerated or float(beyond) * BPS <= float(larger) * self.config.delta_bps:
            return spot_is_larger, 0
        return spot_is_larger, int(beyond // leg.lot_size)

    def is_under_way(self) -> bool:
        """Whether an order of either leg may still be executed."""
        self.orders = [order for order in self.orders if not order.status.is_final]
        return bool(self.orders)
