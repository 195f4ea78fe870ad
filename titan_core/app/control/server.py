"""The session's side of the control socket. Everything runs in callbacks of the session's loop; no client can make it wait."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from attrs import frozen

from titan_core.app.control.desk import Desk
from titan_core.app.control.failures import SessionRunning
from titan_core.app.control.messages import LINE_BYTES, Outcome
from titan_core.app.control.places import Places
from titan_core.app.control.port import Session
from titan_core.app.control.private import Randomness, make_folder
from titan_core.app.control.processes import start_mark
from titan_core.app.control.sessions import SessionFile, read_session, write_session
from titan_core.app.control.socket_files import bind_socket, peer_user, remove_socket
from titan_core.app.control.token import make_token
from titan_core.app.live.status import SessionStatus
from titan_core.model.units import MS


@frozen(kw_only=True)
class Limits:
    """How much of the session its clients may take."""

    connections: int = 64
    """At once; one more puts out the one that has been silent for longest."""
    ask_s: float = 5.0
    """To send the request."""
    take_s: float = 10.0
    """To take the answer."""
    picture_ns: int = 100 * MS
    """How long one picture serves all who ask; a command ends it."""


class ControlServer:
    """Answers on the socket of one session. `clock` is the wall clock in ns, `allowed` the user ids that may connect (our own by default).

    The session's file appears once it can be asked and goes when the server is closed.
    """

    def __init__(
        self,
        folder: Path,
        session: Session,
        *,
        clock: Callable[[], int] = time.time_ns,
        randomness: Randomness = os.urandom,
        allowed: frozenset[int] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.places = Places(folder)
        self.limits = limits or Limits()
        self._allowed = frozenset({os.geteuid()}) if allowed is None else allowed
        self._randomness = randomness
        self.desk = Desk(session, clock, picture_ns=self.limits.picture_ns)
        self._session = session
        self._connections: dict[_Connection, None] = {}
        self._file: SessionFile | None = None
        self._server: asyncio.AbstractServer | None = None
        self._loop_seconds: Callable[[float], float] = float

    async def start(self) -> SessionFile:
        """Begin to answer; returns what stands in the session's file. Raises SessionRunning where another process runs here, ControlError."""
        # a loop whose clock runs faster than life tells how long of its own time so many seconds of the clients' are
        self._loop_seconds = getattr(asyncio.get_running_loop(), "real", float)
        make_folder(self.places.folder)
        before = read_session(self.places)
        if before is not None:
            if before.is_alive:
                raise SessionRunning(
                    f"session {before.name!r} runs already, as process {before.pid}; stop it with `titan stop --name {self.places.folder.name}`, "
                    "or give this one another --name",
                    before.pid,
                )
            remove_socket(Path(before.socket))
        self.desk.token = make_token(self.places.key, self._randomness)
        bound, path = bind_socket(self.places.socket)
        try:
            self._server = await asyncio.get_running_loop().create_unix_server(lambda: _Connection(self), sock=bound, backlog=128)
            self._file = _describe(self._session.status(), path)
            write_session(self.places, self._file, self._randomness)
        except BaseException:
            bound.close()
            remove_socket(path)
            raise
        return self._file

    async def close(self) -> None:
        """Let the answers that are on their way out, for a second at most, and take the session's file away. Does nothing the second time."""
        server, self._server = self._server, None
        if server is None:
            return
        self.places.session.unlink(missing_ok=True)
        server.close()
        for connection in list(self._connections):
            connection.part()
        for _ in range(50):
            if not self._connections:
                break
            await asyncio.sleep(self._loop_seconds(0.02))
        for connection in list(self._connections):
            connection.abort()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._loop_seconds(1.0)):
                await server.wait_closed()
        if self._file is not None:
            remove_socket(Path(self._file.socket))
        self.places.key.unlink(missing_ok=True)

    async def __aenter__(self) -> "ControlServer":
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        await self.close()

    # -- what connections need --------------------------------------------------------------------------------------------

    def admit(self, connection: "_Connection", user: int | None) -> bool:
        """Take a connection in, or refuse it."""
        if user is not None and user not in self._allowed:
            connection.refuse(f"user {user} may not ask this session", Outcome.INVALID)
            return False
        if len(self._connections) >= self.limits.connections:
            longest = next((each for each in self._connections if each.is_silent), None)
            if longest is None:
                connection.refuse("the session is answering as many as it can", Outcome.BUSY)
                return False
            longest.refuse("another client needed the place", Outcome.BUSY)
            self.forget(longest)
        self._connections[connection] = None
        return True

    def after(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """Call something once so many seconds of the clients' time have passed."""
        return asyncio.get_running_loop().call_later(self._loop_seconds(seconds), call)

    def forget(self, connection: "_Connection") -> None:
        """Drop a connection that has ended."""
        self._connections.pop(connection, None)


def _describe(status: SessionStatus, path: Path) -> SessionFile:
    pid = os.getpid()
    return SessionFile(
        name=status.name,
        pid=pid,
        mark=start_mark(pid) or "",
        started_ns=status.started_ns,
        mode=status.mode,
        market=status.feed,
        socket=str(path),
    )


class _Connection(asyncio.Protocol):
    """One client: one line in, one line out."""

    def __init__(self, server: ControlServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._heard = bytearray()
        self._answered = False
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def is_silent(self) -> bool:
        """Whether it has not asked yet."""
        return not self._answered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look who it is."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._server.admit(self, peer_user(transport.get_extra_info("socket"))):
            self._within(self._server.limits.ask_s)

    def data_received(self, data: bytes) -> None:
        """Collect a line and answer it."""
        if self._answered:
            return
        self._heard += data
        end = self._heard.find(b"\n")
        if len(self._heard) > LINE_BYTES and not 0 <= end <= LINE_BYTES:
            self.refuse(f"a message may have {LINE_BYTES} bytes", Outcome.INVALID)
        elif end >= 0:
            self._answered = True  # whatever answering does, it is not asked twice
            self._finish(self._server.desk.answer(bytes(self._heard[:end])))

    def connection_lost(self, error: Exception | None) -> None:
        """Clean up."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._server.forget(self)

    def refuse(self, message: str, outcome: Outcome) -> None:
        """Say why it is not listened to, and close."""
        self._finish(self._server.desk.unsigned(message, outcome))

    def part(self) -> None:
        """Close it if it waits for nothing."""
        if not self._answered and self._transport is not None:
            self.refuse("the session is ending", Outcome.BUSY)

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    def _finish(self, line: bytes) -> None:
        assert self._transport is not None
        self._answered = True
        self._transport.write(line)
        self._transport.close()  # once the line has gone out
        self._within(self._server.limits.take_s)

    def _within(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._server.after(seconds, self.abort)
