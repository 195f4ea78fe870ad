"""The journal on disk: entries get a number at once and come to disk in groups behind the loop's back."""

import asyncio
import secrets
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Generic, TypeVar

import msgspec
from attrs import evolve

from titan_core.journal.codec import EntryCodec
from titan_core.journal.failures import JournalBroken, JournalError, JournalFull
from titan_core.journal.files import NO_ROOM, Files, make_folder
from titan_core.journal.frames import FORMAT_VERSION, Header
from titan_core.journal.link import WriterLink, start_process, start_thread
from titan_core.journal.lock import WriterLock
from titan_core.journal.port import JournalStatus, OnDurable, OnFailed, OnStatus
from titan_core.journal.recovery import Recovery, recover, tidy
from titan_core.journal.segments import OpenSegment
from titan_core.journal.serve import Order
from titan_core.journal.snapshots import RawSnapshot, write_snapshot
from titan_core.journal.waiters import Waiters, wait_for
from titan_core.journal.writer import Limits, Report

E = TypeVar("E")
S = TypeVar("S")

CLOSE_TIMEOUT_S = 30.0


class FileJournal(Generic[E]):
    """A journal that is being written; see `port.Journal` for what each method promises. Made by `open_journal`."""

    def __init__(
        self,
        folder: Path,
        codec: EntryCodec[E],
        link: WriterLink,
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
        self._link = link
        self._lock = lock
        self._clock = clock
        self._loop = loop
        self._limits = limits
        self._files = files
        self._on_status = on_status
        self._last_seq = link.report.durable_seq
        self._taken_bytes = 0
        self._waiters = Waiters(self._deliver_soon)
        self._told = JournalStatus.OK
        self._snapshot_seq = snapshot_seq
        self._snapshot_pending = False
        self._snapshot_thread: threading.Thread | None = None
        self._snapshot_failure = ""
        self._closed = False
        link.moved = self._deliver

    @property
    def last_seq(self) -> int:
        """Sequence number of the last entry that was appended."""
        return self._last_seq

    @property
    def durable_seq(self) -> int:
        """All entries up to this one are on disk."""
        return self._link.report.durable_seq

    @property
    def status(self) -> JournalStatus:
        """Whether entries are taken."""
        return self._link.report.status

    @property
    def writer_pid(self) -> int:
        """Process that writes; 0 where it is a thread of this one."""
        return self._link.pid

    def append(self, entry: E, *, urgent: bool = False) -> int:
        """Take an entry and return its sequence number; see `port.Journal.append`."""
        payload = self._codec.encode(entry)
        report = self._link.report
        if not self._lock.held:
            raise JournalBroken("the journal is closed, or this process was forked from the one that writes it; open it in one process only")
        if report.status is not JournalStatus.OK and (not urgent or report.stuck):
            raise self._refusal()
        if self._taken_bytes - report.written_bytes > self._limits.backlog_bytes:
            raise JournalFull(f"the disk does not keep up: {self._last_seq - report.durable_seq} entries wait; halt, and look for what keeps it busy")
        self._last_seq += 1
        self._taken_bytes += len(payload)
        self._link.put(self._clock(), payload)
        return self._last_seq

    def when_durable(self, seq: int, fn: OnDurable, failed: OnFailed | None = None) -> None:
        """Call `fn` on the loop once all entries up to `seq` are on disk, else `failed`; see `port.Journal.when_durable`."""
        loop = self._need_loop()
        if seq > self._last_seq:
            raise ValueError(f"entry {seq} was never appended; the last one is {self._last_seq}")
        self._waiters.add(seq, fn, failed)
        if self._link.report.durable_seq >= seq or self._link.report.stuck:
            loop.call_soon(self._deliver)
        else:
            self._link.hurry()

    async def durable(self, seq: int) -> None:
        """Return once all entries up to `seq` are on disk; see `port.Journal.durable`."""
        await wait_for(self.when_durable, seq)

    def sync(self, timeout_s: float = 10.0) -> None:
        """Wait, blocking, until all that was appended is on disk; see `port.Journal.sync`."""
        target, until = self._last_seq, monotonic() + timeout_s
        while self._link.report.durable_seq < target:
            if self._link.report.stuck:
                raise self._refusal()
            if not self._link.wait(max(0.0, until - monotonic())) and monotonic() >= until:
                raise JournalBroken(f"{target - self._link.report.durable_seq} entries did not come to disk within {timeout_s:g} s; the disk hangs")
        if self._loop is not None:
            self._loop.call_soon(self._deliver)

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
        return self._snapshot_pending or (self._snapshot_thread is not None and self._snapshot_thread.is_alive())

    def write_snapshot(self, state: Any, seq: int) -> None:
        """Keep the state after all entries up to `seq`; see `port.Journal.write_snapshot`. Raises JournalError while another is being written."""
        if self._writing_snapshot:
            raise JournalError("a snapshot is being written; ask `snapshot_due` first")
        if not 0 <= seq <= self._last_seq:
            raise ValueError(f"a snapshot as of entry {seq} is impossible; the last entry is {self._last_seq}")
        raw = RawSnapshot(seq, self._clock(), msgspec.json.encode(state))
        self._snapshot_seq = seq
        if self._loop is None:
            self.sync()
            self._start_snapshot(raw)
        else:
            self._snapshot_pending = True
            self.when_durable(seq, partial(self._start_snapshot, raw), partial(self._skip_snapshot, raw))

    def _start_snapshot(self, raw: RawSnapshot) -> None:
        self._snapshot_pending = False
        self._snapshot_thread = threading.Thread(target=self._keep_snapshot, args=(raw,), name="titan-snapshot", daemon=True)
        self._snapshot_thread.start()

    def _skip_snapshot(self, raw: RawSnapshot, error: JournalError) -> None:
        self._snapshot_pending = False
        self._snapshot_failure = f"snapshot {raw.seq} was not written: {error}"

    def _keep_snapshot(self, raw: RawSnapshot) -> None:
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
        if not self._lock.held:  # a forked child has nothing to close
            return
        ended = self._link.stop(CLOSE_TIMEOUT_S)
        if self._snapshot_pending and self._loop is not None:
            self._deliver()
        if self._snapshot_thread is not None:
            self._snapshot_thread.join(CLOSE_TIMEOUT_S)
        self._lock.release()
        if self._waiters and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon(self._deliver)
        missing = self._last_seq - self._link.report.durable_seq
        if missing or not ended:
            raise JournalBroken(f"{missing} entries did not come to disk: {self._link.report.reason if ended else 'the disk hangs'}")

    # -- calling back -------------------------------------------------------------------------------------------

    def _need_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise JournalError("this journal was opened without a loop, so it can call nobody back; use sync(), or open it with one")
        return self._loop

    def _refusal(self) -> JournalError:
        report = self._link.report
        return JournalBroken(report.reason) if report.status is JournalStatus.BROKEN else JournalFull(report.reason)

    def _deliver_soon(self) -> None:
        self._need_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        """Call on the loop whoever waited for what has come to disk, or for what will not."""
        self._tell_status()
        report = self._link.report
        self._waiters.deliver(report.durable_seq, self._refusal if report.stuck else None)

    def _tell_status(self) -> None:
        status = self._link.report.status
        if status is not self._told:
            self._told = status
            if self._on_status is not None:
                self._on_status(status, self._link.report.reason or "there is room again")


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
    in_process: bool = False,
    files: Files | None = None,
    new_id: Callable[[], str] = lambda: secrets.token_hex(8),
) -> tuple[FileJournal[E], Recovery[E, S]]:
    """Take the journal in `folder` (made where it is not there), recover it and go on behind its last entry.

    `clock` gives ns since 1970; `loop` is where callbacks run. Starting up and recovering from a crash are the same thing. The caller applies the
    recovery's snapshot and tail before it appends. The writer is a process of its own, or with `in_process` a thread, which is quicker to start and slower
    to answer while the loop is busy; a disk of the caller's (`files`) needs a thread.
    Raises JournalLocked, JournalDamaged, JournalTooNew, JournalFull, JournalBroken, OSError.
    """
    files, limits = files or Files(), limits or Limits()
    make_folder(folder)
    lock = WriterLock(folder)
    try:
        tidy(folder, files)
        recovery: Recovery[E, S] = recover(folder, codec, state_type, accept_damage=accept_damage, files=files)
        which = recovery.journal_id or new_id()
        path, offset = recovery.end or _first_segment(files, folder, which, recovery.last_seq + 1, clock(), limits.segment_bytes)
        order = Order(folder, which, path.name, offset, recovery.last_seq, limits, -1, -1)
        writer = start_thread(order, files) if in_process or type(files) is not Files else start_process(order, (lock.fd,))
        link = WriterLink(writer, Report(recovery.last_seq), loop)
        link.start()
        journal = FileJournal(
            folder,
            codec,
            link,
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


def _first_segment(files: Files, folder: Path, which: str, first_seq: int, ts_ns: int, size: int) -> tuple[Path, int]:
    try:
        segment = OpenSegment.create(files, folder, Header(FORMAT_VERSION, which, first_seq, ts_ns), size)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise JournalFull(f"no room on the disk to begin a journal ({error.strerror}); free {size / 2**20:.3g} MB or more and start again") from error
    segment.close()
    return segment.path, segment.offset
