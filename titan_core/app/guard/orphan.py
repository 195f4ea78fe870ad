"""What the guard does once its session has died: nothing new may be opened, and no position stays without a stop at the venue.

That is no emergency: stops rest at the venue and the next start recovers. A position whose stop is not there gets the one that the session wanted, else one
at the distance of positions that are nobody's; where the venue refuses it, because the price is through it, the position is closed as the stop would have done.
"""

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal

from attrs import define

from titan_core.app.live.asking import VenueReader
from titan_core.brain.approval import on_authority
from titan_core.execution.client import VenueClient
from titan_core.execution.limiter import Lane
from titan_core.execution.outcomes import Outcome
from titan_core.execution.reports import Answer, PositionReport
from titan_core.model.ids import BRAIN, ClientOrderId, InstrumentId, StrategyId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Intent
from titan_core.model.units import BPS

AGAIN_S = 1.0


@define
class OrphanDuty:
    """Sees to one account until nothing is left to do. `run` names its orders, `say` hears what is done."""

    client: VenueClient
    stops: Mapping[InstrumentId, tuple[int | None, int | None]]
    adopt_stop_bps: int
    run: str
    say: Callable[[str], None]
    _orders: int = 0

    async def finish(self) -> None:
        """Return once no entry rests in the book and every position has its stop, read twice."""
        known = {instrument.id: instrument for instrument in self.client.instruments}
        reader = VenueReader(self.client, known, self.say)
        await reader.withdraw_entries()
        while True:
            held = await reader.positions_twice()
            bare = [position for position in held if position.stop is None]
            if not bare:
                self.say(f"{len(held)} positions are left, each with its stop at the venue" if held else "no position is left")
                return
            await asyncio.gather(*(self._see_to(known[position.instrument], position) for position in bare))
            await asyncio.sleep(AGAIN_S)

    async def _see_to(self, instrument: Instrument, position: PositionReport) -> None:
        stop, target = self._wanted(instrument, position)
        answer = await self._asked(lambda answered: self.client.protect(instrument, stop, target, Lane.PROTECT, answered))
        self.say(f"{instrument.id}: {position.signed_lots} lots had no stop; one at {stop} ticks: {answer.outcome} {answer.message}".rstrip())
        if answer.outcome is Outcome.REJECTED:
            answer = await self._asked(lambda answered: self._close(instrument, position, answered))
            self.say(f"{instrument.id}: closed in the place of a stop: {answer.outcome} {answer.message}".rstrip())

    def _wanted(self, instrument: Instrument, position: PositionReport) -> tuple[int, int | None]:
        """Return the stop that the session wanted for such a position, else one at a distance from its entry."""
        entry, is_long = instrument.ticks_nearest(Decimal(position.entry_price)), position.signed_lots > 0
        stop, target = self.stops.get(position.instrument, (None, None))
        if stop is not None:
            return stop, target
        distance = max(1, entry * self.adopt_stop_bps // BPS)
        return (max(1, entry - distance) if is_long else entry + distance), None

    def _close(self, instrument: Instrument, position: PositionReport, answered: Callable[[Answer], None]) -> None:
        self._orders += 1
        intent = Intent(
            client_order_id=ClientOrderId(f"{BRAIN}.{self.run}.{self._orders}"),
            phase=BRAIN,
            strategy=StrategyId("brain"),
            instrument=instrument,
            signed_lots=-position.signed_lots,
            reduce_only=True,
            tag="guard",
        )
        self.client.limiter.run(Lane.EXIT, lambda: self.client.place(on_authority(intent), answered))

    async def _asked(self, ask: Callable[[Callable[[Answer], None]], None]) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        ask(lambda given: None if answer.done() else answer.set_result(given))
        return await answer
