"""The session's side of the guard: starts the process, gives it signs of life, hears how it stands, starts another when it dies, and keeps the gate.

guard = Guard(folder, [account], on_latch=lambda latch: session.ask(Wish.PANIC, latch.why), say=...)
await guard.start()
setup = evolve(setup, join=guard.gated(setup.join))
guard.attend(watch(session))      # from here on the loop has to turn
...
await guard.close()
"""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from attrs import frozen
from msgspec.structs import replace

import titan_core
from titan_core.app.control.processes import start_mark
from titan_core.app.guard.gate import GatedAccount, GatedClient, Join
from titan_core.app.guard.latch import Latch, archive_latch, read_latch
from titan_core.app.guard.page import SharedPage
from titan_core.app.guard.silence import Silence
from titan_core.app.guard.stack import StackWriter
from titan_core.app.guard.words import LEAVING, LONGEST_LINE, WATCHING, AccountOrder, Farewell, Order, Reopen, Report, ToGuard, Watched
from titan_core.app.live.setup import Account
from titan_core.errors import TitanError
from titan_core.execution.client import Listener
from titan_core.execution.secrets.children import child_environment
from titan_core.execution.secrets.secret import Secret
from titan_core.feed.tasks import Tasks
from titan_core.model.instrument import Instrument

LOG_NAME = "guard.log"
LARGEST_LOG = 1 << 20
MOST_UNSENT = 1 << 16

Watch = Callable[[], Watched | None]
"""Returns what the session has open; None before it trades."""


class GuardError(TitanError):
    """The guard cannot do what it was asked for now."""


@frozen(kw_only=True)
class GuardedVenue:
    """An account that is to be guarded: where it is and what opens it."""

    family: str
    rest_url: str
    key: Secret
    secret: Secret
    instruments: Sequence[Instrument]
    is_simulator: bool = False
    """Whether it is a venue in a box on this machine; only then is this machine spoken to."""

    def in_plain_text(self) -> AccountOrder:
        """Return it as it is sent to the guard."""
        return AccountOrder(
            family=self.family, rest_url=self.rest_url, key=self.key.reveal(), secret=self.secret.reveal(), instruments=list(self.instruments),
            is_simulator=self.is_simulator,
        )  # fmt: skip


@frozen(kw_only=True)
class GuardTimes:
    """Times in seconds."""

    hang_s: float = 10.0
    """A session that gives no sign of life for so long hangs; of the guard's own running time."""
    beat_s: float = 1.0
    look_s: float = 10.0
    """From look to look at the venue while all is well."""
    timeout_s: float = 5.0
    answer_s: float = 5.0
    """A guard that reports nothing for so long is replaced."""
    start_s: float = 30.0
    """The same, for its first report: it has to load first."""
    give_up_s: float = 3_600.0
    """How long a guard without a session tries to reach the venue."""
    pause_s: float = 1.0
    """Before another guard is started; doubled each time."""
    healthy_s: float = 600.0
    """A guard that lived so long did not fail for a reason that lasts."""
    restarts: int = 5


class Guard:
    """The guard of one session. Everything is called on the session's loop."""

    def __init__(
        self,
        folder: Path,
        venues: Sequence[GuardedVenue],
        *,
        on_latch: Callable[[Latch], None],
        say: Callable[[str], None],
        times: GuardTimes | None = None,
        adopt_stop_bps: int = 200,
    ) -> None:
        """`on_latch` hears, once for each, of a latch that comes up while this runs; one that lay there before is `latch`. `say` gets lines for the screen."""
        self.latch = read_latch(folder)
        self.trouble = "it has not started"
        """Why no entry passes; empty where they do."""
        self.pid = 0
        self._folder, self._venues, self._times, self._adopt_stop_bps = folder, venues, times or GuardTimes(), adopt_stop_bps
        self._on_latch, self._say = on_latch, say
        self._tasks = Tasks("the guard")
        self._watch: Watch | None = None
        self._watched: Watched | None = None
        self._watch_failed = False
        self._is_able = self._is_closing = self._told_held = False
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._silence = Silence(self._times.beat_s, self._times.start_s)
        self._ready = asyncio.Event()
        self._done = asyncio.Event()
        self._state = ""

    # -- what the session uses ------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Start the guard's process and keep one running. It is on duty some seconds later; until then no entry passes."""
        self._page, self._stacks = SharedPage.make(), StackWriter()
        self.trouble = "it is starting"
        if self.latch is not None:
            self._say(f"the guard had latched: {self.latch}")
        self._tasks.start(self._keep_one_running())
        self._tasks.start(self._beat())

    async def ready(self, timeout_s: float = 60.0) -> None:
        """Return once the guard has shown that it can read the venue, or is latched. Raises GuardError after the time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        except TimeoutError:
            raise GuardError(f"no guard is on duty after {timeout_s:g} s: {self.trouble}") from None

    def attend(self, watch: Watch) -> None:
        """Give signs of life from now on. Where `watch` returns None they are none, and the guard does not wait for them."""
        self._watch = watch

    def may_enter(self) -> bool:
        """Whether an order may be sent that could open a position. Costs no system call."""
        return self._is_able and self._page.is_open

    def gated(self, join: Join) -> Join:
        """Return `Setup.join` with the gate before what it makes."""

        def make(listener: Listener, now_ns: Callable[[], int]) -> Account:
            account = join(listener, now_ns)
            return GatedAccount(account, GatedClient(account.client, self.may_enter, self._why_shut, self._entered))

        return make

    def release(self) -> None:
        """Take the latch away on the operator's word. Raises GuardError while the emergency has not ended."""
        if self.latch is None:
            return
        if not self.latch.is_done and self._state == LEAVING:
            raise GuardError(f"the guard is still leaving the venue ({self.latch.why}); wait until it has, then resume")
        kept = archive_latch(self._folder)
        self._say(f"the guard's latch is lifted{f'; it is kept as {kept.name}' if kept else ''}")
        self.latch = None
        self._tell(Reopen())

    async def close(self) -> None:
        """Let the guard go, in order. One that is leaving the venue finishes that by itself. Does nothing the second time."""
        if self._is_closing:
            return
        self._is_closing, self._is_able = True, False
        self._tell(Farewell())
        if self._writer is not None:
            self._writer.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(3.0):
                await self._done.wait()
        await self._tasks.close()
        process = self._process
        if process is not None and process.poll() is None and self._state != LEAVING:
            process.kill()
            process.wait()
        if hasattr(self, "_page"):
            self._stacks.close()
            self._page.close()

    async def __aenter__(self) -> "Guard":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # -- signs of life ----------------------------------------------------------------------------------------------------
    async def _beat(self) -> None:
        loop, times = asyncio.get_running_loop(), self._times
        beat_s = min(times.beat_s, times.hang_s / 5)
        self._silence.turn_s, last = beat_s, loop.time()
        while True:
            watched = self._look()
            if watched is not None:
                self._sign(watched)
            now = loop.time()
            if self._silence.pass_time(now - last) and self._process is not None and self._process.poll() is None:
                self._say(f"the guard (process {self.pid}) has said nothing for {self._silence.seconds:.0f} s; it is replaced")
                self._process.kill()
                self._silence.heard()
            last = now
            await asyncio.sleep(beat_s)

    def _sign(self, watched: Watched) -> None:
        self._told_held = watched.is_held
        self._tell(watched)
        self._stacks.arm(self._times.hang_s * 0.8)

    def _entered(self) -> None:
        """An order has gone out that may open a position: the guard has to know before this loop can hang again."""
        if not self._told_held:
            self._sign(replace(self._look() or Watched(is_held=True, mode="starting"), is_held=True))

    def _look(self) -> Watched | None:
        if self._watch is None:
            return None
        try:
            self._watched = self._watch()
            self._watch_failed = False
        except Exception as error:  # that the session cannot be described is no reason to leave the market: its loop turns
            if not self._watch_failed:
                self._say(f"what the session has open cannot be told ({type(error).__name__}: {error}); the guard goes on with what it knew")
            self._watch_failed = True
        return self._watched

    def _tell(self, word: ToGuard) -> None:
        writer = self._writer
        if writer is not None and not writer.transport.is_closing() and writer.transport.get_write_buffer_size() < MOST_UNSENT:
            writer.write(msgspec.json.encode(word) + b"\n")

    # -- the process ------------------------------------------------------------------------------------------------------
    async def _keep_one_running(self) -> None:
        loop, times = asyncio.get_running_loop(), self._times
        failures = 0
        while True:
            began = loop.time()
            reason = await self._serve()
            self._is_able = False
            if self._is_closing:
                self._done.set()
                return
            failures = 1 if loop.time() - began >= times.healthy_s else failures + 1
            self.trouble = f"the guard is gone ({reason})"
            if failures > times.restarts:
                self.trouble += f" and was started {failures} times; restart the session once {LOG_NAME} says why"
                self._say(self.trouble)
                return
            pause_s = min(times.pause_s * 2 ** (failures - 1), 60.0)
            self._say(f"{self.trouble}; another one starts in {pause_s:g} s, no entry passes until then")
            await asyncio.sleep(pause_s)

    async def _serve(self) -> str:
        """Start a guard and hear it until it ends; returns why it has ended."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = self._process = self._spawn(theirs)
        except OSError as error:
            ours.close()
            return f"it cannot be started: {error.strerror}"
        self.pid, self._state, self._told_held = process.pid, "", False
        self._silence.limit_s = self._times.start_s
        self._silence.heard()
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=LONGEST_LINE)
        self._writer.write(msgspec.json.encode(self._order()) + b"\n")
        decoder = msgspec.json.Decoder(Report)
        try:
            while (line := await reader.readline()).endswith(b"\n"):
                self._silence.limit_s = self._times.answer_s
                self._silence.heard()
                self._hear(decoder.decode(line))
        except ConnectionError:
            pass
        finally:
            self._writer.close()
        while process.poll() is None:  # it closes its socket a moment before it ends
            await asyncio.sleep(0.02)
        return f"process {process.pid} ended with {process.returncode}"

    def _spawn(self, theirs: socket.socket) -> "subprocess.Popen[bytes]":
        root = str(Path(titan_core.__file__).resolve().parents[1])
        environment = child_environment()
        path = [root, *(each for each in environment.get("PYTHONPATH", "").split(os.pathsep) if each)]
        log = open_log(self._folder)
        try:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "titan_core.app.guard"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=(self._page.fd, self._stacks.fd),
                env=environment | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(path))},
                start_new_session=True,  # Ctrl-C is for the session
            )
        finally:
            os.close(log)

    def _order(self) -> Order:
        times, pid = self._times, os.getpid()
        return Order(
            folder=str(self._folder), session_pid=pid, session_mark=start_mark(pid) or "", thread=threading.get_ident(), page_fd=self._page.fd,
            stacks_fd=self._stacks.fd, accounts=[venue.in_plain_text() for venue in self._venues], hang_s=times.hang_s, look_s=times.look_s,
            timeout_s=times.timeout_s, give_up_s=times.give_up_s, adopt_stop_bps=self._adopt_stop_bps,
        )  # fmt: skip

    # -- what it says -------------------------------------------------------------------------------------------------------
    def _hear(self, report: Report) -> None:
        if report.state != self._state:
            self._say(f"guard {self.pid}: {report.state} {report.text}".rstrip())
        self._state = report.state
        self._is_able = report.state == WATCHING
        self.trouble = "" if self._is_able else report.text or report.state
        if report.latch is not None:
            known, self.latch = self.latch, report.latch
            if known is None or known.since_ns != report.latch.since_ns:
                self._on_latch(report.latch)
        if self._is_able or report.latch is not None:
            self._ready.set()

    def _why_shut(self) -> str:
        return self.trouble or "it has shut the gate"


def open_log(folder: Path) -> int:
    """Open the guard's log for appending, mode 0600, begun anew where it has become large. Raises OSError, also for a link in its place."""
    fd = os.open(folder / LOG_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if os.fstat(fd).st_size > LARGEST_LOG:
        os.ftruncate(fd, 0)
    return fd
