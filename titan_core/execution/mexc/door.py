"""The door to MEXC's REST interface of contracts, and how its answers are read.

An answer: `{"success":true,"code":0,"data":{"orderId":"739113577038255616","ts":1761888808839}}`; a refusal: `{"success":false,"code":2005,"message":"…"}`.
"""

import json
from collections.abc import Mapping
from decimal import Decimal

from attrs import define

from titan_core.execution.door import Reply as Reply
from titan_core.execution.door import RestDoor, unreadable
from titan_core.execution.outcomes import SUCCESS, Outcome, of_code

PUBLIC = "contract/"
"""How the paths of market data begin here; all others are private."""


def read(status: int, body: str) -> Reply:
    """Read a body. Whatever cannot be read is of unknown outcome, and so is a success that says that it is none."""
    try:
        said = json.loads(body, parse_float=Decimal)
    except ValueError:
        said = None
    code = said.get("code") if isinstance(said, Mapping) else None
    if not isinstance(said, Mapping) or not isinstance(code, int) or isinstance(code, bool):
        return unreadable(status, body)
    outcome = of_code("mexc", code)
    if outcome in SUCCESS and outcome is not Outcome.DUPLICATE and said.get("success") is not True:
        outcome = Outcome.UNKNOWN
    return Reply(outcome, code, str(said.get("message") or said.get("msg") or ""), said.get("data"))


@define
class Door(RestDoor):
    """Signs and sends requests when the limiter admits them. `exchange` is a ccxt.async_support.mexc with keys; paths of market data begin with `contract/`."""

    def section(self, path: str) -> list[str]:
        """Market data needs no signature."""
        return ["contract", "public" if path.startswith(PUBLIC) else "private"]

    def route(self, path: str) -> str:
        """Return the path as ccxt wants it."""
        return path.removeprefix(PUBLIC)

    def read(self, status: int, body: str) -> Reply:
        """Read an answer."""
        return read(status, body)
