"""Markets to store and import."""

from pathlib import Path

import pytest

MARKET = Path(__file__).resolve().parents[3] / "shared" / "market"


@pytest.fixture
def market_data() -> Path:
    """Return the folder of real recordings, or skip the test where it is absent."""
    if not MARKET.is_dir():
        pytest.skip(f"the shared market recordings are not at {MARKET}")
    return MARKET
