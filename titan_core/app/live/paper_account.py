"""An account whose orders are filled by the engine's own matching on the real market's rows: paper trading on live feeds.

A second engine plays the exchange: it takes in the same rows, the book's depth too, and carries out what the execution service sends it, after a latency. To
the session it is a venue like any other, so that everything between a decision and its fill is the real thing. It remembers nothing by itself: a new process
puts it on what the journal has kept.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from titan_core.app.live.entries import Kept
from titan_core.app.live.market import layout_of
from titan_core.app.live.settling import VenueView
from titan_core.engine.live import PerEvent
from titan_core.engine.venue import VenueDesk, WorkingOrder
from titan_core.execution.client import Listener, OnAnswer
from titan_core.execution.limiter import Lane, Limiter
from titan_core.execution.outcomes import Outcome
from titan_core.execution.reports import NOT_OURS, Answer, Execution, ExecutionKind, OrderReport, PositionReport, WalletReport
from titan_core.feed.channels import Handler
from titan_core.feed.port import Values
from titan_core.model.enums import Liquidity, StreamKind
from titan_core.model.fill import Booking, Charge, Fill, FundingPayment
from titan_core.model.ids import BRAIN, ClientOrderId, InstrumentId, PhaseId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Approved, Intent, OrderStatus, Refused
from titan_core.model.units import MS, Money

PAPER_RATE_PER_S = 50.0


class _Nobody:
    """The exchange's engine has no Brain: it approves nothing and is asked for nothing."""

    def begin(self, engine: Any) -> None:
        """Name the one slot."""
        engine.slots = (BRAIN,)

    def takes_orders(self, instrument: Instrument) -> bool:
        """It does not matter: nobody asks."""
        return True

    def approve(self, intents: tuple[Intent, ...]) -> tuple[Approved, ...] | Refused:
        """Never called: what arrives was approved by the session's own Brain."""
        raise AssertionError("an exchange approves nothing")

    def budget(self, desk: Any, instrument: Instrument | None) -> Any:
        """Never called."""
        raise AssertionError("an exchange has no budget")

    def may_protect(self, desk: Any, k: int, stop: int | None) -> bool:
        """The account may protect its positions as it likes."""
        return True

    def settle(self) -> None:
        """Nobody looks."""

    def order_closed(self, order: WorkingOrder) -> None:
        """It is told from the record."""

    def fault(self, desk: Any, error: BaseException) -> None:
        """Never called: no strategy runs here."""
        raise error


class PaperAccount:
    """Implements `titan_core.app.live.setup.Account` and `titan_core.execution.client.VenueClient`."""

    family = "paper"

    def __init__(
        self, instruments: tuple[Instrument, ...], cash: Money, now_ns: Callable[[], int], *, latency_ns: int = 5 * MS, slippage_ticks: int = 1
    ) -> None:
        self.instruments: Sequence[Instrument] = instruments
        self.layout = layout_of(instruments, depth=True)
        self.engine = PerEvent(self.layout, _Nobody(), cash=cash, slots=1, latency_ns=latency_ns, slippage_ticks=slippage_ticks)
        self._known = {instrument.id: instrument for instrument in instruments}
        self._view = VenueView(self._known)
        self._now_ns = now_ns
        self._listener: Listener | None = None
        self._started = False
        self._kept: Kept | None = None
        self._orders: dict[ClientOrderId, OrderReport] = {}
        self._executions: list[Execution] = []
        self._desk = VenueDesk(PhaseId("paper"), 0)
        self._serial = 0
        self._limiter: Limiter | None = None

    # -- the session's side -------------------------------------------------------------------------------------------
    @property
    def client(self) -> "PaperAccount":
        """The account is its own client."""
        return self

    @property
    def limiter(self) -> Limiter:
        """A generous budget: nothing leaves this machine."""
        if self._limiter is None:
            loop = asyncio.get_running_loop()
            self._limiter = Limiter(loop.time, loop.call_later, rate_per_s=PAPER_RATE_PER_S, burst=PAPER_RATE_PER_S, reserved=PAPER_RATE_PER_S / 4)
        return self._limiter

    def join(self, listener: Listener, now_ns: Callable[[], int]) -> "PaperAccount":
        """Be `Setup.join`."""
        self._listener = listener
        return self

    def remember(self, kept: Kept) -> None:
        """Begin with what the journal has kept: cash and positions, no orders."""
        memory = kept.memory
        if memory is None:
            return
        self._kept = kept
        account = self.engine.account
        account.cash = memory.cash
        for name, held in memory.holdings.items():
            k = self.layout.place[InstrumentId(name)]
            account.lots[k], account.owner[k] = held.lots, 0
        self._view = VenueView(self._known, kept.bookings)

    def handler(self, instrument: Instrument) -> Handler:
        """Return what takes the rows of one instrument, depth and gaps among them."""
        engine, ranks = self.engine, {kind: self.layout.ranks[name, kind] for name, kind in self.layout.keys if name == instrument.id}

        def take(ts_ns: int, kind: StreamKind, values: Values, event_ns: int) -> None:
            if not self._started:
                self._start(ts_ns - 1)
            engine.on_event(ts_ns, ranks[kind], values)
            if engine.record.entries:
                self._tell()

        return take

    async def run(self) -> None:
        """There is no connection to keep alive."""
        await asyncio.Event().wait()

    def _start(self, now_ns: int) -> None:
        self._started = True
        self.engine.start(now_ns)
        for name, held in (self._kept.memory.holdings if self._kept and self._kept.memory else {}).items():
            if held.stop is not None or held.target is not None:
                self.engine.venue.protect(self.layout.place[InstrumentId(name)], self._desk, held.stop, held.target)

    # -- what happened ------------------------------------------------------------------------------------------------
    def _tell(self) -> None:
        """Turn what the engine has recorded into words of a venue."""
        entries, bookings = self.engine.record.take()
        for booking in bookings:
            self._view.take(booking)
            self._booked(booking)
        for entry in entries:
            if entry[0] == "closed":
                self._report(ClientOrderId(entry[2]), OrderStatus(entry[3]))

    def _booked(self, booking: Booking) -> None:
        self._serial += 1
        ident = f"paper-{self.engine.now}-{self._serial}"
        if isinstance(booking, Fill):
            known = self._orders.get(booking.client_order_id)
            kind = ExecutionKind.TRADE if known is not None else ExecutionKind.LIQUIDATION if booking.tag == "liquidation" else ExecutionKind.STOP
            self._execute(
                Execution(
                    execution_id=ident,
                    client_order_id=booking.client_order_id if known is not None else NOT_OURS,
                    venue_order_id=booking.client_order_id,
                    instrument=booking.instrument,
                    signed_lots=booking.signed_lots,
                    price=booking.price,
                    fee=booking.fee,
                    liquidity=booking.liquidity,
                    kind=kind,
                    ts_event_ns=booking.ts_ns,
                )  # fmt: skip
            )
            if known is not None:
                filled = known.filled_lots + abs(booking.signed_lots)
                whole = filled >= abs(known.signed_lots)
                self._report(booking.client_order_id, OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED, filled)
        elif isinstance(booking, FundingPayment | Charge):
            mark, fee = (booking.mark, Money(-booking.amount)) if isinstance(booking, FundingPayment) else (0, booking.fee)
            self._execute(
                Execution(
                    execution_id=ident,
                    client_order_id=NOT_OURS,
                    venue_order_id="",
                    instrument=booking.instrument,
                    signed_lots=0,
                    price=mark,
                    fee=fee,
                    liquidity=Liquidity.TAKER,
                    kind=ExecutionKind.FUNDING,
                    ts_event_ns=booking.ts_ns,
                )  # fmt: skip
            )

    def _execute(self, execution: Execution) -> None:
        self._executions.append(execution)
        del self._executions[:-5_000]
        if self._listener is not None:
            # not within the row that caused it: that row has still to reach the session's own engine
            asyncio.get_running_loop().call_soon(self._listener.on_execution, execution)

    def _report(self, ident: ClientOrderId, status: OrderStatus, filled: int | None = None) -> None:
        known = self._orders.get(ident)
        if known is None:
            return
        lots = known.filled_lots if filled is None else filled
        made = self._orders[ident] = _moved(known, status, lots, self._now_ns())
        if self._listener is not None:
            asyncio.get_running_loop().call_soon(self._listener.on_report, made)

    # -- the venue's side ---------------------------------------------------------------------------------------------
    def place(self, approved: Approved, answered: OnAnswer) -> None:
        """Take an order; it reaches the book after the latency."""
        intent, k = approved.intent, self.layout.place[approved.intent.instrument.id]
        if intent.client_order_id in self._orders:
            self._answer(answered, Answer(Outcome.DUPLICATE, None, "this id was used before", intent.client_order_id))
            return
        self._orders[intent.client_order_id] = OrderReport(
            client_order_id=intent.client_order_id, venue_order_id=intent.client_order_id, instrument=intent.instrument.id, signed_lots=approved.signed_lots,
            status=OrderStatus.OPEN, filled_lots=0, reduce_only=intent.reduce_only, ts_event_ns=self._now_ns(),
        )  # fmt: skip
        self.engine.venue.submit(approved, self._desk, k)
        self._answer(answered, Answer(Outcome.ACCEPTED, None, "", intent.client_order_id))

    def cancel(self, instrument: Instrument, client_order_id: ClientOrderId, venue_order_id: str, lane: Lane, answered: OnAnswer) -> None:
        """Withdraw an order after the latency."""
        order = self.engine.venue.working.get(client_order_id)
        if order is not None:
            self.engine.venue.cancel(order)
        self._answer(answered, Answer(Outcome.ACCEPTED if order is not None else Outcome.NOT_FOUND))

    def protect(self, instrument: Instrument, stop: int | None, target: int | None, lane: Lane, answered: OnAnswer) -> None:
        """Set what rests on a position."""
        k = self.layout.place[instrument.id]
        if self.engine.account.lots[k]:
            self.engine.venue.protect(k, self._desk, stop, target)
        self._answer(answered, Answer(Outcome.ACCEPTED))

    def withdraw_all(self, *, protective: bool, lane: Lane, answered: OnAnswer) -> None:
        """Withdraw every order of a kind."""
        venue = self.engine.venue
        if protective:
            for k in list(venue.protection):
                venue.release(k)
        else:
            for order in list(venue.working.values()):
                if not order.protective:
                    venue.cancel(order)
        self._answer(answered, Answer(Outcome.ACCEPTED))

    @staticmethod
    def _answer(answered: OnAnswer, answer: Answer) -> None:
        asyncio.get_running_loop().call_soon(answered, answer)

    async def look_up(self, instrument: Instrument, client_order_id: ClientOrderId) -> OrderReport | None:
        """Return where an order stands."""
        return self._orders.get(client_order_id)

    async def open_orders(self, *, lane: Lane = Lane.READ, protective: bool = True) -> list[OrderReport]:
        """Return what may still be executed."""
        working = self.engine.venue.working
        return [self._orders[ident] for ident, order in working.items() if ident in self._orders and not order.protective]

    async def positions(self, *, lane: Lane = Lane.READ) -> list[PositionReport]:
        """Return the open perpetuals."""
        found = []
        for k in self.engine.account.held():
            instrument, known = self.instruments[k], self.engine.venue.protection.get(k)
            kept = self._kept.memory.holdings.get(instrument.id) if self._kept and self._kept.memory and not self._started else None
            entry = self._view.positions[instrument.id].average_entry if instrument.id in self._view.positions else 0.0
            found.append(
                PositionReport(
                    instrument=instrument.id,
                    signed_lots=self.engine.account.lots[k],
                    entry_price=str(instrument.price(round(entry))),
                    leverage=1,
                    stop=known.stop if known else kept.stop if kept else None,
                    target=known.target if known else kept.target if kept else None,
                )  # fmt: skip
            )
        return found

    async def executions(self, since_ns: int) -> list[Execution]:
        """Return the newest executions of this process."""
        return [each for each in self._executions if each.ts_event_ns >= since_ns]

    async def wallet(self) -> WalletReport:
        """Return cash as a venue shows it."""
        account = self.engine.account
        cash = self._view.wallet_cash(account.cash)
        return WalletReport(equity=Money(account.equity2(self.engine.value2) // 2 if self._started else cash), cash=Money(cash), coins={})

    async def clock_offset_ns(self) -> int:
        """The exchange has our clock."""
        return 0

    async def prepare(self, leverage: Mapping[InstrumentId, int]) -> None:
        """There is nothing to set."""


def _moved(report: OrderReport, status: OrderStatus, filled: int, ts_ns: int) -> OrderReport:
    return OrderReport(
        client_order_id=report.client_order_id, venue_order_id=report.venue_order_id, instrument=report.instrument, signed_lots=report.signed_lots,
        status=status, filled_lots=filled, reduce_only=report.reduce_only, ts_event_ns=ts_ns,
    )  # fmt: skip
