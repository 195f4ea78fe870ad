"""Titan's feed on the pushed recording: connection, codec, book, strict times, and receivers that count rows. `titan_feed.py CLIENT PORT ROWS`."""

import asyncio
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pushed import Count, serve, top

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from titan_core.feed.manager import FeedManager
from titan_core.feed.rest.binance import BinanceRest
from titan_core.feed.transports import open_transport
from titan_core.feed.venues import Codecs, Endpoint, compiled_codecs
from titan_core.feed.watch import Patience, after_first
from titan_core.model.enums import StreamKind
from titan_core.tape.catalog import known_instrument

KINDS = (StreamKind.QUOTE, StreamKind.TRADE, StreamKind.DEPTH)
CALM = Patience(ping_interval_s=30, ping_timeout_s=30, book_s=60, trade_s=60)
"""What is pushed at full speed is followed by silence, which is no fault here."""


async def fetch(url: str) -> tuple[int, bytes]:
    """GET without a library, so that none is loaded."""
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    writer.write(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]))
    writer.close()
    await writer.wait_closed()
    return 200, body


async def run(client: str, port: int, rows: int, codecs: Codecs) -> dict[str, Any]:
    """Take in the whole recording once. Every message but two differences older than the snapshot makes one row."""
    base = f"127.0.0.1:{port}"
    instrument = known_instrument("binance-spot", "BTCUSDT")
    assert instrument is not None
    endpoints = {instrument.venue: Endpoint(f"ws://{base}/stream", f"http://{base}")}
    rests = {instrument.venue: BinanceRest(fetch, f"http://{base}")}
    count = Count(rows)
    handled, seen = count.handled, dict.fromkeys(KINDS, 0)
    book: Any = None

    def take(ts_ns: int, kind: StreamKind, values: Any, event_ns: int) -> None:
        seen[kind] += 1
        handled()

    def take_book(ts_ns: int, kind: StreamKind, values: Any, event_ns: int) -> None:
        nonlocal book
        book = values
        take(ts_ns, kind, values, event_ns)

    settings: dict[str, Any] = {"clock": time.time_ns, "jitter": lambda: 0.5, "patience": CALM, "codecs": codecs}
    async with FeedManager([instrument], open_transport(client), endpoints, rests=rests, **settings) as feeds:
        for kind in KINDS:
            feeds.subscribe("binance-spot", "BTCUSDT", [kind], take_book if kind is StreamKind.DEPTH else take)
        for route in feeds.feed(instrument.venue).codec.routes.values():
            after_first(route, count.begin)
        clock = await count.done()
        faults = [f"{fault.count} {fault.kind}: {fault.example}" for fault in feeds.faults()]
    tick = instrument.tick_size
    return clock | {"rows": seen, "top": top(book[0][0] * tick, book[2][0] * tick), "faults": faults}


def main(client: str, port: int, rows: int) -> None:
    """Compile, then serve."""
    codecs = compiled_codecs()
    serve(lambda: run(client, port, rows, codecs), {client: version(client)})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
