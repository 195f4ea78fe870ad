"""Wire messages become rows: those of the venues' recordings the same rows as the importers make of them; what is not understood is a fault, never a crash."""

import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feed.sinks import codec_of
from titan_core.feed.codecs.binance_spot import BinanceSpot
from titan_core.feed.codecs.bybit_v5 import BybitV5
from titan_core.feed.codecs.mexc_contract import MexcContract
from titan_core.feed.port import Ack, Pong
from titan_core.feed.venues import CODECS, Codecs, compiled_codecs
from titan_core.model.enums import StreamKind
from titan_core.model.ids import VenueId
from titan_core.model.units import MS
from titan_core.tape.columns import SPECS
from titan_core.tape.faults import FaultKind
from titan_core.tape.importers.dispatch import Request, import_file
from titan_core.testing.chaos import PERP, SPOT

MEXC = evolve(PERP, venue=VenueId("mexc-contract"), lot_size=Decimal("0.0001"))


def columns(result, kind):
    """The rows of an imported stream as tuples, times left out."""
    raw = result.raw[kind]
    names = [name for name in SPECS[kind].raw if name != "ts"]
    return [tuple(v.tolist() if isinstance(v, np.ndarray) else int(v) for v in row) for row in zip(*(raw[name] for name in names), strict=True)]


def plain(rows):
    return [tuple(list(v) if isinstance(v, list | tuple) else v for v in row) for row in rows]


# -- recordings -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("codecs", [lambda: CODECS, compiled_codecs], ids=["plain", "compiled"])
def test_the_binance_recording_gives_the_rows_that_the_importer_makes(market_data: Path, codecs: Callable[[], Codecs]) -> None:
    path = market_data / "raw_ws/binance_spot_btcusdt_20240808.gz"
    result = import_file(path, Request(), {})
    codec, sink = codec_of(codecs()[VenueId("binance-spot")], result.instrument, {StreamKind.QUOTE, StreamKind.TRADE, StreamKind.DEPTH})
    depth = next(name for name in codec.routes if "depth" in name)
    for line in gzip.decompress(path.read_bytes()).splitlines():
        stamp, _, frame = line.partition(b" ")
        sink.now = int(stamp)
        if frame.startswith(b'{"lastUpdateId"'):
            codec.snapshot(depth, frame)
        else:
            codec.feed(frame)
    assert plain(sink.of(StreamKind.TRADE)) == columns(result, StreamKind.TRADE)
    assert plain(sink.of(StreamKind.QUOTE)) == columns(result, StreamKind.QUOTE)
    assert plain(sink.of(StreamKind.DEPTH)) == columns(result, StreamKind.DEPTH)
    assert not codec.log.faults, codec.log.faults


def test_the_bybit_book_gives_the_rows_that_the_importer_makes(market_data: Path) -> None:
    path = market_data / "raw_ws/bybit_v5_linear_XRPUSDT_orderbook500_20241201.jsonl.gz"
    result = import_file(path, Request(market="linear"), {})  # type: ignore[arg-type]
    codec, sink = codec_of(BybitV5, result.instrument, {StreamKind.DEPTH}, "orderbook.500.XRPUSDT")
    for frame in gzip.decompress(path.read_bytes()).splitlines():
        codec.feed(frame)
    assert plain(sink.of(StreamKind.DEPTH)) == columns(result, StreamKind.DEPTH)
    assert codec.readable("orderbook.500.XRPUSDT") and not sink.gaps


def test_the_bybit_tickers_give_the_marks_and_open_interest_that_the_importer_makes(market_data: Path) -> None:
    path = market_data / "raw_ws/bybit_v5_linear_BTCUSDT_tickers_testnet_part1.jsonl"
    result = import_file(path, Request(market="linear"), {})  # type: ignore[arg-type]
    codec, sink = codec_of(BybitV5, result.instrument, {StreamKind.MARK, StreamKind.OPEN_INTEREST, StreamKind.FUNDING}, "tickers.BTCUSDT")
    for frame in path.read_bytes().splitlines():
        codec.feed(frame)
    for kind in (StreamKind.MARK, StreamKind.OPEN_INTEREST):
        assert plain(sink.of(kind)) == columns(result, kind)


def test_the_protocol_from_before_v5_is_refused_by_name(market_data: Path) -> None:
    path = market_data / "raw_ws/cryptofeed_BYBIT.ws.26.0.txt.gz"
    codec, sink = codec_of(BybitV5, PERP, {StreamKind.TRADE, StreamKind.QUOTE})
    frames = 0
    for line in gzip.decompress(path.read_bytes()).decode().splitlines()[1:]:
        head, _, text = line.partition(": ")
        if text.startswith("{") and "<-" not in head and '"op"' not in text:
            frames += 1
            codec.feed(text.encode())
    assert frames > 900 and not sink.rows
    (fault,) = (f for f in codec.log.faults if f.kind is FaultKind.UNKNOWN_MESSAGE)
    assert fault.count >= frames - 10 and "protocol from before V5" in str(fault)


def test_mexc_frames_of_the_capture_are_understood(market_data: Path) -> None:
    path = market_data / "raw_ws/mexc_contract_captured_frames_20260915.jsonl"
    doge = evolve(MEXC, symbol="DOGEUSDT", base="DOGE", tick_size=Decimal("0.00001"), lot_size=Decimal("100"))
    codec, sink = codec_of(MexcContract, doge, {StreamKind.QUOTE, StreamKind.DEPTH})
    answers = [codec.feed(frame) for frame in path.read_bytes().splitlines()]
    assert any(isinstance(a, Ack) and a.ok for a in answers) and any(isinstance(a, Ack) and not a.ok for a in answers)
    assert any(isinstance(a, Pong) for a in answers)
    assert not [f for f in codec.log.faults if f.kind is FaultKind.BAD_LINE], codec.log.faults


# -- documents --------------------------------------------------------------------------------------------------------
def fixture(market_data: Path, name: str) -> bytes:
    return json.dumps(json.loads((market_data / "fixtures/bybit_v5/nautilus" / f"{name}.json").read_text()), separators=(",", ":")).encode()


def test_bybit_trades_of_the_documents(market_data: Path) -> None:
    codec, sink = codec_of(BybitV5, PERP, {StreamKind.TRADE})
    frame = json.loads(fixture(market_data, "ws_public_trade")) | {"topic": "publicTrade.BTCUSDT"}  # the sample names the topic otherwise
    codec.feed(json.dumps(frame, separators=(",", ":")).encode())
    wanted = [
        (round(Decimal(row["p"]) / Decimal("0.1")), round(Decimal(row["v"]) / Decimal("0.001")) * (1 if row["S"] == "Buy" else -1)) for row in frame["data"]
    ]
    assert sink.of(StreamKind.TRADE) == wanted and sink.rows[0][1] == frame["data"][0]["T"] * MS


DOCUMENTS = {
    "binance/jkorf_spot_subscriptions/ExchangeData_Trades.txt": (BinanceSpot, SPOT, "btcusdt@trade", StreamKind.TRADE, "0.001", (1, -100)),
    "binance/jkorf_spot_subscriptions/ExchangeData_PartialBook.txt": (BinanceSpot, SPOT, "btcusdt@depth5@100ms", StreamKind.QUOTE, "0.0001", (24, 26, 10, 100)),
    "bybit_v5/jkorf_subscriptions/Linear_Liquidations.txt": (BybitV5, PERP, "allLiquidation.ETHUSDT", StreamKind.LIQUIDATION, "0.00001", (4499, 20_000)),
    "mexc_contract/jkorf_subscriptions/Trades.txt": (MexcContract, MEXC, "deal.BTC_USDT", StreamKind.TRADE, "0.1", (918_474, -49)),
    "mexc_contract/jkorf_subscriptions/MarkPrice.txt": (MexcContract, MEXC, "fair.price.BTC_USDT", StreamKind.MARK, "0.0001", (10, 0)),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_frame_of_the_documents_gives_its_row_and_cut_short_a_fault(market_data: Path, name: str) -> None:
    make, instrument, topic, kind, tick, row = DOCUMENTS[name]
    frame = json.dumps(json.loads((market_data / "fixtures" / name).read_text().split("\n= ", 1)[1]), separators=(",", ":")).encode()
    instrument = evolve(instrument, tick_size=Decimal(tick), lot_size=Decimal(1))
    codec, sink = codec_of(make, instrument, {kind}, topic)
    codec.feed(frame)
    assert sink.of(kind) == [row] and not codec.log.faults
    for cut in range(len(frame)):
        codec.feed(frame[:cut])
    assert len(sink.rows) == 1 and sum(fault.count for fault in codec.log.faults) == len(frame)


def test_mexc_deals_of_the_documents() -> None:
    codec, sink = codec_of(MexcContract, MEXC, {StreamKind.TRADE})
    codec.feed(b'{"symbol":"BTC_USDT","data":[{"p":91847.4,"v":49,"T":2,"O":3,"M":2,"t":1763645012047}],"channel":"push.deal","ts":1763645012047}')
    assert sink.rows == [(StreamKind.TRADE, 1763645012047 * MS, (918_474, -49))]


def test_answers_to_requests_are_told() -> None:
    bybit, _ = codec_of(BybitV5, PERP, {StreamKind.TRADE})
    assert bybit.feed(b'{"success":true,"ret_msg":"","conn_id":"x","req_id":"7","op":"subscribe"}') == Ack(True, "7", "")
    assert bybit.feed(b'{"success":false,"ret_msg":"error:handler not found","conn_id":"x","req_id":"8","op":"subscribe"}') == Ack(
        False, "8", "error:handler not found"
    )
    assert bybit.feed(b'{"success":true,"ret_msg":"pong","conn_id":"x","req_id":"","op":"ping"}') == Pong()
    binance, _ = codec_of(BinanceSpot, SPOT, {StreamKind.TRADE})
    assert binance.feed(b'{"result":null,"id":3}') == Ack(True, "3")


# -- what is not understood -------------------------------------------------------------------------------------------
TRADE = (
    b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1758841135824,"data":[{"T":1758841135823,"s":"BTCUSDT","S":"Buy","v":"0.020",'
    b'"p":"109378.90","L":"ZeroPlusTick","i":"2a74ac78-691c-5b54-9dbe-5aafe8364627","BT":false,"RPI":false,"seq":457514743450}]}'
)


def every_codec():
    return [
        codec_of(BybitV5, PERP, {StreamKind.TRADE, StreamKind.QUOTE, StreamKind.MARK, StreamKind.LIQUIDATION}),
        codec_of(BinanceSpot, SPOT, {StreamKind.TRADE, StreamKind.QUOTE, StreamKind.DEPTH}),
        codec_of(MexcContract, MEXC, {StreamKind.TRADE, StreamKind.QUOTE, StreamKind.MARK}),
    ]


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=80).map(str.encode), st.integers(0, len(TRADE) - 1).map(lambda cut: TRADE[:cut])))
def test_no_frame_makes_a_codec_raise(frame: bytes) -> None:
    for codec, sink in every_codec():
        codec.feed(frame)
        assert not sink.rows and codec.log.faults, "what is not understood is counted"


@pytest.mark.parametrize(
    ("was", "now", "kind"),
    [
        (b'"p":"109378.90"', b'"p":"109378.95"', FaultKind.OFF_GRID),
        (b'"v":"0.020"', b'"v":"0.0205"', FaultKind.OFF_GRID),
        (b'"v":"0.020"', b'"v":"0"', FaultKind.OUT_OF_RANGE),
        (b'"p":"109378.90"', b'"p":"9999999999999"', FaultKind.OUT_OF_RANGE),
        (b"publicTrade.BTCUSDT", b"publicTrade.ETHUSDT", FaultKind.UNKNOWN_MESSAGE),
        (b'"T":1758841135823', b'"T":"soon"', FaultKind.BAD_LINE),
    ],
)
def test_a_row_that_cannot_be_is_a_fault_and_never_rounded(was: bytes, now: bytes, kind: FaultKind) -> None:
    codec, sink = codec_of(BybitV5, PERP, {StreamKind.TRADE})
    assert was in TRADE
    codec.feed(TRADE.replace(was, now))
    assert [fault.kind for fault in codec.log.faults] == [kind] and not sink.rows


def test_a_trade_that_comes_again_is_left_out() -> None:
    codec, sink = codec_of(BybitV5, PERP, {StreamKind.TRADE})
    codec.feed(TRADE)
    codec.feed(TRADE)
    assert sink.of(StreamKind.TRADE) == [(1_093_789, 20)]
    assert [fault.kind for fault in codec.log.faults] == [FaultKind.DUPLICATE]


@pytest.mark.parametrize(
    ("bid", "kind"),
    [
        (b'["100.005","1"]', FaultKind.OFF_GRID),
        (b'["-1","1"]', FaultKind.OUT_OF_RANGE),
        (b'["soon","1"]', FaultKind.BAD_LINE),
        (b'["100.00","1"', FaultKind.BAD_LINE),
        (b'["\xff","1"]', FaultKind.BAD_LINE),
    ],
)
def test_a_rest_snapshot_that_cannot_be_read_is_a_fault_and_another_is_wanted(bid: bytes, kind: FaultKind) -> None:
    binance = codec_of(BinanceSpot, SPOT, {StreamKind.DEPTH}), b'{"lastUpdateId":7,"bids":[' + bid + b'],"asks":[]}'
    mexc = codec_of(MexcContract, MEXC, {StreamKind.DEPTH}), b'{"success":true,"data":{"version":7,"bids":[' + bid + b'],"asks":[]}}'
    for (codec, sink), body in (binance, mexc):
        (name,) = codec.routes
        assert codec.snapshot(name, body) is False and not codec.readable(name)
        assert [fault.kind for fault in codec.log.faults] == [kind] and not sink.rows


@pytest.mark.parametrize("due", ["soon", "-1", "1.5", "9" * 14, "9" * 5000])
def test_a_funding_time_that_is_none_is_a_fault(due: str) -> None:
    codec, sink = codec_of(BybitV5, PERP, {StreamKind.FUNDING})
    codec.feed(b'{"topic":"tickers.BTCUSDT","type":"delta","ts":1,"data":{"fundingRate":"0.0001","nextFundingTime":"' + due.encode() + b'"}}')
    assert [fault.kind for fault in codec.log.faults] == [FaultKind.BAD_LINE] and not sink.rows


# -- books ------------------------------------------------------------------------------------------------------------
@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**31), st.floats(0, 0.3))
def test_a_book_that_can_be_read_is_the_true_one(seed: int, loss: float) -> None:
    """Deltas are lost, doubled and swapped; a snapshot comes now and then."""
    g = np.random.default_rng(seed)
    codec, sink = codec_of(BybitV5, PERP, {StreamKind.DEPTH}, "orderbook.50.BTCUSDT")
    truth = {"b": {}, "a": {}}

    def frame(kind, u, changes):
        text = {side: [[f"{price / 10:.1f}", f"{lots / 1000:.3f}"] for price, lots in levels.items()] for side, levels in changes.items()}
        return json.dumps(
            {"topic": "orderbook.50.BTCUSDT", "type": kind, "ts": u, "data": {"s": "BTCUSDT", **text, "u": u, "seq": u}, "cts": u}, separators=(",", ":")
        ).encode()

    pending = []
    for u in range(10, 60):
        change = {"b": {}, "a": {}}
        for _ in range(int(g.integers(1, 4))):
            side = "ba"[int(g.integers(2))]
            price = 1000 - int(g.integers(1, 20)) if side == "b" else 1000 + int(g.integers(1, 20))
            change[side][price] = int(g.choice([0, 0, 5, 9]))
        for side in "ba":
            for price, lots in change[side].items():
                truth[side].pop(price, None)
                if lots:
                    truth[side][price] = lots
        whole = u == 10 or g.random() < 0.1
        pending.append(frame("snapshot" if whole else "delta", u, truth if whole else change))
        if g.random() < loss and u > 10:
            pending.pop()
        elif g.random() < 0.1:
            pending.append(pending[-1])
        before = len(sink.rows)
        for each in pending:
            codec.feed(each)
        arrived, pending = bool(pending), []
        if arrived and codec.readable("orderbook.50.BTCUSDT") and len(sink.rows) > before and truth["b"] and truth["a"]:
            bids, bid_lots, asks, ask_lots = sink.of(StreamKind.DEPTH)[-1]
            best = sorted(truth["b"], reverse=True)[:10]
            assert [p for p, lots in zip(bids, bid_lots, strict=True) if lots] == best
            assert [lots for lots in bid_lots if lots] == [truth["b"][p] for p in best]
            lowest = sorted(truth["a"])[:10]
            assert [p for p, lots in zip(asks, ask_lots, strict=True) if lots] == lowest
            assert [lots for lots in ask_lots if lots] == [truth["a"][p] for p in lowest]
