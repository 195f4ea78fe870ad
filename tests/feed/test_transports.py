"""The websocket port through each library, on real sockets."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest
from websockets.asyncio.server import ServerConnection, serve

from titan_core.errors import UsageError, VenueUnavailable
from titan_core.feed.transport import Transport
from titan_core.feed.transports import CLIENTS, open_transport

Behaviour = Callable[[ServerConnection], Awaitable[None]]


@pytest.fixture(params=CLIENTS)
def transport(request: pytest.FixtureRequest) -> Transport:
    pytest.importorskip(request.param)
    return open_transport(request.param)


class Ends:
    """What a receiver saw."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.closed: list[str] = []
        self.changed = asyncio.Event()

    def on_frame(self, frame: bytes) -> None:
        self.frames.append(frame)
        self.changed.set()

    def on_closed(self, reason: str) -> None:
        self.closed.append(reason)
        self.changed.set()

    async def until(self, done: Callable[[], bool], seconds: float = 5) -> None:
        async with asyncio.timeout(seconds):
            while not done():
                self.changed.clear()
                await self.changed.wait()


def against(behaviour: Behaviour, client: Callable[[str, Ends], Awaitable[None]]) -> None:
    async def main() -> None:
        async with serve(behaviour, "127.0.0.1", 0, compression=None, close_timeout=0.2) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            await client(f"ws://127.0.0.1:{port}/x", Ends())

    asyncio.run(main())


def test_messages_go_both_ways_in_order_as_bytes(transport: Transport) -> None:
    async def echo(peer: ServerConnection) -> None:
        async for message in peer:
            await peer.send(message)
            await peer.send(b"\x00binary")

    async def client(url: str, ends: Ends) -> None:
        link = await transport.connect(url, on_frame=ends.on_frame, on_closed=ends.on_closed)
        for number in range(50):
            link.send(b"%d" % number)
        await ends.until(lambda: len(ends.frames) == 100)
        assert ends.frames[::2] == [b"%d" % number for number in range(50)]
        assert all(type(frame) is bytes for frame in ends.frames) and ends.frames[1] == b"\x00binary"
        assert link.is_open and not ends.closed
        await link.close()
        assert not link.is_open
        link.send(b"lost silently")
        await ends.until(lambda: bool(ends.closed))
        assert len(ends.closed) == 1

    against(echo, client)


def test_a_message_in_pieces_comes_whole(transport: Transport) -> None:
    async def pieces(peer: ServerConnection) -> None:
        await peer.send(["one ", "two ", "three"])
        await peer.send("x" * 1_000_000)
        await peer.wait_closed()

    async def client(url: str, ends: Ends) -> None:
        link = await transport.connect(url, on_frame=ends.on_frame, on_closed=ends.on_closed)
        await ends.until(lambda: len(ends.frames) == 2)
        assert ends.frames[0] == b"one two three" and len(ends.frames[1]) == 1_000_000
        await link.close()

    against(pieces, client)


def test_the_end_is_told_once_with_its_reason_and_after_connect_has_returned(transport: Transport) -> None:
    async def leave(peer: ServerConnection) -> None:
        await peer.close(1012, "service restart")

    async def client(url: str, ends: Ends) -> None:
        connected = False

        def closed(reason: str) -> None:
            assert connected
            ends.on_closed(reason)

        link = await transport.connect(url, on_frame=ends.on_frame, on_closed=closed)
        connected = True
        await ends.until(lambda: bool(ends.closed))
        await asyncio.sleep(0.05)
        assert len(ends.closed) == 1 and "1012" in ends.closed[0]
        assert not link.is_open
        await link.close()

    against(leave, client)


def test_a_peer_that_is_silent_to_pings_is_given_up_in_less_than_four_seconds(transport: Transport) -> None:
    over = asyncio.Event()

    async def black_hole(peer: ServerConnection) -> None:
        await peer.send("hello")
        peer.transport.pause_reading()  # type: ignore[union-attr]
        await over.wait()
        peer.transport.abort()  # type: ignore[union-attr]

    async def client(url: str, ends: Ends) -> None:
        loop = asyncio.get_running_loop()
        link = await transport.connect(url, on_frame=ends.on_frame, on_closed=ends.on_closed, ping_interval_s=1.5, ping_timeout_s=1.5)
        await ends.until(lambda: bool(ends.frames))
        since = loop.time()
        await ends.until(lambda: bool(ends.closed))
        assert loop.time() - since < 4
        await link.close()
        over.set()

    against(black_hole, client)


def test_nobody_there_and_somebody_who_speaks_no_websocket_are_unavailable(transport: Transport) -> None:
    async def main() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            with pytest.raises(VenueUnavailable, match="cannot be connected"):
                await transport.connect(f"ws://127.0.0.1:{unused.getsockname()[1]}", on_frame=print, on_closed=print)

        async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(rude, "127.0.0.1", 0)
        async with server:
            with pytest.raises(VenueUnavailable):
                await transport.connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", on_frame=print, on_closed=print)

        done = asyncio.Event()

        async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            done.set()

        server = await asyncio.start_server(mute, "127.0.0.1", 0)
        async with server:
            with pytest.raises(VenueUnavailable):
                await transport.connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", on_frame=print, on_closed=print, open_timeout_s=0.2)
            await done.wait()

    asyncio.run(main())


def test_an_unknown_client_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="websockets, picows"):
        open_transport("carrier pigeon")
