"""Intents, their approval or refusal, and the status table of orders.

What is made for every order is a msgspec Struct: immutable like the frozen attrs classes of the rest of the model, and made ten times faster.
"""

from enum import StrEnum

from msgspec import Struct

from titan_core.errors import TitanError
from titan_core.model.enums import OrderType, RefusalCode, TimeInForce
from titan_core.model.ids import ClientOrderId, PhaseId, StrategyId
from titan_core.model.instrument import Instrument


class Intent(Struct, frozen=True, kw_only=True, gc=False):
    """What a strategy wants; nothing is sent before the Brain has made an `Approved` of it.

    `signed_lots` is positive to buy. `limit` and `trigger` are ticks where the order type has them. `stop` and `target` (ticks) are the protective
    orders that come into being with the first fill, with no latency of their own: venues attach them to the entry.
    """

    client_order_id: ClientOrderId
    phase: PhaseId
    strategy: StrategyId
    instrument: Instrument
    signed_lots: int
    order_type: OrderType = OrderType.MARKET
    limit: int | None = None
    trigger: int | None = None
    stop: int | None = None
    target: int | None = None
    reduce_only: bool = False
    post_only: bool = False
    time_in_force: TimeInForce = TimeInForce.GTC
    tag: str = ""
    pair: str = ""
    """Intents of one hedged pair carry the same word here: they are approved or refused whole."""


class Check(Struct, frozen=True, gc=False):
    """One line of an approval's check list: what was observed against which limit."""

    name: str
    observed: int
    limit: int


class Approved(Struct, frozen=True, gc=False):
    """An intent that passed every check. The execution service accepts nothing else."""

    intent: Intent
    signed_lots: int
    """The size that may be sent: the intent's, times the size multiplier in force, rounded down to lots."""
    checks: tuple[Check, ...]


class Refused(Struct, frozen=True, gc=False):
    """A value, not an exception: the intent is not sent and the strategy goes on."""

    intent: Intent
    code: RefusalCode
    observed: int
    limit: int
    message: str


Decision = Approved | Refused


class OrderStatus(StrEnum):
    """Where an order stands. Statuses only move forward: see `ORDER_STATUS_TABLE`."""

    PENDING = "pending"
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Whether nothing can happen to the order any more."""
        return not ORDER_STATUS_TABLE[self]


_CLOSING = (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED)
ORDER_STATUS_TABLE: dict[OrderStatus, tuple[OrderStatus, ...]] = {
    OrderStatus.PENDING: (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED, OrderStatus.REJECTED, OrderStatus.UNKNOWN, *_CLOSING),
    OrderStatus.UNKNOWN: (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED, OrderStatus.REJECTED, *_CLOSING),
    OrderStatus.OPEN: (OrderStatus.PARTIALLY_FILLED, *_CLOSING),
    OrderStatus.PARTIALLY_FILLED: (OrderStatus.PARTIALLY_FILLED, *_CLOSING),
    OrderStatus.FILLED: (),
    OrderStatus.CANCELLED: (),
    OrderStatus.REJECTED: (),
    OrderStatus.EXPIRED: (),
}
"""Which status may follow which. A message that would move an order backwards is stale and is ignored by whoever tracks orders."""


def advance(current: OrderStatus, new: OrderStatus) -> OrderStatus:
    """Return `new` where the table allows the step. Raises TitanError where it does not: that is a defect of the caller."""
    if new not in ORDER_STATUS_TABLE[current]:
        allowed = ", ".join(ORDER_STATUS_TABLE[current]) or "nothing"
        raise TitanError(f"an order cannot go from {current} to {new}; from {current} it may go to {allowed}")
    return new
