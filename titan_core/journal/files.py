"""The few things that a journal does to a disk, in one place, so that tests can put a disk in its place that fills up, fails or forgets."""

import errno
import os
from pathlib import Path

from titan_core.journal.failures import JournalError

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What a full disk, a used-up quota and a limit on the size of files say."""
_PART = ".part"


class Files:
    """A real disk. `write` alone promises nothing; `write_durably`, and what is written here as a whole, is on disk when it returns."""

    def open(self, path: Path, *, create: bool) -> int:
        """Open for reading and writing; with `create` the file is made and must not exist."""
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if create else 0)
        return os.open(path, flags, 0o600)

    def allocate(self, fd: int, size: int) -> None:
        """Have the disk set room aside, so that later writes neither grow the file nor find the disk full."""
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, 0, size)
        else:  # pragma: no cover - macOS
            os.ftruncate(fd, size)

    def write(self, fd: int, data: bytes, offset: int) -> None:
        """Write all of it."""
        while data:
            done = os.pwrite(fd, data, offset)
            data, offset = data[done:], offset + done

    def sync(self, fd: int) -> None:
        """Return when what was written is on disk."""
        os.fsync(fd)

    def write_durably(self, fd: int, data: bytes, offset: int) -> None:
        """Write and have it on disk. One system call where there is one for it: a thread gives the interpreter up and must win it back at each call."""
        if hasattr(os, "RWF_DSYNC"):
            try:
                done = os.pwritev(fd, [data], offset, os.RWF_DSYNC)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
                    raise
                done = 0
            if done == len(data):
                return
        self.write(fd, data, offset)
        (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(fd)

    def truncate(self, fd: int, size: int) -> None:
        """Cut the file off."""
        os.ftruncate(fd, size)

    def close(self, fd: int) -> None:
        """Close; nothing is synced by it."""
        os.close(fd)

    def rename(self, source: Path, target: Path) -> None:
        """Put a file in the place of another, or where there was none."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Return when the names in the folder are on disk."""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def create_whole(files: Files, path: Path, data: bytes, size: int = 0) -> int:
    """Make a file that is there with all of `data` or not at all, even after a power cut, and return it open; room for `size` bytes is set aside.

    Raises OSError; nothing is left behind then.
    """
    part = path.with_name(path.name + _PART)
    files.remove(part)
    fd = files.open(part, create=True)
    try:
        if size:
            files.allocate(fd, size)
        files.write(fd, data, 0)
        files.sync(fd)
        files.rename(part, path)
        files.sync_folder(path.parent)
    except BaseException:
        files.close(fd)
        files.remove(part)
        raise
    return fd


def remove_parts(files: Files, folder: Path) -> None:
    """Remove files that a crash kept from being finished."""
    for part in folder.glob(f"*{_PART}"):
        files.remove(part)


def make_folder(folder: Path) -> None:
    """Make the folder of a journal, readable for its owner alone. Raises JournalError where something else has its name."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise JournalError(f"{folder} is no folder, so no journal can be there; name another with --journal or move the file away") from None
