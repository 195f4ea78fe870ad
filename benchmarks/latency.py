"""What it costs to get from the bytes of a frame to "nothing is due": decoding, and comparing with what is armed.

A venue in a box, in a process of its own, sends a spot and a perpetual market over loopback sockets. The clock is read where the transport hands a frame over,
where the feed hands its first row on, and where the per-event engine has compared it with all that is armed: some hundred levels and one bound, none of them
ever due. *Decode* is everything up to the row: finding the topic, reading, the grid, the book and its sequence, the time. *Check* is the engine's `on_event`.

Measured twice. At a calm pace, some tens of frames a second, the processor has done other things since the last frame, and most of the time goes into fetching
code and data back into its caches. At a busy pace, when it matters that nothing piles up, it has not; that pace is judged.

What follows a condition that is due, up to the order, is measured by `order_latency`.

python -m benchmarks latency [--seconds N] [--levels N] [--speeds CALM BUSY] [--transport NAME] [--out DIR] [--json]
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np
from attrs import define, field
from rich.console import Console

from benchmarks import _harness as harness
from benchmarks.per_event import engine_over
from titan_core.engine.layout import Layout
from titan_core.engine.live import PerEvent
from titan_core.feed.manager import FeedManager
from titan_core.feed.port import Values
from titan_core.feed.rest.aiohttp_fetch import AiohttpFetch
from titan_core.feed.transport import Connection, OnFrame, Transport
from titan_core.feed.transports import CLIENTS, open_transport
from titan_core.feed.venues import box_endpoints, compiled_codecs, rests
from titan_core.model.enums import StreamKind
from titan_core.model.ids import InstrumentId, VenueId
from titan_core.model.instrument import Instrument
from titan_core.tape.tape import Pair

COMMAND = "python -m benchmarks latency"
BARS = (
    harness.Bar("A row compared with all that is armed, over all rows: median", 2.0, "us", at_most=True),
    harness.Bar("From a frame's bytes to that comparison done, a best bid and ask of Binance: median", 2.0, "us", at_most=True),
)
SPOT, PERP = VenueId("binance-spot"), VenueId("bybit-linear")
KINDS = {SPOT: (StreamKind.QUOTE, StreamKind.TRADE, StreamKind.DEPTH), PERP: (StreamKind.QUOTE, StreamKind.TRADE, StreamKind.DEPTH, StreamKind.MARK)}
QUOTES = f"{SPOT} {StreamKind.QUOTE}"
SETTLE_S = 2.0


@define
class Stopwatch(Transport):
    """A transport that notes when it hands a frame over, and the times of the rows that follow. Only a frame's first row is timed."""

    inner: Transport
    rows: dict[str, list[tuple[int, int]]] = field(factory=lambda: defaultdict(list))
    """ns from the frame to the row, and ns that the engine took, by stream."""
    frames: int = 0
    _begun: int = 0

    async def connect(self, url: str, *, on_frame: OnFrame, **settings: Any) -> Connection:
        """See Transport.connect."""

        def timed(frame: bytes) -> None:
            self.frames += 1
            self._begun = perf_counter_ns()
            on_frame(frame)

        return await self.inner.connect(url, on_frame=timed, **settings)

    def handler(self, engine: PerEvent, instrument: InstrumentId) -> Any:
        """Return what takes an instrument's rows to the engine."""
        ranks = {kind: rank for (name, kind), rank in engine.layout.ranks.items() if name == instrument}
        names = {kind: f"{instrument.partition('.')[2]} {kind}" for kind in ranks}
        on_event = engine.on_event

        def take(ts_ns: int, kind: StreamKind, values: Values, event_ns: int) -> None:
            come = perf_counter_ns()
            on_event(ts_ns, ranks[kind], values)
            done = perf_counter_ns()
            if self._begun:
                self.rows[names[kind]].append((come - self._begun, done - come))
                self._begun = 0

        return take

    def forget(self) -> None:
        """Begin anew."""
        self.rows.clear()
        self.frames = 0


@contextmanager
def box(speed: float) -> Iterator[str]:
    """Run a venue in a box in a process of its own; yields where it listens."""
    command = [sys.executable, "-m", "titan_core", "sim", "--port", "0", "--json", "--speed", f"{speed:g}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise harness.NotMeasured(f"the venue in a box did not start: {' '.join(command)} ended with {process.wait()}")
        yield json.loads(line)["url"]
    finally:
        process.terminate()
        process.wait()


def layout_of(spot: Instrument, perp: Instrument) -> Layout:
    """Describe the streams that are subscribed to, and the basis that follows from them."""
    keys = [(instrument.id, kind) for instrument in (spot, perp) for kind in KINDS[instrument.venue]]
    return Layout.of_streams((spot, perp), (Pair(spot.id, perp.id),), [*keys, (perp.id, StreamKind.BASIS)])


async def watch(url: str, seconds: float, levels: int, transport: str) -> Stopwatch:
    """Feed an engine from the box for a while."""
    codecs = compiled_codecs()
    endpoints = {venue: endpoint for venue, endpoint in box_endpoints(url).items() if venue in KINDS}
    async with AiohttpFetch() as fetch:
        reads = rests(endpoints, fetch)
        listed = {venue: (await reads[venue].instruments())[0] for venue in (SPOT, PERP)}
        spot, perp = (next(each for each in listed[venue] if each.base == "BTC" and each.quote == "USDT") for venue in (SPOT, PERP))
        engine = engine_over(layout_of(spot, perp), levels, time.time_ns())
        stopwatch = Stopwatch(open_transport(transport))
        settings: dict[str, Any] = {"clock": time.time_ns, "steady": time.monotonic_ns, "jitter": random.random, "codecs": codecs}
        async with FeedManager((spot, perp), stopwatch, endpoints, rests=reads, **settings) as feeds:
            for instrument in (spot, perp):
                feeds.subscribe(instrument.venue, instrument.symbol, KINDS[instrument.venue], stopwatch.handler(engine, instrument.id))
            await asyncio.sleep(SETTLE_S)
            stopwatch.forget()
            with harness.settled():
                await asyncio.sleep(seconds)
    return stopwatch


def percentiles(times: Sequence[int]) -> dict[str, float]:
    """Return median and 99th percentile in microseconds."""
    return {name: float(value) / 1e3 for name, value in zip(("p50_us", "p99_us"), np.percentile(times, (50, 99)), strict=True)}


def pace(name: str, speed: float, seconds: float, levels: int, transport: str) -> dict[str, Any]:
    """Measure at one pace of the market. Raises NotMeasured where no box can be started or nothing came."""
    with box(speed) as url:
        found = asyncio.run(watch(url, seconds, levels, transport))
    if not found.rows[QUOTES]:
        raise harness.NotMeasured("the venue in a box has sent no quotes")
    streams = []
    for stream, rows in sorted(found.rows.items()):
        decode, check = zip(*rows, strict=True)
        both = [sum(row) for row in rows]
        streams.append({"stream": stream, "rows": len(rows), "decode": percentiles(decode), "check": percentiles(check), "both": percentiles(both)})
    every = percentiles([check for rows in found.rows.values() for _, check in rows])
    return {"pace": name, "speed": speed, "frames_per_s": found.frames / seconds, "streams": streams, "check": every}


def measure(seconds: float, levels: int, speeds: tuple[float, float], transport: str, say: harness.Say) -> dict[str, Any]:
    """Measure at both paces and return the record; the busy one is judged."""
    machine, paces = harness.machine(), []
    for name, speed in zip(("calm", "busy"), speeds, strict=True):
        say(f"{name}: a venue in a box at {speed:g} times the speed of life, watched for {seconds:g} s")
        paces.append(pace(name, speed, seconds, levels, transport))
    busy = paces[-1]
    quote = next(stream["both"]["p50_us"] for stream in busy["streams"] if stream["stream"] == QUOTES)
    verdicts = [harness.Verdict(bar, value) for bar, value in zip(BARS, (busy["check"]["p50_us"], quote), strict=True)]
    return {
        "machine": machine,
        "settings": {"seconds": seconds, "levels": levels, "speeds": speeds, "transport": transport},
        "paces": paces,
        "bars": [verdict.record() for verdict in verdicts],
        "ok": all(verdict.met for verdict in verdicts),
    }


def show(record: dict[str, Any], console: Console) -> None:
    """Print the tables."""
    settings = record["settings"]
    console.print(f"From a frame's bytes to the condition check, us, over {settings['transport']}; {settings['levels']} levels and one bound armed")
    head = ("first row of a frame", ">count", *(f">{part} {name}" for part in ("decode", "check", "both") for name in ("p50", "p99")))
    for each in record["paces"]:
        rows = [
            (stream["stream"], f"{stream['rows']:,}", *(f"{stream[part][name]:.2f}" for part in ("decode", "check", "both") for name in ("p50_us", "p99_us")))
            for stream in each["streams"]
        ]
        caption = f"check over all rows: p50 {each['check']['p50_us']:.2f}, p99 {each['check']['p99_us']:.2f}; {harness.machine_line(record['machine'])}"
        console.print(harness.table(f"{each['pace']}: {each['frames_per_s']:,.0f} frames/s", head, rows, caption))
    console.print(harness.verdict_table(map(harness.verdict_of, record["bars"])))


def main(argv: Sequence[str]) -> int:
    """Measure, print, write `latency.json`. Returns 1 where a bar was missed or nothing could be measured."""
    parse = argparse.ArgumentParser(prog=COMMAND, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--seconds", type=float, default=15.0, help="how long to watch at each pace (default 15)")
    parse.add_argument("--levels", type=int, default=300, help="armed levels (default 300)")
    parse.add_argument(
        "--speeds", type=float, nargs=2, default=(20.0, 1000.0), metavar=("CALM", "BUSY"), help="how many times faster than life (default 20 1000)"
    )
    parse.add_argument("--transport", default="websockets", choices=CLIENTS, help="websocket client (default websockets)")
    parse.add_argument("--out", type=Path, default=harness.OUT, help="folder for the results (default benchmarks/out)")
    parse.add_argument("--json", action="store_true", help="print the record instead of the tables")
    given = parse.parse_args(argv)
    return harness.carry_out("latency", given, lambda say: measure(given.seconds, given.levels, tuple(given.speeds), given.transport, say), show)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
