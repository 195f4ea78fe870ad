"""The websocket port through `picows`, whose parser is compiled: the fastest transport, optional (`titan-core[fast]`)."""

import asyncio

from picows import WSAutoPingStrategy, WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from titan_core.errors import VenueUnavailable
from titan_core.feed.transport import Connection, Dial, OnClosed, OnFrame, Transport

CLOSE_TIMEOUT_S = 0.2
CONNECT_MARGIN_S = 1.0
MAX_MESSAGE = 16 << 20
READ_BUFFER = 256 << 10


class _Listener(WSListener):
    """Takes frames where the parser has found them."""

    def __init__(self, on_frame: OnFrame, on_closed: OnClosed) -> None:
        self.on_frame, self.on_closed = on_frame, on_closed
        self.delivers = True
        self.handed_out = False
        self.reason: str | None = None
        self.parts = bytearray()
        self.text, self.binary, self.rest = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take one frame."""
        kind = frame.msg_type
        if kind == self.text and frame.fin:
            self.on_frame(frame.get_payload_as_bytes())
        elif kind == self.text or kind == self.binary:
            self.parts[:] = frame.get_payload_as_bytes()
            if frame.fin:
                self.on_frame(bytes(self.parts))
        elif kind == self.rest:
            self.parts += frame.get_payload_as_bytes()
            if frame.fin:
                self.on_frame(bytes(self.parts))
        elif kind == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Tell that the connection has ended."""
        if self.reason is None:
            said = transport.close_handshake
            heard = said.recv if said is not None else None
            sent = said.sent if said is not None else None
            found = heard or sent
            self.reason = f"{found.code} {found.reason or ''}".strip() if found is not None else "the connection was lost"
            if self.handed_out:
                self.on_closed(self.reason)

    def hand_out(self) -> None:
        """Note that `connect` has returned, and tell of an end that came in between."""
        self.handed_out = True
        if self.reason is not None:
            self.on_closed(self.reason)


def _drop(frame: bytes) -> None:
    pass


class PicowsConnection(Connection):
    """One open websocket."""

    def __init__(self, transport: WSTransport, listener: _Listener) -> None:
        self._transport, self._listener = transport, listener

    def send(self, payload: bytes) -> None:
        """See Connection.send."""
        if self.is_open:
            self._transport.send(WSMsgType.TEXT, payload)

    @property
    def is_open(self) -> bool:
        """See Connection.is_open."""
        return self._listener.reason is None and self._listener.delivers

    async def close(self) -> None:
        """See Connection.close."""
        self._listener.delivers = False
        self._listener.on_frame = _drop
        if self._listener.reason is None:
            self._transport.send_close()
            self._transport.disconnect()
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._transport.wait_disconnected()
            except TimeoutError:
                self._transport.underlying_transport.abort()
                await self._transport.wait_disconnected()


class PicowsTransport(Transport):
    """Opens websockets with `picows`. A ping goes out where nothing has come for `ping_interval_s`; redirects are not followed."""

    def __init__(self, dial: Dial | None = None) -> None:
        self._dial = dial

    async def connect(
        self, url: str, *, on_frame: OnFrame, on_closed: OnClosed, open_timeout_s: float = 10.0, ping_interval_s: float = 5.0, ping_timeout_s: float = 5.0
    ) -> Connection:
        """See Transport.connect."""
        dial = self._dial
        try:
            async with asyncio.timeout(open_timeout_s + CONNECT_MARGIN_S):  # for what comes before the handshake, which has its own limit
                transport, listener = await ws_connect(
                    lambda: _Listener(on_frame, on_closed),
                    url,
                    websocket_handshake_timeout=open_timeout_s,
                    enable_auto_ping=True,
                    auto_ping_idle_timeout=ping_interval_s,
                    auto_ping_reply_timeout=min(ping_timeout_s, ping_interval_s),
                    auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
                    max_frame_size=MAX_MESSAGE,
                    read_buffer_init_size=READ_BUFFER,
                    max_redirects=0,
                    socket_factory=None if dial is None else lambda where: dial(where.url),
                )
        except (OSError, TimeoutError, WSError) as error:
            raise VenueUnavailable(f"{url} cannot be connected to: {str(error) or type(error).__name__}") from error
        assert isinstance(listener, _Listener)
        asyncio.get_running_loop().call_soon(listener.hand_out)
        return PicowsConnection(transport, listener)
