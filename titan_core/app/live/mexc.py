"""Makes the account at MEXC contract for a session: ccxt signs, the given transport and HTTP carry."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from titan_core.app.live.bybit import RATE_PER_S, RESERVED, Joined
from titan_core.execution.client import Listener
from titan_core.execution.http import Http, through_ccxt
from titan_core.execution.limiter import Limiter
from titan_core.execution.mexc.account import Access, join
from titan_core.execution.mexc.words import Contracts
from titan_core.feed.transport import Transport
from titan_core.model.ids import VenueId
from titan_core.model.instrument import Instrument

MEXC = VenueId("mexc-contract")


def mexc_joiner(
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
) -> Callable[[Listener, Callable[[], int]], Joined]:
    """Return `Setup.join` for MEXC; `http(exchange)` carries what ccxt has signed. Raises ImportError without the `live` extra."""
    import ccxt.async_support as ccxt

    traded = Contracts([instrument for instrument in instruments if instrument.venue == MEXC])

    def make(listener: Listener, now_ns: Callable[[], int]) -> Joined:
        loop = asyncio.get_running_loop()
        exchange: Any = ccxt.mexc({"apiKey": key, "secret": secret.decode(), "options": {"defaultType": "swap"}})
        exchange.urls["api"]["contract"] = {"public": f"{rest_url}/api/v1/contract", "private": f"{rest_url}/api/v1/private"}
        exchange.nonce = lambda: now_ns() // 1_000_000
        exchange.milliseconds = exchange.nonce
        limiter = Limiter(loop.time, loop.call_later, rate_per_s=RATE_PER_S, burst=RATE_PER_S, reserved=RESERVED)
        account = join(
            Access(socket_url=socket_url, key=key, secret=secret), traded, listener, exchange=exchange, http=http(exchange), transport=transport,
            now_ns=now_ns, jitter=jitter, limiter=limiter, timeout_s=timeout_s,
        )  # fmt: skip
        return Joined(account, exchange)

    return make
