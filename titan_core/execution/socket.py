"""One authenticated websocket that stays alive: sign in, ping, notice silence, come back. What is said for that is each venue's own and stands in its room.

A socket that has carried nothing for `silence_s` is taken for dead, whatever the kernel thinks of it: every venue answers the pings in its own words. Between
two attempts it waits longer each time, with jitter, so that many clients do not come back at once.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from attrs import define, field

from titan_core.errors import VenueUnavailable
from titan_core.feed.transport import Connection, Transport, retry_pause_s


@define
class SocketTimes:
    """How patient a socket is, in seconds."""

    ping_s: float = 1.0
    silence_s: float = 2.5
    open_s: float = 5.0
    first_retry_s: float = 0.1
    last_retry_s: float = 15.0
    stable_s: float = 10.0
    """A connection that lasted so long is followed by a prompt attempt."""


@define
class StandingSocket(ABC):
    """Connects for as long as it runs. `on_frame` gets every decoded frame that is not about the socket itself; `on_up`, `on_down` tell when it can be used."""

    transport: Transport
    url: str
    key: str = field(repr=False)
    secret: bytes = field(repr=False)
    now_ms: Callable[[], int]
    """The venue's clock."""
    jitter: Callable[[], float]
    """Uniform in [0, 1)."""
    on_frame: Callable[[Mapping[str, Any]], None]
    on_up: Callable[[], None]
    on_down: Callable[[str], None]
    times: SocketTimes = field(factory=SocketTimes)
    is_up: bool = field(init=False, default=False)
    attempts: int = field(init=False, default=0)
    _connection: Connection | None = field(init=False, default=None)
    _heard_s: float = field(init=False, default=0.0)
    _ended: asyncio.Event | None = field(init=False, default=None)
    _reason: str = field(init=False, default="")

    # -- the venue's words --------------------------------------------------------------------------------------------
    @property
    @abstractmethod
    def ping(self) -> bytes:
        """What the venue answers at any time."""

    @abstractmethod
    def sign_in(self) -> None:
        """Say who we are on a socket that has just been opened."""

    @abstractmethod
    def take(self, said: Mapping[str, Any]) -> None:
        """Take in a frame: what is about the socket itself, or pass it to `on_frame`."""

    def signed_in(self, refusal: str | None = None) -> None:
        """Note the answer to `sign_in`."""
        if refusal is None:
            self.is_up = True
            self.on_up()
        else:
            self.drop(f"not signed in: {refusal}")

    # -- using it -----------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Stay connected until cancelled."""
        failures, times = 0, self.times
        try:
            while True:
                self.attempts += 1
                began = self._time()
                await self._once()
                failures = 0 if self._time() - began > times.stable_s else failures + 1
                await asyncio.sleep(retry_pause_s(failures, times.first_retry_s, times.last_retry_s, self.jitter()))
        finally:
            await self._close()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message on the open socket; what is sent on a closed one is lost, and `on_down` has told or will tell."""
        self.send_raw(json.dumps(message).encode())

    def send_raw(self, payload: bytes) -> None:
        """Send an encoded message."""
        if self._connection is not None:
            self._connection.send(payload)

    def drop(self, reason: str) -> None:
        """Give the present connection up; another one is made."""
        self._reason = self._reason or reason
        if self._ended is not None:
            self._ended.set()

    # -- inside -----------------------------------------------------------------------------------------------------
    def _time(self) -> float:
        return asyncio.get_running_loop().time()

    async def _once(self) -> None:
        ended = self._ended = asyncio.Event()
        self._reason = ""

        def on_frame(frame: bytes) -> None:
            if ended is self._ended:
                self._received(frame)

        def on_closed(reason: str) -> None:
            if ended is self._ended:  # an old connection may tell of its end when there is a new one
                self.drop(reason)

        try:
            self._connection = await self.transport.connect(self.url, on_frame=on_frame, on_closed=on_closed, open_timeout_s=self.times.open_s)
        except VenueUnavailable as error:
            self.on_down(str(error))
            return
        self._heard_s = self._time()
        self.sign_in()
        while not ended.is_set():
            try:
                async with asyncio.timeout(self.times.ping_s):
                    await ended.wait()
            except TimeoutError:
                if self._time() - self._heard_s > self.times.silence_s:
                    self.drop(f"nothing heard for {self.times.silence_s:g} s")
                else:
                    self.send_raw(self.ping)
        await self._close()

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if self.is_up:
            self.is_up = False
            self.on_down(self._reason or "closed")
        if connection is not None:
            await connection.close()

    def _received(self, frame: bytes) -> None:
        self._heard_s = self._time()
        try:
            said = json.loads(frame, parse_float=Decimal)
        except ValueError:
            self.drop("an unreadable frame")
            return
        if not isinstance(said, dict):
            self.drop("a frame that is no object")
            return
        self.take(said)
