"""Titan talks to its venues and to nobody else."""

import asyncio
import http
import socket
from functools import partial
from typing import Any, NoReturn

import pytest
from aiohttp import ClientSession, ThreadedResolver
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from titan_core.errors import VenueUnavailable
from titan_core.feed.hosts import VENUE_HOSTS, AddressRefused, HostPolicy, HostRefused, dial, guarded_connector, is_public
from titan_core.feed.transports import CLIENTS, open_transport

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
        ("https://0x7f000001/", "not on the list"),
        ("https://127.1/", "not on the list"),
        ("https://0177.0.0.1/", "not on the list"),
        ("https://[::ffff:127.0.0.1]/", "not on the list"),
        ("https://[::ffff:7f00:1]/", "not on the list"),
        ("https://[0:0:0:0:0:0:0:1]/", "this machine"),
        ("https://0.0.0.0/", "not on the list"),
        ("https://[::]/", "not on the list"),
        ("https://localhost./", "not on the list"),
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
    for url in ("http://2130706433:8080/", "http://0x7f000001/", "http://0.0.0.0:8080/", "http://[::ffff:127.0.0.1]:8080/", "http://localhost@evil.example/"):
        with pytest.raises(HostRefused):
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
    from aiohttp import web

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


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("64:ff9b::808:808", True),
        ("127.0.0.1", False),
        ("127.9.9.9", False),
        ("::1", False),
        ("::", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("fec0::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("::127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a00:1", False),
        ("2002:7f00:1::", False),
        ("2001:0:0:0:0:0:80ff:fffe", False),
        ("no address", False),
    ],
)
def test_what_is_on_the_public_internet_is_told_from_what_is_not(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(("how", "resolver"), [("https", lambda: None), ("https", ThreadedResolver), ("websockets", None), ("picows", None)])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254"])
def test_a_name_that_leads_to_this_machine_or_its_network_is_not_followed(monkeypatch: pytest.MonkeyPatch, how: str, resolver: Any, address: str) -> None:
    """The name is on the list, the name server lies, and somebody listens where it points to."""
    if how == "picows":
        pytest.importorskip("picows")
    reached: list[str] = []

    def lie(host: str, port: int, *arguments: Any, **options: Any) -> list[tuple[Any, ...]]:
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        where = (address, port, 0, 0) if ":" in address else (address, port)
        return [(kind, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where)]

    async def scene() -> None:
        def heard(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            reached.append("a connection")
            writer.close()

        server = await asyncio.start_server(heard, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setattr(socket, "getaddrinfo", lie)
        for loopback in (False, True):  # not even with the simulator does a venue live here
            policy = HostPolicy(frozenset({("api.bybit.com", port)}), loopback)
            with pytest.raises(AddressRefused, match=f"api.bybit.com leads to {address}, where it cannot be"):
                if how == "https":
                    async with ClientSession(connector=guarded_connector(policy, resolver=resolver())) as session:
                        await session.get(f"https://api.bybit.com:{port}/")
                else:
                    transport = open_transport(how, partial(dial, policy))
                    await transport.connect(f"wss://api.bybit.com:{port}/", on_frame=print, on_closed=print)
        await asyncio.sleep(0.05)
        server.close()

    asyncio.run(scene())
    assert reached == []


def test_a_name_that_leads_nowhere_is_a_failure_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **options: Any) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def scene() -> None:
        monkeypatch.setattr(socket, "getaddrinfo", fail)
        with pytest.raises(VenueUnavailable, match="cannot be connected to"):
            await open_transport("websockets", partial(dial, LIVE)).connect("wss://stream.bybit.com/", on_frame=print, on_closed=print)

    asyncio.run(scene())


@pytest.mark.parametrize("client", CLIENTS)
def test_a_websocket_follows_no_redirect(client: str) -> None:
    pytest.importorskip(client)
    reached: list[str] = []

    async def scene() -> None:
        async def greet(connection: ServerConnection) -> None:
            await connection.send("hello")
            await connection.wait_closed()

        def redirect(connection: ServerConnection, request: Request) -> Response | None:
            reached.append(request.path)
            if request.path == "/":
                return None
            response = connection.respond(http.HTTPStatus.FOUND, "")
            response.headers["Location"] = "/" if request.path == "/home" else "wss://evil.example/"
            return response

        heard = asyncio.Queue[bytes]()
        async with serve(greet, "127.0.0.1", 0, process_request=redirect) as server:
            url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            transport = open_transport(client, partial(dial, BOX))
            link = await transport.connect(f"{url}/", on_frame=heard.put_nowait, on_closed=print)
            assert await heard.get() == b"hello"
            await link.close()
            for path in ("/home", "/away"):
                with pytest.raises(VenueUnavailable, match="cannot be connected to"):
                    await transport.connect(url + path, on_frame=print, on_closed=print)
            with pytest.raises(HostRefused, match="this machine"):
                await open_transport(client, partial(dial, LIVE)).connect(f"{url}/", on_frame=print, on_closed=print)

    asyncio.run(scene())
    assert reached == ["/", "/home", "/away"]
