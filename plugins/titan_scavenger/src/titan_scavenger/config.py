"""The Scavenger's configuration: every key with its unit, meaning and bounds."""

from enum import StrEnum

from attrs import frozen

from titan_core import ConfigError, key


class Mode(StrEnum):
    """Which answer to a sprung trap the phase may trade."""

    FOLLOW = "follow"
    """Trade with a break that spot confirms."""
    FADE = "fade"
    """Trade against a break that spot does not confirm, once the price is back at the level."""
    BOTH = "both"


class Execution(StrEnum):
    """How an entry is sent."""

    MARKET = "market"
    LIMIT = "limit"
    """Aggressive limit: immediate-or-cancel, a few ticks beyond the touch."""


FLAWS = ("wipeout", "squeeze", "dislocation")
"""The structural flaws that can be traded."""


@frozen(kw_only=True)
class ScavengerConfig:
    """Section `scavenger`."""

    mode: Mode = key(Mode.FOLLOW, "trade breaks that spot confirms (follow), sweeps that it does not confirm (fade), or both")
    coin: str = key("", "coin whose spot/perpetual pair is traded; empty takes the first pair of the run")

    # -- where the traps lie --------------------------------------------------------------------------------------
    rearm_s: int = key(900, "period at which levels are computed anew and traps moved", unit="s", low=60, high=86_400)
    warmup_bars: int = key(4, "closed 15-minute bars before the first trap is set", unit="bars", low=0, high=1_000)
    sweep_bps: float = key(2.0, "how far beyond its level a trap lies", unit="bps", low=0.0, high=100.0)
    cluster_bps: float = key(4.0, "widest span of levels that are merged into one", unit="bps", low=0.0, high=100.0)
    reach_bps: float = key(120.0, "distance from the price beyond which no trap is set", unit="bps", low=5.0, high=2_000.0)
    max_traps: int = key(8, "traps on each side of the price, nearest first", unit="traps", low=1, high=64)
    min_weight: int = key(1, "sources that must agree on a level before it is trapped", unit="sources", low=1, high=7)
    bollinger_length: int = key(20, "15-minute closes in the Bollinger bands", unit="bars", low=2, high=500)
    bollinger_width: float = key(2.0, "half width of the bands in standard deviations", low=0.1, high=10.0)
    swing_reach: int = key(2, "bars on either side that a swing extreme must exceed", unit="bars", low=1, high=50)
    swing_15m_bars: int = key(96, "15-minute bars searched for swing extremes", unit="bars", low=0, high=2_000)
    swing_1h_bars: int = key(72, "1-hour bars searched for swing extremes", unit="bars", low=0, high=2_000)
    round_bps: float = key(50.0, "round numbers: largest step of 1, 2 or 5 x 10^n USDT, as a share of the price", unit="bps", low=1.0, high=2_000.0)
    liquidation_leverages: tuple[int, ...] = key((10, 25, 50, 100), "leverages assumed of positions opened at recent swings", unit="x", low=2, high=200)

    # -- what springs them ----------------------------------------------------------------------------------------
    flow_window_s: int = key(60, "window of the spot market's signed taker flow", unit="s", low=1, high=3_600)
    flow_baseline_s: int = key(3_600, "window from which the usual spot volume is taken", unit="s", low=60, high=86_400)
    flow_share: float = key(0.5, "signed spot flow, as a share of the usual volume of such a window, that confirms a break", low=0.0, high=10.0)
    return_bps: float = key(2.0, "way back inside its level at which a break has failed and the trap is set again", unit="bps", low=0.0, high=100.0)
    watch_s: int = key(180, "fade: time in which a break must fail", unit="s", low=1, high=3_600)
    max_chase_bps: float = key(8.0, "distance beyond the trap at which it is too late to follow", unit="bps", low=0.0, high=200.0)
    max_spread_bps: float = key(2.0, "widest spread of the perpetual at which an entry is sent", unit="bps", low=0.0, high=100.0)
    max_basis_bps: float = key(50.0, "largest |perpetual - spot| / spot at which the spot market is believed", unit="bps", low=0.0, high=1_000.0)
    stale_s: int = key(15, "time without a spot trade after which the spot market is not believed", unit="s", low=1, high=3_600)
    gap_pause_s: int = key(120, "pause after a gap in the data of either market", unit="s", low=0, high=86_400)

    # -- size and exits -------------------------------------------------------------------------------------------
    execution: Execution = key(Execution.MARKET, "market order, or aggressive limit (immediate-or-cancel)")
    limit_ticks: int = key(20, "aggressive limit: how far beyond the touch it may execute", unit="ticks", low=0, high=100_000)
    risk_per_trade_bps: int = key(60, "loss at the stop, both fees included, as a share of phase equity", unit="bps", low=1, high=500)
    min_stop_bps: float = key(10.0, "nearest stop", unit="bps", low=1.0, high=500.0)
    max_stop_bps: float = key(24.0, "farthest stop; a level whose stop would lie farther is not traded", unit="bps", low=1.0, high=500.0)
    stop_atr: float = key(0.4, "stop distance as a multiple of the 15-minute average true range (14 bars), inside the two bounds", low=0.0, high=10.0)
    stop_buffer_bps: float = key(2.0, "how far beyond the sweep's extreme, or behind the broken level, a stop lies", unit="bps", low=0.0, high=100.0)
    reward_ratio: float = key(1.2, "gain at the target over loss at the stop, both net of fees", low=0.1, high=20.0)
    min_target_bps: float = key(20.0, "nearest target", unit="bps", low=1.0, high=2_000.0)
    max_target_bps: float = key(50.0, "farthest target; a trade that needs a farther one is not taken", unit="bps", low=1.0, high=2_000.0)
    breakeven_r: float = key(1.0, "gain, in stop distances, at which the stop moves to the price that covers the fees; 0 leaves it", low=0.0, high=20.0)
    max_hold_s: int = key(2_400, "time after which an open trade is closed at market", unit="s", low=1, high=86_400)
    cooldown_s: int = key(1_800, "pause after a trade that won", unit="s", low=0, high=86_400)
    loss_cooldown_s: int = key(2_700, "pause after a trade that lost", unit="s", low=0, high=86_400)
    refusal_pause_s: int = key(300, "pause after the Brain has refused an entry", unit="s", low=0, high=86_400)
    max_trades_per_day: int = key(20, "trades in a UTC day", unit="trades", low=1, high=1_000)

    # -- structural flaws -----------------------------------------------------------------------------------------
    flaws: tuple[str, ...] = key(FLAWS, "flaws that are traded: wipeout, squeeze, dislocation; none where empty")
    flaw_sample_s: int = key(300, "period at which price, open interest and basis are sampled", unit="s", low=5, high=900)
    wipe_window_s: int = key(900, "time in which price and open interest must collapse together", unit="s", low=60, high=14_400)
    wipe_price_bps: float = key(150.0, "collapse of the price that is a wipe-out", unit="bps", low=10.0, high=5_000.0)
    wipe_interest_bps: float = key(300.0, "collapse of the open interest that is a wipe-out", unit="bps", low=10.0, high=9_000.0)
    wipe_exhausted_s: int = key(180, "time without a new extreme after which it is exhausted", unit="s", low=10, high=3_600)
    wipe_share: float = key(0.4, "share of the collapse that its fade takes for its target", low=0.05, high=1.0)
    squeeze_rate_bps: float = key(5.0, "settled funding rate from which one side is crowded", unit="bps", low=0.1, high=300.0)
    squeeze_interest_bps: float = key(200.0, "growth of the open interest that goes with it", unit="bps", low=0.0, high=9_000.0)
    squeeze_h: int = key(8, "time over which it must have grown, and whose range the price must leave against the crowd", unit="h", low=1, high=72)
    squeeze_target_bps: float = key(150.0, "target of a squeeze", unit="bps", low=10.0, high=2_000.0)
    dislocate_bps: float = key(30.0, "distance of the basis from its mean of the last hour that is a dislocation", unit="bps", low=2.0, high=1_000.0)
    dislocate_spot_bps: float = key(15.0, "largest range of the spot price in the last minute: else spot itself has moved", unit="bps", low=0.0, high=500.0)
    dislocate_share: float = key(0.6, "share of the dislocation that the trade takes for its target", low=0.05, high=1.0)
    flaw_min_stop_bps: float = key(20.0, "nearest stop of these trades", unit="bps", low=1.0, high=1_000.0)
    flaw_max_stop_bps: float = key(250.0, "farthest stop; a trade that needs a farther one is not taken", unit="bps", low=1.0, high=2_000.0)
    flaw_risk_bps: int = key(60, "loss at their stop, both fees included, as a share of phase equity", unit="bps", low=1, high=500)
    flaw_hold_s: int = key(5_400, "time after which such a trade is closed at market", unit="s", low=30, high=86_400)
    flaw_pause_s: int = key(3_600, "pause after such a trade", unit="s", low=0, high=86_400)

    def __attrs_post_init__(self) -> None:
        for low, high in (
            ("min_stop_bps", "max_stop_bps"), ("min_target_bps", "max_target_bps"), ("flow_window_s", "flow_baseline_s"),
            ("cluster_bps", "reach_bps"), ("cooldown_s", "loss_cooldown_s"), ("flaw_min_stop_bps", "flaw_max_stop_bps"),
        ):  # fmt: skip
            if getattr(self, low) > getattr(self, high):
                raise ConfigError(f"{low} must not exceed {high}, found {getattr(self, low)} and {getattr(self, high)}; lower {low} or raise {high}")
        for name in self.flaws:
            if name not in FLAWS:
                raise ConfigError(f"flaws knows {', '.join(FLAWS)}, found {name!r}")
