"""The README says what the code does."""

from pathlib import Path

from titan_core.testing import ReadmeContract
from titan_hunter.config import HunterConfig


class TestReadme(ReadmeContract):
    readme = Path(__file__).resolve().parents[1] / "README.md"
    config_type = HunterConfig
