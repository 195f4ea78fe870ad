"""The simulated venue: what becomes of an approved order.

An order reaches the book `latency_ns` after it was sent. A market order walks the recorded depth (or takes the best price plus the configured
slippage where the tape has no depth). A limit order that crosses takes; one that rests waits behind the queue that was displayed at its price, is
filled by prints that eat through that queue, wholly by a print beyond its price or by a quote of the other side that reaches it. An order that a
print triggers trades no better than that print. Protective stops and targets come into being with the first fill of their entry, cover the whole
position, cancel each other and end with it, as venues attach them; so do resting reduce-only orders.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from titan_core.engine.conditions import LEVEL, REST, Condition, Timer
from titan_core.engine.layout import NO_STREAM
from titan_core.engine.venue import CANCELLED, EXPIRED, OPEN, PENDING, REJECTED, Protection, Venue, VenueDesk, WorkingOrder
from titan_core.model.enums import Liquidity, OrderType, StreamKind, TimeInForce
from titan_core.model.order import Approved
from titan_core.model.units import PPM

if TYPE_CHECKING:
    from titan_core.engine.core import Engine


class SimVenue(Venue):
    """Carries out orders against the tape. Everything it decides follows from look-ups and conditions of its engine."""

    def __init__(self, engine: "Engine", latency_ns: int, slippage_ticks: int) -> None:
        """Latency is at least one nanosecond: an order never meets the event that caused it."""
        super().__init__(engine)
        self.latency_ns = max(1, latency_ns)
        self.slippage_ticks = slippage_ticks
        instruments = engine.layout.instruments
        self._deep = {k for k in range(len(instruments)) if engine.layout.rank(k, StreamKind.DEPTH) != NO_STREAM}
        self._terms = [(i.money_per_tick_lot * i.maker_fee_ppm, i.money_per_tick_lot * i.taker_fee_ppm) for i in instruments]

    # -- commands -------------------------------------------------------------------------------------------------
    def submit(self, approved: Approved, desk: Any, k: int) -> WorkingOrder:
        """Send an approved order; it reaches the book after the latency."""
        order = WorkingOrder(approved.intent.client_order_id, approved.intent, approved.signed_lots, k, desk)
        self.working[order.client_order_id] = order
        self.engine.at_system(self.engine.now + self.latency_ns, self._arrive, order)
        return order

    def cancel(self, order: WorkingOrder) -> None:
        """Send a cancel; it reaches the book after the latency, and a fill may come first."""
        if order.is_live:
            self.engine.at_system(self.engine.now + self.latency_ns, self._cancel_arrives, order)

    def protect(self, k: int, desk: Any, stop: int | None, target: int | None) -> None:
        """Set the protective stop and target of the open position in instrument k."""
        current = self.protection.get(k)
        if current is None:
            current = self.protection[k] = Protection(desk, None, None)
        current.desk = desk
        position = self.engine.account.lots[k]
        if stop != current.stop or current.condition is None:
            if current.condition is not None:
                self.engine.disarm(current.condition)
                current.condition = None
            if stop is not None:
                rank = self.engine.layout.require(k, StreamKind.TRADE)
                current.condition = self.engine.arm_system(Condition(LEVEL, rank, 0, position < 0, stop), self._stop_hit, k)
            current.stop = stop
        current.target = target
        self._place_target(k, current, position)

    def release(self, k: int) -> None:
        """Withdraw the protective orders of instrument k, at once: they live at the venue and end with the position."""
        protection = self.protection.pop(k, None)
        if protection is None:
            return
        if protection.condition is not None:
            self.engine.disarm(protection.condition)
        if protection.target_order is not None and protection.target_order.is_live:
            self._close(protection.target_order, CANCELLED)

    def _position_ended(self, k: int) -> None:
        """Withdraw what existed for the sake of a position that has been closed or turned over: its protection and its resting exits."""
        self.release(k)
        for order in list(self.working.values()):
            if order.k == k and order.intent.reduce_only and order.is_live and (order.rest is not None or order.trigger is not None):
                self._close(order, CANCELLED)

    # -- the book -------------------------------------------------------------------------------------------------
    def _arrive(self, timer: Timer) -> None:
        order: WorkingOrder = timer.payload
        if order.status is not PENDING:
            return
        quote = self.engine.quote(order.k)
        if quote is None:
            self._close(order, REJECTED)
            return
        if order.intent.reduce_only and not self._clip(order):
            self._close(order, CANCELLED)
            return
        kind = order.intent.order_type
        if kind is OrderType.MARKET and order.k not in self._deep:
            price = quote[1] + self.slippage_ticks if order.sign > 0 else quote[0] - self.slippage_ticks
            self._execute(order, order.leaves_lots, price, Liquidity.TAKER)
        elif kind is OrderType.MARKET:
            self._take(order, None)
        elif kind is OrderType.LIMIT:
            self._limit_arrives(order)
        else:
            order.status = OPEN
            trigger = order.intent.trigger
            assert trigger is not None
            rising = (order.sign > 0) == (kind is OrderType.STOP)
            rank = self.engine.layout.require(order.k, StreamKind.TRADE)
            order.trigger = self.engine.arm_system(Condition(LEVEL, rank, 0, rising, trigger), self._triggered, order)

    def _limit_arrives(self, order: WorkingOrder) -> None:
        limit, tif = order.intent.limit, order.intent.time_in_force
        quote = self.engine.quote(order.k)
        assert limit is not None and quote is not None
        if limit >= quote[1] if order.sign > 0 else limit <= quote[0]:
            if order.intent.post_only:
                self._close(order, REJECTED)
                return
            if tif is TimeInForce.FOK and sum(lots for lots, _ in self._sweep(order, limit)) < order.leaves_lots:
                self._close(order, EXPIRED)
                return
            self._take(order, limit)
        if not order.is_live:
            return
        if tif is not TimeInForce.GTC:
            self._close(order, EXPIRED)
            return
        self._rest(order, limit, quote)

    def _rest(self, order: WorkingOrder, limit: int, quote: tuple[int, int, int, int]) -> None:
        if order.status is PENDING:
            order.status = OPEN
        order.queue = self._queue_ahead(order, limit, quote) + self._own_ahead(order, limit)
        rank = self.engine.layout.require(order.k, StreamKind.TRADE)
        rest = order.rest = Condition(REST, rank, 0, order.sign < 0, limit)
        rest.extra = order
        self.engine.arm_system(rest, None, order)

    def _queue_ahead(self, order: WorkingOrder, limit: int, quote: tuple[int, int, int, int]) -> int:
        best, displayed = (quote[0], quote[2]) if order.sign > 0 else (quote[1], quote[3])
        if limit == best:
            return displayed
        if (limit > best) == (order.sign > 0):
            return 0
        levels = self.engine.depth(order.k, order.sign < 0)
        return next((lots for price, lots in levels if price == limit), displayed)

    def _own_ahead(self, order: WorkingOrder, limit: int) -> int:
        """Return our own lots that rest at the same price: a print that fills them is not there for this order too."""
        return sum(o.leaves_lots for o in self.working.values() if o.rest is not None and o.k == order.k and o.sign == order.sign and o.intent.limit == limit)

    def rest_executed(self, order: WorkingOrder, lots: int, queue: int) -> None:
        """Book an execution of a resting order; the engine found it."""
        order.queue = queue
        if order.intent.reduce_only:
            position = self.engine.account.lots[order.k]
            room = -position * order.sign
            if room <= 0:
                self._close(order, CANCELLED)
                return
            lots = min(lots, room)
        assert order.intent.limit is not None
        self._execute(order, lots, order.intent.limit, Liquidity.MAKER)
        self._stop_swept(order)

    def _stop_swept(self, order: WorkingOrder) -> None:
        """Set off the position's stop where the print that has just executed a resting order went through it as well."""
        engine, protection = self.engine, self.protection.get(order.k)
        if order.rest is None or protection is None or protection.stop is None or protection.condition is None:
            return
        rank = order.rest.rank
        price = engine.latest(rank, "price")
        if price is None or engine.latest_ts(rank) != engine.now:  # a quote executed it
            return
        if price <= protection.stop if engine.account.lots[order.k] > 0 else price >= protection.stop:
            engine.disarm(protection.condition)
            self._stop_hit(protection.condition)

    def _triggered(self, condition: Condition) -> None:
        order: WorkingOrder = condition.payload
        order.trigger = None
        if order.intent.reduce_only and not self._clip(order):
            self._close(order, CANCELLED)
            return
        self._take(order, None, self.engine.latest(condition.rank, "price"))

    def _stop_hit(self, condition: Condition) -> None:
        k: int = condition.payload
        protection = self.protection.get(k)
        if protection is None or self.engine.account.lots[k] == 0:
            return
        protection.condition = None
        self.close_position(k, OrderType.STOP, "stop", self.engine.latest(condition.rank, "price"))

    def close_position(self, k: int, kind: OrderType, tag: str, touched: int | None = None) -> None:
        """Close the position in instrument k at market, now: the venue does it by itself, without latency. `touched` is the print that made it."""
        protection = self.protection.get(k)
        if protection is None:
            slot = self.engine.account.owner[k]
            protection = Protection(VenueDesk(self.engine.phase_of(slot), slot), None, None)
        self._take(self._protective(k, protection, -self.engine.account.lots[k], kind, None, tag), None, touched)

    def _place_target(self, k: int, protection: Protection, position: int) -> None:
        old = protection.target_order
        if old is not None and old.is_live:
            if old.intent.limit == protection.target and old.signed_leaves == -position:
                return
            self._close(old, CANCELLED)
        protection.target_order = None
        if protection.target is None:
            return
        order = self._protective(k, protection, -position, OrderType.LIMIT, protection.target, "target")
        protection.target_order = order
        self._limit_arrives(order)

    # -- executions -----------------------------------------------------------------------------------------------
    def _clip(self, order: WorkingOrder) -> bool:
        """Cut a reduce-only order to the position. Returns False where nothing is left of it."""
        room = -self.engine.account.lots[order.k] * order.sign
        if room <= 0:
            return False
        order.leaves_lots = min(order.leaves_lots, room)
        return True

    def _execute(self, order: WorkingOrder, lots: int, price: int, liquidity: Liquidity) -> None:
        maker, taker = self._terms[order.k]
        rate = maker if liquidity is Liquidity.MAKER else taker
        self._book(order, lots, price, -(-lots * price * rate // PPM), liquidity)  # the fee is rounded against us, as Instrument.fee does

    def _take(self, order: WorkingOrder, limit: int | None, touched: int | None = None) -> None:
        for lots, price in list(self._sweep(order, limit, touched)):
            if not order.leaves_lots or not order.is_live:
                return
            if order.intent.reduce_only and not self._clip(order):
                self._close(order, CANCELLED)
                return
            self._execute(order, min(lots, order.leaves_lots), price, Liquidity.TAKER)

    def _sweep(self, order: WorkingOrder, limit: int | None, touched: int | None = None) -> Iterator[tuple[int, int]]:
        """Yield (lots, price) of the levels that a taker order would take now, best first, not beyond `limit`.

        A print at `touched` that triggered the order is newer than the quote: what the quote shows on the better side of it is gone.
        """
        quote = self.engine.quote(order.k)
        assert quote is not None
        sign, left = order.sign, order.leaves_lots
        best, displayed = (quote[1], quote[3]) if sign > 0 else (quote[0], quote[2])
        slip = sign * self.slippage_ticks
        levels = self.engine.depth(order.k, sign > 0)
        if touched is not None and (touched - best) * sign > 0:
            best, displayed = touched, next((lots for price, lots in levels if price == touched), 0)
        price = best
        if levels:
            beyond = [(p, lots) for p, lots in levels if (p - best) * sign > 0 and lots > 0]
            for price, lots in [(best, displayed), *beyond]:
                if limit is not None and (price - limit) * sign > 0:
                    return
                taken = min(left, lots)
                if taken:
                    yield taken, price
                left -= taken
                if not left:
                    return
        price += slip
        yield left, price if limit is None or (limit - price) * sign > 0 else limit

    def _cancel_arrives(self, timer: Timer) -> None:
        if timer.payload.is_live:
            self._close(timer.payload, CANCELLED)
