"""The Hunter keeps the contract of every phase."""

from titan_core.tape.tape import Tape
from titan_core.testing import PhaseContract
from titan_core.testing.chaos import START
from titan_core.testing.markets import CONTRACT_MARKETS, stepped_market, waves_path


def waves() -> Tape:
    return stepped_market(waves_path(1, days=2, step_s=15), step_s=15, start_ns=START)


class TestContract(PhaseContract):
    plugin = "titan_hunter.plugin"
    config = {"daily_weight": 0, "four_hour_weight": 0, "place_of": "15m", "cooldown_s": 0, "max_hold_s": 7_200}
    markets = {**CONTRACT_MARKETS, "waves": waves}
