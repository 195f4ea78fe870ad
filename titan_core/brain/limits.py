"""The Brain's own numbers. Every one of them is configuration; the defaults are those of the specification."""

from attrs import field, frozen, validators

from titan_core.model.units import BPS, PPM


def _bps(default: int, text: str, top: int = BPS) -> int:
    return field(
        default=default,
        validator=[validators.instance_of(int), validators.ge(0), validators.le(top)],
        metadata={"unit": "bps", "help": text, "low": 0, "high": top},
    )


def _whole(default: int, unit: str, text: str, low: int, high: int) -> int:
    return field(
        default=default,
        validator=[validators.instance_of(int), validators.ge(low), validators.le(high)],
        metadata={"unit": unit, "help": text, "low": low, "high": high},
    )


@frozen(kw_only=True)
class BrainLimits:
    """Limits on the account as a whole. Brain limits outrank those of a phase, which outrank those of a strategy."""

    drawdown_warning_bps: int = _bps(1_000, "draw-down of equity from its peak at which the operator is warned")
    drawdown_reduced_bps: int = _bps(1_250, "draw-down at which every size is halved")
    drawdown_emergency_bps: int = _bps(1_500, "draw-down beyond which everything is closed and locked")
    max_total_leverage: int = _whole(50, "x", "gross perpetual notional of all phases over equity", 1, 125)
    dwell_s: int = _whole(900, "s", "how long equity must stay inside a band before its phase is entered", 1, 86_400)
    band_enter_bps: int = _bps(200, "margin inside a band that equity must clear to enter it")
    band_leave_bps: int = _bps(200, "margin outside a band that equity must clear to leave it")
    drift_bps: int = _bps(1_000, "how far prices alone may carry a figure above its cap before it is reduced")
    pair_stress_bps: int = _bps(100, "loss that a hedged pair is charged against the risk budget, as a share of its perpetual notional")
    pair_grace_s: int = _whole(10, "s", "how long a leg of a hedged pair may stand alone while orders are on their way", 0, 3_600)
    adopt_stop_bps: int = _bps(200, "distance of the stop that a position of nobody gets when it is found at the venue")
    stale_s: int = _whole(60, "s", "age of the newest quote beyond which entries are refused", 1, 86_400)
    correlation_max_ppm: int = _whole(800_000, "ppm", "correlation of two phases above which the later-activated one is reduced", 0, PPM)
    correlation_release_ppm: int = _whole(700_000, "ppm", "correlation below which that reduction is released on the next UTC day", 0, PPM)
    correlation_hours: int = _whole(48, "h", "hours in which both phases held exposure, before a correlation is believed", 2, 720)

    def __attrs_post_init__(self) -> None:
        if not self.drawdown_warning_bps < self.drawdown_reduced_bps < self.drawdown_emergency_bps:
            raise ValueError(
                "draw-down levels must rise: warning < reduced < emergency, found "
                f"{self.drawdown_warning_bps}, {self.drawdown_reduced_bps}, {self.drawdown_emergency_bps} bps"
            )
