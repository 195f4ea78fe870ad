"""Reads of MEXC's REST interface that are not satisfied with less than a whole answer: all pages, and never an empty one for lack of a body."""

from collections.abc import Mapping
from typing import Any

from attrs import define

from titan_core.errors import Unreadable, VenueUnavailable
from titan_core.execution.limiter import Lane
from titan_core.execution.mexc import words
from titan_core.execution.mexc.door import Door, Reply
from titan_core.execution.mexc.words import Contracts, HeldPosition
from titan_core.execution.outcomes import SUCCESS, Outcome
from titan_core.model.ids import InstrumentId

PAGE = 100
"""The most that the venue gives at once; unless asked it gives 20."""
MAX_PAGES = 40
TRIES = 4
"""How often an emergency asks before it is told that there is no answer: what takes two requests would else begin with the first again."""


def unavailable(path: str, reply: Reply) -> VenueUnavailable:
    """Return the exception for an answer that is none."""
    return reply.failure(f"mexc {path}")


@define
class Reader:
    """Reads through a door."""

    door: Door
    known: Contracts

    async def call(self, lane: Lane, method: str, path: str, parameters: Any) -> Reply:
        """Ask, in an emergency more than once where nothing is said: what is asked this way may be asked twice."""
        for _ in range(TRIES if lane is Lane.EMERGENCY else 1):
            reply = await self.door.call(lane, method, path, parameters)
            if reply.outcome is not Outcome.UNKNOWN:
                break
        return reply

    async def get(self, path: str, parameters: Mapping[str, Any], *, lane: Lane = Lane.READ) -> Any:
        """Return the data of an answer. Raises VenueUnavailable where there is none."""
        reply = await self.call(lane, "GET", path, parameters)
        if reply.outcome not in SUCCESS:
            raise unavailable(path, reply)
        return reply.result

    async def pages(self, path: str, parameters: Mapping[str, Any], *, lane: Lane = Lane.READ) -> list[Mapping[str, Any]]:
        """Return the rows of all pages, each once: what moves between two pages may come on both."""
        found: dict[str, Mapping[str, Any]] = {}
        for number in range(1, MAX_PAGES + 1):
            page = words.rows(await self.get(path, {**parameters, "page_num": number, "page_size": PAGE}, lane=lane), path)
            for row in page:
                name = "id" if row.get("id") else "orderId"
                found.setdefault(words.ident(row, name), row)
            if len(page) < PAGE:
                return list(found.values())
        raise Unreadable(f"mexc {path}: more than {MAX_PAGES} pages of {PAGE}; the end was not reached")

    async def held(self, lane: Lane) -> list[HeldPosition]:
        """Return the open positions in what we trade. Raises Unreadable also where one instrument has two of them: the account is hedged."""
        path = "position/open_positions"
        found: dict[InstrumentId, HeldPosition] = {}
        for row in words.rows(await self.get(path, {}, lane=lane), path):
            instrument = self.known.find(row.get("symbol"))
            held = None if instrument is None else words.position(instrument, row)
            if instrument is None or held is None:
                continue
            if instrument.id in found:
                raise Unreadable(f"mexc: {instrument.symbol} is held long and short at once (hedge mode); switch the account to one-way mode while flat")
            found[instrument.id] = held
        return list(found.values())
