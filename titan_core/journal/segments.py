"""The files of a journal: numbered segments, named by the first sequence number in them."""

import re
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from titan_core.journal.failures import JournalError, JournalTooNew
from titan_core.journal.files import NO_ROOM, Files, create_whole
from titan_core.journal.frames import FORMAT_VERSION, MAGIC, Header, parse_header

_NAME = re.compile(r"journal-(\d{16})\.seg")
_HEADER = re.compile(MAGIC + rb" \d+ [0-9a-f]{16} \d+ \d+ [0-9a-f]{8}")
HEADER_LIMIT = 128
"""No header is longer, in bytes."""


@frozen
class SegmentFile:
    """A segment by its name."""

    path: Path
    first_seq: int


def segment_path(folder: Path, first_seq: int) -> Path:
    """Return where the segment that begins with `first_seq` stands."""
    return folder / f"journal-{first_seq:016d}.seg"


def list_segments(folder: Path) -> list[SegmentFile]:
    """Return the segments of a journal in order; none where the folder is not there."""
    found = ((path, _NAME.fullmatch(path.name)) for path in folder.glob("journal-*.seg"))
    return sorted((SegmentFile(path, int(name[1])) for path, name in found if name), key=lambda each: each.first_seq)


def read_header(path: Path, start: bytes) -> tuple[Header | None, int]:
    """Read the header at the start of a segment. Returns it (None where it is damaged) and where the line after it begins. Raises JournalTooNew."""
    own = _HEADER.match(start)
    line_end = own.end() if own is not None else start.find(b"\n")
    header = parse_header(start[: max(0, line_end)])
    if header is not None and header.version > FORMAT_VERSION:
        raise JournalTooNew(
            f"{path} is of journal format {header.version}; this version of Titan reads formats up to {FORMAT_VERSION}; "
            "run the version that wrote it, or a newer one"
        )
    return header, line_end + 1


def journal_id(segments: Sequence[SegmentFile]) -> str:
    """Return the id that the segments share, empty where there is none to read. Raises JournalError where they are of two journals, and JournalTooNew."""
    ids: dict[str, Path] = {}
    for segment in segments:
        with segment.path.open("rb") as file:
            header, _ = read_header(segment.path, file.read(HEADER_LIMIT))
        if header is not None:
            ids.setdefault(header.journal_id, segment.path)
    if len(ids) > 1:
        named = ", ".join(f"{path.name} is of {which}" for which, path in ids.items())
        raise JournalError(f"files of two journals are mixed in {segments[0].path.parent}: {named}; keep those of one")
    return next(iter(ids), "")


class OpenSegment:
    """The segment that is being written."""

    def __init__(self, files: Files, fd: int, path: Path, offset: int, size: int) -> None:
        self._files = files
        self._fd = fd
        self.path = path
        self.offset = offset
        """Where the next group goes."""
        self.size = size
        """How much room is set aside for it."""

    @classmethod
    def create(cls, files: Files, folder: Path, header: Header, size: int) -> "OpenSegment":
        """Make a segment with all its room set aside. Raises OSError; nothing is left behind then."""
        path, line = segment_path(folder, header.first_seq), header.encode()
        return cls(files, create_whole(files, path, line, size), path, len(line), size)

    @classmethod
    def resume(cls, files: Files, path: Path, offset: int, size: int) -> "OpenSegment":
        """Open a segment that is there to go on writing at `offset`; its room is made up to `size` where the disk has it."""
        fd = files.open(path, create=False)
        have = path.stat().st_size
        try:
            if have < size:
                files.allocate(fd, size)
                files.sync(fd)
        except OSError as error:
            if error.errno not in NO_ROOM:
                files.close(fd)
                raise
            size = have  # the writer will notice that it is full, and wait for room
        return cls(files, fd, path, offset, max(have, size))

    def write(self, data: bytes) -> None:
        """Write a group and return when it is on disk. After an OSError the same bytes may be written again."""
        self._files.write_durably(self._fd, data, self.offset)
        self.offset += len(data)

    def finish(self) -> None:
        """Give back the room that was not used and close."""
        self._files.truncate(self._fd, self.offset)
        self.close()

    def close(self) -> None:
        """Close; all that was written is on disk already."""
        self._files.close(self._fd)
