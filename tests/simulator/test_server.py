"""The box on sockets: it listens, hangs, drops, turns black, and closes cleanly."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from tests.simulator.builders import Script, box_of
from titan_core.simulator.box import Box
from titan_core.simulator.clock import RealClock
from titan_core.simulator.faults import FaultKind, Rule
from titan_core.simulator.server import BoxServer, ServerError

Check = Callable[[BoxServer, aiohttp.ClientSession], Awaitable[None]]


def serve(check: Check, *rules: Rule, speed: float = 1.0) -> None:
    script = Script().quote(60_000.0)
    for number in range(200):
        script.wait(0.02).quote(60_000.0 + number / 10)

    async def main() -> None:
        box = box_of(script, clock=RealClock(script.supply().first_ns, speed), server_ns=time.time_ns, faults=rules)
        async with BoxServer(box) as server, aiohttp.ClientSession() as session:
            await asyncio.wait_for(check(server, session), 10)

    asyncio.run(main())


def test_it_answers_for_all_venues() -> None:
    async def check(server: BoxServer, http: aiohttp.ClientSession) -> None:
        paths = ("/bybit/v5/market/time", "/mexc/api/v1/contract/ping", "/binance/api/v3/time", "/control/state")
        for path in paths:
            async with http.get(server.url + path) as answer:
                assert answer.status == 200 and await answer.json()
        for path in ("/bybit/v5/nope", "/nobody/v5/market/time"):
            async with http.get(server.url + path) as answer:
                assert answer.status == 404

    serve(check)


def test_a_drop_a_hang_and_a_delay_take_place_on_the_wire() -> None:
    async def check(server: BoxServer, http: aiohttp.ClientSession) -> None:
        with pytest.raises(aiohttp.ClientConnectionError):
            await http.get(server.url + "/bybit/v5/market/time")
        with pytest.raises(TimeoutError):
            await http.get(server.url + "/mexc/api/v1/contract/ping", timeout=aiohttp.ClientTimeout(total=0.2))
        began = time.monotonic()
        async with http.get(server.url + "/binance/api/v3/time") as answer:
            assert answer.status == 200 and time.monotonic() - began >= 0.3

    serve(
        check,
        Rule(kind=FaultKind.DROP_ANSWER, venue="bybit"),
        Rule(kind=FaultKind.HANG_ANSWER, venue="mexc", seconds=5),
        Rule(kind=FaultKind.DELAY, venue="binance", seconds=0.3),
    )


def test_frames_flow_and_a_closed_socket_is_forgotten() -> None:
    async def check(server: BoxServer, http: aiohttp.ClientSession) -> None:
        async with http.ws_connect(server.url + "/bybit/v5/public/linear") as socket:
            await socket.send_json({"op": "subscribe", "args": ["orderbook.1.BTCUSDT"]})
            kinds = [(await socket.receive_json()).get("type") for _ in range(5)]
            assert kinds == [None, "snapshot", "delta", "delta", "delta"]
            assert "orderbook.1.BTCUSDT" in server.box._bybit_public["linear"].topics
        await asyncio.sleep(0.1)
        assert "orderbook.1.BTCUSDT" not in server.box._bybit_public["linear"].topics
        async with http.ws_connect(server.url + "/binance/stream?streams=btcusdt@bookTicker") as socket:
            assert (await socket.receive_json())["stream"] == "btcusdt@bookTicker"

    serve(check)


def test_a_black_socket_gives_no_pong_and_a_disconnect_ends_it() -> None:
    async def check(server: BoxServer, http: aiohttp.ClientSession) -> None:
        async with http.ws_connect(server.url + "/bybit/v5/private", autoping=False) as socket:
            await socket.ping()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.receive(), 0.3)
        async with http.ws_connect(server.url + "/bybit/v5/public/linear", autoping=False) as socket:
            await socket.ping()
            assert (await socket.receive()).type is aiohttp.WSMsgType.PONG
            assert (await asyncio.wait_for(socket.receive(), 5)).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(server.url + "/bybit/v5/nowhere")

    serve(check, Rule(kind=FaultKind.BLACK_HOLE, where="/v5/private"), Rule(kind=FaultKind.DISCONNECT, where="/v5/public/*", from_s=1.0))


def test_the_market_runs_at_its_speed() -> None:
    async def check(server: BoxServer, http: aiohttp.ClientSession) -> None:
        before = server.box.now_ns()
        await asyncio.sleep(0.2)
        assert 10e9 < server.box.now_ns() - before < 60e9
        async with http.get(server.url + "/bybit/v5/market/time") as answer:
            told = int((await answer.json())["result"]["timeNano"])
            assert abs(told - time.time_ns()) < 1e9, "signatures are checked by the time of the computer"

    serve(check, speed=100.0)


def test_a_taken_port_is_told() -> None:
    async def check(server: BoxServer, http: aiohttp.ClientSession) -> None:
        second = BoxServer(Box(1, ticks_per_day=200_000), server.port)
        with pytest.raises(ServerError, match="choose another with --port"):
            await second.start()

    serve(check)


def test_rules_are_changed_through_the_control_door() -> None:
    async def check(server: BoxServer, http: aiohttp.ClientSession) -> None:
        async with http.post(server.url + "/control/faults", json={"kind": "status", "status": 403}) as answer:
            assert (await answer.json())[0]["kind"] == "status"
        async with http.get(server.url + "/bybit/v5/market/time") as answer:
            assert answer.status == 403
        async with http.delete(server.url + "/control/faults") as answer:
            assert await answer.json() == {"removed": 1}
        async with http.get(server.url + "/bybit/v5/market/time") as answer:
            assert answer.status == 200

    serve(check)
