"""The Hunter's configuration: every key with its unit, meaning and bounds."""

from enum import StrEnum

from attrs import frozen

from titan_core import ConfigError, key


class Rule(StrEnum):
    """How much a witness weighs."""

    OFF = "off"
    """It is not asked."""
    VETO = "veto"
    """It may forbid an entry."""
    REQUIRE = "require"
    """No entry without its consent."""


@frozen(kw_only=True)
class HunterConfig:
    """Section `hunter`."""

    coins: tuple[str, ...] = key((), "coins whose perpetuals are traded; empty takes every pair of the run")

    # -- the hologram ---------------------------------------------------------------------------------------------
    daily_weight: float = key(1.0, "weight of the daily trend in the alignment", low=0.0, high=100.0)
    four_hour_weight: float = key(2.0, "weight of the 4-hour trend", low=0.0, high=100.0)
    quarter_weight: float = key(1.0, "weight of the 15-minute trend", low=0.0, high=100.0)
    min_alignment: float = key(0.5, "agreement of the trends, 0 to 1, that admits their direction", low=0.05, high=1.0)
    equilibrium: float = key(0.5, "where in its leg the price stops being cheap: purchases below, sales above", low=0.0, high=1.0)
    place_of: str = key("4h", "timeframe whose leg parts premium from discount: 1d, 4h or 15m")
    fractal_reach: int = key(2, "bars on either side that a fractal stands out from", unit="bars", low=1, high=20)
    strength_hours: int = key(24, "window of the return that is compared with bitcoin's", unit="h", low=1, high=720)
    min_strength_bps: float = key(0.0, "return beyond bitcoin's, in the trade's direction, that another coin needs", unit="bps", low=-10_000.0, high=10_000.0)

    # -- points of interest ---------------------------------------------------------------------------------------
    min_gap_bps: float = key(2.0, "narrowest fair value gap", unit="bps", low=0.0, high=500.0)
    equal_bps: float = key(3.0, "largest distance between equal highs or lows", unit="bps", low=0.0, high=100.0)
    max_block_bps: float = key(120.0, "widest order block; a wider one says little about where to buy", unit="bps", low=1.0, high=2_000.0)
    reach_bps: float = key(300.0, "distance from the price beyond which no block is looked at", unit="bps", low=5.0, high=5_000.0)
    approach_bps: float = key(25.0, "distance from a block at which an order is placed there", unit="bps", low=0.0, high=1_000.0)
    only_swept: bool = key(False, "trade only blocks whose move began by sweeping a liquidity pool")

    # -- time -----------------------------------------------------------------------------------------------------
    asia_hours: int = key(6, "length of the Asian range from Tokyo's open", unit="h", low=1, high=12)
    session_s: int = key(7_200, "how long after an open of London or New York its false moves are looked for", unit="s", low=900, high=28_800)
    only_sessions: bool = key(False, "enter only within `session_s` of an open")
    judas: Rule = key(Rule.VETO, "the false move after an open: ignored, forbids its own side for the rest of its session, or is needed")

    # -- order flow -----------------------------------------------------------------------------------------------
    absorption: Rule = key(Rule.VETO, "aggression into a block: not looked at, forbids an entry while it moves the price, or must be there and be absorbed")
    flow_window_s: int = key(120, "window of the signed taker flow", unit="s", low=5, high=3_600)
    flow_baseline_s: int = key(3_600, "window from which the usual volume is taken", unit="s", low=60, high=86_400)
    flow_share: float = key(0.5, "flow against the trade, as a share of the usual volume of such a window, that counts as aggression", low=0.0, high=10.0)
    give_bps: float = key(15.0, "way that the price may give under aggression that is still absorbed", unit="bps", low=0.0, high=500.0)
    look_s: int = key(30, "period at which a block that the flow forbids is looked at again", unit="s", low=1, high=900)

    # -- orders ---------------------------------------------------------------------------------------------------
    requote_s: int = key(60, "period at which a resting entry is reviewed", unit="s", low=5, high=900)
    max_requotes: int = key(3, "how often an entry may follow a price that turns away", unit="times", low=0, high=20)
    max_improve_bps: float = key(8.0, "how far beyond its block an entry may follow", unit="bps", low=0.0, high=200.0)
    max_spread_bps: float = key(3.0, "widest spread at which an entry is placed", unit="bps", low=0.0, high=100.0)
    gap_pause_s: int = key(300, "pause after a gap in the perpetual's data", unit="s", low=0, high=86_400)

    # -- size and exits -------------------------------------------------------------------------------------------
    stop_bps: float = key(150.0, "distance of the stop", unit="bps", low=10.0, high=1_000.0)
    target_bps: float = key(450.0, "distance of the target", unit="bps", low=10.0, high=5_000.0)
    risk_per_trade_bps: int = key(100, "loss at the stop, fees included, as a share of phase equity", unit="bps", low=1, high=500)
    max_hold_s: int = key(172_800, "time after which an open trade is closed at market", unit="s", low=60, high=2_592_000)
    exit_on_reversal: bool = key(True, "close a trade at market once the trends are aligned against it")
    cooldown_s: int = key(3_600, "pause of an instrument after a trade", unit="s", low=0, high=604_800)
    refusal_pause_s: int = key(900, "pause of an instrument after the Brain has refused an entry", unit="s", low=0, high=86_400)
    max_open: int = key(2, "instruments in which an order or a position may be open at once", unit="instruments", low=1, high=100)
    max_trades_per_day: int = key(5, "trades in a UTC day", unit="trades", low=1, high=1_000)

    def __attrs_post_init__(self) -> None:
        if self.place_of not in ("1d", "4h", "15m"):
            raise ConfigError(f"place_of must be 1d, 4h or 15m, found {self.place_of!r}")
        if not self.daily_weight + self.four_hour_weight + self.quarter_weight:
            raise ConfigError("the weights of the three timeframes are all 0; give at least one of them some weight")
        for low, high in (("stop_bps", "target_bps"), ("flow_window_s", "flow_baseline_s"), ("approach_bps", "reach_bps")):
            if getattr(self, low) > getattr(self, high):
                raise ConfigError(f"{low} must not exceed {high}, found {getattr(self, low)} and {getattr(self, high)}; lower {low} or raise {high}")
