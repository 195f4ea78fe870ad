"""Everything of a session that leaves this machine: websockets, public REST and signed REST, all held to one list of hosts and closed together.

    async with Outside(HostPolicy.of(["bybit-linear", "binance-spot"])) as outside:
        outside.transport, outside.fetch, outside.http_of(exchange)

What a venue's client needs is taken from here and from nowhere else; then no address, redirect, proxy or name server leads it astray, no answer is larger
or later than allowed, and nothing stays open.
"""

import asyncio
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from titan_core.errors import UsageError, VenueUnavailable
from titan_core.execution.http import Http, carried_by
from titan_core.feed.hosts import HostPolicy, dial
from titan_core.feed.rest.aiohttp_fetch import AiohttpFetch
from titan_core.feed.rest.port import Fetch
from titan_core.feed.rest.session import MOST_BYTES, guarded_session
from titan_core.feed.transport import Connection, OnClosed, OnFrame, Transport
from titan_core.feed.transports import open_transport

if TYPE_CHECKING:
    import socket

    from aiohttp import ClientSession

TIMEOUT_S = 10.0
"""How long a request may take, whoever asks; most ask for less."""


class Outside:
    """The way out of this machine. `client` names the websocket library; no answer by REST may be larger than `most_bytes`.

    Raises UsageError where something is taken from it while it is not open, and where the library is not installed.
    """

    def __init__(self, policy: HostPolicy, *, client: str = "websockets", timeout_s: float = TIMEOUT_S, most_bytes: int = MOST_BYTES) -> None:
        self.policy = policy
        self._client, self._timeout_s, self._most_bytes = client, timeout_s, most_bytes
        self._open: AsyncExitStack | None = None
        self._transport: Transport | None = None
        self._fetch: Fetch | None = None

    async def __aenter__(self) -> "Outside":
        stack = AsyncExitStack()
        transport = _Tracking(open_transport(self._client, self._dial), self.policy)
        stack.push_async_callback(transport.close)
        self._fetch = await stack.enter_async_context(AiohttpFetch(self._timeout_s, policy=self.policy, most_bytes=self._most_bytes))
        self._open, self._transport = stack, transport
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections that were opened through it. Does nothing the second time."""
        stack, self._open = self._open, None
        if stack is not None:
            await stack.aclose()

    @property
    def transport(self) -> Transport:
        """Opens websockets."""
        self._check_open()
        assert self._transport is not None
        return self._transport

    @property
    def fetch(self) -> Fetch:
        """Sends GETs for public data."""
        self._check_open()
        assert self._fetch is not None
        return self._fetch

    def http_of(self, exchange: Any) -> Http:
        """Give a ccxt.async_support exchange a guarded session of its own, and return what sends through it.

        Of its own, so that no order waits behind somebody else's reading. Whatever else the exchange is asked for goes the same way. See `carried_by`.
        """
        stack = self._check_open()
        session = guarded_session(self.policy, timeout_s=self._timeout_s, most_bytes=self._most_bytes)
        stack.push_async_callback(_part, exchange, session)
        return carried_by(session, exchange)

    async def _dial(self, url: str) -> "socket.socket":
        return await dial(self.policy, url)

    def _check_open(self) -> AsyncExitStack:
        if self._open is None:
            raise UsageError("the way out is closed; use `async with Outside(policy) as outside`")
        return self._open


async def _part(exchange: Any, session: "ClientSession") -> None:
    """Close a session and take it from its exchange, which would complain about it otherwise."""
    if exchange.session is session:
        exchange.session = None
    exchange.closed_by_user = True  # it opens no session of its own afterwards
    await session.close()


class _Tracking(Transport):
    """Asks the policy before anything else, and remembers what is open."""

    def __init__(self, inner: Transport, policy: HostPolicy) -> None:
        self._inner, self._policy = inner, policy
        self._connections: list[Connection] = []
        self._closed = asyncio.Event()

    async def connect(
        self, url: str, *, on_frame: OnFrame, on_closed: OnClosed, open_timeout_s: float = 10.0, ping_interval_s: float = 5.0, ping_timeout_s: float = 5.0
    ) -> Connection:
        """See Transport.connect. Raises HostRefused for a host that is not on the list."""
        self._policy.check(url)
        if self._closed.is_set():
            raise VenueUnavailable(f"{url} is not connected to: the way out is closed")
        made = await self._inner.connect(
            url, on_frame=on_frame, on_closed=on_closed, open_timeout_s=open_timeout_s, ping_interval_s=ping_interval_s, ping_timeout_s=ping_timeout_s
        )
        self._connections = [each for each in self._connections if each.is_open]
        self._connections.append(made)
        if self._closed.is_set():  # in the meantime
            await made.close()
        return made

    async def close(self) -> None:
        """Close what its users have left open."""
        self._closed.set()
        left, self._connections = [each for each in self._connections if each.is_open], []
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await asyncio.gather(*(each.close() for each in left), return_exceptions=True)
