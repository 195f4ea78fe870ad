"""Recovery: the longest whole prefix after a torn end, and no damage without a report."""

from pathlib import Path
from tempfile import TemporaryDirectory
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_core.journal.codec import EntryCodec, Record
from titan_core.journal.failures import JournalDamaged, JournalError, JournalTooNew
from titan_core.journal.files import Files
from titan_core.journal.frames import Frame, encode_seal, scan
from titan_core.journal.reading import read, verify
from titan_core.journal.recovery import recover
from titan_core.journal.segments import segment_path
from titan_core.journal.snapshots import RawSnapshot, write_snapshot

from .parts import CODEC, Intent, State, clock, intent, lay_out

GROUPS = st.lists(st.integers(1, 5), min_size=1, max_size=4)
SEGMENTS = st.lists(GROUPS, min_size=1, max_size=3)


def frames_of(path: Path) -> list[Frame]:
    return [item for item in scan(path.read_bytes()) if isinstance(item, Frame)]


def numbers(tail: tuple[Record[object], ...]) -> list[int]:
    for record in tail:
        assert record.entry == intent(record.seq), "a recovered entry is the one that was written"
    return [record.seq for record in tail]


@given(SEGMENTS, st.data())
@settings(max_examples=60)
def test_a_journal_cut_anywhere_gives_its_longest_whole_prefix(segments: list[list[int]], data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        last = lay_out(folder, segments)[-1]
        image = last.read_bytes()
        frames = frames_of(last)
        header_end = image.index(b"\n") + 1
        cut = data.draw(st.integers(header_end, frames[-1].end))
        garbage = data.draw(st.binary(max_size=20))
        last.write_bytes((image[:cut] + garbage).ljust(len(image), b"\0"))
        whole = [frame for frame in frames if frame.end <= cut]
        expected_last = whole[-1].seq if whole else frames[0].seq - 1
        first = recover(folder, CODEC)
        assert (numbers(first.tail), first.last_seq, first.damage) == (list(range(1, expected_last + 1)), expected_last, ())
        end = whole[-1].end if whole else header_end
        torn = (image[end:cut] + garbage).rstrip(b"\0")
        if torn:
            assert first.torn is not None and first.torn.kept is not None
            assert (first.torn.file, first.torn.offset, first.torn.kept.read_bytes()) == (last, end, torn)
        else:
            assert first.torn is None
        again = recover(folder, CODEC)
        assert (again.tail, again.torn, again.end) == (first.tail, None, (last, end))


@given(SEGMENTS, st.data())
@settings(max_examples=80)
def test_a_changed_byte_is_reported_with_file_offset_and_loss(segments: list[list[int]], data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        paths = lay_out(folder, segments)
        total = sum(map(sum, segments))
        path = data.draw(st.sampled_from(paths))
        image = bytearray(path.read_bytes())
        frames = frames_of(path)
        at = data.draw(st.integers(0, frames[-1].end - 1))
        image[at] ^= data.draw(st.integers(1, 255))
        path.write_bytes(image)
        hit = {frame.seq for frame in frames if frame.start <= at < frame.end}
        last_group = range(total - segments[-1][-1] + 1, total + 1)
        found = recover(folder, CODEC, accept_damage=True, repair=False)
        lost = {seq for each in found.damage for seq in range(each.first_lost, each.last_lost + 1)}
        if not hit:  # in the header; its line break is not missed
            assert (numbers(found.tail), lost, found.torn) == (list(range(1, total + 1)), set(), None)
            assert [(each.file, each.offset) for each in found.damage] == ([] if at == frames[0].start - 1 else [(path, 0)])
            return
        (seq,) = hit
        if seq in last_group:
            assert (found.damage, numbers(found.tail)) == ((), list(range(1, seq)))
            assert found.torn is not None and found.torn.file == path
            return
        (damage,) = found.damage
        assert damage.file == path and damage.offset <= at < damage.offset + damage.length
        assert seq in lost and lost <= {seq, seq + 1}  # without its line break a record drags the next one along
        assert set(numbers(found.tail)) == set(range(1, total + 1)) - lost
        with pytest.raises(JournalDamaged) as raised:
            recover(folder, CODEC, repair=False)
        assert raised.value.damage == (damage,) and str(path) in str(raised.value)
        with pytest.raises(JournalDamaged):
            list(read(folder, CODEC))
        assert verify(folder)[:2] == (total, (damage,))


@given(st.lists(st.integers(1, 5), min_size=2, max_size=4), st.integers(1, 40), st.data())
@settings(max_examples=60)
def test_pieces_missing_from_the_group_that_was_being_written_are_a_torn_end(groups: list[int], unsynced: int, data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        (path,) = lay_out(folder, [[*groups, unsynced]], size=8_192)
        frames = frames_of(path)
        image = bytearray(path.read_bytes())
        start = frames[sum(groups)].start
        pieces = range(start, frames[-1].end, 64)
        for piece in data.draw(st.sets(st.sampled_from(pieces), min_size=1)):
            image[piece : piece + 64] = bytes(len(image[piece : piece + 64]))
        path.write_bytes(image)
        found = recover(folder, CODEC)
        assert found.damage == ()
        assert numbers(found.tail) == list(range(1, found.last_seq + 1))
        assert found.last_seq >= sum(groups)


def test_damage_to_the_last_group_of_a_sealed_journal_is_damage(tmp_path: Path) -> None:
    (path,) = lay_out(tmp_path, [[2, 3]])
    frame = frames_of(path)[-1]
    image = bytearray(path.read_bytes())
    seal = encode_seal(5, clock())
    image[frame.end : frame.end + len(seal)] = seal
    path.write_bytes(image)
    assert recover(tmp_path, CODEC).end == (path, frame.end + len(seal))
    image[frame.start + 20] ^= 1
    path.write_bytes(image)
    with pytest.raises(JournalDamaged, match="entry 5 is lost"):
        recover(tmp_path, CODEC)


def test_missing_segments_are_reported(tmp_path: Path) -> None:
    paths = lay_out(tmp_path, [[2], [3], [1]])
    paths[1].unlink()
    with pytest.raises(JournalDamaged, match="entries 3 to 5 are lost"):
        recover(tmp_path, CODEC)
    paths[0].unlink()
    with pytest.raises(JournalDamaged, match="entries 1 to 5 are lost"):
        recover(tmp_path, CODEC)


def test_a_journal_that_ends_before_its_snapshot_has_lost_something(tmp_path: Path) -> None:
    (path,) = lay_out(tmp_path, [[4]])
    write_snapshot(Files(), tmp_path, "00112233aabbccdd", RawSnapshot(4, 1, b'{"total":10}'), 3)
    frame = frames_of(path)[-1]
    path.write_bytes(path.read_bytes()[: frame.start].ljust(4_096, b"\0"))
    with pytest.raises(JournalDamaged, match="entry 4 is lost"):
        recover(tmp_path, CODEC, State)
    accepted = recover(tmp_path, CODEC, State, accept_damage=True)
    assert (accepted.last_seq, accepted.end, accepted.tail) == (4, None, ())


def test_a_journal_of_a_later_version_is_refused(tmp_path: Path) -> None:
    (path,) = lay_out(tmp_path, [[1]])
    text = b"TITAN-JOURNAL 2 more fields"
    path.write_bytes(b"%b %08x\n" % (text, crc32(text)))
    with pytest.raises(JournalTooNew, match="format 2.*reads formats up to 1.*newer one"):
        recover(tmp_path, CODEC)


def test_entries_of_an_unknown_type_are_no_damage(tmp_path: Path) -> None:
    lay_out(tmp_path, [[1]])

    import msgspec

    class Other(msgspec.Struct, tag=True):
        pass

    with pytest.raises(JournalError, match="entry 1 .* is whole but not understood"):
        recover(tmp_path, EntryCodec(Other))


def test_files_of_two_journals_are_not_mixed(tmp_path: Path) -> None:
    lay_out(tmp_path, [[2]])
    other = tmp_path / "other"
    lay_out(other, [[2], [2]])
    moved = segment_path(other, 3)
    data = moved.read_bytes().replace(b"00112233aabbccdd", b"ffffffffffffffff")
    line = data[: data.index(b"\n")].rpartition(b" ")[0]
    (tmp_path / moved.name).write_bytes(b"%b %08x\n" % (line, crc32(line)) + data[data.index(b"\n") + 1 :])
    with pytest.raises(JournalError, match="two journals are mixed"):
        recover(tmp_path, CODEC)


def test_nothing_is_an_empty_journal(tmp_path: Path) -> None:
    found = recover(tmp_path / "none", CODEC)
    assert (found.journal_id, found.tail, found.last_seq, found.end) == ("", (), 0, None)
    assert isinstance(intent(1), Intent)


def test_a_record_that_went_with_the_header_is_not_forgotten(tmp_path: Path) -> None:
    (path,) = lay_out(tmp_path, [[1]])
    image = bytearray(path.read_bytes())
    line_break = image.index(b"\n")
    image[line_break - 4 : line_break + 4] = b"?" * 8
    path.write_bytes(image)
    found = recover(tmp_path, CODEC)
    assert found.tail == () and found.damage[0].reason == "the header cannot be read"
    assert found.torn is not None and found.torn.length > 0
