"""The README says what the code does."""

from pathlib import Path

from titan_core.testing import ReadmeContract
from titan_scavenger.config import ScavengerConfig


class TestReadme(ReadmeContract):
    readme = Path(__file__).resolve().parents[1] / "README.md"
    config_type = ScavengerConfig
