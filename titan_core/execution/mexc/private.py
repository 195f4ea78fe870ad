"""MEXC's private stream: orders, executions and positions as they happen. What cannot be read is counted and described, and makes the owner ask over REST.

An execution may come without our order id (the venue has added that lately), and before the order that it belongs to. It is then kept until that order is
heard of, or until the owner is made to ask.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from attrs import define, field

from titan_core.errors import Unreadable
from titan_core.execution.client import Listener
from titan_core.execution.mexc import words
from titan_core.execution.mexc.orders import OrderNames
from titan_core.execution.mexc.socket import SignedSocket
from titan_core.execution.mexc.words import Contracts
from titan_core.execution.reports import PositionReport
from titan_core.model.ids import InstrumentId

FILTERS = ("order", "order.deal", "position", "asset")
PUSH = "push.personal."
KEEP_S = 0.5
"""How long an execution waits for its order."""


@define(eq=False)
class PrivateStream:
    """Reads the frames of a signed-in socket. The socket is given after construction, since it needs this object's callbacks."""

    known: Contracts
    listener: Listener
    names: OrderNames
    socket: SignedSocket | None = None
    faults: int = 0
    last_fault: str = ""
    positions: dict[InstrumentId, PositionReport | None] = field(factory=dict)
    """What the stream has said last, for show: it is no proof that something is flat."""
    _kept: dict[str, list[Mapping[str, Any]]] = field(factory=dict)
    _subscribed: bool = field(default=False)

    def on_up(self) -> None:
        """Say what is to be heard."""
        assert self.socket is not None
        self._subscribed = False
        self.socket.send({"method": "personal.filter", "param": {"filters": [{"filter": name} for name in FILTERS]}})

    def on_down(self, reason: str) -> None:
        """Tell that nothing is heard any more."""
        if self._subscribed:
            self._subscribed = False
            self.listener.on_stream(False, reason)

    def on_frame(self, said: Mapping[str, Any]) -> None:
        """Take in a frame."""
        channel = str(said.get("channel"))
        if channel == "rs.personal.filter":
            self._acknowledged(said)
        elif channel == "rs.error":
            self._refused(said)
        elif channel.startswith(PUSH):
            data: Any = said.get("data")
            for row in data if isinstance(data, list) else [data]:
                try:
                    self._row(channel.removeprefix(PUSH), row)
                except (Unreadable, AttributeError, TypeError) as error:
                    self._fault(str(error))
        else:
            self._fault(f"unexpected frame {str(said)[:120]}")

    def _acknowledged(self, said: Mapping[str, Any]) -> None:
        if said.get("data") == "success":
            self._subscribed = True
            self.listener.on_stream(True, "subscribed")
        else:
            self._refused(said)

    def _refused(self, said: Mapping[str, Any]) -> None:
        assert self.socket is not None
        self.socket.drop(f"not subscribed: {said.get('data')}")

    # -- rows ---------------------------------------------------------------------------------------------------------
    def _row(self, name: str, row: Mapping[str, Any]) -> None:
        instrument = self.known.find(row.get("symbol"))
        if name not in FILTERS or (instrument is None and name != "asset"):
            return
        if name == "asset":
            words.decimal(row, "availableBalance")  # it has no equity, so that nothing can be told but that it can be read
            return
        assert instrument is not None
        if name == "position":
            held = words.position(instrument, row)
            self.positions[instrument.id] = None if held is None else held.report
        elif name == "order.deal":
            self._deal(row)
        elif not words.is_duplicate(row):
            order_id, external = words.order_of(row)
            report = words.order_report(instrument, row)
            self.names.learn(order_id, external)
            self.listener.on_report(report)
            for deal in self._kept.pop(order_id, ()):
                self._deal(deal)

    def _deal(self, row: Mapping[str, Any]) -> None:
        instrument, order_id = self.known.find(row.get("symbol")), words.ident(row, "orderId")
        assert instrument is not None
        external = str(row.get("externalOid") or "") or self.names.find(order_id)
        if external is None and words.whole(row, "category") != 1:
            external = ""  # the venue's own
        read = words.execution(instrument, row, external or "")
        if external is not None:
            self.listener.on_execution(read)
        else:
            self._kept.setdefault(order_id, []).append(row)
            asyncio.get_running_loop().call_later(KEEP_S, self._give_up, order_id)

    def _give_up(self, order_id: str) -> None:
        if self._kept.pop(order_id, None) is not None:
            self._fault(f"an execution of order {order_id}, of which nothing was heard")

    def _fault(self, text: str) -> None:
        self.faults += 1
        self.last_fault = text
        if self._subscribed:  # something has happened that we could not read: what we know may be wrong
            self.listener.on_stream(True, f"unreadable: {text}")
