"""The Scavenger keeps the contract of every phase."""

from titan_core.testing import PhaseContract


class TestContract(PhaseContract):
    plugin = "titan_scavenger.plugin"
    config = {"rearm_s": 60, "warmup_bars": 0, "mode": "both"}
