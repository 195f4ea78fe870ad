"""The guard's own way to a venue: its own client, connection, budget of requests and clock.

Made at its start and kept warm: an emergency imports nothing and looks nothing up.
"""

import asyncio
import time
from typing import TYPE_CHECKING, Any

from attrs import define

from titan_core.app.guard.words import AccountOrder
from titan_core.app.live.accounts import budget
from titan_core.errors import Unreadable, VenueUnavailable
from titan_core.execution.bybit.client import BybitClient
from titan_core.execution.bybit.door import Door as BybitDoor
from titan_core.execution.bybit.words import CATEGORY, Instruments
from titan_core.execution.client import VenueClient
from titan_core.execution.http import carried_by
from titan_core.execution.limiter import Lane
from titan_core.execution.mexc.client import MexcClient
from titan_core.execution.mexc.door import Door as MexcDoor
from titan_core.execution.mexc.words import Contracts
from titan_core.execution.reports import PositionReport
from titan_core.execution.signers import make_signer
from titan_core.feed.hosts import HostPolicy
from titan_core.feed.rest.session import guarded_session

if TYPE_CHECKING:
    import aiohttp

LOOK_S = 15.0
"""A look that takes longer has failed; one that an emergency has pushed out of the queue never ends by itself."""
KEEP_ALIVE_S = 75.0
"""Longer than from look to look, so that a connection stands when it is needed."""
NAMES_TIMEOUT_S = 2.0
NAMES_S = 300
"""How long an address is believed without asking again; where nobody answers, the last one goes on."""


@define
class GuardedAccount:
    """One account as the guard reaches it."""

    client: VenueClient
    session: "aiohttp.ClientSession"
    _clock: "VenueClock"

    async def look(self) -> list[PositionReport]:
        """Read clock and positions, as an emergency would. Raises VenueUnavailable, Unreadable."""
        await self.keep_time()
        return await self.client.positions()

    async def keep_time(self) -> None:
        """Measure the venue's clock: requests are signed with it. Raises VenueUnavailable, Unreadable."""
        self._clock.offset_ns += await self.client.clock_offset_ns()

    async def is_in_the_market(self) -> bool:
        """Whether the venue shows a position, or an order that could make one. Raises VenueUnavailable, Unreadable."""
        if await self.client.positions(lane=Lane.EMERGENCY):
            return True
        orders = await self.client.open_orders(lane=Lane.EMERGENCY, protective=False)
        return any(not order.reduce_only for order in orders)

    async def close(self) -> None:
        """Let go of its connections."""
        await self.session.close()


@define
class VenueClock:
    """The venue's time as well as the guard knows it."""

    offset_ns: int = 0

    def now_ns(self) -> int:
        """Return it."""
        return time.time_ns() + self.offset_ns


def make_account(order: AccountOrder, timeout_s: float) -> GuardedAccount:
    """Make one; it is not asked anything yet. Raises TitanError where nothing is known of the venue, or ccxt is not installed."""
    clock = VenueClock()
    exchange = make_signer(order.family, order.key, order.secret, order.rest_url, clock.now_ns)
    session = _session(HostPolicy.of([order.family], simulator=order.is_simulator), exchange.cafile, timeout_s)
    http, limiter = carried_by(session, exchange), budget()
    client: VenueClient
    if order.family == "bybit":
        known = Instruments([instrument for instrument in order.instruments if instrument.venue in CATEGORY])
        client = BybitClient(BybitDoor(exchange, http, limiter, timeout_s), known, now_ns=clock.now_ns)
    else:
        contracts = Contracts(instrument for instrument in order.instruments if instrument.venue.startswith("mexc"))
        client = MexcClient(MexcDoor(exchange, http, limiter, timeout_s), contracts, clock.now_ns)
    return GuardedAccount(client, session, clock)


def _session(policy: HostPolicy, authorities: str, timeout_s: float) -> "aiohttp.ClientSession":
    import ssl

    import aiohttp
    from aiohttp.abc import AbstractResolver

    class Remembering(AbstractResolver):
        """Asks for addresses, and where nobody answers goes on with those of the last time."""

        def __init__(self) -> None:
            self._asks = aiohttp.ThreadedResolver()
            self._known: dict[tuple[Any, ...], Any] = {}

        async def resolve(self, host: str, port: int = 0, family: Any = 0) -> Any:
            try:
                async with asyncio.timeout(NAMES_TIMEOUT_S):
                    self._known[host, port, family] = await self._asks.resolve(host, port, family)
            except (OSError, TimeoutError):
                if (host, port, family) not in self._known:
                    raise
            return self._known[host, port, family]

        async def close(self) -> None:
            await self._asks.close()

    trusted = ssl.create_default_context(cafile=authorities)
    return guarded_session(policy, timeout_s=timeout_s, ssl=trusted, keepalive_timeout=KEEP_ALIVE_S, ttl_dns_cache=NAMES_S, resolver=Remembering())


async def _look_at(account: GuardedAccount) -> list[PositionReport]:
    async with asyncio.timeout(LOOK_S):
        return await account.look()


async def look_at_all(accounts: list[GuardedAccount]) -> str:
    """Look at every account; returns what went wrong, empty where all could be read."""
    found = await asyncio.gather(*(_look_at(account) for account in accounts), return_exceptions=True)
    wrong = []
    for account, answer in zip(accounts, found, strict=True):
        if isinstance(answer, VenueUnavailable | Unreadable):
            wrong.append(str(answer))
        elif isinstance(answer, TimeoutError):
            wrong.append(f"{account.client.family} could not be asked within {LOOK_S:g} s")
        elif isinstance(answer, BaseException):
            raise answer
    return "; ".join(wrong)
