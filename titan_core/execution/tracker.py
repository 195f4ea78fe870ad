"""Follows every order from its intent to its end, whatever the order in which the venue's words arrive.

A status only moves forward. An execution counts once, by its id. An order has ended when a closing status has been reported *and* the executions seen add
up to what the venue says was filled; until then it is `incomplete`, and whoever owns the tracker asks the venue for the executions that are missing. Fills
are never inferred from a status.
"""

from attrs import define, field

from titan_core.execution.reports import Execution, OrderReport
from titan_core.model.ids import ClientOrderId
from titan_core.model.order import ORDER_STATUS_TABLE, OrderStatus

_CLOSING = frozenset((OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED))


@define
class TrackedOrder:
    """One order as it is known so far."""

    client_order_id: ClientOrderId
    signed_lots: int
    status: OrderStatus = OrderStatus.PENDING
    venue_order_id: str = ""
    filled_lots: int = 0
    """Σ of the executions that were seen."""
    reported_lots: int = 0
    """The largest cumulative fill that the venue has reported."""
    reason: str = ""

    @property
    def leaves_lots(self) -> int:
        """Lots that may still be executed; 0 once the order has ended."""
        return 0 if self.is_done else abs(self.signed_lots) - self.filled_lots

    @property
    def is_incomplete(self) -> bool:
        """Whether the venue has reported fills whose executions have not been seen."""
        return self.filled_lots < self.reported_lots

    @property
    def is_done(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.status in _CLOSING and not self.is_incomplete


@define
class OrderTracker:
    """All orders of one venue."""

    orders: dict[ClientOrderId, TrackedOrder] = field(factory=dict)
    _seen: set[str] = field(factory=set, alias="seen")

    def intend(self, client_order_id: ClientOrderId, signed_lots: int) -> TrackedOrder:
        """Begin to follow an order before it is sent."""
        order = self.orders[client_order_id] = TrackedOrder(client_order_id, signed_lots)
        return order

    def take_report(self, report: OrderReport) -> TrackedOrder | None:
        """Take in what the venue says of an order. Returns the order where that has told anything new, None where it was stale or is not followed."""
        order = self.orders.get(report.client_order_id)
        if order is None or order.is_done:
            return None
        before = (order.status, order.reported_lots, order.venue_order_id)
        order.venue_order_id = order.venue_order_id or report.venue_order_id
        order.reported_lots = max(order.reported_lots, report.filled_lots)
        if report.status in _reachable(order.status) and not (report.status is OrderStatus.OPEN and order.filled_lots):
            order.status = report.status
            order.reason = report.reason or order.reason
        return order if (order.status, order.reported_lots, order.venue_order_id) != before else None

    def take_execution(self, execution: Execution) -> bool:
        """Take in an execution. Returns whether it is new, hence to be booked; also for one whose order is not followed."""
        if execution.execution_id in self._seen:
            return False
        self._seen.add(execution.execution_id)
        order = self.orders.get(execution.client_order_id)
        if order is not None:
            order.filled_lots += abs(execution.signed_lots)
            order.reported_lots = max(order.reported_lots, order.filled_lots)
            order.venue_order_id = order.venue_order_id or execution.venue_order_id
            whole = order.filled_lots >= abs(order.signed_lots)
            if order.status not in _CLOSING or whole:
                order.status = OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED
        return True

    def fail(self, client_order_id: ClientOrderId, reason: str) -> TrackedOrder | None:
        """End an order that the venue has refused or does not know. One that has been executed is left alone: the refusal is stale."""
        order = self.orders.get(client_order_id)
        if order is None or order.status in _CLOSING or order.reported_lots:
            return None
        order.status, order.reason = OrderStatus.REJECTED, reason
        return order

    def doubt(self, client_order_id: ClientOrderId) -> None:
        """Note that it is not known what became of a request."""
        order = self.orders.get(client_order_id)
        if order is not None and order.status is OrderStatus.PENDING:
            order.status = OrderStatus.UNKNOWN

    def forget(self, client_order_id: ClientOrderId) -> None:
        """Follow an order no longer; its executions stay known."""
        self.orders.pop(client_order_id, None)

    def open_orders(self) -> list[TrackedOrder]:
        """Return what has not ended."""
        return [order for order in self.orders.values() if not order.is_done]


def _reachable(status: OrderStatus) -> tuple[OrderStatus, ...]:
    return ORDER_STATUS_TABLE[status]
