import gzip
from pathlib import Path

import pytest

from tests.tape.importers.recordings import MS, START, book, bybit, dumps, quote, record
from titan_core.errors import TapeError, UsageError
from titan_core.model.enums import StreamKind
from titan_core.model.ids import VenueId
from titan_core.model.market import GapReason
from titan_core.tape.faults import Fault, FaultKind
from titan_core.tape.importers.bybit import OTHER, import_bybit_ws
from titan_core.tape.importers.target import ImportResult, Target

LINEAR = Target(venue=VenueId("bybit-linear"), symbol="BTCUSDT")


def run(path: Path) -> ImportResult:
    return import_bybit_ws(path, LINEAR)


def fault(result: ImportResult, kind: FaultKind) -> Fault:
    (found,) = [f for f in result.source.faults if f.kind is kind]
    return found


def print_of(number: int, side: str = "Buy", size: str = "0.5", price: str = "100.1", block: bool = False) -> dict[str, object]:
    return {"T": START // MS, "s": "BTCUSDT", "S": side, "v": size, "p": price, "i": f"0000000{number}-51fd", "BT": block}


def prints(*trades: dict[str, object], at: int = 0) -> str:
    return bybit("publicTrade.BTCUSDT", "snapshot", list(trades), at)


def test_many_trades_of_one_message_follow_one_another_by_a_nanosecond(tmp_path: Path) -> None:
    messages = [prints(print_of(1), print_of(2, "Sell", "0.25", "100.2", block=True), print_of(3)), prints(print_of(4))]
    result = run(record(tmp_path / "r", messages))
    trades = result.raw[StreamKind.TRADE]
    assert trades["ts"].tolist() == [START, START + 1, START + 2, START + MS]
    assert trades["signed_lots"].tolist() == [500, -250, 500, 500] and trades["price"].tolist() == [1001, 1002, 1001, 1001]
    assert result.source.messages == {"publicTrade": 2} and result.source.rows == {"trade": 4}
    assert any("1 block trades" in note for note in result.source.notes)


def test_repeated_trade_ids_are_dropped(tmp_path: Path) -> None:
    result = run(record(tmp_path / "r", [prints(print_of(1), print_of(2)), prints(print_of(2), print_of(3))]))
    assert len(result.raw[StreamKind.TRADE]["ts"]) == 3 and (fault(result, FaultKind.DUPLICATE).count, fault(result, FaultKind.DUPLICATE).line) == (1, 2)


def test_a_ticker_is_its_snapshot_with_the_changes_since(tmp_path: Path) -> None:
    tickers = [
        ("snapshot", {"symbol": "BTCUSDT", "markPrice": "100.14", "indexPrice": "100.00", "openInterest": "12.5", "fundingRate": "0.0001"}),
        ("delta", {"symbol": "BTCUSDT", "markPrice": "100.26"}),
        ("delta", {"symbol": "BTCUSDT", "lastPrice": "100.2"}),
        ("delta", {"symbol": "BTCUSDT", "indexPrice": "99.9", "openInterest": "13"}),
    ]
    result = run(record(tmp_path / "r", [bybit("tickers.BTCUSDT", kind, data) for kind, data in tickers]))
    mark, interest = result.raw[StreamKind.MARK], result.raw[StreamKind.OPEN_INTEREST]
    assert [mark[name].tolist() for name in ("price", "index")] == [[1001, 1003, 1003], [1000, 1000, 999]]
    assert mark["ts"].tolist() == [START, START + MS, START + 3 * MS]
    assert interest["lots"].tolist() == [12500, 13000] and interest["ts"].tolist() == [START, START + 3 * MS]
    assert result.source.messages == {"tickers delta": 3, "tickers snapshot": 1} and "1 tickers tell the next funding rate" in result.source.notes[0]


def test_a_mark_far_from_its_index_is_kept_and_reported(tmp_path: Path) -> None:
    result = run(record(tmp_path / "r", [bybit("tickers.BTCUSDT", "snapshot", {"markPrice": "106.0", "indexPrice": "100.0"})]))
    assert result.raw[StreamKind.MARK]["price"].tolist() == [1060] and fault(result, FaultKind.OUT_OF_RANGE).line == 1


def test_a_book_gives_depth_for_each_message_and_a_quote_where_the_best_changes(tmp_path: Path) -> None:
    messages = [
        book(50, "snapshot", 5, [("100.1", "1"), ("100.0", "2")], [("100.2", "3")]),
        book(50, "delta", 6, [("99.9", "4")], []),
        book(50, "delta", 7, [("100.1", "0")], [("100.3", "1")]),
    ]
    result = run(record(tmp_path / "r", messages))
    quotes, depth = result.raw[StreamKind.QUOTE], result.raw[StreamKind.DEPTH]
    assert quotes["bid"].tolist() == [1001, 1000] and quotes["bid_lots"].tolist() == [1000, 2000] and quotes["ts"].tolist() == [START, START + 2 * MS]
    assert depth["bids"][:, :3].tolist() == [[1001, 1000, 0], [1001, 1000, 999], [1000, 999, 0]] and depth["asks"][-1, :3].tolist() == [1002, 1003, 0]
    assert result.source.faults == ()


def test_quotes_come_from_the_shallowest_book_and_depth_from_the_deepest(tmp_path: Path) -> None:
    messages = [
        book(1, "snapshot", 5, [("100.1", "1")], [("100.2", "3")]),
        book(50, "snapshot", 9, [("100.0", "1")], [("100.2", "3")]),
        book(1, "snapshot", 8, [("100.1", "2")], [("100.2", "3")]),
    ]
    result = run(record(tmp_path / "r", messages))
    assert result.raw[StreamKind.QUOTE]["bid_lots"].tolist() == [1000, 2000] and result.raw[StreamKind.DEPTH]["bids"][:, 0].tolist() == [1000]


def test_a_jump_of_u_is_a_gap_and_the_book_waits_for_a_snapshot(tmp_path: Path) -> None:
    messages = [
        book(50, "snapshot", 5, [("100.1", "1")], [("100.2", "3")]),
        book(50, "delta", 7, [("100.0", "1")], []),
        book(50, "delta", 8, [("99.9", "1")], []),
        book(50, "snapshot", 20, [("100.1", "9")], [("100.2", "3")]),
        book(50, "delta", 21, [("100.0", "1")], []),
    ]
    result = run(record(tmp_path / "r", messages))
    jump, unsynced = fault(result, FaultKind.GAP), fault(result, FaultKind.UNSYNCED)
    assert (jump.count, jump.line, unsynced.count, unsynced.line) == (1, 2, 1, 3) and "u 7 follows u 5" in jump.example
    assert result.raw[StreamKind.DEPTH]["ts"].tolist() == [START, START + 3 * MS, START + 4 * MS]
    gap = result.raw[StreamKind.GAP]
    assert [gap[name].tolist() for name in ("ts", "length_ns", "reason")] == [[START + MS], [MS], [GapReason.SEQUENCE]]


def test_u_of_one_is_a_snapshot_whatever_it_calls_itself(tmp_path: Path) -> None:
    messages = [book(50, "snapshot", 5, [("100.1", "1")], [("100.2", "3")]), book(50, "delta", 1, [("99.0", "1")], [("99.1", "1")])]
    result = run(record(tmp_path / "r", messages))
    assert result.raw[StreamKind.QUOTE]["bid"].tolist() == [1001, 990] and result.source.faults == ()


def test_a_crossed_book_is_dropped(tmp_path: Path) -> None:
    messages = [book(50, "snapshot", 5, [("100.1", "1")], [("100.2", "3")]), book(50, "delta", 6, [("100.2", "1")], [])]
    result = run(record(tmp_path / "r", messages))
    assert (fault(result, FaultKind.CROSSED_BOOK).count, fault(result, FaultKind.CROSSED_BOOK).line) == (2, 2)
    assert len(result.raw[StreamKind.QUOTE]["ts"]) == len(result.raw[StreamKind.DEPTH]["ts"]) == 1


def test_lines_without_receive_time_take_that_of_the_message(tmp_path: Path) -> None:
    (tmp_path / "r.gz").write_bytes(gzip.compress("\n".join([prints(print_of(1), at=5), prints(print_of(2), at=9)]).encode()))
    result = run(tmp_path / "r.gz")
    assert result.raw[StreamKind.TRADE]["ts"].tolist() == [START + 5 * MS, START + 9 * MS]
    with_bad_time = "\n".join([prints(print_of(1), at=5), dumps({"topic": "publicTrade.BTCUSDT", "ts": 12, "data": [print_of(2)]})])
    (tmp_path / "bad").write_text(with_bad_time + "\n")
    bad = run(tmp_path / "bad")
    assert fault(bad, FaultKind.BAD_LINE).line == 2 and len(bad.raw[StreamKind.TRADE]["ts"]) == 1
    assert result.source.clock is not None and result.source.clock.samples == 0 and "2 messages have no receive time" in result.source.notes[0]


def test_every_line_is_accounted_for(tmp_path: Path) -> None:
    messages = [
        dumps({"success": True, "op": "subscribe"}),
        dumps({"op": "pong"}),
        prints(print_of(1)),
        bybit("publicTrade.ETHUSDT", "snapshot", []),
        bybit("kline.1.BTCUSDT", "snapshot", []),
        bybit("mystery.BTCUSDT", "snapshot", {}),
        bybit("publicTrade.BTCUSDT", "snapshot", {"not": "a list"}),
        bybit("orderbook.50.BTCUSDT", "snapshot", {"b": [["x", "1"]], "a": [], "u": 3}),
        dumps({"topic": "publicTrade.BTCUSDT", "ts": 12, "data": []}),
        dumps({"a": "b"}),
        '{"topic":',
    ]
    result = run(record(tmp_path / "r", messages))
    counts = dict(result.source.messages)
    assert counts.pop(OTHER) == 1
    expected = {"publicTrade": 4, "subscribe": 1, "pong": 1, "kline snapshot": 1, "mystery snapshot": 1, "orderbook.50 snapshot": 1}
    assert counts == expected | {"unknown": 1, "bad line": 1} and sum(counts.values()) == result.source.lines == 11
    bad, unknown = fault(result, FaultKind.BAD_LINE), fault(result, FaultKind.UNKNOWN_MESSAGE)
    assert (bad.count, bad.line, unknown.count, unknown.line) == (3, 7, 2, 6)


# -- refusals -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "line",
    [
        'wss://stream.bybit.com/realtime <-> 1618677785.489609\n1618677786.9: {"topic":"x"}',
        dumps({"topic": "orderBookL2_25.BTCUSD", "type": "snapshot", "data": []}),
        dumps({"topic": "instrument_info.100ms.BTCUSD", "type": "snapshot", "data": {}}),
        dumps({"topic": "trade.BTCUSD", "data": []}),
    ],
)
def test_the_protocol_of_before_v5_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "r").write_text(line + "\n")
    with pytest.raises(TapeError, match="protocol from before V5"):
        run(tmp_path / "r")


def test_a_message_of_before_v5_later_in_the_file_is_refused_with_its_line(tmp_path: Path) -> None:
    path = record(tmp_path / "r", [prints(print_of(n)) for n in range(3000)] + [dumps({"topic": "trade.BTCUSD", "data": []})])
    with pytest.raises(TapeError, match="line 3001 is not of Bybit V5"):
        run(path)


def test_other_files_and_venues_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="is a binance-ws file, not bybit-ws"):
        run(record(tmp_path / "r", [quote(1)]))
    with pytest.raises(TapeError, match="MEXC contract recording"):
        run(record(tmp_path / "m", [dumps({"channel": "push.depth", "symbol": "BTC_USDT", "data": {}})]))
    with pytest.raises(TapeError, match="no market data of BTCUSDT; found 1 other symbols, 1 publicTrade"):
        run(record(tmp_path / "o", [bybit("publicTrade.ETHUSDT", "snapshot", [])]))
    with pytest.raises(UsageError, match="allowed are --market linear and --market spot"):
        import_bybit_ws(record(tmp_path / "s", [prints(print_of(1))]), Target(venue=VenueId("binance-spot"), symbol="BTCUSDT"))
