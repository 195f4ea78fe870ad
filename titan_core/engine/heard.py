"""What reaches a running engine besides the market: words of the venue and of the operator.

Each is an input like a market event: it has its place in the one order of time, is journalled, and played back it leads to the same decisions.
"""

from enum import StrEnum

from msgspec import Struct

from titan_core.model.enums import Liquidity
from titan_core.model.ids import ClientOrderId, InstrumentId
from titan_core.model.order import OrderStatus
from titan_core.model.units import Money


class Cause(StrEnum):
    """Why the venue executed something."""

    ORDER = "order"
    STOP = "stop"
    LIQUIDATION = "liquidation"
    ADL = "adl"
    SETTLEMENT = "settlement"
    MANUAL = "manual"
    """Somebody else traded on this account."""
    CORRECTION = "correction"
    """Nobody told of it: the books were brought in line with a position that the venue has."""


class Executed(Struct, frozen=True, gc=False, kw_only=True, tag="executed"):
    """An execution. `execution_id` is the venue's; `fee` is positive when we pay."""

    execution_id: str
    client_order_id: ClientOrderId
    instrument: InstrumentId
    signed_lots: int
    price: int
    fee: Money
    liquidity: Liquidity
    cause: Cause
    ts_event_ns: int = 0
    """The venue's own time."""


class Funded(Struct, frozen=True, gc=False, kw_only=True, tag="funded"):
    """A settlement of funding that the venue has booked; `amount` is positive when we receive."""

    execution_id: str
    instrument: InstrumentId
    amount: Money
    mark: int
    ts_event_ns: int = 0


class OrderMoved(Struct, frozen=True, gc=False, kw_only=True, tag="order_moved"):
    """An order stands in the book, or has ended without being filled completely."""

    client_order_id: ClientOrderId
    status: OrderStatus
    reason: str = ""


class Deposited(Struct, frozen=True, gc=False, kw_only=True, tag="deposited"):
    """Money that came into the account (or left it: negative) for no reason that our books know."""

    amount: Money
    reason: str


class Doubted(Struct, frozen=True, gc=False, kw_only=True, tag="doubted"):
    """Whether the market of an instrument can be believed: `reason` is empty where it can again."""

    instrument: InstrumentId
    reason: str


class VenueTroubled(Struct, frozen=True, gc=False, kw_only=True, tag="venue_troubled"):
    """Whether the venue that takes orders can be traded at; `reason` is empty where it can again."""

    venue: str
    reason: str


class Verified(Struct, frozen=True, gc=False, kw_only=True, tag="verified"):
    """Two reads of all positions at the venue agree on this."""

    is_flat: bool


class Wish(StrEnum):
    """What an operator asks for."""

    STOP = "stop"
    STOP_FLAT = "stop_flat"
    PANIC = "panic"
    RESUME = "resume"


class Asked(Struct, frozen=True, gc=False, kw_only=True, tag="asked"):
    """The operator (or the system on his behalf) wants something."""

    wish: Wish
    reason: str


Heard = Executed | Funded | OrderMoved | Deposited | Doubted | VenueTroubled | Verified | Asked
