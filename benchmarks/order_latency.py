"""How long an order takes from the frame that causes it: to its approval, and to the socket with its moment durable in the journal.

The venue in a box runs in a process of its own and sends over loopback sockets; the session is the real one, its journal is on disk. The strategy enters and
leaves by limit orders far from the market at quotes: at the venue as often as the rate limit lets it, and with orders that stay in this
process (paper on the venue's feed) a hundred times a second, which tells the way to the approval while it is in the processor's caches.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve

from benchmarks import _harness as harness
from titan_core.app.live.accounts import joiner
from titan_core.app.live.entries import Kept, entry_codec
from titan_core.app.live.paper_account import PaperAccount
from titan_core.app.live.session import Session
from titan_core.app.live.setup import Identity, Setup
from titan_core.brain.limits import BrainLimits
from titan_core.execution.access import Access
from titan_core.feed.rest.aiohttp_fetch import AiohttpFetch
from titan_core.feed.transports import open_transport
from titan_core.feed.venues import box_endpoints, rests
from titan_core.journal.journal import open_journal
from titan_core.model.ids import StrategyId, VenueId
from titan_core.model.order import Refused
from titan_core.model.units import S, to_money
from titan_core.ports import Strategy
from titan_core.testing.phases import make_phase, named

BARS = (
    harness.Bar("frame to Approved, median", 60.0, "us", at_most=True),
    harness.Bar("frame to Approved, 99th percentile", 200.0, "us", at_most=True),
    harness.Bar("frame to socket with the moment durable in the journal, median", 300.0, "us", at_most=True),
    harness.Bar("frame to socket with the moment durable in the journal, 99th percentile", 1_500.0, "us", at_most=True),
)
EVERY_S = {"venue": 0.4, "paper": 0.01}


class Toucher(Strategy):
    """Asks for an entry far below the market at a quote, withdraws it, waits, and does it again."""

    id = StrategyId("toucher")
    every_s = EVERY_S["venue"]

    def on_start(self, market: Any) -> None:
        self.wait(market, None)

    def wait(self, market: Any, timer: Any) -> None:
        market.arm(market.perp.bid_above(1), self.enter)  # the next quote, whatever it is

    def enter(self, market: Any, condition: Any) -> None:
        bid = market.perp.quote()[0]
        order = market.enter(market.perp, 2, limit=bid * 97 // 100, stop=bid * 95 // 100)
        if not isinstance(order, Refused):
            market.after(int(self.every_s * S / 2), self.leave, order)
        market.after(int(self.every_s * S), self.wait)

    def leave(self, market: Any, timer: Any) -> None:
        market.cancel(timer.payload)


class Watched:
    """A client whose `place` is another."""

    def __init__(self, real: Any, place: Any) -> None:
        self._real, self.place = real, place

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Stopwatch:
    """Notes when a frame arrived, when what it caused was approved, and when that reached a socket."""

    def __init__(self) -> None:
        self.frame_ns = 0
        self.approved_us: list[float] = []
        self.sent_us: list[float] = []
        self._begun: dict[str, int] = {}

    def transport(self, real: Any) -> Any:
        watch = self

        class Timed:
            async def connect(self, url: str, *, on_frame: Any, **rest: Any) -> Any:
                def taken(frame: bytes) -> None:
                    watch.frame_ns = time.perf_counter_ns()
                    on_frame(frame)

                return await real.connect(url, on_frame=taken, **rest)

        return Timed()

    def watch(self, session: Session) -> None:
        approve, place = session.governor.approve, session.trading.client.place

        def approved(intents: Any) -> Any:
            decision = approve(intents)
            if not isinstance(decision, Refused):
                self.approved_us.append((time.perf_counter_ns() - self.frame_ns) / 1e3)
                self._begun[decision[0].intent.client_order_id] = self.frame_ns
            return decision

        def placed(order: Any, answered: Any) -> None:
            begun = self._begun.pop(order.intent.client_order_id, None)
            place(order, answered)  # returns once the frame is with the socket
            if begun is not None:
                self.sent_us.append((time.perf_counter_ns() - begun) / 1e3)

        session.governor.approve = approved  # type: ignore[method-assign]
        session.trading.service.client = Watched(session.trading.client, placed)  # type: ignore[assignment]


async def measure(url: str, folder: Path, seconds: float, transport_name: str, where: str) -> Stopwatch:
    """Run a session against the box for a while."""
    watch = Stopwatch()
    async with AiohttpFetch() as fetch:
        endpoints = {v: e for v, e in box_endpoints(url).items() if v in ("binance-spot", "bybit-linear")}
        reads = rests(endpoints, fetch)
        instruments = []
        for venue in ("binance-spot", "bybit-linear"):
            listed, _ = await reads[VenueId(venue)].instruments()
            instruments.append(next(i for i in listed if i.base == "BTC" and i.quote == "USDT"))
        transport = watch.transport(open_transport(transport_name))
        access = Access(socket_url=f"ws{url.removeprefix('http')}/bybit", key="titan-sim-key", secret=b"titan-sim-secret")
        join = joiner("bybit", access, f"{url}/bybit", instruments, transport=transport, jitter=random.random)
        codec = entry_codec()
        setup = (
            Setup(
                identity=Identity(name="latency", mode="paper", feed="simulator"),
                bindings=[make_phase("toucher", 200, None, strategy=named(Toucher, "toucher", every_s=EVERY_S[where]))],
                limits=BrainLimits(),
                instruments=tuple(instruments),
                order_venues=frozenset({VenueId("bybit-linear")}),
                clock=time.time_ns,
                wall=time.time_ns,
                steady=time.monotonic_ns,
                jitter=random.random,
                transport=transport,
                endpoints=endpoints,
                rests=reads,
                join=join,
                open_journal=lambda loop, on_status: open_journal(folder, codec, Kept, clock=time.time_ns, loop=loop, on_status=on_status),
            )  # fmt: skip
        )
        if where == "paper":
            paper = PaperAccount(setup.instruments, to_money(10_000), time.time_ns)
            setup = evolve(setup, join=paper.join, exchange=paper.handler, on_kept=paper.remember)
        session = Session(setup)
        running = asyncio.create_task(session.run())
        await session.is_ready.wait()
        gc.collect()
        gc.freeze()  # as `titan run` does
        await asyncio.sleep(2)
        watch.watch(session)
        await asyncio.sleep(seconds)
        session.begin_stop("measured")
        await running
    return watch


def disk_us(folder: Path, every_s: float, count: int = 40) -> float:
    """Return the median time in us that the disk itself takes to sync what a moment writes, at the pace of the orders: no order can be sooner."""
    took = []
    with (folder / "probe").open("wb") as file:
        for _ in range(count):
            time.sleep(every_s)
            file.write(bytes(2_000))
            file.flush()
            began_ns = time.perf_counter_ns()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter_ns() - began_ns) / 1e3)
    return float(np.median(took))


def main(argv: Sequence[str]) -> int:
    """Measure, print a table, write JSON. Returns 0 where every bar was met."""
    parse = argparse.ArgumentParser(prog="python -m benchmarks order_latency", description=__doc__.splitlines()[0])
    parse.add_argument("--seconds", type=float, default=60.0)
    parse.add_argument("--transport", default="websockets")
    given = parse.parse_args(argv)
    box = subprocess.Popen([sys.executable, "-m", "titan_core", "sim", "--port", "0", "--json", "--speed", "20"], stdout=subprocess.PIPE, text=True)
    try:
        assert box.stdout is not None
        url = json.loads(box.stdout.readline())["url"]
        with tempfile.TemporaryDirectory() as folder:
            near = asyncio.run(measure(url, Path(folder) / "paper", given.seconds, given.transport, "paper"))
            watch = asyncio.run(measure(url, Path(folder) / "venue", given.seconds, given.transport, "venue"))
            sync_us = disk_us(Path(folder), EVERY_S["venue"] / 2)
    finally:
        box.terminate()
        box.wait()
    figures = [np.percentile(times, share) for times in (near.approved_us, watch.sent_us) for share in (50, 99)]
    verdicts = [harness.Verdict(bar, float(value)) for bar, value in zip(BARS, figures, strict=True)]
    said = f"{len(near.approved_us)} approvals, {len(watch.sent_us)} orders over {given.transport}; the disk alone syncs in {sync_us:,.0f} us at their pace"
    harness.stdout_console().print(said)
    harness.stdout_console().print(harness.verdict_table(verdicts))
    harness.write_json(harness.OUT / "order_latency.json", {"settings": vars(given), "machine": harness.machine(), "bars": [v.record() for v in verdicts]})
    return 0 if all(verdict.met for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
