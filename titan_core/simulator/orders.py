"""Orders of the simulated exchange, what is asked of it and what it answers."""

from enum import StrEnum

from attrs import define, frozen
from msgspec import Struct

from titan_core.model.enums import Side
from titan_core.model.ids import InstrumentId


class Status(StrEnum):
    """Where an order stands."""

    UNTRIGGERED = "untriggered"
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    """Also after partial fills."""
    REJECTED = "rejected"
    DEACTIVATED = "deactivated"
    """A conditional order that was withdrawn before its price came."""


OPEN = frozenset({Status.UNTRIGGERED, Status.NEW, Status.PARTIALLY_FILLED})


class Kind(StrEnum):
    """How an order is matched."""

    MARKET = "market"
    LIMIT = "limit"


class Tif(StrEnum):
    """How long a limit order may rest."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    POST_ONLY = "post_only"


class PriceKind(StrEnum):
    """Which price sets off a conditional order."""

    LAST = "last"
    MARK = "mark"
    INDEX = "index"


class Origin(StrEnum):
    """Who made an order."""

    USER = "user"
    """Through the API."""
    MANUAL = "manual"
    """By hand on the venue's page."""
    STOP = "stop"
    """A conditional order of the user's own."""
    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"
    LIQUIDATION = "liquidation"
    ADL = "adl"
    SETTLEMENT = "settlement"


PROTECTIVE = (Origin.STOP_LOSS, Origin.TAKE_PROFIT)


class Reason(StrEnum):
    """Why the exchange refused a request or ended an order."""

    NONE = "none"
    DUPLICATE_ID = "duplicate_id"
    UNKNOWN_ORDER = "unknown_order"
    ORDER_DONE = "order_done"
    MARGIN = "margin"
    REDUCE_ONLY = "reduce_only"
    BAD_PRICE = "bad_price"
    BAD_SIZE = "bad_size"
    TOO_LARGE = "too_large"
    BELOW_MINIMUM = "below_minimum"
    NOT_TRADING = "not_trading"
    UNKNOWN_SYMBOL = "unknown_symbol"
    LEVERAGE_SAME = "leverage_same"
    LEVERAGE_RANGE = "leverage_range"
    TOO_MANY_ORDERS = "too_many_orders"
    TRIGGER_SIDE = "trigger_side"
    STOP_SIDE = "stop_side"
    NOT_MODIFIED = "not_modified"
    NO_POSITION = "no_position"
    WOULD_TAKE = "would_take"
    NO_LIQUIDITY = "no_liquidity"
    BY_USER = "by_user"
    BY_LIQUIDATION = "by_liquidation"
    BY_DELISTING = "by_delisting"
    BY_REDUCE_ONLY = "by_reduce_only"
    BY_STOP = "by_stop"


@frozen
class Refusal:
    """A value, not an exception: the exchange does nothing. `text` says what was found and what is allowed."""

    reason: Reason
    text: str


@frozen
class Trigger:
    """What sets a conditional order off: a price (ticks), reached from below (`rising`) or from above."""

    price: int
    rising: bool
    by: PriceKind = PriceKind.LAST


@frozen(kw_only=True)
class NewOrder:
    """A request for an order. Prices in ticks and sizes in lots; `spend` (1e-8 of the quote coin) instead of `lots` for a spot market buy by value."""

    instrument: InstrumentId
    side: Side
    kind: Kind
    lots: int = 0
    price: int = 0
    spend: int = 0
    tif: Tif = Tif.GTC
    reduce_only: bool = False
    close_on_trigger: bool = False
    link_id: str = ""
    trigger: Trigger | None = None
    stop_loss: int = 0
    take_profit: int = 0
    stop_by: PriceKind = PriceKind.LAST
    profit_by: PriceKind = PriceKind.LAST
    origin: Origin = Origin.USER


@define(eq=False)
class Order:
    """An order in the exchange's book of orders. `value` is the sum of price × lots of its fills in 1e-8 of the quote coin, `fee` in 1e-8 of `fee_coin`."""

    request: NewOrder
    id: str
    number: int
    created_ns: int
    updated_ns: int
    lots: int
    price: int
    status: Status = Status.NEW
    filled: int = 0
    value: int = 0
    fee: int = 0
    maker_fee: int = 0
    fee_coin: str = ""
    profit: int = 0
    reason: Reason = Reason.NONE
    trigger: Trigger | None = None
    leverage: int = 1
    last_on_created: int = 0
    version: int = 1
    stop_loss: int = 0
    take_profit: int = 0
    rank: int = 0
    """Resting orders are filled in the order in which they came to rest; 0 for one that never did."""

    @property
    def is_open(self) -> bool:
        """Whether the order may still be filled."""
        return self.status in OPEN

    @property
    def remaining(self) -> int:
        """Lots that are not filled yet."""
        return self.lots - self.filled

    @property
    def side(self) -> Side:
        """Direction."""
        return self.request.side

    @property
    def instrument(self) -> InstrumentId:
        """What is traded."""
        return self.request.instrument

    @property
    def link_id(self) -> str:
        """The client's id, empty where it gave none."""
        return self.request.link_id


class FillKind(StrEnum):
    """Why a position changed or money moved."""

    TRADE = "trade"
    ADL = "adl"
    LIQUIDATION = "liquidation"
    FUNDING = "funding"
    SETTLEMENT = "settlement"


class Execution(Struct, frozen=True, kw_only=True):
    """One fill, or one funding payment (`fee` is then what was paid, `lots` the position). Money in 1e-8, `fee` of `fee_coin`."""

    seq: int
    id: str
    order: Order
    instrument: InstrumentId
    kind: FillKind
    side: Side
    price: int
    lots: int
    value: int
    fee: int
    fee_coin: str
    fee_rate_e8: int
    maker: bool
    closed_lots: int
    profit: int
    mark: int
    index: int
    ts_ns: int
    leaves: int
