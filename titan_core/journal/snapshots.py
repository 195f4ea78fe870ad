"""Snapshots: the state as of a sequence number, so that recovery reads the newest one and what came after it."""

import re
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec
from attrs import frozen

from titan_core.journal.codec import Snapshot
from titan_core.journal.failures import JournalTooNew
from titan_core.journal.files import Files, create_whole
from titan_core.journal.frames import FORMAT_VERSION

MAGIC = b"TITAN-SNAPSHOT"
_NAME = re.compile(r"snapshot-(\d{16})\.json")


@frozen
class RawSnapshot:
    """A state in its encoded form."""

    seq: int
    ts_ns: int
    payload: bytes

    def encode(self, journal: str) -> bytes:
        """Return the file: one line that says what it is, then the state as JSON."""
        line = b"%b %d %b %d %d %d %08x" % (MAGIC, FORMAT_VERSION, journal.encode(), self.seq, self.ts_ns, len(self.payload), crc32(self.payload))
        return b"%b %08x\n%b\n" % (line, crc32(line), self.payload)


def snapshot_paths(folder: Path) -> list[Path]:
    """Return the snapshots of a journal, newest first."""
    return sorted((path for path in folder.glob("snapshot-*.json") if _NAME.fullmatch(path.name)), reverse=True)


def write_snapshot(files: Files, folder: Path, journal: str, snapshot: RawSnapshot, keep: int) -> Path:
    """Write a snapshot and have it on disk, then remove those that are older than the newest `keep`. Raises OSError; nothing is left behind then."""
    path = folder / f"snapshot-{snapshot.seq:016d}.json"
    files.close(create_whole(files, path, snapshot.encode(journal)))
    for old in snapshot_paths(folder)[keep:]:
        files.remove(old)
    return path


def load_newest(folder: Path, journal: str, state_type: Any) -> tuple[Snapshot[Any] | None, tuple[str, ...]]:
    """Return the newest snapshot that is whole, and a note for each newer one that is not. Raises JournalTooNew."""
    notes = []
    for path in snapshot_paths(folder):
        found = _parse(path, path.read_bytes(), journal)
        if isinstance(found, str):
            notes.append(f"{path.name} is not used: {found}")
            continue
        try:
            return Snapshot(found.seq, found.ts_ns, msgspec.json.decode(found.payload, type=state_type)), tuple(notes)
        except msgspec.MsgspecError as error:
            notes.append(f"{path.name} is not used: its state is of another version: {error}")
    return None, tuple(notes)


def _parse(path: Path, data: bytes, journal: str) -> RawSnapshot | str:
    """Read a snapshot file; a string says why it cannot be used."""
    line, _, payload = data.partition(b"\n")
    text, _, crc = line.rpartition(b" ")
    fields = text.split(b" ")
    if fields[0] != MAGIC or len(fields) < 2 or not fields[1].isdigit() or crc != b"%08x" % crc32(text):
        return "its first line cannot be read"
    if int(fields[1]) > FORMAT_VERSION:
        raise JournalTooNew(
            f"{path} is of journal format {int(fields[1])}; this version of Titan reads formats up to {FORMAT_VERSION}; "
            "run the version that wrote it, or a newer one"
        )
    if fields[2].decode("ascii", "replace") != journal:
        return "it belongs to another journal"
    seq, ts_ns, length = (int(field) for field in fields[3:6])
    if len(payload) != length + 1 or fields[6] != b"%08x" % crc32(payload[:length]):
        return f"its state is damaged ({len(payload)} bytes, {length + 1} expected)"
    return RawSnapshot(seq, ts_ns, payload[:length])
