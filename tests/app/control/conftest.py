"""A root for sessions whose socket paths are short."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def root() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="titan-t-"))
    yield made
    shutil.rmtree(made)
