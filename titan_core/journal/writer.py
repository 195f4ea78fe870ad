"""Bringing entries to disk in groups: whatever came while one group was synced is the next. It runs beside the loop, see `link.py`."""

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Protocol

from attrs import define, field, frozen

from titan_core.journal.files import NO_ROOM
from titan_core.journal.frames import encode_group, encode_seal
from titan_core.journal.port import JournalStatus
from titan_core.journal.segments import OpenSegment

MAX_GROUP_BYTES = 256 * 1024
MAX_GROUP = 1_024

Pending = tuple[int, bytes]
"""Time in ns and JSON of an entry that waits to be written."""


@frozen
class Limits:
    """Sizes and times of a journal."""

    segment_bytes: int = 16 * 2**20
    reserve_bytes: int = 2**20
    """Room at the end of each segment that is used only while the disk has none for the next: what was taken and what is urgent still comes to disk."""
    backlog_bytes: int = 64 * 2**20
    """More than this waiting to be written is a disk that does not keep up; entries are refused until it does."""
    retry_s: float = 0.25
    """How often a full disk is asked for room."""
    snapshot_every: int = 50_000
    """Entries from one snapshot to the next."""
    snapshots_kept: int = 3


class Inbox(Protocol):
    """Where the writer's entries come from."""

    def take(self, timeout_s: float | None) -> tuple[list[Pending], bool]:
        """Wait until there are entries, none will come any more, or the time is over; return what is there, and whether it was the last."""
        ...


@define
class Report:
    """What the writer has to say."""

    durable_seq: int
    written_bytes: int = 0
    status: JournalStatus = JournalStatus.OK
    stuck: bool = False
    """Whether what waits does not come to disk at present."""
    reason: str = ""
    """Why the status is not OK."""


@define
class GroupWriter:
    """Writes what comes in, in order, and reports whenever something has changed."""

    _segment: OpenSegment
    _make_segment: Callable[[int, int, int], OpenSegment]
    """Makes the next segment from its first sequence number, its time and its size."""
    _inbox: Inbox
    _tell: Callable[[Report], None]
    _limits: Limits
    report: Report
    _waiting: deque[Pending] = field(factory=deque, init=False)
    _last_ts_ns: int = field(default=0, init=False)
    _ended: bool = field(default=False, init=False)

    def run(self) -> None:
        """Write until no more comes in and what came is on disk or has no room; seal. The last report is BROKEN, whatever happened."""
        reason = "the journal's writer ended unexpectedly; see the log"
        try:
            self._tell(self.report)
            while not self._ended:
                self._turn()
            self._seal()
            reason = self.report.reason if self._waiting else "the journal is closed"
        except OSError as error:
            reason = f"the disk failed to write the journal: {error.strerror} (errno {error.errno}); stop, look after the disk, then start again"
        finally:
            self._segment.close()
            self._say(JournalStatus.BROKEN, reason, stuck=True)

    def _turn(self) -> None:
        full = self.report.status is JournalStatus.FULL
        came, self._ended = self._inbox.take(self._limits.retry_s if full else None)
        self._waiting.extend(came)
        if full and not self._waiting:
            self._next_segment(0)
        while self._waiting and self._commit():
            pass

    def _commit(self) -> bool:
        """Write the next group. Returns False where there is no room for it."""
        group: list[Pending] = []
        size = 0
        for entry in islice(self._waiting, MAX_GROUP):
            size += len(entry[1])
            if group and size > MAX_GROUP_BYTES:
                break
            group.append(entry)
        data = encode_group(self.report.durable_seq + 1, group)
        if self._segment.offset + len(data) > self._segment.size - self._limits.reserve_bytes:
            if not self._next_segment(len(data)) and self._segment.offset + len(data) > self._segment.size:
                return self._no_room()
        try:
            self._segment.write(data)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            self._full(error)
            return self._no_room()
        for _ in group:
            self._waiting.popleft()
        self._last_ts_ns = group[-1][0]
        self.report.written_bytes += sum(len(payload) for _, payload in group)
        self.report.durable_seq += len(group)
        self.report.stuck = False
        self._tell(self.report)
        return True

    def _next_segment(self, least: int) -> bool:
        """Begin the next segment, with room for `least` bytes. Returns False, and the status is FULL, where the disk has no room."""
        size = max(self._limits.segment_bytes, least + self._limits.reserve_bytes + 4_096)
        try:
            made = self._make_segment(self.report.durable_seq + 1, self._waiting[0][0] if self._waiting else self._last_ts_ns, size)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            self._full(error)
            return False
        self._segment.finish()
        self._segment = made
        if self.report.status is JournalStatus.FULL:
            self._say(JournalStatus.OK, "", stuck=False)
        return True

    def _full(self, error: OSError) -> None:
        if self.report.status is JournalStatus.OK:
            reason = (
                f"the journal has no room: {error.strerror} (errno {error.errno}); free disk space, {self._limits.segment_bytes / 2**20:.3g} MB or more; "
                "what was acknowledged is safe, nothing new is taken until then"
            )
            self._say(JournalStatus.FULL, reason, stuck=False)

    def _no_room(self) -> bool:
        if not self.report.stuck:
            self._say(self.report.status, self.report.reason, stuck=True)
        return False

    def _say(self, status: JournalStatus, reason: str, *, stuck: bool) -> None:
        self.report.status, self.report.reason, self.report.stuck = status, reason, stuck
        self._tell(self.report)

    def _seal(self) -> None:
        """Say on disk that all is there, so that damage to the last group can be told from a torn end. Not worth a new segment."""
        line = encode_seal(self.report.durable_seq, self._last_ts_ns)
        if not self._waiting and self._segment.offset + len(line) <= self._segment.size:
            self._segment.write(line)
