"""Order entry over Bybit's trade websocket (`/v5/trade`): each request carries a number, each answer repeats it.

An answer carries ids only; where the order stands is told by the private stream. A request without an answer within `timeout_s`, or whose socket has ended, is
of unknown outcome: it may have been accepted.

An answer: `{"op":"order.create","retCode":0,"retMsg":"OK","connId":"…","reqId":"order-req-001","data":{"orderId":"1726…","orderLinkId":"client-order-1"}}`
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field

from titan_core.execution.bybit.client import OrderEntry
from titan_core.execution.bybit.socket import AuthenticatedSocket
from titan_core.execution.client import OnAnswer
from titan_core.execution.limiter import Limiter
from titan_core.execution.outcomes import Outcome, of_code
from titan_core.execution.reports import Answer


@define(eq=False)
class TradeEntry(OrderEntry):
    """Implements `OrderEntry`. The socket is given after construction, since it needs this object's callbacks."""

    limiter: Limiter
    now_ms: Callable[[], int]
    timeout_s: float = 2.0
    recv_window_ms: int = 5_000
    socket: AuthenticatedSocket | None = None
    _pending: dict[str, tuple[OnAnswer, asyncio.TimerHandle]] = field(factory=dict)
    _serial: int = 0

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return self.socket is not None and self.socket.is_up

    def send(self, op: str, parameters: Mapping[str, Any], answered: OnAnswer) -> None:
        """Send a request; `answered` is called exactly once."""
        assert self.socket is not None
        self._serial += 1
        number = str(self._serial)
        header = {"X-BAPI-TIMESTAMP": str(self.now_ms()), "X-BAPI-RECV-WINDOW": str(self.recv_window_ms)}
        timer = asyncio.get_running_loop().call_later(self.timeout_s, self._give_up, number)
        self._pending[number] = (answered, timer)
        self.socket.send_raw(json.dumps({"reqId": number, "header": header, "op": op, "args": [parameters]}).encode())

    def on_frame(self, said: Mapping[str, Any]) -> None:
        """Take in an answer."""
        answered, timer = self._pending.pop(str(said.get("reqId")), (None, None))
        if answered is None or timer is None:
            return
        timer.cancel()
        code = said.get("retCode")
        code = code if isinstance(code, int) else None
        header, given = said.get("header"), said.get("data")
        remaining = header.get("X-Bapi-Limit-Status", "") if isinstance(header, Mapping) else ""
        if str(remaining).isdigit():
            self.limiter.heed(float(remaining))
        outcome = of_code("bybit", code)
        if outcome is Outcome.RATE_LIMITED:
            self.limiter.ban(1.0)
        ident = given.get("orderId", "") if isinstance(given, Mapping) else ""
        answered(Answer(outcome, code, str(said.get("retMsg", "")), str(ident)))

    def on_down(self, reason: str) -> None:
        """Nothing that is under way will be answered any more."""
        pending, self._pending = self._pending, {}
        for answered, timer in pending.values():
            timer.cancel()
            answered(Answer(Outcome.UNKNOWN, None, f"the trade socket ended: {reason}"))

    def _give_up(self, number: str) -> None:
        answered, _ = self._pending.pop(number, (None, None))
        if answered is not None:
            answered(Answer(Outcome.UNKNOWN, None, f"no answer within {self.timeout_s:g} s"))
