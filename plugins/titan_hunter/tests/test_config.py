"""What a trader may set, and what is refused with a reason."""

import pytest

from titan_core import ConfigError
from titan_hunter.config import HunterConfig


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"stop_bps": 500.0}, "stop_bps must not exceed target_bps, found 500.0 and 450.0"),
        ({"flow_window_s": 600, "flow_baseline_s": 500}, "flow_window_s must not exceed flow_baseline_s"),
        ({"approach_bps": 301.0}, "approach_bps must not exceed reach_bps"),
        ({"place_of": "1h"}, "place_of must be 1d, 4h or 15m, found '1h'"),
        ({"daily_weight": 0.0, "four_hour_weight": 0.0, "quarter_weight": 0.0}, "give at least one of them some weight"),
    ],
)
def test_what_contradicts_itself_is_refused(changes, word):
    with pytest.raises(ConfigError) as caught:
        HunterConfig(**changes)
    assert word in str(caught.value)


def test_the_defaults_are_those_of_the_mission():
    config = HunterConfig()
    assert (config.stop_bps, config.target_bps, config.max_trades_per_day) == (150.0, 450.0, 5)
