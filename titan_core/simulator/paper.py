"""A session's surroundings made of a box in the same process: paper trading without a network, a server or a key."""

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from titan_core.app.live.accounts import joiner
from titan_core.app.live.setup import Identity, OpenJournal, Setup
from titan_core.brain.limits import BrainLimits
from titan_core.engine.phases import PhaseBinding
from titan_core.errors import VenueUnavailable
from titan_core.execution.access import Access
from titan_core.feed.venues import box_endpoints, rests
from titan_core.model.ids import VenueId
from titan_core.model.instrument import Instrument
from titan_core.simulator.box import Box
from titan_core.simulator.inprocess import BoxHttp, BoxTransport
from titan_core.simulator.wire import Credential

SPOT_DATA, PERP = VenueId("binance-spot"), VenueId("bybit-linear")
"""The market of the built-in venue: Binance Spot is data, orders go to Bybit's perpetual."""


def paper_instruments(box: Box, on_terms: Callable[[Instrument], Instrument] = lambda i: i) -> tuple[Instrument, ...]:
    """Return what a session on a box trades and watches: BTC's spot market and perpetual."""
    wanted = ((SPOT_DATA, "BTCUSDT"), (PERP, "BTCUSDT"))
    listed = {(listing.instrument.venue, listing.instrument.symbol): listing.instrument for listing in box.listings.values()}
    return tuple(on_terms(listed[key]) for key in wanted)


def paper_setup(
    box: Box,
    bindings: Sequence[PhaseBinding],
    limits: BrainLimits,
    identity: Identity,
    open_journal: OpenJournal,
    *,
    wall: Callable[[], int],
    recording: Path | None = None,
    speed: Callable[[], float] = lambda: 1.0,
    seed: int = 1,
    latency_s: float = 0.001,
    timeout_s: float = 2.0,
    on_terms: Callable[[Instrument], Instrument] = lambda i: i,
    only: Sequence[Instrument] | None = None,
) -> Setup:
    """Return the surroundings. All times are the box's, but `wall`; `seed` is that of the jitter between attempts to connect.

    `only` names what is traded and watched where that is not BTC alone.
    """
    key = Credential()
    through, transport = BoxHttp(box, latency_s), BoxTransport(box, latency_s)
    instruments = tuple(only) if only is not None else paper_instruments(box, on_terms)

    async def http(url: str, method: str, headers: Any, body: str | None) -> Any:
        response = await through.request(method, url, dict(headers or {}), (body or "").encode())
        return response.status, response.headers, response.body.decode()

    async def fetch(url: str) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(timeout_s):
                response = await through.request("GET", url, {}, b"")
        except (TimeoutError, ConnectionError) as error:
            raise VenueUnavailable(f"{url}: no answer ({str(error) or type(error).__name__})") from error
        return response.status, response.body

    endpoints, dice = box_endpoints("http://box"), random.Random(seed)
    access = Access(socket_url="ws://box/bybit", key=key.key, secret=key.secret.encode())
    join = joiner(
        "bybit", access, "http://box/bybit", instruments, transport=transport, jitter=dice.random, http=lambda exchange: http, timeout_s=timeout_s
    )  # fmt: skip
    return Setup(
        identity=identity, bindings=bindings, limits=limits, instruments=instruments, order_venues=frozenset({PERP}), clock=box.now_ns, wall=wall, steady=None,
        jitter=dice.random, transport=transport, endpoints=endpoints, rests=rests(endpoints, fetch), join=join, open_journal=open_journal, recording=recording,
        speed=speed,
    )  # fmt: skip
