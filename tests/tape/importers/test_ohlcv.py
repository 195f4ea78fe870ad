import gzip
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_core.errors import TapeError, UsageError
from titan_core.model.enums import StreamKind
from titan_core.model.ids import VenueId
from titan_core.model.market import GapReason
from titan_core.model.units import BPS, MIN
from titan_core.tape.faults import Fault, FaultKind
from titan_core.tape.importers.intrabar import STEP_BPS, Bars, draw_path
from titan_core.tape.importers.ohlcv import import_ohlcv
from titan_core.tape.importers.target import ImportResult, Target
from titan_core.tape.index import dense_bars
from titan_core.tape.manifest import GridSource

USDM = Target(venue=VenueId("binance-usdm"), symbol="BTCUSDT")
T0 = 1_700_000_040_000
"""A whole minute, in ms."""


def write(path: Path, rows: list[str], header: str = "ts_ms,open,high,low,close,volume") -> Path:
    text = "\n".join([*([header] if header else []), *rows]) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def bar(minute: int, o: str = "100.0", h: str = "101.0", low: str = "99.0", c: str = "100.5", volume: str | None = "2.0") -> str:
    return ",".join([str(T0 + minute * 60_000), o, h, low, c, *([volume] if volume is not None else [])])


def fault(result: ImportResult, kind: FaultKind) -> Fault:
    (found,) = [f for f in result.source.faults if f.kind is kind]
    return found


# -- the path -----------------------------------------------------------------------------------------------------
@st.composite
def bars(draw: st.DrawFn) -> Bars:
    columns = []
    for number in range(draw(st.integers(1, 6))):
        low = draw(st.integers(1, 200_000))
        high = low + draw(st.integers(0, max(1, low // 20)))
        o, c = draw(st.integers(low, high)), draw(st.integers(low, high))
        columns.append((number * MIN, o, high, low, c, draw(st.integers(1, 10**6))))
    return Bars(*(np.array(column, np.int64) for column in zip(*columns, strict=True)))


@settings(max_examples=200)
@given(bars())
def test_a_path_keeps_to_its_bar(given_bars: Bars) -> None:
    path = draw_path(given_bars, MIN)
    assert (np.diff(path.ts) > 1).all()
    for row in range(len(given_bars.open_ns)):
        start = int(given_bars.open_ns[row])
        o, h, low, c, volume = (int(column[row]) for column in (given_bars.open, given_bars.high, given_bars.low, given_bars.close, given_bars.volume))
        inside = (path.ts > start) & (path.ts < start + MIN)
        price, lots = path.price[inside].tolist(), path.lots[inside]
        assert path.ts[inside][0] == start + 1
        assert (price[0], max(price), min(price), price[-1]) == (o, h, low, c)
        assert int(lots.sum()) == volume and lots.min() >= 0 and lots.max() - lots.min() <= 1
        step = max(1, low * STEP_BPS // BPS)
        assert all(abs(a - b) <= step for a, b in zip(price, price[1:], strict=False))
        first, second = (low, h) if c >= o else (h, low)
        turn = price.index(first)
        assert price[:turn] == sorted(price[:turn], reverse=first == low) and second in price[turn:]
        back = turn + price[turn:].index(second)
        assert price[turn:back] == sorted(price[turn:back], reverse=second == low)
        assert price[back:] == sorted(price[back:], reverse=c < second)
    assert int(np.count_nonzero(path.ts % MIN == 0)) == 0


@given(bars())
def test_bars_made_from_the_path_are_the_bars_it_was_made_of(given_bars: Bars) -> None:
    path = draw_path(given_bars, MIN)
    index = dense_bars(path.ts, path.price.astype(np.int32), path.lots.astype(np.int32))
    for name, column in (("o", given_bars.open), ("h", given_bars.high), ("l", given_bars.low), ("c", given_bars.close), ("volume", given_bars.volume)):
        assert index[f"bar_{name}"].tolist() == column.tolist()


def test_a_level_is_reached_near_itself_and_not_at_the_extreme() -> None:
    path = draw_path(Bars(*(np.array([value], np.int64) for value in (0, 100_000, 110_000, 90_000, 105_000, 10))), MIN)
    first_below = int(path.price[np.argmax(path.price <= 95_000)])
    assert 95_000 - 18 <= first_below <= 95_000


def test_no_bar_is_no_path() -> None:
    assert len(draw_path(Bars(*(np.zeros(0, np.int64),) * 6), MIN).ts) == 0


# -- files --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["bars.csv", "bars.csv.gz"])
def test_bars_become_trades_with_a_quote_around_each(tmp_path: Path, name: str) -> None:
    result = import_ohlcv(write(tmp_path / name, [bar(0), bar(1), bar(2)]), USDM)
    trades, quotes = result.raw[StreamKind.TRADE], result.raw[StreamKind.QUOTE]
    assert result.bar_ns == MIN and not result.recorded and result.grid is GridSource.KNOWN
    assert quotes["ts"].tolist() == (trades["ts"] - 1).tolist() and quotes["bid"].tolist() == trades["price"].tolist()
    assert quotes["ask"].tolist() == (trades["price"] + 1).tolist() and quotes["bid_lots"].min() >= 1
    assert int(trades["signed_lots"].sum()) == 6000 and (trades["signed_lots"] >= 0).all()
    assert trades["price"].min() == 990 and trades["price"].max() == 1010
    assert result.source.messages == {"bar": 3} and result.source.faults == ()


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("timestamp,Open,High,Low,Close,Volume", ["2023-11-14 22:14:00.000000,100.0,101.0,99.0,100.5,2.0", "2023-11-14T22:15:00Z,100.0,101.0,99.0,100.5,2.0"]),
        ("ts_ms,venue,coin,o,h,l,c,v", [f"{T0},okx,BTC,1,1,1,1,1", f"{T0},binance,BTC,100,101,99,100.5,2", f"{T0 + 60_000},binance,BTC,100,101,99,100.5,2"]),
        ("", [bar(0), bar(1)]),
        ("ts_ms,open,high,low,close,volume\r", [bar(0) + "\r", bar(1) + "\r"]),
        ('"ts_ms","open","high","low","close","volume"', [bar(0), bar(1)]),
    ],
)
def test_other_headers(tmp_path: Path, header: str, rows: list[str]) -> None:
    result = import_ohlcv(write(tmp_path / "b.csv", rows, header), USDM)
    trades = result.raw[StreamKind.TRADE]
    assert trades["ts"][0] == T0 * 10**6 + 1 and trades["price"][0] == 1000 and int(trades["signed_lots"].sum()) == 4000
    assert result.source.messages.get("other markets", 0) == ("okx" in "".join(rows))


def test_bars_without_volume_are_mark_prices(tmp_path: Path) -> None:
    rows = [bar(0, h="101.04", volume=None), bar(1, volume=None)]
    result = import_ohlcv(write(tmp_path / "m.csv", rows, "ts_ms,open,high,low,close"), USDM)
    assert set(result.raw) == {StreamKind.MARK} and result.bar_ns is None and result.raw[StreamKind.MARK]["price"].max() == 1010
    assert result.source.faults == () and "mark prices" in result.source.notes[0]


def test_a_hole_is_reported_and_a_gap(tmp_path: Path) -> None:
    result = import_ohlcv(write(tmp_path / "b.csv", [bar(0), bar(1), bar(5), bar(6), bar(8)]), USDM)
    hole = fault(result, FaultKind.HOLE)
    assert (hole.count, hole.line) == (2, 4) and "3 bars missing" in hole.example and "4 in all" in hole.example
    gap = result.raw[StreamKind.GAP]
    starts = [(T0 + minute * 60_000) * 10**6 for minute in (5, 8)]
    assert [gap[name].tolist() for name in ("ts", "length_ns", "reason")] == [starts, [3 * MIN, MIN], [GapReason.HOLE] * 2]


def test_duplicate_unsorted_and_silent_bars(tmp_path: Path) -> None:
    rows = [bar(0), bar(2), bar(1), bar(2, o="99.5"), bar(3, volume="0.0"), bar(4)]
    result = import_ohlcv(write(tmp_path / "b.csv", rows), USDM)
    expected = {FaultKind.OUT_OF_ORDER: (1, 4), FaultKind.DUPLICATE: (1, 5), FaultKind.ZERO_VOLUME: (1, 6)}
    assert {f.kind: (f.count, f.line) for f in result.source.faults} == expected
    minutes = np.unique(result.raw[StreamKind.TRADE]["ts"] // MIN) - T0 // 60_000
    assert minutes.tolist() == [0, 1, 2, 4] and 995 not in result.raw[StreamKind.TRADE]["price"][:1]


def test_bars_that_cannot_be_are_dropped_and_leave_a_hole(tmp_path: Path) -> None:
    off_the_grid = f"{T0 + 369_123},100,101,99,100,1"
    rows = [bar(0), bar(1, h="98.0"), bar(2, c="105.0"), bar(3, low="0.0", o="0.0"), bar(4, volume="-1"), bar(5), bar(6), off_the_grid, bar(7)]
    result = import_ohlcv(write(tmp_path / "b.csv", rows), USDM)
    expected = {FaultKind.BAD_BAR: (3, 3), FaultKind.OUT_OF_RANGE: (2, 5), FaultKind.HOLE: (1, 7)}
    assert {f.kind: (f.count, f.line) for f in result.source.faults} == expected


def test_unreadable_rows_are_counted(tmp_path: Path) -> None:
    rows = [bar(0), "short,row", bar(1, c="abc"), "when,100,101,99,100,1", "", bar(2)]
    result = import_ohlcv(write(tmp_path / "b.csv", rows), USDM)
    assert (fault(result, FaultKind.BAD_LINE).count, fault(result, FaultKind.BAD_LINE).line) == (3, 3)
    assert result.source.messages == {"bar": 4, "bad line": 1}


def test_prices_off_the_grid_are_rounded_and_reported_and_volumes_just_rounded(tmp_path: Path) -> None:
    rows = [bar(n) for n in range(200)] + [bar(200, o="100.04", volume="1.00049")]
    result = import_ohlcv(write(tmp_path / "b.csv", rows), USDM)
    assert fault(result, FaultKind.OFF_GRID).line == 202 and "100.04" in fault(result, FaultKind.OFF_GRID).example
    assert int(result.raw[StreamKind.TRADE]["signed_lots"].sum()) == 200 * 2000 + 1000


def test_an_unknown_instrument_with_huge_volumes_gets_a_coarse_lot(tmp_path: Path) -> None:
    target = Target(venue=VenueId("bybit-linear"), symbol="NEWUSDT")
    result = import_ohlcv(write(tmp_path / "b.csv", [bar(0, volume="2300413.7295"), bar(1, volume="930000413.7")]), target)
    assert result.grid is GridSource.INFERRED and result.instrument.lot_size == Decimal(1) and result.instrument.tick_size == Decimal("0.1")


def test_a_cut_off_file_ends_in_a_gap(tmp_path: Path) -> None:
    path = write(tmp_path / "b.csv.gz", [bar(n, o=f"100.{n % 10}") for n in range(3000)])
    path.write_bytes(path.read_bytes()[:-500])
    result = import_ohlcv(path, USDM)
    assert fault(result, FaultKind.TRUNCATED).count == 1 and result.raw[StreamKind.GAP]["reason"].tolist() == [GapReason.TRUNCATED]
    assert result.raw[StreamKind.GAP]["ts"][0] > result.raw[StreamKind.TRADE]["ts"][-1]


@pytest.mark.parametrize(
    ("rows", "header", "text"),
    [
        ([bar(0)], "ts_ms,open,high,low,close,volume", "holds 1 bars"),
        ([bar(0), bar(1)], "when,open,high,low,close,volume", "has no column ts_ms or timestamp"),
        ([bar(0), bar(1)], "ts_ms,open,high,low,last,volume", "has no column close or c"),
        ([], "", "has no first line"),
    ],
)
def test_files_that_are_no_bars_are_refused(tmp_path: Path, rows: list[str], header: str, text: str) -> None:
    with pytest.raises(TapeError, match=text):
        import_ohlcv(write(tmp_path / "b.csv", rows, header), USDM)


def test_mark_prices_of_an_unknown_instrument_need_a_grid(tmp_path: Path) -> None:
    path = write(tmp_path / "m.csv", [bar(0, volume=None), bar(1, volume=None)], "ts_ms,open,high,low,close")
    with pytest.raises(UsageError, match="give --tick and --lot"):
        import_ohlcv(path, Target(venue=VenueId("bybit-linear"), symbol="NEWUSDT"))
