"""The files of a tape: one `.npy` per column, checked against the manifest, hashed, mapped; and the stamp that says when they were last hashed."""

import contextlib
import hashlib
import json
import mmap
import os
import time
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from titan_core.errors import TapeError
from titan_core.tape.manifest import FileEntry, Manifest

STAMP_NAME = "verified.json"
CLOCK_BLUR_NS = 20_000_000
"""File times come from a clock that ticks every 10 ms or faster."""
AGAIN = "import the recordings again"


def check_file(path: Path, entry: FileEntry) -> None:
    """Raise TapeError unless the file is there with the size, type and shape that the manifest says."""
    file = path / entry.path
    try:
        found = file.stat().st_size
        with file.open("rb") as handle:
            header = handle.read(len(expected := _header(entry.dtype, entry.shape)))
    except OSError as error:
        raise TapeError(f"{file}: column file is missing or unreadable ({error.strerror}); the manifest lists it: {AGAIN}") from error
    if found != entry.size:
        raise TapeError(f"{file}: is {found} bytes, the manifest says {entry.size}; the tape is damaged: {AGAIN}")
    if header != expected:
        raise TapeError(f"{file}: its header is not that of {entry.dtype}{list(entry.shape)}, found {header[:100]!r}; {AGAIN}")


def ensure_verified(path: Path, manifest: Manifest, verify: bool | None = None) -> None:
    """Raise TapeError where a file differs from the manifest. Hashes all files (True), none (False), or none if they are untouched since (None)."""
    for entry in manifest.files:
        check_file(path, entry)
    if verify or (verify is None and not stamp_matches(path, manifest)):
        stamp = take_stamp(path, manifest)
        for entry in manifest.files:
            check_hash(path, entry)
        write_stamp(path, stamp)


def check_hash(path: Path, entry: FileEntry) -> None:
    """Raise TapeError unless the file's content is what was written."""
    found = _hash(path / entry.path)
    if found != entry.sha256:
        raise TapeError(f"{path / entry.path}: content has sha256 {found}, the manifest says {entry.sha256}; the tape is damaged: {AGAIN}")


def _hash(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _header(descr: str, shape: tuple[int, ...]) -> bytes:
    buffer = BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def map_column(path: Path, entry: FileEntry) -> NDArray[np.generic]:
    """Map one column, privately: writing to it would change neither the file nor another process, and its type is that of an array in memory."""
    with (path / entry.path).open("rb") as handle:
        buffer = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_COPY)
    return np.frombuffer(buffer, entry.dtype, offset=len(_header(entry.dtype, entry.shape))).reshape(entry.shape)


def take_stamp(path: Path, manifest: Manifest) -> dict[str, object]:
    """Return size and times of every file; taken before hashing, so that a change during it shows.

    Waits until the newest change is older than the file system's clock can blur, so that any later change gets another time.
    """
    stats = {entry.path: (path / entry.path).stat() for entry in manifest.files}
    newest = max((max(stat.st_mtime_ns, stat.st_ctime_ns) for stat in stats.values()), default=0)
    age = time.time_ns() - newest
    if 0 <= age < CLOCK_BLUR_NS:
        time.sleep((CLOCK_BLUR_NS - age) / 1e9)
        return take_stamp(path, manifest)
    return {"checksum": manifest.checksum, "files": {name: [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns] for name, stat in stats.items()}}


def stamp_matches(path: Path, manifest: Manifest) -> bool:
    """Return whether every file has the size and times that it had when it was last hashed."""
    try:
        stored = json.loads((path / STAMP_NAME).read_bytes())
    except (OSError, ValueError):
        return False
    return bool(stored == take_stamp(path, manifest))


def write_stamp(path: Path, stamp: dict[str, object]) -> None:
    """Note the state of the files that were hashed; a tape on read-only media goes without and is hashed at every opening."""
    temporary = path / f".{STAMP_NAME}.{os.getpid()}"
    with contextlib.suppress(OSError):
        temporary.write_text(json.dumps(stamp))
        temporary.replace(path / STAMP_NAME)


def write_column(folder: Path, name: str, column: NDArray[np.generic]) -> FileEntry:
    """Write one column and return its entry, hashed on the way. Making it durable is the caller's, for all files at once: that is much faster."""
    descr = column.dtype.str
    data = np.ascontiguousarray(column)
    header = _header(descr, column.shape)
    hasher = hashlib.sha256(header)
    with (folder / name).open("xb") as handle:
        handle.write(header)
        if data.size:
            body = data.reshape(-1).view(np.uint8).data
            hasher.update(body)
            handle.write(body)
    return FileEntry(name, descr, tuple(column.shape), len(header) + data.nbytes, hasher.hexdigest())
