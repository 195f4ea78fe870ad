"""The journal in memory, for simulations: the same promises, on the loop's own time, and a crash that loses what was not durable yet."""

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from attrs import define, field

from titan_core.journal.codec import EntryCodec, Record, Snapshot
from titan_core.journal.failures import JournalBroken, JournalError, JournalFull, JournalLocked
from titan_core.journal.port import JournalStatus, OnDurable, OnFailed, OnStatus
from titan_core.journal.recovery import Recovery
from titan_core.journal.waiters import Waiters, wait_for

E = TypeVar("E")

MEMORY_ID = "memory"


@define
class MemoryDisk:
    """What survives a crash. `full` may be set and cleared at any time; `sync_s` says how long the next sync takes."""

    sync_s: Callable[[], float] = lambda: 0.0002
    full: bool = False
    entries: list[tuple[int, bytes]] = field(factory=list, init=False)
    """Time and JSON of the entries that are on disk; the first has number 1."""
    snapshots: list[tuple[int, int, bytes]] = field(factory=list, init=False)
    """Sequence number, time and JSON of the snapshots, oldest first."""
    writer: "MemoryJournal[Any] | None" = field(default=None, init=False)


class MemoryJournal(Generic[E]):
    """A journal on a `MemoryDisk`; see `port.Journal` for what each method promises. Nothing in it is random or looks at a wall clock."""

    def __init__(
        self,
        disk: MemoryDisk,
        codec: EntryCodec[E],
        *,
        clock: Callable[[], int],
        loop: asyncio.AbstractEventLoop,
        snapshot_every: int = 50_000,
        on_status: OnStatus | None = None,
    ) -> None:
        if disk.writer is not None:
            raise JournalLocked("another journal is open on this disk; close or crash it first", 0)
        disk.writer = self
        self._disk = disk
        self._codec = codec
        self._clock = clock
        self._loop = loop
        self._snapshot_every = snapshot_every
        self._on_status = on_status
        self._snapshot_seq = disk.snapshots[-1][0] if disk.snapshots else 0
        self._waiting: list[tuple[int, bytes]] = []
        self._waiters = Waiters(self._deliver_soon)
        self._syncing: asyncio.TimerHandle | None = None
        self._status = JournalStatus.OK

    @property
    def last_seq(self) -> int:
        """Sequence number of the last entry that was appended."""
        return len(self._disk.entries) + len(self._waiting)

    @property
    def durable_seq(self) -> int:
        """All entries up to this one survive a crash."""
        return len(self._disk.entries)

    @property
    def status(self) -> JournalStatus:
        """Whether entries are taken."""
        return self._status

    def append(self, entry: E, *, urgent: bool = False) -> int:
        """Take an entry and return its sequence number; see `port.Journal.append`. This disk keeps no reserve, so urgent entries wait like all others."""
        if self._status is not JournalStatus.OK and not (urgent and self._status is JournalStatus.FULL):
            raise self._failure()
        self._waiting.append((self._clock(), self._codec.encode(entry)))
        self._begin_sync()
        return self.last_seq

    def when_durable(self, seq: int, fn: OnDurable, failed: OnFailed | None = None) -> None:
        """Call `fn` on the loop once all entries up to `seq` are durable, else `failed`; see `port.Journal.when_durable`."""
        if seq > self.last_seq:
            raise ValueError(f"entry {seq} was never appended; the last one is {self.last_seq}")
        self._waiters.add(seq, fn, failed)
        if seq <= self.durable_seq or self._status is not JournalStatus.OK:
            self._loop.call_soon(self._deliver)

    async def durable(self, seq: int) -> None:
        """Return once all entries up to `seq` are durable; see `port.Journal.durable`."""
        await wait_for(self.when_durable, seq)

    def sync(self, timeout_s: float = 10.0) -> None:
        """Make all that was appended durable at once."""
        if self._syncing is not None:
            self._syncing.cancel()
        self._finish_sync(len(self._waiting))
        if self._waiting:
            raise self._failure()

    @property
    def snapshot_due(self) -> bool:
        """Whether it is time for the next snapshot."""
        return self.last_seq - self._snapshot_seq >= self._snapshot_every

    @property
    def snapshot_failure(self) -> str:
        """Always empty."""
        return ""

    def write_snapshot(self, state: Any, seq: int) -> None:
        """Keep the state after all entries up to `seq` once they are durable."""
        if not 0 <= seq <= self.last_seq:
            raise ValueError(f"a snapshot as of entry {seq} is impossible; the last entry is {self.last_seq}")
        encoded, ts_ns = msgspec.json.encode(state), self._clock()
        self._snapshot_seq = seq
        self.when_durable(seq, lambda: self._disk.snapshots.append((seq, ts_ns, encoded)), lambda error: None)

    def close(self) -> None:
        """Make durable what was appended and let the disk go. Raises JournalError where the disk is full and entries wait."""
        if self._status is JournalStatus.BROKEN:
            return
        try:
            self.sync()
        finally:
            self._end()

    def crash(self, kept: int = 0) -> int:
        """Stop as a kill or a power cut would: nobody is called back any more. Returns how many entries are lost.

        `kept` entries that were not durable happen to have reached the disk, the oldest first, as can be.
        """
        if self._status is JournalStatus.BROKEN:
            return 0
        self._disk.entries += self._waiting[:kept]
        lost = len(self._waiting[kept:])
        self._waiters.forget()
        self._waiting.clear()
        self._end()
        return lost

    def _end(self) -> None:
        if self._syncing is not None:
            self._syncing.cancel()
        self._status = JournalStatus.BROKEN
        self._disk.writer = None
        if self._waiters:
            self._loop.call_soon(self._deliver)

    def _begin_sync(self) -> None:
        if self._syncing is None:
            self._syncing = self._loop.call_later(self._disk.sync_s(), self._finish_sync, len(self._waiting))

    def _finish_sync(self, group: int) -> None:
        """The entries that waited when the sync began are durable; whatever came since is the next group."""
        self._syncing = None
        if self._status is JournalStatus.BROKEN:
            return
        if not self._disk.full:
            self._disk.entries += self._waiting[:group]
            del self._waiting[:group]
        self._tell(JournalStatus.FULL if self._disk.full else JournalStatus.OK)
        if self._waiting or self._disk.full:
            self._begin_sync()
        self._deliver()

    def _tell(self, status: JournalStatus) -> None:
        if status is not self._status:
            self._status = status
            if self._on_status is not None:
                self._on_status(status, "there is room again" if status is JournalStatus.OK else str(self._failure()))

    def _deliver_soon(self) -> None:
        self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._waiters.deliver(self.durable_seq, None if self._status is JournalStatus.OK else self._failure)

    def _failure(self) -> JournalError:
        if self._status is JournalStatus.BROKEN:
            return JournalBroken("the journal is closed")
        return JournalFull("the journal has no room; what was acknowledged is safe, nothing new is taken until there is some")


def recover_memory(disk: MemoryDisk, codec: EntryCodec[E], state_type: Any = Any) -> Recovery[E, Any]:
    """Read the newest snapshot and the entries after it, as `recovery.recover` does from a folder."""
    snapshot = None
    if disk.snapshots:
        seq, ts_ns, payload = disk.snapshots[-1]
        snapshot = Snapshot(seq, ts_ns, msgspec.json.decode(payload, type=state_type))
    after = snapshot.seq if snapshot is not None else 0
    tail = tuple(Record(after + n, ts_ns, codec.decode(payload)) for n, (ts_ns, payload) in enumerate(disk.entries[after:], 1))
    return Recovery(MEMORY_ID, snapshot, tail, len(disk.entries), None, (), (), None)
