"""Entries to journal and disks that misbehave."""

import random
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from titan_core.journal.codec import EntryCodec
from titan_core.journal.files import Files
from titan_core.journal.frames import Header, encode_group
from titan_core.journal.segments import segment_path
from titan_core.journal.writer import Limits


class Intent(msgspec.Struct, tag=True, frozen=True):
    id: str
    lots: int


class Note(msgspec.Struct, tag=True, frozen=True):
    text: str


class State(msgspec.Struct):
    total: int


CODEC: EntryCodec[Intent | Note] = EntryCodec(Intent | Note)
SMALL = Limits(segment_bytes=8_192, reserve_bytes=1_024, retry_s=0.02)


def clock() -> int:
    return 1_700_000_000_000_000_000


def intent(number: int) -> Intent:
    """An entry that tells its own number."""
    return Intent(f"hunter.main.{number}", number)


def lay_out(folder: Path, segments: Sequence[Sequence[int]], *, size: int = 4_096) -> list[Path]:
    """Write a journal as its writer does: for each segment the sizes of its groups."""
    paths, seq = [], 1
    folder.mkdir(exist_ok=True)
    for groups in segments:
        data = Header(1, "00112233aabbccdd", seq, clock()).encode()
        path = segment_path(folder, seq)
        for count in groups:
            data += encode_group(seq, [(clock(), CODEC.encode(intent(number))) for number in range(seq, seq + count)])
            seq += count
        path.write_bytes(data.ljust(size, b"\0"))
        paths.append(path)
    return paths


class FailingFiles(Files):
    """A disk that says `failure` whenever it is asked to set room aside, and `write_failure` when it is written to."""

    failure: OSError | None = None
    write_failure: OSError | None = None

    def allocate(self, fd: int, size: int) -> None:
        if self.failure is not None:
            raise self.failure
        super().allocate(fd, size)

    def write_durably(self, fd: int, data: bytes, offset: int) -> None:
        if self.write_failure is not None:
            raise self.write_failure
        super().write_durably(fd, data, offset)


class _Inode:
    def __init__(self) -> None:
        self.durable = bytearray()
        self.live = bytearray()
        self.pending: list[tuple[int, bytes]] = []


class ForgetfulFiles(Files):
    """A disk whose power can be cut: what was not synced is lost, or not, piece by piece; names in a folder that was not synced as well."""

    PIECE = 512

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._lock = threading.RLock()
        self._open: dict[int, _Inode] = {}
        self._live: dict[Path, _Inode] = {}
        self._durable: dict[Path, _Inode] = {}
        self.off = False

    def open(self, path: Path, *, create: bool) -> int:
        with self._lock:
            self._alive()
            fd = super().open(path, create=create)
            if create:
                self._live[path] = _Inode()
            elif path not in self._live:  # there since before the power was cut
                inode = self._live[path] = self._durable[path] = _Inode()
                inode.durable[:] = inode.live[:] = path.read_bytes()
            self._open[fd] = self._live[path]
            return fd

    def allocate(self, fd: int, size: int) -> None:
        with self._lock:
            self._alive()
            super().allocate(fd, size)
            inode = self._open[fd]
            inode.live.extend(bytes(max(0, size - len(inode.live))))

    def write(self, fd: int, data: bytes, offset: int) -> None:
        with self._lock:
            self._alive()
            super().write(fd, data, offset)
            inode = self._open[fd]
            inode.live.extend(bytes(max(0, offset + len(data) - len(inode.live))))
            inode.live[offset : offset + len(data)] = data
            inode.pending.append((offset, data))

    def sync(self, fd: int) -> None:
        with self._lock:
            self._alive()
            inode = self._open[fd]
            inode.durable[:] = inode.live
            inode.pending.clear()

    def write_durably(self, fd: int, data: bytes, offset: int) -> None:
        self.write(fd, data, offset)
        threading.Event().wait(0.0003)  # the power may go here
        self.sync(fd)

    def truncate(self, fd: int, size: int) -> None:
        with self._lock:
            self._alive()
            super().truncate(fd, size)
            del self._open[fd].live[size:]

    def rename(self, source: Path, target: Path) -> None:
        with self._lock:
            self._alive()
            super().rename(source, target)
            self._live[target] = self._live.pop(source)

    def remove(self, path: Path) -> None:
        with self._lock:
            self._alive()
            super().remove(path)
            self._live.pop(path, None)

    def sync_folder(self, folder: Path) -> None:
        with self._lock:
            self._alive()
            self._durable = {path: inode for path, inode in self._durable.items() if path.parent != folder}
            self._durable |= {path: inode for path, inode in self._live.items() if path.parent == folder}

    def cut_power(self) -> None:
        """Leave on the real disk what a real one would have kept."""
        with self._lock:
            self.off = True
            for path in {*self._live, *self._durable}:
                keeps_name = self._random.random() < 0.5
                inode = (self._live if keeps_name else self._durable).get(path) or self._durable.get(path)
                if inode is None:
                    path.unlink(missing_ok=True)
                    continue
                path.write_bytes(self._kept(inode))

    def _kept(self, inode: _Inode) -> bytes:
        kept = inode.durable
        for offset, data in inode.pending:
            start = 0
            while start < len(data):
                end = min(len(data), start + self.PIECE - (offset + start) % self.PIECE)
                if self._random.random() < 0.5:
                    kept.extend(bytes(max(0, offset + end - len(kept))))
                    kept[offset + start : offset + end] = data[start:end]
                start = end
        return bytes(kept)

    def _alive(self) -> None:
        if self.off:
            raise OSError(5, "the power is off")
