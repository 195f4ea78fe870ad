"""What happened in the real market, and what the Scavenger has to do there. Needs the shared recordings."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from titan_core import S
from titan_core.testing.recordings import imported_tape
from titan_scavenger.config import ScavengerConfig
from titan_scavenger.flaws import Flaws

MARKET = Path(__file__).resolve().parents[4] / "shared" / "market"
FILES = (
    "ohlcv/binance_spot_BTCUSDT_5m_20240101_20240630.csv.gz",
    "ohlcv/binance_usdm_BTCUSDT_5m_20231101_20240630.csv.gz",
    "open_interest/binance_usdm_BTCUSDT_oi_1h_20231204_20240630.csv.gz",
    "funding/binance_usdm_BTCUSDT_funding_20190910_20250720.csv.gz",
)


@pytest.fixture(scope="module")
def half_year(tmp_path_factory):
    if not MARKET.is_dir():
        pytest.skip(f"the shared market recordings are not at {MARKET}")
    folder = tmp_path_factory.mktemp("tapes") / "2024"
    return imported_tape(folder, (MARKET / name for name in FILES))


def at(*moment):
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * S


def prices(tape, start_ns, end_ns):
    prints = next(stream for stream in tape.streams if stream.instrument.endswith("binance-usdm") and stream.kind == "trade")
    return prints.columns["price"][(prints.ts > start_ns) & (prints.ts <= end_ns)]


def wipe_outs(outcome):
    return [entry[1] for entry in outcome.engine.record.entries if entry[0] == "note" and "wipe-out" in entry[3]]


def test_the_crash_of_3_january_2024_is_seen_and_stayed_out_of(scenes, half_year):
    """The perpetual fell to 40,333 within minutes and came back at once: when it is exhausted its low is too far away for a stop behind it."""
    outcome = scenes.run(half_year, ScavengerConfig(), engine="replay", made=Flaws, start_ns=at(2024, 1, 2), end_ns=at(2024, 1, 3, 18))
    assert at(2024, 1, 3, 12) < wipe_outs(outcome)[0] <= at(2024, 1, 3, 12, 15)
    assert outcome.tally["stop_too_far"] >= 1 and not outcome.entries


def test_the_rise_of_5_march_2024_that_closed_shorts_is_faded_with_its_stop_beyond_the_high(scenes, half_year):
    outcome = scenes.run(half_year, ScavengerConfig(), engine="replay", made=Flaws, start_ns=at(2024, 3, 4), end_ns=at(2024, 3, 6))
    (entry,) = [entry for entry in outcome.entries if entry[-1] == "wipeout"]
    assert entry[4] < 0 and at(2024, 3, 5, 20, 10) < entry[1] < at(2024, 3, 5, 20, 45)
    assert entry[8] > prices(half_year, at(2024, 3, 5, 19, 55), entry[1]).max()


def test_crowded_longs_are_squeezed_in_march_2024(scenes, half_year):
    """Funding stood at 5 to 8 bp every eight hours, and open interest grew into the fall."""
    outcome = scenes.run(half_year, ScavengerConfig(), engine="replay", made=Flaws, start_ns=at(2024, 3, 7), end_ns=at(2024, 3, 15))
    squeezes = [entry for entry in outcome.entries if entry[-1] == "squeeze"]
    assert len(squeezes) >= 2 and all(entry[4] < 0 for entry in squeezes)


def test_a_quiet_week_has_none(scenes, half_year):
    outcome = scenes.run(half_year, ScavengerConfig(), engine="replay", made=Flaws, start_ns=at(2024, 2, 1), end_ns=at(2024, 2, 7))
    assert not outcome.entries
