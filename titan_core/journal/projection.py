"""The journal as tables: a SQLite file for queries, made from the journal and from nothing else, so that it can be thrown away at any time."""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar
from zlib import crc32

from attrs import field, frozen

from titan_core.journal.codec import EntryCodec, Record
from titan_core.journal.frames import Frame, parse_frame
from titan_core.journal.reading import Located, decode, locate
from titan_core.journal.segments import journal_id, list_segments

E = TypeVar("E")

BATCH = 2_000
"""Entries per transaction."""
_PLACE = "CREATE TABLE IF NOT EXISTS projection (journal TEXT, shape TEXT, seq INTEGER, segment TEXT, start INTEGER, crc INTEGER)"


class _Elsewhere(Exception):
    """The tables were made from another journal, from entries that it no longer holds, or in another shape."""


@frozen
class Projection(Generic[E]):
    """Tables that follow a journal.

    `tables` is the DDL, one statement each; `apply` changes them for one entry, by nothing but the entry and the tables, and never commits.
    Where both have changed their meaning while the DDL has not, raise `version`: the tables are then made anew.
    """

    path: Path
    tables: Sequence[str]
    apply: Callable[[Record[E], sqlite3.Connection], None]
    version: int = 1
    _shape: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_shape", hashlib.sha256("\0".join((str(self.version), *self.tables)).encode()).hexdigest())

    def catch_up(self, journal: Path, codec: EntryCodec[E], *, through: int | None = None, accept_damage: bool = False) -> int:
        """Apply what the journal holds and the tables do not, up to `through` (all by default). Returns the sequence number that they then stand at.

        Blocks; call it from a thread, one at a time. Tables that do not fit the journal, or a file that is damaged, are made anew; readers see the
        old ones until the new ones stand. A live journal is followed up to its `durable_seq`: what lies beyond can still vanish in a power cut.
        Raises JournalDamaged unless `accept_damage`, and sqlite3.OperationalError where the file is locked or has no room.
        """
        try:
            return self._follow(journal, codec, through, accept_damage)
        except (_Elsewhere, sqlite3.DatabaseError) as error:
            if isinstance(error, sqlite3.OperationalError):
                raise  # locked, or no room on the disk: nothing that making it anew would heal
            return self.rebuild(journal, codec, through=through, accept_damage=accept_damage)

    def rebuild(self, journal: Path, codec: EntryCodec[E], *, through: int | None = None, accept_damage: bool = False) -> int:
        """Make the tables anew from the first entry on. Returns the sequence number that they then stand at."""
        try:
            with closing(self._connect()) as connection:
                return self._make(connection, journal, codec, through, accept_damage)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        with closing(self._connect()) as connection:
            return self._make(connection, journal, codec, through, accept_damage)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")  # a power cut may take the last transactions; the journal gives them again
        except BaseException:
            connection.close()
            raise
        return connection

    def _follow(self, journal: Path, codec: EntryCodec[E], through: int | None, accept_damage: bool) -> int:
        with closing(self._connect()) as connection:
            connection.execute(_PLACE)
            row = connection.execute("SELECT journal, shape, seq, segment, start, crc FROM projection").fetchone()
            which = journal_id(list_segments(journal))
            if row is None or tuple(row[:2]) != (which, self._shape):
                raise _Elsewhere
            done = int(row[2])
            found = _found_again(journal / str(row[3]), row) if done else None
            entries = locate(journal, resume=found, accept_damage=accept_damage)
            while batch := _next_batch(entries, through):
                connection.execute("BEGIN IMMEDIATE")
                try:
                    done = self._apply(connection, codec, batch, which)
                    connection.execute("COMMIT")
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
            return done

    def _make(self, connection: sqlite3.Connection, journal: Path, codec: EntryCodec[E], through: int | None, accept_damage: bool) -> int:
        which = journal_id(list_segments(journal))
        done = 0
        connection.execute("BEGIN IMMEDIATE")
        try:
            for kind, name in connection.execute(
                "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY type DESC"
            ).fetchall():
                connection.execute(f'DROP {kind} IF EXISTS "{name}"')
            for statement in (_PLACE, *self.tables):
                connection.execute(statement)
            connection.execute("INSERT INTO projection VALUES (?, ?, 0, '', 0, 0)", (which, self._shape))
            entries = locate(journal, accept_damage=accept_damage)
            while batch := _next_batch(entries, through):
                done = self._apply(connection, codec, batch, which)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        return done

    def _apply(self, connection: sqlite3.Connection, codec: EntryCodec[E], batch: Sequence[Located], which: str) -> int:
        for found in batch:
            self.apply(decode(codec, found), connection)
        last = batch[-1]
        place = (which, self._shape, last.frame.seq, last.path.name, last.frame.start, _crc(last.frame))
        connection.execute("UPDATE projection SET journal = ?, shape = ?, seq = ?, segment = ?, start = ?, crc = ?", place)
        return last.frame.seq


def _next_batch(entries: Iterable[Located], through: int | None) -> list[Located]:
    batch = []
    for found in islice(entries, BATCH):
        if through is not None and found.frame.seq > through:
            break
        batch.append(found)
    return batch


def _crc(frame: Frame) -> int:
    return crc32(b"%d %d %b" % (frame.seq, frame.ts_ns, frame.payload))


def _found_again(path: Path, row: Sequence[object]) -> Located:
    """Find the last entry that was applied; after a power cut another may stand in its place."""
    _, _, seq, _, start, crc = row
    assert isinstance(start, int)
    try:
        with path.open("rb") as file:
            file.seek(start)
            line = file.readline()
    except OSError:
        raise _Elsewhere from None
    frame = parse_frame(line, 0, len(line) - 1) if line.endswith(b"\n") else None
    if frame is None or frame.seq != seq or _crc(frame) != crc:
        raise _Elsewhere
    return Located(path, Frame(frame.seq, frame.place, frame.ts_ns, frame.payload, start, start + len(line)))
