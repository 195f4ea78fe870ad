"""The gate on a venue's client: what could open a position passes only while the guard lets it, looked at in the very call that sends."""

from collections.abc import Callable, Mapping, Sequence

from attrs import frozen

from titan_core.app.live.setup import Account
from titan_core.execution.client import Listener, OnAnswer, VenueClient
from titan_core.execution.limiter import Lane, Limiter
from titan_core.execution.outcomes import Outcome
from titan_core.execution.reports import Answer, Execution, OrderReport, PositionReport, WalletReport
from titan_core.model.ids import ClientOrderId, InstrumentId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Approved

REFUSED = "the guard lets no entry pass"

Join = Callable[[Listener, Callable[[], int]], Account]


@frozen
class GatedClient:
    """Implements `titan_core.execution.client.VenueClient` by another one. Nothing stands between the look at the gate and the sending.

    An order may have waited in the queue of requests, or for its journal, while the process was stopped; hence the gate is here and not where orders are made.
    """

    inner: VenueClient
    may_enter: Callable[[], bool]
    trouble: Callable[[], str]
    entered: Callable[[], None]
    """Called behind each order that could open a position."""

    @property
    def family(self) -> str:
        """The venue, in one word."""
        return self.inner.family

    @property
    def instruments(self) -> Sequence[Instrument]:
        """What is traded there."""
        return self.inner.instruments

    @property
    def limiter(self) -> Limiter:
        """The budget of requests."""
        return self.inner.limiter

    def place(self, approved: Approved, answered: OnAnswer) -> None:
        """Send an order now; one that could open a position is refused where the gate is shut."""
        if approved.intent.reduce_only:
            self.inner.place(approved, answered)
        elif self.may_enter():
            self.inner.place(approved, answered)
            self.entered()
        else:
            answered(Answer(Outcome.REJECTED, None, f"{REFUSED}: {self.trouble()}"))

    def cancel(self, instrument: Instrument, client_order_id: ClientOrderId, venue_order_id: str, lane: Lane, answered: OnAnswer) -> None:
        """Withdraw an order."""
        self.inner.cancel(instrument, client_order_id, venue_order_id, lane, answered)

    def protect(self, instrument: Instrument, stop: int | None, target: int | None, lane: Lane, answered: OnAnswer) -> None:
        """Set what rests at the venue for the open position."""
        self.inner.protect(instrument, stop, target, lane, answered)

    def withdraw_all(self, *, protective: bool, lane: Lane, answered: OnAnswer) -> None:
        """Withdraw every order of the account at once."""
        self.inner.withdraw_all(protective=protective, lane=lane, answered=answered)

    async def look_up(self, instrument: Instrument, client_order_id: ClientOrderId) -> OrderReport | None:
        """Ask what became of an order."""
        return await self.inner.look_up(instrument, client_order_id)

    async def open_orders(self, *, lane: Lane = Lane.READ, protective: bool = True) -> list[OrderReport]:
        """Return all open orders."""
        return await self.inner.open_orders(lane=lane, protective=protective)

    async def positions(self, *, lane: Lane = Lane.READ) -> list[PositionReport]:
        """Return all open positions."""
        return await self.inner.positions(lane=lane)

    async def executions(self, since_ns: int) -> list[Execution]:
        """Return the executions since a moment."""
        return await self.inner.executions(since_ns)

    async def wallet(self) -> WalletReport:
        """Return the wallet."""
        return await self.inner.wallet()

    async def clock_offset_ns(self) -> int:
        """Return the venue's clock minus ours."""
        return await self.inner.clock_offset_ns()

    async def prepare(self, leverage: Mapping[InstrumentId, int]) -> None:
        """Assert what trading relies on."""
        await self.inner.prepare(leverage)


@frozen
class GatedAccount:
    """An account whose client is behind the gate."""

    inner: Account
    client: GatedClient

    async def run(self) -> None:
        """Keep its connections alive until cancelled."""
        await self.inner.run()
