"""Stops and targets that rest on positions at MEXC: at most one row for each position, which covers all of it and is moved, never taken away and set anew.

The venue has no request that says "let these be the prices": what rests is read, and then placed, moved or withdrawn, so that asking twice changes nothing.
"""

from collections.abc import Mapping
from typing import Any

from attrs import define

from titan_core.errors import Unreadable, VenueUnavailable
from titan_core.execution.limiter import Lane
from titan_core.execution.mexc import words
from titan_core.execution.mexc.door import Reply
from titan_core.execution.mexc.reading import Reader
from titan_core.execution.mexc.words import RestingStop
from titan_core.execution.outcomes import SUCCESS, Outcome
from titan_core.model.instrument import Instrument

PATH = "stoporder/list/orders"


@define
class Stops:
    """The stops of one account."""

    reader: Reader

    async def resting(self, lane: Lane, instrument: Instrument | None = None) -> list[RestingStop]:
        """Return what rests, of one instrument or of all that we trade. Raises VenueUnavailable or Unreadable."""
        asked: dict[str, Any] = {"is_finished": 0} | ({"symbol": words.symbol(instrument)} if instrument is not None else {})
        found = []
        for row in await self.reader.pages(PATH, asked, lane=lane):
            known = self.reader.known.find(row.get("symbol"))
            stop = None if known is None else words.resting_stop(known, row)
            if stop is not None and (instrument is None or stop.instrument == instrument.id):
                found.append(stop)
        return found

    async def set(self, instrument: Instrument, stop: int | None, target: int | None, lane: Lane) -> Reply:
        """Let these prices rest on the position, or nothing. Never raises for what the venue does."""
        try:
            resting = await self.resting(lane, instrument)
            if stop is None and target is None:
                return await self._withdraw(resting, lane) if resting else Reply(Outcome.UNCHANGED, None, "nothing rests there")
            first = next((each for each in resting if (each.stop, each.target) == (stop, target)), None)
            if first is None and resting:
                first, resting = await self._move(instrument, resting, stop, target, lane)
            if first is None:
                reply = await self._place(instrument, stop, target, lane)
                if reply.outcome not in SUCCESS or not resting:
                    return reply
                resting = await self.resting(lane, instrument)
                first = next((each for each in resting if (each.stop, each.target) == (stop, target)), None)
            others = [each for each in resting if first is not None and each.ident != first.ident]
            return await self._withdraw(others, lane) if others else Reply(Outcome.ACCEPTED, 0, "")
        except (VenueUnavailable, Unreadable) as error:
            return Reply(Outcome.UNKNOWN, None, str(error))

    # -- inside -----------------------------------------------------------------------------------------------------
    async def _move(
        self, instrument: Instrument, resting: list[RestingStop], stop: int | None, target: int | None, lane: Lane
    ) -> tuple[RestingStop | None, list[RestingStop]]:
        """Move the first one and see what rests then: the row with the prices that are wanted, None where there is none, and all rows."""
        prices = {"stopLossPrice": 0, "takeProfitPrice": 0} | words.stop_prices(instrument, stop, target)
        reply = await self.reader.door.call(lane, "POST", "stoporder/change_plan_price", {"stopPlanOrderId": resting[0].ident} | prices)
        if reply.outcome is Outcome.UNKNOWN:
            raise VenueUnavailable(f"mexc: it is not known whether a stop was moved: {reply.message}")
        left = await self.resting(lane, instrument)
        return next((each for each in left if (each.stop, each.target) == (stop, target)), None), left

    async def _place(self, instrument: Instrument, stop: int | None, target: int | None, lane: Lane) -> Reply:
        held = next((each for each in await self.reader.held(lane) if each.report.instrument == instrument.id), None)
        if held is None:
            return Reply(Outcome.NOTHING_TO_REDUCE, None, "no position is there to protect")
        terms = {"positionId": held.ident, "vol": abs(held.report.signed_lots), "volType": words.WHOLE_POSITION}
        trends = {"lossTrend": words.LAST_PRICE, "profitTrend": words.LAST_PRICE}
        return await self.reader.door.call(lane, "POST", "stoporder/place", terms | trends | words.stop_prices(instrument, stop, target))

    async def _withdraw(self, resting: list[RestingStop], lane: Lane) -> Reply:
        rows: list[Mapping[str, Any]] = [{"stopPlanOrderId": each.ident} for each in resting]
        reply = await self.reader.door.call(lane, "POST", "stoporder/cancel", rows)
        gone = reply.outcome is Outcome.NOT_FOUND
        return Reply(Outcome.UNCHANGED, reply.code, reply.message) if gone else reply
