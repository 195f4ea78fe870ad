"""The Sentinel keeps the contract of every phase."""

import numpy as np

from titan_core.tape.tape import Tape
from titan_core.testing import PhaseContract
from titan_core.testing.chaos import START
from titan_core.testing.markets import CONTRACT_MARKETS, stepped_market


def swinging() -> Tape:
    steps = np.arange(12 * 360)
    basis = 5 + 3 * np.sin(steps / 40) + 45 * (np.sin(steps / 300) > 0.95)
    return stepped_market([60_000.0] * len(steps), step_s=10, start_ns=START, basis_bps=basis.tolist(), derivatives=True)


class TestContract(PhaseContract):
    plugin = "titan_sentinel.plugin"
    config = {"window_samples": 240, "warmup_samples": 30, "z_enter": 1.5, "min_edge_bps": -10.0, "pause_s": 60, "carry": False}
    markets = {**CONTRACT_MARKETS, "swinging": swinging}
