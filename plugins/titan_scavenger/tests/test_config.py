"""Every key says what it is, and impossible combinations are refused with the fix."""

import attrs
import pytest

from titan_core import ConfigError
from titan_core.config.keys import keys_of
from titan_scavenger.config import ScavengerConfig


def test_every_key_has_a_meaning_and_every_number_bounds():
    keys = list(keys_of(ScavengerConfig))
    assert len(keys) == len(attrs.fields(ScavengerConfig))
    for spec in keys:
        assert spec.meaning.help, spec.name
        if spec.type in (int, float):
            assert spec.meaning.low is not None and spec.meaning.high is not None, spec.name
        if spec.name.endswith(("_bps", "_s", "_bars", "_ticks")):
            assert spec.meaning.unit in ("bps", "s", "bars", "ticks"), spec.name


@pytest.mark.parametrize("spec", [spec for spec in keys_of(ScavengerConfig) if spec.type in (int, float)], ids=lambda spec: spec.name)
def test_a_value_out_of_bounds_is_named(spec):
    with pytest.raises(ConfigError, match=spec.name):
        ScavengerConfig(**{spec.name: spec.meaning.high + 1})


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        ("min_stop_bps", "max_stop_bps", (20.0, 10.0)), ("min_target_bps", "max_target_bps", (60.0, 50.0)), ("flow_window_s", "flow_baseline_s", (300, 120)),
        ("cluster_bps", "reach_bps", (50.0, 20.0)), ("cooldown_s", "loss_cooldown_s", (600, 300)),
    ],
)  # fmt: skip
def test_keys_that_contradict_each_other_are_refused_with_the_fix(low, high, values):
    with pytest.raises(ConfigError, match=f"{low} must not exceed {high}, found {values[0]} and {values[1]}; lower {low} or raise {high}"):
        ScavengerConfig(**dict(zip((low, high), values, strict=True)))
