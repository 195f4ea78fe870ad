"""Titan talks to its venues and to nobody else."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titan_core.feed.hosts import VENUE_HOSTS, HostPolicy, HostRefused, guarded_connect, guarded_connector

LIVE = HostPolicy.of(["bybit-linear", "bybit-spot", "mexc-contract", "binance-spot"])
BOX = HostPolicy.of([], simulator=True)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.bybit.com/v5/order/create",
        "wss://stream.bybit.com/v5/public/linear",
        "wss://stream.binance.com:9443/stream?streams=btcusdt@trade",
        "https://API.BYBIT.COM:443/",
        "https://contract.mexc.com/api/v1/contract/detail",
        "wss://contract.mexc.com/edge",
    ],
)
def test_the_venues_are_allowed(url: str) -> None:
    LIVE.check(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://api.bybit.com/", "not encrypted; use https"),
        ("ws://stream.bybit.com/", "not encrypted; use wss"),
        ("https://api.bybit.com.evil.example/", "api.bybit.com.evil.example:443 is not on the list"),
        ("https://evil.example/api.bybit.com", "not on the list"),
        ("https://api.bybit.com@evil.example/", "user name before its host evil.example"),
        ("https://user:pw@api.bybit.com/", "user name"),
        ("https://api.bybit.com:8443/", "api.bybit.com:8443 is not on the list"),
        ("https://api.bybit.com./", "not on the list"),
        ("https://1.2.3.4/", "1.2.3.4:443 is not on the list"),
        ("https://2130706433/", "not on the list"),
        ("https://[::1]/", "this machine"),
        ("http://127.0.0.1:8080/", "this machine"),
        ("http://127.8.9.1/", "this machine"),
        ("ws://localhost:1/", "this machine"),
        ("https://localhost.evil.example/", "not on the list"),
        ("https://169.254.169.254/latest/meta-data", "not on the list"),
        ("https://evil.example\\@api.bybit.com/", "backslashes"),
        ("https://api.bybit.com /", "blanks"),
        ("https://api.bybit.com\t/", "blanks"),
        ("https://api.b\u0443bit.com/", "ASCII"),
        ("https:///x", "a host"),
        ("//api.bybit.com/", "must begin with"),
        ("file:///etc/passwd", "must begin with"),
        ("https://api.bybit.com:x/", "cannot be read"),
        ("", "must begin with"),
    ],
)
def test_everybody_else_is_refused(url: str, reason: str) -> None:
    with pytest.raises(HostRefused, match=reason):
        LIVE.check(url)


def test_this_machine_is_for_the_simulator_only() -> None:
    for url in ("http://127.0.0.1:8080/v5", "ws://localhost:9/", "http://[::1]:5/"):
        BOX.check(url)
    with pytest.raises(HostRefused, match="allowed: none and this machine"):
        BOX.check("https://api.bybit.com/")
    with pytest.raises(HostRefused, match="known are those of bybit, mexc, binance"):
        HostPolicy.of(["ftx-perp"])


def test_a_refusal_repeats_no_path() -> None:
    with pytest.raises(HostRefused) as raised:
        LIVE.check("https://evil.example/x?signature=deadbeef")
    assert "signature" not in str(raised.value)


@given(st.text(max_size=40))
def test_no_text_gets_to_a_host_that_is_not_on_the_list(text: str) -> None:
    from urllib.parse import urlsplit

    for url in (text, f"https://{text}", f"https://api.bybit.com{text}"):
        try:
            LIVE.check(url)
        except HostRefused:
            continue
        allowed = {host for hosts in VENUE_HOSTS.values() for host, _ in hosts}
        assert urlsplit(url).hostname in allowed


def test_an_http_session_asks_for_each_connection_also_a_redirected_one() -> None:
    from aiohttp import ClientSession, web

    reached: list[str] = []

    async def scene() -> None:
        async def redirect(request: web.Request) -> web.Response:
            reached.append(request.path)
            raise web.HTTPFound("https://evil.example/steal?signature=x")

        async def fine(request: web.Request) -> web.Response:
            return web.Response(text="fine")

        app = web.Application()
        app.router.add_get("/redirect", redirect)
        app.router.add_get("/fine", fine)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with ClientSession(connector=guarded_connector(BOX)) as session:
            async with session.get(f"{base}/fine") as response:
                assert await response.text() == "fine"
            with pytest.raises(HostRefused, match="evil.example"):
                await session.get(f"{base}/redirect")
            with pytest.raises(HostRefused, match="a proxy"):
                await session.get(f"{base}/fine", proxy="http://127.0.0.1:9")
        async with ClientSession(connector=guarded_connector(LIVE)) as session:
            with pytest.raises(HostRefused, match="this machine"):
                await session.get(f"{base}/fine")
        await runner.cleanup()

    asyncio.run(scene())
    assert reached == ["/redirect"]


def test_ccxt_asks_too() -> None:
    pytest.importorskip("ccxt")
    import ccxt.async_support as ccxt
    from aiohttp import ClientSession

    async def scene() -> None:
        session = ClientSession(connector=guarded_connector(HostPolicy.of(["mexc-contract"])))
        exchange = ccxt.bybit({"session": session, "enableRateLimit": False})
        try:
            with pytest.raises(HostRefused, match="api.bybit.com:443 is not on the list"):
                await exchange.public_get_v5_market_time()
        finally:
            await exchange.close()
            await session.close()

    asyncio.run(scene())


def test_a_websocket_asks_also_for_a_redirect() -> None:
    pytest.importorskip("websockets")
    from websockets.asyncio.server import ServerConnection, serve
    from websockets.http11 import Request, Response

    async def scene() -> None:
        async def echo(connection: ServerConnection) -> None:
            await connection.send("hello")

        def redirect(connection: ServerConnection, request: Request) -> Response | None:
            if request.path != "/away":
                return None
            response = connection.respond(302, "")
            response.headers["Location"] = "wss://evil.example/"
            return response

        async with serve(echo, "127.0.0.1", 0, process_request=redirect) as server:
            url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            async with guarded_connect(BOX, f"{url}/") as socket:
                assert await socket.recv() == "hello"
            with pytest.raises(HostRefused, match="evil.example"):
                async with guarded_connect(BOX, f"{url}/away"):
                    raise AssertionError("never connected")
            with pytest.raises(HostRefused, match="this machine"):
                guarded_connect(LIVE, f"{url}/")

    asyncio.run(scene())
