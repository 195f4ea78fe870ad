"""Closed sets of words. Each value is the word that appears in records, config and JSON."""

from enum import StrEnum


class InstrumentKind(StrEnum):
    """What is traded: the coin itself, or a USDT-margined perpetual contract on it."""

    SPOT = "spot"
    PERP = "perp"


class Side(StrEnum):
    """Direction of an order or fill."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        """The side that undoes this one."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """How an order reaches the book."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    """Stop-market: becomes a market order when the last price touches the trigger."""
    TAKE_PROFIT = "take_profit"
    """Market-if-touched: becomes a market order when the last price reaches the target."""


class TimeInForce(StrEnum):
    """How long a limit order may rest."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"


class Liquidity(StrEnum):
    """Whether a fill added or took liquidity; decides its fee."""

    MAKER = "maker"
    TAKER = "taker"


class StreamKind(StrEnum):
    """The kinds of market event that a tape holds, in the order in which one instrument's events of one instant are processed."""

    GAP = "gap"
    QUOTE = "quote"
    DEPTH = "depth"
    TRADE = "trade"
    MARK = "mark"
    FUNDING = "funding"
    OPEN_INTEREST = "open_interest"
    LIQUIDATION = "liquidation"
    BASIS = "basis"


class RefusalCode(StrEnum):
    """Why the Brain did not approve an intent; one code per check of the approval, in the order in which they are made."""

    GATE_CLOSED = "gate_closed"
    PHASE_MAY_NOT_ENTER = "phase_may_not_enter"
    ALLOCATION_EXPIRED = "allocation_expired"
    INSTRUMENT_OWNED = "instrument_owned"
    VENUE_DOWN = "venue_down"
    STALE_MARKET = "stale_market"
    BAD_PRICE = "bad_price"
    BAD_SIZE = "bad_size"
    BELOW_MIN_NOTIONAL = "below_min_notional"
    NO_STOP = "no_stop"
    STOP_ON_WRONG_SIDE = "stop_on_wrong_side"
    MAX_POSITION = "max_position"
    PHASE_LEVERAGE = "phase_leverage"
    TOTAL_LEVERAGE = "total_leverage"
    RISK_BUDGET = "risk_budget"
    DRAWDOWN = "drawdown"
    FREE_MARGIN = "free_margin"
    SPOT_SHORT = "spot_short"
    DUPLICATE_ORDER = "duplicate_order"
    NOT_REDUCING = "not_reducing"
