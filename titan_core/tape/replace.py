"""Replacing a folder in one step: write beside it, exchange, remove the old one. Whatever happens, the path holds the old or the new folder, whole."""

import contextlib
import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextlib.contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Give an empty hidden folder beside `path`, removed at the end if it is still there; leftovers of dead processes are removed first."""
    prefix = f".{path.name}.writing-"
    for leftover in path.parent.glob(f"{prefix}*"):
        owner = leftover.name.removeprefix(prefix).split("-")[0]
        if owner.isdigit() and not _alive(int(owner)):
            shutil.rmtree(leftover, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=path.parent))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def replace_folder(new: Path, path: Path) -> None:
    """Put the folder `new` in the place of `path`, durably. What was there is left at `new`, for the caller to remove."""
    fsync_path(new)
    if not path.exists():
        new.rename(path)
    elif not _exchange(new, path):
        aside = new.with_name(f"{new.name}.old")
        path.rename(aside)
        try:
            new.rename(path)
        except OSError:
            aside.rename(path)
            raise
        aside.rename(new)
    fsync_path(path.parent)


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder, so that two processes do not change tapes in it at the same time. Waits for the other one."""
    folder.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def fsync_path(path: Path) -> None:
    """Make a file or a folder's entries durable."""
    if sys.platform == "win32" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fsync_all(paths: Sequence[Path]) -> None:
    """Make many files durable. At the same time, since a file system commits together what is asked of it together: one by one takes 20 times as long."""
    with ThreadPoolExecutor(16) as workers:
        list(workers.map(fsync_path, paths))


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders atomically where the system can (Linux renameat2); return whether it did."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return bool(rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
