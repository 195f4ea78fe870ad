"""cryptofeed's message handlers on recorded Binance messages: parse, keep the book, call an empty callback.

Its `trade` messages are renamed to `aggTrade` beforehand, the only kind of trade its handlers know; the REST snapshot of each recording is handed to it
where it asks for one. Decompressing, splitting lines and renaming are not timed. Started as `cryptofeed_ingest.py spot FILE usdm FILE`; answers each
`run` line on standard input with one JSON line.
"""

import asyncio
import gc
import gzip
import json
import logging
import os
import sys
from importlib.metadata import version
from time import perf_counter, process_time
from typing import Any

from cryptofeed.defines import L2_BOOK, PERPETUAL, SPOT, TICKER, TRADES
from cryptofeed.exchanges import Binance, BinanceFutures
from cryptofeed.symbols import Symbol, Symbols

Messages = list[tuple[str, float]]


class Snapshot:
    """Stands for the REST connection: answers every read with the recorded snapshot."""

    def __init__(self, body: str) -> None:
        self.body = body

    async def read(self, *args: object, **kwargs: object) -> str:
        """Return the snapshot."""
        return self.body


def load(path: str) -> tuple[Messages, str]:
    """Return the websocket messages with their receive times in seconds, and the REST snapshot."""
    messages, snapshot = [], ""
    with gzip.open(path, "rt") as lines:
        for line in lines:
            stamp, _, message = line.rstrip("\n").partition(" ")
            if message.startswith('{"lastUpdateId"'):
                snapshot = message
                continue
            if '"e":"trade"' in message:
                message = message.replace('"e":"trade"', '"e":"aggTrade"').replace('"t":', '"a":')
            messages.append((message, int(stamp) / 1e9))
    return messages, snapshot


def make_feed(market: str, snapshot: str, seen: dict[str, int]) -> Any:
    """Make a fresh feed that counts its callbacks."""
    kind, feed_type = (SPOT, Binance) if market == "spot" else (PERPETUAL, BinanceFutures)
    symbol = Symbol("BTC", "USDT", type=kind).normalized
    Symbols.set(feed_type.id, {symbol: "BTCUSDT"}, {"instrument_type": {symbol: kind}, "tick_size": {}})

    def counter(name: str) -> Any:
        async def count(data: object, receipt: float) -> None:
            seen[name] = seen.get(name, 0) + 1

        return count

    channels = [TRADES, L2_BOOK, TICKER]
    feed = feed_type(symbols=[symbol], channels=channels, callbacks={name: counter(name) for name in channels})
    feed._reset()
    feed.http_conn = Snapshot(snapshot)
    return feed


async def handle(feed: Any, messages: Messages) -> None:
    """Feed every message."""
    for message, receipt in messages:
        await feed.message_handler(message, None, receipt)


def run(recordings: list[tuple[str, Messages, str]]) -> dict[str, Any]:
    """Feed all recordings to fresh feeds and return the times and counts."""
    seen: dict[str, int] = {}
    feeds = [(make_feed(market, snapshot, seen), messages) for market, messages, snapshot in recordings]
    loop = asyncio.new_event_loop()
    gc.collect()
    wall, cpu = perf_counter(), process_time()
    for feed, messages in feeds:
        loop.run_until_complete(handle(feed, messages))
    wall, cpu = perf_counter() - wall, process_time() - cpu
    loop.close()
    return {"wall_s": wall, "cpu_s": cpu, "messages": sum(len(m) for _, m, _ in recordings), "callbacks": seen}


def main(argv: list[str]) -> None:
    """Load once, run once to warm up, then once for each line read."""
    logging.disable(logging.ERROR)
    with os.fdopen(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)
        recordings = [(market, *load(path)) for market, path in zip(argv[::2], argv[1::2], strict=True)]
        warm = run(recordings)
        answers.write(json.dumps({"ready": True, "versions": {"cryptofeed": version("cryptofeed")}, "first_run_s": warm["wall_s"]}) + "\n")
        for line in sys.stdin:
            if line.strip() != "run":
                break
            answers.write(json.dumps(run(recordings)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
