"""What leaves this machine does so by one way, which goes to the listed hosts, gives up in time and closes behind itself. Real sockets on loopback."""

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from titan_core.app.live.outside import Outside
from titan_core.errors import UsageError, VenueUnavailable
from titan_core.execution.access import Access
from titan_core.execution.bybit import account as bybit
from titan_core.execution.bybit.words import Instruments
from titan_core.execution.limiter import Limiter
from titan_core.feed.hosts import HostPolicy, HostRefused
from titan_core.feed.transports import CLIENTS
from titan_core.feed.venues import box_endpoints, rests
from titan_core.model.ids import VenueId
from titan_core.simulator.box import Box
from titan_core.simulator.ccxt_plug import redirect
from titan_core.simulator.chunks import generated
from titan_core.simulator.clock import RealClock
from titan_core.simulator.server import BoxServer
from titan_core.simulator.wire import Credential

ccxt = pytest.importorskip("ccxt.async_support")

LIVE = HostPolicy.of(["bybit-linear", "binance-spot"])
BOX = HostPolicy.of([], simulator=True)
PERP = VenueId("bybit-linear")
KEY = Credential()


def exchange_at(url: str) -> Any:
    made = ccxt.bybit({"apiKey": KEY.key, "secret": KEY.secret, "enableRateLimit": False})
    redirect(made, url)
    return made


def on_box(scene: Callable[[BoxServer], Awaitable[None]]) -> None:
    async def main() -> None:
        now = time.time_ns()
        box = Box(3, supply=generated(3, start_ns=now), start_ns=now, clock=RealClock(now, 10.0), server_ns=time.time_ns)
        async with BoxServer(box) as server:
            await asyncio.wait_for(scene(server), 20)

    asyncio.run(main())


def on_server(answer: Callable[[web.Request], Awaitable[web.StreamResponse]], scene: Callable[[str], Awaitable[None]]) -> None:
    async def main() -> None:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", answer)
        runner = web.AppRunner(app, shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await asyncio.wait_for(scene(f"http://127.0.0.1:{runner.addresses[0][1]}"), 20)
        await runner.cleanup()

    asyncio.run(main())


class Deaf:
    """A listener of an account that takes note of nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **options: None


@pytest.mark.parametrize("client", CLIENTS)
def test_market_data_orders_and_the_private_stream_go_through_it(client: str) -> None:
    pytest.importorskip(client)

    async def scene(server: BoxServer) -> None:
        endpoints = box_endpoints(server.url)
        async with Outside(BOX, client=client) as outside:
            listed, _ = await rests(endpoints, outside.fetch)[PERP].instruments()
            loop, exchange = asyncio.get_running_loop(), exchange_at(server.url)
            limiter = Limiter(loop.time, loop.call_later, rate_per_s=10, burst=10, reserved=4)
            account = bybit.join(
                Access(socket_url=endpoints[PERP].websocket_url.removesuffix("/v5/public/linear"), key=KEY.key, secret=KEY.secret.encode()),
                Instruments(listed), Deaf(), exchange=exchange, http=outside.http_of(exchange), transport=outside.transport, now_ns=time.time_ns,
                jitter=lambda: 0.5, limiter=limiter,
            )  # fmt: skip
            running = loop.create_task(account.run())
            async with asyncio.timeout(5):
                while not all(socket.is_up for socket in account.sockets):
                    await asyncio.sleep(0.01)
            assert (await account.client.wallet()).cash > 0
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    on_box(scene)


def test_ccxt_itself_goes_through_it_too() -> None:
    async def scene(server: BoxServer) -> None:
        async with Outside(BOX) as outside:
            exchange = exchange_at(server.url)
            outside.http_of(exchange)
            session = exchange.session
            assert await exchange.load_markets() and exchange.session is session
        stranger = ccxt.bybit({"enableRateLimit": False})
        async with Outside(BOX) as outside:
            outside.http_of(stranger)
            with pytest.raises(HostRefused, match="api.bybit.com:443 is not on the list"):
                await stranger.public_get_v5_market_time()

    on_box(scene)


@pytest.mark.parametrize("client", CLIENTS)
def test_no_way_leads_to_this_machine_without_the_simulator(client: str) -> None:
    pytest.importorskip(client)
    reached: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        reached.append(request.path)
        return web.Response(text="{}")

    async def scene(url: str) -> None:
        for address in (url, url.replace("127.0.0.1", "localhost"), url.replace("127.0.0.1", "2130706433"), url.replace("127.0.0.1", "[::ffff:127.0.0.1]")):
            async with Outside(LIVE, client=client) as outside:
                with pytest.raises(HostRefused):
                    await outside.fetch(f"{address}/x")
                with pytest.raises(HostRefused):
                    await outside.http_of(exchange_at(address))(f"{address}/x", "POST", {}, "{}")
                with pytest.raises(HostRefused):
                    await outside.transport.connect(f"{address.replace('http', 'ws')}/x", on_frame=print, on_closed=print)

    on_server(answer, scene)
    assert reached == []


def test_a_signed_request_follows_no_redirect_not_even_to_an_allowed_host() -> None:
    reached: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        reached.append(request.path)
        status = int(request.path.strip("/")) if request.path != "/there" else 200
        return web.Response(status=status, headers={"Location": "/there" if status < 305 else "https://evil.example/?signature=x"}, text="{}")

    async def scene(url: str) -> None:
        async with Outside(BOX) as outside:
            http = outside.http_of(exchange_at(url))
            for status in (301, 302, 303, 307, 308):
                for method, body in (("GET", None), ("POST", "{}")):
                    with pytest.raises(VenueUnavailable, match=f"127.0.0.1/{status} answered with a redirect"):
                        await http(f"{url}/{status}?signature=abc", method, {"X-BAPI-SIGN": "abc"}, body)
                assert (await outside.fetch(f"{url}/{status}"))[0] == status

    on_server(answer, scene)
    assert "/there" not in reached and len(reached) == 15


def test_an_answer_of_any_size_takes_no_more_than_is_allowed() -> None:
    sent = [0]
    bomb = gzip.compress(bytes(8 << 20))

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/small":
            return web.Response(body=b"x" * 50_000)
        if request.path == "/bomb":
            return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while sent[0] < 200 << 20:
                await response.write(b"x" * 65_536)
                sent[0] += 65_536
        except ConnectionError:
            pass
        return response

    async def scene(url: str) -> None:
        async with Outside(BOX, most_bytes=100_000) as outside:
            http = outside.http_of(exchange_at(url))
            assert await outside.fetch(f"{url}/small") == (200, b"x" * 50_000)
            assert (await http(f"{url}/small", "GET", {}, None))[2] == "x" * 50_000
            for path in ("/endless", "/bomb"):
                with pytest.raises(VenueUnavailable, match=f"127.0.0.1{path} answered with more than 100,000 bytes"):
                    await outside.fetch(f"{url}{path}")
                with pytest.raises(VenueUnavailable, match="answered with more than 100,000 bytes"):
                    await http(f"{url}{path}?signature=abc", "GET", {}, None)

    on_server(answer, scene)
    assert sent[0] < 50 << 20


def test_nobody_is_waited_for_longer_than_said() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(5)
        return web.Response()

    async def scene(url: str) -> None:
        began = time.monotonic()
        async with Outside(BOX, timeout_s=0.2) as outside:
            exchange = exchange_at(url)
            exchange.timeout = 300
            with pytest.raises(VenueUnavailable, match="no answer"):
                await outside.fetch(f"{url}/x")
            with pytest.raises(VenueUnavailable, match="no answer"):
                await outside.http_of(exchange)(f"{url}/x", "GET", {}, None)
        assert time.monotonic() - began < 2

    on_server(answer, scene)


def test_a_failure_names_the_path_and_not_the_query_nor_what_ccxt_says() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def scene(url: str) -> None:
        async with Outside(BOX) as outside:
            with pytest.raises(VenueUnavailable) as raised:
                await outside.http_of(exchange_at(url))(f"{url}/api/v3/order?symbol=BTCUSDT&signature=abc", "DELETE", {"X-MBX-APIKEY": "abc"}, None)
        assert str(raised.value) == "DELETE 127.0.0.1/api/v3/order: no answer (ServerDisconnectedError)"
        assert raised.value.__cause__ is None and raised.value.__suppress_context__

    on_server(answer, scene)


@pytest.mark.parametrize("client", CLIENTS)
def test_everything_is_closed_behind_it(client: str, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip(client)

    async def scene(server: BoxServer) -> None:
        closed: list[str] = []
        outside = Outside(BOX, client=client)
        for take in (lambda: outside.transport, lambda: outside.fetch, lambda: outside.http_of(None)):
            with pytest.raises(UsageError, match="the way out is closed"):
                take()
        async with outside:
            transport, fetch, exchange = outside.transport, outside.fetch, exchange_at(server.url)
            http = outside.http_of(exchange)
            link = await transport.connect(f"ws{server.url[4:]}/bybit/v5/public/linear", on_frame=lambda frame: None, on_closed=closed.append)
            await http(f"{server.url}/bybit/v5/market/time", "GET", {}, None)
            await fetch(f"{server.url}/bybit/v5/market/time")
            session = exchange.session
        assert session.closed and exchange.session is None and not link.is_open
        with pytest.raises(VenueUnavailable):
            await fetch(f"{server.url}/bybit/v5/market/time")
        with pytest.raises(VenueUnavailable):
            await http(f"{server.url}/bybit/v5/market/time", "GET", {}, None)
        with pytest.raises(VenueUnavailable, match="closed"):
            await transport.connect(f"ws{server.url[4:]}/bybit/v5/public/linear", on_frame=print, on_closed=print)
        del exchange, http
        await outside.close()

    on_box(scene)
    assert "requires to release" not in caplog.text
