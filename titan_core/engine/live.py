"""The per-event form, for paper and live: one step of plain Python per market event, cheap while nothing is due.

It takes in what the reference takes in and decides what the reference decides, but looks at nothing that cannot be due. Each searched column keeps
its armed levels in two heaps, and an event is compared with the nearest level of each side only. A resting order is such a level too: no trade
short of its price and no quote of the other side short of it can execute it. A bound keeps its running sum and is looked at when its price has changed.

The caller makes times unique and increasing. Events of a basis stream are worked out here, right after the quote that causes them.
"""

from collections.abc import Callable
from typing import Any

from titan_core.engine.conditions import BOUND, FLOW, REST, TRAIL, WHERE, Bound, Condition
from titan_core.engine.core import Governor, span
from titan_core.engine.layout import NO_STREAM, Layout
from titan_core.engine.nearest import BoundLeg, BoundWatch, LevelSide
from titan_core.engine.predicates import plain
from titan_core.engine.recent import Recent, Values
from titan_core.errors import TapeError
from titan_core.model.enums import StreamKind
from titan_core.model.units import INT32_MAX, NEVER
from titan_core.tape.columns import SPECS
from titan_core.tape.tape import Tape, tick_units

Handler = Callable[[int, Values], None]
BID, ASK, MID2 = 0, 1, 2


class PerEvent(Recent):
    """Event by event. `warm` what is history, `start`, then call `on_event` for each event, `advance` when the market is silent, `finish`."""

    form = "per-event"
    on_event: Callable[[int, int, Values], None]
    """`on_event(ts_ns, rank, values)` takes in one event: `values` are the raw columns after `ts`. Raises TapeError unless `ts_ns` is later than the
    event before and no earlier than the time advanced to. Basis events are not fed."""

    def __init__(self, layout: Layout, governor: Governor, **settings: Any) -> None:
        """Prepare a run over the streams of `layout`; the settings are those of Recent and of Engine."""
        super().__init__(layout, governor, **settings)
        count = len(layout.keys)
        self._started = False
        self._floor = -NEVER
        self._near: list[list[int]] = [[NEVER, -NEVER] * max(1, len(SPECS[kind].searched)) for _, kind in layout.keys]
        self._sides: list[list[LevelSide]] = [[] for _ in range(count)]
        self._side_of: dict[tuple[int, int, bool], LevelSide] = {}
        self._others: list[list[Condition]] = [[] for _ in range(count)]
        self._legs: list[list[BoundLeg]] = [[] for _ in range(count)]
        self._derived: list[list[Callable[[int], None]]] = [[] for _ in range(count)]
        for pair in layout.pairs:
            rank = layout.ranks.get((pair.perp, StreamKind.BASIS), NO_STREAM)
            if rank != NO_STREAM:
                self._derive(rank, pair.spot, pair.perp)
        self._handlers = [self._handler(rank, kind) for rank, (_, kind) in enumerate(layout.keys)]
        self.on_event = self._dispatcher()

    # -- what the driver calls ------------------------------------------------------------------------------------
    def warm(self, ts_ns: int, rank: int, values: Values) -> None:
        """Take in an event of the time before the start: look-ups will see it."""
        if self._started:
            raise TapeError("history must be fed before the start")
        self.on_event(ts_ns, rank, values)

    def start(self, now_ns: int) -> "PerEvent":
        """Start the strategies as of `now_ns`; the first event must be later."""
        if self._started or now_ns < self.now:
            raise TapeError(f"cannot start at {now_ns}: " + ("the run has started" if self._started else f"history reaches to {self.now}"))
        self._started = True
        self.now = now_ns
        self._floor = now_ns + 1
        self.on_event = self._dispatcher()
        self._begin()
        return self

    def advance(self, ts_ns: int) -> None:
        """Run the timers up to and including `ts_ns` while no event comes. Events at `ts_ns` itself may still follow."""
        self._run_timers(ts_ns)
        if ts_ns > self.now:
            self.now = ts_ns

    def finish(self, ts_ns: int) -> "PerEvent":
        """End the run at `ts_ns`."""
        self.advance(ts_ns)
        return self

    # -- the way of one event -------------------------------------------------------------------------------------
    def _dispatcher(self) -> Callable[[int, int, Values], None]:
        """Make `on_event`: a closure over what it needs, because attributes cost more than the comparisons."""
        engine, handlers, timers, run_timers = self, self._handlers, self._timers, self._run_timers
        floor = self._floor

        def on_event(ts_ns: int, rank: int, values: Values) -> None:
            nonlocal floor
            if ts_ns < floor or ts_ns < engine.now:
                reached = max(floor - 1, engine.now)
                raise TapeError(f"event of stream {rank} at {ts_ns} comes after {reached} has been processed; the receiving side makes times unique")
            floor = ts_ns + 1
            if timers and timers[0][0] <= ts_ns:
                run_timers(ts_ns)
            engine.now = ts_ns
            handlers[rank](ts_ns, values)

        return on_event

    def _run_timers(self, ts_ns: int) -> None:
        timers = self._timers
        while timers and timers[0][0] <= ts_ns:
            self.now = timers[0][0]
            self.events += 1
            self._run_timer(self.now)

    def _handler(self, rank: int, kind: StreamKind) -> Handler:
        if kind is StreamKind.QUOTE:
            return self._quotes(rank)
        if kind is StreamKind.TRADE:
            return self._prints(rank)
        if kind is StreamKind.DEPTH:
            return self._books(rank)
        if kind is StreamKind.BASIS:
            return self._refuse
        return self._numbers(rank, SPECS[kind].searched[0])

    def _quotes(self, rank: int) -> Handler:
        state, seen_at, near, legs = self._state, self._seen_at, self._near[rank], self._legs[rank]
        derived, others, settle, follow = self._derived[rank], self._others[rank], self._levels_due, self._follow
        by_bid = any(self._values[k][:2] == (rank, BID) for k in range(len(self.layout.instruments)))

        def on_quote(ts_ns: int, values: Values) -> None:
            state[rank] = values
            seen_at[rank] = ts_ns
            bid, ask = values[0], values[1]
            mid2 = bid + ask
            due: list[Condition] | None = None
            if legs:
                value = bid if by_bid else mid2
                for leg in legs:
                    if leg.seen != value and leg.moved(value):
                        due = [leg.watch.condition] if due is None else [*due, leg.watch.condition]
            if others:
                follow(rank, bid, due := due or [])  # predicates: quotes have no trail and no flow
            if due or bid >= near[0] or bid <= near[1] or ask >= near[2] or ask <= near[3] or mid2 >= near[4] or mid2 <= near[5]:
                settle(rank, (bid, ask, mid2), due)
            for step in derived:
                step(mid2)

        return on_quote

    def _prints(self, rank: int) -> Handler:
        state, seen_at, near, others = self._state, self._seen_at, self._near[rank], self._others[rank]
        append, settle = self._trades[rank].append, self._trade_due

        def on_trade(ts_ns: int, values: Values) -> None:
            state[rank] = values
            seen_at[rank] = ts_ns
            price, signed = values
            append(ts_ns, price, signed)
            if others or price >= near[0] or price <= near[1]:
                settle(rank, price, signed)

        return on_trade

    def _books(self, rank: int) -> Handler:
        state, seen_at = self._state, self._seen_at

        def on_depth(ts_ns: int, values: Values) -> None:
            state[rank] = values
            seen_at[rank] = ts_ns

        return on_depth

    def _numbers(self, rank: int, column: str) -> Handler:
        """Make the handler of a stream with one searched column."""
        state, seen_at, near, legs = self._state, self._seen_at, self._near[rank], self._legs[rank]
        settle, place = self._levels_due, self._names[rank][column]

        def on_number(ts_ns: int, values: Values) -> None:
            state[rank] = values
            seen_at[rank] = ts_ns
            value = values[place]
            due = [leg.watch.condition for leg in legs if leg.seen != value and leg.moved(value)] if legs else None
            if due or value >= near[0] or value <= near[1]:
                settle(rank, (value,), due)

        return on_number

    def _refuse(self, ts_ns: int, values: Values) -> None:
        raise TapeError("events of a basis stream follow from quotes; they are not fed")

    def _derive(self, rank: int, spot: Any, perp: Any) -> None:
        """Work out a basis stream from the quotes of its legs."""
        layout, state, seen_at, near, settle = self.layout, self._state, self._seen_at, self._near[rank], self._levels_due
        spot_unit, perp_unit = tick_units(layout.instruments[layout.place[spot]], layout.instruments[layout.place[perp]])
        s2 = p2 = 0

        def emit(value: int) -> None:
            value = -INT32_MAX - 1 if value < -INT32_MAX else INT32_MAX if value > INT32_MAX else value
            state[rank] = (value,)
            seen_at[rank] = self.now
            if value >= near[0] or value <= near[1]:
                settle(rank, (value,), None)

        def spot_quoted(mid2: int) -> None:
            nonlocal s2
            s2 = mid2 * spot_unit
            if s2 and p2:
                emit((p2 - s2) * 10_000_000 // s2)

        def perp_quoted(mid2: int) -> None:
            nonlocal p2
            p2 = mid2 * perp_unit
            if s2 and p2:
                emit((p2 - s2) * 10_000_000 // s2)

        self._derived[layout.ranks[spot, StreamKind.QUOTE]].append(spot_quoted)
        self._derived[layout.ranks[perp, StreamKind.QUOTE]].append(perp_quoted)

    # -- what is due ----------------------------------------------------------------------------------------------
    def _levels_due(self, rank: int, values: tuple[int, ...], due: list[Condition] | None) -> None:
        """Run what an event of any stream but trades reaches, together with the bounds that it has moved (`due`)."""
        due = due or []
        for side in self._sides[rank]:
            side.take(values[side.column], due)
        for condition in due:
            if condition.kind == REST:  # a quote of the other side has reached it
                condition.state = (condition.extra.leaves_lots, 0)
        if due:
            self._run(rank, due)

    def _trade_due(self, rank: int, price: int, signed: int) -> None:
        """Run what a trade reaches."""
        reached: list[Condition] = []
        for side in self._sides[rank]:
            side.take(price, reached)
        due = []
        for condition in reached:
            if condition.kind != REST or self._executes(condition, price, signed):
                due.append(condition)
            else:
                self._side(rank, 0, condition.rising).push(condition)
        if self._others[rank]:
            self._follow(rank, price, due)
        if due:
            self._run(rank, due)

    def _executes(self, rest: Condition, price: int, signed: int) -> bool:
        """Whether a trade at or beyond the limit of a resting order executes it; else it has shortened the queue."""
        order = rest.extra
        if price != rest.level:
            rest.state = (order.leaves_lots, 0)
            return True
        if signed * order.sign >= 0:
            return False
        size = abs(signed)
        if size > order.queue:
            rest.state = (min(size - order.queue, order.leaves_lots), 0)
            return True
        order.queue -= size
        return False

    def _follow(self, rank: int, price: int, due: list[Condition]) -> None:
        """Move trailing stops along, measure order flow, ask predicates."""
        state, now, expired = self._state[rank] or (), self.now, []
        for c in self._others[rank]:
            if c.kind == FLOW:
                if now > c.until_ns:
                    expired.append(c)
                    continue
                total = self._trades[rank].signed_after(now - c.window)
                if total >= c.level if c.rising else total <= c.level:
                    due.append(c)
            elif c.kind == WHERE:
                if plain(c.extra)(now, *state):
                    due.append(c)
            elif c.state is None or (price > c.state if c.rising else price < c.state):
                c.state = price
            elif price <= c.state - c.window if c.rising else price >= c.state + c.window:
                due.append(c)
        for c in expired:
            self._others[rank].remove(c)

    def _run(self, rank: int, due: list[Condition]) -> None:
        """Fire what is due, in the order of arming. What has been executed in part stays armed."""
        self.events += 1
        if len(due) > 1:
            due.sort(key=_by_arming)
        for condition in due:
            if not condition.alive:
                continue
            if condition.kind != REST:
                self._forget(condition)
            self._fire(condition)
            if condition.kind == REST and condition.alive:
                self._rest_side(rank, condition).push(condition)

    # -- arming ---------------------------------------------------------------------------------------------------
    def _side(self, rank: int, column: int, rising: bool) -> LevelSide:
        side = self._side_of.get((rank, column, rising))
        if side is None:
            side = self._side_of[rank, column, rising] = LevelSide(self._near[rank], column, rising)
            self._sides[rank].append(side)
        return side

    def _rest_side(self, rank: int, condition: Condition) -> LevelSide:
        """Return where a resting order waits on a stream: the last price, or the quote of the other side."""
        if rank == condition.rank:
            return self._side(rank, 0, condition.rising)
        return self._side(rank, BID if condition.rising else ASK, condition.rising)

    def _arm(self, condition: Condition) -> None:
        kind, rank = condition.kind, condition.rank
        if kind == BOUND:
            self._arm_sum(condition)
        elif kind == REST:
            quotes = self.layout.rank(condition.extra.k, StreamKind.QUOTE)
            for stream in (rank, quotes):
                self._rest_side(stream, condition).push(condition)
        elif kind in (TRAIL, FLOW, WHERE):
            if kind == FLOW:
                self.check_window(condition.window)
            condition.state = None
            self._others[rank].append(condition)
        else:
            self._side(rank, condition.column, condition.rising).push(condition)

    def _arm_sum(self, condition: Condition) -> None:
        bound: Bound = condition.extra
        legs = []
        for k, weight in bound.weights.items():
            rank, _, factor = self._values[k]
            legs.append((rank, weight * factor, self.value2(k) // factor))
        condition.state = tuple(rank for rank, *_ in legs)
        watch = BoundWatch(condition, bound.const + sum(weight * value for _, weight, value in legs))
        for rank, weight, value in legs:
            self._legs[rank].append(BoundLeg(watch, weight, value))

    def _disarm(self, condition: Condition) -> None:
        kind, rank = condition.kind, condition.rank
        if kind == REST:
            for stream in (rank, self.layout.rank(condition.extra.k, StreamKind.QUOTE)):
                self._rest_side(stream, condition).drop(condition)
        elif kind in (BOUND, TRAIL, FLOW, WHERE):
            self._forget(condition)
        else:
            self._side(rank, condition.column, condition.rising).drop(condition)

    def _forget(self, condition: Condition) -> None:
        """Take a condition that is not in a heap off its lists."""
        if condition.kind == BOUND:
            for rank in condition.state:
                legs = self._legs[rank]
                legs[:] = [leg for leg in legs if leg.watch.condition is not condition]
        elif condition.kind in (TRAIL, FLOW, WHERE) and condition in self._others[condition.rank]:
            self._others[condition.rank].remove(condition)

    def bound_peak(self, condition: Condition) -> int:
        """See Engine.bound_peak: it is kept up to date."""
        bound: Bound = condition.extra
        return bound.peak


def _by_arming(condition: Condition) -> int:
    return condition.seq


def play(engine: PerEvent, tape: Tape, start_ns: int | None = None, end_ns: int | None = None) -> PerEvent:
    """Feed a tape to a per-event engine, as `run` of the other forms does. Raises TapeError where two events of the tape have one time."""
    from titan_core.engine.reference import stream_events

    start, last = span(tape, start_ns, end_ns)
    begun = False
    for ts, rank, _, values in stream_events(tape, engine.layout):
        if ts > last:
            break
        if engine.layout.keys[rank][1] is StreamKind.BASIS:
            continue
        if ts >= start and not begun:
            begun = True
            engine.start(start - 1)
        engine.on_event(ts, rank, values)
    if not begun:
        engine.start(start - 1)
    return engine.finish(last)
