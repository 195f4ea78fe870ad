"""The port between Titan and a websocket library, so that a faster client, or none at all, can take its place.

Frames are handed over where they arrive, without a queue or a task between the socket and the receiver: a hop through either costs more than all the
decoding. A transport does not reconnect, ping topics or understand what it carries; that is the business of whoever uses it.
"""

import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

OnFrame = Callable[[bytes], None]
"""Called with each complete message, text or binary, as bytes. It must not block and must not raise."""

OnClosed = Callable[[str], None]
"""Called once when a connection has ended, with the reason in words; never before `connect` has returned."""

Dial = Callable[[str], Awaitable[socket.socket]]
"""Connects a socket to where a URL leads, so that one place decides where that may be."""


class Connection(Protocol):
    """One open websocket."""

    def send(self, payload: bytes) -> None:
        """Queue one text message for sending, in order. What is queued on a connection that has ended is lost silently: `on_closed` tells."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether the connection can still carry messages."""
        ...

    async def close(self) -> None:
        """Close politely, within a second; afterwards no more frames are delivered."""
        ...


class Transport(Protocol):
    """Opens websockets."""

    async def connect(
        self, url: str, *, on_frame: OnFrame, on_closed: OnClosed, open_timeout_s: float = 10.0, ping_interval_s: float = 5.0, ping_timeout_s: float = 5.0
    ) -> Connection:
        """Open a connection. Pings of the protocol itself find a dead peer. Raises VenueUnavailable where the peer cannot be reached or refuses."""
        ...


def retry_pause_s(failures: int, first_s: float, last_s: float, jitter: float) -> float:
    """Return how long to wait after so many failed attempts in a row: doubled each time up to `last_s`, of which half is left to `jitter` in [0, 1)."""
    most: float = min(first_s * 2 ** min(failures, 16), last_s)
    return most * (0.5 + jitter / 2)
