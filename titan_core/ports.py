"""The protocols between rooms: what a strategy sees of the market, and what the engine needs of a strategy and of the Brain.

Prices are integer ticks, sizes signed integer lots, times integer nanoseconds since 1970 (UTC), windows nanoseconds, money 1e-8 USDT.
Every look-up is "as of now": it never sees an event later than the one being processed.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from titan_core.model.enums import TimeInForce
from titan_core.model.fill import Fill
from titan_core.model.ids import ClientOrderId, StrategyId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Approved, Intent, OrderStatus, Refused
from titan_core.model.units import Money

Callback = Callable[["Market", Any], None]
"""Called with the market and with what fired: a `Condition` or a `Timer`; its `payload` is what was given when it was armed."""


class Condition(Protocol):
    """Something armed: it fires once and is then spent."""

    @property
    def payload(self) -> Any:
        """What the strategy attached."""
        ...

    @property
    def alive(self) -> bool:
        """Whether it is still armed."""
        ...


class Bars(Protocol):
    """The closed bars of one instrument and timeframe as of now; index 1 is the newest closed bar. Prices in ticks."""

    @property
    def count(self) -> int:
        """How many closed bars there are, from the first trade of the tape on. A bar without trades repeats the close before it."""
        ...

    def open(self, ago: int) -> int:
        """Open of the bar `ago` bars back (1 = newest closed)."""
        ...

    def high(self, ago: int) -> int:
        """High of the bar `ago` bars back."""
        ...

    def low(self, ago: int) -> int:
        """Low of the bar `ago` bars back."""
        ...

    def close(self, ago: int) -> int:
        """Close of the bar `ago` bars back."""
        ...

    def volume(self, ago: int) -> int:
        """Traded lots in the bar `ago` bars back."""
        ...

    def delta(self, ago: int) -> int:
        """Signed taker lots (buys minus sells) in the bar `ago` bars back."""
        ...

    def bollinger(self, length: int, width: float) -> tuple[float, float, float] | None:
        """Lower band, middle, upper band in ticks over the last `length` closes; None while there are fewer bars."""
        ...

    def atr(self, length: int) -> float | None:
        """Wilder's average true range in ticks; None while there is no bar."""
        ...

    def swing_highs(self, reach: int, last: int) -> list[int]:
        """Highs above `reach` bars on either side among the last `last` bars, newest first; each is confirmed by closed bars only."""
        ...

    def swing_lows(self, reach: int, last: int) -> list[int]:
        """Lows below `reach` bars on either side among the last `last` bars, newest first."""
        ...


class InstrumentView(Protocol):
    """One instrument as a strategy sees it: makes conditions, answers look-ups."""

    @property
    def spec(self) -> Instrument:
        """Grid, limits and fees."""
        ...

    @property
    def has_flow(self) -> bool:
        """Whether the trades carry a taker side. A tape made of bars has none, and flow look-ups on it raise StrategyError."""
        ...

    @property
    def takes_orders(self) -> bool:
        """Whether orders can be sent in it at all; of some markets only the data is used, such as spot's in a live session."""
        ...

    # conditions: arm them with Market.arm
    def above(self, ticks: int) -> Any:
        """Last trade price >= ticks."""
        ...

    def below(self, ticks: int) -> Any:
        """Last trade price <= ticks."""
        ...

    def bid_above(self, ticks: int) -> Any:
        """Best bid >= ticks."""
        ...

    def bid_below(self, ticks: int) -> Any:
        """Best bid <= ticks."""
        ...

    def ask_above(self, ticks: int) -> Any:
        """Best ask >= ticks."""
        ...

    def ask_below(self, ticks: int) -> Any:
        """Best ask <= ticks."""
        ...

    def mark_above(self, ticks: int) -> Any:
        """Mark price >= ticks."""
        ...

    def mark_below(self, ticks: int) -> Any:
        """Mark price <= ticks."""
        ...

    def trail_from_high(self, distance: int) -> Any:
        """Last price falls `distance` ticks below the highest seen since arming."""
        ...

    def trail_from_low(self, distance: int) -> Any:
        """Last price rises `distance` ticks above the lowest seen since arming."""
        ...

    def flow_above(self, window_ns: int, lots: int, within_ns: int | None = None) -> Any:
        """Signed taker flow over the trailing window >= lots, seen on a trade; disarmed after `within_ns`."""
        ...

    def flow_below(self, window_ns: int, lots: int, within_ns: int | None = None) -> Any:
        """Signed taker flow over the trailing window <= lots, seen on a trade; disarmed after `within_ns`."""
        ...

    def trade_where(self, predicate: Callable[[int, int, int], Any]) -> Any:
        """A trade meets `predicate(ts_ns, price, signed_lots)`, a pure function that numba can compile (decorated with `njit` or not)."""
        ...

    def quote_where(self, predicate: Callable[[int, int, int, int, int], Any]) -> Any:
        """A quote meets `predicate(ts_ns, bid, ask, bid_lots, ask_lots)`, a pure function that numba can compile."""
        ...

    def open_interest_above(self, lots: int) -> Any:
        """Open interest >= lots."""
        ...

    def open_interest_below(self, lots: int) -> Any:
        """Open interest <= lots."""
        ...

    def next_funding(self) -> Any:
        """The next settlement of funding."""
        ...

    def next_liquidation(self) -> Any:
        """The next forced order printed by the venue."""
        ...

    def next_gap(self) -> Any:
        """The next gap of the recording."""
        ...

    # look-ups
    def quote(self) -> tuple[int, int, int, int] | None:
        """(bid, ask, bid lots, ask lots), or None before the first quote."""
        ...

    def last(self) -> int | None:
        """Price of the last trade."""
        ...

    def mark(self) -> int | None:
        """Mark price, or None where the tape has no mark stream or it has not begun."""
        ...

    def funding_rate(self) -> int | None:
        """Last settled funding rate in 1e-8."""
        ...

    def open_interest(self) -> int | None:
        """Open interest in lots."""
        ...

    def cvd(self, window_ns: int) -> int:
        """Signed taker lots over (now - window, now]."""
        ...

    def volume(self, window_ns: int) -> int:
        """Traded lots over (now - window, now]."""
        ...

    def vwap(self, window_ns: int) -> float | None:
        """Volume-weighted price in ticks over (now - window, now]; None without trades."""
        ...

    def range_high(self, from_ns: int) -> int | None:
        """Highest trade price since `from_ns`, inclusive."""
        ...

    def range_low(self, from_ns: int) -> int | None:
        """Lowest trade price since `from_ns`, inclusive."""
        ...

    def footprint(self, from_ns: int, low: int, high: int) -> tuple[int, int]:
        """Taker-bought and taker-sold lots traded at low <= price <= high since `from_ns`."""
        ...

    def bars(self, timeframe_ns: int) -> Bars:
        """Closed bars, aligned to UTC."""
        ...

    def position(self) -> int:
        """Own signed position in lots (of the asking phase)."""
        ...


class PairView(Protocol):
    """A spot instrument and the perpetual on the same coin."""

    @property
    def spot(self) -> InstrumentView:
        """The spot leg."""
        ...

    @property
    def perp(self) -> InstrumentView:
        """The perpetual leg."""
        ...

    def basis(self) -> int | None:
        """(perp mid - spot mid) / spot mid in 1e-3 bps, rounded down; None before both have a quote."""
        ...

    def basis_above(self, milli_bps: int) -> Any:
        """Basis >= milli_bps."""
        ...

    def basis_below(self, milli_bps: int) -> Any:
        """Basis <= milli_bps."""
        ...


class Order(Protocol):
    """A working order as its strategy sees it."""

    @property
    def client_order_id(self) -> ClientOrderId:
        """Its id on the venue."""
        ...

    @property
    def intent(self) -> Intent:
        """What was asked for."""
        ...

    @property
    def status(self) -> OrderStatus:
        """Where it stands."""
        ...

    @property
    def leaves_lots(self) -> int:
        """Unsigned lots not yet executed."""
        ...


class Budget(Protocol):
    """What a phase may use at this moment."""

    @property
    def equity(self) -> Money:
        """Phase equity: allocation plus its net result since."""
        ...

    @property
    def max_notional(self) -> Money:
        """Largest additional perp notional that the position and leverage caps still admit, before the size multiplier."""
        ...

    @property
    def risk(self) -> Money:
        """Loss that the phase may still take today, open stops included."""
        ...


class Market(Protocol):
    """What a strategy sees. One per phase and run; the same in replay, paper and live."""

    @property
    def now_ns(self) -> int:
        """Time of the event being processed."""
        ...

    @property
    def pairs(self) -> Sequence[PairView]:
        """All spot/perp pairs of the run."""
        ...

    @property
    def spot(self) -> InstrumentView:
        """Spot leg of the first pair."""
        ...

    @property
    def perp(self) -> InstrumentView:
        """Perpetual leg of the first pair."""
        ...

    def arm(self, condition: Any, callback: Callback, payload: Any = None) -> Any:
        """Arm a condition; it sees only later events. Returns it."""
        ...

    def disarm(self, condition: Any) -> None:
        """Disarm a condition or timer. Does nothing where it has fired already."""
        ...

    def at(self, ts_ns: int, callback: Callback, payload: Any = None) -> Any:
        """Call back at a time, before any market event of that time."""
        ...

    def after(self, delay_ns: int, callback: Callback, payload: Any = None) -> Any:
        """Call back after a delay."""
        ...

    def every(self, period_ns: int, callback: Callback, payload: Any = None) -> Any:
        """Call back at every multiple of the period since 1970, hence at each close of a bar of that length."""
        ...

    def budget(self, instrument: InstrumentView | None = None) -> Budget:
        """What this phase may use now; with an instrument, what it may use there, its venue's leverage limit and taker fee considered."""
        ...

    def enter(
        self,
        instrument: InstrumentView,
        signed_lots: int,
        *,
        stop: int | None = None,
        target: int | None = None,
        limit: int | None = None,
        trigger: int | None = None,
        post_only: bool = False,
        time_in_force: TimeInForce = TimeInForce.GTC,
        tag: str = "",
    ) -> Order | Refused:
        """Ask to open or increase a position: market order, limit order at `limit`, or stop entry at `trigger`.

        `stop` and `target` protect the whole position from its first fill on: a stop-market order and a resting reduce-only limit.
        """
        ...

    def enter_pair(self, pair: PairView, signed_spot_lots: int, signed_perp_lots: int, *, tag: str = "") -> tuple[Order, Order] | Refused:
        """Ask for two market legs that are approved or refused whole."""
        ...

    def exit(self, instrument: InstrumentView, *, lots: int | None = None, limit: int | None = None, post_only: bool = False, tag: str = "") -> Order | Refused:
        """Ask to reduce the position by `lots` (all of it by default); never increases or flips it."""
        ...

    def protect(self, instrument: InstrumentView, *, stop: int | None, target: int | None = None) -> bool:
        """Replace the protective stop and target of the open position.

        Returns False, and changes nothing, where there is no position, where an unhedged one would lose its stop, and where a wider stop would
        risk more than the phase may still lose today.
        """
        ...

    def cancel(self, order: Order) -> None:
        """Ask the venue to cancel; a fill may come first."""
        ...

    def note(self, text: str) -> None:
        """Write a line into the run's record; it is part of the decisions, hence of the digest."""
        ...


class Strategy:
    """Base of every strategy. A new instance is made at each activation of its phase.

    Callbacks must return quickly: a watchdog aborts the run and names the plugin when one hangs. What a callback raises quarantines the phase.
    """

    id: StrategyId = StrategyId("main")

    def on_start(self, market: Market) -> None:
        """Arm the first conditions. Called when the phase becomes active."""

    def on_fill(self, market: Market, order: Order, fill: Fill) -> None:
        """An order of this strategy was executed, in part or whole."""

    def on_flat(self, market: Market, instrument: InstrumentView) -> None:
        """The phase's position in the instrument has become zero, by whatever order."""

    def on_order_closed(self, market: Market, order: Order) -> None:
        """An order ended without being filled completely: cancelled, rejected or expired."""


class Gate(Protocol):
    """The Brain as the engine's order path sees it."""

    def approve(self, intents: Sequence[Intent]) -> tuple[Approved, ...] | Refused:
        """Approve all intents or refuse them whole."""
        ...
