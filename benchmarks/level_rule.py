"""The level rule: one small trading rule that every engine of the comparison runs, and its two plain-Python forms.

The rule trades one perpetual by its prints alone:

* At every multiple of `period_ns` since 1970 that follows the first tick, before any tick of that time: an open position is closed by a market
  order (the time-out), and once there has been a print two levels are set, at the last print plus and minus `step_ticks`.
* A print at or beyond a level is a *fire*. Flat, it is faded with a market order of `lots` (sell on the upper level, buy on the lower); otherwise the
  position is closed by a market order. Both levels are set anew around that print; only later prints can reach them.
* A market order is executed at once, a buy at the best ask and a sell at the best bid as of the decision. Nothing is closed at the end.

Decisions depend on prints and the clock only, never on fills, so engines with different ideas of a fill must still agree on every decision.
Ticks of a slice are at least `MIN_STEP_NS` apart, so an engine whose smallest latency is 1 ns sees the same book as one that has none.
"""

from collections.abc import Callable, Sequence
from time import perf_counter, process_time

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from titan_core.errors import UsageError
from titan_core.model.enums import StreamKind
from titan_core.model.ids import InstrumentId
from titan_core.model.units import MIN, US
from titan_core.tape.columns import Columns
from titan_core.tape.tape import Tape

MIN_STEP_NS = US
"""Smallest distance between two ticks of a slice, all streams taken together."""
NO_LEVEL = 1 << 40
"""A price that no print reaches."""
QUOTE, TRADE, OTHER = 0, 1, 2


@frozen
class LevelRule:
    """Parameters of the rule: distance of the levels in ticks, length of a period in ns, size of an order in lots."""

    step_ticks: int
    period_ns: int = 5 * MIN
    lots: int = 1


@frozen(eq=False)
class MarketSlice:
    """Raw columns of the traded instrument (see `titan_core.tape.columns`), and the streams of others, which the rule reads past."""

    quotes: Columns
    trades: Columns
    others: tuple[Columns, ...] = ()
    source: str = ""
    """Where the ticks come from, for the record of a measurement."""

    @property
    def ticks(self) -> int:
        """Number of ticks of all streams."""
        return sum(len(columns["ts"]) for columns in (self.quotes, self.trades, *self.others))

    @classmethod
    def of_tape(cls, tape: Tape, instrument: InstrumentId) -> "MarketSlice":
        """Take all ticks of a tape; `instrument` is the traded one. Raises UsageError where the tape lacks its quotes or its prints."""
        quotes, trades = tape.stream(instrument, StreamKind.QUOTE), tape.stream(instrument, StreamKind.TRADE)
        if quotes is None or trades is None:
            found = ", ".join(f"{stream.instrument} {stream.kind}" for stream in tape.streams)
            raise UsageError(f"the level rule needs quotes and trades of {instrument}; the tape has {found or 'no streams'}")
        others = tuple(stream.columns for stream in tape.streams if stream.kind is not StreamKind.BASIS and stream not in (quotes, trades))
        return cls(quotes.columns, trades.columns, others, f"tape {tape.digest[:12]}")


@frozen
class LevelFill:
    """One execution: its time (that of the decision, or less than `MIN_STEP_NS` later), signed lots, price in ticks."""

    ts_ns: int
    signed_lots: int
    price: float


@frozen
class LevelResult:
    """What one run of the rule did and what it cost. The times cover the run alone: no loading, conversion or compilation."""

    engine: str
    ticks: int
    fires: int
    orders: int
    fills: tuple[LevelFill, ...] = field(repr=False)
    wall_s: float
    cpu_s: float

    @property
    def ticks_per_s(self) -> float:
        """Ticks per second of process CPU time, which a busy machine disturbs less than the wall clock."""
        return self.ticks / self.cpu_s


@frozen(eq=False)
class TickLists:
    """The ticks of a slice in order, as plain lists: time, kind (`QUOTE`, `TRADE`, `OTHER`), then bid and ask, or price and signed lots, or zeros."""

    ts: list[int]
    kind: list[int]
    first: list[int]
    second: list[int]

    @classmethod
    def of(cls, columns: MarketSlice) -> "TickLists":
        """Merge the streams by time; of equal times a quote comes before a print."""
        quotes, trades = columns.quotes, columns.trades
        blanks = [np.zeros(len(other["ts"]), np.int32) for other in columns.others]
        ts = np.concatenate([stream["ts"] for stream in (quotes, trades, *columns.others)])
        order = np.argsort(ts, kind="stable")
        kinds = [np.full(len(quotes["ts"]), QUOTE), np.full(len(trades["ts"]), TRADE), *(np.full(len(blank), OTHER) for blank in blanks)]

        def merged(parts: Sequence[NDArray[np.generic]]) -> list[int]:
            return list(np.concatenate(parts)[order].tolist())

        first, second = [quotes["bid"], trades["price"], *blanks], [quotes["ask"], trades["signed_lots"], *blanks]
        return cls(ts[order].tolist(), merged(kinds), merged(first), merged(second))


def python_loop(ticks: TickLists, rule: LevelRule) -> LevelResult:
    """Run the rule as the fastest loop that reads every tick in plain Python: lists, local names, one chained compare per print."""
    step, lots, period = rule.step_ticks, rule.lots, rule.period_ns
    fills: list[LevelFill] = []
    fires = position = bid = ask = last = 0
    upper, lower = NO_LEVEL, -NO_LEVEL
    timer = next_multiple(ticks.ts, period)
    wall, cpu = perf_counter(), process_time()
    for ts, kind, first, second in zip(ticks.ts, ticks.kind, ticks.first, ticks.second, strict=True):
        if ts >= timer:
            if position:
                fills.append(LevelFill(timer, -position, ask if position < 0 else bid))
                position = 0
            if last:
                upper, lower = last + step, last - step
            timer = ts // period * period + period
        if kind == TRADE:
            if not lower < first < upper:
                fires += 1
                signed = -position if position else (-lots if first >= upper else lots)
                position += signed
                fills.append(LevelFill(ts, signed, ask if signed > 0 else bid))
                upper, lower = first + step, first - step
            last = first
        elif kind == QUOTE:
            bid, ask = first, second
    wall, cpu = perf_counter() - wall, process_time() - cpu
    return LevelResult("python loop", len(ticks.ts), fires, len(fills), tuple(fills), wall, cpu)


def next_multiple(ts: Sequence[int], period_ns: int) -> int:
    """Return the first multiple of the period after the first tick; with no ticks, one that never comes."""
    return (ts[0] // period_ns + 1) * period_ns if len(ts) else 1 << 62


class LevelHandlers:
    """The rule as a class with a handler per kind of tick: how a strategy of an event-driven framework is written in plain Python."""

    __slots__ = ("ask", "bid", "fills", "fires", "last", "lower", "position", "rule", "timer", "upper")

    def __init__(self, rule: LevelRule, timer: int) -> None:
        self.rule, self.timer = rule, timer
        self.fires = self.position = self.bid = self.ask = self.last = 0
        self.upper, self.lower = NO_LEVEL, -NO_LEVEL
        self.fills: list[LevelFill] = []

    def on_quote(self, ts: int, bid: int, ask: int) -> None:
        """Keep the book."""
        if ts >= self.timer:
            self.on_timer(ts)
        self.bid, self.ask = bid, ask

    def on_trade(self, ts: int, price: int, signed_lots: int) -> None:
        """Compare the print with both levels."""
        if ts >= self.timer:
            self.on_timer(ts)
        if not self.lower < price < self.upper:
            self.fires += 1
            entry = -self.rule.lots if price >= self.upper else self.rule.lots
            self.order(ts, -self.position or entry)
            self.set_levels(price)
        self.last = price

    def on_other(self, ts: int, first: int, second: int) -> None:
        """Let time pass."""
        if ts >= self.timer:
            self.on_timer(ts)

    def on_timer(self, ts: int) -> None:
        """Close what is open and set the levels anew."""
        if self.position:
            self.order(self.timer, -self.position)
        if self.last:
            self.set_levels(self.last)
        self.timer = (ts // self.rule.period_ns + 1) * self.rule.period_ns

    def set_levels(self, price: int) -> None:
        """Put a level on either side of the price."""
        self.upper, self.lower = price + self.rule.step_ticks, price - self.rule.step_ticks

    def order(self, ts: int, signed_lots: int) -> None:
        """Execute a market order at the book."""
        self.position += signed_lots
        self.fills.append(LevelFill(ts, signed_lots, self.ask if signed_lots > 0 else self.bid))


def python_handlers(ticks: TickLists, rule: LevelRule) -> LevelResult:
    """Run the rule with one handler call per tick, still in plain Python over lists."""
    strategy = LevelHandlers(rule, next_multiple(ticks.ts, rule.period_ns))
    handlers: list[Callable[[int, int, int], None]] = [strategy.on_quote, strategy.on_trade, strategy.on_other]
    wall, cpu = perf_counter(), process_time()
    for ts, kind, first, second in zip(ticks.ts, ticks.kind, ticks.first, ticks.second, strict=True):
        handlers[kind](ts, first, second)
    wall, cpu = perf_counter() - wall, process_time() - cpu
    return LevelResult("python handlers", len(ticks.ts), strategy.fires, len(strategy.fills), tuple(strategy.fills), wall, cpu)


def python_loop_rate(columns: MarketSlice, rule: LevelRule | None = None, repetitions: int = 3) -> float:
    """Return ticks/s of `python_loop` over the columns, the median of some repetitions: the unit in which whole strategies are compared.

    A 24 h tape of 7M ticks needs about 1 GB while it runs. Without a rule the levels are 0.1 % away from the price.
    """
    ticks = TickLists.of(columns)
    chosen = rule or LevelRule(step_ticks=max(1, int(columns.trades["price"][0]) // 1000))
    return float(np.median([python_loop(ticks, chosen).ticks_per_s for _ in range(repetitions)]))


def fitted_rule(ticks: TickLists, fires: int) -> LevelRule:
    """Return the rule with the widest step that still fires at least `fires` times on these ticks. Raises UsageError where one tick is too wide."""
    narrow, wide = 1, 2
    if python_loop(ticks, LevelRule(narrow)).fires < fires:
        raise UsageError(f"the slice cannot make the level rule fire {fires} times; take a longer slice")
    while python_loop(ticks, LevelRule(wide)).fires >= fires:
        narrow, wide = wide, wide * 2
    while wide - narrow > 1:
        middle = (narrow + wide) // 2
        narrow, wide = (middle, wide) if python_loop(ticks, LevelRule(middle)).fires >= fires else (narrow, middle)
    return LevelRule(narrow)
