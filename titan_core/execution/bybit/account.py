"""Joins the parts of one Bybit account: REST door, order entry, private stream."""

import asyncio
from collections.abc import Callable
from typing import Any

from attrs import define

from titan_core.execution.access import Access
from titan_core.execution.bybit.client import BybitClient
from titan_core.execution.bybit.door import Door
from titan_core.execution.bybit.entry import TradeEntry
from titan_core.execution.bybit.private import PrivateStream
from titan_core.execution.bybit.socket import AuthenticatedSocket, SocketTimes
from titan_core.execution.bybit.words import Instruments
from titan_core.execution.client import Listener
from titan_core.execution.http import Http
from titan_core.execution.limiter import Limiter
from titan_core.feed.transport import Transport


@define
class BybitAccount:
    """One account, ready to run. `client` is what the execution service uses."""

    client: BybitClient
    sockets: tuple[AuthenticatedSocket, ...]

    async def run(self) -> None:
        """Keep the sockets alive until cancelled."""
        try:
            await asyncio.gather(*(socket.run() for socket in self.sockets))
        finally:
            await self.client.close()


def join(
    access: Access,
    known: Instruments,
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
    over_socket: bool = True,
) -> BybitAccount:
    """Build an account. `exchange` is a ccxt.async_support.bybit that signs; `now_ns` is the venue's clock as well as we know it."""
    patience = times or SocketTimes()

    def now_ms() -> int:
        return now_ns() // 1_000_000

    entry = TradeEntry(limiter, now_ms, timeout_s=timeout_s)
    private = PrivateStream(known, listener)

    def socket(path: str, part: TradeEntry | PrivateStream, on_up: Callable[[], None]) -> AuthenticatedSocket:
        made = AuthenticatedSocket(
            transport, access.socket_url + path, access.key, access.secret, now_ms, jitter, part.on_frame, on_up, part.on_down, times=patience
        )
        part.socket = made
        return made

    sockets = [socket("/v5/private", private, private.on_up)]
    if over_socket:
        sockets.append(socket("/v5/trade", entry, lambda: None))
    client = BybitClient(Door(exchange, http, limiter, timeout_s), known, entry, now_ns)
    return BybitAccount(client, tuple(sockets))
