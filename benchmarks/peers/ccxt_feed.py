"""ccxt.pro on the pushed recording: trades, best bids and asks, and the order book of one symbol, each watched in a loop. `ccxt_feed.py PORT MESSAGES`.

The exchange is unmodified but for the server's address and a count of the messages it handles. Each subscription has a connection of its own, as ccxt has it.
A `watch` returns when the loop comes around to it, with what is newest then; at full speed that is once for many messages, the least that ccxt can cost.
"""

import asyncio
import sys
from contextlib import suppress
from typing import Any

import ccxt.pro
from pushed import Count, serve, top

SYMBOL = "BTC/USDT"
OPTIONS = {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False}


class Counted(ccxt.pro.binance):  # type: ignore[misc]
    """Binance that counts what it handles."""

    count: Count

    def handle_message(self, client: Any, message: Any) -> None:
        """Handle a message, and count it where it is one of the market."""
        market = isinstance(message, dict) and "s" in message
        if market:
            self.count.begin()
        super().handle_message(client, message)
        if market:
            self.count.handled()


async def run(port: int, messages: int) -> dict[str, Any]:
    """Take in the whole recording once."""
    exchange = Counted({"enableRateLimit": False, "options": OPTIONS})
    api = exchange.urls["api"]
    for name, url in list(api.items()):
        if isinstance(url, str):
            api[name] = f"http://127.0.0.1:{port}/" + url.partition("://")[2].partition("/")[2]
    api["ws"]["spot"] = f"ws://127.0.0.1:{port}/ws"
    exchange.count = Count(messages)
    seen = {"trade": 0, "quote": 0, "depth": 0}

    async def loop(name: str, watch: Any) -> None:
        while True:
            await watch()
            seen[name] += 1

    watches = {
        "trade": lambda: exchange.watch_trades(SYMBOL),
        "quote": lambda: exchange.watch_bids_asks([SYMBOL]),
        "depth": lambda: exchange.watch_order_book(SYMBOL),
    }
    tasks: list[asyncio.Task[None]] = []
    try:
        await exchange.load_markets()
        tasks = [asyncio.create_task(loop(name, watch)) for name, watch in watches.items()]
        clock = await exchange.count.done()
        book = exchange.orderbooks[SYMBOL]
        return clock | {"rows": seen, "top": top(book["bids"][0][0], book["asks"][0][0]), "faults": [repr(task.exception()) for task in tasks if task.done()]}
    finally:
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
        await exchange.close()


if __name__ == "__main__":
    serve(lambda: run(int(sys.argv[1]), int(sys.argv[2])), {"ccxt": ccxt.__version__})
