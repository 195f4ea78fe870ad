"""The watch over spreads: enters pairs whose basis or funding pays, keeps their legs equal, leaves when nothing more is to be earned."""

from typing import Any

from titan_core import BPS, MONEY_PER_USDT, DayTally, Fill, InstrumentId, InstrumentView, Market, Order, Refused, S, Strategy, StrategyError, StrategyId
from titan_sentinel.config import SentinelConfig
from titan_sentinel.funding import RATE_PER_BPS
from titan_sentinel.portfolio import risk_parity
from titan_sentinel.watch import Ending, OpenPair, Setup, Watch

EXIT_RETRY_NS = S


class Sentinel(Strategy):
    """Long spot against short perpetual, in equal quantities or not at all."""

    id = StrategyId("spreads")

    def __init__(self, config: SentinelConfig) -> None:
        """Start with no pair watched."""
        self.config = config
        self.watches: list[Watch] = []
        self._by_leg: dict[InstrumentId, Watch] = {}
        self.tally = DayTally()
        """What came of the day: `clips`, pairs entered by setup and left by ending, `won`, `lost`, `refused`, `unwound`. Noted and cleared every day."""
        self._has_begun = False

    # -- start ----------------------------------------------------------------------------------------------------
    def on_start(self, market: Market) -> None:
        """Choose the pairs; note why where there is none."""
        wanted = {coin.upper() for coin in self.config.coins}
        for pair in market.pairs:
            if wanted and pair.perp.spec.base.upper() not in wanted:
                continue
            try:  # ask once for everything that will be asked for later
                pair.basis(), pair.basis_above(0)
            except StrategyError as error:
                market.note(f"{pair.perp.spec.id} is not watched: {error}")
                continue
            idle = [leg.spec.id for leg in (pair.spot, pair.perp) if not leg.takes_orders]
            if idle:
                said = f"{' and '.join(idle)} take{'s' if len(idle) == 1 else ''} no orders in this run"
                market.note(f"{pair.perp.spec.base} is not traded: {said}, and a pair needs both legs")
                continue
            self._begin(market, Watch.of(self.config, pair))
        if not self.watches:
            coins = f" of {', '.join(sorted(wanted))}" if wanted else ""
            market.note(f"idle: this run has no pair of a spot instrument and a perpetual{coins}")
            return
        market.every(self.config.sample_s * S, self._sample)

    def _begin(self, market: Market, watch: Watch) -> None:
        self.watches.append(watch)
        for leg in (watch.pair.spot, watch.pair.perp):
            self._by_leg[leg.spec.id] = watch
            self._await(market, leg.next_gap, self._after_gap, watch)
        self._await(market, watch.pair.perp.next_funding, self._funded, watch)
        if any(watch.positions()):  # taken over from an earlier activation: what it was entered at is not known, so it is judged from here on
            self._adopt(market, watch)

    def _await(self, market: Market, make: Any, callback: Any, watch: Watch) -> None:
        try:
            market.arm(make(), callback, (watch, make))
        except StrategyError:  # the recording has no such stream
            return

    def _adopt(self, market: Market, watch: Watch) -> None:
        spot, perp = watch.positions()
        quotes = watch.pair.spot.quote(), watch.pair.perp.quote()
        watch.open = OpenPair(Setup.CARRY, market.now_ns, watch.held_units())
        if spot > 0 and perp < 0 and quotes[0] is not None and quotes[1] is not None:
            held = watch.open
            held.spot_lots, held.spot_cost, held.perp_lots, held.perp_cost = spot, spot * quotes[0][1], -perp, -perp * quotes[1][0]
        self._look_soon(market, watch)

    # -- what comes ---------------------------------------------------------------------------------------------------
    def _sample(self, market: Market, _: Any) -> None:
        """Take a sample of each basis, judge what is open, arm what is not."""
        self._turn_day(market)
        for watch in self.watches:
            basis = watch.pair.basis()
            if basis is None:
                continue
            watch.statistics.take(basis)
            self._reconcile(market, watch)
            if watch.open is None:
                self._try(market, watch)
                self._arm(market, watch)
            else:
                self._judge(market, watch)

    def _turn_day(self, market: Market) -> None:
        if self.tally.turn(market.now_ns, market.note):
            if self._has_begun:
                self._rebalance(market)
            self._has_begun = True

    def _arm(self, market: Market, watch: Watch) -> None:
        """Be called as soon as the basis reaches what a scalp needs, not only at the next sample."""
        if watch.armed is not None:
            market.disarm(watch.armed)
            watch.armed = None
        level = watch.scalp_level_milli_bps()
        if watch.open is None and level is not None and market.now_ns >= watch.quiet_until_ns:
            watch.armed = market.arm(watch.pair.basis_above(level), self._stretched, watch)

    def _stretched(self, market: Market, hit: Any) -> None:
        watch: Watch = hit.payload
        watch.armed = None
        self._turn_day(market)
        if watch.open is None:
            self._try(market, watch)

    def _funded(self, market: Market, hit: Any) -> None:
        """A settlement: note its time and what it paid."""
        watch, make = hit.payload
        self._await(market, make, self._funded, watch)
        watch.clock.settled(market.now_ns)
        rate = watch.pair.perp.funding_rate()
        if watch.open is not None and rate is not None:
            watch.open.funding_bps += rate / RATE_PER_BPS
            self._judge(market, watch)

    def _after_gap(self, market: Market, hit: Any) -> None:
        watch, make = hit.payload
        self._await(market, make, self._after_gap, watch)
        self._rest(market, watch)

    def _rest(self, market: Market, watch: Watch) -> None:
        watch.quiet_until_ns = max(watch.quiet_until_ns, market.now_ns + self.config.pause_s * S)

    # -- entry ----------------------------------------------------------------------------------------------------
    def _try(self, market: Market, watch: Watch) -> None:
        """Enter the pair if that is worth it now."""
        if market.now_ns < watch.quiet_until_ns or any(watch.positions()) or watch.is_under_way():
            return
        setup = watch.setup(market.now_ns)
        if setup is None:
            return
        units = self._target_units(market, watch)
        if units < self._least_units(watch):
            self.tally["too_small"] += 1
            self._rest(market, watch)
            return
        watch.open = OpenPair(setup, market.now_ns, units)
        if self._clip(market, watch):
            self.tally[setup] += 1
        else:
            watch.open = None

    def _target_units(self, market: Market, watch: Watch) -> int:
        """Return how many units a pair's share of the capital buys now."""
        spot, perp = watch.pair.spot.quote(), watch.pair.perp.quote()
        if spot is None or perp is None:
            return 0
        total = self._room(market, watch) + sum(self._worth(each) for each in self.watches)
        return watch.legs.units_for(int(total * self._weight(watch) * self.config.use_bps / BPS), spot[1], perp[0])

    def _weight(self, watch: Watch) -> float:
        deviations = {id(each): each.statistics.deviation_bps() for each in self.watches}
        return risk_parity(deviations, self.config.max_weight_bps / BPS)[id(watch)]

    def _room(self, market: Market, watch: Watch) -> int:
        """Return the notional of a pair that the Brain would still admit: spot is paid in full, the perpetual by its margin, and both count for leverage."""
        paid, lent = (market.budget(leg).max_notional for leg in (watch.pair.spot, watch.pair.perp))
        return min(paid * lent // (paid + lent), lent // 2) if paid > 0 and lent > 0 else 0

    def _worth(self, watch: Watch) -> int:
        spot, quote = watch.positions()[0], watch.pair.spot.quote()
        return watch.legs.spot.notional(spot, quote[0]) if spot > 0 and quote is not None else 0

    def _least_units(self, watch: Watch) -> int:
        spot, perp = watch.pair.spot.quote(), watch.pair.perp.quote()
        return watch.legs.least_units(spot[0], perp[0]) if spot is not None and perp is not None else 1

    def _clip(self, market: Market, watch: Watch) -> bool:
        """Send the next part of an entry, both legs as one intent. Returns whether it was approved."""
        held, quote = watch.open, watch.pair.perp.quote()
        if held is None or quote is None:
            return False
        per_clip = max(self._least_units(watch), watch.legs.units_for(self.config.clip_usdt * MONEY_PER_USDT, 0, quote[0]))
        units = min(per_clip, held.target_units - watch.held_units())
        if units < self._least_units(watch):
            return False
        made = market.enter_pair(watch.pair, units * watch.legs.spot_per_unit, -units * watch.legs.perp_per_unit, tag=held.setup)
        if isinstance(made, Refused):
            self.tally["refused"] += 1
            self._rest(market, watch)
            return False
        self.tally["clips"] += 1
        watch.orders += made
        self._look_soon(market, watch)
        return True

    def _look_soon(self, market: Market, watch: Watch) -> None:
        """Look at the legs once their orders have had time; there is one such timer a pair."""
        if watch.check is None:
            watch.check = market.after(self.config.unwind_s * S, self._look, watch)

    def _look(self, market: Market, timer: Any) -> None:
        """Take off what the other leg does not undo; where all is well go on with the entry."""
        watch: Watch = timer.payload
        watch.check = None
        if watch.is_under_way():
            self._look_soon(market, watch)
            return
        spot_is_larger, lots = watch.excess()
        if lots:
            leg = watch.pair.spot if spot_is_larger else watch.pair.perp
            self.tally["unwound"] += 1
            market.note(f"{lots} lots of {leg.spec.id} have no other half; taken off")
            self._rest(market, watch)
            self._exit(market, watch, leg, lots, Ending.UNWIND)
            return
        held = watch.open
        if held is not None and held.ending is None and watch.held_units() + self._least_units(watch) <= held.target_units:
            if market.now_ns >= watch.quiet_until_ns and watch.setup(market.now_ns) is not None:
                watch.check = market.after(self.config.clip_wait_s * S, self._go_on, watch)

    def _go_on(self, market: Market, timer: Any) -> None:
        watch: Watch = timer.payload
        watch.check = None
        if watch.open is not None and watch.open.ending is None and not watch.is_under_way() and watch.setup(market.now_ns) is not None:
            self._clip(market, watch)

    # -- exit -----------------------------------------------------------------------------------------------------
    def _judge(self, market: Market, watch: Watch) -> None:
        held = watch.open
        if held is None or watch.is_under_way():
            return
        if held.ending is None:
            held.ending = watch.ending(market.now_ns)
            if held.ending is not None:
                self.tally[held.ending] += 1
        if held.ending is not None:
            self._leave(market, watch, held.ending)

    def _leave(self, market: Market, watch: Watch, ending: Ending) -> None:
        """Close both legs at market."""
        for leg in (watch.pair.perp, watch.pair.spot):
            if leg.position():
                self._exit(market, watch, leg, abs(leg.position()), ending)

    def _exit(self, market: Market, watch: Watch, leg: InstrumentView, lots: int, ending: Ending) -> None:
        made = market.exit(leg, lots=lots, tag=ending)
        if isinstance(made, Refused):
            self.tally["refused"] += 1
        else:
            watch.orders.append(made)
        self._look_soon(market, watch)

    def _rebalance(self, market: Market) -> None:
        """Once a day, reduce pairs that have outgrown their share."""
        for watch in self.watches:
            held, units = watch.open, watch.held_units()
            if held is None or held.ending is not None or not units or watch.is_under_way():
                continue
            target = self._target_units(market, watch)
            if units * BPS <= target * (BPS + self.config.rebalance_bps):
                continue
            self.tally[Ending.REBALANCE] += 1
            held.target_units = target
            for leg, per_unit in ((watch.pair.perp, watch.legs.perp_per_unit), (watch.pair.spot, watch.legs.spot_per_unit)):
                self._exit(market, watch, leg, (units - target) * per_unit, Ending.REBALANCE)

    # -- what becomes of orders -----------------------------------------------------------------------------------
    def on_fill(self, market: Market, order: Order, fill: Fill) -> None:
        """Keep the pair's account."""
        watch = self._by_leg.get(fill.instrument)
        held = watch.open if watch is not None else None
        if watch is None or held is None:
            return
        spec = watch.legs.perp if fill.instrument == watch.legs.perp.id else watch.legs.spot
        held.cash -= fill.signed_lots * fill.price * spec.money_per_tick_lot + fill.fee
        if order.intent.reduce_only:
            return
        if spec is watch.legs.spot:
            held.spot_lots, held.spot_cost = held.spot_lots + fill.signed_lots, held.spot_cost + fill.signed_lots * fill.price
        else:
            held.perp_lots, held.perp_cost = held.perp_lots - fill.signed_lots, held.perp_cost - fill.signed_lots * fill.price
        held.notional = max(held.notional, self._worth(watch))

    def on_order_closed(self, market: Market, order: Order) -> None:
        """A leg has failed, whole or in part: look at once whether the other stands alone."""
        watch = self._by_leg.get(order.intent.instrument.id)
        if watch is not None:
            self._look_soon(market, watch)

    def on_flat(self, market: Market, instrument: InstrumentView) -> None:
        """One leg is flat; once both are, the pair is over. Nothing is armed here, for the phase may be leaving with this pair."""
        watch = self._by_leg.get(instrument.spec.id)
        if watch is not None and not any(watch.positions()):
            self._ended(market, watch)

    def _ended(self, market: Market, watch: Watch) -> None:
        held, watch.open = watch.open, None
        if held is not None and held.spot_lots and held.perp_lots:
            received = held.notional * held.funding_bps / BPS
            result = held.cash + received
            self.tally["won" if result > 0 else "lost"] += 1
            share = result / held.notional * BPS if held.notional else 0.0
            worth = held.notional // MONEY_PER_USDT
            market.note(f"{watch.legs.perp.base}: {held.setup} ended with {share:+.1f} bps of {worth} USDT, {held.funding_bps:+.1f} of it by funding")
        self._rest(market, watch)

    def _reconcile(self, market: Market, watch: Watch) -> None:
        """Notice what ended without a word to this strategy: the Brain may close positions by itself."""
        if watch.open is not None and not any(watch.positions()) and not watch.is_under_way() and watch.check is None:
            self._ended(market, watch)
        elif watch.open is not None and watch.open.ending is not None and watch.check is None and not watch.is_under_way():
            self._leave(market, watch, watch.open.ending)
        elif watch.excess()[1]:
            self._look_soon(market, watch)
