from pathlib import Path

import pytest

from titan_core.errors import TapeError, UsageError
from titan_core.model.enums import StreamKind
from titan_core.model.ids import VenueId
from titan_core.tape.faults import FaultKind
from titan_core.tape.importers.series import import_funding, import_open_interest
from titan_core.tape.importers.target import ImportResult, Target

USDM = Target(venue=VenueId("binance-usdm"), symbol="BTCUSDT")
H = 3_600_000
T0 = 1_700_006_400_000
"""Midnight UTC, in ms."""


def write(path: Path, rows: list[str], header: str) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def faults(result: ImportResult) -> dict[FaultKind, tuple[int, int]]:
    return {fault.kind: (fault.count, fault.line) for fault in result.source.faults}


def funding(tmp_path: Path, rows: list[str], header: str = "ts_ms,funding_rate") -> ImportResult:
    return import_funding(write(tmp_path / "f.csv", rows, header), USDM)


def test_rates_are_exact_and_stamps_are_kept_as_they_are(tmp_path: Path) -> None:
    result = funding(tmp_path, [f"{T0},0.0001", f"{T0 + 8 * H + 7},-5.39e-06", f"{T0 + 16 * H},7.054e-05"])
    columns = result.raw[StreamKind.FUNDING]
    assert columns["rate_e8"].tolist() == [10_000, -539, 7_054]
    assert columns["ts"].tolist() == [T0 * 10**6, (T0 + 8 * H + 7) * 10**6, (T0 + 16 * H) * 10**6]
    assert result.source.faults == () and result.source.messages == {"funding settlement": 3}


def test_rates_that_cannot_be_and_repeated_or_missing_settlements(tmp_path: Path) -> None:
    rows = [f"{T0 + n * 8 * H},0.0001" for n in range(4)]
    rows += [rows[3], f"{T0 + 4 * 8 * H},0.9", f"{T0 + 5 * 8 * H},0.000123456789", "x,0.1", f"{T0 + 6 * 8 * H},?"]
    result = funding(tmp_path, rows)
    assert faults(result) == {
        FaultKind.DUPLICATE: (1, 6),
        FaultKind.OUT_OF_RANGE: (1, 7),
        FaultKind.HOLE: (1, 8),
        FaultKind.OFF_GRID: (1, 8),
        FaultKind.BAD_LINE: (2, 9),
    }
    assert result.raw[StreamKind.FUNDING]["rate_e8"].tolist() == [10_000] * 4 + [12_346]


def test_unsorted_settlements_are_sorted(tmp_path: Path) -> None:
    result = funding(tmp_path, [f"{T0 + 8 * H},0.0002", f"{T0},0.0001", f"{T0 + 16 * H},0.0003"])
    assert result.raw[StreamKind.FUNDING]["rate_e8"].tolist() == [10_000, 20_000, 30_000] and faults(result) == {FaultKind.OUT_OF_ORDER: (1, 3)}


def test_a_file_of_many_markets_gives_the_one_asked_for(tmp_path: Path) -> None:
    rows = [f"{T0},binance,BTC,0.0001", f"{T0},bybit,BTC,0.0002", f"{T0},binance,SOL,0.0003", f"{T0 + 8 * H},binance,BTC,0.0004"]
    result = funding(tmp_path, rows, "ts_ms,venue,coin,funding_rate")
    assert result.raw[StreamKind.FUNDING]["rate_e8"].tolist() == [10_000, 40_000]
    assert result.source.messages == {"funding settlement": 2, "other markets": 2}


def test_no_row_of_the_market_is_an_error_and_an_unknown_grid_a_question(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match=r"no usable funding settlement of BTCUSDT.binance-usdm in 1 rows, 1 of them of other markets"):
        funding(tmp_path, [f"{T0},okx,BTC,0.1"], "ts_ms,venue,coin,funding_rate")
    path = write(tmp_path / "n.csv", [f"{T0},0.0001"], "ts_ms,funding_rate")
    with pytest.raises(UsageError, match="give --tick and --lot"):
        import_funding(path, Target(venue=VenueId("binance-usdm"), symbol="NEWUSDT"))


def test_open_interest_is_in_lots_and_zero_is_a_fault(tmp_path: Path) -> None:
    rows = [f"{T0},x,82335.311,1", f"{T0 + H},x,0,1", f"{T0 + H},x,82335.3114,1", f"{T0 + 5 * H},x,9999999999,1", f"{T0 + 6 * H},x,5,1", f"{T0 + 7 * H},x,6,1"]
    result = import_open_interest(write(tmp_path / "o.csv", rows, "ts_ms,label,open_interest,last_price"), USDM)
    columns = result.raw[StreamKind.OPEN_INTEREST]
    assert columns["lots"].tolist() == [82_335_311, 82_335_311, 5_000, 6_000]
    assert faults(result) == {FaultKind.OUT_OF_RANGE: (2, 3), FaultKind.HOLE: (1, 6)}
