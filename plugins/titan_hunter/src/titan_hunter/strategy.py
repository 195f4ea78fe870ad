"""The hunt: reads the charts at each close, waits at fresh order blocks with post-only orders, and looks after what is filled there."""

from typing import Any

from titan_core import BPS, DayTally, Fill, InstrumentId, InstrumentView, Market, Order, Refused, S, Strategy, StrategyError, StrategyId
from titan_hunter.absorption import admits, read_flow
from titan_hunter.config import HunterConfig
from titan_hunter.hunt import QUARTER, Hunt, Skip
from titan_hunter.inefficiency import OrderBlock

TIME_STOP, REVERSAL = "time", "reversal"
EXIT_RETRY_NS = S
BITCOIN = "BTC"


class Hunter(Strategy):
    """Post-only entries at order blocks where the timeframes agree; a stop, a target, and patience."""

    id = StrategyId("structure")

    def __init__(self, config: HunterConfig) -> None:
        """Start with no chart read."""
        self.config = config
        self.hunts: dict[InstrumentId, Hunt] = {}
        self.tally = DayTally()
        """What came of the day: `quoted`, `withdrawn`, `entered`, `won`, `lost`, and why blocks were not traded. Noted and cleared every day."""
        self._trades_today = 0

    # -- start ----------------------------------------------------------------------------------------------------
    def on_start(self, market: Market) -> None:
        """Choose the instruments and read their past; note why where there is nothing to hunt."""
        wanted = {coin.upper() for coin in self.config.coins}
        legs = self._legs(market)
        bitcoin = next((perp for perp, _ in legs if perp.spec.base.upper() == BITCOIN), None)
        for perp, spot in legs:
            if wanted and perp.spec.base.upper() not in wanted:
                continue
            try:  # ask once for everything that will be asked for later
                perp.bars(QUARTER), perp.below(1)
            except StrategyError as error:
                market.note(f"not hunted: {error}")
                continue
            self._begin(market, Hunt(self.config, perp, spot, None if perp.spec.base.upper() == BITCOIN else bitcoin))
        if not self.hunts:
            coins = f" of {', '.join(sorted(wanted))}" if wanted else ""
            market.note(f"idle: this run has no perpetual{coins} to hunt in")
            return
        market.every(QUARTER, self._closed)
        self._closed(market, None)

    def _legs(self, market: Market) -> list[tuple[InstrumentView, InstrumentView | None]]:
        """Return the perpetuals of the run, each with its spot market; where there are no pairs the one perpetual alone."""
        if market.pairs:
            return [(pair.perp, pair.spot) for pair in market.pairs]
        try:
            return [(market.perp, None)]
        except StrategyError:
            return []

    def _begin(self, market: Market, hunt: Hunt) -> None:
        hunt.tally = self.tally
        self.hunts[hunt.spec.id] = hunt
        self._await_gap(market, hunt)
        if hunt.perp.position():
            hunt.time_stop = market.after(self.config.max_hold_s * S, self._time_out, hunt)

    def _await_gap(self, market: Market, hunt: Hunt) -> None:
        try:
            market.arm(hunt.perp.next_gap(), self._after_gap, hunt)
        except StrategyError:  # a recording without gaps has no stream of them
            return

    def _after_gap(self, market: Market, hit: Any) -> None:
        """Data are missing: what the charts say may have been passed already, so rest."""
        hunt: Hunt = hit.payload
        self._await_gap(market, hunt)
        hunt.quiet_until_ns = max(hunt.quiet_until_ns, market.now_ns + self.config.gap_pause_s * S)
        self._withdraw(market, hunt)

    # -- at each close --------------------------------------------------------------------------------------------
    def _closed(self, market: Market, _: Any) -> None:
        self._turn_day(market)
        for hunt in self.hunts.values():
            hunt.read(market.now_ns)
            self._reconcile(market, hunt)
            position = hunt.perp.position()
            if position:
                if self.config.exit_on_reversal and hunt.is_reversed(1 if position > 0 else -1):
                    self._leave(market, hunt, REVERSAL)
            elif hunt.order is None:
                self._look(market, hunt)
            elif hunt.block is None or not hunt.is_alive(hunt.block):
                self._withdraw(market, hunt)

    def _turn_day(self, market: Market) -> None:
        if self.tally.turn(market.now_ns, market.note):
            self._trades_today = 0

    def _may_enter(self, market: Market, hunt: Hunt) -> bool:
        open_ones = sum(each.order is not None or bool(each.perp.position()) for each in self.hunts.values())
        rested = market.now_ns >= hunt.quiet_until_ns
        return rested and hunt.order is None and open_ones < self.config.max_open and self._trades_today < self.config.max_trades_per_day

    def _look(self, market: Market, hunt: Hunt) -> None:
        """Arm the approach to the best block, or place the order where the price is there already."""
        if hunt.watch is not None:
            market.disarm(hunt.watch)
            hunt.watch = None
        price = hunt.perp.last()
        if price is None or not self._may_enter(market, hunt):
            return
        blocks = hunt.candidates(price, market.now_ns)
        if not blocks:
            return
        block = blocks[0]
        edge = block.near + block.side * int(block.near * self.config.approach_bps / BPS)
        if block.side * (price - edge) <= 0:
            self._approach(market, hunt, block)
        else:
            condition = hunt.perp.below(edge) if block.side > 0 else hunt.perp.above(edge)
            hunt.watch = market.arm(condition, self._approached, (hunt, block))

    def _approached(self, market: Market, hit: Any) -> None:
        hunt, block = hit.payload
        hunt.watch = None
        self._turn_day(market)
        if not hunt.perp.position() and self._may_enter(market, hunt) and hunt.is_alive(block):
            self._approach(market, hunt, block)

    # -- entry ----------------------------------------------------------------------------------------------------
    def _approach(self, market: Market, hunt: Hunt, block: OrderBlock) -> None:
        """Place an order at a block, unless the flow runs over it: then look again soon, until the next close decides anew."""
        price = hunt.perp.last()
        if price is None or block.side * (price - block.far) < 0:
            return
        flow = read_flow(hunt.flow, block.side, self.config, market.now_ns)
        if not admits(flow, self.config.absorption):
            self.tally[Skip.RUNNING] += 1
            hunt.watch = market.after(self.config.look_s * S, self._approached, (hunt, block))
            return
        hunt.requotes = 0
        self._quote(market, hunt, block, 0.0)

    def _quote(self, market: Market, hunt: Hunt, block: OrderBlock, improve_bps: float) -> None:
        limit = hunt.limit_at(block, improve_bps)
        budget = market.budget(hunt.perp)
        limits = {"equity": budget.equity, "max_notional": budget.max_notional, "risk": budget.risk}
        plan = hunt.plan_at(block, limit, **limits) if limit is not None else Skip.WIDE_SPREAD
        if isinstance(plan, Skip):
            self.tally[plan] += 1
            return
        tag = "block swept" if block.swept else "block"
        made = market.enter(hunt.perp, plan.side * plan.lots, limit=plan.limit, stop=plan.stop, target=plan.target, post_only=True, tag=tag)
        if isinstance(made, Refused):
            self.tally[Skip.REFUSED] += 1
            hunt.quiet_until_ns = market.now_ns + self.config.refusal_pause_s * S
            return
        self.tally["quoted"] += 1
        hunt.order, hunt.block, hunt.plan = made, block, plan
        hunt.watch = market.after(self.config.requote_s * S, self._review, hunt)

    def _review(self, market: Market, timer: Any) -> None:
        """Follow a price that turns away from a resting entry, a few times and not far; withdraw one that the flow runs over."""
        hunt: Hunt = timer.payload
        hunt.watch = None
        block, plan, config = hunt.block, hunt.plan, self.config
        if hunt.order is None or block is None or plan is None or hunt.entered:
            return
        if not admits(read_flow(hunt.flow, block.side, config, market.now_ns), config.absorption):
            self._withdraw(market, hunt)
            return
        improve_bps = config.max_improve_bps * (hunt.requotes + 1) / max(1, config.max_requotes)
        better = hunt.limit_at(block, improve_bps)
        if hunt.requotes < config.max_requotes and better is not None and block.side * (better - plan.limit) > 0:
            hunt.requotes += 1
            self._withdraw(market, hunt, improve_bps)
        else:
            hunt.watch = market.after(config.requote_s * S, self._review, hunt)

    def _withdraw(self, market: Market, hunt: Hunt, again_bps: float | None = None) -> None:
        """Cancel the resting entry; with `again_bps` it is placed anew, so far beyond its block, once the venue has confirmed."""
        if hunt.watch is not None:
            market.disarm(hunt.watch)
            hunt.watch = None
        hunt.again_bps = again_bps
        if hunt.order is not None and not hunt.order.status.is_final:
            market.cancel(hunt.order)

    def on_order_closed(self, market: Market, order: Order) -> None:
        """An entry has ended without being filled whole; an exit that failed is sent again."""
        hunt = self.hunts.get(order.intent.instrument.id)
        if hunt is None:
            return
        if order.intent.tag in (TIME_STOP, REVERSAL):
            market.after(EXIT_RETRY_NS, self._try_again, (hunt, order.intent.tag))
        elif hunt.order is not None and order.client_order_id == hunt.order.client_order_id:
            again_bps, block, hunt.again_bps = hunt.again_bps, hunt.block, None
            hunt.order = None
            if hunt.entered:
                return
            self.tally["withdrawn"] += 1
            if again_bps is not None and block is not None and self._may_enter(market, hunt) and hunt.is_alive(block):
                self._quote(market, hunt, block, again_bps)
            else:
                hunt.block = hunt.plan = None

    # -- the trade ------------------------------------------------------------------------------------------------
    def on_fill(self, market: Market, order: Order, fill: Fill) -> None:
        """Keep the trade's account; its clock starts with the first fill of the entry."""
        hunt = self.hunts.get(fill.instrument)
        if hunt is None:
            return
        hunt.cash -= fill.signed_lots * fill.price * hunt.spec.money_per_tick_lot + fill.fee
        if hunt.order is None or order.client_order_id != hunt.order.client_order_id:
            return
        if not hunt.entered:
            self.tally["entered"] += 1
            self._trades_today += 1
            hunt.time_stop = market.after(self.config.max_hold_s * S, self._time_out, hunt)
        hunt.entered += abs(fill.signed_lots)
        if order.status.is_final:
            hunt.order = None

    def _time_out(self, market: Market, timer: Any) -> None:
        self._leave(market, timer.payload, TIME_STOP)

    def _try_again(self, market: Market, timer: Any) -> None:
        self._leave(market, *timer.payload)

    def _leave(self, market: Market, hunt: Hunt, tag: str) -> None:
        """Close the position at market, and again until it is closed; what may still be entered is withdrawn first."""
        self._withdraw(market, hunt)
        if hunt.perp.position() and isinstance(market.exit(hunt.perp, tag=tag), Refused):
            market.after(EXIT_RETRY_NS, self._try_again, (hunt, tag))

    def on_flat(self, market: Market, instrument: InstrumentView) -> None:
        """A trade is over: rest. Nothing is armed here, for the phase may be leaving with this trade."""
        hunt = self.hunts.get(instrument.spec.id)
        if hunt is None:
            return
        if hunt.time_stop is not None:
            market.disarm(hunt.time_stop)
        self._withdraw(market, hunt)
        if hunt.entered:
            self.tally["won" if hunt.cash > 0 else "lost"] += 1
        hunt.entered = hunt.cash = 0
        hunt.block = hunt.plan = hunt.time_stop = None
        hunt.quiet_until_ns = max(hunt.quiet_until_ns, market.now_ns + self.config.cooldown_s * S)

    def _reconcile(self, market: Market, hunt: Hunt) -> None:
        """Notice what ended without a word to this strategy: the Brain may close positions and withdraw orders by itself."""
        if hunt.order is not None and hunt.order.status.is_final:
            hunt.order = None
        if not hunt.perp.position() and hunt.order is None and (hunt.entered or hunt.cash):
            self.on_flat(market, hunt.perp)
