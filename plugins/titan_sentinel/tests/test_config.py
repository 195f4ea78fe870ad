"""What a trader may set, and what is refused with a reason."""

import pytest

from titan_core import ConfigError
from titan_sentinel.config import SentinelConfig


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"z_enter": 1.0, "z_exit": 2.0}, "z_exit must not exceed z_enter, found 2.0 and 1.0"),
        ({"warmup_samples": 2_000}, "warmup_samples must not exceed window_samples, found 2000 and 1440"),
        ({"scalp": False, "carry": False}, "switch one of them on"),
    ],
)
def test_what_contradicts_itself_is_refused(changes, word):
    with pytest.raises(ConfigError) as caught:
        SentinelConfig(**changes)
    assert word in str(caught.value)
