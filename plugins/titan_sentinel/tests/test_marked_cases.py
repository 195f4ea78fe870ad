"""What happened in the real market, and what the Sentinel has to do there. Needs the shared recordings."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from titan_core import S, to_money
from titan_core.app.replay_run import ReplayRequest, run_replay
from titan_core.config.load import load_config
from titan_core.plugin_host import discover
from titan_core.testing.recordings import imported_tape

MARKET = Path(__file__).resolve().parents[4] / "shared" / "market"
FILES = (
    "ohlcv/binance_spot_BTCUSDT_5m_20220801_20230927.csv.gz",
    "ohlcv/binance_usdm_BTCUSDT_5m_20230101_20230930.csv.gz",
    "funding/binance_usdm_BTCUSDT_funding_20190910_20250720.csv.gz",
)


def at(*moment):
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * S


@pytest.fixture(scope="module")
def year(tmp_path_factory):
    if not MARKET.is_dir():
        pytest.skip(f"the shared market recordings are not at {MARKET}")
    folder = tmp_path_factory.mktemp("tapes") / "2023"
    return imported_tape(folder, (MARKET / name for name in FILES))


@pytest.fixture(scope="module")
def phases():
    found = [phase for phase in discover().phases if phase.id == "sentinel"]
    if not found:
        pytest.skip("the Sentinel is not installed")
    return found


def replayed(tape, phases, start_ns, end_ns, *settings):
    config = load_config(None, [phase.declaration for phase in phases], settings, environ={})
    return run_replay(ReplayRequest(tape, {}, to_money(100_000), start_ns=start_ns, end_ns=end_ns), phases, config).composition.engine


def test_while_spot_stands_still_nothing_is_entered(year, phases):
    """On 24 March 2023 Binance's spot market was halted from 11:30 to 14:00 UTC; the perpetual traded on, and the basis meant nothing."""
    engine = replayed(year, phases, at(2023, 3, 20), at(2023, 3, 25), "sentinel.min_edge_bps=-40", "sentinel.z_enter=1.0", "sentinel.pause_s=60")
    halted = range(at(2023, 3, 24, 12, 40), at(2023, 3, 24, 14))
    entered = [entry for entry in engine.record.entries if entry[0] == "approved" and entry[1] in halted and entry[-1] in ("scalp", "carry")]
    refused = [entry[5] for entry in engine.record.entries if entry[0] == "refused" and entry[1] in halted]
    assert entered == [] and set(refused) <= {"stale_market"}
    assert any(entry[-1] == "scalp" for entry in engine.record.entries if entry[0] == "approved"), "it trades otherwise"


def test_both_legs_are_equal_at_every_look_of_a_quarter(year, phases):
    engine = replayed(year, phases, at(2023, 1, 1), at(2023, 3, 31))
    held = dict.fromkeys((instrument.id for instrument in engine.layout.instruments), 0)
    sizes = {instrument.id: instrument.lot_size for instrument in engine.layout.instruments}
    last_ns, net = 0, 0
    for fill in engine.record.fills:
        if fill.ts_ns > last_ns + S:
            assert abs(net) < max(sizes.values()), f"a leg stood alone at {last_ns}"
        held[fill.instrument] += fill.signed_lots
        net = sum(lots * sizes[name] for name, lots in held.items())
        last_ns = fill.ts_ns
    assert len(engine.record.fills) >= 40
