"""Reading recordings: plain or gzip files in blocks of lines, with a damaged end kept apart from what could be read."""

import hashlib
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import define, field

from titan_core.errors import TapeError
from titan_core.tape.faults import FaultKind, FaultLog

READ_BYTES = 1 << 20
BLOCK_BYTES = 16 << 20
GZIP_MAGIC = b"\x1f\x8b"

Progress = Callable[[float], None]
"""Told the share of the file that has been read, 0 to 1."""


@define
class Block:
    """Some whole lines, each ended by a newline; `first` is the number of the first one, counted from 1."""

    first: int
    data: bytes
    _count: int | None = None

    @property
    def count(self) -> int:
        """How many lines there are."""
        if self._count is None:
            self._count = self.data.count(b"\n")
        return self._count

    def counted(self, count: int) -> None:
        """Note the number of lines for whoever counted them on the way."""
        self._count = count

    @property
    def lines(self) -> list[bytes]:
        """The lines without their newlines."""
        return self.data[:-1].split(b"\n")


@define
class Recording:
    """One file being read. After the last block `sha256`, `size`, `line_count` and `truncated` are known."""

    path: Path
    log: FaultLog
    progress: Progress | None = None
    sha256: str = field(default="", init=False)
    size: int = field(default=0, init=False)
    line_count: int = field(default=0, init=False)
    truncated: bool = field(default=False, init=False)

    def blocks(self) -> Iterator[Block]:
        """Yield the file's lines in order. A line cut off by a damaged end is reported, not yielded. Raises TapeError where the file cannot be opened."""
        rest, count = b"", 0
        for chunk in self._chunks():
            data = rest + chunk if rest else chunk
            end = data.rfind(b"\n") + 1
            rest = data[end:]
            if end:
                block = Block(count + 1, data[:end])
                yield block
                count += block.count
        if rest and self.truncated:
            self.log.add(FaultKind.TRUNCATED, count + 1, f"the last line is cut off: {preview(rest)}")
        elif rest:
            count += 1
            yield Block(count, rest + b"\n")
        elif self.truncated:
            self.log.add(FaultKind.TRUNCATED, count, "the file ends in the middle of its compressed data")
        self.line_count = count

    def cut_off(self, text: str, line: int) -> None:
        """Note that the content ends too early although the file itself is whole."""
        if not self.truncated:
            self.truncated = True
            self.log.add(FaultKind.TRUNCATED, line, text)

    def _chunks(self) -> Iterator[bytes]:
        hasher = hashlib.sha256()
        total = max(1, file_size(self.path))
        inflate: _Inflate | None = None
        with self.path.open("rb") as file:
            while chunk := file.read(READ_BYTES):
                hasher.update(chunk)
                if self.size == 0 and chunk.startswith(GZIP_MAGIC):
                    inflate = _Inflate()
                self.size += len(chunk)
                if self.progress is not None:
                    self.progress(min(1.0, self.size / total))
                if inflate is None:
                    yield chunk
                else:
                    yield from inflate.feed(chunk)
        self.truncated = inflate is not None and not inflate.whole
        self.sha256 = hasher.hexdigest()


class _Inflate:
    """Decompresses gzip members one after another; stops at the first damage and remembers it."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(31)
        self._damaged = False

    @property
    def whole(self) -> bool:
        """Whether the last member ended where it should."""
        return self._stream.eof and not self._damaged

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        pending = chunk
        while pending and not self._damaged:
            if self._stream.eof:
                if not pending.startswith(GZIP_MAGIC[: len(pending)]):
                    return
                self._stream = zlib.decompressobj(31)
            try:
                data = self._stream.decompress(pending, BLOCK_BYTES)
            except zlib.error:
                self._damaged = True
                return
            if data:
                yield data
            pending = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail


def file_size(path: Path) -> int:
    """Return the size of a file in bytes. Raises TapeError where there is none."""
    if not path.is_file():
        raise TapeError(f"{path}: no such file; give the path of a recording or CSV file")
    return path.stat().st_size


def head(path: Path, size: int = 1 << 17) -> list[bytes]:
    """Return the whole lines within the first `size` bytes of a plain or gzip file, for telling what it is."""
    file_size(path)
    with path.open("rb") as file:
        raw = file.read(size)
    if raw.startswith(GZIP_MAGIC):
        try:
            raw = zlib.decompressobj(31).decompress(raw, size)
        except zlib.error as error:
            raise TapeError(f"{path}: cannot be decompressed ({error}); give an intact gzip or plain text file") from error
    lines = raw.split(b"\n")
    return lines[:-1] if len(lines) > 1 and len(raw) >= size else lines


def preview(line: bytes, size: int = 120) -> str:
    """Return the beginning of a line as printable text, for messages."""
    return line[:size].decode("ascii", "backslashreplace") + ("…" if len(line) > size else "")
