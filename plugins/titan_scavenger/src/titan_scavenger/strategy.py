"""The trap engine: sets traps at structural levels, judges each that springs by the spot market, and looks after the one trade it may hold."""

from collections.abc import Sequence
from math import ceil
from typing import Any

from attrs import define, field

from titan_core import BPS, DayTally, Fill, InstrumentView, Market, Order, Refused, S, Strategy, StrategyError, StrategyId, TimeInForce
from titan_scavenger.config import Execution, Mode, ScavengerConfig
from titan_scavenger.flaws import choose_pair
from titan_scavenger.plan import PPM, Plan, Skip, make_plan
from titan_scavenger.tripwires import QUARTER, Cluster, Tripwires, nearest, source_names
from titan_scavenger.witness import SpotWitness

ATR_BARS = 14
TIME_STOP = "time"
EXIT_RETRY_NS = S
STOP_SLIPPAGE_BPS = 1.0
UP, DOWN = 1, -1
NEVER_WATCHED = -(1 << 62)
Trap = tuple[int, Cluster]
"""(direction of the break that springs it, the level)."""


@define(eq=False)
class Trade:
    """The one trade that may be open: from the order sent to the position flat."""

    plan: Plan
    order: Order
    lots: int = 0
    """Unsigned lots entered so far; 0 until the first fill."""
    entered: int = 0
    """Σ lots × price of the entry's fills."""
    cash: int = 0
    """Cash moved by its fills and their fees, in 1e-8 USDT: the result, once flat."""
    pending: list[Any] = field(factory=list)
    """Its time stop and its break-even condition."""


class Scavenger(Strategy):
    """Traps at structural levels of the perpetual, sprung when the spot market agrees. Holds one position at a time."""

    id = StrategyId("traps")

    def __init__(self, config: ScavengerConfig) -> None:
        """Start with no levels, no traps and no trade."""
        self.config = config
        self.tally = DayTally()
        """What became of the traps since 00:00 UTC: `sprung`, `entered`, `unfilled`, `won`, `lost` and each `Skip`. Noted and cleared every day."""
        self._follows = config.mode is not Mode.FADE
        self._fades = config.mode is not Mode.FOLLOW
        self._watch_ns = config.watch_s * S
        self._rearm_ns = config.rearm_s * S
        self._traps: dict[Trap, Any] = {}
        self._broken: dict[Trap, Any] = {}
        self._trade: Trade | None = None
        self._quiet_until = 0
        self._trades_today = 0

    # -- start ----------------------------------------------------------------------------------------------------
    def on_start(self, market: Market) -> None:
        """Choose the pair and set the first traps; note why where the run has nothing to trade on."""
        pair = choose_pair(market, self.config.coin)
        if pair is None:
            wanted = f"of {self.config.coin} " if self.config.coin else ""
            market.note(f"idle: this run has no pair of a spot instrument and a perpetual {wanted}and a break cannot be validated without spot")
            return
        try:  # ask once for everything that will be asked for later
            pair.basis(), pair.spot.volume(S), pair.perp.bars(QUARTER), pair.perp.above(1)
        except StrategyError as error:
            market.note(f"idle: {error}")
            return
        self._perp, self._spec = pair.perp, pair.perp.spec
        self._tripwires = Tripwires(self.config, self._perp)
        self._witness = SpotWitness(self.config, pair)
        if not self._witness.by_flow:
            market.note(f"{pair.spot.spec.id} carries no order flow: breaks are validated by its price instead")
        for leg in (pair.spot, pair.perp):
            self._await_gap(market, leg)
        if self._perp.position():
            market.after(self.config.max_hold_s * S, self._time_out)
        market.every(self._rearm_ns, self._rearm)
        self._rearm(market, None)

    def _await_gap(self, market: Market, leg: InstrumentView) -> None:
        try:
            market.arm(leg.next_gap(), self._after_gap, leg)
        except StrategyError:  # a recording without gaps has no stream of them
            return

    # -- traps ----------------------------------------------------------------------------------------------------
    def _rearm(self, market: Market, _: Any) -> None:
        """Compute the levels anew and move the traps, unless an open trade or a long pause makes traps useless until the next time."""
        self._reconcile(market)
        self._turn_day(market)
        now, price = market.now_ns, self._perp.last()
        if self._trade is not None or self._quiet_until >= now + self._rearm_ns:
            return
        done = self._trades_today >= self.config.max_trades_per_day
        if done or price is None or self._perp.bars(QUARTER).count < self.config.warmup_bars:
            self._set_traps(market, [])
            return
        self._witness.look()
        above, below = nearest(self._tripwires.find(now, price), price, self.config.max_traps)
        self._set_traps(market, [(UP, cluster) for cluster in above] + [(DOWN, cluster) for cluster in below])

    def _set_traps(self, market: Market, wanted: Sequence[Trap]) -> None:
        """Disarm what is no longer wanted and arm what is new; most levels stay the same from one time to the next.

        A level that is broken stays so until the price has come back, or until nobody wants it and its break is old.
        """
        traps, broken, keep = self._traps, self._broken, set(wanted)
        for trap in [trap for trap in traps if trap not in keep]:
            market.disarm(traps.pop(trap))
        for trap in [trap for trap, back in broken.items() if trap not in keep and market.now_ns - back.payload[2] > self._watch_ns]:
            market.disarm(broken.pop(trap))
        for trap in wanted:
            if trap not in traps and trap not in broken:
                direction, edge = trap[0], _edge(*trap)
                self._set(market, trap, edge + direction * max(1, int(edge * self.config.sweep_bps / BPS)))

    def _set(self, market: Market, trap: Trap, trigger: int) -> None:
        condition = self._perp.above(trigger) if trap[0] > 0 else self._perp.below(trigger)
        self._traps[trap] = market.arm(condition, self._sprung, (trap, trigger))

    def _may_enter(self, market: Market) -> bool:
        """Whether the phase is flat, rested and below its number of trades a day."""
        self._turn_day(market)
        return self._trade is None and market.now_ns >= self._quiet_until and self._trades_today < self.config.max_trades_per_day

    def _turn_day(self, market: Market) -> None:
        if self.tally.turn(market.now_ns, market.note):
            self._trades_today = 0

    def _sprung(self, market: Market, hit: Any) -> None:
        """A level was broken: follow where spot confirms, and wait for the price to come back."""
        trap, trigger = hit.payload
        del self._traps[trap]
        direction, since_ns, tally = trap[0], NEVER_WATCHED, self.tally
        tally["sprung"] += 1
        if self._may_enter(market):
            confirmed = self._witness.confirms(direction, trigger)
            if confirmed and self._follows:
                self._follow(market, trap, trigger)
            else:
                tally[Skip.CONFIRMED if confirmed else Skip.UNCONFIRMED] += 1
            if self._fades and not confirmed:
                since_ns = market.now_ns
        edge = _edge(*trap)
        inside = edge - direction * int(edge * self.config.return_bps / BPS)
        condition = self._perp.below(inside) if direction > 0 else self._perp.above(inside)
        self._broken[trap] = market.arm(condition, self._returned, (trap, trigger, since_ns))

    def _follow(self, market: Market, trap: Trap, trigger: int) -> None:
        """Trade with the break; the stop lies behind the whole level."""
        direction, price = trap[0], self._perp.last()
        if price is None or direction * (price - trigger) * BPS > trigger * self.config.max_chase_bps:
            self.tally[Skip.CHASED] += 1
            return
        self._enter(market, direction, _edge(-direction, trap[1]), f"follow {source_names(trap[1][2])}")

    def _returned(self, market: Market, hit: Any) -> None:
        """The price is back inside the level: the break has failed. Set the trap again, and fade a sweep that spot never confirmed."""
        trap, trigger, since_ns = hit.payload
        del self._broken[trap]
        self._set(market, trap, trigger)
        if market.now_ns - since_ns > self._watch_ns or not self._may_enter(market):
            return
        direction = trap[0]
        if self._witness.confirms(direction, trigger):
            self.tally[Skip.CONFIRMED] += 1
            return
        extreme = self._perp.range_high(since_ns) if direction > 0 else self._perp.range_low(since_ns)
        if extreme is not None:
            self._enter(market, -direction, extreme, f"fade {source_names(trap[1][2])}")

    def _after_gap(self, market: Market, hit: Any) -> None:
        """Data are missing: what breaks now may have broken long ago, so rest."""
        self._await_gap(market, hit.payload)
        self._pause(market, self.config.gap_pause_s)

    def _pause(self, market: Market, seconds: int) -> None:
        """Take no notice of any break for a while."""
        self._quiet_until = max(self._quiet_until, market.now_ns + seconds * S)

    # -- entry ----------------------------------------------------------------------------------------------------
    def _enter(self, market: Market, side: int, behind: int, tag: str) -> None:
        """Send an entry whose stop lies beyond the price `behind`, if the market is sane and the plan is worth it."""
        objection = self._witness.objection()
        plan = self._plan(market, side, behind) if objection is None else objection
        if isinstance(plan, Skip):
            self.tally[plan] += 1
            return
        lots, perp = plan.side * plan.lots, self._perp
        if self.config.execution is Execution.LIMIT:
            result = market.enter(perp, lots, stop=plan.stop, target=plan.target, limit=plan.entry, time_in_force=TimeInForce.IOC, tag=tag)
        else:
            result = market.enter(perp, lots, stop=plan.stop, target=plan.target, tag=tag)
        if isinstance(result, Refused):
            self.tally[Skip.REFUSED] += 1
            self._pause(market, self.config.refusal_pause_s)
            return
        self._trade = Trade(plan, result)

    def _plan(self, market: Market, side: int, behind: int) -> Plan | Skip:
        perp, config, budget = self._perp, self.config, market.budget(self._perp)
        quote, atr = perp.quote(), perp.bars(QUARTER).atr(ATR_BARS) or 0.0
        if quote is None:
            return Skip.WIDE_SPREAD
        if perp.position():
            return Skip.HOLDING
        entry = quote[1] if side > 0 else quote[0]
        if config.execution is Execution.LIMIT:
            entry += side * config.limit_ticks
        structure = side * (entry - behind) + int(entry * config.stop_buffer_bps / BPS)
        limits = {"equity": budget.equity, "max_notional": budget.max_notional, "risk": budget.risk}
        return make_plan(config, self._spec, side=side, entry=entry, structure=structure, atr=atr, **limits)

    # -- the trade ------------------------------------------------------------------------------------------------
    def on_fill(self, market: Market, order: Order, fill: Fill) -> None:
        """Keep the trade's account; its clock starts with the first fill of the entry."""
        trade = self._trade
        if trade is None or fill.instrument != self._spec.id:
            return
        trade.cash -= fill.signed_lots * fill.price * self._spec.money_per_tick_lot + fill.fee
        if order.client_order_id != trade.order.client_order_id:
            return
        first = not trade.lots
        trade.lots += abs(fill.signed_lots)
        trade.entered += abs(fill.signed_lots) * fill.price
        if first:
            self._opened(market, trade, fill.price)

    def _opened(self, market: Market, trade: Trade, price: int) -> None:
        self.tally["entered"] += 1
        self._trades_today += 1
        plan, config, perp = trade.plan, self.config, self._perp
        trade.pending.append(market.after(config.max_hold_s * S, self._time_out, trade))
        if config.breakeven_r > 0:
            # at least half of the nearest stop beyond the new one, or the move would close the trade by noise
            gain = max(abs(plan.entry - plan.stop) * config.breakeven_r, self._costs(price) + price * config.min_stop_bps / BPS / 2)
            level = price + plan.side * ceil(gain)
            if plan.side * (plan.target - level) > 0:
                trade.pending.append(market.arm(perp.above(level) if plan.side > 0 else perp.below(level), self._to_breakeven))

    def _costs(self, price: float) -> int:
        """Return the move in ticks that pays for entering and leaving at market, slippage of the stop included."""
        return ceil(price * (2 * self._spec.taker_fee_ppm / PPM + STOP_SLIPPAGE_BPS / BPS))

    def _to_breakeven(self, market: Market, _: Any) -> None:
        trade, price = self._trade, self._perp.last()
        if trade is None or price is None:
            return
        side, average = trade.plan.side, trade.entered / trade.lots
        stop = round(average) + side * self._costs(average)
        if side * (price - stop) > 0:
            market.protect(self._perp, stop=stop, target=trade.plan.target)

    def _time_out(self, market: Market, timer: Any) -> None:
        """Close the trade at market, and again until it is closed."""
        if timer.payload is self._trade and self._perp.position() and isinstance(market.exit(self._perp, tag=TIME_STOP), Refused):
            market.after(EXIT_RETRY_NS, self._time_out, timer.payload)

    def on_order_closed(self, market: Market, order: Order) -> None:
        """An entry that found nothing ends the trade before it began; an exit that failed is sent again."""
        trade = self._trade
        if order.intent.tag == TIME_STOP:
            market.after(EXIT_RETRY_NS, self._time_out, trade)
        elif trade is not None and order.client_order_id == trade.order.client_order_id and not trade.lots:
            self._trade = None
            self.tally["unfilled"] += 1

    def on_flat(self, market: Market, instrument: InstrumentView) -> None:
        """The trade is over: rest, longer after a loss. Nothing is armed here, for the phase may be leaving with this trade."""
        trade = self._trade
        if trade is None or instrument.spec.id != self._spec.id:
            return
        for each in trade.pending:
            market.disarm(each)
        self._trade = None
        won = trade.cash > 0
        self.tally["won" if won else "lost"] += 1
        self._pause(market, self.config.cooldown_s if won else self.config.loss_cooldown_s)

    def _reconcile(self, market: Market) -> None:
        """Notice a trade that ended without a word to this strategy: the Brain may close positions by itself."""
        trade = self._trade
        if trade is not None and not self._perp.position() and (trade.lots or trade.order.status.is_final):
            self.on_flat(market, self._perp)


def _edge(direction: int, cluster: Cluster) -> int:
    """Return the end of a cluster that a break in `direction` passes last."""
    return cluster[1] if direction > 0 else cluster[0]
