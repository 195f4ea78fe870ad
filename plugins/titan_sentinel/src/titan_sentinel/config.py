"""The Sentinel's configuration: every key with its unit, meaning and bounds."""

from attrs import frozen

from titan_core import ConfigError, key


@frozen(kw_only=True)
class SentinelConfig:
    """Section `sentinel`."""

    coins: tuple[str, ...] = key((), "coins whose pairs are traded; empty takes every pair of the run")

    # -- the basis ------------------------------------------------------------------------------------------------
    scalp: bool = key(True, "trade the basis where it is stretched")
    sample_s: int = key(60, "period at which the basis is sampled", unit="s", low=5, high=3_600)
    window_samples: int = key(1_440, "samples from which the usual basis and its deviation are taken", unit="samples", low=10, high=100_000)
    warmup_samples: int = key(240, "samples before the first entry", unit="samples", low=2, high=100_000)
    z_enter: float = key(2.5, "stretch of the basis, in deviations, at which a scalp is entered", low=0.0, high=20.0)
    z_exit: float = key(0.0, "stretch at which a scalp is over", low=-20.0, high=20.0)
    min_edge_bps: float = key(5.0, "what an entry must be expected to earn beyond fees, spreads and its risk", unit="bps", low=-1_000.0, high=1_000.0)
    max_adverse_bps: float = key(80.0, "widening of the basis since the entry at which a pair is given up", unit="bps", low=1.0, high=10_000.0)
    max_spread_bps: float = key(3.0, "widest spread of either leg at which an entry is sent", unit="bps", low=0.0, high=100.0)

    # -- funding --------------------------------------------------------------------------------------------------
    carry: bool = key(True, "hold pairs for the funding that the short leg receives")
    horizon_h: int = key(168, "time over which the funding of an entry is expected", unit="h", low=1, high=8_760)
    decay_h: float = key(48.0, "half-life of the funding rate's distance from zero, in the expectation", unit="h", low=1.0, high=8_760.0)
    lead_s: int = key(3_600, "carry is entered within this time before a settlement", unit="s", low=60, high=86_400)
    risk_deviations: float = key(1.0, "deviations of the basis that a carry entry must earn as well", low=0.0, high=20.0)
    min_carry_bps: float = key(0.3, "expected funding of the next settlement for which an open pair is held on", unit="bps", low=-100.0, high=100.0)
    min_carry_net_bps: float = key(0.0, "net result, all costs included, from which a pair without carry is closed", unit="bps", low=-1_000.0, high=1_000.0)

    # -- size -----------------------------------------------------------------------------------------------------
    use_bps: int = key(9_000, "share of what the Brain admits that is used", unit="bps", low=1, high=10_000)
    max_weight_bps: int = key(10_000, "largest share of one pair", unit="bps", low=1, high=10_000)
    clip_usdt: int = key(50_000, "largest notional of one order of a pair", unit="USDT", low=10, high=100_000_000)
    clip_wait_s: int = key(5, "pause between two clips", unit="s", low=1, high=3_600)
    rebalance_bps: int = key(2_500, "how far a pair may exceed its share before it is reduced", unit="bps", low=100, high=100_000)
    max_hold_s: int = key(2_592_000, "time after which an open pair is closed", unit="s", low=60, high=31_536_000)

    # -- the hedge ------------------------------------------------------------------------------------------------
    delta_bps: float = key(10.0, "net delta, as a share of the pair, that is tolerated beyond what lots cannot express", unit="bps", low=0.0, high=1_000.0)
    unwind_s: int = key(3, "time in which a leg whose other half failed is taken off by the phase itself", unit="s", low=1, high=60)
    pause_s: int = key(300, "pause of a pair after an exit, a refusal, a failed leg or a gap in its data", unit="s", low=0, high=86_400)

    def __attrs_post_init__(self) -> None:
        if self.z_exit > self.z_enter:
            raise ConfigError(f"z_exit must not exceed z_enter, found {self.z_exit} and {self.z_enter}; lower z_exit or raise z_enter")
        if self.warmup_samples > self.window_samples:
            raise ConfigError(f"warmup_samples must not exceed window_samples, found {self.warmup_samples} and {self.window_samples}")
        if not (self.scalp or self.carry):
            raise ConfigError("scalp and carry are both off, so the phase would never trade; switch one of them on")
