import gzip
from decimal import Decimal
from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tape.importers.recordings import MS, START, depth, dumps, quote, record, snapshot, stream, trade
from titan_core.errors import TapeError, TitanError, UsageError
from titan_core.model.enums import StreamKind
from titan_core.model.ids import VenueId
from titan_core.model.market import GapReason
from titan_core.tape.faults import Fault, FaultKind
from titan_core.tape.importers import lines as lines_module
from titan_core.tape.importers.binance import OTHER, SNAPSHOT, import_binance_ws
from titan_core.tape.importers.target import ImportResult, Target
from titan_core.tape.manifest import GridSource

USDM = Target(venue=VenueId("binance-usdm"), symbol="BTCUSDT")
SPOT = Target(venue=VenueId("binance-spot"), symbol="BTCUSDT")
FORMS = pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])


def both(path: Path, target: Target = USDM) -> ImportResult:
    """Import with the plain and the compiled form, which must agree to the last byte and fault."""
    plain, compiled = (import_binance_ws(path, target, compiled=form) for form in (False, True))
    assert_same(plain, compiled)
    return plain


def assert_same(one: ImportResult, other: ImportResult) -> None:
    assert attrs.evolve(one.source, messages={}) == attrs.evolve(other.source, messages={})
    assert one.source.messages == other.source.messages and one.instrument == other.instrument
    assert one.raw.keys() == other.raw.keys()
    for kind, columns in one.raw.items():
        assert columns.keys() == other.raw[kind].keys()
        for name, column in columns.items():
            assert column.dtype == other.raw[kind][name].dtype and np.array_equal(column, other.raw[kind][name]), (kind, name)


def fault(result: ImportResult, kind: FaultKind) -> Fault:
    (found,) = [f for f in result.source.faults if f.kind is kind]
    return found


def messages_account_for_all_lines(result: ImportResult) -> bool:
    return sum(count for name, count in result.source.messages.items() if name != OTHER) == result.source.lines


def test_quotes_trades_depth_and_marks_become_ticks_and_lots(tmp_path: Path) -> None:
    messages = [
        quote(1),
        trade(7, "100.1", "0.5", maker=True, at=1),
        trade(8, "100.2", "0.25", maker=False, at=2),
        snapshot(10, [("100.1", "1.5"), ("100.0", "2")], [("100.2", "2.5")]),
        depth(9, 12, 8, [("100.0", "0"), ("99.9", "1")], [("100.3", "0.001")], at=3),
        stream("markPrice@1s", {"e": "markPriceUpdate", "E": START // MS + 4, "s": "BTCUSDT", "p": "100.14", "i": "100.16", "r": "0.0001", "T": 1}),
    ]
    result = both(record(tmp_path / "r", messages))
    raw = result.raw
    assert result.source.messages == {"bookTicker": 1, "trade": 2, SNAPSHOT: 1, "depth@100ms": 1, "markPrice@1s": 1}
    assert [raw[StreamKind.QUOTE][name].tolist() for name in ("bid", "ask", "bid_lots", "ask_lots")] == [[1001], [1002], [1500], [2500]]
    assert raw[StreamKind.TRADE]["price"].tolist() == [1001, 1002] and raw[StreamKind.TRADE]["signed_lots"].tolist() == [-500, 250]
    assert raw[StreamKind.TRADE]["ts"].tolist() == [START + MS, START + 2 * MS]
    assert raw[StreamKind.TRADE]["ts_event"].tolist() == [START + MS, START + 2 * MS]
    book = raw[StreamKind.DEPTH]
    assert book["ts"].tolist() == [START + 4 * MS] and book["ts_event"].tolist() == [START + 3 * MS]
    assert book["bids"][0].tolist() == [1001, 999] + [0] * 8 and book["bid_lots"][0].tolist() == [1500, 1000] + [0] * 8
    assert book["asks"][0].tolist() == [1002, 1003] + [0] * 8 and book["ask_lots"][0].tolist() == [2500, 1] + [0] * 8
    assert raw[StreamKind.MARK]["price"].tolist() == [1001] and raw[StreamKind.MARK]["index"].tolist() == [1002]
    assert result.source.faults == () and result.grid is GridSource.KNOWN and any("next funding rate" in note for note in result.source.notes)


def test_the_taker_sold_where_the_buyer_was_maker(tmp_path: Path) -> None:
    result = both(record(tmp_path / "r", [trade(1, maker=True, kind=None)]), SPOT)
    assert result.raw[StreamKind.TRADE]["signed_lots"].tolist() == [-50_000]


def test_spot_quotes_have_no_event_time(tmp_path: Path) -> None:
    result = both(record(tmp_path / "r", [quote(1, "100.01", "100.02", spot=True)]), SPOT)
    assert "ts_event" not in result.raw[StreamKind.QUOTE] and result.source.clock is not None and result.source.clock.samples == 0


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_the_unit_of_receive_times_is_told_by_their_size(tmp_path: Path, unit: int) -> None:
    result = both(record(tmp_path / "r", [quote(1), quote(2)], step_ns=2 * 10**9, unit=unit))
    assert result.raw[StreamKind.QUOTE]["ts"].tolist() == [START, START + 2 * 10**9]


def test_equal_and_backward_times_keep_the_order_of_the_file(tmp_path: Path) -> None:
    times = [START, START, START - 5 * MS, START - 9 * MS, START + MS]
    result = both(record(tmp_path / "r", [quote(1), trade(1), quote(2), trade(2), quote(3)], times=times))
    assert result.raw[StreamKind.QUOTE]["ts"].tolist() == [START, START + 2, START + MS]
    assert result.raw[StreamKind.TRADE]["ts"].tolist() == [START + 1, START + 3]
    step = fault(result, FaultKind.CLOCK_STEP)
    assert (step.count, step.line) == (2, 3) and f"{5 * MS} ns" in step.example
    clock = result.source.clock
    assert clock is not None and (clock.bumped, clock.steps_back, clock.largest_step_back_ns, clock.largest_bump_ns) == (3, 2, 5 * MS, 9 * MS + 3)


def test_clock_statistics_are_of_receive_minus_event_time(tmp_path: Path) -> None:
    result = both(record(tmp_path / "r", [quote(1, at=3), quote(2, at=1), quote(3, at=-8)], step_ns=MS))
    clock = result.source.clock
    assert clock is not None and (clock.samples, clock.min_ns, clock.median_ns, clock.max_ns) == (3, -3 * MS, 0, 10 * MS)


def test_repeated_trade_ids_are_dropped_and_missing_ones_are_gaps(tmp_path: Path) -> None:
    result = both(record(tmp_path / "r", [trade(5), trade(6), trade(6, size="9"), trade(9), trade(8), trade(10)]))
    assert result.raw[StreamKind.TRADE]["ts"].tolist() == [START + place * MS for place in (0, 1, 3, 4, 5)]
    again, jump, back = (fault(result, kind) for kind in (FaultKind.DUPLICATE, FaultKind.GAP, FaultKind.OUT_OF_ORDER))
    assert (again.count, again.line) == (1, 3) and (jump.count, jump.line) == (1, 4) and "2 missing" in jump.example
    assert (back.count, back.line) == (1, 5)
    gap = result.raw[StreamKind.GAP]
    assert [gap[name].tolist() for name in ("ts", "length_ns", "reason")] == [[START + 3 * MS], [2 * MS], [GapReason.SEQUENCE]]


def test_a_crossed_or_one_sided_quote_is_dropped(tmp_path: Path) -> None:
    result = both(record(tmp_path / "r", [quote(1), quote(2, bid="100.2"), quote(3, bid="100.5"), quote(4, bid="0.0", bid_size="0")]))
    assert len(result.raw[StreamKind.QUOTE]["ts"]) == 1
    crossed, empty = fault(result, FaultKind.CROSSED_BOOK), fault(result, FaultKind.OUT_OF_RANGE)
    assert (crossed.count, crossed.line) == (2, 2) and (empty.count, empty.line) == (1, 4)


def test_values_off_the_grid_are_rounded_and_reported(tmp_path: Path) -> None:
    messages = [trade(number, "100.1", "0.5") for number in range(300)] + [trade(300, "100.16", "0.5006")]
    result = both(record(tmp_path / "r", messages))
    assert result.raw[StreamKind.TRADE]["price"][-1] == 1002 and result.raw[StreamKind.TRADE]["signed_lots"][-1] == 501
    found = fault(result, FaultKind.OFF_GRID)
    assert (found.count, found.line) == (2, 301) and "100.16" in found.example and "tick size 0.1" in found.example


def test_a_known_grid_gives_way_to_what_the_file_shows(tmp_path: Path) -> None:
    result = both(record(tmp_path / "r", [trade(number, "100.15", "0.0005") for number in range(20)]))
    assert (result.instrument.tick_size, result.instrument.lot_size) == (Decimal("0.01"), Decimal("0.0001")) and result.grid is GridSource.INFERRED
    assert any("known 0.1" in note for note in result.source.notes)


def test_an_unknown_instrument_is_put_on_the_grid_of_its_decimals(tmp_path: Path) -> None:
    target = Target(venue=VenueId("binance-usdm"), symbol="NEWUSDT")
    message = stream("trade", {"e": "trade", "E": 1, "T": 1, "s": "NEWUSDT", "t": 1, "p": "0.01230", "q": "40", "X": "MARKET", "m": False}, "newusdt")
    result = both(record(tmp_path / "r", [message]), target)
    assert (result.instrument.tick_size, result.instrument.lot_size) == (Decimal("0.0001"), Decimal(10)) and result.grid is GridSource.INFERRED


def test_a_given_grid_is_used(tmp_path: Path) -> None:
    path = record(tmp_path / "r", [trade(1, "100.5", "2")])
    result = both(path, attrs.evolve(USDM, tick=Decimal("0.5"), lot=Decimal(1)))
    assert result.grid is GridSource.GIVEN and result.raw[StreamKind.TRADE]["price"].tolist() == [201]


def test_sizes_beyond_32_bits_are_clipped_and_impossible_prices_dropped(tmp_path: Path) -> None:
    messages = [trade(1, size="3000000"), trade(2, price="0.0"), trade(3, price="999999999"), trade(4, size="0"), trade(5, size="99999999999999999999")]
    result = both(record(tmp_path / "r", messages))
    assert result.raw[StreamKind.TRADE]["signed_lots"].tolist() == [2**31 - 1]
    assert fault(result, FaultKind.OUT_OF_RANGE).count == 5 and fault(result, FaultKind.OUT_OF_RANGE).line == 1


def test_trades_outside_the_book_are_trades_and_counted(tmp_path: Path) -> None:
    result = both(record(tmp_path / "r", [trade(1), trade(2, kind="INSURANCE_FUND"), trade(3, kind="ADL"), trade(4, kind="ADL")]))
    assert len(result.raw[StreamKind.TRADE]["ts"]) == 4
    assert "trades not from the order book: ADL 2, INSURANCE_FUND 1" in result.source.notes


def test_unknown_and_unreadable_lines_are_counted_with_their_first_place(tmp_path: Path) -> None:
    messages = [
        quote(1),
        stream("mystery", {"e": "mystery", "s": "BTCUSDT"}),
        '{"stream":"btcusdt@trade","data":{"e":"trade","t":',
        dumps({"what": "is this"}),
        dumps({"result": None, "id": 1}),
        stream("kline_1m", {"e": "kline", "s": "BTCUSDT"}),
        trade(1, price="abc"),
        stream("trade", {"e": "trade", "t": 2}),
        quote(2),
    ]
    path = record(tmp_path / "r", messages)
    path.write_bytes(path.read_bytes() + b"no time here\n\n")
    result = both(path)
    unknown, bad = fault(result, FaultKind.UNKNOWN_MESSAGE), fault(result, FaultKind.BAD_LINE)
    assert (unknown.count, unknown.line) == (2, 2) and (bad.count, bad.line) == (4, 3)
    expected = {"bookTicker": 2, "mystery": 1, "bad line": 2, "unknown": 1, "acknowledgement": 1, "kline_1m": 1, "trade": 2, "blank line": 1}
    assert result.source.messages == expected and messages_account_for_all_lines(result)
    assert len(result.raw[StreamKind.QUOTE]["ts"]) == 2 and StreamKind.TRADE not in result.raw


def test_depth_levels_that_cannot_be_read_are_a_bad_line_and_the_sequence_goes_on(tmp_path: Path) -> None:
    broken = depth(11, 20, 10, [("x", "1")], [])
    result = both(record(tmp_path / "r", [snapshot(10, [("1.0", "1")], [("2.0", "1")]), depth(10, 10, 9, [], []), broken, depth(21, 30, 20, [], [])]))
    assert fault(result, FaultKind.BAD_LINE).line == 3 and len(result.raw[StreamKind.DEPTH]["ts"]) == 3


def test_messages_of_other_symbols_are_counted_and_left_out(tmp_path: Path) -> None:
    other = stream("trade", {"e": "trade", "E": 1, "T": 1, "s": "ETHUSDT", "t": 1, "p": "9", "q": "9", "X": "MARKET", "m": False}, "ethusdt")
    result = both(record(tmp_path / "r", [trade(1), other, other]))
    assert result.source.messages == {"trade": 3, OTHER: 2} and len(result.raw[StreamKind.TRADE]["ts"]) == 1


def test_a_long_silence_of_the_whole_recording_is_a_gap(tmp_path: Path) -> None:
    times = [START, START + MS, START + 90_000 * MS, START + 90_001 * MS]
    result = both(record(tmp_path / "r", [quote(1), trade(1), trade(2), quote(2)], times=times))
    assert (fault(result, FaultKind.SILENCE).count, fault(result, FaultKind.SILENCE).line) == (1, 3)
    assert result.raw[StreamKind.GAP]["length_ns"].tolist() == [89_999 * MS] and result.raw[StreamKind.GAP]["reason"].tolist() == [GapReason.SILENCE]
    assert result.source.silences["quote"].count == 1 and result.source.silences["quote"].longest_ns == 90_001 * MS


def test_a_cut_off_gzip_is_imported_as_far_as_it_goes_with_a_gap_at_its_end(tmp_path: Path) -> None:
    path = record(tmp_path / "r", [quote(number) for number in range(4000)], packed=True)
    path.write_bytes(path.read_bytes()[:-2000])
    result = both(path)
    rows = len(result.raw[StreamKind.QUOTE]["ts"])
    assert 0 < rows < 4000 and fault(result, FaultKind.TRUNCATED).line == rows + 1
    assert result.raw[StreamKind.GAP]["ts"].tolist() == [START + (rows - 1) * MS + 1] and result.raw[StreamKind.GAP]["reason"].tolist() == [GapReason.TRUNCATED]


# -- layouts ------------------------------------------------------------------------------------------------------
def test_cryptofeed_recordings_with_their_rest_snapshots(tmp_path: Path) -> None:
    lines = [
        "wss://fstream.binance.com/stream?streams=btcusdt@depth <-> 1700000000.0",
        'wss://fstream.binance.com/stream <- 1700000000.5: {"op":"x"}',
        f"1700000001.123456789: {depth(9, 12, 8, [('100.0', '1')], [])}",
        "https://fapi.binance.com/fapi/v1/depth?symbol=ETHUSDT&limit=1000 -> 1700000001.5: " + snapshot(99, [], []),
        "https://fapi.binance.com/fapi/v1/depth?symbol=BTCUSDT&limit=1000 -> 1700000002.0: " + snapshot(10, [("99.0", "1")], [("101.0", "1")]),
        f"1700000003.0: {quote(1)}",
        'configuration: {"l2_book":["BTC-USDT"]}',
        "",
    ]
    (tmp_path / "r").write_text("\n".join(lines) + "\n")
    result = both(tmp_path / "r")
    assert result.raw[StreamKind.DEPTH]["bids"][0].tolist()[:2] == [1000, 990]
    assert result.raw[StreamKind.QUOTE]["ts"].tolist() == [1_700_000_003 * 10**9]
    expected = {"connection": 1, "sent": 1, "depth@100ms": 1, SNAPSHOT: 2, OTHER: 1, "bookTicker": 1, "configuration": 1, "blank line": 1}
    assert result.source.messages == expected and messages_account_for_all_lines(result)


def test_raw_streams_without_receive_time_take_the_event_time(tmp_path: Path) -> None:
    def raw(message: str) -> str:
        return message[message.index('"data":') + 7 : -1]

    (tmp_path / "r").write_text("\n".join([raw(quote(1, at=5)), raw(trade(1, at=6)), raw(depth(1, 2, 0, [], [], at=7))]) + "\n")
    result = both(tmp_path / "r")
    assert result.raw[StreamKind.QUOTE]["ts"].tolist() == [START + 5 * MS] and result.raw[StreamKind.TRADE]["ts"].tolist() == [START + 6 * MS]
    assert result.source.messages == {"bookTicker": 1, "trade": 1, "depth": 1}
    assert result.source.clock is not None and result.source.clock.samples == 0 and "3 messages have no receive time" in result.source.notes[0]


@pytest.mark.parametrize("cut", [False, True])
def test_a_json_array_of_aggregated_trades(tmp_path: Path, cut: bool) -> None:
    trades = [{"e": "aggTrade", "E": START // MS + n, "s": "BTCUSDT", "a": n, "p": "100.1", "q": "1", "T": START // MS + n, "m": n % 2 == 0} for n in range(5)]
    text = dumps(trades)
    (tmp_path / "r.gz").write_bytes(gzip.compress((text[:-30] if cut else text).encode()))
    result = both(tmp_path / "r.gz")
    assert result.raw[StreamKind.TRADE]["signed_lots"].tolist() == [-1000, 1000, -1000, 1000, -1000][: 4 if cut else 5]
    assert result.source.messages == {"aggTrade": 4 if cut else 5} and ([f.kind for f in result.source.faults] == [FaultKind.TRUNCATED]) is cut


def test_aggregated_trades_do_not_count_twice_beside_trades(tmp_path: Path) -> None:
    agg = stream("aggTrade", {"e": "aggTrade", "E": 1, "s": "BTCUSDT", "a": 1, "p": "100.1", "q": "5", "T": 1, "m": False})
    result = both(record(tmp_path / "r", [trade(1), agg]))
    assert len(result.raw[StreamKind.TRADE]["ts"]) == 1 and result.source.messages == {"trade": 1, "aggTrade": 1}
    assert any("aggTrade is counted but not used" in note for note in result.source.notes)


def test_csv_of_trades(tmp_path: Path) -> None:
    header = "TimestampOfReceive,Stream,EventType,EventTime,TransactionTime,Symbol,TradeId,Price,Quantity,IsBuyerMarketMaker,XUnknownParameter\n"
    rows = [
        "1700000000100,s,trade,1700000000099,1700000000098,BTCUSDT,1,100.1,0.5,1,MARKET",
        "1700000000100,s,trade,1700000000099,1700000000098,BTCUSDT,2,100.2,0.5,0,ADL",
    ]
    (tmp_path / "r.csv").write_text(header + "\n".join([*rows, "short,row", "x,s,trade,1,1,BTCUSDT,3,100.1,1,0,MARKET"]) + "\n")
    result = both(tmp_path / "r.csv")
    assert result.raw[StreamKind.TRADE]["signed_lots"].tolist() == [-500, 500]
    assert result.raw[StreamKind.TRADE]["ts"].tolist() == [1_700_000_000_100 * MS, 1_700_000_000_100 * MS + 1]
    bad = fault(result, FaultKind.BAD_LINE)
    assert (bad.count, bad.line) == (2, 4) and result.source.messages == {"trade": 3, "bad line": 1}


# -- refusals -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("venue", "message", "text"),
    [
        ("binance-spot", depth(1, 2, 0, [], []), "those of Binance usdm, not spot"),
        ("binance-usdm", trade(1, kind=None).replace('"m":false', '"m":false,"M":true'), "those of Binance spot, not usdm"),
        ("binance-usdm", dumps({"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 1, "data": []}), "bybit-ws file, not binance-ws"),
        ("binance-usdm", stream("kline_1m", {"e": "kline"}), "no market data of BTCUSDT; found 1 kline_1m"),
    ],
)
def test_another_protocol_or_market_is_refused(tmp_path: Path, venue: str, message: str, text: str) -> None:
    path = record(tmp_path / "r", [message])
    with pytest.raises(TapeError, match=text):
        import_binance_ws(path, Target(venue=VenueId(venue), symbol="BTCUSDT"))


def test_a_bybit_message_later_in_the_file_is_refused_with_its_line(tmp_path: Path) -> None:
    path = record(tmp_path / "r", [quote(1)] * 3000 + [dumps({"topic": "tickers.BTCUSDT", "ts": 1, "data": {}})])
    with pytest.raises(TapeError, match="line 3001 is not a Binance message"):
        import_binance_ws(path, USDM)


def test_a_venue_of_another_exchange_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="allowed are --market spot and --market usdm"):
        import_binance_ws(record(tmp_path / "r", [quote(1)]), Target(venue=VenueId("bybit-linear"), symbol="BTCUSDT"))


# -- both forms ---------------------------------------------------------------------------------------------------
MESSAGES = [
    quote(1),
    trade(1, at=1),
    snapshot(10, [("100.1", "1.5"), ("100.0", "2")], [("100.2", "2.5")]),
    depth(9, 12, 8, [("100.0", "0.000"), ("99.9", "1")], [("100.3", "0.001")], at=3),
    depth(13, 14, 12, [], [], at=3),
    quote(2, "100.2", "100.3"),
    stream("aggTrade", {"e": "aggTrade", "E": 1, "s": "BTCUSDT", "a": 1, "p": "100.1", "q": "5", "T": 1, "m": False}),
    trade(2, at=1, maker=True),
]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_compiled_form_gives_what_the_plain_one_gives_whatever_the_bytes(tmp_path: Path, data: st.DataObject) -> None:
    """Lines in any order, then bytes changed, removed and inserted anywhere: the same rows, counts and faults, or the same error."""
    lines = [f"{START + place * MS} {message}\n" for place, message in enumerate(data.draw(st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=12)))]
    text = bytearray("".join(lines).encode())
    for _ in range(data.draw(st.integers(0, 3))):
        if not text:
            break
        place = data.draw(st.integers(0, len(text) - 1))
        byte = data.draw(st.sampled_from(b'0159.,:{}[]"\\ \n\r-+eEtfxpbaTu@m'))
        match data.draw(st.sampled_from(["change", "remove", "insert", "cut"])):
            case "change":
                text[place] = byte
            case "remove":
                del text[place]
            case "insert":
                text.insert(place, byte)
            case "cut":
                del text[place + 1 :]
    path = tmp_path / "r"
    path.write_bytes(bytes(text) or b"\n")
    results: list[ImportResult | str] = []
    for form in (False, True):
        try:
            results.append(import_binance_ws(path, USDM, compiled=form))
        except TitanError as error:
            results.append(str(error))
    plain, compiled = results
    if isinstance(plain, str) or isinstance(compiled, str):
        assert plain == compiled
    else:
        assert_same(plain, compiled)
        assert messages_account_for_all_lines(plain)


@FORMS
@pytest.mark.parametrize("block", [300, 1000, 1 << 20])
def test_the_size_of_blocks_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, compiled: bool) -> None:
    path = record(tmp_path / "r", MESSAGES * 3)
    expected = import_binance_ws(path, USDM, compiled=False)
    monkeypatch.setattr(lines_module, "READ_BYTES", block)
    assert_same(expected, import_binance_ws(path, USDM, compiled=compiled))
