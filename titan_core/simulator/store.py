"""The file in which a box outlives its process: a head, a clock that is overwritten in place, and one line for each change.

Each line is a checksum and a JSON record. A change is in the file before the venue tells anybody of it; the system keeps what a killed process has written,
so nothing waits for the disk. When the file is opened it is written anew, without what has been superseded.
"""

import fcntl
import os
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from titan_core.errors import TitanError
from titan_core.journal.lock import close_in_children
from titan_core.simulator.records import FORMAT, VERSION, Change, ClockRecord, Head
from titan_core.simulator.saving import Saved

CLOCK_BYTES = 256
"""The clock's line has always this length."""
TURNED_OVER_BYTES = 64 << 20
"""A file that has grown by this much, and to four times its size, is written anew while it is open."""
T = TypeVar("T")

_encoder = msgspec.json.Encoder()
_changes = msgspec.json.Decoder(Change)


class StoreError(TitanError):
    """The file of a box cannot be read or written; the message says what to do."""


def look(path: Path) -> Head | None:
    """Return what box a file holds, None where there is no file. Raises StoreError where it is the file of something else."""
    try:
        with path.open("rb") as file:
            return _head(path, file.readline())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error


class BoxStore:
    """The file of one box. A box that is given it opens it and closes it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock = self._fd = -1
        self._clock_at = self._size = self._fresh = 0

    # -- opening ------------------------------------------------------------------------------------------------
    def open(self) -> tuple[Head, Saved] | None:
        """Take the file for this process and read it; None where there is none yet.

        Raises StoreError where another process has it, or where it is damaged or the file of something else.
        """
        self._take()
        try:
            return self._read()
        except BaseException:
            self.close()
            raise

    def _take(self) -> None:
        name = self.path.with_name(self.path.name + ".lock")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise StoreError(f"another process runs the venue of {self.path}; stop it first, or name another file") from None
        except OSError as error:
            self.close()
            raise StoreError(f"cannot open {self.path}: {error.strerror}; name a file in a folder that can be written") from error
        close_in_children(self)

    def _read(self) -> tuple[Head, Saved] | None:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"cannot read {self.path}: {error.strerror}") from error
        lines = data.split(b"\n")
        lines.pop()  # what stands behind the last line's end was being written when the process was killed, and nobody has been told
        head = _head(self.path, lines[0] + b"\n" if lines else data)
        if len(lines) < 2:
            raise _damaged(self.path, 2, "the clock is missing")
        saved = Saved(_parsed(self.path, 2, lines[1], msgspec.json.Decoder(ClockRecord)))
        for number, line in enumerate(lines[2:], start=3):
            saved.take(_parsed(self.path, number, line, _changes))
        return head, saved

    def begin(self, head: Head, changes: Iterable[Change]) -> None:
        """Write the file anew, and the changes that make the box what it is. The first of them has the clock. Raises StoreError where that fails."""
        fresh = self.path.with_name(self.path.name + ".new")
        try:
            fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                clock_at, size = _write_whole(fd, head, changes)
                os.fsync(fd)
                os.replace(fresh, self.path)
            except BaseException:
                os.close(fd)
                fresh.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise self._unwritten(error) from error
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._clock_at, self._size, self._fresh = fd, clock_at, size, size

    # -- writing ------------------------------------------------------------------------------------------------
    def append(self, change: Change) -> None:
        """Add a change. Raises StoreError where it cannot be written; the file is then as before."""
        line = _line(change)
        try:
            written = os.pwrite(self._fd, line, self._size)
            if written != len(line):
                written += os.pwrite(self._fd, line[written:], self._size + written)  # says why
            if written != len(line):
                raise OSError(28, "no space left on device")
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._fd, self._size)
            raise self._unwritten(error) from error
        self._size += len(line)

    def set_clock(self, clock: ClockRecord) -> None:
        """Overwrite the clock. Raises StoreError where it cannot be written."""
        try:
            os.pwrite(self._fd, _clock_line(clock), self._clock_at)
        except OSError as error:
            raise self._unwritten(error) from error

    @property
    def is_due(self) -> bool:
        """Whether the file has grown so much that it should be written anew."""
        return self._size > self._fresh + TURNED_OVER_BYTES and self._size > 4 * self._fresh

    def close(self) -> None:
        """Let go of the file. Does nothing the second time."""
        for fd in (self._fd, self._lock):
            if fd >= 0:
                os.close(fd)
        self._fd = self._lock = -1

    def close_in_child(self) -> None:
        """Let go of the file in a forked child; it stays with the parent."""
        self.close()

    def _unwritten(self, error: OSError) -> StoreError:
        return StoreError(f"cannot write {self.path}: {error.strerror}; the venue stands still, for it must not forget what it has said: look after the disk")


def _write_whole(fd: int, head: Head, changes: Iterable[Change]) -> tuple[int, int]:
    begin = _line(head)
    clock_at = len(begin)
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(begin)
        for place, change in enumerate(changes):
            if place == 0:
                file.write(_clock_line(change.clock))
            file.write(_line(change))
        return clock_at, file.tell()


def _line(record: msgspec.Struct) -> bytes:
    text = _encoder.encode(record)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _clock_line(clock: ClockRecord) -> bytes:
    line = _line(clock)
    return line[:-1].ljust(CLOCK_BYTES - 1) + b"\n"


def _parsed(path: Path, number: int, line: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
    text = line[9:].rstrip(b" ")
    if line[:9] != b"%08x " % zlib.crc32(text):
        raise _damaged(path, number, "the checksum does not fit")
    try:
        return decoder.decode(text)
    except msgspec.DecodeError as error:
        raise _damaged(path, number, str(error)) from None


def _damaged(path: Path, number: int, what: str) -> StoreError:
    return StoreError(f"line {number} of {path} is damaged ({what}); put a copy in its place, or move the file away to begin with a new market and account")


def _head(path: Path, line: bytes) -> Head:
    try:
        text = msgspec.json.decode(line[9:])
        if text["format"] != FORMAT:
            raise KeyError
        version = text["version"]
    except (msgspec.DecodeError, KeyError, TypeError):
        raise StoreError(f"{path} is not the file of a venue in a box; name another file, or one that does not exist yet") from None
    if version != VERSION:
        raise StoreError(f"{path} has format {version}, this program reads {VERSION}; use the program that wrote it, or name another file")
    return _parsed(path, 1, line.rstrip(b"\n"), msgspec.json.Decoder(Head))
