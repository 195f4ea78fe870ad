"""A session as a process of its own, at a venue in a box, with its guard: `living.py FOLDER < settings`. It prints what happens, one JSON line each."""

import asyncio
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

from hanger import Hanger  # lies beside this script

from titan_core.app.guard.guard import Guard, GuardedVenue, GuardTimes
from titan_core.app.guard.latch import Latch
from titan_core.app.guard.watching import watch
from titan_core.app.live.accounts import joiner
from titan_core.app.live.entries import Kept, entry_codec
from titan_core.app.live.session import Session
from titan_core.app.live.setup import Identity, Setup
from titan_core.brain.limits import BrainLimits
from titan_core.engine.heard import Wish
from titan_core.execution.access import Access
from titan_core.execution.secrets.secret import Secret
from titan_core.feed.rest.aiohttp_fetch import AiohttpFetch
from titan_core.feed.transports import open_transport
from titan_core.feed.venues import box_endpoints, rests
from titan_core.journal.journal import open_journal
from titan_core.model.ids import VenueId
from titan_core.testing.phases import make_phase, named

SPOT, PERP = VenueId("binance-spot"), VenueId("bybit-linear")


def tell(**words: Any) -> None:
    sys.stdout.write(json.dumps({"at": time.time(), **words}) + "\n")
    sys.stdout.flush()


async def main(folder: Path, given: dict[str, Any]) -> None:
    url, key, secret = given["url"], given["key"], given["secret"]
    sessions: list[Session] = []

    def on_latch(latch: Latch) -> None:
        tell(event="latch", why=latch.why)
        sessions[0].ask(Wish.PANIC, latch.why)

    async with AiohttpFetch() as fetch:
        endpoints = {venue: endpoint for venue, endpoint in box_endpoints(url).items() if venue in (SPOT, PERP)}
        reads = rests(endpoints, fetch)
        listed = [i for venue in (SPOT, PERP) for i in (await reads[venue].instruments())[0]]
        instruments = tuple(i for i in listed if i.symbol == "BTCUSDT")
        venue = GuardedVenue(family="bybit", rest_url=f"{url}/bybit", key=Secret(key), secret=Secret(secret), instruments=instruments, is_simulator=True)
        guard = Guard(folder, [venue], on_latch=on_latch, say=lambda text: tell(event="guard", text=text, pid=guard.pid), times=GuardTimes(**given["times"]))
        strategy = named(Hanger, "hang", orders=folder / "orders", enters=given.get("enters", True))
        access = Access(socket_url=f"ws{url.removeprefix('http')}/bybit", key=key, secret=secret.encode())
        join = joiner("bybit", access, f"{url}/bybit", instruments, transport=open_transport(), jitter=random.random)
        setup = Setup(
            identity=Identity(name="test", mode="paper", feed="simulator"), bindings=[make_phase("hanger", 200, None, strategy=strategy)],
            limits=BrainLimits(), instruments=instruments, order_venues=frozenset({PERP}), clock=time.time_ns, wall=time.time_ns,
            steady=time.monotonic_ns, jitter=random.random, transport=open_transport(), endpoints=endpoints, rests=reads, join=guard.gated(join),
            open_journal=lambda loop, status: open_journal(folder / "journal", entry_codec(), Kept, clock=time.time_ns, loop=loop, on_status=status),
            history_bars=10,
        )  # fmt: skip
        async with guard:
            await guard.ready()
            sessions.append(session := Session(setup, lambda text: tell(event="note", text=text)))
            guard.attend(watch(session))
            running = asyncio.create_task(session.run())
            await asyncio.wait({running, asyncio.create_task(session.is_ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
            tell(event="ready", guard=guard.pid, may_enter=guard.may_enter())
            await running


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), json.loads(sys.stdin.readline())))
