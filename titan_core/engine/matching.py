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
from titan_core.model.enums import Liquidity, OrderType, StreamKind, TimeInForce
from titan_core.model.fill import Fill
from titan_core.model.ids import ClientOrderId, StrategyId
from titan_core.model.order import Approved, Intent, OrderStatus
from titan_core.model.units import PPM, Money

if TYPE_CHECKING:
    from titan_core.engine.core import Engine

PENDING, OPEN, PARTIAL = OrderStatus.PENDING, OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED
FILLED, CANCELLED, REJECTED, EXPIRED = OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED
LIVE = frozenset((PENDING, OPEN, PARTIAL))


class WorkingOrder:
    """An order on its way, in the book, or done."""

    __slots__ = ("attached", "client_order_id", "desk", "intent", "k", "leaves_lots", "lots", "protective", "queue", "rest", "sign", "status", "trigger")

    def __init__(self, client_order_id: ClientOrderId, intent: Intent, signed_lots: int, k: int, desk: Any, protective: bool = False) -> None:
        """Make an order that has not been sent yet."""
        self.client_order_id = client_order_id
        self.intent = intent
        self.k = k
        self.desk = desk
        self.sign = 1 if signed_lots > 0 else -1
        self.lots = abs(signed_lots)
        self.leaves_lots = self.lots
        self.status = PENDING
        self.queue = 0
        self.rest: Condition | None = None
        self.trigger: Condition | None = None
        self.protective = protective
        self.attached = False
        """Whether its stop and target have been attached to the position."""

    @property
    def is_live(self) -> bool:
        """Whether it may still be executed."""
        return self.status in LIVE

    @property
    def signed_leaves(self) -> int:
        """Lots not yet executed, signed like the order."""
        return self.leaves_lots * self.sign

    def __repr__(self) -> str:
        return f"<{self.client_order_id} {self.status} {self.sign * self.lots} leaves {self.leaves_lots}>"


class VenueDesk:
    """The desk of an order that the venue places by itself on a position without protection."""

    def __init__(self, phase: Any, slot: int) -> None:
        """Book executions on `slot`."""
        self.phase = phase
        self.slot = slot
        self.strategy_id = StrategyId("venue")

    def filled(self, order: "WorkingOrder", fill: Fill, flat: bool) -> None:
        """Nobody is told."""

    def order_closed(self, order: "WorkingOrder") -> None:
        """Nobody is told."""


class Protection:
    """The stop and target that cover one position."""

    __slots__ = ("condition", "desk", "stop", "target", "target_order")

    def __init__(self, desk: Any, stop: int | None, target: int | None) -> None:
        """Describe it; the venue arms it."""
        self.desk = desk
        self.stop = stop
        self.target = target
        self.condition: Condition | None = None
        self.target_order: WorkingOrder | None = None


class SimVenue:
    """Carries out orders against the tape. Everything it decides follows from look-ups and conditions of its engine."""

    def __init__(self, engine: "Engine", latency_ns: int, slippage_ticks: int) -> None:
        """Latency is at least one nanosecond: an order never meets the event that caused it."""
        self.engine = engine
        self.latency_ns = max(1, latency_ns)
        self.slippage_ticks = slippage_ticks
        self.working: dict[ClientOrderId, WorkingOrder] = {}
        self.protection: dict[int, Protection] = {}
        self._protective_ids = 0
        instruments = engine.layout.instruments
        self._deep = {k for k in range(len(instruments)) if engine.layout.rank(k, StreamKind.DEPTH) != NO_STREAM}
        self._terms = [(i.id, i.money_per_tick_lot * i.maker_fee_ppm, i.money_per_tick_lot * i.taker_fee_ppm) for i in instruments]

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

    def close_all(self) -> None:
        """Withdraw every order that is not a protective stop, at once."""
        for order in list(self.working.values()):
            if order.is_live:
                self._close(order, CANCELLED)

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

    def _protective(self, k: int, protection: Protection, signed_lots: int, kind: OrderType, limit: int | None, tag: str) -> WorkingOrder:
        self._protective_ids += 1
        desk = protection.desk
        ident = ClientOrderId(f"{desk.phase}.{tag}.{self._protective_ids}")
        intent = Intent(
            client_order_id=ident,
            phase=desk.phase,
            strategy=desk.strategy_id,
            instrument=self.engine.layout.instruments[k],
            signed_lots=signed_lots,
            order_type=kind,
            limit=limit,
            trigger=protection.stop if kind is OrderType.STOP else None,
            reduce_only=True,
            tag=tag,
        )
        order = WorkingOrder(ident, intent, signed_lots, k, desk, protective=True)
        order.status = OPEN
        self.working[ident] = order
        return order

    # -- executions -----------------------------------------------------------------------------------------------
    def _clip(self, order: WorkingOrder) -> bool:
        """Cut a reduce-only order to the position. Returns False where nothing is left of it."""
        room = -self.engine.account.lots[order.k] * order.sign
        if room <= 0:
            return False
        order.leaves_lots = min(order.leaves_lots, room)
        return True

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

    def _execute(self, order: WorkingOrder, lots: int, price: int, liquidity: Liquidity) -> None:
        engine, k, desk = self.engine, order.k, order.desk
        name, maker, taker = self._terms[k]
        signed = lots * order.sign
        before = engine.account.lots[k]
        fee = Money(-(-lots * price * (maker if liquidity is Liquidity.MAKER else taker) // PPM))  # as Instrument.fee: rounded against us
        slot = engine.account.owner[k] if before and order.intent.reduce_only else desk.slot
        engine.account.trade(slot, k, signed, price, fee)
        order.leaves_lots -= lots
        if order.leaves_lots:
            order.status = PARTIAL
        else:
            order.status = FILLED
            self._leave_book(order)
        fill = Fill(engine.now, name, desk.phase, desk.strategy_id, order.client_order_id, signed, price, fee, liquidity, order.intent.tag)
        engine.record.fill(fill, engine.account.cash)
        position = engine.account.lots[k]
        if position == 0 or before * position < 0:
            self._position_ended(k)
        if position and not order.protective:
            self._protect_after(order, position)
        engine.liquidator.watch()
        engine.governor.settle()
        desk.filled(order, fill, position == 0)

    def _protect_after(self, order: WorkingOrder, position: int) -> None:
        """Bring the position's protection in line after one of the strategy's own orders was executed."""
        current = self.protection.get(order.k)
        increases = (position > 0) == (order.sign > 0)
        has_protection = order.intent.stop is not None or order.intent.target is not None
        if increases and has_protection and (current is None or not order.attached):
            order.attached = True
            # a second entry may tighten the stop of what is held already, never loosen it
            stops = [stop for stop in (order.intent.stop, current.stop if current is not None else None) if stop is not None]
            stop = (max(stops) if position > 0 else min(stops)) if stops else None
            target = order.intent.target
            if target is None and current is not None:
                target = current.target
            self.protect(order.k, order.desk, stop, target)
        elif current is not None:
            self.protect(order.k, current.desk, current.stop, current.target)

    def _cancel_arrives(self, timer: Timer) -> None:
        if timer.payload.is_live:
            self._close(timer.payload, CANCELLED)

    def _leave_book(self, order: WorkingOrder) -> None:
        self.working.pop(order.client_order_id, None)
        if order.rest is not None:
            self.engine.disarm(order.rest)
        if order.trigger is not None:
            self.engine.disarm(order.trigger)

    def _close(self, order: WorkingOrder, status: OrderStatus) -> None:
        order.status = status
        self._leave_book(order)
        self.engine.record.closed(self.engine.now, order)
        self.engine.governor.order_closed(order)
        order.desk.order_closed(order)
