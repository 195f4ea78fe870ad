"""The latch: the file in a session's folder that says that the guard had to act. While it lies there nothing is entered; only the operator takes it away.

It is written before the guard does anything at the venue and again when that is done, so a start finds it however far the guard came.
"""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from titan_core.app.control.failures import ControlError
from titan_core.app.control.private import read_file, write_file

LATCH_NAME = "guard.latch"
FORMAT = 1
UNREADABLE = "the guard has latched, but its file cannot be read"


class Latch(Struct, frozen=True, kw_only=True):
    """What the guard found and did. Times are ns since 1970."""

    why: str
    since_ns: int
    plugin: str = ""
    """The phase whose code was running, where that could be told."""
    where: tuple[str, ...] = ()
    """What the session's loop was doing, innermost first."""
    silent_s: float = 0.0
    mode: str = ""
    """The chart's state at the session's last sign of life."""
    is_done: bool = False
    """Whether the venues were left: flat by two reads, nothing resting."""
    done_ns: int = 0
    closed: tuple[str, ...] = ()
    """The instruments whose positions were closed."""
    orders: int = 0
    format: int = FORMAT

    def __str__(self) -> str:
        closed = f"closed {', '.join(self.closed)}" if self.closed else "nothing was open"
        return f"{self.why}; {f'the venue was left: {closed}' if self.is_done else 'leaving the venue was not finished'}"


def read_latch(folder: Path) -> Latch | None:
    """Return the latch of a session, None where there is none. One that cannot be read is a latch all the same: whatever it says, the guard has acted."""
    try:
        data = read_file(folder / LATCH_NAME)
        return None if data is None else msgspec.json.decode(data, type=Latch)
    except (ControlError, msgspec.DecodeError, OSError) as error:
        return Latch(why=f"{UNREADABLE} ({error})", since_ns=0)


def write_latch(folder: Path, latch: Latch) -> None:
    """Put the latch in its place, on disk before this returns. Raises OSError."""
    path = folder / LATCH_NAME
    write_file(path, msgspec.json.format(msgspec.json.encode(latch)) + b"\n", os.urandom)
    for each in (path, folder):
        fd = os.open(each, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def archive_latch(folder: Path) -> Path | None:
    """Take the latch away on the operator's word; it is kept under another name. Returns that name, None where there was no latch."""
    path, count = folder / LATCH_NAME, 1
    while (aside := folder / f"{LATCH_NAME}.{count}").exists():
        count += 1
    try:
        path.rename(aside)
    except FileNotFoundError:
        return None
    return aside
