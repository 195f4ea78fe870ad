"""The loop's end of the journal's writer.

The writer is a process of its own. A thread would do but for the interpreter's lock: it needs the lock before and after each sync, and a loop that always has
something to do gives it up for a microsecond at a time only, which a waking thread misses again and again; measured, one entry in a hundred then took more
than half a second. To a process the loop writes into a pipe and never waits.
"""

import asyncio
import fcntl
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

from attrs import define, evolve, field

import titan_core
from titan_core.journal.failures import JournalBroken
from titan_core.journal.files import Files
from titan_core.journal.lock import close_in_children
from titan_core.journal.port import JournalStatus
from titan_core.journal.serve import Order, serve
from titan_core.journal.wire import READ_BYTES, ReportStream, encode_entry
from titan_core.journal.writer import Report

START_TIMEOUT_S = 20.0
PIPE_BYTES = 1 << 20


@define
class Started:
    """A running writer."""

    entries_fd: int
    reports_fd: int
    pid: int
    """Process id; 0 for a thread."""
    join: Callable[[float], bool]
    """Wait at most so long for its end; return whether it ended."""


def _pipes() -> tuple[int, int, int, int]:
    (entries_out, entries_in), (reports_out, reports_in) = os.pipe(), os.pipe()
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):  # a limit of the user's; a smaller pipe only means more turns
            fcntl.fcntl(entries_in, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return entries_out, entries_in, reports_out, reports_in


def start_process(order: Order, lock_fds: Sequence[int]) -> Started:
    """Start the writer as a process; it holds `lock_fds` open, hence the journal's lock, until it ends."""
    entries_out, entries_in, reports_out, reports_in = _pipes()
    command = [sys.executable, "-m", "titan_core.journal.serve", evolve(order, entries_fd=entries_out, reports_fd=reports_in).encode()]
    root = str(Path(titan_core.__file__).resolve().parents[1])
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV", "LD_LIBRARY_PATH") if name in os.environ}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(entries_out, reports_in, *lock_fds),
        env=environment | {"PYTHONPATH": root},
        start_new_session=True,  # Ctrl-C ends those who append; the writer ends when they have
    )
    os.close(entries_out)
    os.close(reports_in)

    def join(timeout_s: float) -> bool:
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    return Started(entries_in, reports_out, process.pid, join)


def start_thread(order: Order, files: Files) -> Started:
    """Start the writer as a thread, for short-lived tools and for disks that exist in a test only."""
    entries_out, entries_in, reports_out, reports_in = _pipes()
    thread = threading.Thread(target=serve, args=(evolve(order, entries_fd=entries_out, reports_fd=reports_in), files), name="titan-journal", daemon=True)
    thread.start()

    def join(timeout_s: float) -> bool:
        thread.join(timeout_s)
        return not thread.is_alive()

    return Started(entries_in, reports_out, 0, join)


@define
class WriterLink:
    """Sends entries to the writer and keeps its last report. Everything happens on the thread of the loop, or of the caller where there is none."""

    _writer: Started
    report: Report
    _loop: asyncio.AbstractEventLoop | None
    moved: Callable[[], None] = field(default=lambda: None)
    """Called on the loop when the report has changed."""
    _stream: ReportStream = field(factory=ReportStream, init=False)
    _unsent: list[bytes] = field(factory=list, init=False)
    _flush_planned: bool = field(default=False, init=False)
    _blocked: bool = field(default=False, init=False)
    """Whether the pipe is full and the loop tells when it takes more."""
    _open: bool = field(default=True, init=False)

    @property
    def pid(self) -> int:
        """Process id of the writer; 0 where it is a thread."""
        return self._writer.pid

    def start(self) -> None:
        """Wait for the first sign of life, then listen on the loop. Raises JournalBroken where there is none."""
        close_in_children(self)
        os.set_blocking(self._writer.entries_fd, False)
        os.set_blocking(self._writer.reports_fd, False)
        alive = self.wait(START_TIMEOUT_S)
        if not alive or self.report.status is JournalStatus.BROKEN:
            self.stop(0.1)
            raise JournalBroken(self.report.reason or f"the journal's writer did not start within {START_TIMEOUT_S:g} s; see the log")
        if self._loop is not None:
            self._loop.add_reader(self._writer.reports_fd, self._on_reports)

    def close_in_child(self) -> None:
        """Let go of the pipes in a forked child: the writer ends when nobody can send to it any more."""
        if self._open:
            self._open = False
            self._unsent = []
            os.close(self._writer.entries_fd)
            os.close(self._writer.reports_fd)

    def put(self, ts_ns: int, payload: bytes) -> None:
        """Queue an entry; it is sent by `hurry`, else at the end of the loop's turn with all others of the turn."""
        self._unsent.append(encode_entry(ts_ns, payload))
        if self._loop is None:
            self._send()
        elif not self._flush_planned:
            self._flush_planned = True
            self._loop.call_soon(self._flush)

    def hurry(self) -> None:
        """Send what is queued now: somebody waits for it."""
        if self._unsent and not self._blocked:
            self._send()

    def wait(self, timeout_s: float) -> bool:
        """Send what is queued and wait, blocking, for a report. Returns whether there was one within the time."""
        until = monotonic() + timeout_s
        while self._open:
            self._send()
            wanted = [self._writer.entries_fd] if self._unsent else []
            readable, writable, _ = select.select([self._writer.reports_fd], wanted, [], max(0.0, until - monotonic()))
            if readable:
                return self._receive()
            if not writable:
                return False
        return False

    def stop(self, timeout_s: float) -> bool:
        """Let the writer finish what was sent, and wait for its end, blocking. Returns whether it ended within the time."""
        until = monotonic() + timeout_s
        while self._unsent and self._open and self.wait(until - monotonic()):
            pass
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._writer.reports_fd)
            self._loop.remove_writer(self._writer.entries_fd)
        self._unsent = []
        os.close(self._writer.entries_fd)
        while self._open and self.report.status is not JournalStatus.BROKEN and self.wait(until - monotonic()):
            pass
        os.close(self._writer.reports_fd)
        self._open = False
        return self._writer.join(max(0.1, until - monotonic()))

    def _flush(self) -> None:
        self._flush_planned = False
        self._send()
        if self._unsent and self._open and self._loop is not None:
            self._blocked = self._flush_planned = True
            self._loop.add_writer(self._writer.entries_fd, self._resume)

    def _resume(self) -> None:
        """The pipe takes more."""
        assert self._loop is not None
        self._blocked = False
        self._loop.remove_writer(self._writer.entries_fd)
        self._flush()

    def _send(self) -> None:
        if not self._unsent or not self._open:
            return
        data = b"".join(self._unsent)
        try:
            sent = os.write(self._writer.entries_fd, data)
        except BlockingIOError:
            sent = 0
        except BrokenPipeError:
            sent = len(data)  # its last report, or the lack of one, says why
        self._unsent = [data[sent:]] if sent < len(data) else []

    def _on_reports(self) -> None:
        self._receive()
        self.moved()

    def _receive(self) -> bool:
        """Read the reports that are there. Returns whether there was anything, the end included."""
        try:
            data = os.read(self._writer.reports_fd, READ_BYTES)
        except BlockingIOError:
            return False
        for report in self._stream.feed(data):
            self.report = report
        if not data:
            self._open = False
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(self._writer.reports_fd)
            if self.report.status is not JournalStatus.BROKEN:
                reason = "the journal's writer was killed; stop, and start again with recovery"
                self.report = Report(self.report.durable_seq, self.report.written_bytes, JournalStatus.BROKEN, True, reason)
        return True
