from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from tests.tape.importers.recordings import MS, START, quote, record, snapshot, trade
from titan_core.errors import TapeError, UsageError
from titan_core.model.enums import StreamKind
from titan_core.model.ids import InstrumentId
from titan_core.model.market import GapReason
from titan_core.tape.faults import FaultKind
from titan_core.tape.importers.add import add_to_tape, present_instruments
from titan_core.tape.importers.dispatch import Request, import_file
from titan_core.tape.manifest import GridSource, Manifest
from titan_core.tape.store import open_tape, read_manifest, verify_tape

PERP, SPOT = InstrumentId("BTCUSDT.binance-usdm"), InstrumentId("BTCUSDT.binance-spot")
DAY = 86_400_000


def add(tape: Path, file: Path, **said: object) -> Manifest:
    return add_to_tape(tape, import_file(file, Request(**said), present_instruments(tape)))  # type: ignore[arg-type]


def files(tape: Path) -> dict[str, bytes]:
    return {entry.path: (tape / entry.path).read_bytes() for entry in read_manifest(tape).files}


def rows(tape: Path, kind: StreamKind, instrument: InstrumentId = PERP) -> list[int]:
    stream = open_tape(tape).stream(instrument, kind)
    return [] if stream is None else stream.ts.tolist()


def quotes(path: Path, first: int, count: int, step: int = 1) -> Path:
    """Quotes numbered from `first`, one per ms."""
    places = range(first, first + count * step, step)
    return record(path, [quote(place) for place in places], times=[START + place * MS for place in places])


def funding(path: Path) -> Path:
    path.write_text("ts_ms,funding_rate\n1700006400000,0.0001\n1700035200000,0.0002\n")
    return path


def bars(path: Path, first: int, count: int) -> Path:
    lines = [f"{1_700_000_040_000 + n * 60_000},100.0,101.0,99.0,100.5,2.0" for n in range(first, first + count)]
    path.write_text("\n".join(["ts_ms,open,high,low,close,volume", *lines]) + "\n")
    return path


def test_streams_are_added_and_what_is_there_stays_byte_for_byte(tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    first = add(tape, quotes(tmp_path / "q", 1, 5))
    before = files(tape)
    second = add(tape, funding(tmp_path / "binance_usdm_BTCUSDT_funding.csv"))
    assert {path: files(tape)[path] for path in before} == before
    assert rows(tape, StreamKind.QUOTE) == [START + n * MS for n in range(1, 6)] and len(rows(tape, StreamKind.FUNDING)) == 2
    assert [source.file for source in second.sources] == ["q", "binance_usdm_BTCUSDT_funding.csv"] and first.digest != second.digest
    assert second.sources[0].rows == {"quote": 5} and verify_tape(tape).ok


def test_a_second_instrument_makes_a_pair_with_its_basis(tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    add(tape, quotes(tmp_path / "p", 1, 3))
    spot = record(tmp_path / "s", [quote(n, "100.01", "100.02", spot=True) for n in range(3)])
    manifest = add(tape, spot, market="spot")
    assert [(pair.spot, pair.perp) for pair in manifest.pairs] == [(SPOT, PERP)]
    assert len(rows(tape, StreamKind.BASIS)) == 4 and verify_tape(tape).ok
    before = files(tape)
    add(tape, funding(tmp_path / "binance_usdm_BTCUSDT_funding.csv"))
    assert {path: files(tape)[path] for path in before} == before
    add(tape, quotes(tmp_path / "p2", 10, 3))
    assert len(rows(tape, StreamKind.BASIS)) == 7 and verify_tape(tape).ok


@pytest.mark.parametrize("later_first", [False, True])
def test_a_later_or_earlier_file_extends_a_stream_with_a_gap_between(tmp_path: Path, later_first: bool) -> None:
    tape = tmp_path / "tape"
    both = [quotes(tmp_path / "a", 1, 3), quotes(tmp_path / "b", 10, 3)]
    for file in reversed(both) if later_first else both:
        manifest = add(tape, file)
    assert rows(tape, StreamKind.QUOTE) == [START + n * MS for n in (1, 2, 3, 10, 11, 12)]
    gap = open_tape(tape).stream(PERP, StreamKind.GAP)
    assert gap is not None
    assert [gap.columns[name].tolist() for name in ("ts", "length_ns", "reason")] == [[START + 10 * MS], [7 * MS], [GapReason.RECONNECT]]
    assert manifest.gaps[PERP].count == 1 and manifest.sources[-1].rows["quote"] == 3 and verify_tape(tape).ok


def test_rows_within_the_stretch_that_is_held_are_reported_and_left_out(tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    add(tape, quotes(tmp_path / "a", 10, 10, step=2))
    manifest = add(tape, quotes(tmp_path / "b", 5, 30))
    expected = [*range(5, 10), *range(10, 29, 2), *range(29, 35)]
    assert rows(tape, StreamKind.QUOTE) == [START + n * MS for n in expected]
    (overlap,) = manifest.sources[-1].faults
    assert (overlap.kind, overlap.count) == (FaultKind.OVERLAP, 19) and manifest.sources[-1].rows["quote"] == 11
    assert manifest.gaps[PERP].count == 2


def test_the_same_file_again_changes_no_column(tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    file = record(tmp_path / "a", [trade(1), trade(5), quote(1), snapshot(1, [], [])])
    first = add(tape, file)
    before = files(tape)
    second = add(tape, file)
    assert files(tape) == before and second.digest == first.digest
    assert second.sources[-1].rows == {"gap": 1, "quote": 0, "trade": 0}
    assert [(f.kind, f.count) for f in second.sources[-1].faults] == [(FaultKind.GAP, 1), (FaultKind.OVERLAP, 3)]


def test_gaps_of_several_files_are_joined_in_order(tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    add(tape, record(tmp_path / "b", [trade(1), trade(5)], times=[START + DAY * MS, START + DAY * MS + MS]))
    add(tape, record(tmp_path / "a", [trade(11), trade(15)]))
    gap = open_tape(tape).stream(PERP, StreamKind.GAP)
    assert gap is not None and gap.ts.tolist() == [START + MS, START + DAY * MS, START + DAY * MS + MS]
    assert gap.columns["reason"].tolist() == [GapReason.SEQUENCE, GapReason.RECONNECT, GapReason.SEQUENCE] and verify_tape(tape).ok


def test_bars_that_follow_leave_no_gap_and_missing_ones_do(tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    add(tape, bars(tmp_path / "a.csv", 0, 3), venue="binance-usdm", symbol="BTCUSDT")
    manifest = add(tape, bars(tmp_path / "b.csv", 3, 3), venue="binance-usdm", symbol="BTCUSDT")
    assert manifest.gaps == {} and manifest.bars_only == {PERP: 60_000_000_000} and manifest.intrabar_path
    manifest = add(tape, bars(tmp_path / "c.csv", 7, 3), venue="binance-usdm", symbol="BTCUSDT")
    assert manifest.gaps[PERP].count == 1 and open_tape(tape).bars_only == {PERP: 60_000_000_000}
    gap = open_tape(tape).stream(PERP, StreamKind.GAP)
    assert gap is not None and gap.columns["reason"].tolist() == [GapReason.HOLE]


def test_bars_and_recorded_trades_do_not_mix(tmp_path: Path) -> None:
    recorded, made = tmp_path / "recorded", tmp_path / "made"
    add(recorded, record(tmp_path / "r", [trade(1)]))
    add(made, bars(tmp_path / "b.csv", 0, 3), venue="binance-usdm", symbol="BTCUSDT")
    before = files(recorded), files(made)
    with pytest.raises(UsageError, match="made of recorded trades, b.csv holds bars"):
        add(recorded, tmp_path / "b.csv", venue="binance-usdm", symbol="BTCUSDT")
    with pytest.raises(UsageError, match="made of bars, r holds recorded trades"):
        add(made, tmp_path / "r")
    assert (files(recorded), files(made)) == before


def test_another_grid_is_refused(tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    file = record(tmp_path / "r", [trade(1)])
    result = import_file(file, Request(tick=Decimal("0.05"), lot=Decimal("0.001")), {})
    add(tape, quotes(tmp_path / "q", 1, 3))
    with pytest.raises(UsageError, match=r"tick 0\.1, lot 0\.001; the import is on tick 0\.05"):
        add_to_tape(tape, result)


def test_a_damaged_tape_is_not_added_to(tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    manifest = add(tape, quotes(tmp_path / "q", 1, 3))
    hurt = tape / manifest.files[0].path
    content = bytearray(hurt.read_bytes())
    content[-1] ^= 1
    hurt.write_bytes(bytes(content))
    with pytest.raises(TapeError, match="sha256"):
        add(tape, funding(tmp_path / "binance_usdm_BTCUSDT_funding.csv"))
    assert hurt.read_bytes() == bytes(content)


def test_an_import_without_rows_makes_no_tape(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="nothing of it can be kept: 1 crossed_book"):
        add(tmp_path / "tape", record(tmp_path / "r", [quote(1, bid="100.2")]))
    assert not (tmp_path / "tape").exists()


def test_venue_times_that_one_file_lacks_are_zero(tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    header = "id,exchange,symbol,side,qty,price,event_ts"
    (tmp_path / "l.csv").write_text(f"{header}\n1,binance,BTCUSDT,long,1,100.1,{START // MS}\n")
    add(tape, quotes(tmp_path / "q", 1, 2))
    with_times = import_file(quotes(tmp_path / "q2", 5, 2), Request(), present_instruments(tape))
    del with_times.raw[StreamKind.QUOTE]["ts_event"]
    add_to_tape(tape, with_times)
    stream = open_tape(tape).stream(PERP, StreamKind.QUOTE)
    assert stream is not None and (stream.columns["ts_event"] == 0).tolist() == [False, False, True, True]


def test_where_a_grid_came_from_is_kept(tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    add(tape, quotes(tmp_path / "q", 1, 2))
    add(tape, record(tmp_path / "s", [quote(1, spot=True)]), market="spot", tick=Decimal("0.1"), lot=Decimal("0.1"))
    grids = {name: grid for name, (_, grid) in present_instruments(tape).items()}
    assert grids == {PERP: GridSource.KNOWN, SPOT: GridSource.GIVEN}
    assert present_instruments(tmp_path / "absent") == {}


def test_prices_of_a_second_file_are_on_the_grid_of_the_first(tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    add(tape, record(tmp_path / "a", [trade(n, "100.15", "0.5") for n in range(30)]))
    add(tape, record(tmp_path / "b", [trade(40, "100.2", "0.5")], times=[START + DAY * MS]))
    stream = open_tape(tape).stream(PERP, StreamKind.TRADE)
    assert stream is not None and np.unique(stream.columns["price"]).tolist() == [10015, 10020]
