"""Carries approved orders to one venue and their fate back, once each, whatever the network does in between.

An order is journalled before it is sent. A request whose outcome is not known is looked up by our own id until the venue says what became of it; it is sent
again, under the same id, only once the venue has said twice that it never had it, and only while it is still wanted. Fills come from executions alone: those of
the private stream and those that are polled, whichever is first.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from attrs import define, field

from titan_core.errors import Unreadable, VenueUnavailable
from titan_core.execution.client import VenueClient
from titan_core.execution.limiter import Lane
from titan_core.execution.outcomes import FINAL_REFUSALS, REFUSED_UNSEEN, Outcome
from titan_core.execution.reports import Answer, Execution, OrderReport
from titan_core.execution.tracker import OrderTracker, TrackedOrder
from titan_core.feed.tasks import Tasks
from titan_core.model.ids import ClientOrderId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Approved, OrderStatus
from titan_core.model.units import S

WriteAhead = Callable[[Approved, Callable[[], None], Callable[[str], None]], None]
"""`write_ahead(approved, send, failed)`: journal the intent and call `send` once that is durable, or `failed` with the reason; either on the loop."""


class Owner(Protocol):
    """Who hears what becomes of orders."""

    def on_order(self, order: TrackedOrder) -> None:
        """An order has moved; `order.is_done` tells whether for the last time."""
        ...

    def on_execution(self, execution: Execution, order: TrackedOrder | None) -> None:
        """An execution that was not known; `order` is None where it is not one of ours (a stop at the venue, a liquidation, a trade by hand)."""
        ...

    def on_trouble(self, outcome: Outcome, message: str) -> None:
        """The venue has said something that concerns more than one order: no margin, wrong clock, ban, maintenance, missing permission."""
        ...


@define
class Patience:
    """Waiting times in seconds."""

    entry_ttl_s: float = 5.0
    """An entry that could not be sent for so long is not wanted any more."""
    first_look_s: float = 0.25
    last_look_s: float = 5.0
    absence_s: float = 2.0
    """Two answers "never had it" must lie so far apart, and the first so long after sending, to be believed."""
    unseen_retry_s: float = 0.5
    forget_s: float = 60.0
    """How long an order that has ended is still followed, for words that come late."""
    overlap_s: float = 60.0
    """How far back executions are polled again: venues list them late."""


@define
class _Sent:
    """One order on its way."""

    approved: Approved
    lane: Lane
    wanted_until_s: float
    absences: int = 0
    last_absence_s: float = 0.0
    sent_s: float = 0.0
    withdrawn: bool = False
    resolving: bool = False
    sends: int = 0


@define(eq=False)
class ExecutionService:
    """Implements `titan_core.execution.client.Listener`. All of it runs on one loop."""

    client: VenueClient
    owner: Owner
    write_ahead: WriteAhead
    tracker: OrderTracker = field(factory=OrderTracker)
    patience: Patience = field(factory=Patience)
    is_streaming: bool = False
    last_execution_ns: int = 0
    """The venue's time of the newest execution that was seen; executions are polled from here."""
    _sent: dict[ClientOrderId, _Sent] = field(factory=dict)
    _tasks: Tasks = field(factory=lambda: Tasks("the execution service"))
    _refreshing: bool = False
    _again: bool = False

    # -- orders -----------------------------------------------------------------------------------------------------
    def submit(self, approved: Approved, lane: Lane) -> TrackedOrder:
        """Journal and send an approved order. Nothing else can be sent: the type says so."""
        ident = approved.intent.client_order_id
        order = self.tracker.intend(ident, approved.signed_lots)
        ttl_s = self.patience.entry_ttl_s if lane is Lane.ENTRY else float("inf")
        self._sent[ident] = _Sent(approved, lane, self._time() + ttl_s)
        self.write_ahead(approved, lambda: self._send(ident), lambda reason: self._fail(ident, f"not journalled: {reason}"))
        return order

    def adopt(self, approved: Approved, lane: Lane) -> TrackedOrder:
        """Follow an order that an earlier process may have sent; what became of it is asked for now, and it is not sent again."""
        ident = approved.intent.client_order_id
        order = self.tracker.intend(ident, approved.signed_lots)
        self.tracker.doubt(ident)
        self._sent[ident] = _Sent(approved, lane, float("-inf"), sends=1)
        self._resolve(ident)
        return order

    def cancel(self, client_order_id: ClientOrderId, lane: Lane) -> None:
        """Withdraw an order. One that has not been sent yet is not sent any more."""
        sent, order = self._sent.get(client_order_id), self.tracker.orders.get(client_order_id)
        if sent is None or order is None or order.is_done:
            return
        sent.wanted_until_s, sent.withdrawn = float("-inf"), True
        if not sent.sends:
            self._fail(client_order_id, "withdrawn before it was sent")
            return
        instrument = sent.approved.intent.instrument
        self.client.cancel(instrument, client_order_id, order.venue_order_id, lane, lambda answer: self._cancelled(client_order_id, lane, answer))

    def protect(self, instrument: Instrument, stop: int | None, target: int | None, lane: Lane = Lane.PROTECT) -> None:
        """Set the stop and target that rest at the venue; repeated until the venue has them or there is nothing to protect."""

        def answered(answer: Answer) -> None:
            self._tell(answer)
            if answer.outcome is Outcome.UNKNOWN or answer.outcome in REFUSED_UNSEEN:
                self._later(self.patience.unseen_retry_s, lambda: self.protect(instrument, stop, target, lane))

        self.client.protect(instrument, stop, target, lane, answered)

    # -- sending ----------------------------------------------------------------------------------------------------
    def _send(self, ident: ClientOrderId) -> None:
        sent, order = self._sent.get(ident), self.tracker.orders.get(ident)
        if sent is not None and order is not None and not order.is_done:
            self.client.limiter.run(sent.lane, lambda: self._place(ident, sent), dropped=lambda: self._dropped(ident, sent))

    def _dropped(self, ident: ClientOrderId, sent: _Sent) -> None:
        """An emergency has given up what waited for its turn: what was never sent has ended, what was sent before is asked for."""
        if not sent.sends:
            self._fail(ident, "given up before it was sent: an emergency goes first")
        else:
            self._resolve(ident)

    def _place(self, ident: ClientOrderId, sent: _Sent) -> None:
        """Send at this order's turn, unless it has ended or is too late by now: waiting for a turn, or a stopped process, may have taken long."""
        order = self.tracker.orders.get(ident)
        if order is None or order.is_done:
            return
        if self._time() > sent.wanted_until_s:
            if not sent.sends:
                self._fail(ident, "too late: it is not wanted any more")
            return
        sent.sends += 1
        sent.sent_s = self._time()
        self.client.place(sent.approved, lambda answer: self._answered(ident, answer))

    def _answered(self, ident: ClientOrderId, answer: Answer) -> None:
        sent, order = self._sent.get(ident), self.tracker.orders.get(ident)
        self._tell(answer)
        if sent is None or order is None or order.is_done:
            return
        if answer.outcome is Outcome.ACCEPTED:
            order.venue_order_id = order.venue_order_id or answer.venue_order_id
            self._later(self.patience.last_look_s, lambda: self._check(ident))
        elif answer.outcome in REFUSED_UNSEEN:
            self._later(self.patience.unseen_retry_s, lambda: self._retry(ident, answer))
        elif answer.outcome in FINAL_REFUSALS and sent.sends == 1:
            self._fail(ident, f"{answer.outcome} ({answer.code}): {answer.message}")
        else:  # unknown, a duplicate, or a refusal of what may have been accepted before
            self.tracker.doubt(ident)
            self._resolve(ident)

    def _retry(self, ident: ClientOrderId, answer: Answer) -> None:
        """Send again what the venue has not looked at."""
        sent = self._sent.get(ident)
        if sent is None:
            return
        if self._time() > sent.wanted_until_s and sent.sends == 1:
            self._fail(ident, f"{answer.outcome} ({answer.code}): {answer.message}, and it is not wanted any more")
        elif sent.sends > 1:
            self._resolve(ident)
        else:
            sent.sends -= 1
            self._send(ident)

    def _check(self, ident: ClientOrderId) -> None:
        """Ask for an order of which nothing has been heard since it was accepted."""
        order = self.tracker.orders.get(ident)
        if order is not None and order.status in (OrderStatus.PENDING, OrderStatus.UNKNOWN):
            self._resolve(ident)

    def _cancelled(self, ident: ClientOrderId, lane: Lane, answer: Answer) -> None:
        self._tell(answer)
        order = self.tracker.orders.get(ident)
        if order is None or order.is_done:
            return
        if answer.outcome in REFUSED_UNSEEN:
            self._later(self.patience.unseen_retry_s, lambda: self.cancel(ident, lane))
            return
        self._later(self.patience.first_look_s, lambda: self._resolve(ident))

    def _fail(self, ident: ClientOrderId, reason: str) -> None:
        order = self.tracker.fail(ident, reason)
        if order is not None:
            self._moved(order)

    def _tell(self, answer: Answer) -> None:
        if answer.outcome in (Outcome.NO_MARGIN, Outcome.CLOCK, Outcome.BANNED, Outcome.MAINTENANCE, Outcome.NOT_ALLOWED, Outcome.POSITION_MODE):
            self.owner.on_trouble(answer.outcome, f"({answer.code}) {answer.message}")

    # -- what became of it --------------------------------------------------------------------------------------------
    def _resolve(self, ident: ClientOrderId) -> None:
        sent = self._sent.get(ident)
        if sent is not None and not sent.resolving:
            sent.resolving = True
            self._tasks.start(self._ask_until_known(ident, sent))

    async def _ask_until_known(self, ident: ClientOrderId, sent: _Sent) -> None:
        wait_s = self.patience.first_look_s
        try:
            while True:
                order = self.tracker.orders.get(ident)
                if order is None or order.is_done:
                    return
                try:
                    report = await self.client.look_up(sent.approved.intent.instrument, ident)
                except (VenueUnavailable, Unreadable):
                    report = None
                else:
                    if report is not None:
                        self._heard(report, sent)
                        return
                    if self._is_absent(sent):
                        break
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, self.patience.last_look_s)
        finally:
            sent.resolving = False
        if self._time() <= sent.wanted_until_s:
            sent.absences = 0
            self._send(ident)
        else:
            self._fail(ident, "the venue has never had it")

    def _heard(self, report: OrderReport, sent: _Sent) -> None:
        self.on_report(report)
        order = self.tracker.orders.get(report.client_order_id)
        if order is None or order.is_done:
            return
        if order.is_incomplete:
            self.refresh()
        elif sent.withdrawn:
            self._later(self.patience.unseen_retry_s, lambda: self.cancel(report.client_order_id, sent.lane))

    def _is_absent(self, sent: _Sent) -> bool:
        """Count one answer "never had it"; whether it is to be believed by now."""
        now = self._time()
        if now - sent.sent_s < self.patience.absence_s:
            return False
        if sent.absences and now - sent.last_absence_s < self.patience.absence_s:
            return False
        sent.absences += 1
        sent.last_absence_s = now
        return sent.absences >= 2

    # -- the private stream -------------------------------------------------------------------------------------------
    def on_report(self, report: OrderReport) -> None:
        """Take in where an order stands."""
        order = self.tracker.take_report(report)
        if order is not None:
            if order.is_incomplete:
                self._later(self.patience.first_look_s, self._refresh_if_incomplete)
            self._moved(order)

    def on_execution(self, execution: Execution) -> None:
        """Take in an execution, once."""
        if not self.tracker.take_execution(execution):
            return
        self.last_execution_ns = max(self.last_execution_ns, execution.ts_event_ns)
        order = self.tracker.orders.get(execution.client_order_id)
        self.owner.on_execution(execution, order)
        if order is not None:
            self._moved(order)

    def on_stream(self, is_up: bool, reason: str) -> None:
        """The private stream has begun (again): what happened meanwhile is asked for."""
        self.is_streaming = is_up
        if is_up:
            self.refresh()

    def _moved(self, order: TrackedOrder) -> None:
        if order.is_done:
            self._sent.pop(order.client_order_id, None)
            if order.status is not OrderStatus.REJECTED:  # one that "never was" may still turn up; its owner must then be known
                self._later(self.patience.forget_s, lambda: self.tracker.forget(order.client_order_id))
        self.owner.on_order(order)

    # -- polling ------------------------------------------------------------------------------------------------------
    def _refresh_if_incomplete(self) -> None:
        if any(order.is_incomplete for order in self.tracker.orders.values()):
            self.refresh()

    def refresh(self) -> None:
        """Ask for executions and for the orders that are still open, soon; a call while that is under way makes it happen once more."""
        if self._refreshing:
            self._again = True
            return
        self._refreshing = True
        self._tasks.start(self._refresh())

    async def _refresh(self) -> None:
        try:
            while True:
                self._again = False
                try:
                    await self.poll()
                except (VenueUnavailable, Unreadable):
                    await asyncio.sleep(self.patience.unseen_retry_s)
                    self._again = True
                if not self._again:
                    return
        finally:
            self._refreshing = False

    async def poll(self) -> None:
        """Ask for executions and open orders once. Raises VenueUnavailable, Unreadable."""
        since_ns = max(0, self.last_execution_ns - int(self.patience.overlap_s * S))
        for execution in await self.client.executions(since_ns):
            self.on_execution(execution)
        reports = {report.client_order_id: report for report in await self.client.open_orders()}
        for order in self.tracker.open_orders():
            report = reports.get(order.client_order_id)
            if report is not None:
                self.on_report(report)
            elif order.status is not OrderStatus.PENDING:
                self._resolve(order.client_order_id)

    # -- housekeeping -------------------------------------------------------------------------------------------------
    def _time(self) -> float:
        return asyncio.get_running_loop().time()

    def _later(self, delay_s: float, fn: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(delay_s, fn)

    async def close(self) -> None:
        """End what is under way; nothing is withdrawn at the venue."""
        await self._tasks.close()
