import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import titan_core.tape.store as module
from titan_core.errors import TapeError
from titan_core.model.enums import StreamKind
from titan_core.model.instrument import Instrument
from titan_core.tape.catalog import known_instrument
from titan_core.tape.columns import SPECS, Columns
from titan_core.tape.files import STAMP_NAME
from titan_core.tape.manifest import MANIFEST_NAME
from titan_core.tape.store import open_tape, read_manifest, store, verify_tape, write_tape
from titan_core.tape.tape import Pair, StreamKey, Tape, build_tape


def instrument(venue: str) -> Instrument:
    found = known_instrument(venue, "BTCUSDT")
    assert found is not None
    return found


SPOT, PERP = instrument("binance-spot"), instrument("binance-usdm")
Raw = dict[StreamKey, Columns]


def make_columns(kind: StreamKind, rows: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    spec = SPECS[kind]
    columns: dict[str, np.ndarray] = {}
    for name, dtype in spec.raw.items():
        if name == "ts":
            columns[name] = np.cumsum(rng.integers(1, 40 * 10**9, rows)).astype(np.int64) + 1_700_000_000 * 10**9
        else:
            shape = rows if spec.width == 1 else (rows, spec.width)
            columns[name] = rng.integers(1, 1_000_000, shape).astype(dtype)
    if kind is StreamKind.QUOTE:
        columns["ask"] = columns["bid"] + np.int32(1)
    if kind is StreamKind.DEPTH:
        columns["asks"] = columns["bids"] + np.int32(1)
    return columns


def make_raw(rows: int = 200, seed: int = 0) -> Raw:
    raw: Raw = {}
    for place, (who, kind) in enumerate(
        [
            (SPOT, StreamKind.QUOTE),
            (SPOT, StreamKind.TRADE),
            (PERP, StreamKind.GAP),
            (PERP, StreamKind.QUOTE),
            (PERP, StreamKind.DEPTH),
            (PERP, StreamKind.TRADE),
            (PERP, StreamKind.FUNDING),
        ]
    ):
        raw[who.id, kind] = make_columns(kind, rows if kind is not StreamKind.FUNDING else 3, seed + place)
    return raw


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    write_tape(tmp_path / "tape", [SPOT, PERP], make_raw())
    return tmp_path / "tape"


def assert_same(one: Tape, other: Tape) -> None:
    assert (one.instruments, one.pairs, dict(one.bars_only)) == (other.instruments, other.pairs, dict(other.bars_only))
    assert [(s.instrument, s.kind, s.rank) for s in one.streams] == [(s.instrument, s.kind, s.rank) for s in other.streams]
    for mine, others in zip(one.streams, other.streams, strict=True):
        assert mine.columns.keys() == others.columns.keys()
        for name, column in mine.columns.items():
            assert column.dtype == others.columns[name].dtype and column.shape == others.columns[name].shape
            assert np.array_equal(column, others.columns[name]), (mine.instrument, mine.kind, name)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kinds=st.sets(st.sampled_from([kind for kind in StreamKind if kind is not StreamKind.BASIS]), max_size=4),
    rows=st.sampled_from([0, 1, 2, 63, 64, 65, 500]),
    seed=st.integers(0, 2**16),
    bars=st.booleans(),
)
def test_a_tape_written_and_opened_is_the_one_built_in_memory(tmp_path: Path, kinds: set[StreamKind], rows: int, seed: int, bars: bool) -> None:
    raw: Raw = {(who.id, kind): make_columns(kind, rows, seed + place) for place, kind in enumerate(sorted(kinds)) for who in (SPOT, PERP)}
    bars_only = {PERP.id: 60_000_000_000} if bars else {}
    write_tape(tmp_path / "tape", [SPOT, PERP], raw, bars_only=bars_only)
    opened = open_tape(tmp_path / "tape")
    assert_same(opened, build_tape([SPOT, PERP], raw, bars_only=bars_only))
    assert opened.digest and verify_tape(tmp_path / "tape").ok


def test_opened_columns_have_the_types_of_columns_in_memory_and_never_reach_the_file(tape: Path) -> None:
    column = open_tape(tape).streams[0].columns["ts"]
    assert type(column) is np.ndarray and column.flags.c_contiguous and column.flags.aligned and column.flags.writeable
    column[0] = 0
    assert open_tape(tape).streams[0].columns["ts"][0] != 0


def test_pairs_and_bar_lengths_are_kept(tmp_path: Path) -> None:
    manifest = write_tape(tmp_path / "tape", [SPOT, PERP], make_raw(), pairs=[], bars_only={SPOT.id: 5})
    assert manifest.stream(PERP.id, StreamKind.BASIS) is None and "open-low-high-close" in manifest.intrabar_path
    opened = open_tape(tmp_path / "tape")
    assert opened.pairs == () and opened.bars_only == {SPOT.id: 5}
    write_tape(tmp_path / "tape", [SPOT, PERP], make_raw(), pairs=[Pair(SPOT.id, PERP.id)])
    assert open_tape(tmp_path / "tape").stream(PERP.id, StreamKind.BASIS) is not None


def test_equal_content_has_an_equal_digest_and_equal_bytes(tmp_path: Path) -> None:
    one = write_tape(tmp_path / "one", [SPOT, PERP], make_raw())
    other = write_tape(tmp_path / "other", [SPOT, PERP], make_raw())
    assert one.digest == other.digest
    assert {f.path: (tmp_path / "one" / f.path).read_bytes() for f in one.files} == {f.path: (tmp_path / "other" / f.path).read_bytes() for f in other.files}
    assert write_tape(tmp_path / "third", [SPOT, PERP], make_raw(seed=1)).digest != one.digest


# -- damage -------------------------------------------------------------------------------------------------------
def test_a_flipped_byte_in_any_file_is_refused_and_named(tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    write_tape(tape, [SPOT], {key: columns for key, columns in make_raw(20).items() if key[0] == SPOT.id})
    for number, entry in enumerate(read_manifest(tape).files):
        file = tape / entry.path
        good = file.read_bytes()
        place = (0, len(good) - 1, len(good) // 2)[number % 3]
        with file.open("r+b") as handle:
            handle.seek(place)
            handle.write(bytes([good[place] ^ 1]))
        with pytest.raises(TapeError) as caught:
            open_tape(tape)
        assert entry.path in str(caught.value)
        assert any(entry.path in problem for problem in verify_tape(tape).problems)
        file.write_bytes(good)
    assert open_tape(tape).ticks and verify_tape(tape).ok


def test_a_flipped_byte_whose_modification_time_was_put_back_is_refused(tape: Path) -> None:
    file = tape / read_manifest(tape).files[0].path
    before, content = file.stat(), bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(TapeError, match="sha256"):
        open_tape(tape)


@pytest.mark.parametrize("size", [0, 50, -1])
def test_a_file_of_another_size_is_refused_with_both_sizes(tape: Path, size: int) -> None:
    entry = read_manifest(tape).files[3]
    content = (tape / entry.path).read_bytes()
    (tape / entry.path).write_bytes(content + b"x" if size < 0 else content[:size])
    with pytest.raises(TapeError, match=f"{'bytes' if size else '0 bytes'}, the manifest says {entry.size}"):
        open_tape(tape, verify=False)


def test_a_missing_file_is_refused(tape: Path) -> None:
    entry = read_manifest(tape).files[-1]
    (tape / entry.path).unlink()
    with pytest.raises(TapeError, match="missing"):
        open_tape(tape, verify=False)
    assert not verify_tape(tape).ok


def test_a_changed_header_is_refused_without_hashing(tape: Path) -> None:
    entry = read_manifest(tape).files[0]
    content = (tape / entry.path).read_bytes()
    (tape / entry.path).write_bytes(content.replace(b"<i8", b"<u8"))
    with pytest.raises(TapeError, match="header"):
        open_tape(tape, verify=False)


def test_an_untouched_tape_is_not_hashed_again_and_a_copied_one_is(tape: Path) -> None:
    entry = read_manifest(tape).files[0]
    stamp = (tape / STAMP_NAME).read_text()
    open_tape(tape)
    assert (tape / STAMP_NAME).read_text() == stamp
    copy = tape.with_name("copy")
    shutil.copytree(tape, copy)
    content = bytearray((copy / entry.path).read_bytes())
    content[-1] ^= 1
    (copy / entry.path).write_bytes(bytes(content))
    shutil.copy(tape / STAMP_NAME, copy / STAMP_NAME)
    with pytest.raises(TapeError, match="sha256"):
        open_tape(copy)


def test_a_tape_on_read_only_media_opens(tape: Path) -> None:
    (tape / STAMP_NAME).unlink()
    (tape / STAMP_NAME).mkdir()
    assert open_tape(tape).ticks


def test_verify_finds_a_derived_column_that_does_not_follow_from_the_raw_ones(tmp_path: Path) -> None:
    """Such a tape has all its hashes right; only recomputing tells."""
    raw = make_raw()
    digest = write_tape(tmp_path / "good", [SPOT, PERP], raw).digest
    real = module.build_index
    try:
        module.build_index = lambda kind, columns: {n: c + (n == "mid2") for n, c in real(kind, columns).items()}  # type: ignore[assignment]
        write_tape(tmp_path / "forged", [SPOT, PERP], raw)
    finally:
        module.build_index = real
    assert digest == read_manifest(tmp_path / "forged").digest
    problems = verify_tape(tmp_path / "forged").problems
    assert any("quote" in problem and "mid2" in problem for problem in problems)


def test_verify_finds_crossed_books(tmp_path: Path) -> None:
    raw = make_raw()
    quotes = dict(raw[SPOT.id, StreamKind.QUOTE])
    quotes["ask"] = quotes["ask"].copy()
    quotes["ask"][7] = quotes["bid"][7]
    raw[SPOT.id, StreamKind.QUOTE] = quotes
    write_tape(tmp_path / "tape", [SPOT, PERP], raw)
    (problem,) = verify_tape(tmp_path / "tape").problems
    assert "1 crossed books, the first at row 7" in problem


# -- writing ------------------------------------------------------------------------------------------------------
def test_times_that_do_not_increase_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    raw = make_raw()
    columns = dict(raw[SPOT.id, StreamKind.TRADE])
    columns["ts"] = columns["ts"].copy()
    columns["ts"][5] = columns["ts"][4]
    raw[SPOT.id, StreamKind.TRADE] = columns
    with pytest.raises(TapeError, match="strictly increase; row 5"):
        write_tape(tmp_path / "tape", [SPOT, PERP], raw)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_other_things_and_a_file_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("cat")
    (tmp_path / "file").write_text("x")
    for path in ("photos", "file"):
        with pytest.raises(TapeError, match="give a new path"):
            write_tape(tmp_path / path, [SPOT], {})
    assert (tmp_path / "photos" / "cat.jpg").read_text() == "cat"


def test_a_stream_of_an_unknown_instrument_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="not among the instruments"):
        write_tape(tmp_path / "tape", [SPOT], make_raw())
    assert list(tmp_path.iterdir()) == []


def test_kept_streams_stay_byte_for_byte_and_their_damage_is_noticed(tape: Path) -> None:
    before = {entry.path: (tape / entry.path).read_bytes() for entry in read_manifest(tape).files}
    raw = make_raw()
    new = {(PERP.id, StreamKind.MARK): make_columns(StreamKind.MARK, 9, 5)}
    store(tape, [SPOT, PERP], new, keep=list(raw))
    manifest = read_manifest(tape)
    assert {path: (tape / path).read_bytes() for path in before} == before
    assert_same(open_tape(tape), build_tape([SPOT, PERP], raw | new))
    hurt = tape / manifest.files[0].path
    content = bytearray(hurt.read_bytes())
    content[-1] ^= 1
    hurt.write_bytes(bytes(content))
    with pytest.raises(TapeError, match="sha256"):
        store(tape, [SPOT, PERP], new, keep=list(raw))


CRASH = """
    import os, sys
    from pathlib import Path
    sys.path.insert(0, {here!r})
    from test_store import PERP, SPOT, make_raw
    from titan_core.tape import files, replace, store
    calls = 0
    real = os.fsync
    def fsync(handle):
        global calls
        calls += 1
        if calls == {at}:
            os._exit(9)
        real(handle)
    os.fsync = fsync
    store.write_tape(Path({path!r}), [SPOT, PERP], make_raw(seed=7))
"""


@pytest.mark.parametrize("place", [0.0, 0.3, 0.9, 1.0, "replaced"])
def test_a_crash_at_any_moment_leaves_a_whole_tape_and_the_next_write_cleans_up(tape: Path, place: float | str) -> None:
    """The process dies in the middle: at the first file, at later ones, just before and just after the new tape takes the old one's place."""
    manifest = read_manifest(tape)
    syncs_before_exchange = len(manifest.files) + len(manifest.instruments) + 2
    at = syncs_before_exchange + 1 if isinstance(place, str) else 1 + int(place * (syncs_before_exchange - 1))
    root = Path(__file__).resolve().parents[2]
    script = dedent(CRASH).format(here=str(Path(__file__).parent), at=at, path=str(tape))
    done = subprocess.run([sys.executable, "-c", script], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True)
    assert done.returncode == 9, (done.returncode, done.stderr)
    new = write_tape(tape.with_name("other"), [SPOT, PERP], make_raw(seed=7)).digest
    assert open_tape(tape).digest == (new if place == "replaced" else manifest.digest) and verify_tape(tape).ok
    write_tape(tape, [SPOT, PERP], make_raw(seed=8))
    assert sorted(path.name for path in tape.parent.iterdir()) == ["other", "tape"]


def test_an_interrupted_write_leaves_the_old_tape(tape: Path) -> None:
    digest = read_manifest(tape).digest

    def interrupt(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_tape(tape, [SPOT, PERP], make_raw(seed=7), progress=interrupt)
    assert open_tape(tape).digest == digest
    assert [path.name for path in tape.parent.iterdir()] == [tape.name]


def test_a_system_without_exchange_still_replaces(tape: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("titan_core.tape.replace._exchange", lambda one, other: False)
    manifest = write_tape(tape, [SPOT, PERP], make_raw(seed=7))
    assert open_tape(tape).digest == manifest.digest
    assert [path.name for path in tape.parent.iterdir()] == [tape.name]


def test_readers_of_a_replaced_tape_keep_what_they_opened(tape: Path) -> None:
    opened = open_tape(tape)
    expected = build_tape([SPOT, PERP], make_raw())
    write_tape(tape, [SPOT, PERP], make_raw(seed=7))
    assert_same(opened, expected)


def test_progress_ends_at_one(tmp_path: Path) -> None:
    seen: list[float] = []
    collect: Callable[[float], None] = seen.append
    write_tape(tmp_path / "tape", [SPOT, PERP], make_raw(), progress=collect)
    assert seen == sorted(seen) and seen[-1] == 1.0


def test_the_manifest_counts_the_gaps(tape: Path) -> None:
    manifest, raw = read_manifest(tape), make_raw()[PERP.id, StreamKind.GAP]
    gaps = manifest.gaps[PERP.id]
    assert gaps.count == len(raw["ts"]) and gaps.total_ns == int(raw["length_ns"].sum()) and gaps.longest_ns == int(raw["length_ns"].max())
    assert (tape / MANIFEST_NAME).read_text().startswith('{\n  "format_version"')
