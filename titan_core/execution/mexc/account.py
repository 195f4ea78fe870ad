"""Joins the parts of one MEXC account: REST door and private stream."""

from collections.abc import Callable
from typing import Any

from attrs import define

from titan_core.execution.access import Access
from titan_core.execution.client import Listener
from titan_core.execution.http import Http
from titan_core.execution.limiter import Limiter
from titan_core.execution.mexc.client import MexcClient
from titan_core.execution.mexc.door import Door
from titan_core.execution.mexc.private import PrivateStream
from titan_core.execution.mexc.socket import SignedSocket
from titan_core.execution.mexc.words import Contracts
from titan_core.execution.socket import SocketTimes
from titan_core.feed.transport import Transport


@define
class MexcAccount:
    """One account, ready to run. `client` is what the execution service uses."""

    client: MexcClient
    private: PrivateStream
    socket: SignedSocket

    async def run(self) -> None:
        """Keep the socket alive until cancelled."""
        try:
            await self.socket.run()
        finally:
            await self.client.close()


def join(
    access: Access,
    known: Contracts,
    listener: Listener,
    *,
    exchange: Any,
    http: Http,
    transport: Transport,
    now_ns: Callable[[], int],
    jitter: Callable[[], float],
    limiter: Limiter,
    times: SocketTimes | None = None,
    timeout_s: float = 5.0,
) -> MexcAccount:
    """Build an account. `exchange` is a ccxt.async_support.mexc that signs; `now_ns` is the venue's clock as well as we know it."""
    client = MexcClient(Door(exchange, http, limiter, timeout_s), known, now_ns)
    private = PrivateStream(known, listener, client.names)
    socket = SignedSocket(
        transport,
        access.socket_url,
        access.key,
        access.secret,
        lambda: now_ns() // 1_000_000,
        jitter,
        private.on_frame,
        private.on_up,
        private.on_down,
        times=times or SocketTimes(),
    )
    private.socket = socket
    return MexcAccount(client, private, socket)
