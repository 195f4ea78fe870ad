"""The shared recordings: every message is accounted for, with the counts that their description gives."""

from pathlib import Path

import numpy as np
import pytest

from titan_core.errors import TapeError, UsageError
from titan_core.model.enums import StreamKind
from titan_core.tape.faults import FaultKind
from titan_core.tape.importers.add import add_to_tape, present_instruments
from titan_core.tape.importers.dispatch import Request, import_file
from titan_core.tape.importers.target import ImportResult
from titan_core.tape.store import open_tape, verify_tape

NEXO_DAY = "raw_ws/binance_spot_nexousdt_20240724.dat.gz"
RECORDINGS = {
    "raw_ws/binance_spot_btcusdt_20240808.gz": ({"bookTicker": 28_040, "trade": 9_757, "depth@100ms": 3_451, "REST depth snapshot": 1}, {}),
    "raw_ws/binance_usdm_btcusdt_20240808.gz": ({"bookTicker": 66_089, "trade": 21_313, "depth@0ms": 6_551, "REST depth snapshot": 1}, {}),
    "raw_ws/binance_spot_nexousdt_20240723.dat.gz": ({"depth@100ms": 1_188, "bookTicker": 437, "trade": 178, "REST depth snapshot": 1}, {}),
    NEXO_DAY: ({"depth@100ms": 66_994, "bookTicker": 33_000, "trade": 12_280}, {FaultKind.UNSYNCED: 66_994}),
    "raw_ws/binance_usdm_btcusdt_20230404.dat.gz": (
        {"bookTicker": 6_765, "depth@0ms": 4_322, "trade": 2_197, "markPrice@1s": 99, "REST depth snapshot": 1},
        {},
    ),
    "raw_ws/bybit_v5_linear_BTCUSDT_three_frames_20250926.txt": (
        {"orderbook.1 snapshot": 1, "publicTrade": 1, "orderbook.50 delta": 1},
        {FaultKind.SILENCE: 1, FaultKind.UNSYNCED: 1},
    ),
    "raw_ws/bybit_v5_linear_BTCUSDT_tickers_testnet_part1.jsonl": ({"tickers snapshot": 1, "tickers delta": 51}, {FaultKind.OUT_OF_RANGE: 39}),
    "raw_ws/bybit_v5_linear_XRPUSDT_orderbook500_20241201.jsonl.gz": ({"orderbook.500 snapshot": 1, "orderbook.500 delta": 49}, {}),
    "ticks/binance_spot_BTCUSDT_aggTrade_20201101T09.json.gz": ({"aggTrade": 18_054}, {}),
    "ticks/binance_spot_TRXUSDT_trade_20250304.csv.gz": ({"trade": 10_000}, {}),
    "ticks/binance_usdm_TRXUSDT_trade_20250304.csv.gz": ({"trade": 10_000}, {FaultKind.OUT_OF_RANGE: 1}),
    "funding/binance_usdm_BTCUSDT_funding_20190910_20250720.csv.gz": ({"funding settlement": 6_422}, {}),
    "funding/bybit_linear_BTCUSDT_funding_20250622_20250720.csv.gz": ({"funding settlement": 87}, {}),
    "funding/bybit_linear_BTCUSDT_funding_20251201_20260721.csv.gz": ({"funding settlement": 699}, {}),
    "funding/bybit_linear_WIFUSDT_funding_20250203_20250523.csv.gz": ({"funding settlement": 457}, {FaultKind.HOLE: 1}),
    "open_interest/binance_usdm_BTCUSDT_oi_1h_20231204_20240630.csv.gz": ({"open interest": 5_006}, {FaultKind.HOLE: 6, FaultKind.OUT_OF_RANGE: 2}),
}
BARS = {
    "binance_spot_BTCUSDT_1m_20210420_20210520": (42_915, {FaultKind.HOLE: 1}),
    "binance_spot_BTCUSDT_1m_20230316_20230501": (66_087, {FaultKind.HOLE: 1, FaultKind.ZERO_VOLUME: 72}),
    "binance_spot_BTCUSDT_5m_20191115_20200312": (33_960, {FaultKind.HOLE: 4, FaultKind.DUPLICATE: 1}),
    "binance_spot_BTCUSDT_5m_20220801_20230927": (121_739, {FaultKind.HOLE: 1, FaultKind.ZERO_VOLUME: 14}),
    "binance_usdm_BTCUSDT_5m_20230101_20230930": (78_624, {FaultKind.ZERO_VOLUME: 3}),
    "binance_usdm_BTCUSDT_5m_20250101_20250331": (25_920, {FaultKind.ZERO_VOLUME: 2}),
    "bybit_linear_BTCUSDT_5m_20250622_20250720": (8_352, {}),
    "binance_usdm_BTCUSDT_mark_1h_20240101_20240630": (4_368, {}),
}


def bring(path: Path, **said: str) -> ImportResult:
    return import_file(path, Request(market="linear" if "bybit" in path.name and "raw_ws" in str(path) else None, **said), {})  # type: ignore[arg-type]


def found(result: ImportResult) -> dict[FaultKind, int]:
    return {fault.kind: fault.count for fault in result.source.faults}


@pytest.mark.parametrize("name", RECORDINGS)
def test_messages_and_faults_are_those_that_the_recording_is_known_for(market_data: Path, name: str) -> None:
    messages, faults = RECORDINGS[name]
    result = bring(market_data / name)
    assert result.source.messages == messages and found(result) == faults


@pytest.mark.parametrize("name", BARS)
def test_bars_and_their_holes_are_those_that_the_file_is_known_for(market_data: Path, name: str) -> None:
    count, faults = BARS[name]
    result = bring(market_data / "ohlcv" / f"{name}.csv.gz")
    assert result.source.messages == {"bar": count} and found(result) == faults


def test_the_cryptofeed_recording_holds_four_symbols(market_data: Path) -> None:
    path = market_data / "raw_ws/cryptofeed_BINANCE.ws.1.0.txt.gz"
    with pytest.raises(UsageError, match="BLZETH, LRCBTC, NKNUSDT, RUNEEUR"):
        bring(path)
    messages = dict(bring(path, symbol="NKNUSDT").source.messages)
    assert messages.pop("other symbols") == 39
    assert messages == {"depth@100ms": 177, "bookTicker": 84, "aggTrade": 2, "kline_1m": 2, "connection": 1, "blank line": 1}


def test_the_old_bybit_protocol_is_refused(market_data: Path) -> None:
    with pytest.raises(TapeError, match="protocol from before V5"):
        bring(market_data / "raw_ws/cryptofeed_BYBIT.ws.26.0.txt.gz")


def test_the_liquidation_events_of_two_venues(market_data: Path) -> None:
    path = market_data / "liquidations/liquidation_events_ETHUSDT_20260403.csv"
    binance, bybit = (bring(path, venue=venue, symbol="ETHUSDT") for venue in ("binance-usdm", "bybit-linear"))
    assert binance.source.messages == {"liquidation": 15, "other markets": 3} and bybit.source.messages == {"liquidation": 2, "other markets": 16}
    assert binance.raw[StreamKind.LIQUIDATION]["signed_lots"].tolist()[:3] == [36, 72, -522]
    assert bybit.raw[StreamKind.LIQUIDATION]["signed_lots"].tolist() == [-75, 160]


def test_the_pair_makes_a_sound_tape_whose_book_agrees_with_its_quotes(market_data: Path, tmp_path: Path) -> None:
    tape = tmp_path / "pair"
    for name in list(RECORDINGS)[:2]:
        add_to_tape(tape, import_file(market_data / name, Request(), present_instruments(tape)))
    assert verify_tape(tape).ok
    opened = open_tape(tape)
    assert opened.ticks == 135_194 and len(opened.pairs) == 1
    for instrument in opened.instruments:
        depth, quotes = opened.stream(instrument.id, StreamKind.DEPTH), opened.stream(instrument.id, StreamKind.QUOTE)
        assert depth is not None and quotes is not None
        best = np.column_stack([depth.columns["bids"][:, 0], depth.columns["asks"][:, 0]])
        near = np.searchsorted(quotes.ts, depth.ts, "right") - 1
        shown = np.column_stack([quotes.columns["bid"], quotes.columns["ask"]])
        agree = [bool((shown[max(0, place - 40) : place + 40] == row).all(axis=1).any()) for place, row in zip(near.tolist(), best, strict=True)]
        assert np.mean(agree) > 0.99


def test_a_receiver_clock_that_is_behind_shows(market_data: Path) -> None:
    clock = bring(market_data / "raw_ws/binance_usdm_btcusdt_20240808.gz").source.clock
    assert clock is not None and -1.30e9 < clock.min_ns < clock.median_ns < -1.26e9 and clock.steps_back == 0
