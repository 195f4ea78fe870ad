"""Makes the account of a session at the venue that takes its orders: ccxt signs, the given transport and HTTP carry."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from titan_core.app.live.setup import Account
from titan_core.execution.access import Access
from titan_core.execution.bybit import account as bybit
from titan_core.execution.bybit.words import CATEGORY, Instruments
from titan_core.execution.client import Listener, VenueClient
from titan_core.execution.http import Http, through_ccxt
from titan_core.execution.limiter import Limiter
from titan_core.execution.mexc import account as mexc
from titan_core.execution.mexc.words import Contracts
from titan_core.execution.signers import make_signer
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


def budget() -> Limiter:
    """Return the budget of requests for one venue, on the running loop."""
    loop = asyncio.get_running_loop()
    return Limiter(loop.time, loop.call_later, rate_per_s=RATE_PER_S, burst=RATE_PER_S, reserved=RESERVED)


def joiner(
    family: str,
    access: Access,
    rest_url: str,
    instruments: Sequence[Instrument],
    *,
    transport: Transport,
    jitter: Callable[[], float],
    http: Callable[[Any], Http] = through_ccxt,
    timeout_s: float = 5.0,
    over_socket: bool = True,
) -> Callable[[Listener, Callable[[], int]], Joined]:
    """Return `Setup.join` for an account at `bybit` or `mexc`. `http(exchange)` carries what ccxt has signed; MEXC takes no orders over a socket."""

    def make(listener: Listener, now_ns: Callable[[], int]) -> Joined:
        exchange = make_signer(family, access.key, access.secret.decode(), rest_url, now_ns)
        parts: dict[str, Any] = {
            "exchange": exchange, "http": http(exchange), "transport": transport, "now_ns": now_ns, "jitter": jitter, "limiter": budget(),
            "timeout_s": timeout_s,
        }  # fmt: skip
        if family == "bybit":
            traded = Instruments([instrument for instrument in instruments if instrument.venue in CATEGORY])
            return Joined(bybit.join(access, traded, listener, over_socket=over_socket, **parts), exchange)
        contracts = Contracts([instrument for instrument in instruments if instrument.venue.startswith("mexc")])
        return Joined(mexc.join(access, contracts, listener, **parts), exchange)

    return make
