"""`titan run` on markets that are not in this process: paper on live feeds, a venue in a box of its own, and live."""

import asyncio
import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import evolve

from titan_core.app.control.private import make_folder
from titan_core.app.live.bybit import bybit_joiner
from titan_core.app.live.paper_account import PaperAccount
from titan_core.app.live.setup import Setup
from titan_core.cli.output import print_note
from titan_core.cli.run_plan import Plan
from titan_core.cli.run_screen import follow
from titan_core.errors import UsageError, VenueUnavailable
from titan_core.feed.rest.aiohttp_fetch import AiohttpFetch
from titan_core.feed.rest.port import VenueRest
from titan_core.feed.transports import open_transport
from titan_core.feed.venues import PUBLIC, Endpoint, box_endpoints, rests
from titan_core.model.ids import VenueId
from titan_core.model.instrument import Instrument

if TYPE_CHECKING:
    from titan_core.execution.secrets.keystore import ApiKey

SPOT_DATA, PERP = VenueId("binance-spot"), VenueId("bybit-linear")
"""Where signals of the spot market come from, and where orders go."""
PRIVATE_SOCKET, PRIVATE_REST = "wss://stream.bybit.com", "https://api.bybit.com"
TRIES = 6


def run_outside(plan: Plan, *, venue_url: str | None, on_paper: bool, key: "ApiKey | None", mode: str) -> None:
    """Run until stopped. `venue_url` leads to a venue in a box; with `on_paper` orders never leave this process, else `key` signs them."""
    make_folder(plan.where.folder)
    asyncio.run(_run(plan, venue_url, on_paper, key, mode))


async def _run(plan: Plan, venue_url: str | None, on_paper: bool, key: "ApiKey | None", mode: str) -> None:
    endpoints = {venue: endpoint for venue, endpoint in (box_endpoints(venue_url) if venue_url else PUBLIC).items() if venue in (SPOT_DATA, PERP)}
    async with AiohttpFetch() as fetch:
        reads = rests(endpoints, fetch)
        instruments = tuple(plan.on_terms(i) for i in await _instruments(reads, plan.coins))
        setup = _setup(plan, endpoints, reads, instruments, mode, "simulator" if venue_url else "live")
        if on_paper:
            account = PaperAccount(instruments, plan.deposit, time.time_ns)
            setup = evolve(setup, join=account.join, exchange=account.handler, on_kept=account.remember)
        else:
            assert key is not None
            rest_url, socket_url = (f"{venue_url}/bybit", f"ws{venue_url.removeprefix('http')}/bybit") if venue_url else (PRIVATE_REST, PRIVATE_SOCKET)
            join = bybit_joiner(
                rest_url=rest_url, socket_url=socket_url, key=key.key.reveal(), secret=key.secret.reveal().encode(), instruments=instruments,
                transport=setup.transport, jitter=setup.jitter,
            )  # fmt: skip
            setup = evolve(setup, join=join)
        await follow(setup, plan.where, seconds=plan.seconds, json=plan.json, levels_bps=plan.levels_bps)


def _setup(plan: Plan, endpoints: Mapping[VenueId, Endpoint], reads: Mapping[VenueId, VenueRest], instruments: Any, mode: str, feed: str) -> Setup:
    def nobody(listener: Any, now_ns: Any) -> Any:
        raise AssertionError("no account was joined")

    return Setup(
        identity=plan.identity(mode, feed),
        bindings=plan.bindings,
        limits=plan.config.brain,
        instruments=instruments,
        order_venues=frozenset({PERP}),
        clock=time.time_ns,
        wall=time.time_ns,
        steady=time.monotonic_ns,
        jitter=random.SystemRandom().random,
        transport=open_transport(),
        endpoints=endpoints,
        rests=reads,
        join=nobody,
        open_journal=plan.journal(time.time_ns),
        recording=plan.recording(),
    )


async def _instruments(reads: Mapping[VenueId, VenueRest], coins: tuple[str, ...]) -> list[Instrument]:
    """Read what the venues trade, and pick the coins' spot markets and perpetuals. Raises UsageError for a coin that a venue does not list."""
    found = []
    for venue in (SPOT_DATA, PERP):
        listed, _ = await _patiently(reads[venue])
        by_base = {instrument.base: instrument for instrument in listed if instrument.quote == "USDT"}
        for coin in coins:
            if coin not in by_base:
                raise UsageError(f"{venue} lists no {coin}/USDT; it lists {len(by_base)} coins, such as {', '.join(sorted(by_base)[:5])}")
            found.append(by_base[coin])
    return found


async def _patiently(rest: VenueRest) -> tuple[list[Instrument], list[str]]:
    """Ask a venue for its instruments; it may be down for a moment. Raises VenueUnavailable where it stays so."""
    wait_s = 0.5
    for attempt in range(1, TRIES + 1):
        try:
            return await rest.instruments()
        except VenueUnavailable as error:
            if attempt == TRIES:
                raise VenueUnavailable(
                    f"{rest.venue} does not answer after {TRIES} attempts: {error}; look at your connection and at the venue's status page"
                ) from None
            print_note(f"{rest.venue} does not answer (attempt {attempt} of {TRIES}): {error}")
        await asyncio.sleep(wait_s)
        wait_s *= 2
    raise AssertionError
