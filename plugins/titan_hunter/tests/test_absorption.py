"""Aggression into a block is absorbed or runs over it; where nothing can be read nothing is forbidden."""

import pytest
from attrs import define

from titan_core import S
from titan_hunter.absorption import Flow, admits, read_flow
from titan_hunter.config import HunterConfig, Rule

CONFIG = HunterConfig()
NOW = 10_000 * S


@define
class View:
    """A market that answers as told."""

    signed: int = 0
    usual: int = 3_000
    """Lots of an hour: 100 in a window of two minutes."""
    price: int | None = 100_000
    high: int = 100_000
    low: int = 100_000

    def cvd(self, window_ns: int) -> int:
        return self.signed if window_ns == CONFIG.flow_window_s * S else 0

    def volume(self, window_ns: int) -> int:
        return self.usual if window_ns == CONFIG.flow_baseline_s * S else 0

    def last(self) -> int | None:
        return self.price

    def range_high(self, from_ns: int) -> int:
        assert from_ns == NOW - CONFIG.flow_window_s * S
        return self.high

    def range_low(self, from_ns: int) -> int:
        assert from_ns == NOW - CONFIG.flow_window_s * S
        return self.low


@pytest.mark.parametrize(
    ("view", "side", "flow"),
    [
        (View(signed=-49), 1, Flow.QUIET),
        (View(signed=400), 1, Flow.QUIET),
        (View(signed=-50, high=100_150), 1, Flow.ABSORBED),
        (View(signed=-50, high=100_151), 1, Flow.RUNNING),
        (View(signed=50, low=99_850), -1, Flow.ABSORBED),
        (View(signed=50, low=99_849), -1, Flow.RUNNING),
        (View(signed=-500, high=200_000), -1, Flow.QUIET),
        (View(usual=0), 1, Flow.UNKNOWN),
        (View(price=None), 1, Flow.UNKNOWN),
        (None, 1, Flow.UNKNOWN),
    ],
)
def test_what_the_flow_looks_like(view, side, flow):
    assert read_flow(view, side, CONFIG, NOW) is flow


@pytest.mark.parametrize(
    ("rule", "admitted"),
    [
        (Rule.OFF, {Flow.ABSORBED, Flow.RUNNING, Flow.QUIET, Flow.UNKNOWN}),
        (Rule.VETO, {Flow.ABSORBED, Flow.QUIET, Flow.UNKNOWN}),
        (Rule.REQUIRE, {Flow.ABSORBED, Flow.UNKNOWN}),
    ],
)
def test_what_each_rule_admits(rule, admitted):
    assert {flow for flow in Flow if admits(flow, rule)} == admitted
