"""Order flow at a block: is the aggression into it absorbed, or does it move the price?

Takers who sell into a block that is to be bought show as negative signed volume. Where the price gives way with them the block is being run over. Where it
hardly gives although they sell, somebody takes the other side with resting orders: absorption.
"""

from enum import StrEnum

from titan_core import BPS, InstrumentView, S
from titan_hunter.config import HunterConfig, Rule


class Flow(StrEnum):
    """What the last moments of trading look like from a block."""

    ABSORBED = "absorbed"
    RUNNING = "running"
    QUIET = "quiet"
    """No aggression against the trade."""
    UNKNOWN = "unknown"
    """The recording has no taker sides, or nothing usual to compare with."""


def read_flow(view: InstrumentView | None, side: int, config: HunterConfig, now_ns: int) -> Flow:
    """Judge the flow of a market against a purchase (+1) or a sale (-1) as of now; `view` is None where there is no flow to read."""
    if view is None:
        return Flow.UNKNOWN
    window_ns = config.flow_window_s * S
    usual = view.volume(config.flow_baseline_s * S) * config.flow_window_s / config.flow_baseline_s
    last = view.last()
    if not usual or last is None:
        return Flow.UNKNOWN
    if -side * view.cvd(window_ns) < config.flow_share * usual:
        return Flow.QUIET
    start = view.range_high(now_ns - window_ns) if side > 0 else view.range_low(now_ns - window_ns)
    given = side * ((start if start is not None else last) - last)
    return Flow.ABSORBED if given * BPS <= last * config.give_bps else Flow.RUNNING


def admits(flow: Flow, rule: Rule) -> bool:
    """Whether the flow allows an entry. Where there is none to read only a rule that requires nothing can be kept, and it is."""
    if rule is Rule.OFF or flow is Flow.UNKNOWN:
        return True
    return flow is Flow.ABSORBED if rule is Rule.REQUIRE else flow is not Flow.RUNNING
