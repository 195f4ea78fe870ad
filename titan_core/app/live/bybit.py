"""Makes the account at Bybit for a session: ccxt signs, the given transport and HTTP carry."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from titan_core.app.live.setup import Account
from titan_core.execution.bybit.account import Access, join
from titan_core.execution.bybit.words import CATEGORY, Instruments
from titan_core.execution.client import Listener, VenueClient
from titan_core.execution.http import Http, through_ccxt
from titan_core.execution.limiter import Limiter
from titan_core.feed.transport import Transport
from titan_core.model.instrument import Instrument

RATE_PER_S = 10.0
"""What Titan asks of a venue at most; a share of it is kept for an emergency."""
RESERVED = 4.0


@frozen
class Joined:
    """An account together with the ccxt object that signs for it."""

    account: Account
    exchange: Any

    @property
    def client(self) -> VenueClient:
        """What the execution service sends through."""
        return self.account.client

    async def run(self) -> None:
        """Keep the connections alive until cancelled."""
        try:
            await self.account.run()
        finally:
            await self.exchange.close()


def bybit_joiner(
    *,
    rest_url: str,
    socket_url: str,
    key: str,
    secret: bytes,
    instruments: Sequence[Instrument],
    transport: Transport,
    jitter: Callable[[], float],
    http: Callable[[Any], Http] = through_ccxt,
    timeout_s: float = 5.0,
    over_socket: bool = True,
) -> Callable[[Listener, Callable[[], int]], Joined]:
    """Return `Setup.join` for Bybit. `http(exchange)` carries what ccxt has signed. Raises ImportError without the `live` extra."""
    import ccxt.async_support as ccxt

    traded = Instruments([instrument for instrument in instruments if instrument.venue in CATEGORY])

    def make(listener: Listener, now_ns: Callable[[], int]) -> Joined:
        loop = asyncio.get_running_loop()
        exchange: Any = ccxt.bybit({"apiKey": key, "secret": secret.decode(), "options": {"enableUnifiedAccount": True, "enableUnifiedMargin": False}})
        exchange.urls["api"] = {name: rest_url for name in exchange.urls["api"]}
        exchange.nonce = lambda: now_ns() // 1_000_000
        limiter = Limiter(loop.time, loop.call_later, rate_per_s=RATE_PER_S, burst=RATE_PER_S, reserved=RESERVED)
        account = join(
            Access(socket_url=socket_url, key=key, secret=secret), traded, listener, exchange=exchange, http=http(exchange),
            transport=transport, now_ns=now_ns, jitter=jitter, limiter=limiter, timeout_s=timeout_s, over_socket=over_socket,
        )  # fmt: skip
        return Joined(account, exchange)

    return make
