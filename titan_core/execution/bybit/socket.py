"""How a websocket at Bybit is signed in to and kept alive. The venue answers its own `ping` with `pong`."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from attrs import define

from titan_core.execution.socket import SocketTimes as SocketTimes
from titan_core.execution.socket import StandingSocket

PING = b'{"op":"ping"}'


@define
class AuthenticatedSocket(StandingSocket):
    """An authenticated websocket of V5."""

    @property
    def ping(self) -> bytes:
        """The venue's own ping."""
        return PING

    def sign_in(self) -> None:
        """Sign the path and an expiry."""
        expires = self.now_ms() + 10_000
        signature = hmac.new(self.secret, f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
        self.send({"op": "auth", "args": [self.key, expires, signature]})

    def take(self, said: Mapping[str, Any]) -> None:
        """Take in a frame."""
        op = said.get("op")
        if op == "auth":
            accepted = said.get("success") is True or said.get("retCode") == 0
            self.signed_in(None if accepted else str(said.get("ret_msg") or said.get("retMsg") or "no reason given"))
        elif op not in ("ping", "pong"):
            self.on_frame(said)
