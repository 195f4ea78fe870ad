"""Leave one venue, step by verified step, with nothing but its client: the emergency of the Brain, also for a process that has only that.

Entries are withdrawn, every perpetual is closed reduce-only at market, the largest first, and only two reads that agree are believed to say "flat"; then what
rests on positions is withdrawn. What fails is tried again until it is true. Nothing is looked up one by one: the positions themselves say what is left, and a
reduce-only order that comes twice finds nothing to reduce, so that no position can flip.
"""

import asyncio
from collections.abc import Callable
from decimal import Decimal

from attrs import define, field, frozen

from titan_core.brain.approval import on_authority
from titan_core.errors import Unreadable, VenueUnavailable
from titan_core.execution.client import VenueClient
from titan_core.execution.limiter import Lane
from titan_core.execution.outcomes import SUCCESS
from titan_core.execution.reports import Answer, PositionReport
from titan_core.model.ids import BRAIN, ClientOrderId, InstrumentId, StrategyId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Intent


@frozen
class Flattened:
    """What it took."""

    seconds: float
    orders: int
    rounds: int
    closed: tuple[InstrumentId, ...]


@define
class Flattening:
    """One emergency at one venue. `run` names it in the order ids, so that those of two emergencies never meet."""

    client: VenueClient
    run: str
    say: Callable[[str], None] = lambda text: None
    retry_s: float = 0.1
    between_reads_s: float = 0.3
    orders: int = 0
    rounds: int = 0
    _closed: dict[InstrumentId, None] = field(factory=dict)

    async def leave(self) -> Flattened:
        """Return once the venue is flat, twice read, and nothing rests there any more. Never gives up."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.client.limiter.drop(Lane.ENTRY, Lane.READ)
        await self._withdraw_entries()
        await self._close_positions()
        await self._withdraw(protective=True)
        return Flattened(loop.time() - began, self.orders, self.rounds, tuple(self._closed))

    # -- steps ------------------------------------------------------------------------------------------------------
    async def _withdraw_entries(self) -> None:
        """Withdraw what is in the book until the venue shows nothing there."""
        while True:
            await self._withdraw(protective=False)
            try:
                left = await self.client.open_orders(lane=Lane.EMERGENCY, protective=False)
            except (VenueUnavailable, Unreadable) as error:
                self.say(f"entries: {error}")
                left = None
            if left is not None and not any(not order.reduce_only for order in left):
                return
            await asyncio.sleep(self.retry_s)

    async def _withdraw(self, *, protective: bool) -> None:
        while True:
            answer = await self._asked(lambda answered: self.client.withdraw_all(protective=protective, lane=Lane.EMERGENCY, answered=answered))
            if answer.outcome in SUCCESS:
                return
            self.say(f"withdrawing {'stops' if protective else 'entries'}: {answer.outcome} {answer.message}")
            await asyncio.sleep(self.retry_s)

    async def _close_positions(self) -> None:
        flat_reads = 0
        while flat_reads < 2:
            try:
                held = await self.client.positions(lane=Lane.EMERGENCY)
            except (VenueUnavailable, Unreadable) as error:
                self.say(f"positions: {error}")
                await asyncio.sleep(self.retry_s)
                continue
            if held:
                flat_reads = 0
                self.rounds += 1
                await asyncio.gather(*(self._close(position) for position in sorted(held, key=self._notional, reverse=True)))
            else:
                flat_reads += 1
                if flat_reads < 2:
                    await asyncio.sleep(self.between_reads_s)

    async def _close(self, position: PositionReport) -> None:
        self.orders += 1
        intent = Intent(
            client_order_id=ClientOrderId(f"{BRAIN}.{self.run}.{self.orders}"),
            phase=BRAIN,
            strategy=StrategyId("brain"),
            instrument=self._instrument(position.instrument),
            signed_lots=-position.signed_lots,
            reduce_only=True,
            tag="flatten",
        )
        self._closed[position.instrument] = None
        answer = await self._asked(lambda answered: self.client.limiter.run(Lane.EMERGENCY, lambda: self.client.place(on_authority(intent), answered)))
        if answer.outcome not in SUCCESS:
            self.say(f"closing {position.instrument}: {answer.outcome} {answer.message}")

    # -- inside -----------------------------------------------------------------------------------------------------
    async def _asked(self, ask: Callable[[Callable[[Answer], None]], None]) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        ask(lambda given: None if answer.done() else answer.set_result(given))
        return await answer

    def _instrument(self, ident: InstrumentId) -> Instrument:
        return next(instrument for instrument in self.client.instruments if instrument.id == ident)

    def _notional(self, position: PositionReport) -> Decimal:
        return self._instrument(position.instrument).quantity(abs(position.signed_lots)) * Decimal(position.entry_price)
