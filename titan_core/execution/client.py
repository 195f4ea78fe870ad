"""The port to one venue's account: what the execution service needs, whoever answers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from titan_core.execution.limiter import Lane, Limiter
from titan_core.execution.reports import Answer, Execution, OrderReport, PositionReport, WalletReport
from titan_core.model.ids import ClientOrderId, InstrumentId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Approved

OnAnswer = Callable[[Answer], None]


class Listener(Protocol):
    """What hears the account's private stream."""

    def on_report(self, report: OrderReport) -> None:
        """Where an order stands now."""
        ...

    def on_execution(self, execution: Execution) -> None:
        """An execution; it may come again."""
        ...

    def on_stream(self, is_up: bool, reason: str) -> None:
        """The private stream has begun or ended; what happened while it was away was not heard."""
        ...


class VenueClient(Protocol):
    """One account at one venue. What sends an order is synchronous and answers by callback, so that nothing stands between the decision and the socket.

    The reads raise VenueUnavailable where the venue does not answer, and Unreadable where its answer proves nothing: an empty body is never an empty list.
    """

    @property
    def family(self) -> str:
        """The venue, in one word."""
        ...

    @property
    def instruments(self) -> Sequence[Instrument]:
        """What is traded there."""
        ...

    @property
    def limiter(self) -> Limiter:
        """The budget of requests."""
        ...

    def place(self, approved: Approved, answered: OnAnswer) -> None:
        """Send an order now: whoever calls has waited for its turn at the limiter, and knows whether the order is still wanted by then.

        `answered` is called exactly once; what cannot be said in the venue's words is answered with a rejection and not sent.
        """
        ...

    def cancel(self, instrument: Instrument, client_order_id: ClientOrderId, venue_order_id: str, lane: Lane, answered: OnAnswer) -> None:
        """Withdraw an order, by our id or else by the venue's."""
        ...

    def protect(self, instrument: Instrument, stop: int | None, target: int | None, lane: Lane, answered: OnAnswer) -> None:
        """Set what rests at the venue for the open position; None takes it off."""
        ...

    def withdraw_all(self, *, protective: bool, lane: Lane, answered: OnAnswer) -> None:
        """Withdraw every order of the account at once: those in the book, or (`protective`) the stops and targets that rest on positions."""
        ...

    async def look_up(self, instrument: Instrument, client_order_id: ClientOrderId) -> OrderReport | None:
        """Ask what became of an order; None where the venue says that it has never had it."""
        ...

    async def open_orders(self, *, lane: Lane = Lane.READ, protective: bool = True) -> list[OrderReport]:
        """Return all open orders, page by page, also those that are not ours; without what rests on positions, where `protective` says so."""
        ...

    async def positions(self, *, lane: Lane = Lane.READ) -> list[PositionReport]:
        """Return all open positions."""
        ...

    async def executions(self, since_ns: int) -> list[Execution]:
        """Return the executions since a moment of the venue's clock, oldest first."""
        ...

    async def wallet(self) -> WalletReport:
        """Return the wallet."""
        ...

    async def clock_offset_ns(self) -> int:
        """Return the venue's clock minus ours, the way there and back taken out."""
        ...

    async def prepare(self, leverage: Mapping[InstrumentId, int]) -> None:
        """Assert one-way mode, set leverage, compare instrument rules. Raises TitanError where trading would not be what it is taken for."""
        ...
