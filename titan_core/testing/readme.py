"""Holds the table of a plugin's README to its configuration.

from titan_core.testing import ReadmeContract

class TestReadme(ReadmeContract):
readme = Path(__file__).resolve().parents[1] / "README.md"
config_type = MyConfig
"""

from pathlib import Path
from typing import Any, ClassVar

import pytest

from titan_core.config.keys import KeySpec, bounds_text, keys_of, plain


class ReadmeContract:
    """A README whose table has one row a key: name, default, unit and bounds, meaning. Subclass it and name the file and the configuration's type."""

    readme: ClassVar[Path]
    config_type: ClassVar[type]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run what asks for a key on each of them."""
        if "spec" in metafunc.fixturenames:
            metafunc.parametrize("spec", list(keys_of(metafunc.cls.config_type)), ids=lambda spec: spec.name)

    def test_every_key_stands_in_the_table_with_default_bounds_and_meaning(self, spec: KeySpec) -> None:
        """What a trader may set is told as it is."""
        default: Any = plain(spec.default)
        start = f"| `{spec.name}` | {default if default != '' else chr(34) * 2} | {bounds_text(spec.meaning)}"
        row = next((line for line in self.readme.read_text("utf-8").splitlines() if line.startswith(start)), None)
        assert row is not None, f"no row begins with: {start}"
        assert row.endswith(f"| {spec.meaning.help} |")

    def test_no_key_stands_there_that_does_not_exist(self) -> None:
        """Nor in another order than in the code."""
        listed = [line.split("`")[1] for line in self.readme.read_text("utf-8").splitlines() if line.startswith("| `")]
        assert listed == [spec.name for spec in keys_of(self.config_type)]
