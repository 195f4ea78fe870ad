"""Bybit's private stream: orders and executions as they happen. What cannot be read is counted and described, and makes the owner ask over REST."""

from collections.abc import Mapping
from typing import Any

from attrs import define, field

from titan_core.errors import Unreadable
from titan_core.execution.bybit import words
from titan_core.execution.bybit.socket import AuthenticatedSocket
from titan_core.execution.bybit.words import Instruments
from titan_core.execution.client import Listener

TOPICS = ("order", "execution")


@define(eq=False)
class PrivateStream:
    """Reads the frames of an authenticated socket. The socket is given after construction, since it needs this object's callbacks."""

    known: Instruments
    listener: Listener
    socket: AuthenticatedSocket | None = None
    faults: int = 0
    last_fault: str = ""
    _subscribed: bool = field(default=False)

    def on_up(self) -> None:
        """Subscribe."""
        assert self.socket is not None
        self._subscribed = False
        self.socket.send({"op": "subscribe", "req_id": "private", "args": list(TOPICS)})

    def on_down(self, reason: str) -> None:
        """Tell that nothing is heard any more."""
        if self._subscribed:
            self._subscribed = False
            self.listener.on_stream(False, reason)

    def on_frame(self, said: Mapping[str, Any]) -> None:
        """Take in a frame."""
        if said.get("op") == "subscribe":
            self._acknowledged(said)
            return
        topic, rows = said.get("topic"), said.get("data")
        if topic not in TOPICS or not isinstance(rows, list):
            self._fault(f"unexpected frame {str(said)[:120]}")
            return
        for row in rows:
            try:
                self._row(str(topic), row)
            except (Unreadable, AttributeError, TypeError) as error:
                self._fault(str(error))

    def _acknowledged(self, said: Mapping[str, Any]) -> None:
        assert self.socket is not None
        if said.get("success") is True:
            self._subscribed = True
            self.listener.on_stream(True, "subscribed")
        else:
            self.socket.drop(f"not subscribed: {said.get('ret_msg')}")

    def _row(self, topic: str, row: Mapping[str, Any]) -> None:
        instrument = self.known.find(row.get("category"), row.get("symbol"))
        if instrument is None:
            return
        if topic == "order":
            self.listener.on_report(words.order_report(instrument, row))
        else:
            self.listener.on_execution(words.execution(instrument, row))

    def _fault(self, text: str) -> None:
        self.faults += 1
        self.last_fault = text
        if self._subscribed:  # something has happened that we could not read: what we know may be wrong
            self.listener.on_stream(True, f"unreadable: {text}")
