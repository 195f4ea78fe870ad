"""The journal on disk: entries get a number at once and come to disk in groups behind the loop's back."""

import asyncio
import heapq
import secrets
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Generic, TypeVar

import msgspec
from attrs import evolve

from titan_core.journal.codec import EntryCodec
from titan_core.journal.failures import JournalBroken, JournalError, JournalFull
from titan_core.journal.files import NO_ROOM, Files, make_folder
from titan_core.journal.frames import FORMAT_VERSION, Header
from titan_core.journal.lock import WriterLock
from titan_core.journal.port import JournalStatus, OnDurable, OnFailed, OnStatus
from titan_core.journal.recovery import Recovery, recover, tidy
from titan_core.journal.segments import OpenSegment
from titan_core.journal.snapshots import RawSnapshot, write_snapshot
from titan_core.journal.writer import GroupWriter, Limits

E = TypeVar("E")
S = TypeVar("S")

CLOSE_TIMEOUT_S = 30.0


class FileJournal(Generic[E]):
    """A journal that is being written; see `port.Journal` for what each method promises. Made by `open_journal`."""

    def __init__(
        self,
        folder: Path,
        codec: EntryCodec[E],
        writer: GroupWriter,
        lock: WriterLock,
        *,
        journal_id: str,
        snapshot_seq: int,
        clock: Callable[[], int],
        loop: asyncio.AbstractEventLoop | None,
        limits: Limits,
        files: Files,
        on_status: OnStatus | None,
    ) -> None:
        self.folder = folder
        self.journal_id = journal_id
        self._codec = codec
        self._writer = writer
        self._lock = lock
        self._clock = clock
        self._loop = loop
        self._limits = limits
        self._files = files
        self._on_status = on_status
        self._last_seq = writer.durable_seq
        self._taken_bytes = 0
        self._append_lock = threading.Lock()
        self._waiters: list[tuple[int, int, OnDurable, OnFailed | None]] = []
        self._order = count()
        self._told = JournalStatus.OK
        self._moved = threading.Event()
        self._snapshot_seq = snapshot_seq
        self._snapshot_thread: threading.Thread | None = None
        self._snapshot_failure = ""
        self._closed = False
        writer.moved = self._writer_moved
        writer.start()

    @property
    def last_seq(self) -> int:
        """Sequence number of the last entry that was appended."""
        return self._last_seq

    @property
    def durable_seq(self) -> int:
        """All entries up to this one are on disk."""
        return self._writer.durable_seq

    @property
    def status(self) -> JournalStatus:
        """Whether entries are taken."""
        return self._writer.status

    def append(self, entry: E, *, urgent: bool = False) -> int:
        """Take an entry and return its sequence number; see `port.Journal.append`."""
        payload = self._codec.encode(entry)
        with self._append_lock:
            writer = self._writer
            if not self._lock.held:
                raise JournalBroken("the journal is closed, or this process was forked from the one that writes it; open it in one process only")
            if writer.status is not JournalStatus.OK and (not urgent or writer.stuck is not None):
                raise self._refusal()
            if self._taken_bytes - writer.written_bytes > self._limits.backlog_bytes:
                raise JournalFull(
                    f"the disk does not keep up: {self._last_seq - writer.durable_seq} entries wait to be written; halt, and look for what keeps it busy"
                )
            self._last_seq += 1
            self._taken_bytes += len(payload)
            writer.put(self._clock(), payload)
            return self._last_seq

    def when_durable(self, seq: int, fn: OnDurable, failed: OnFailed | None = None) -> None:
        """Call `fn` on the loop once all entries up to `seq` are on disk, else `failed`; see `port.Journal.when_durable`."""
        loop = self._need_loop()
        if seq > self._last_seq:
            raise ValueError(f"entry {seq} was never appended; the last one is {self._last_seq}")
        heapq.heappush(self._waiters, (seq, next(self._order), fn, failed))
        if self._writer.durable_seq >= seq or self._writer.stuck is not None:
            loop.call_soon(self._deliver)

    async def durable(self, seq: int) -> None:
        """Return once all entries up to `seq` are on disk; see `port.Journal.durable`."""
        done: asyncio.Future[None] = self._need_loop().create_future()

        def succeed() -> None:
            if not done.done():
                done.set_result(None)

        def fail(error: JournalError) -> None:
            if not done.done():
                done.set_exception(error)

        self.when_durable(seq, succeed, fail)
        await done

    def sync(self, timeout_s: float = 10.0) -> None:
        """Wait, blocking, until all that was appended is on disk; see `port.Journal.sync`."""
        target, until = self._last_seq, monotonic() + timeout_s
        while self._writer.durable_seq < target:
            if self._writer.stuck is not None:
                raise self._refusal()
            left = until - monotonic()
            if left <= 0:
                raise JournalBroken(f"{target - self._writer.durable_seq} entries did not come to disk within {timeout_s:g} s; the disk hangs")
            self._moved.wait(min(left, 0.05))
            self._moved.clear()

    # -- snapshots --------------------------------------------------------------------------------------------------

    @property
    def snapshot_due(self) -> bool:
        """Whether it is time for the next snapshot and none is being written."""
        return self._last_seq - self._snapshot_seq >= self._limits.snapshot_every and not self._writing_snapshot

    @property
    def snapshot_failure(self) -> str:
        """Why the last snapshot could not be written; empty where it could."""
        return self._snapshot_failure

    @property
    def _writing_snapshot(self) -> bool:
        return self._snapshot_thread is not None and self._snapshot_thread.is_alive()

    def write_snapshot(self, state: Any, seq: int) -> None:
        """Keep the state after all entries up to `seq`; see `port.Journal.write_snapshot`. Raises JournalError while another is being written."""
        if self._writing_snapshot:
            raise JournalError("a snapshot is being written; ask `snapshot_due` first")
        if not 0 <= seq <= self._last_seq:
            raise ValueError(f"a snapshot as of entry {seq} is impossible; the last entry is {self._last_seq}")
        raw = RawSnapshot(seq, self._clock(), msgspec.json.encode(state))
        self._snapshot_seq = seq
        self._snapshot_thread = threading.Thread(target=self._keep_snapshot, args=(raw,), name="titan-snapshot", daemon=True)
        self._snapshot_thread.start()

    def _keep_snapshot(self, raw: RawSnapshot) -> None:
        while self._writer.durable_seq < raw.seq:
            if self._writer.status is JournalStatus.BROKEN:
                self._snapshot_failure = f"snapshot {raw.seq}: {self._writer.failure}"
                return
            sleep(0.002)
        try:
            write_snapshot(self._files, self.folder, self.journal_id, raw, self._limits.snapshots_kept)
        except OSError as error:
            self._snapshot_failure = f"snapshot {raw.seq} could not be written: {error}"
        else:
            self._snapshot_failure = ""

    # -- the end ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Bring to disk what was appended, stop the writer, give the lock back. Raises JournalError where something did not come to disk."""
        if self._closed:
            return
        self._closed = True
        ended = self._writer.stop(CLOSE_TIMEOUT_S)
        if self._snapshot_thread is not None:
            self._snapshot_thread.join(CLOSE_TIMEOUT_S)
        self._lock.release()
        missing = self._last_seq - self._writer.durable_seq
        if missing or not ended:
            raise JournalBroken(f"{missing} entries did not come to disk: {self._writer.failure if ended else 'the disk hangs'}")

    # -- between the threads ----------------------------------------------------------------------------------------

    def _need_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise JournalError("this journal was opened without a loop, so it can call nobody back; use sync(), or open it with one")
        return self._loop

    def _refusal(self) -> JournalError:
        # a fresh one each time: raising the same exception again would gather tracebacks
        known = self._writer.failure
        return type(known)(str(known)) if known is not None else JournalFull("the journal had no room a moment ago")

    def _writer_moved(self) -> None:
        """Wake whoever waits. Called in the writer's thread."""
        self._moved.set()
        if self._loop is not None and (self._waiters or self._writer.status is not self._told):
            try:
                self._loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:
                pass  # the loop is closed: nobody waits any more

    def _deliver(self) -> None:
        """Call on the loop whoever waited for what has come to disk, or for what will not."""
        self._tell_status()
        waiters = self._waiters
        while waiters:
            seq, _, fn, failed = waiters[0]
            done = self._writer.durable_seq >= seq
            if not done and self._writer.stuck is None:
                break
            heapq.heappop(waiters)
            try:
                if done:
                    fn()
                elif failed is not None:
                    failed(self._refusal())
            except BaseException:
                # the loop reports it; whoever else waits is called by the next turn
                self._need_loop().call_soon(self._deliver)
                raise

    def _tell_status(self) -> None:
        status = self._writer.status
        if status is not self._told:
            self._told = status
            if self._on_status is not None:
                failure = self._writer.failure
                self._on_status(status, "there is room again" if failure is None else str(failure))


def open_journal(
    folder: Path,
    codec: EntryCodec[E],
    state_type: type[S] | Any = Any,
    *,
    clock: Callable[[], int],
    loop: asyncio.AbstractEventLoop | None = None,
    limits: Limits | None = None,
    accept_damage: bool = False,
    on_status: OnStatus | None = None,
    files: Files | None = None,
    new_id: Callable[[], str] = lambda: secrets.token_hex(8),
) -> tuple[FileJournal[E], Recovery[E, S]]:
    """Take the journal in `folder` (made where it is not there), recover it and go on behind its last entry.

    `clock` gives ns since 1970; `loop` is where callbacks run. Starting up and recovering from a crash are the same thing. The caller applies the
    recovery's snapshot and tail before it appends. Raises JournalLocked, JournalDamaged, JournalTooNew, JournalFull, OSError.
    """
    files, limits = files or Files(), limits or Limits()
    make_folder(folder)
    lock = WriterLock(folder)
    try:
        tidy(folder, files)
        recovery: Recovery[E, S] = recover(folder, codec, state_type, accept_damage=accept_damage, files=files)
        which = recovery.journal_id or new_id()

        def make_segment(first_seq: int, size: int) -> OpenSegment:
            return OpenSegment.create(files, folder, Header(FORMAT_VERSION, which, first_seq, clock()), size)

        if recovery.end is not None:
            segment = OpenSegment.resume(files, *recovery.end, limits.segment_bytes)
        else:
            segment = _first_segment(make_segment, recovery.last_seq + 1, limits.segment_bytes)
        writer = GroupWriter(segment, recovery.last_seq, make_segment, limits)
        journal = FileJournal(
            folder,
            codec,
            writer,
            lock,
            journal_id=which,
            snapshot_seq=recovery.snapshot.seq if recovery.snapshot is not None else 0,
            clock=clock,
            loop=loop,
            limits=limits,
            files=files,
            on_status=on_status,
        )
    except BaseException:
        lock.release()
        raise
    if lock.taken_from:
        recovery = evolve(recovery, notes=(*recovery.notes, f"process {lock.taken_from} wrote this journal before and was killed"))
    return journal, recovery


def _first_segment(make_segment: Callable[[int, int], OpenSegment], first_seq: int, size: int) -> OpenSegment:
    try:
        return make_segment(first_seq, size)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise JournalFull(f"no room on the disk to begin a journal ({error.strerror}); free {size / 2**20:g} MB or more and start again") from error
