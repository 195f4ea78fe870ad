import gzip
from pathlib import Path

import pytest

from titan_core.errors import TapeError
from titan_core.tape.faults import FaultKind, FaultLog
from titan_core.tape.importers import lines as module
from titan_core.tape.importers.lines import Recording, head, preview

TEXT = b"".join(b"line %d of the recording\n" % number for number in range(1, 2001))


def read(path: Path) -> tuple[list[tuple[int, bytes]], Recording]:
    recording = Recording(path, FaultLog(path.name))
    found = []
    for block in recording.blocks():
        assert block.count == len(block.lines)
        found += [(block.first + place, line) for place, line in enumerate(block.lines)]
    return found, recording


def numbered(text: bytes) -> list[tuple[int, bytes]]:
    return list(enumerate(text.rstrip(b"\n").split(b"\n"), 1))


@pytest.mark.parametrize("block", [7, 100, 1 << 20])
@pytest.mark.parametrize("end", [b"", b"and no newline"])
@pytest.mark.parametrize("packed", [False, True, "two members"])
def test_lines_are_numbered_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, end: bytes, packed: bool | str) -> None:
    monkeypatch.setattr(module, "READ_BYTES", block)
    monkeypatch.setattr(module, "BLOCK_BYTES", block)
    text = TEXT + end
    content = gzip.compress(text[:333]) + gzip.compress(text[333:]) if packed == "two members" else gzip.compress(text) if packed else text
    (tmp_path / "f").write_bytes(content)
    found, recording = read(tmp_path / "f")
    assert found == numbered(text)
    assert not recording.truncated and recording.line_count == len(found) and recording.size == len(content) and len(recording.sha256) == 64


@pytest.mark.parametrize("keep", [20, 300, 1000, -1, -9])
def test_of_a_cut_off_gzip_all_whole_lines_are_kept(tmp_path: Path, keep: int) -> None:
    (tmp_path / "f.gz").write_bytes(gzip.compress(TEXT)[:keep])
    found, recording = read(tmp_path / "f.gz")
    assert found == numbered(TEXT)[: len(found)] and recording.truncated
    (fault,) = recording.log.faults
    assert fault.kind is FaultKind.TRUNCATED and fault.count == 1 and fault.line in (len(found), len(found) + 1)


def test_a_gzip_with_damage_in_the_middle_is_cut_there(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(TEXT))
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "f.gz").write_bytes(bytes(content))
    found, recording = read(tmp_path / "f.gz")
    assert recording.truncated and recording.log.count(FaultKind.TRUNCATED) == 1
    assert len(found) <= 2000


def test_progress_reaches_one(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(TEXT)
    seen: list[float] = []
    list(Recording(tmp_path / "f", FaultLog("f"), seen.append).blocks())
    assert seen[-1] == 1.0


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="no such file"):
        list(Recording(tmp_path / "absent", FaultLog("f")).blocks())


def test_the_head_is_of_whole_lines(tmp_path: Path) -> None:
    (tmp_path / "f.gz").write_bytes(gzip.compress(TEXT))
    assert head(tmp_path / "f.gz", 100) == TEXT.split(b"\n")[:4]
    (tmp_path / "g.gz").write_bytes(b"\x1f\x8b\x08\x00 this is no gzip")
    with pytest.raises(TapeError, match="cannot be decompressed"):
        head(tmp_path / "g.gz")


def test_previews_are_short_and_printable() -> None:
    assert preview(b"\xff\x00abc", 3) == "\\xff\x00a…"
