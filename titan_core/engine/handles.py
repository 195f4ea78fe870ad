"""The instruments and pairs of a run as one strategy sees them: they make conditions and answer look-ups."""

from typing import TYPE_CHECKING, Any

from titan_core.engine import predicates
from titan_core.engine.conditions import FLOW, LEVEL, TRAIL, WHERE, Condition, any_event
from titan_core.engine.layout import NO_STREAM
from titan_core.errors import StrategyError
from titan_core.model.enums import StreamKind
from titan_core.model.instrument import Instrument
from titan_core.model.units import NEVER, S

if TYPE_CHECKING:
    from titan_core.engine.core import Engine

BID, ASK = 0, 1


class InstrumentHandle:
    """One instrument of a run; implements `titan_core.ports.InstrumentView`."""

    __slots__ = ("_e", "_mark", "_oi", "_quotes", "_slot", "_trades", "has_flow", "k", "slot", "spec")

    def __init__(self, engine: "Engine", k: int, slot: int) -> None:
        """Bind instrument k of the engine's layout for the phase of slot `slot`."""
        layout = engine.layout
        self._e = engine
        self._slot = slot
        self.k = k
        self.slot = slot
        self.spec: Instrument = layout.instruments[k]
        self.has_flow = self.spec.id not in layout.bars_only
        self._trades = layout.rank(k, StreamKind.TRADE)
        self._quotes = layout.rank(k, StreamKind.QUOTE)
        self._mark = layout.rank(k, StreamKind.MARK)
        self._oi = layout.rank(k, StreamKind.OPEN_INTEREST)

    def __repr__(self) -> str:
        return f"<{self.spec.id}>"

    @property
    def takes_orders(self) -> bool:
        """Whether orders can be sent in it at all."""
        return self._e.governor.takes_orders(self.spec)

    def _need(self, rank: int, kind: StreamKind) -> int:
        return rank if rank != NO_STREAM else self._e.layout.require(self.k, kind)

    def require_trades(self) -> None:
        """Raise StrategyError where the run has no trades of the instrument."""
        self._need(self._trades, StreamKind.TRADE)

    def above(self, ticks: int) -> Condition:
        """Last trade price >= ticks."""
        return Condition(LEVEL, self._need(self._trades, StreamKind.TRADE), 0, True, ticks)

    def below(self, ticks: int) -> Condition:
        """Last trade price <= ticks."""
        return Condition(LEVEL, self._need(self._trades, StreamKind.TRADE), 0, False, ticks)

    def bid_above(self, ticks: int) -> Condition:
        """Best bid >= ticks."""
        return Condition(LEVEL, self._need(self._quotes, StreamKind.QUOTE), BID, True, ticks)

    def bid_below(self, ticks: int) -> Condition:
        """Best bid <= ticks."""
        return Condition(LEVEL, self._need(self._quotes, StreamKind.QUOTE), BID, False, ticks)

    def ask_above(self, ticks: int) -> Condition:
        """Best ask >= ticks."""
        return Condition(LEVEL, self._need(self._quotes, StreamKind.QUOTE), ASK, True, ticks)

    def ask_below(self, ticks: int) -> Condition:
        """Best ask <= ticks."""
        return Condition(LEVEL, self._need(self._quotes, StreamKind.QUOTE), ASK, False, ticks)

    def mark_above(self, ticks: int) -> Condition:
        """Mark price >= ticks."""
        return Condition(LEVEL, self._need(self._mark, StreamKind.MARK), 0, True, ticks)

    def mark_below(self, ticks: int) -> Condition:
        """Mark price <= ticks."""
        return Condition(LEVEL, self._need(self._mark, StreamKind.MARK), 0, False, ticks)

    def trail_from_high(self, distance: int) -> Condition:
        """Last price falls `distance` ticks below the highest seen since arming."""
        return Condition(TRAIL, self._need(self._trades, StreamKind.TRADE), 0, True, 0, max(1, distance))

    def trail_from_low(self, distance: int) -> Condition:
        """Last price rises `distance` ticks above the lowest seen since arming."""
        return Condition(TRAIL, self._need(self._trades, StreamKind.TRADE), 0, False, 0, max(1, distance))

    def _flow(self, rising: bool, window_ns: int, lots: int, within_ns: int | None) -> Condition:
        self._e.layout.require_flow(self.k)
        if window_ns < 1:
            raise StrategyError(f"order flow needs a window of at least 1 ns, found {window_ns}")
        until = NEVER if within_ns is None else self._e.now + within_ns
        return Condition(FLOW, self._need(self._trades, StreamKind.TRADE), 0, rising, lots, window_ns, until)

    def flow_above(self, window_ns: int, lots: int, within_ns: int | None = None) -> Condition:
        """Signed taker lots over the trailing window >= lots, seen on a trade; given up `within_ns` after it was made."""
        return self._flow(True, window_ns, lots, within_ns)

    def flow_below(self, window_ns: int, lots: int, within_ns: int | None = None) -> Condition:
        """Signed taker lots over the trailing window <= lots, seen on a trade; given up `within_ns` after it was made."""
        return self._flow(False, window_ns, lots, within_ns)

    def _where(self, rank: int, kind: StreamKind, predicate: predicates.Predicate) -> Condition:
        predicates.check(predicate, kind)
        condition = Condition(WHERE, self._need(rank, kind), 0, True, 0)
        condition.extra = predicate
        return condition

    def trade_where(self, predicate: predicates.Predicate) -> Condition:
        """A trade meets `predicate(ts_ns, price, signed_lots)`, a pure function that numba can compile."""
        self._e.layout.require_flow(self.k)
        return self._where(self._trades, StreamKind.TRADE, predicate)

    def quote_where(self, predicate: predicates.Predicate) -> Condition:
        """A quote meets `predicate(ts_ns, bid, ask, bid_lots, ask_lots)`, a pure function that numba can compile."""
        return self._where(self._quotes, StreamKind.QUOTE, predicate)

    def open_interest_above(self, lots: int) -> Condition:
        """Open interest >= lots."""
        return Condition(LEVEL, self._need(self._oi, StreamKind.OPEN_INTEREST), 0, True, lots)

    def open_interest_below(self, lots: int) -> Condition:
        """Open interest <= lots."""
        return Condition(LEVEL, self._need(self._oi, StreamKind.OPEN_INTEREST), 0, False, lots)

    def next_funding(self) -> Condition:
        """The next settlement of funding."""
        return any_event(self._e.layout.require(self.k, StreamKind.FUNDING))

    def next_liquidation(self) -> Condition:
        """The next forced order printed by the venue."""
        return any_event(self._e.layout.require(self.k, StreamKind.LIQUIDATION))

    def next_gap(self) -> Condition:
        """The next gap of the recording."""
        return any_event(self._e.layout.require(self.k, StreamKind.GAP))

    def quote(self) -> tuple[int, int, int, int] | None:
        """(bid, ask, bid lots, ask lots) as of now."""
        return self._e.quote(self.k)

    def last(self) -> int | None:
        """Price of the last trade."""
        return self._e.latest(self._trades, "price") if self._trades != NO_STREAM else None

    def mark(self) -> int | None:
        """Mark price."""
        return self._e.latest(self._mark, "price") if self._mark != NO_STREAM else None

    def funding_rate(self) -> int | None:
        """Last settled funding rate in 1e-8."""
        rank = self._e.layout.rank(self.k, StreamKind.FUNDING)
        return self._e.latest(rank, "rate_e8") if rank != NO_STREAM else None

    def open_interest(self) -> int | None:
        """Open interest in lots."""
        return self._e.latest(self._oi, "lots") if self._oi != NO_STREAM else None

    def cvd(self, window_ns: int) -> int:
        """Signed taker lots over (now - window, now]."""
        if not self.has_flow:
            self._e.layout.require_flow(self.k)
        return self._e.cvd(self.k, window_ns)

    def volume(self, window_ns: int) -> int:
        """Traded lots over (now - window, now]."""
        return self._e.volume(self.k, window_ns)

    def vwap(self, window_ns: int) -> float | None:
        """Volume-weighted price in ticks over (now - window, now]."""
        return self._e.vwap(self.k, window_ns)

    def range_high(self, from_ns: int) -> int | None:
        """Highest trade price since `from_ns`, inclusive."""
        return self._e.range_high(self.k, from_ns)

    def range_low(self, from_ns: int) -> int | None:
        """Lowest trade price since `from_ns`, inclusive."""
        return self._e.range_low(self.k, from_ns)

    def footprint(self, from_ns: int, low: int, high: int) -> tuple[int, int]:
        """Taker-bought and taker-sold lots at low <= price <= high since `from_ns`."""
        self._e.layout.require_flow(self.k)
        return self._e.footprint(self.k, from_ns, low, high)

    def bars(self, timeframe_ns: int) -> Any:
        """Closed bars as of now."""
        shortest = self._e.layout.bars_only.get(self.spec.id, 0)
        if timeframe_ns < shortest:
            raise StrategyError(f"{self.spec.id} was imported from bars of {shortest // S} s; bars of {timeframe_ns // S} s cannot be known")
        return self._e.bars(self.k, timeframe_ns)

    def position(self) -> int:
        """The phase's own signed position in lots."""
        account, k = self._e.account, self.k
        return account.lots[k] if account.owner[k] == self._slot else 0


class PairHandle:
    """A spot instrument and its perpetual; implements `titan_core.ports.PairView`."""

    __slots__ = ("_e", "_rank", "perp", "spot")

    def __init__(self, engine: "Engine", spot: InstrumentHandle, perp: InstrumentHandle) -> None:
        """Join two handles."""
        self._e = engine
        self.spot = spot
        self.perp = perp
        self._rank = engine.layout.rank(perp.k, StreamKind.BASIS)

    def _need(self) -> int:
        return self._rank if self._rank != NO_STREAM else self._e.layout.require(self.perp.k, StreamKind.BASIS)

    def basis(self) -> int | None:
        """(perp mid - spot mid) / spot mid in 1e-3 bps."""
        return self._e.latest(self._need(), "milli_bps")

    def basis_above(self, milli_bps: int) -> Condition:
        """Basis >= milli_bps."""
        return Condition(LEVEL, self._need(), 0, True, milli_bps)

    def basis_below(self, milli_bps: int) -> Condition:
        """Basis <= milli_bps."""
        return Condition(LEVEL, self._need(), 0, False, milli_bps)
