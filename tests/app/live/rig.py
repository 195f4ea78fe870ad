"""A session on the venue in a box, in one process on virtual time: the real one but for the wires."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from titan_core.app.live.bybit import bybit_joiner
from titan_core.app.live.entries import Kept, entry_codec
from titan_core.app.live.session import Session
from titan_core.app.live.setup import Identity, Setup
from titan_core.config.load import load_config
from titan_core.feed.venues import box_endpoints, rests
from titan_core.journal.memory import MemoryDisk, MemoryJournal, recover_memory
from titan_core.model.ids import InstrumentId, VenueId
from titan_core.plugin_host import LoadedPhase, discover
from titan_core.simulator.box import Box
from titan_core.simulator.inprocess import BoxHttp, BoxTransport
from titan_core.simulator.virtual_loop import run_virtual
from titan_core.simulator.wire import Credential

PERP, SPOT = InstrumentId("BTCUSDT.bybit-linear"), InstrumentId("BTCUSDT.binance-spot")


def setup_on(
    box: Box,
    disk: MemoryDisk,
    phases: Sequence[LoadedPhase],
    overrides: Sequence[str] = (),
    *,
    recording: Path | None = None,
    seed: int = 1,
    latency_s: float = 0.001,
) -> Setup:
    key = Credential()
    through, transport = BoxHttp(box, latency_s), BoxTransport(box, latency_s)
    instruments = (box.listings[SPOT].instrument, box.listings[PERP].instrument)

    async def http(url: str, method: str, headers: Any, body: str | None) -> Any:
        response = await through.request(method, url, dict(headers or {}), (body or "").encode())
        return response.status, response.headers, response.body.decode()

    async def fetch(url: str) -> tuple[int, bytes]:
        response = await through.request("GET", url, {}, b"")
        return response.status, response.body

    endpoints = box_endpoints("http://box")
    dice = random.Random(seed)
    codec = entry_codec()

    def open_journal(loop: asyncio.AbstractEventLoop, on_status: Any) -> Any:
        recovery = recover_memory(disk, codec, Kept)
        return MemoryJournal(disk, codec, clock=box.now_ns, loop=loop, on_status=on_status), recovery

    return Setup(
        identity=Identity(name="test", mode="paper", feed="built-in", seed=seed),
        config=load_config(None, [p.declaration for p in phases], overrides, {}),
        phases=phases,
        instruments=instruments,
        order_venues=frozenset({VenueId("bybit-linear")}),
        clock=box.now_ns,
        wall=box.now_ns,
        steady=None,
        jitter=dice.random,
        transport=transport,
        endpoints=endpoints,
        rests=rests(endpoints, fetch),
        join=bybit_joiner(
            rest_url="http://box/bybit",
            socket_url="ws://box/bybit",
            key=key.key,
            secret=key.secret.encode(),
            instruments=instruments,
            transport=transport,
            jitter=dice.random,
            http=http,
            timeout_s=2.0,
        ),  # fmt: skip
        open_journal=open_journal,
        recording=recording,
    )


def scavenger() -> list[LoadedPhase]:
    return [phase for phase in discover().phases if phase.id == "scavenger"]


def run_session(box: Box, setup: Setup, scene: Callable[[Session], Awaitable[None]], say: Callable[[str], None] = lambda text: None) -> Session:
    """Run a session until the scene is over, then stop it in order."""
    kept: list[Session] = []

    async def main() -> None:
        session = Session(setup, say)
        kept.append(session)
        running = asyncio.get_running_loop().create_task(session.run())
        ready = asyncio.get_running_loop().create_task(session.is_ready.wait())
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if running.done():
            await running
        await scene(session)
        if session.stage == "running":
            session.begin_stop("the scene is over")
        await running

    run_virtual(main(), box.clock, box)  # type: ignore[arg-type]
    return kept[0]
