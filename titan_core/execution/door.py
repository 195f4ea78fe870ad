"""The one door to a venue's REST interface: ccxt signs, an HTTP port carries, and each answer is classified by our own tables.

ccxt turns an empty body into "no positions", an unknown code into an error like any other, and queues orders behind candles; hence neither its reading of
answers nor its throttle is used.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from attrs import define, frozen

from titan_core.errors import ClockRefused, VenueUnavailable
from titan_core.execution.http import Http
from titan_core.execution.limiter import Lane, Limiter
from titan_core.execution.outcomes import Outcome, of_status


@frozen
class Reply:
    """An answer as it came: `result` is there where the outcome is a success."""

    outcome: Outcome
    code: int | None
    message: str
    result: Any = None

    def failure(self, what: str) -> VenueUnavailable:
        """Return the exception for an answer that is none; `what` was asked."""
        kind = ClockRefused if self.outcome is Outcome.CLOCK else VenueUnavailable
        return kind(f"{what}: {self.outcome} ({self.code}): {self.message}")


def unreadable(status: int, body: str) -> Reply:
    """Return what is known of an answer whose body cannot be read: what its status says, and that is little."""
    outcome = of_status(status)
    return Reply(outcome, status if outcome is not Outcome.UNKNOWN else None, f"HTTP {status}, unreadable body {body[:80]!r}")


@define
class RestDoor(ABC):
    """Signs and sends requests when the limiter admits them. `exchange` is a ccxt.async_support exchange with keys."""

    exchange: Any
    http: Http
    limiter: Limiter
    timeout_s: float = 5.0
    sent: int = 0

    @abstractmethod
    def section(self, path: str) -> list[str]:
        """Say to which of ccxt's sections a path belongs."""

    @abstractmethod
    def read(self, status: int, body: str) -> Reply:
        """Read an answer. Whatever cannot be read is of unknown outcome."""

    def route(self, path: str) -> str:
        """Return a path as ccxt wants it."""
        return path

    def remaining(self, headers: Mapping[str, str]) -> float | None:
        """Return what the venue says is left of its budget, where it says so."""
        return None

    async def call(self, lane: Lane, method: str, path: str, parameters: Any, *, weight: float = 1.0) -> Reply:
        """Send a request when the budget admits it. Never raises for what the venue or the network does."""
        try:
            await self.turn(lane, weight=weight)
        except VenueUnavailable as error:
            return Reply(Outcome.UNKNOWN, None, str(error))
        return await self.send(method, path, parameters)

    async def turn(self, lane: Lane, *, weight: float = 1.0) -> None:
        """Wait until the budget admits a request, which is then to be sent at once. Raises VenueUnavailable where it was given up for an emergency."""
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def tell(is_mine: bool) -> None:
            if not turn.done():
                turn.set_result(is_mine)

        self.limiter.run(lane, lambda: tell(True), weight, lambda: tell(False))
        if not await turn:
            raise VenueUnavailable("given up before it was sent: an emergency goes first")

    async def send(self, method: str, path: str, parameters: Any) -> Reply:
        """Send what the limiter has admitted."""
        self.sent += 1
        given = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
        signed = self.exchange.sign(self.route(path), self.section(path), method, given)
        try:
            async with asyncio.timeout(self.timeout_s):
                status, headers, body = await self.http(signed["url"], signed["method"], signed["headers"], signed["body"])
        except TimeoutError:
            return Reply(Outcome.UNKNOWN, None, f"no answer within {self.timeout_s:g} s")
        except Exception as error:  # the network fails in many classes; none of them says whether the request arrived
            return Reply(Outcome.UNKNOWN, None, f"{type(error).__name__}: {str(error).split('?')[0][:160]}")
        reply = self.read(status, body)
        self._heed(headers, reply)
        return reply

    def _heed(self, headers: Mapping[str, str], reply: Reply) -> None:
        self.limiter.heed(self.remaining(headers))
        if reply.outcome is Outcome.BANNED:
            self.limiter.ban(600.0 if reply.code == 403 else 60.0)
        elif reply.outcome is Outcome.RATE_LIMITED:
            self.limiter.ban(1.0)
