"""The box on sockets: an aiohttp server on 127.0.0.1 that serves all venues by path, and lets the market run by a clock."""

import asyncio
from collections.abc import Mapping

from aiohttp import WSMsgType, web

from titan_core.errors import TitanError, VenueUnavailable
from titan_core.simulator.box import VENUES, Box
from titan_core.simulator.control import handle_control
from titan_core.simulator.sockets import BoxSocket
from titan_core.simulator.wire import Dropped, Hanging, Late, Request, Response

HOST = "127.0.0.1"
STEP_S = 0.002
"""How often the market is brought up to the clock."""
SLICE_NS = 50_000_000
"""How much market time is lived through before sockets get their turn."""
MAX_BODY = 1 << 20


class ServerError(TitanError):
    """The server cannot listen; choose another port."""


class BoxServer:
    """Serves a box until it is closed. Use as `async with BoxServer(box) as server: server.url`."""

    def __init__(self, box: Box, port: int = 0) -> None:
        self.box, self.port = box, port
        self._runner: web.AppRunner | None = None
        self._market: asyncio.Task[None] | None = None
        self._senders: set[asyncio.Task[None]] = set()
        self._opened: set[web.WebSocketResponse] = set()

    @property
    def url(self) -> str:
        """Where the server listens, such as `http://127.0.0.1:8899`; venues are below it."""
        return f"http://{HOST}:{self.port}"

    async def start(self) -> None:
        """Listen and let the market run. Raises ServerError where the port is taken."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/control/{rest:.*}", self._control)
        app.router.add_route("*", "/{venue:" + "|".join(VENUES) + "}/{rest:.*}", self._serve)
        app.on_shutdown.append(self._shut)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, self.port).start()
        except OSError as error:
            await runner.cleanup()
            raise ServerError(f"cannot listen on {HOST}:{self.port}: {error.strerror}; choose another with --port, 0 takes a free one") from error
        self.port = int(runner.addresses[0][1])
        self._runner = runner
        self.box.look_ahead()
        self._market = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Close all connections and stop listening."""
        if self._market is not None:
            self._market.cancel()
            await asyncio.gather(self._market, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
        for task in list(self._senders):
            task.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)

    async def __aenter__(self) -> "BoxServer":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def wait(self) -> None:
        """Wait until the market stops, which only an error makes it do."""
        if self._market is not None:
            await self._market

    async def _run(self) -> None:
        box = self.box
        while True:
            target = box.clock.now_ns()
            while box.next_ns() <= target:
                box.advance(min(target, box.next_ns() + SLICE_NS))
                await asyncio.sleep(0)
            await asyncio.sleep(STEP_S)

    # -- requests -----------------------------------------------------------------------------------------------
    async def _control(self, request: web.Request) -> web.StreamResponse:
        return _answer(handle_control(self.box, await _read(request, request.path)))

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        venue, path = request.match_info["venue"], "/" + request.match_info["rest"]
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request, venue, path)
        outcome = self.box.handle_http(venue, await _read(request, path))
        if isinstance(outcome, Late):
            await asyncio.sleep(outcome.seconds)
            return _answer(outcome.response)
        if isinstance(outcome, Hanging | Dropped):
            if isinstance(outcome, Hanging):
                await asyncio.sleep(outcome.seconds)
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        return _answer(outcome)

    # -- websockets ---------------------------------------------------------------------------------------------
    async def _socket(self, request: web.Request, venue: str, path: str) -> web.StreamResponse:
        frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        try:
            query = f"?{request.query_string}" if request.query_string else ""
            socket = self.box.open_socket(venue, path + query, frames.put_nowait, lambda reason: frames.put_nowait(None))
        except VenueUnavailable as error:
            return web.Response(status=403, text=str(error))
        opened = web.WebSocketResponse(autoping=False, timeout=0.5, max_msg_size=MAX_BODY)
        await opened.prepare(request)
        self._opened.add(opened)
        sender = asyncio.create_task(self._send(opened, frames, request))
        self._senders.add(sender)
        try:
            await self._listen(opened, socket)
        finally:
            socket.close()
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
            self._senders.discard(sender)
            self._opened.discard(opened)
        return opened

    async def _listen(self, opened: web.WebSocketResponse, socket: BoxSocket) -> None:
        async for message in opened:
            if message.type is WSMsgType.PING and not socket.is_black:
                await opened.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                socket.receive(message.data.encode())
            elif message.type is WSMsgType.BINARY:
                socket.receive(message.data)

    async def _send(self, opened: web.WebSocketResponse, frames: "asyncio.Queue[bytes | None]", request: web.Request) -> None:
        try:
            while True:
                frame = await frames.get()
                if frame is None:
                    if request.transport is not None:
                        request.transport.abort()
                    return
                await opened.send_str(frame.decode())
        except ConnectionError:
            return

    async def _shut(self, _app: web.Application) -> None:
        for opened in list(self._opened):
            if opened.prepared and not opened.closed:
                await opened.close()


async def _read(request: web.Request, path: str) -> Request:
    headers: Mapping[str, str] = {name.lower(): value for name, value in request.headers.items()}
    raw = request.raw_path.partition("?")[2]
    return Request(request.method, path, raw, headers, await request.read())


def _answer(response: Response) -> web.Response:
    return web.Response(status=response.status, body=response.body, headers=dict(response.headers), content_type=response.content_type)
