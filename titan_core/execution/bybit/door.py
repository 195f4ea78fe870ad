"""The door to Bybit's REST interface, and how its answers are read."""

import json
from collections.abc import Mapping

from attrs import define

from titan_core.execution.door import Reply as Reply
from titan_core.execution.door import RestDoor, unreadable
from titan_core.execution.outcomes import of_code


def read(status: int, body: str) -> Reply:
    """Read a body of Bybit V5. Whatever cannot be read is of unknown outcome."""
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, Mapping) or not isinstance(said.get("retCode"), int):
        return unreadable(status, body)
    code = said["retCode"]
    return Reply(of_code("bybit", code), code, str(said.get("retMsg", "")), said.get("result"))


@define
class Door(RestDoor):
    """Signs and sends requests when the limiter admits them. `exchange` is a ccxt.async_support.bybit with keys."""

    def section(self, path: str) -> list[str]:
        """Market data needs no signature."""
        return ["public" if path.startswith("v5/market") else "private"]

    def read(self, status: int, body: str) -> Reply:
        """Read an answer."""
        return read(status, body)

    def remaining(self, headers: Mapping[str, str]) -> float | None:
        """Return what the venue says is left of the endpoint's budget."""
        word = next((value for name, value in headers.items() if name.lower() == "x-bapi-limit-status"), "")
        return float(word) if word.isdigit() else None
