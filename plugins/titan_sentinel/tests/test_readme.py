"""The README says what the code does."""

from pathlib import Path

import pytest

from titan_core.config.keys import bounds_text, keys_of, plain
from titan_sentinel.config import SentinelConfig

README = (Path(__file__).resolve().parents[1] / "README.md").read_text("utf-8")


@pytest.mark.parametrize("spec", list(keys_of(SentinelConfig)), ids=lambda spec: spec.name)
def test_every_key_stands_in_the_table_with_default_bounds_and_meaning(spec):
    default = plain(spec.default)
    shown = default if default != "" else '""'
    start = f"| `{spec.name}` | {shown} | {bounds_text(spec.meaning)}"
    row = next((line for line in README.splitlines() if line.startswith(start)), None)
    assert row is not None, f"no row begins with: {start}"
    assert row.endswith(f"| {spec.meaning.help} |")


def test_no_key_stands_there_that_does_not_exist():
    listed = [line.split("`")[1] for line in README.splitlines() if line.startswith("| `")]
    assert listed == [spec.name for spec in keys_of(SentinelConfig)]
