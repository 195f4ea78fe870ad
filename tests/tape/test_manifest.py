import json
from pathlib import Path

import pytest
from attrs import evolve

from titan_core.errors import TapeError
from titan_core.model.enums import InstrumentKind, StreamKind
from titan_core.model.ids import InstrumentId
from titan_core.tape.catalog import known_instrument
from titan_core.tape.faults import Fault, FaultKind
from titan_core.tape.manifest import (
    FORMAT_VERSION,
    MANIFEST_NAME,
    ClockStats,
    FileEntry,
    GapSummary,
    GridSource,
    InstrumentEntry,
    Manifest,
    Silence,
    Source,
    StreamEntry,
    content_digest,
    dump_manifest,
    find_tapes,
    parse_manifest,
    read_manifest,
)
from titan_core.tape.tape import Pair

SPOT, PERP = InstrumentId("BTCUSDT.binance-spot"), InstrumentId("BTCUSDT.binance-usdm")


def example() -> Manifest:
    instrument = known_instrument("binance-usdm", "BTCUSDT")
    assert instrument is not None
    entry = InstrumentEntry.of(instrument, GridSource.KNOWN)
    files = {"ts": FileEntry(f"{PERP}/quote.ts.npy", "<i8", (3,), 152, "ab" * 32)}
    stream = StreamEntry(PERP, StreamKind.QUOTE, 3, 10, 30, files, {"mid2": FileEntry(f"{PERP}/quote.mid2.npy", "<i4", (3,), 140, "cd" * 32)})
    source = Source(
        file="a.gz",
        format="binance-ws",
        size=9,
        sha256="ef" * 32,
        instrument=PERP,
        lines=4,
        messages={"bookTicker": 3, "bad line": 1},
        rows={"quote": 3},
        faults=(Fault(FaultKind.BAD_LINE, 1, "a.gz", 2, "{"),),
        clock=ClockStats(samples=3, min_ns=-5, median_ns=1, max_ns=8),
        silences={"quote": Silence(10, 1, 20, 30)},
        notes=("a note",),
    )
    return Manifest(
        instruments=(entry,),
        pairs=(Pair(SPOT, PERP),),
        streams=(stream,),
        bars_only={PERP: 60},
        intrabar_path="a path",
        gaps={PERP: GapSummary(count=1, total_ns=5, longest_ns=5, first_ns=20)},
        sources=(source,),
        faults=(),
        digest=content_digest((entry,), (stream,), {PERP: 60}),
    )


def test_a_manifest_survives_its_file() -> None:
    manifest = example()
    back = parse_manifest(dump_manifest(manifest), Path("m"))
    assert back.checksum and back.digest == manifest.digest
    assert dump_manifest(back) == dump_manifest(manifest)
    assert back.instruments[0].instrument() == manifest.instruments[0].instrument()
    assert back.instruments[0].kind is InstrumentKind.PERP and back.streams == manifest.streams and back.sources == manifest.sources


def test_every_changed_byte_of_the_manifest_is_noticed(tmp_path: Path) -> None:
    text = dump_manifest(example())
    file = tmp_path / MANIFEST_NAME
    for place in range(0, len(text) - 1, 7):
        changed = bytearray(text)
        changed[place] ^= 1
        if json_equal(bytes(changed), text):
            continue
        file.write_bytes(bytes(changed))
        with pytest.raises(TapeError, match=r"manifest\.json"):
            read_manifest(tmp_path)


def json_equal(one: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


def test_another_format_version_is_refused_with_both_numbers(tmp_path: Path) -> None:
    data = json.loads(dump_manifest(example())) | {"format_version": 99}
    (tmp_path / MANIFEST_NAME).write_text(json.dumps(data))
    with pytest.raises(TapeError, match=f"format 99, this version reads format {FORMAT_VERSION}"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"\xff\xfe", b'{"format_version": 1}'])
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / MANIFEST_NAME).write_bytes(text)
    with pytest.raises(TapeError, match="not a manifest"):
        read_manifest(tmp_path)


def test_a_folder_without_manifest_says_how_to_make_a_tape(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="titan data import"):
        read_manifest(tmp_path)


def test_the_digest_is_that_of_instruments_and_raw_columns_alone() -> None:
    manifest = example()
    (stream,), (entry,) = manifest.streams, manifest.instruments
    other_index = StreamEntry(stream.instrument, stream.kind, 3, 10, 30, stream.raw, {})
    assert content_digest((entry,), (other_index,), {PERP: 60}) == manifest.digest
    other_raw = StreamEntry(stream.instrument, stream.kind, 3, 10, 30, {"ts": FileEntry(f"{PERP}/quote.ts.npy", "<i8", (3,), 152, "00" * 32)}, stream.index)
    assert content_digest((entry,), (other_raw,), {PERP: 60}) != manifest.digest
    assert content_digest((entry,), (stream,), {}) != manifest.digest
    assert content_digest((evolve(entry, grid=GridSource.GIVEN),), (stream,), {PERP: 60}) == manifest.digest
    assert content_digest((evolve(entry, tick_size="0.2"),), (stream,), {PERP: 60}) != manifest.digest
    assert content_digest((evolve(entry, taker_fee_ppm=1),), (stream,), {PERP: 60}) != manifest.digest


def test_only_tapes_are_found(tmp_path: Path) -> None:
    for name, files in {"run": {}, "tape": {"X.v/quote.ts.npy": b""}, ".hidden": {"X.v/quote.ts.npy": b""}}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / MANIFEST_NAME).write_bytes(dump_manifest(example()) if name != "run" else b'{"digest": "x"}')
        for file, content in files.items():
            (tmp_path / name / file).parent.mkdir()
            (tmp_path / name / file).write_bytes(content)
    assert find_tapes(tmp_path) == [tmp_path / "tape"]
    assert find_tapes(tmp_path / "tape") == [tmp_path / "tape"]
