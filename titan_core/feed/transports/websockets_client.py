"""The websocket port through `websockets`: its protocol, handshake, keep-alive and closing; frames are taken where it has parsed them, before its queue."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidState, WebSocketException
from websockets.frames import Frame, Opcode

from titan_core.errors import VenueUnavailable
from titan_core.feed.transport import Connection, Dial, OnClosed, OnFrame, Transport

CLOSE_TIMEOUT_S = 0.2
"""How long the peer may take to answer a closing frame; a dead one never does."""
MAX_MESSAGE = 16 << 20
_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


class _Tapped(ClientConnection):
    """A connection that hands complete messages over instead of queueing them."""

    on_frame: OnFrame
    on_lost: Callable[[str], None]
    parts: bytearray | None = None

    def process_event(self, event: Any) -> None:
        """Take what the protocol has parsed: data frames are ours, the handshake's answer and pongs are not."""
        if self.response is None or event.opcode not in _DATA:
            super().process_event(event)
        elif event.fin and self.parts is None:
            self.on_frame(bytes(event.data))
        else:
            self._collect(event)

    def _collect(self, frame: Frame) -> None:
        self.parts = (self.parts if self.parts is not None else bytearray()) + frame.data
        if frame.fin:
            whole, self.parts = bytes(self.parts), None
            self.on_frame(whole)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that the connection has ended."""
        super().connection_lost(exc)
        cause = self.connection_exc
        self.on_lost(f"{self.protocol.close_exc}" + (f" ({cause})" if cause is not None and str(cause) else ""))


class WebsocketsConnection(Connection):
    """One open websocket."""

    def __init__(self, on_frame: OnFrame, on_closed: OnClosed) -> None:
        self._on_frame, self._on_closed = on_frame, on_closed
        self._tapped: _Tapped | None = None
        self._delivers = True
        self._handed_out = False
        self._reason: str | None = None

    def make(self, *arguments: Any, **options: Any) -> ClientConnection:
        """Make the library's connection; it may try several, one per redirect."""
        self._tapped = tapped = _Tapped(*arguments, **options)
        tapped.on_frame = self._frame
        tapped.on_lost = lambda reason: self._lost(tapped, reason)
        return tapped

    def hand_out(self) -> None:
        """Note that `connect` has returned, and tell of an end that came in between."""
        self._handed_out = True
        if self._reason is not None:
            self._on_closed(self._reason)

    def _frame(self, frame: bytes) -> None:
        if self._delivers:
            self._on_frame(frame)

    def _lost(self, tapped: _Tapped, reason: str) -> None:
        if tapped is self._tapped and self._reason is None:
            self._reason = reason
            if self._handed_out:
                self._on_closed(reason)

    def send(self, payload: bytes) -> None:
        """See Connection.send."""
        if self._tapped is not None and self.is_open:
            try:
                self._tapped.protocol.send_text(payload)
                self._tapped.send_data()
            except (InvalidState, OSError):
                pass

    @property
    def is_open(self) -> bool:
        """See Connection.is_open."""
        return self._reason is None and self._delivers

    async def close(self) -> None:
        """See Connection.close."""
        self._delivers = False
        if self._tapped is not None:
            await self._tapped.close()


class _Straight(connect):
    """Goes where it was told to, and nowhere else."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Take a redirect for the refusal that it is."""
        return exc


class WebsocketsTransport(Transport):
    """Opens websockets with `websockets`, without compression: it costs more than the bytes it saves, and delays them. Redirects are not followed."""

    def __init__(self, dial: Dial | None = None) -> None:
        self._dial = dial

    async def connect(
        self, url: str, *, on_frame: OnFrame, on_closed: OnClosed, open_timeout_s: float = 10.0, ping_interval_s: float = 5.0, ping_timeout_s: float = 5.0
    ) -> Connection:
        """See Transport.connect."""
        made = WebsocketsConnection(on_frame, on_closed)
        try:
            where = await self._where(url, open_timeout_s)
            await _Straight(
                url,
                **where,
                compression=None,
                proxy=None,
                open_timeout=open_timeout_s,
                ping_interval=ping_interval_s,
                ping_timeout=ping_timeout_s,
                close_timeout=CLOSE_TIMEOUT_S,
                max_size=MAX_MESSAGE,
                create_connection=cast("type[ClientConnection]", made.make),
            )
        except (OSError, TimeoutError, WebSocketException) as error:
            raise VenueUnavailable(f"{url} cannot be connected to: {str(error) or type(error).__name__}") from error
        asyncio.get_running_loop().call_soon(made.hand_out)
        return made

    async def _where(self, url: str, open_timeout_s: float) -> dict[str, Any]:
        if self._dial is None:
            return {}
        async with asyncio.timeout(open_timeout_s):
            return {"sock": await self._dial(url)}
