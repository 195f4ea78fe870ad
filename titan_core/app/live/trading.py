"""The account's side of a session: what the engine wants sent goes to the execution service, and what becomes of it is put into words that the engine hears."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from titan_core.app.live.entries import Leave, Protect, Sent, Submit, Verify, Withdraw
from titan_core.engine.heard import Cause, Executed, Funded, OrderMoved, Verified
from titan_core.execution.flatten import Flattening
from titan_core.execution.limiter import Lane
from titan_core.execution.outcomes import Outcome
from titan_core.execution.reports import NOT_OURS, Execution, ExecutionKind, PositionReport
from titan_core.execution.service import ExecutionService
from titan_core.execution.tracker import OrderTracker, TrackedOrder
from titan_core.feed.tasks import Tasks
from titan_core.model.enums import Liquidity
from titan_core.model.ids import ClientOrderId, InstrumentId
from titan_core.model.order import Approved, OrderStatus
from titan_core.model.units import Money

if TYPE_CHECKING:
    from titan_core.app.live.session import Session
    from titan_core.app.live.setup import Account

_CAUSES = {
    ExecutionKind.STOP: Cause.STOP,
    ExecutionKind.LIQUIDATION: Cause.LIQUIDATION,
    ExecutionKind.ADL: Cause.ADL,
    ExecutionKind.SETTLEMENT: Cause.SETTLEMENT,
}


class Trading:
    """Owns the execution service of one account; implements `titan_core.execution.service.Owner`."""

    def __init__(self, session: "Session", account: "Account", boot: int, seen: Iterable[str], last_execution_ns: int) -> None:
        self._session = session
        self._boot = boot
        self._tasks = Tasks("trading")
        self._verifying = self._leaving = False
        self._leaves = 0
        self.client = account.client
        self.service = ExecutionService(account.client, self, _send_now, tracker=OrderTracker(seen=set(seen)), last_execution_ns=last_execution_ns)

    # -- out ----------------------------------------------------------------------------------------------------------
    def release(self, sent: tuple[Sent, ...]) -> None:
        """Send what is on disk now."""
        approved = self._session.outbox.approved
        withdrawn = {each.client_order_id for each in sent if isinstance(each, Withdraw)}
        for each in sent:
            if isinstance(each, Submit) and each.client_order_id in withdrawn and not each.is_leaving:
                self._session.give_up(each, "withdrawn in the moment that asked for it")
            elif isinstance(each, Submit):
                self.service.submit(approved.pop(each.client_order_id), Lane.EXIT if each.is_leaving else Lane.ENTRY)
            elif isinstance(each, Withdraw):
                self.service.cancel(each.client_order_id, Lane.EXIT)
            elif isinstance(each, Protect):
                self.service.protect(self._session.known[each.instrument], each.stop, each.target)
            elif isinstance(each, Leave):
                self._leave()
            else:
                assert isinstance(each, Verify)
                self._verify()

    def _leave(self) -> None:
        if not self._leaving:
            self._leaving = True
            self._leaves += 1
            self._tasks.start(self._left(f"out{self._boot}-{self._leaves}"))

    async def _left(self, name: str) -> None:
        """Flatten the venue out of band, then hear of the executions that it took."""
        try:
            done = await Flattening(self.client, name, say=lambda text: self._session.note("emergency", text)).leave()
            self._session.note("emergency", f"flat after {done.seconds:.1f} s, {done.orders} orders")
            self.service.refresh()
            await self._session.agree()
        finally:
            self._leaving = False

    def _verify(self) -> None:
        if not self._verifying:
            self._verifying = True
            self._tasks.start(self._verified())

    async def _verified(self) -> None:
        try:
            held = await self._session.reader.positions_twice()
            if held:
                await self._session.agree()
            self._session.hear(Verified(is_flat=not held))
        finally:
            self._verifying = False

    # -- in -----------------------------------------------------------------------------------------------------------
    def on_order(self, order: TrackedOrder) -> None:
        """An order has moved."""
        if order.is_done or order.status is OrderStatus.OPEN:
            self._session.hear(OrderMoved(client_order_id=order.client_order_id, status=order.status, reason=order.reason))

    def on_execution(self, execution: Execution, order: TrackedOrder | None) -> None:
        """An execution that was not known."""
        if execution.kind is ExecutionKind.FUNDING:
            self._session.hear(
                Funded(
                    execution_id=execution.execution_id,
                    instrument=execution.instrument,
                    amount=Money(-execution.fee),
                    mark=execution.price,
                    ts_event_ns=execution.ts_event_ns,
                )
            )
            return
        ours = execution.client_order_id != NOT_OURS and (order is not None or execution.client_order_id.startswith("brain.out"))
        cause = _CAUSES.get(execution.kind, Cause.ORDER if ours else Cause.MANUAL)
        if cause not in (Cause.ORDER, Cause.STOP):
            self._session.watching.venue_acted()
        self._session.hear(
            Executed(
                execution_id=execution.execution_id,
                client_order_id=execution.client_order_id if ours else NOT_OURS,
                instrument=execution.instrument,
                signed_lots=execution.signed_lots,
                price=execution.price,
                fee=execution.fee,
                liquidity=execution.liquidity,
                cause=cause,
                ts_event_ns=execution.ts_event_ns,
            )
        )

    def on_trouble(self, outcome: Outcome, message: str) -> None:
        """The venue has said something that concerns more than one order."""
        self._session.note("venue", f"{outcome} {message}")
        self._session.watching.on_trouble(outcome, message)

    def corrected(self, report: PositionReport | None, instrument: InstrumentId, ours: int, price: int, serial: int) -> Executed:
        """Return the execution that nobody told of, so that the books come to hold what the venue holds."""
        theirs = report.signed_lots if report is not None else 0
        return Executed(
            execution_id=f"correction-{self._boot}-{serial}",
            client_order_id=ClientOrderId(""),
            instrument=instrument,
            signed_lots=theirs - ours,
            price=price,
            fee=Money(0),
            liquidity=Liquidity.TAKER,
            cause=Cause.CORRECTION,
        )

    async def close(self) -> None:
        """End what is under way; nothing is withdrawn at the venue."""
        await self._tasks.close()
        await self.service.close()


def _send_now(approved: Approved, send: Callable[[], None], failed: Callable[[str], None]) -> None:
    """The moment behind this order is on disk already."""
    send()
