"""The latch on disk."""

from pathlib import Path

import pytest

from titan_core.app.guard.latch import LATCH_NAME, Latch, archive_latch, read_latch, write_latch

LATCH = Latch(why="a callback of phase x has not returned", since_ns=5, plugin="x", where=("a.py:1 in f",), silent_s=10.0, mode="operational")


def test_a_latch_is_read_as_it_was_written_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    assert read_latch(tmp_path) is None
    write_latch(tmp_path, LATCH)
    assert read_latch(tmp_path) == LATCH
    assert (tmp_path / LATCH_NAME).stat().st_mode & 0o077 == 0
    assert "was not finished" in str(LATCH)


def test_a_lifted_latch_is_kept_under_a_name_of_its_own(tmp_path: Path) -> None:
    for count in (1, 2):
        write_latch(tmp_path, LATCH)
        assert archive_latch(tmp_path) == tmp_path / f"{LATCH_NAME}.{count}"
        assert read_latch(tmp_path) is None
    assert archive_latch(tmp_path) is None


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"why": 5}', b"\xff", b"x" * 100_000])
def test_a_damaged_latch_is_a_latch(tmp_path: Path, data: bytes) -> None:
    (tmp_path / LATCH_NAME).write_bytes(data)
    (tmp_path / LATCH_NAME).chmod(0o600)
    found = read_latch(tmp_path)
    assert found is not None and not found.is_done and "cannot be read" in found.why


def test_a_latch_that_is_a_link_is_a_latch_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / LATCH_NAME).symlink_to("/dev/null")
    found = read_latch(tmp_path)
    assert found is not None and "symbolic link" in found.why
