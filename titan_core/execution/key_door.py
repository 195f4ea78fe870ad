"""How a venue is asked about one key: a session of its own, to the venue's hosts only, or to a venue in a box that was asked for by its address."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from titan_core.errors import TitanError, VenueUnavailable
from titan_core.execution.door import Reply
from titan_core.execution.http import Http, carried_by
from titan_core.execution.limiter import Limiter
from titan_core.execution.outcomes import SUCCESS, Outcome
from titan_core.execution.secrets.keystore import ApiKey
from titan_core.feed.hosts import HostPolicy
from titan_core.feed.rest.session import guarded_session

TIMEOUT_S = 10.0


class KeyRefused(TitanError):
    """The venue does not accept a key."""


def limiter() -> Limiter:
    """Return a budget for a handful of requests."""
    loop = asyncio.get_running_loop()
    return Limiter(loop.time, loop.call_later)


@asynccontextmanager
async def signing(key: ApiKey, simulator: str | None) -> AsyncIterator[tuple[Any, Http]]:
    """Give a ccxt exchange that signs with the key and what carries its requests; closed afterwards.

    `simulator` is the address of a venue in a box, such as `http://127.0.0.1:8899`. Raises TitanError where ccxt is not installed, HostRefused for other hosts.
    """
    try:
        import ccxt.async_support as ccxt
    except ImportError:
        raise TitanError("asking a venue about a key needs ccxt; install titan-core[live]") from None
    policy = HostPolicy.of([key.venue], simulator=simulator is not None)
    exchange = getattr(ccxt, key.venue)({"apiKey": key.key.reveal(), "secret": key.secret.reveal()})
    if simulator is not None:
        policy.check(simulator)
        base = f"{simulator.rstrip('/')}/{key.venue}"
        exchange.urls["api"] = {name: ({"public": base, "private": base} if key.venue == "mexc" else base) for name in exchange.urls["api"]}
    async with guarded_session(policy, timeout_s=TIMEOUT_S) as session:
        try:
            yield exchange, carried_by(session, exchange)
        finally:
            await exchange.close()


def told(venue: str, reply: Reply) -> Any:
    """Return what the venue has said of a key. Raises KeyRefused where it does not accept the key, VenueUnavailable where nothing was said."""
    if reply.outcome in SUCCESS:
        return reply.result
    said = f"({reply.code}) {reply.message}" if reply.code is not None else reply.message
    if reply.outcome is Outcome.NOT_ALLOWED:
        raise KeyRefused(f"{venue} does not accept the key: {said}; is it complete, still valid, and used from an address that it is bound to?")
    if reply.outcome is Outcome.CLOCK:
        raise KeyRefused(f"{venue} refuses the request for its time: {said}; set this machine's clock")
    raise VenueUnavailable(f"{venue} has not said what the key may do: {reply.outcome}, {said}; try again")
