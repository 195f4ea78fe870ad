from pathlib import Path

import pytest

from titan_core.errors import TapeError
from titan_core.model.enums import StreamKind
from titan_core.model.ids import VenueId
from titan_core.tape.faults import FaultKind
from titan_core.tape.importers.liquidations import import_liquidations
from titan_core.tape.importers.target import ImportResult, Target

T0 = 1_700_000_000_000
HEADER = "id,exchange,symbol,side,raw_side,qty,price,event_ts,inserted_ts"


def run(tmp_path: Path, venue: str, rows: list[str], header: str = HEADER) -> ImportResult:
    (tmp_path / "l.csv").write_text("\n".join([header, *rows]) + "\n")
    return import_liquidations(tmp_path / "l.csv", Target(venue=VenueId(venue), symbol="ETHUSDT"))


ROWS = [
    f"1,binance,ETHUSDT,short,BUY,0.036,2062.46,{T0},{T0 - 1600}",
    f"2,binance,ETHUSDT,long,SELL,0.5,2062.40,{T0 + 5},{T0 + 9}",
    f"3,bybit,ETHUSDT,long,Buy,0.75,2046.51,{T0 + 7},{T0 + 7}",
    f"4,bybit,ETHUSDT,short,Sell,1.6,2072.49,{T0 + 8},{T0 + 8}",
    f"5,binance,BTCUSDT,long,SELL,1,60000,{T0 + 8},{T0 + 8}",
    f"6,okx,ETHUSDT,long,long:sell,0.01,2059.19,{T0 + 8},{T0 + 8}",
]


def test_the_forced_order_sells_where_a_long_was_liquidated_on_every_venue(tmp_path: Path) -> None:
    binance, bybit = run(tmp_path, "binance-usdm", ROWS), run(tmp_path, "bybit-linear", ROWS)
    assert binance.raw[StreamKind.LIQUIDATION]["signed_lots"].tolist() == [36, -500]
    assert bybit.raw[StreamKind.LIQUIDATION]["signed_lots"].tolist() == [-75, 160]
    assert binance.source.messages == {"liquidation": 2, "other markets": 4} and binance.source.faults == () == bybit.source.faults


def test_a_row_comes_at_the_later_of_its_times(tmp_path: Path) -> None:
    columns = run(tmp_path, "binance-usdm", ROWS).raw[StreamKind.LIQUIDATION]
    assert columns["ts"].tolist() == [T0 * 10**6, (T0 + 9) * 10**6] and columns["ts_event"].tolist() == [T0 * 10**6, (T0 + 5) * 10**6]


@pytest.mark.parametrize(("venue", "expected"), [("binance-usdm", [36, -500]), ("bybit-linear", [4, -50])])
def test_a_raw_side_alone_means_what_it_means_on_its_venue(tmp_path: Path, venue: str, expected: list[int]) -> None:
    first, second = ("BUY", "SELL") if venue.startswith("binance") else ("Sell", "Buy")
    rows = [f"{first},0.036,2062.46,{T0}", f"{second},0.5,2062.40,{T0 + 5}"]
    assert run(tmp_path, venue, rows, "raw_side,qty,price,event_ts").raw[StreamKind.LIQUIDATION]["signed_lots"].tolist() == expected


def test_contradictions_and_unreadable_rows_are_reported(tmp_path: Path) -> None:
    rows = [
        f"1,binance,ETHUSDT,short,SELL,1,2062.46,{T0},{T0}",
        f"2,binance,ETHUSDT,sideways,?,1,2062.46,{T0 + 1},{T0}",
        f"3,binance,ETHUSDT,long,SELL,much,2062.46,{T0 + 2},{T0}",
        f"4,binance,ETHUSDT,long,SELL,1,0,{T0 + 3},{T0}",
        "5,binance,ETHUSDT",
    ]
    result = run(tmp_path, "binance-usdm", rows)
    assert result.raw[StreamKind.LIQUIDATION]["signed_lots"].tolist() == [1000]
    found = {fault.kind: fault.count for fault in result.source.faults}
    assert found == {FaultKind.OUT_OF_RANGE: 2, FaultKind.BAD_LINE: 3}


def test_two_at_one_time_follow_one_another(tmp_path: Path) -> None:
    rows = [f"{n},binance,ETHUSDT,long,SELL,1,2062.46,{T0},{T0}" for n in range(3)]
    assert run(tmp_path, "binance-usdm", rows).raw[StreamKind.LIQUIDATION]["ts"].tolist() == [T0 * 10**6 + n for n in range(3)]


def test_files_without_sides_or_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="has no column side"):
        run(tmp_path, "binance-usdm", [f"1,2000,{T0}"], "qty,price,event_ts")
    with pytest.raises(TapeError, match=r"no liquidation of ETHUSDT\.bybit-linear in 1 rows, 1 of them of other markets"):
        run(tmp_path, "bybit-linear", ROWS[:1])
