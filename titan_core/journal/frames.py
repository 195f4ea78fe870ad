"""The journal's format, version 1.

A segment is a text file of a fixed size, zeros at its end. Its first line is the header, then one line a record, each ended by a line feed::

    TITAN-JOURNAL 1 <journal id> <first seq> <created ns> <crc>
    <crc> <seq> <place> <ts ns> <JSON of the entry>

`crc` is the CRC-32 of all else in the line as eight hexadecimal digits. `place` is the record's place in its group, from 1: a group is written and synced as
one, so a record with place p tells that everything up to seq - p was on disk before its group was written. That is how damage is told from a torn
end: what cannot be read and was on disk before something that can be read is damage; what cannot be read at the end was never acknowledged. A line with
place 0 is a seal, no record: everything up to its seq is on disk. A journal that is closed in peace ends with one.

A line that starts with TITAN-JOURNAL and ends with the CRC of what is before it will be the first line of every later version.
"""

import re
from collections.abc import Iterator, Sequence
from zlib import crc32

from attrs import frozen

FORMAT_VERSION = 1
MAGIC = b"TITAN-JOURNAL"
_FRAME = re.compile(rb"([0-9a-f]{8}) ((0|[1-9][0-9]{0,18}) (0|[1-9][0-9]{0,9}) ([0-9]{1,19}) (.+))", re.DOTALL)


@frozen
class Header:
    """The first line of a segment."""

    version: int
    journal_id: str
    """Sixteen hexadecimal digits, the same in all segments of a journal."""
    first_seq: int
    created_ns: int

    def encode(self) -> bytes:
        """Return the line, its line break included."""
        text = b"%b %d %b %d %d" % (MAGIC, self.version, self.journal_id.encode(), self.first_seq, self.created_ns)
        return b"%b %08x\n" % (text, crc32(text))


@frozen(slots=True)
class Frame:
    """A record, or a seal, that was found whole."""

    seq: int
    place: int
    ts_ns: int
    payload: bytes
    start: int
    """Offset of its line in the file."""
    end: int
    """Offset of what follows its line."""

    @property
    def is_seal(self) -> bool:
        """Whether it is a seal and no record."""
        return self.place == 0

    @property
    def synced_before(self) -> int:
        """Everything up to this sequence number was on disk before this record was written."""
        return self.seq - self.place


@frozen(slots=True)
class Bad:
    """Bytes that hold no record."""

    start: int
    end: int


def parse_header(line: bytes) -> Header | None:
    """Read a header (without its line break). Returns None where it is damaged; the fields of a newer version are left at zero."""
    text, _, crc = line.rpartition(b" ")
    fields = text.split(b" ")
    if fields[0] != MAGIC or len(fields) < 2 or not fields[1].isdigit() or crc != b"%08x" % crc32(text):
        return None
    version = int(fields[1])
    if version > FORMAT_VERSION:
        return Header(version, "", 0, 0)
    if len(fields) != 5 or not (fields[3].isdigit() and fields[4].isdigit()):
        return None
    return Header(version, fields[2].decode("ascii", "replace"), int(fields[3]), int(fields[4]))


def encode_group(first_seq: int, entries: Sequence[tuple[int, bytes]]) -> bytes:
    """Frame consecutive entries, given as (time in ns, JSON), into the bytes of one group."""
    lines = []
    for place, (ts_ns, payload) in enumerate(entries, 1):
        body = b"%d %d %d %b" % (first_seq + place - 1, place, ts_ns, payload)
        lines.append(b"%08x %b\n" % (crc32(body), body))
    return b"".join(lines)


def encode_seal(seq: int, ts_ns: int) -> bytes:
    """Make the line that says that everything up to `seq` is on disk."""
    body = b"%d 0 %d -" % (seq, ts_ns)
    return b"%08x %b\n" % (crc32(body), body)


def parse_frame(data: bytes, start: int, end: int) -> Frame | None:
    """Read the line of `data` that ends before `end`, where its line break is. Returns None where it is no whole record."""
    found = _FRAME.fullmatch(data, start, end)
    if found is None or int(found[1], 16) != crc32(found[2]):
        return None
    return Frame(int(found[3]), int(found[4]), int(found[5]), found[6], start, end + 1)


def scan(data: bytes, start: int = 0) -> Iterator[Frame | Bad]:
    """Go through the lines of a segment. What cannot be read is given as one stretch up to the next whole record; zeros at the end are not given."""
    bad_from: int | None = None
    position = start
    while True:
        line_end = data.find(b"\n", position)
        if line_end < 0:
            break
        frame = parse_frame(data, position, line_end)
        if frame is None and data[position] == 0:
            # a page that never came to disk, with the rest of a line behind it: the record may begin right after the zeros
            skipped = line_end - len(data[position:line_end].lstrip(b"\0"))
            frame = parse_frame(data, skipped, line_end)
        if frame is None:
            bad_from = position if bad_from is None else bad_from
        else:
            if bad_from is not None or frame.start > position:
                yield Bad(position if bad_from is None else bad_from, frame.start)
            bad_from = None
            yield frame
        position = line_end + 1
    end = position + len(data[position:].rstrip(b"\0"))
    if end > position or bad_from is not None:
        yield Bad(position if bad_from is None else bad_from, end)
