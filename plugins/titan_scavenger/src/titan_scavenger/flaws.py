"""Structural flaws of a perpetual: moments in which its price is not the market's opinion but the consequence of positions.

- *Wipe-out*: price and open interest collapse together. Positions were closed by force; once no new extreme has come for a while and takers buy again, the
  fall is exhausted and is faded (and likewise a rise that liquidated shorts).
- *Squeeze*: funding says that one side is crowded, and open interest has grown with it. When the price leaves the range of those hours against the crowd, the
  crowd has to get out: the break is followed.
- *Dislocation*: the perpetual is far from where it usually trades against spot while spot itself is calm. The perpetual is traded back.

All of them together have one trade at a time, sized by its loss at the stop. What the recording does not tell (open interest, funding, spot) is not traded.
"""

from collections import Counter, deque
from math import ceil
from typing import Any

from attrs import define, frozen

from titan_core import BPS, MIN, Fill, H, InstrumentView, Market, Order, PairView, Refused, S, Strategy, StrategyError, StrategyId, share
from titan_scavenger.config import ScavengerConfig

RATE_PER_BPS = 10_000
MILLI = 1_000
USUAL_NS = H
TIME_STOP = "flaw time"
EXIT_RETRY_NS = S
LASTS_NS = 30 * MIN
"""How long a wipe-out may take to be exhausted."""
WIDER = 4
"""In such moments spreads are wide: so many times `max_spread_bps` is still taken."""


@frozen(slots=True)
class Sample:
    """What was known at one moment."""

    ts_ns: int
    price: int
    interest: int | None
    """Open interest in lots; None where it is not recorded."""


class Past:
    """Samples of the last stretch of time; the oldest is asked for, so that looking back costs nothing."""

    def __init__(self, length_ns: int, step_ns: int) -> None:
        """Keep `length_ns`; samples come every `step_ns`."""
        self._length_ns, self._step_ns = length_ns, step_ns
        self._samples: deque[Sample] = deque()

    def take(self, sample: Sample) -> None:
        """Take in a sample and forget those that are too old."""
        self._samples.append(sample)
        while self._samples[0].ts_ns < sample.ts_ns - self._length_ns:
            self._samples.popleft()

    def oldest(self) -> Sample | None:
        """Return the sample from that long ago; None where the past does not reach back so far."""
        if not self._samples or self._samples[-1].ts_ns - self._samples[0].ts_ns < self._length_ns - self._step_ns:
            return None
        return self._samples[0]


@define(eq=False)
class WipeOut:
    """A collapse under way: `side` is the side of its fade, `since_ns` the beginning of the window in which it was seen."""

    side: int
    since_ns: int
    start: int
    extreme: int
    extreme_ns: int


class Flaws(Strategy):
    """Trades the flaws that the configuration names."""

    id = StrategyId("flaws")

    def __init__(self, config: ScavengerConfig) -> None:
        """Start with nothing seen."""
        self.config = config
        self.tally: Counter[str] = Counter()
        """What was seen (`wipeout`, `squeeze`, `dislocation`) and what came of it: `entered`, `won`, `lost`, `refused`, `stop_too_far`, `too_small`."""
        step_ns = config.flaw_sample_s * S
        self._short, self._long = Past(config.wipe_window_s * S, step_ns), Past(config.squeeze_h * H, step_ns)
        self._basis: deque[int] = deque(maxlen=max(2, USUAL_NS // step_ns))
        self._wipe: WipeOut | None = None
        self._armed: list[Any] = []
        self._order: Order | None = None
        self._entered = 0
        self._cash = 0
        self._time_stop: Any = None
        self._quiet_until = 0

    def on_start(self, market: Market) -> None:
        """Find the pair; without one there is nothing to see."""
        pair = choose_pair(market, self.config.coin)
        if pair is None or not self.config.flaws:
            return
        self._pair, self._perp, self._spec = pair, pair.perp, pair.perp.spec
        try:
            pair.perp.above(1), pair.spot.range_high(market.now_ns), pair.basis()
        except StrategyError:
            return
        market.every(self.config.flaw_sample_s * S, self._sample)

    # -- what is seen -------------------------------------------------------------------------------------------------
    def _sample(self, market: Market, _: Any) -> None:
        price, basis = self._perp.last(), self._pair.basis()
        if price is None:
            return
        self._reconcile(market)
        sample = Sample(market.now_ns, price, self._perp.open_interest())
        self._short.take(sample)
        self._long.take(sample)
        if basis is not None:
            self._basis.append(basis)
        for each in self._armed:
            market.disarm(each)
        self._armed.clear()
        if market.now_ns < self._quiet_until or self._perp.position() or self._order is not None:
            self._wipe = None
            return
        for name, look in (("wipeout", self._look_for_wipe_out), ("squeeze", self._look_for_squeeze), ("dislocation", self._look_for_dislocation)):
            if name in self.config.flaws:
                look(market, sample)

    def _look_for_wipe_out(self, market: Market, now: Sample) -> None:
        config, then = self.config, self._short.oldest()
        if self._wipe is None and then is not None and then.interest and now.interest is not None:
            moved, closed = (now.price - then.price) * BPS / then.price, (then.interest - now.interest) * BPS / then.interest
            if abs(moved) >= config.wipe_price_bps and closed >= config.wipe_interest_bps:
                self._wipe = WipeOut(1 if moved < 0 else -1, then.ts_ns, then.price, now.price, market.now_ns)
                market.note(f"wipe-out: price {moved:+.0f} bps, open interest {-closed:+.0f} bps in {config.wipe_window_s} s")
                self._await_exhaustion(market)

    def _await_exhaustion(self, market: Market) -> None:
        market.after(self.config.wipe_exhausted_s * S // 3, self._watch_wipe_out)

    def _watch_wipe_out(self, market: Market, _: Any) -> None:
        """Follow a collapse until it is exhausted, or too old."""
        wipe = self._wipe
        if wipe is None or market.now_ns - wipe.since_ns > LASTS_NS + self.config.wipe_window_s * S:
            self._wipe = None
            return
        extreme = self._perp.range_low(wipe.since_ns) if wipe.side > 0 else self._perp.range_high(wipe.since_ns)
        if extreme is not None and wipe.side * (wipe.extreme - extreme) > 0:
            wipe.extreme, wipe.extreme_ns = extreme, market.now_ns
        if market.now_ns - wipe.extreme_ns >= self.config.wipe_exhausted_s * S and self._has_turned(wipe):
            self._wipe = None
            self._enter(market, wipe.side, wipe.extreme, ceil(abs(wipe.start - wipe.extreme) * self.config.wipe_share), "wipeout")
        else:
            self._await_exhaustion(market)

    def _has_turned(self, wipe: WipeOut) -> bool:
        """Whether takers trade with the fade again; where their side is not known, whether the price has come back a tenth of the way."""
        if self._perp.has_flow:
            return wipe.side * self._perp.cvd(MIN) > 0
        last = self._perp.last()
        return last is not None and wipe.side * (last - wipe.extreme) * 10 >= abs(wipe.start - wipe.extreme)

    def _look_for_squeeze(self, market: Market, now: Sample) -> None:
        config, rate, then = self.config, self._perp.funding_rate(), self._long.oldest()
        if rate is None or abs(rate) < config.squeeze_rate_bps * RATE_PER_BPS or then is None or not then.interest or now.interest is None:
            return
        if (now.interest - then.interest) * BPS < then.interest * config.squeeze_interest_bps:
            return
        low, high = self._perp.range_low(then.ts_ns), self._perp.range_high(then.ts_ns)
        if low is not None and high is not None:
            condition = self._perp.below(low - 1) if rate > 0 else self._perp.above(high + 1)
            self._armed.append(market.arm(condition, self._squeezed, -1 if rate > 0 else 1))

    def _squeezed(self, market: Market, hit: Any) -> None:
        side, price, since_ns = hit.payload, self._perp.last(), market.now_ns - 15 * MIN
        behind = self._perp.range_high(since_ns) if side < 0 else self._perp.range_low(since_ns)
        if price is not None and behind is not None:
            self._enter(market, side, behind, ceil(price * self.config.squeeze_target_bps / BPS), "squeeze")

    def _look_for_dislocation(self, market: Market, now: Sample) -> None:
        if not self._perp.has_flow or 2 * len(self._basis) < (self._basis.maxlen or 0):
            return  # between the ends of bars two paths are drawn, not recorded, and their difference means nothing
        usual, away = sum(self._basis) // len(self._basis), int(self.config.dislocate_bps * MILLI)
        self._armed.append(market.arm(self._pair.basis_above(usual + away), self._dislocated, (-1, usual)))
        self._armed.append(market.arm(self._pair.basis_below(usual - away), self._dislocated, (1, usual)))

    def _dislocated(self, market: Market, hit: Any) -> None:
        side, usual = hit.payload
        price, basis = self._perp.last(), self._pair.basis()
        if price is None or basis is None or not self._is_spot_calm(market):
            return
        gain = abs(basis - usual) * price * self.config.dislocate_share / MILLI / BPS
        self._enter(market, side, price, ceil(gain), "dislocation")

    def _is_spot_calm(self, market: Market) -> bool:
        """Whether spot has hardly moved in the last minute, its quote of this moment included: prints come later than quotes."""
        spot, since_ns = self._pair.spot, market.now_ns - MIN
        high, low, quote = spot.range_high(since_ns), spot.range_low(since_ns), spot.quote()
        if high is None or low is None or quote is None:
            return False
        return (max(high, quote[1]) - min(low, quote[0])) * BPS <= low * self.config.dislocate_spot_bps

    # -- the trade ----------------------------------------------------------------------------------------------------
    def _enter(self, market: Market, side: int, behind: int, gain: int, tag: str) -> None:
        """Send a market order whose stop lies beyond the price `behind` and whose target lies `gain` ticks away, if that is worth its costs."""
        config, quote = self.config, self._perp.quote()
        if quote is None or self._perp.position() or self._order is not None or market.now_ns < self._quiet_until:
            return
        if (quote[1] - quote[0]) * BPS > quote[0] * config.max_spread_bps * WIDER:
            return
        self.tally[tag] += 1
        entry = quote[1] if side > 0 else quote[0]
        distance = max(side * (entry - behind) + int(entry * config.stop_buffer_bps / BPS), ceil(entry * config.flaw_min_stop_bps / BPS))
        if distance * BPS > entry * config.flaw_max_stop_bps:
            self.tally["stop_too_far"] += 1
            return
        budget = market.budget(self._perp)
        stop = entry - side * distance
        money = min(share(budget.equity, config.flaw_risk_bps), budget.risk)
        lots = min(self._spec.lots_at_risk(entry, stop, money), self._spec.lots_for(budget.max_notional, entry))
        costs = 2 * entry * self._spec.taker_fee_ppm / 1_000_000
        if lots < 1 or self._spec.notional(lots, entry) < self._spec.min_notional_money or gain <= costs:
            self.tally["too_small"] += 1
            return
        made = market.enter(self._perp, side * lots, stop=stop, target=entry + side * gain, tag=tag)
        if isinstance(made, Refused):
            self.tally["refused"] += 1
            self._quiet_until = market.now_ns + config.refusal_pause_s * S
            return
        self._order = made

    def on_fill(self, market: Market, order: Order, fill: Fill) -> None:
        """Keep the trade's account; its clock starts with its first fill."""
        if fill.instrument != self._spec.id or (self._order is None and not self._entered):
            return
        self._cash -= fill.signed_lots * fill.price * self._spec.money_per_tick_lot + fill.fee
        if self._order is not None and order.client_order_id == self._order.client_order_id:
            if not self._entered:
                self.tally["entered"] += 1
                self._time_stop = market.after(self.config.flaw_hold_s * S, self._time_out)
            self._entered += abs(fill.signed_lots)
            if order.status.is_final:
                self._order = None

    def _time_out(self, market: Market, _: Any) -> None:
        """Close the trade at market, and again until it is closed."""
        if self._entered and self._perp.position() and isinstance(market.exit(self._perp, tag=TIME_STOP), Refused):
            market.after(EXIT_RETRY_NS, self._time_out)

    def on_order_closed(self, market: Market, order: Order) -> None:
        """An entry that found nothing is over; an exit that failed is sent again."""
        if order.intent.tag == TIME_STOP:
            market.after(EXIT_RETRY_NS, self._time_out)
        elif self._order is not None and order.client_order_id == self._order.client_order_id:
            self._order = None

    def on_flat(self, market: Market, instrument: InstrumentView) -> None:
        """The trade is over: rest. Nothing is armed here, for the phase may be leaving with this trade."""
        if not self._entered or instrument.spec.id != self._spec.id:
            return
        if self._time_stop is not None:
            market.disarm(self._time_stop)
        self.tally["won" if self._cash > 0 else "lost"] += 1
        self._entered = self._cash = 0
        self._order, self._time_stop = None, None
        self._quiet_until = max(self._quiet_until, market.now_ns + self.config.flaw_pause_s * S)

    def _reconcile(self, market: Market) -> None:
        """Notice a trade that ended without a word to this strategy: the Brain may close positions by itself."""
        if self._order is not None and self._order.status.is_final:
            self._order = None
        if self._entered and not self._perp.position():
            self.on_flat(market, self._perp)


def choose_pair(market: Market, coin: str) -> PairView | None:
    """Return the pair of a coin, the first of the run where `coin` is empty; None where there is none."""
    return next((pair for pair in market.pairs if coin.upper() in ("", pair.perp.spec.base.upper())), None)
