"""What an entry would look like: stop, target and size, or the reason why there is none. Pure arithmetic in ticks, lots and 1e-8 USDT."""

from enum import StrEnum
from math import ceil

from attrs import frozen

from titan_core import BPS, Instrument, share
from titan_scavenger.config import ScavengerConfig

PPM = 1_000_000


class Skip(StrEnum):
    """Why a sprung trap is not traded. The words appear in the strategy's tally."""

    UNCONFIRMED = "unconfirmed"
    CONFIRMED = "confirmed"
    CHASED = "chased"
    STALE_SPOT = "stale_spot"
    WIDE_SPREAD = "wide_spread"
    WIDE_BASIS = "wide_basis"
    HOLDING = "holding"
    STOP_TOO_FAR = "stop_too_far"
    TARGET_TOO_FAR = "target_too_far"
    TOO_SMALL = "too_small"
    REFUSED = "refused"


@frozen
class Plan:
    """An entry at `entry` with its protective stop and target (ticks); `side` is +1 to buy, -1 to sell."""

    side: int
    lots: int
    entry: int
    stop: int
    target: int


def stop_distance(config: ScavengerConfig, entry: int, structure: int, atr: float) -> int | None:
    """Return the distance of the stop in ticks: that of the structure or of the average true range, whichever is farther, inside the bounds.

    `structure` is the distance that the level itself demands. None where it lies beyond the farthest stop: a stop inside the structure would be
    hit by the noise that the trap was built on.
    """
    nearest, farthest = ceil(entry * config.min_stop_bps / BPS), int(entry * config.max_stop_bps / BPS)
    if structure > farthest:
        return None
    return max(structure, nearest, min(ceil(atr * config.stop_atr), farthest))


def target_distance(config: ScavengerConfig, spec: Instrument, entry: int, stop: int) -> int | None:
    """Return the distance of the target in ticks at which gain over loss reaches the configured ratio, both net of fees.

    The entry and the stop pay the taker fee, the target the maker fee. None where it lies beyond the farthest target.
    """
    loss = stop + entry * 2 * spec.taker_fee_ppm / PPM
    needed = config.reward_ratio * loss + entry * (spec.taker_fee_ppm + spec.maker_fee_ppm) / PPM
    if needed > entry * config.max_target_bps / BPS:
        return None
    return ceil(max(needed, entry * config.min_target_bps / BPS))


def make_plan(
    config: ScavengerConfig, spec: Instrument, *, side: int, entry: int, structure: int, atr: float, equity: int, max_notional: int, risk: int
) -> Plan | Skip:
    """Plan an entry at `entry` ticks, or say why there is none. Money is 1e-8 USDT; `risk` is what the phase may still lose today."""
    stop = stop_distance(config, entry, structure, atr)
    if stop is None:
        return Skip.STOP_TOO_FAR
    target = target_distance(config, spec, entry, stop)
    if target is None:
        return Skip.TARGET_TOO_FAR
    stop_price = entry - side * stop
    lots = min(spec.lots_at_risk(entry, stop_price, min(share(equity, config.risk_per_trade_bps), risk)), spec.lots_for(max_notional, entry))
    if not lots or spec.notional(lots, entry) < spec.min_notional_money:
        return Skip.TOO_SMALL
    return Plan(side, lots, entry, stop_price, entry + side * target)
