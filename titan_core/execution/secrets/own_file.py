"""Files that nobody but their owner may have touched: read only where that is so, made so that it is."""

import os
import stat
from enum import StrEnum
from pathlib import Path

MODE = 0o600


class Flaw(StrEnum):
    """Why a file is not believed."""

    LINK = "link"
    UNREADABLE = "unreadable"
    NOT_REGULAR = "not_regular"
    NOT_OURS = "not_ours"
    SECOND_NAME = "second_name"
    MODE = "mode"
    TOO_LARGE = "too_large"


class NotOwn(Exception):
    """Carries the flaw and what was found, in words that follow the file's name; who reads the file adds what it means and what to do."""

    def __init__(self, flaw: Flaw, found: str) -> None:
        super().__init__(found)
        self.flaw, self.found = flaw, found


def read_own(path: Path, largest: int) -> bytes:
    """Read a file of the user's own, mode 0600, no link of either kind. Raises FileNotFoundError, NotOwn."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        if path.is_symlink():
            raise NotOwn(Flaw.LINK, "is a symbolic link") from None
        raise NotOwn(Flaw.UNREADABLE, f"cannot be read ({error.strerror})") from None
    try:
        _check(os.fstat(fd))  # before it is opened as a file: it may be a folder or a pipe
    except NotOwn:
        os.close(fd)
        raise
    with open(fd, "rb") as file:
        read = file.read(largest + 1)
    if len(read) > largest:
        raise NotOwn(Flaw.TOO_LARGE, f"is larger than {largest} bytes")
    return read


def _check(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotOwn(Flaw.NOT_REGULAR, "is no regular file")
    if found.st_uid != os.geteuid():
        raise NotOwn(Flaw.NOT_OURS, f"belongs to user {found.st_uid} and you are {os.geteuid()}")
    if found.st_nlink != 1:
        raise NotOwn(Flaw.SECOND_NAME, "has a second name (a hard link)")
    if stat.S_IMODE(found.st_mode) != MODE:
        raise NotOwn(Flaw.MODE, f"has mode {stat.S_IMODE(found.st_mode):04o}")


def write_new(path: Path, content: bytes, *, sync: bool) -> None:
    """Make a file of mode 0600 that was not there; `sync` brings it to disk. Raises FileExistsError, OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
    with open(fd, "wb") as file:
        os.fchmod(fd, MODE)  # the umask may have taken from it what its owner needs
        file.write(content)
        if sync:
            file.flush()
            os.fsync(fd)
