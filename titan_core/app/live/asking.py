"""Asks a venue, at start and after doubts, until everything that an earlier process may have left is known: orders, executions, positions, cash."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from attrs import define, frozen

from titan_core.app.live.entries import Submit
from titan_core.errors import ClockRefused, Unreadable, VenueUnavailable
from titan_core.execution.client import VenueClient
from titan_core.execution.limiter import Lane
from titan_core.execution.outcomes import SUCCESS, Outcome
from titan_core.execution.reports import Answer, Execution, PositionReport, WalletReport
from titan_core.model.ids import InstrumentId
from titan_core.model.instrument import Instrument
from titan_core.model.order import OrderStatus
from titan_core.model.units import S

T = TypeVar("T")


@frozen
class Found:
    """What the venue has, read while nothing moved."""

    executions: tuple[Execution, ...]
    positions: tuple[PositionReport, ...]
    wallet: WalletReport
    fates: Mapping[str, OrderStatus | None]
    """What became of each order that was asked for; None where the venue has never had it."""


@define
class VenueReader:
    """Reads one venue and does not give up; `say` is told what keeps it waiting."""

    client: VenueClient
    known: Mapping[InstrumentId, Instrument]
    say: Callable[[str], None]
    keep_time: Callable[[], Awaitable[object]] | None = None
    """Measures the venue's clock; called where the venue refuses because of the time, which may be set while this goes on."""
    retry_s: float = 0.25
    longest_retry_s: float = 5.0
    absence_s: float = 2.0
    overlap_s: float = 60.0

    async def find(self, orders: Mapping[str, Submit], since_ns: int) -> Found:
        """Withdraw what rests in the book, follow every order of `orders` to its end, then read executions, positions and wallet that fit together."""
        await self.withdraw_entries()
        fates = dict(zip(orders, await asyncio.gather(*(self._fate(order) for order in orders.values())), strict=True))
        since = max(0, since_ns - int(self.overlap_s * S))
        while True:
            before = await self._until(lambda: self.client.executions(since), "executions")
            positions = await self.positions_twice()
            wallet = await self._until(self.client.wallet, "wallet")
            after = await self._until(lambda: self.client.executions(since), "executions")
            if {e.execution_id for e in before} == {e.execution_id for e in after}:
                return Found(tuple(after), tuple(positions), wallet, fates)

    async def withdraw_entries(self) -> None:
        """Withdraw every order that rests in the book until none does."""
        wait_s = self.retry_s
        while True:
            answer = await self._asked(lambda answered: self.client.withdraw_all(protective=False, lane=Lane.PROTECT, answered=answered))
            if answer.outcome in SUCCESS:
                left = await self._until(lambda: self.client.open_orders(protective=False), "open orders")
                if not left:
                    return
            else:
                self.say(f"withdrawing open orders: {answer.outcome} ({answer.code}) {answer.message}")
                await self._heed(answer.outcome is Outcome.CLOCK)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, self.longest_retry_s)

    async def positions_twice(self) -> Sequence[PositionReport]:
        """Return the positions once two reads agree: one may be a venue's hiccup."""
        last = await self._until(self.client.positions, "positions")
        while True:
            await asyncio.sleep(self.retry_s)
            again = await self._until(self.client.positions, "positions")
            if {(p.instrument, p.signed_lots) for p in again} == {(p.instrument, p.signed_lots) for p in last}:
                return again
            last = again

    async def _fate(self, order: Submit) -> OrderStatus | None:
        """Follow one order until it has ended or the venue has said twice that it never had it."""
        instrument, absences, wait_s = self.known[order.instrument], 0, self.retry_s
        while True:
            report = await self._until(lambda: self.client.look_up(instrument, order.client_order_id), f"order {order.client_order_id}")
            if report is not None and report.status.is_final:
                return report.status
            if report is None:
                absences += 1
                if absences >= 2:
                    return None
                await asyncio.sleep(self.absence_s)
                continue
            absences = 0
            await self._cancel(order, report.venue_order_id)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, self.longest_retry_s)

    async def _cancel(self, order: Submit, venue_order_id: str) -> None:
        instrument = self.known[order.instrument]
        await self._asked(lambda answered: self.client.cancel(instrument, order.client_order_id, venue_order_id, Lane.PROTECT, answered))

    async def _until(self, read: Callable[[], Awaitable[T]], what: str) -> T:
        wait_s = self.retry_s
        while True:
            try:
                return await read()
            except (VenueUnavailable, Unreadable) as error:
                self.say(f"{what}: {error}")
                await self._heed(isinstance(error, ClockRefused))
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, self.longest_retry_s)

    async def _heed(self, is_clock: bool) -> None:
        """Measure the clock anew where the venue has refused because of it."""
        if is_clock and self.keep_time is not None:
            try:
                await self.keep_time()
            except (VenueUnavailable, Unreadable) as error:
                self.say(f"measuring the venue's clock: {error}")

    async def _asked(self, ask: Callable[[Callable[[Answer], None]], None]) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        ask(lambda given: None if answer.done() else answer.set_result(given))
        return await answer
