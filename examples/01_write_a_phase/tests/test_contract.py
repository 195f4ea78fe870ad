"""The phase keeps the contract."""

from titan_core.testing import PhaseContract


class TestContract(PhaseContract):
    plugin = "titan_example_momentum.plugin"
    config = {"bar_s": 300, "lookback_bars": 2, "entry_bps": 10, "atr_bars": 6, "pause_s": 0}
