"""Rows on disk while they come in: one file that only grows, in blocks with a checksum each, so that whatever was flushed can be read after any end.

A block is a header (length and CRC-32 of what follows, number of the stream, number of rows) and the columns one after another, little-endian; stream 0 is a
note in JSON: a session's begin, or an instrument's rules with the numbers of its streams. A torn or damaged block ends what can be read.
"""

import json
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

from titan_core.errors import TapeError
from titan_core.model.enums import StreamKind
from titan_core.tape.columns import SPECS

MAGIC = b"titan spool 1\n"
NAME = "rows.spool"
NOTE = 0
_HEADER = struct.Struct("<IIHI")
MOST_BLOCK = 256 << 20

Columns = dict[str, NDArray[np.generic]]


@frozen
class Block:
    """One block as it was read: the columns of a stream, or a note."""

    stream: int
    rows: int
    payload: bytes

    @property
    def note(self) -> dict[str, Any]:
        """The note of a block of stream 0."""
        found: dict[str, Any] = json.loads(self.payload)
        return found

    def columns(self, kind: StreamKind) -> Columns:
        """Return the columns of a block of rows, with the venue's times."""
        columns: Columns = {}
        start = 0
        for name, dtype, width in layout(kind):
            count = self.rows * width
            column = np.frombuffer(self.payload, dtype, count, start)
            columns[name] = column.reshape(self.rows, width) if width > 1 else column
            start += column.nbytes
        return columns


def layout(kind: StreamKind) -> list[tuple[str, np.dtype[Any], int]]:
    """Return name, type and values per row of the columns of a kind, in the order in which they are written."""
    spec = SPECS[kind]
    own = [(name, np.dtype(dtype).newbyteorder("<"), 1 if name == "ts" else spec.width) for name, dtype in spec.raw.items()]
    return [*own, ("ts_event", np.dtype("<i8"), 1)]


def pack(kind: StreamKind, rows: list[tuple[int, int, tuple[Any, ...]]]) -> bytes:
    """Return rows (receive time, venue's time, values) as the payload of a block."""
    times, events, values = zip(*rows, strict=True)
    columns = {"ts": times, "ts_event": events, **dict(zip(list(SPECS[kind].raw)[1:], zip(*values, strict=True), strict=True))}
    return b"".join(np.array(columns[name], dtype).tobytes() for name, dtype, _ in layout(kind))


def encode(stream: int, rows: int, payload: bytes) -> bytes:
    """Return a block."""
    rest = struct.pack("<HI", stream, rows)
    return _HEADER.pack(len(payload), zlib.crc32(payload, zlib.crc32(rest)), stream, rows) + payload


@define
class SpoolWriter:
    """Appends blocks to the file of a folder; what a crash left half written is cut off first."""

    folder: Path
    path: Path = field(init=False)
    _file: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / NAME
        whole = sound_length(self.path) if self.path.exists() and self.path.stat().st_size else 0
        self._file = self.path.open("r+b" if self.path.exists() else "x+b", buffering=0)
        self._file.truncate(whole)
        self._file.seek(whole)
        if not whole:
            self._write(MAGIC)

    def note(self, content: dict[str, Any]) -> None:
        """Append a note."""
        self._write(encode(NOTE, 0, json.dumps(content).encode()))

    def rows(self, stream: int, kind: StreamKind, rows: list[tuple[int, int, tuple[Any, ...]]]) -> None:
        """Append rows. When it returns the system has them: they outlive this process, though not a loss of power before `sync`."""
        self._write(encode(stream, len(rows), pack(kind, rows)))

    def sync(self) -> None:
        """Make everything written so far outlive a loss of power."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, data: bytes) -> None:
        """Write all or nothing. Raises OSError, for example where the disk is full; then the file is as it was."""
        start = self._file.tell()
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError:
            self._file.seek(start)
            self._file.truncate()
            raise


@define
class SpoolReader:
    """Reads the blocks of a file until its end or the first block that is damaged; then `problem` says what was found."""

    path: Path
    problem: str = field(default="", init=False)
    sound: int = field(default=0, init=False)
    """How many bytes can be read."""

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks. Raises TapeError where the file is not a spool."""
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise TapeError(f"{self.path}: cannot be read ({error.strerror}); give the folder of a recording") from error
        with file:
            magic = file.read(len(MAGIC))
            if magic != MAGIC:
                if MAGIC.startswith(magic):
                    return
                raise TapeError(f"{self.path}: begins with {magic!r}, not {MAGIC!r}: it is not a recording of a feed, or one of another version")
            self.sound = len(MAGIC)
            while header := file.read(_HEADER.size):
                block = self._block(file.read, header)
                if block is None:
                    return
                self.sound += _HEADER.size + len(block.payload)
                yield block

    def _block(self, read: Any, header: bytes) -> Block | None:
        if len(header) < _HEADER.size:
            self.problem = f"{len(header)} bytes of a block that was not finished stand at its end"
            return None
        length, crc, stream, rows = _HEADER.unpack(header)
        payload = read(length) if length <= MOST_BLOCK else b""
        if len(payload) < length:
            self.problem = f"a block of {length} bytes was not finished"
            return None
        if zlib.crc32(payload, zlib.crc32(header[8:])) != crc:
            self.problem = f"the block at byte {self.sound} is damaged: its checksum is not that of its content"
            return None
        return Block(stream, rows, payload)


def sound_length(path: Path) -> int:
    """Return how many bytes of a spool can be read. Raises TapeError where the file is not one."""
    reader = SpoolReader(path)
    for _ in reader.blocks():
        pass
    return reader.sound
