"""What holds for all tests."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

MARKET = Path(__file__).resolve().parents[2] / "shared" / "market"

# a slow machine is no failure; what must be fast is measured in benchmarks/
settings.register_profile("titan", deadline=None)
settings.load_profile("titan")


@pytest.fixture(autouse=True, scope="session")
def _interrupts_are_heard() -> None:
    """Hear SIGINT even where whoever started the tests in the background had it ignored: programs under test inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_titan_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the configuration of whoever runs the tests out of them."""
    for name in [name for name in os.environ if name.startswith("TITAN_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def market_data() -> Path:
    """Return the folder of real recordings, or skip the test where it is absent."""
    if not MARKET.is_dir():
        pytest.skip(f"the shared market recordings are not at {MARKET}")
    return MARKET
