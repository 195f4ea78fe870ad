"""The session's files are the user's own."""

import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titan_core.app.control.failures import ControlError
from titan_core.app.control.private import check_folder, make_folder, write_file
from titan_core.app.control.token import SECRET_BYTES, Direction, Token, make_token, read_token


def test_a_secret_is_made_anew_in_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first = make_token(path, os.urandom)
    second = make_token(path, os.urandom)
    assert path.stat().st_mode & 0o777 == 0o600
    found = read_token(path)
    assert found is not None
    assert found.sign(Direction.REQUEST, b"x") == second.sign(Direction.REQUEST, b"x") != first.sign(Direction.REQUEST, b"x")
    assert list(tmp_path.iterdir()) == [path]


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        make_token(tmp_path / "key", os.urandom)
    finally:
        os.umask(before)
    assert read_token(tmp_path / "key") is not None


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o640, 0o700, 0o604])
def test_a_secret_that_others_may_have_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    make_token(path, os.urandom)
    path.chmod(mode)
    with pytest.raises(ControlError, match=f"has mode {mode:04o} and must have 0600"):
        read_token(path)


def test_a_link_is_refused_and_replaced_but_never_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    make_token(other, os.urandom)
    content = other.read_bytes()
    path = tmp_path / "key"
    path.symlink_to(other)
    with pytest.raises(ControlError, match="is a symbolic link"):
        read_token(path)
    make_token(path, os.urandom)
    assert other.read_bytes() == content and not path.is_symlink()


def test_a_hard_link_is_refused(tmp_path: Path) -> None:
    make_token(tmp_path / "key", os.urandom)
    os.link(tmp_path / "key", tmp_path / "second")
    with pytest.raises(ControlError, match="second name"):
        read_token(tmp_path / "key")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_or_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    make_token(tmp_path / "key", os.urandom)
    os.chown(tmp_path / "key", 12_345, 12_345)
    with pytest.raises(ControlError, match="belongs to user 12345 and you are 0"):
        read_token(tmp_path / "key")
    (tmp_path / "folder").mkdir()
    os.chown(tmp_path / "folder", 12_345, 12_345)
    with pytest.raises(ControlError, match="belongs to user 12345"):
        make_folder(tmp_path / "folder")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "key", 0o600)
    with pytest.raises(ControlError, match="is no regular file"):
        read_token(tmp_path / "key")


@pytest.mark.parametrize("content", [b"", b"zz", b"ab" * (SECRET_BYTES - 1), b"\xff" * 64, b"a" * (1 << 17)])
def test_what_is_no_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    write_file(tmp_path / "key", content, os.urandom)
    with pytest.raises(ControlError):
        read_token(tmp_path / "key")


def test_a_folder_is_taken_for_oneself(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    make_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    with pytest.raises(ControlError, match="can be written by others"):
        check_folder(folder)
    make_folder(folder)
    check_folder(folder)
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(ControlError, match="symbolic link"):
        make_folder(tmp_path / "link")


def test_a_secret_shows_itself_nowhere() -> None:
    token = Token(b"s" * SECRET_BYTES)
    assert "s" * 4 not in f"{token!r} {token}"
    with pytest.raises(TypeError):
        pickle.dumps(token)


@given(st.binary(), st.binary(), st.sampled_from(Direction), st.sampled_from(Direction))
def test_a_signature_holds_for_one_body_and_one_direction(one: bytes, other: bytes, way: Direction, back: Direction) -> None:
    token = Token(b"s" * SECRET_BYTES)
    assert token.signed(way, one, token.sign(back, other)) == ((way, one) == (back, other))
    assert not token.signed(way, one, "") and not token.signed(way, one, "ä")
