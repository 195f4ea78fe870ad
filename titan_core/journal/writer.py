"""The thread that brings entries to disk in groups: whatever came while one group was synced is the next."""

import queue
import threading
from collections import deque
from collections.abc import Callable
from itertools import islice

from attrs import frozen

from titan_core.journal.failures import JournalBroken, JournalError, JournalFull
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


class GroupWriter:
    """Writes what is put into it, in order. `durable_seq`, `status` and `failure` may be read from any thread.

    `make_segment(first_seq, size)` makes the next segment; `moved` is called, in the thread, whenever one of the three may have changed.
    """

    def __init__(self, segment: OpenSegment, durable_seq: int, make_segment: Callable[[int, int], OpenSegment], limits: Limits) -> None:
        self.durable_seq = durable_seq
        self.status = JournalStatus.OK
        self.failure: JournalError | None = None
        self.stuck: JournalError | None = None
        """Why what waits does not come to disk at present; None while it does."""
        self.written_bytes = 0
        self.moved: Callable[[], None] = lambda: None
        self._segment = segment
        self._make_segment = make_segment
        self._limits = limits
        self._queue: queue.SimpleQueue[Pending | None] = queue.SimpleQueue()
        self._waiting: deque[Pending] = deque()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="titan-journal", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, ts_ns: int, payload: bytes) -> None:
        """Queue an entry; from any thread, without waiting."""
        self._queue.put((ts_ns, payload))

    def stop(self, timeout_s: float) -> bool:
        """Write what is queued where there is room for it, seal, and end the thread. Returns whether it ended within the time."""
        self._queue.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # -- in the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        reason = "the journal's writer ended unexpectedly; see the log"
        try:
            while not self._stopping:
                self._turn()
            self._seal()
            reason = "the journal is closed" if not self._waiting else str(self.failure)
        except OSError as error:
            reason = f"the disk failed to write the journal: {error.strerror} (errno {error.errno}); stop, look after the disk, then start again"
        finally:
            self._segment.close()
            self._broken(JournalBroken(reason))

    def _turn(self) -> None:
        held_up = self.stuck is not None or self.status is JournalStatus.FULL
        self._collect(self._limits.retry_s if held_up else None)
        if self.status is JournalStatus.FULL and not self._waiting:
            self._next_segment(0)
        while self._waiting and self._commit():
            pass

    def _collect(self, timeout_s: float | None) -> None:
        """Wait for something to do, then take all that is there."""
        try:
            item = self._queue.get(timeout=timeout_s)
            while True:
                if item is None:
                    self._stopping = True
                else:
                    self._waiting.append(item)
                item = self._queue.get_nowait()
        except queue.Empty:
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
        data = encode_group(self.durable_seq + 1, group)
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
        self.written_bytes += sum(len(payload) for _, payload in group)
        self.durable_seq += len(group)
        self.stuck = None
        self.moved()
        return True

    def _next_segment(self, least: int) -> bool:
        """Begin the next segment, with room for `least` bytes. Returns False, and the status is FULL, where the disk has no room."""
        size = max(self._limits.segment_bytes, least + self._limits.reserve_bytes + 4_096)
        try:
            made = self._make_segment(self.durable_seq + 1, size)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            self._full(error)
            return False
        self._segment.finish()
        self._segment = made
        if self.status is JournalStatus.FULL:
            self.status, self.failure, self.stuck = JournalStatus.OK, None, None
            self.moved()
        return True

    def _full(self, error: OSError) -> None:
        if self.status is JournalStatus.OK:
            self.failure = JournalFull(
                f"the journal has no room: {error.strerror} (errno {error.errno}); free disk space, {self._limits.segment_bytes / 2**20:g} MB or more; "
                "what was acknowledged is safe, nothing new is taken until then"
            )
            self.status = JournalStatus.FULL
            self.moved()

    def _no_room(self) -> bool:
        if self.stuck is None:
            self.stuck = self.failure
            self.moved()
        return False

    def _seal(self) -> None:
        """Say on disk that all is there, so that damage to the last group can be told from a torn end. Not worth a new segment."""
        line = encode_seal(self.durable_seq, 0)
        if not self._waiting and self._segment.offset + len(line) <= self._segment.size:
            self._segment.write(line)

    def _broken(self, failure: JournalBroken) -> None:
        self.failure = self.stuck = failure
        self.status = JournalStatus.BROKEN
        self.moved()
