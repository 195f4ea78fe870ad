"""A program that trades at its own box until somebody kills it: `python -m tests.simulator.killed PATH GENERATION`.

On stdout it says what it has been told: the market's time, acknowledged orders and executions.
"""

import asyncio
import os
import sys
from decimal import Decimal
from pathlib import Path

import msgspec

from tests.simulator.test_box import KEY, bybit_post
from titan_core.simulator.box import Box
from titan_core.simulator.inprocess import BoxHttp, BoxTransport
from titan_core.simulator.paced_loop import run_paced
from titan_core.simulator.store import BoxStore
from titan_core.simulator.wire import encode, signature

SEED, TICKS_PER_DAY, SPEED = 3, 100_000, 600.0


def box_at(path: Path) -> Box:
    """Open the box of all generations."""
    return Box(SEED, ticks_per_day=TICKS_PER_DAY, store=BoxStore(path))


def tell(*words: object) -> None:
    """Say something that outlives this process."""
    os.write(1, " ".join(map(str, words)).encode() + b"\n")


def on_frame(frame: bytes) -> None:
    message = msgspec.json.decode(frame)
    if message.get("topic") == "execution":
        for each in message["data"]:
            tell("execution", each["execId"])


async def trade(box: Box, generation: str) -> None:
    """Place and cancel orders for ever."""
    http, transport = BoxHttp(box), BoxTransport(box)
    made = await transport.connect("ws://box/bybit/v5/private", on_frame=on_frame, on_closed=print)
    expires = box.now_ns() // 1_000_000 + 10_000
    made.send(encode({"op": "auth", "args": [KEY.key, expires, signature(KEY.secret, f"GET/realtime{expires}")]}))
    made.send(encode({"op": "subscribe", "args": ["execution"]}))
    listing = box.listing("bybit", "BTCUSDT")
    for number in range(10**9):
        last, side = Decimal(listing.px(box.depth.last(listing))), ("Buy", "Sell")[number // 3 % 2]
        name, stop = f"{generation}-{number}", last * (Decimal("0.98") if side == "Buy" else Decimal("1.02"))
        order = {"category": "linear", "symbol": "BTCUSDT", "side": side, "qty": "0.002", "orderLinkId": name, "stopLoss": str(stop.quantize(Decimal("0.1")))}
        order |= {"orderType": "Market"} if number % 4 else {"orderType": "Limit", "price": str(last.quantize(Decimal("0.1")))}
        answer = await bybit_post(box, http, "/v5/order/create", order)
        if answer["retCode"] == 0:
            tell("order", name, answer["result"]["orderId"], box.now_ns())
        if number % 8 == 7:
            await bybit_post(box, http, "/v5/order/cancel-all", {"category": "linear", "symbol": "BTCUSDT"})
        await asyncio.sleep(0.5)


if __name__ == "__main__":
    box = box_at(Path(sys.argv[1]))
    tell("opened", box.now_ns())
    run_paced(trade(box, sys.argv[2]), box, SPEED)
