"""What every form of the engine shares: time, arming, timers, dispatch and the simulated account.

Not shared, so that the reference stays a reference: how conditions are found to be met, how look-ups are answered, how resting orders are matched.
A form implements the methods that raise NotImplementedError here.

The meaning, in short: events are ordered by (time, rank of their stream, row); a timer runs before any event of its time; what is armed while one
event is being processed sees only later events; everything due at one event runs in the order in which it was armed.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Protocol

from titan_core.engine.account import NOBODY, Account
from titan_core.engine.conditions import REST, Bound, Condition, Timer, any_event
from titan_core.engine.layout import NO_STREAM, Layout
from titan_core.engine.liquidation import Liquidator
from titan_core.engine.matching import SimVenue
from titan_core.engine.record import Record
from titan_core.engine.venue import Venue, WorkingOrder
from titan_core.errors import TapeError, UsageError
from titan_core.model.calendar import utc
from titan_core.model.enums import StreamKind
from titan_core.model.fill import FundingPayment
from titan_core.model.instrument import Instrument
from titan_core.model.order import Approved, Intent, Refused
from titan_core.model.units import NEVER, RATE_SCALE, Money
from titan_core.ports import Bars, Budget
from titan_core.tape.tape import Tape


class Governor(Protocol):
    """The Brain as the engine drives it; see engine/governor.py. `settle` is called whenever the account has changed."""

    def begin(self, engine: "Engine") -> None:
        """Start: called once, before the first event."""
        ...

    def takes_orders(self, instrument: Instrument) -> bool:
        """Whether orders in this instrument can be sent at all; of some venues only the data is used."""
        ...

    def approve(self, intents: tuple[Intent, ...]) -> tuple[Approved, ...] | Refused:
        """Approve all intents or refuse them whole."""
        ...

    def budget(self, desk: Any, instrument: Instrument | None) -> Budget:
        """Return what the phase of a desk may use now; in one instrument, where it is given."""
        ...

    def may_protect(self, desk: Any, k: int, stop: int | None) -> bool:
        """Whether a phase may protect its position in instrument k by that stop."""
        ...

    def settle(self) -> None:
        """Look at the account and act on it."""
        ...

    def order_closed(self, order: WorkingOrder) -> None:
        """An order ended without being filled completely."""
        ...

    def fault(self, desk: Any, error: BaseException) -> None:
        """A callback of a strategy raised."""
        ...


def span(tape: Tape, start_ns: int | None, end_ns: int | None) -> tuple[int, int]:
    """Return the first and last time of a run over a tape. Raises UsageError where no event of the tape can lie between them."""
    if not tape.ticks:
        raise TapeError("the tape holds no event")
    start = tape.first_ns if start_ns is None else max(start_ns, tape.first_ns)
    last = tape.last_ns if end_ns is None else min(end_ns, tape.last_ns)
    if start > last:
        text = f"it spans {utc(tape.first_ns)} to {utc(tape.last_ns)}, asked for was {utc(start)} to {utc(last)}"
        raise UsageError(f"nothing of the tape lies between the start and the end that were given: {text}")
    return start, last


class Engine:
    """The base of all forms."""

    form = "abstract"

    def __init__(
        self,
        layout: Layout,
        governor: Governor,
        *,
        cash: int,
        slots: int,
        latency_ns: int = 5_000_000,
        slippage_ticks: int = 0,
        venue: Callable[["Engine"], Venue] | None = None,
    ) -> None:
        """Prepare a run over the streams of `layout` with `cash` (1e-8 USDT) and `slots` phases; `venue` makes one to take the simulated one's place."""
        self.layout = layout
        self.governor = governor
        self.account = Account(layout.instruments, cash, slots)
        self.record = Record()
        self.venue: Venue = SimVenue(self, latency_ns, slippage_ticks) if venue is None else venue(self)
        self.liquidator = Liquidator(self)
        self.now = 0
        self.events = 0
        self.fires = 0
        self.calls = 0
        self.active: Any = None
        self._seq = 0
        self._timers: list[tuple[int, int, Timer]] = []
        self._values = [layout.value_stream(k) for k in range(len(layout.instruments))]

    # -- to be implemented by each form ---------------------------------------------------------------------------
    def _arm(self, condition: Condition) -> None:
        raise NotImplementedError

    def _disarm(self, condition: Condition) -> None:
        raise NotImplementedError

    def quote(self, k: int) -> tuple[int, int, int, int] | None:
        """Return (bid, ask, bid lots, ask lots) as of now."""
        raise NotImplementedError

    def depth(self, k: int, asks: bool) -> list[tuple[int, int]]:
        """Return (price, lots) of the recorded levels of one side as of now, best first; empty without a depth stream."""
        raise NotImplementedError

    def latest(self, rank: int, column: str) -> int | None:
        """Return the newest value of a column of a stream as of now."""
        raise NotImplementedError

    def latest_ts(self, rank: int) -> int | None:
        """Return the time of a stream's newest event as of now."""
        raise NotImplementedError

    def cvd(self, k: int, window_ns: int) -> int:
        """Return the signed taker lots over (now - window, now]."""
        raise NotImplementedError

    def volume(self, k: int, window_ns: int) -> int:
        """Return the traded lots over (now - window, now]."""
        raise NotImplementedError

    def vwap(self, k: int, window_ns: int) -> float | None:
        """Return the volume-weighted price in ticks over (now - window, now]; None without trades."""
        raise NotImplementedError

    def range_high(self, k: int, from_ns: int) -> int | None:
        """Return the highest trade price since `from_ns`, inclusive."""
        raise NotImplementedError

    def range_low(self, k: int, from_ns: int) -> int | None:
        """Return the lowest trade price since `from_ns`, inclusive."""
        raise NotImplementedError

    def footprint(self, k: int, from_ns: int, low: int, high: int) -> tuple[int, int]:
        """Return the taker-bought and taker-sold lots at low <= price <= high since `from_ns`."""
        raise NotImplementedError

    def bars(self, k: int, timeframe_ns: int) -> Bars:
        """Return the closed bars as of now."""
        raise NotImplementedError

    def bound_peak(self, condition: Condition) -> int:
        """Return the running peak of an armed bound as of now."""
        raise NotImplementedError

    # -- arming ---------------------------------------------------------------------------------------------------
    def arm(self, condition: Condition, callback: Any, payload: Any, owner: Any) -> Condition:
        """Arm a condition for `owner` (None: the engine itself)."""
        self._seq += 1
        condition.seq = self._seq
        condition.callback = callback
        condition.payload = payload
        condition.owner = owner
        condition.alive = True
        self._arm(condition)
        return condition

    def arm_system(self, condition: Condition, callback: Any, payload: Any = None) -> Condition:
        """Arm a condition whose callback is called with the condition alone."""
        return self.arm(condition, callback, payload, None)

    def disarm(self, condition: Condition | Timer) -> None:
        """Disarm a condition or timer; nothing happens where it has fired."""
        if condition.alive:
            condition.alive = False
            if type(condition) is Condition:
                self._disarm(condition)

    def arm_bound(self, bound: Bound, condition: Condition, callback: Any) -> Condition:
        """Arm a bound. Its running peak starts at the larger of `bound.peak` and the sum as of now."""
        condition.extra = bound
        if bound.bps:
            now2 = bound.const + sum(weight * self.value2(k) for k, weight in bound.weights.items())
            bound.peak = max(bound.peak, now2)
        return self.arm_system(condition, callback, bound)

    # -- timers ---------------------------------------------------------------------------------------------------
    def at(self, ts_ns: int, callback: Any, payload: Any, owner: Any, period: int = 0) -> Timer:
        """Call back at a time, but not before the next nanosecond."""
        self._seq += 1
        timer = Timer(callback, payload, owner, period)
        heappush(self._timers, (max(ts_ns, self.now + 1), self._seq, timer))
        return timer

    def at_system(self, ts_ns: int, callback: Any, payload: Any = None) -> Timer:
        """Call `callback(timer)` at a time."""
        return self.at(ts_ns, callback, payload, None)

    def _run_timer(self, ts_ns: int) -> None:
        timer = heappop(self._timers)[2]
        if not timer.alive:
            return
        if timer.period:
            self._seq += 1
            heappush(self._timers, (ts_ns + timer.period, self._seq, timer))
        else:
            timer.alive = False
        self._call(timer)

    # -- dispatch -------------------------------------------------------------------------------------------------
    def _fire(self, condition: Condition) -> None:
        """Run what is due; a resting order is executed, anything else is spent and called back."""
        if not condition.alive:
            return
        if condition.kind == REST:
            lots, queue = condition.state
            self.venue.rest_executed(condition.extra, lots, queue)
            return
        condition.alive = False
        self._call(condition)

    def _call(self, hit: Condition | Timer) -> None:
        owner = hit.owner
        if owner is None:
            hit.callback(hit)
        else:
            self.fires += 1
            owner.call(hit.callback, hit)

    # -- the account ----------------------------------------------------------------------------------------------
    def value2(self, k: int) -> int:
        """Return twice the price that values instrument k as of now; 0 before any price is known."""
        rank, column, factor = self._values[k]
        if factor == 2 and self.layout.keys[rank][1] is StreamKind.MARK:
            return 2 * (self.latest(rank, "price") or 0)
        quote = self.quote(k)
        if quote is None:
            return 0
        return quote[0] + quote[1] if factor == 1 else 2 * quote[0]

    def _begin(self) -> None:
        for k, instrument in enumerate(self.layout.instruments):
            rank = self.layout.rank(k, StreamKind.FUNDING)
            if instrument.is_perp and rank != NO_STREAM and self.venue.is_simulated:
                self.arm_system(any_event(rank), self._settle_funding, k)
            marks = self._values[k][0]
            if self.layout.keys[marks][1] is StreamKind.MARK and self.latest_ts(marks) is None:
                self._values[k] = self.layout.quoted_value(k)  # until the marks begin, bounds and worth follow the mid
                self.arm_system(any_event(marks), self._marks_begin, k)
        self.governor.begin(self)

    def _marks_begin(self, condition: Condition) -> None:
        """Value a position by the mark price from its first row on; what watches the account is armed anew."""
        k: int = condition.payload
        self._values[k] = self.layout.value_stream(k)
        self.liquidator.watch()
        self.governor.settle()

    def _settle_funding(self, condition: Condition) -> None:
        k: int = condition.payload
        self.arm_system(any_event(condition.rank), self._settle_funding, k)
        lots, slot = self.account.lots[k], self.account.owner[k]
        if not lots or slot == NOBODY:
            return
        rate = self.latest(condition.rank, "rate_e8") or 0
        value2 = self.value2(k)
        # longs pay a positive rate; the floor rounds what we receive down and what we pay up
        amount = -lots * self.account.units[k] * value2 * rate // (2 * RATE_SCALE)
        self.account.pay(slot, amount)
        instrument = self.layout.instruments[k]
        self.record.paid(FundingPayment(self.now, instrument.id, self.phase_of(slot), lots, value2 // 2, rate, Money(amount)))
        self.liquidator.watch()
        self.governor.settle()

    def phase_of(self, slot: int) -> Any:
        """Return the phase id of a slot."""
        return self.slots[slot]

    slots: tuple[Any, ...] = ()

    # -- the run --------------------------------------------------------------------------------------------------
    def run(self, start_ns: int | None = None, end_ns: int | None = None) -> "Engine":
        """Process all events with start <= time <= end; what lies before the start is history that look-ups see."""
        raise NotImplementedError


END_OF_TIME = NEVER
