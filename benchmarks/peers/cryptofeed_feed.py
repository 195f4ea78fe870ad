"""cryptofeed on the pushed recording: trades, ticker and book of one symbol, callbacks that count. `cryptofeed_feed.py PORT MESSAGES`.

The feed is unmodified but for the server's address, a count of the messages it handles, and the snapshot that it would fetch by REST, which it is handed. Its
trades come under the name aggTrade, the only one it knows. It runs on uvloop, which it chooses where that is installed.
"""

import asyncio
import logging
import sys
import urllib.request
from importlib.metadata import version
from typing import Any

import cryptofeed.connection
import uvloop
from cryptofeed.connection import WebsocketEndpoint
from cryptofeed.defines import L2_BOOK, SPOT, TICKER, TRADES
from cryptofeed.exchanges import Binance
from cryptofeed.symbols import Symbol, Symbols
from pushed import Count, serve, top
from websockets import connect

NAMES = {TRADES: "trade", TICKER: "quote", L2_BOOK: "depth"}


class Snapshot:
    """Stands for the REST connection: answers every read with the recorded snapshot."""

    def __init__(self, body: str) -> None:
        self.body = body

    async def read(self, *args: object, **kwargs: object) -> str:
        """Return the snapshot."""
        return self.body

    async def close(self) -> None:
        """Nothing is open."""


def plainly(address: str, **options: Any) -> Any:
    """Connect without TLS, which no client here speaks: cryptofeed takes `wss` addresses only."""
    return connect(address.replace("wss://", "ws://"), **options)


class Counted(Binance):  # type: ignore[misc]
    """Binance that counts what it handles."""

    count: Count

    async def message_handler(self, msg: str, conn: Any, timestamp: float) -> None:
        """Handle a message, and count it."""
        self.count.begin()
        await super().message_handler(msg, conn, timestamp)
        self.count.handled()


async def run(port: int, messages: int, snapshot: str) -> dict[str, Any]:
    """Take in the whole recording once."""
    symbol = Symbol("BTC", "USDT", type=SPOT).normalized
    Symbols.set(Counted.id, {symbol: "BTCUSDT"}, {"instrument_type": {symbol: SPOT}, "tick_size": {}})
    Counted.websocket_endpoints = [WebsocketEndpoint(f"wss://127.0.0.1:{port}", options={"compression": None})]
    cryptofeed.connection.connect = plainly
    seen = {name: 0 for name in NAMES.values()}
    book: Any = None

    def counter(channel: str) -> Any:
        async def count(data: Any, receipt: float) -> None:
            nonlocal book
            seen[NAMES[channel]] += 1
            if channel == L2_BOOK:
                book = data.book

        return count

    feed = Counted(symbols=[symbol], channels=list(NAMES), callbacks={channel: counter(channel) for channel in NAMES})
    feed.http_conn = Snapshot(snapshot)
    feed.count = Count(messages)
    feed.start(asyncio.get_running_loop())
    try:
        clock = await feed.count.done()
    finally:
        feed.stop()
        await feed.shutdown()
    return clock | {"rows": seen, "top": top(book.bids.index(0)[0], book.asks.index(0)[0]), "faults": []}


def main(port: int, messages: int) -> None:
    """Fetch the snapshot, then serve."""
    logging.disable(logging.ERROR)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v3/depth") as answer:
        snapshot = answer.read().decode()
    serve(lambda: run(port, messages, snapshot), {"cryptofeed": version("cryptofeed"), "uvloop": f"uvloop {version('uvloop')}"}, uvloop.run)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
