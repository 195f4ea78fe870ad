"""What a venue says about orders, executions, positions and the wallet, in words that are the same for all venues.

Sizes are lots and prices ticks of the instrument, money is 1e-8 USDT, times are the venue's own in ns. Adapters make these; nothing else in Titan reads a
venue's own words.
"""

from enum import StrEnum

from msgspec import Struct

from titan_core.execution.outcomes import Outcome
from titan_core.model.enums import Liquidity
from titan_core.model.ids import ClientOrderId, InstrumentId
from titan_core.model.order import OrderStatus
from titan_core.model.units import Money

NOT_OURS = ClientOrderId("")
"""The client order id of what the venue placed by itself (a stop, a liquidation) or a person by hand."""


class OrderReport(Struct, frozen=True, gc=False, kw_only=True):
    """Where the venue says that an order stands. `filled_lots` is cumulative; reports may come late, twice and out of order."""

    client_order_id: ClientOrderId
    venue_order_id: str
    instrument: InstrumentId
    signed_lots: int
    status: OrderStatus
    filled_lots: int
    reduce_only: bool = False
    is_protective: bool = False
    """Whether it is a stop or target that rests at the venue on behalf of a position."""
    ts_event_ns: int = 0
    reason: str = ""


class ExecutionKind(StrEnum):
    """Why an execution happened."""

    TRADE = "trade"
    STOP = "stop"
    """A protective order that rested at the venue."""
    LIQUIDATION = "liquidation"
    ADL = "adl"
    """Auto-deleveraging: the venue closed a winning position against a bankrupt one."""
    FUNDING = "funding"
    SETTLEMENT = "settlement"
    """A delisted contract was settled."""


class Execution(Struct, frozen=True, gc=False, kw_only=True):
    """One execution. `execution_id` is unique at its venue: that is what makes booking idempotent. `fee` is positive when we pay."""

    execution_id: str
    client_order_id: ClientOrderId
    venue_order_id: str
    instrument: InstrumentId
    signed_lots: int
    price: int
    fee: Money
    liquidity: Liquidity
    kind: ExecutionKind = ExecutionKind.TRADE
    ts_event_ns: int = 0


class Answer(Struct, frozen=True, gc=False):
    """What a venue has answered to one request."""

    outcome: Outcome
    code: int | None = None
    message: str = ""
    venue_order_id: str = ""


class PositionReport(Struct, frozen=True, gc=False, kw_only=True):
    """An open position as the venue has it; `stop` and `target` are those that rest there."""

    instrument: InstrumentId
    signed_lots: int
    entry_price: str
    leverage: int
    stop: int | None = None
    target: int | None = None


class WalletReport(Struct, frozen=True, gc=False, kw_only=True):
    """The account as the venue has it."""

    equity: Money
    cash: Money
    """The wallet balance in USDT, without what open positions have made."""
    coins: dict[str, str]
    """Quantity of every other coin, as the venue writes it."""
