"""What holds for all tests."""

import os

import pytest
from hypothesis import settings

# a slow machine is no failure; what must be fast is measured in benchmarks/
settings.register_profile("titan", deadline=None)
settings.load_profile("titan")


@pytest.fixture(autouse=True)
def _no_titan_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the configuration of whoever runs the tests out of them."""
    for name in [name for name in os.environ if name.startswith("TITAN_")]:
        monkeypatch.delenv(name)
