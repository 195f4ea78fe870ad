"""What a running session shows of itself: one picture of a moment, made for screens and for other processes.

Prices and quantities are written as the exchange writes them, money is 1e-8 USDT, times are ns since 1970.
"""

from msgspec import Struct

from titan_core.model.units import Money


class PhaseStatus(Struct, frozen=True, kw_only=True):
    """One phase. `state` is the chart's word (`active`, `draining`, …) or the mode of the whole where there is no region for phases."""

    id: str
    state: str
    band: str
    """Its capital band in words, such as `200–5,000 USDT`."""
    equity: Money
    day_result: Money
    """Net since midnight UTC, or since its activation."""
    positions: int
    broken: str = ""
    """Why it is in quarantine; empty where it is not."""


class PositionStatus(Struct, frozen=True, kw_only=True):
    """An open position. `quantity` is signed."""

    instrument: str
    phase: str
    quantity: str
    entry_price: str
    mark_price: str
    notional: Money
    unrealised: Money
    stop: str = ""
    target: str = ""


class OrderStatusLine(Struct, frozen=True, kw_only=True):
    """A working order."""

    client_order_id: str
    phase: str
    instrument: str
    side: str
    order_type: str
    quantity: str
    leaves: str
    price: str
    """Limit or trigger; empty for a market order."""
    status: str


class FillLine(Struct, frozen=True, kw_only=True):
    """An execution."""

    ts_ns: int
    phase: str
    instrument: str
    side: str
    quantity: str
    price: str
    fee: Money
    liquidity: str
    tag: str = ""


class FeedStatus(Struct, frozen=True, kw_only=True):
    """The market data of one instrument. `doubt` tells why its newest rows cannot be trusted; empty where they can."""

    instrument: str
    bid: str
    ask: str
    events: int
    """Rows taken in so far."""
    age_s: float
    """Since the last row, in market time."""
    doubt: str = ""


class LinkStatus(Struct, frozen=True, kw_only=True):
    """The venue that takes our orders."""

    venue: str
    is_answering: bool
    is_streaming: bool
    """Whether the private stream is up; without it executions are polled."""
    clock_offset_s: float
    trouble: str = ""
    reconciled_ns: int = 0
    """When our books last agreed with the venue's; 0 where they never have."""


class JournalLine(Struct, frozen=True, kw_only=True):
    """The journal."""

    status: str
    last_seq: int
    durable_seq: int


class TradeLine(Struct, frozen=True, kw_only=True):
    """A round trip that has ended."""

    phase: str
    instrument: str
    side: str
    quantity: str
    entry_ns: int
    exit_ns: int
    entry_price: str
    exit_price: str
    fees: Money
    funding: Money
    net: Money
    tag: str = ""


class NoteLine(Struct, frozen=True, kw_only=True):
    """Something worth telling: a step of the chart, a refusal, an alert."""

    ts_ns: int
    author: str
    text: str


class SessionStatus(Struct, frozen=True, kw_only=True):
    """One moment of a session."""

    name: str
    pid: int
    mode: str
    """`paper` or `live`."""
    feed: str
    """`built-in` or `live`: where the market comes from."""
    speed: float
    """How many times as fast as life the market runs; 1 unless it is built in."""
    started_ns: int
    """Wall clock."""
    now_ns: int
    """The market's time."""
    stage: str
    """`starting`, `recovering`, `running`, `stopping`, `stopped`."""
    brain: str
    """The chart's configuration in full."""
    risk: str
    gate: str
    """`open`, `reducing` or `closed`: what the order gateway lets through."""
    equity: Money
    peak: Money
    drawdown_ppm: int
    start_equity: Money
    cash: Money
    fees: Money
    funding: Money
    trades: int
    wins: int
    phases: tuple[PhaseStatus, ...] = ()
    positions: tuple[PositionStatus, ...] = ()
    orders: tuple[OrderStatusLine, ...] = ()
    feeds: tuple[FeedStatus, ...] = ()
    link: LinkStatus | None = None
    journal: JournalLine | None = None
    fills: tuple[FillLine, ...] = ()
    """The newest, oldest first."""
    notes: tuple[NoteLine, ...] = ()
    """The newest, oldest first."""
    seed: int | None = None
    """Of the built-in market."""
