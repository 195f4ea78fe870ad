"""The market as one strategy sees it: arms conditions, sets timers, turns wishes into intents.

A desk belongs to one activation of one strategy. It is the `Market` of titan_core.ports.
"""

from collections.abc import Sequence
from functools import cached_property
from operator import index
from typing import TYPE_CHECKING, Any

from titan_core.engine.conditions import Condition, Timer
from titan_core.engine.handles import InstrumentHandle, PairHandle
from titan_core.errors import StrategyError, TitanError
from titan_core.model.enums import OrderType, TimeInForce
from titan_core.model.fill import Fill
from titan_core.model.ids import ClientOrderId, PhaseId
from titan_core.model.order import Intent, Refused
from titan_core.ports import Strategy

if TYPE_CHECKING:
    from titan_core.engine.core import Engine
    from titan_core.engine.venue import WorkingOrder


def whole(value: Any, what: str) -> int:
    """Return a whole number as int. Raises StrategyError for any other: indicators are floats, and half a tick has no meaning on the grid."""
    if type(value) is int:
        return value
    try:
        return index(value)
    except TypeError:
        raise StrategyError(f"{what} must be a whole number, found {value!r}; round it first, down or up as the order's side demands") from None


class Desk:
    """One activation of one strategy; implements `titan_core.ports.Market`."""

    def __init__(self, engine: "Engine", phase: PhaseId, slot: int, strategy: Any, serial: int = 1) -> None:
        """Bind a strategy to slot `slot` of the account. `serial` counts the activations, so that order ids never repeat."""
        self.engine = engine
        self.phase = phase
        self.slot = slot
        self.strategy = strategy
        self.strategy_id = strategy.id
        self.open = True
        self.retired = False
        self._orders = 0
        self._prefix = f"{phase}.{strategy.id}.{serial}."
        self._armed: dict[int, Condition] = {}
        kind = type(strategy)
        self._hears_fills = kind.on_fill is not Strategy.on_fill
        self._hears_flat = kind.on_flat is not Strategy.on_flat
        self._hears_closed = kind.on_order_closed is not Strategy.on_order_closed
        self._timers: list[Timer] = []
        self._handles = [InstrumentHandle(engine, k, slot) for k in range(len(engine.layout.instruments))]
        place = engine.layout.place
        self.pairs: Sequence[PairHandle] = [PairHandle(engine, self._handles[place[p.spot]], self._handles[place[p.perp]]) for p in engine.layout.pairs]

    # -- what the strategy calls ----------------------------------------------------------------------------------
    @property
    def now_ns(self) -> int:
        """Time of the event being processed."""
        return self.engine.now

    @property
    def instruments(self) -> Sequence[InstrumentHandle]:
        """All instruments of the run."""
        return self._handles

    @cached_property
    def spot(self) -> InstrumentHandle:
        """Spot leg of the first pair."""
        return self._first_pair().spot

    @cached_property
    def perp(self) -> InstrumentHandle:
        """Perpetual leg of the first pair; the first perpetual where there is no pair."""
        if not self.pairs:
            for handle in self._handles:
                if handle.spec.is_perp:
                    return handle
        return self._first_pair().perp

    def _first_pair(self) -> PairHandle:
        if not self.pairs:
            have = ", ".join(str(handle.spec.id) for handle in self._handles)
            raise StrategyError(f"this run has no pair of a spot instrument and a perpetual on the same coin; it has {have}")
        return self.pairs[0]

    def arm(self, condition: Condition, callback: Any, payload: Any = None) -> Condition:
        """Arm a condition; it sees only later events. Raises StrategyError unless its level is a whole number of ticks or lots."""
        if type(condition.level) is not int or type(condition.window) is not int:
            condition.level, condition.window = whole(condition.level, "the level of a condition"), whole(condition.window, "the window of a condition")
        if self.retired:
            return condition
        self.engine.arm(condition, callback, payload, self)
        armed = self._armed
        armed[condition.seq] = condition
        if len(armed) > 4096:
            self._armed = {seq: c for seq, c in armed.items() if c.alive}
        return condition

    def disarm(self, condition: Condition | Timer) -> None:
        """Disarm a condition or timer."""
        self.engine.disarm(condition)

    def at(self, ts_ns: int, callback: Any, payload: Any = None) -> Timer:
        """Call back at a time."""
        return self._remember(self.engine.at(whole(ts_ns, "the time of a timer in ns"), callback, payload, self))

    def after(self, delay_ns: int, callback: Any, payload: Any = None) -> Timer:
        """Call back after a delay."""
        return self.at(self.engine.now + delay_ns, callback, payload)

    def every(self, period_ns: int, callback: Any, payload: Any = None) -> Timer:
        """Call back at every multiple of the period since 1970."""
        if whole(period_ns, "the period of a timer in ns") <= 0:
            raise StrategyError(f"a timer needs a period above 0 ns, found {period_ns}")
        first = (self.engine.now // period_ns + 1) * period_ns
        return self._remember(self.engine.at(first, callback, payload, self, period_ns))

    def _remember(self, timer: Timer) -> Timer:
        if self.retired:
            timer.alive = False
            return timer
        self._timers.append(timer)
        if len(self._timers) > 256:
            self._timers = [t for t in self._timers if t.alive]
        return timer

    def budget(self, instrument: InstrumentHandle | None = None) -> Any:
        """What this phase may use now; in one instrument, where it is given."""
        return self.engine.governor.budget(self, instrument.spec if instrument else None)

    def enter(
        self,
        instrument: InstrumentHandle,
        signed_lots: int,
        *,
        stop: int | None = None,
        target: int | None = None,
        limit: int | None = None,
        trigger: int | None = None,
        post_only: bool = False,
        time_in_force: TimeInForce = TimeInForce.GTC,
        tag: str = "",
    ) -> "WorkingOrder | Refused":
        """Ask to open or increase a position. Raises StrategyError where the order has no meaning."""
        if limit is not None and trigger is not None:
            raise StrategyError(f"an entry has a limit or a trigger, not both; found limit {limit} and trigger {trigger}")
        limit, trigger, stop, target = self._prices(instrument, limit, trigger, stop, target)
        kind = OrderType.LIMIT if limit is not None else OrderType.STOP if trigger is not None else OrderType.MARKET
        intent = Intent(
            client_order_id=self._next_id(),
            phase=self.phase,
            strategy=self.strategy_id,
            instrument=instrument.spec,
            signed_lots=whole(signed_lots, "the size of an order in lots"),
            order_type=kind,
            limit=limit,
            trigger=trigger,
            stop=stop,
            target=target,
            post_only=post_only,
            time_in_force=time_in_force,
            tag=tag,
        )
        result = self._ask((intent,), (instrument.k,))
        return result if isinstance(result, Refused) else result[0]

    def enter_pair(self, pair: PairHandle, signed_spot_lots: int, signed_perp_lots: int, *, tag: str = "") -> "tuple[WorkingOrder, WorkingOrder] | Refused":
        """Ask for two market legs that are approved or refused whole."""
        word = self._next_id()
        legs = tuple(
            Intent(
                client_order_id=ClientOrderId(f"{word}{letter}"),
                phase=self.phase,
                strategy=self.strategy_id,
                instrument=leg.spec,
                signed_lots=whole(lots, "the size of an order in lots"),
                tag=tag,
                pair=word,
            )
            for letter, leg, lots in (("s", pair.spot, signed_spot_lots), ("p", pair.perp, signed_perp_lots))
        )
        result = self._ask(legs, (pair.spot.k, pair.perp.k))
        return result if isinstance(result, Refused) else (result[0], result[1])

    def exit(
        self, instrument: InstrumentHandle, *, lots: int | None = None, limit: int | None = None, post_only: bool = False, tag: str = ""
    ) -> "WorkingOrder | Refused":
        """Ask to reduce the position; never increases or flips it."""
        position = instrument.position()
        size = abs(position) if lots is None else whole(lots, "the size of an order in lots")
        (limit,) = self._prices(instrument, limit)
        intent = Intent(
            client_order_id=self._next_id(),
            phase=self.phase,
            strategy=self.strategy_id,
            instrument=instrument.spec,
            signed_lots=-size if position > 0 else size,
            order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
            limit=limit,
            reduce_only=True,
            post_only=post_only,
            tag=tag,
        )
        result = self._ask((intent,), (instrument.k,))
        return result if isinstance(result, Refused) else result[0]

    def protect(self, instrument: InstrumentHandle, *, stop: int | None, target: int | None = None) -> bool:
        """Replace the protective stop and target of the open position."""
        account, k = self.engine.account, instrument.k
        if not account.lots[k] or account.owner[k] != self.slot:
            return False
        stop, target = self._prices(instrument, stop, target)
        if not self.engine.governor.may_protect(self, k, stop):
            return False
        self.engine.venue.protect(k, self, stop, target)
        return True

    def cancel(self, order: "WorkingOrder") -> None:
        """Ask the venue to cancel."""
        self.engine.venue.cancel(order)

    def note(self, text: str) -> None:
        """Write a line into the run's record."""
        self.engine.record.note(self.engine.now, f"{self.phase}.{self.strategy_id}", text)

    # -- what the engine calls ------------------------------------------------------------------------------------
    def _next_id(self) -> ClientOrderId:
        self._orders += 1
        return ClientOrderId(f"{self._prefix}{self._orders}")

    def _prices(self, instrument: InstrumentHandle, *prices: int | None) -> list[int | None]:
        """Check the prices of an order. Only prints show whether they are reached, so an instrument without prints takes market orders alone."""
        checked = [price if price is None or type(price) is int else whole(price, "the price of an order in ticks") for price in prices]
        if checked.count(None) < len(checked):
            instrument.require_trades()
        return checked

    def _ask(self, intents: tuple[Intent, ...], places: tuple[int, ...]) -> "list[WorkingOrder] | Refused":
        engine = self.engine
        decision = engine.governor.approve(intents)
        if isinstance(decision, Refused):
            engine.record.refused(engine.now, decision)
            return decision
        orders = []
        for approved, k in zip(decision, places, strict=True):
            engine.record.approved(engine.now, approved)
            orders.append(engine.venue.submit(approved, self, k))
        return orders

    def call(self, callback: Any, *arguments: Any) -> None:
        """Run a callback of the strategy in isolation: what it raises goes to the Brain, not through the engine."""
        if not self.open:
            return
        engine = self.engine
        previous, engine.active = engine.active, self
        engine.calls += 1
        try:
            callback(self, *arguments)
        except TitanError as error:
            if error.aborts:
                raise
            engine.governor.fault(self, error)
        except (Exception, SystemExit, GeneratorExit) as error:  # a plugin may raise anything; only this phase pays for it
            engine.governor.fault(self, error)
        finally:
            engine.active = previous

    def filled(self, order: "WorkingOrder", fill: Fill, flat: bool) -> None:
        """Tell the strategy about an execution."""
        if self._hears_fills:
            self.call(self.strategy.on_fill, order, fill)
        if flat and self._hears_flat:
            self.call(self.strategy.on_flat, self._handles[order.k])

    def order_closed(self, order: "WorkingOrder") -> None:
        """Tell the strategy about an order that ended without being filled completely."""
        if self._hears_closed and not order.protective:
            self.call(self.strategy.on_order_closed, order)

    def retire(self) -> None:
        """Disarm everything the strategy armed: its phase has left. What it arms from now on stays unarmed."""
        self.retired = True
        for condition in self._armed.values():
            self.engine.disarm(condition)
        self._armed.clear()
        for timer in self._timers:
            timer.alive = False
        self._timers.clear()
