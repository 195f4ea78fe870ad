"""Reading a journal: what is whole, what is damaged, what is a torn end. The format's description in `frames.py` says how they are told apart."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from attrs import frozen

from titan_core.journal.codec import EntryCodec, Record
from titan_core.journal.failures import Damage, JournalDamaged, JournalError
from titan_core.journal.frames import Bad, Frame, scan
from titan_core.journal.segments import HEADER_LIMIT, SegmentFile, list_segments, read_header

E = TypeVar("E")


@frozen(slots=True)
class Located:
    """A whole record and the file that it stands in."""

    path: Path
    frame: Frame


@frozen
class TornEnd:
    """Bytes at the end that hold no whole group. They were never acknowledged: the process or the machine stopped while they were written."""

    file: Path
    offset: int
    length: int
    kept: Path | None = None
    """Where a copy of them is, once they were removed from the journal."""


class Walk:
    """Goes through a journal once, giving whole records and damage in order; `last`, `end` and `torn` are known when it is done.

    `after` leaves out what is up to that sequence number: segments that hold nothing else are not even opened.
    `resume` goes on right behind a record that was read before.
    """

    def __init__(self, folder: Path, *, after: int = 0, resume: Located | None = None) -> None:
        self._folder = folder
        self._after = after if resume is None else resume.frame.seq
        self._resume = resume
        self.last = 0
        """Last sequence number that was found."""
        self.end: tuple[Path, int] | None = None
        """Last segment and where its whole records end."""
        self.torn: TornEnd | None = None
        self._pending: list[tuple[Path, Frame | Bad]] = []

    def __iter__(self) -> Iterator[Located | Damage]:
        segments = _needed(list_segments(self._folder), self._after)
        if not segments:
            self.last = self._after
            return
        self.last = segments[0].first_seq - 1
        if self._resume is not None and segments[0].path.name == self._resume.path.name:
            self.last = self._resume.frame.seq
        elif self.last > self._after:
            yield Damage(segments[0].path, 0, 0, self._after + 1, self.last, "the segments before it are missing")
        for segment in segments:
            yield from self._segment(segment)
        if self._pending:
            path, bad = self._pending[0]
            self.torn = TornEnd(path, bad.start, self._pending[-1][1].end - bad.start)

    def _segment(self, segment: SegmentFile) -> Iterator[Located | Damage]:
        # a segment is made once all before it is on disk
        if self._pending or self.last < segment.first_seq - 1:
            yield from self._settle(segment.first_seq - 1, segment.path)
        resume = self._resume
        start = resume.frame.end if resume is not None and resume.path.name == segment.path.name else 0
        with segment.path.open("rb") as file:
            file.seek(start)
            data = file.read()
        begin = 0
        if start == 0:
            header, begin = read_header(segment.path, data)
            if header is None or header.first_seq != segment.first_seq:
                yield Damage(segment.path, 0, min(begin, HEADER_LIMIT), 1, 0, "the header cannot be read")
                if begin > HEADER_LIMIT:  # its line break is gone too, and a record with it
                    self._pending.append((segment.path, Bad(HEADER_LIMIT, begin)))
        self.end = (segment.path, start + begin)
        for item in scan(data, begin):
            yield from self._take(segment.path, _moved(item, start))

    def _take(self, path: Path, item: Frame | Bad) -> Iterator[Located | Damage]:
        if isinstance(item, Frame) and item.is_seal:
            if self._pending or item.seq > self.last:
                yield from self._settle(item.seq, path)
            self.end = (path, item.end)
            return
        if isinstance(item, Frame):
            if item.seq <= self.last:
                item = Bad(item.start, item.end)
            elif not self._pending and item.seq > self.last + 1:
                self._pending.append((path, Bad(item.start, item.start)))
        if isinstance(item, Bad):
            self._pending.append((path, item))
        elif self._pending:
            self._pending.append((path, item))
            if item.synced_before > self.last:
                yield from self._settle(self.last, path)
        else:
            yield from self._whole(path, item)

    def _whole(self, path: Path, frame: Frame) -> Iterator[Located]:
        self.last, self.end = frame.seq, (path, frame.end)
        if frame.seq > self._after:
            yield Located(path, frame)

    def _settle(self, proven: int, path: Path) -> Iterator[Located | Damage]:
        """What is pending was on disk once: give it, damage and whole records in turn; everything up to `proven` must have been there."""
        pending, self._pending = self._pending, []
        bad: list[tuple[Path, Frame | Bad]] = []
        for where, item in pending:
            if isinstance(item, Bad):
                bad.append((where, item))
            elif item.seq > self.last:
                if item.seq > self.last + 1 or bad:
                    yield _damage(bad or [(where, item)], self.last + 1, item.seq - 1)
                bad = []
                yield from self._whole(where, item)
        if bad or self.last < proven:
            place = bad or [(path, Bad(0, 0))]
            yield _damage(place, self.last + 1, proven)
            self.last = max(self.last, proven)


def _damage(bad: Sequence[tuple[Path, Frame | Bad]], first: int, last: int) -> Damage:
    path, begin = bad[0]
    length = sum(item.end - item.start for _, item in bad if isinstance(item, Bad))
    if last < first:
        reason = "bytes that are no record"
    else:
        reason = "records cannot be read" if length else "records are missing before it"
    return Damage(path, begin.start, length, first, last, reason)


def _moved(item: Frame | Bad, by: int) -> Frame | Bad:
    if by == 0:
        return item
    if isinstance(item, Bad):
        return Bad(item.start + by, item.end + by)
    return Frame(item.seq, item.place, item.ts_ns, item.payload, item.start + by, item.end + by)


def _needed(segments: list[SegmentFile], after: int) -> list[SegmentFile]:
    """Leave out the segments that hold nothing after `after`."""
    from_index = 0
    for index, segment in enumerate(segments):
        if segment.first_seq <= after + 1:
            from_index = index
    return segments[from_index:]


def decode(codec: EntryCodec[E], found: Located) -> Record[E]:
    """Decode a whole record. Raises JournalError where this version does not know its type."""
    frame = found.frame
    try:
        return Record(frame.seq, frame.ts_ns, codec.decode(frame.payload))
    except msgspec.MsgspecError as error:
        raise JournalError(
            f"entry {frame.seq} in {found.path} at offset {frame.start} is whole but not understood: {error}; "
            "run the version of Titan that wrote it, or a newer one"
        ) from error


def locate(folder: Path, *, after: int = 0, resume: Located | None = None, accept_damage: bool = False) -> Iterator[Located]:
    """Give the whole records after a sequence number, or behind one that was read before, also while the journal is being written.

    What is still being written is left out. Raises JournalDamaged at the first damage that loses entries, unless `accept_damage`.
    """
    suspected: Damage | None = None
    accepted: list[Damage] = []
    while True:
        for item in Walk(folder, after=after, resume=resume):
            if isinstance(item, Located):
                resume, suspected = item, None
                yield item
            elif item.last_lost >= item.first_lost and item not in accepted:
                break
        else:
            return
        # a group may have come to disk while its file was read: damage is what looks the same when it is read again
        if item == suspected and not accept_damage:
            raise JournalDamaged((item,))
        if item == suspected:
            accepted.append(item)
        suspected = item


def read(folder: Path, codec: EntryCodec[E], *, after: int = 0) -> Iterator[Record[E]]:
    """Give the entries after a sequence number; see `locate`."""
    for found in locate(folder, after=after):
        yield decode(codec, found)


def verify(folder: Path) -> tuple[int, tuple[Damage, ...], TornEnd | None]:
    """Read all of a journal that is not being written. Returns its last sequence number, its damage and its torn end."""
    walk = Walk(folder)
    damage = tuple(item for item in walk if isinstance(item, Damage))
    return walk.last, damage, walk.torn
