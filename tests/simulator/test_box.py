"""The box as a whole: the same seed gives the same trace, and an hour takes seconds."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.simulator.builders import PERP, Script, box_of
from titan_core.errors import UsageError, VenueUnavailable
from titan_core.feed.transport import Connection
from titan_core.model.units import H, S
from titan_core.simulator.box import Box
from titan_core.simulator.faults import FaultKind, Rule
from titan_core.simulator.inprocess import BoxHttp, BoxTransport
from titan_core.simulator.virtual_loop import run_virtual
from titan_core.simulator.wire import Credential, encode, signature

KEY = Credential()


async def bybit_post(box: Box, http: BoxHttp, path: str, body: dict[str, Any]) -> dict[str, Any]:
    stamp, payload = str(box.now_ns() // 1_000_000), encode(body)
    headers = {"X-BAPI-API-KEY": KEY.key, "X-BAPI-TIMESTAMP": stamp, "X-BAPI-RECV-WINDOW": "5000"}
    headers["X-BAPI-SIGN"] = signature(KEY.secret, stamp + KEY.key + "5000" + payload.decode())
    answer = await http.request("POST", f"http://box/bybit{path}", headers, payload)
    found: dict[str, Any] = msgspec.json.decode(answer.body)
    return found


class Trader:
    """Follows the book over the websocket and trades against its last move, with a stop at the venue."""

    def __init__(self, box: Box) -> None:
        self.box, self.http = box, BoxHttp(box)
        self.frames = 0
        self.digest = hashlib.blake2b(digest_size=8)
        self.mid = Decimal(0)
        self.orders: list[dict[str, Any]] = []

    def on_frame(self, frame: bytes) -> None:
        self.frames += 1
        self.digest.update(frame)
        message = msgspec.json.decode(frame)
        data = message.get("data")
        if message.get("topic", "").startswith("tickers") and "bid1Price" in data:
            self.mid = Decimal(data["bid1Price"])

    async def run(self, seconds: float) -> tuple[str, int]:
        transport = BoxTransport(self.box)
        public = await transport.connect("ws://box/bybit/v5/public/linear", on_frame=self.on_frame, on_closed=lambda reason: None)
        topics = ["orderbook.50.BTCUSDT", "publicTrade.BTCUSDT", "tickers.BTCUSDT"]
        public.send(encode({"op": "subscribe", "args": topics}))
        private = await self._private(transport)
        end = self.box.now_ns() + int(seconds * S)
        before = Decimal(0)
        while self.box.now_ns() < end:
            await asyncio.sleep(20)
            if before and self.mid != before:
                await self._trade("Sell" if self.mid > before else "Buy")
            before = self.mid
        await public.close()
        await private.close()
        return self.digest.hexdigest(), self.frames

    async def _private(self, transport: BoxTransport) -> Connection:
        made = await transport.connect("ws://box/bybit/v5/private", on_frame=self.on_frame, on_closed=lambda reason: None)
        expires = self.box.now_ns() // 1_000_000 + 10_000
        made.send(encode({"op": "auth", "args": [KEY.key, expires, signature(KEY.secret, f"GET/realtime{expires}")]}))
        made.send(encode({"op": "subscribe", "args": ["order", "execution", "position", "wallet"]}))
        return made

    async def _trade(self, side: str) -> None:
        stop = self.mid * (Decimal("0.99") if side == "Buy" else Decimal("1.01"))
        order = {"category": "linear", "symbol": "BTCUSDT", "side": side, "orderType": "Market", "qty": "0.005", "stopLoss": str(stop.quantize(Decimal("0.1")))}
        self.orders.append(await bybit_post(self.box, self.http, "/v5/order/create", order))


def hour(seed: int, faults: list[Rule]) -> tuple[str, str, int, int]:
    box = Box(seed, faults=faults)
    trader = Trader(box)
    digest, frames = run_virtual(trader.run(3_600), box.clock, box)  # type: ignore[arg-type]
    return box.trace(), digest, frames, len(trader.orders)


FAULTS = [
    Rule(kind=FaultKind.CODE, where="POST */order/create", probability=0.05),
    Rule(kind=FaultKind.SHUFFLE, where="/v5/private *", probability=0.5, seconds=0.5),
]


def test_an_hour_takes_seconds_and_the_same_seed_gives_the_same_hour(
    record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    first = hour(11, FAULTS)
    took = time.monotonic() - began
    with capsys.disabled():
        print(f"\nan hour of market in process: {took:.2f} s, {first[2]:,} frames, {first[3]} orders, trace {first[0]}")
    record_property("seconds for an hour", took)
    assert first[2] > 10_000 and first[3] > 100
    assert took < 15
    assert hour(11, FAULTS) == first
    assert hour(12, FAULTS)[:2] != first[:2]


def test_the_market_goes_on_when_a_recording_ends() -> None:
    script = Script().quote(60_000.0)
    box = box_of(script)
    box.advance(box.start_ns + 50 * H)
    assert box.now_ns() == box.start_ns + 50 * H


def test_advance_stops_where_it_is_interrupted() -> None:
    box = Box(1, ticks_per_day=200_000)
    seen = [0]

    def interrupted() -> int:
        seen[0] += 1
        return int(seen[0] == 5)

    box.advance(box.start_ns + H, interrupted)
    assert box.start_ns < box.now_ns() < box.start_ns + H and seen[0] == 5


def test_an_account_of_hundreds_of_coins() -> None:
    box = Box(1, ticks_per_day=200_000, extra_coins=300, balance_usdt=1_000_000)
    exchange = box.exchanges["bybit"]
    perps = [each for each in exchange.listings.values() if each.role == "perp"]
    assert len(perps) == 301 and len({each.funding_minutes for each in perps}) == 3
    listing = box.listing("bybit", "SIM007USDT")
    bid, ask, _, _ = box.depth.best(listing)
    assert 0 < bid < ask


def test_what_the_box_does_not_have() -> None:
    box = Box(1, ticks_per_day=200_000)
    with pytest.raises(VenueUnavailable, match="no websocket at /v6"):
        box.open_socket("bybit", "/v6", lambda frame: None)
    with pytest.raises(UsageError, match="no instrument 'XUSDT'; it has"):
        box.add_fault(Rule(kind=FaultKind.DELISTING, symbol="XUSDT"))
    assert PERP in box.listings
