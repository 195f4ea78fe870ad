"""The box without sockets: the websocket port and plain requests, on whatever event loop runs, with a latency that is the same each way."""

import asyncio
from collections import deque
from urllib.parse import urlsplit

from titan_core.errors import VenueUnavailable
from titan_core.feed.transport import Connection, OnClosed, OnFrame, Transport
from titan_core.simulator.box import VENUES, Box
from titan_core.simulator.sockets import BoxSocket
from titan_core.simulator.wire import Dropped, Hanging, Late, Request, Response


def split_url(url: str) -> tuple[str, str, str]:
    """Return (venue, path without the venue's prefix, query). Raises VenueUnavailable where no venue of the box is meant."""
    parts = urlsplit(url)
    venue, _, path = parts.path.removeprefix("/").partition("/")
    if venue not in VENUES:
        raise VenueUnavailable(f"{url} leads to no venue of the box; the path must begin with /{', /'.join(VENUES)}")
    return venue, f"/{path}", parts.query


class BoxTransport(Transport):
    """Opens websockets into a box. URLs are those of the server, with any host: `ws://box/bybit/v5/public/linear`."""

    def __init__(self, box: Box, latency_s: float = 0.001) -> None:
        self._box, self._latency = box, latency_s

    async def connect(
        self, url: str, *, on_frame: OnFrame, on_closed: OnClosed, open_timeout_s: float = 10.0, ping_interval_s: float = 5.0, ping_timeout_s: float = 5.0
    ) -> Connection:
        """Open a connection."""
        venue, path, query = split_url(url)
        await asyncio.sleep(2 * self._latency)
        made = BoxConnection(asyncio.get_running_loop(), self._latency, on_frame, on_closed)
        made.open(self._box.open_socket(venue, f"{path}?{query}" if query else path, made.arrive, made.hang_up), ping_interval_s, ping_timeout_s)
        return made


class BoxConnection(Connection):
    """One connection. Messages keep their order in both directions."""

    def __init__(self, loop: asyncio.AbstractEventLoop, latency_s: float, on_frame: OnFrame, on_closed: OnClosed) -> None:
        self._loop, self._latency = loop, latency_s
        self._on_frame, self._on_closed = on_frame, on_closed
        self._socket: BoxSocket | None = None
        self._down, self._up = Pipe(loop, latency_s), Pipe(loop, latency_s)
        self._open = True
        self._ping: asyncio.TimerHandle | None = None

    def open(self, socket: BoxSocket, ping_interval_s: float, ping_timeout_s: float) -> None:
        """Join the socket and watch whether the peer is alive, as pings of the protocol would."""
        self._socket = socket

        def due() -> None:
            if socket.is_black:
                self._ping = self._loop.call_later(ping_timeout_s, self.hang_up, "no pong")
            elif self._open:
                self._ping = self._loop.call_later(ping_interval_s, due)

        self._ping = self._loop.call_later(ping_interval_s, due)

    def arrive(self, frame: bytes) -> None:
        """Take a frame of the venue; it arrives after the latency."""
        self._down.put(self._handed, frame)

    def _handed(self, frame: bytes) -> None:
        if self._open:
            self._on_frame(frame)

    def hang_up(self, reason: str) -> None:
        """End the connection from the venue's side."""
        self._down.put(self._ended, reason.encode())

    def _ended(self, reason: bytes) -> None:
        if self._open:
            self._release()
            self._on_closed(reason.decode())

    def send(self, payload: bytes) -> None:
        """Queue one message."""
        if self._open and self._socket is not None:
            self._up.put(self._socket.receive, payload)

    @property
    def is_open(self) -> bool:
        """Whether the connection can still carry messages."""
        return self._open

    async def close(self) -> None:
        """Close; no more frames are delivered, and `on_closed` is told."""
        if self._open:
            self._release()
            self._on_closed("closed by the client")

    def _release(self) -> None:
        self._open = False
        if self._ping is not None:
            self._ping.cancel()
        self._down.stop()
        self._up.stop()
        if self._socket is not None:
            self._socket.close()


class Pipe:
    """Calls that are made after a fixed delay, in order. One timer at a time: the loop's own heap does not keep the order of equal times."""

    def __init__(self, loop: asyncio.AbstractEventLoop, delay_s: float) -> None:
        self._loop, self._delay = loop, delay_s
        self._waiting: deque[tuple[float, OnFrame, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def put(self, call: OnFrame, argument: bytes) -> None:
        """Make a call later."""
        due = self._loop.time() + self._delay
        self._waiting.append((due, call, argument))
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._run)

    def _run(self) -> None:
        self._timer = None
        now = self._loop.time() + 1e-9
        while self._waiting and self._waiting[0][0] <= now:
            _, call, argument = self._waiting.popleft()
            call(argument)
        if self._waiting and self._timer is None:
            self._timer = self._loop.call_at(self._waiting[0][0], self._run)

    def stop(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class BoxHttp:
    """Requests into a box."""

    def __init__(self, box: Box, latency_s: float = 0.001) -> None:
        self._box, self._latency = box, latency_s

    async def request(self, method: str, url: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Response:
        """Send a request. Raises ConnectionResetError where the connection ends without an answer; nothing times out by itself."""
        venue, path, query = split_url(url)
        await asyncio.sleep(self._latency)
        small = {name.lower(): value for name, value in (headers or {}).items()}
        outcome = self._box.handle_http(venue, Request(method, path, query, small, body))
        if isinstance(outcome, Hanging):
            await asyncio.sleep(outcome.seconds)
            raise ConnectionResetError(f"{method} {path}: the connection was closed after {outcome.seconds:g} s without an answer")
        if isinstance(outcome, Dropped):
            await asyncio.sleep(self._latency)
            raise ConnectionResetError(f"{method} {path}: the connection was closed without an answer")
        await asyncio.sleep(self._latency + (outcome.seconds if isinstance(outcome, Late) else 0.0))
        return outcome.response if isinstance(outcome, Late) else outcome
