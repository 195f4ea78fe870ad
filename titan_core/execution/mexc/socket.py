"""How the websocket of MEXC contract is signed in to and kept alive. The venue closes a connection on which nothing is said for a minute."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from attrs import define

from titan_core.execution.socket import StandingSocket

PING = b'{"method":"ping"}'


@define
class SignedSocket(StandingSocket):
    """An authenticated websocket of the contract market."""

    @property
    def ping(self) -> bytes:
        """The venue's own ping."""
        return PING

    def sign_in(self) -> None:
        """Sign key and time; what is to be heard is said afterwards."""
        stamp = str(self.now_ms())
        signature = hmac.new(self.secret, f"{self.key}{stamp}".encode(), hashlib.sha256).hexdigest()
        self.send({"method": "login", "subscribe": False, "param": {"apiKey": self.key, "reqTime": stamp, "signature": signature}})

    def take(self, said: Mapping[str, Any]) -> None:
        """Take in a frame. An error before the sign-in is answered is its refusal."""
        channel = said.get("channel")
        if channel == "rs.login":
            self.signed_in(None if said.get("data") == "success" else str(said.get("data")))
        elif channel == "rs.error" and not self.is_up:
            self.signed_in(str(said.get("data")))
        elif channel != "pong":
            self.on_frame(said)
