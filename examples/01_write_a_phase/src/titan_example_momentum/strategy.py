"""Goes with the hour's move while spot takers agree, behind a stop that follows."""

from math import ceil
from typing import Any

from titan_core import BPS, Fill, InstrumentView, Market, Order, Refused, S, Strategy, StrategyError, StrategyId, share
from titan_example_momentum.config import MomentumConfig


class Momentum(Strategy):
    """One position at a time, long or short; everything is decided at the close of a bar."""

    id = StrategyId("hour")

    def __init__(self, config: MomentumConfig) -> None:
        """Start without a trade."""
        self.config = config
        self.bar_ns = config.bar_s * S
        self.working: Order | None = None
        self.stop: int | None = None
        self.quiet_until_ns = 0

    def on_start(self, market: Market) -> None:
        """Take the perpetual and, where there is one, the spot leg; wake at the close of every bar."""
        try:
            self.perp = market.perp
            self.perp.above(1), self.perp.bars(self.bar_ns)
        except StrategyError as error:
            market.note(f"idle: {error}")
            return
        self.spot = market.pairs[0].spot if market.pairs else None
        market.every(self.bar_ns, self.bar_closed)

    def bar_closed(self, market: Market, timer: Any) -> None:
        """Look after the position, or look for one."""
        move = self.move()
        if move is None:
            return
        position = self.perp.position()
        if position:
            self.follow(market, 1 if position > 0 else -1, move)
        elif self.working is None and market.now_ns >= self.quiet_until_ns and abs(move) >= self.config.entry_bps:
            self.enter(market, 1 if move > 0 else -1)

    def move(self) -> float | None:
        """Return the move over the look-back in bps, upwards positive."""
        bars, ago = self.perp.bars(self.bar_ns), self.config.lookback_bars
        if bars.count <= ago:
            return None
        return (bars.close(1) - bars.close(1 + ago)) * BPS / bars.close(1 + ago)

    def distance(self) -> int | None:
        """Return how far away a stop lies, in ticks."""
        atr = self.perp.bars(self.bar_ns).atr(self.config.atr_bars)
        return None if atr is None else max(1, ceil(atr * self.config.stop_atr))

    # -- entry --------------------------------------------------------------------------------------------------------
    def enter(self, market: Market, side: int) -> None:
        """Go with a move upwards (+1) or downwards (-1), unless something speaks against it."""
        quote, distance = self.perp.quote(), self.distance()
        if quote is None or distance is None or not self.config.side.allows(side) or not self.spot_agrees(side):
            return
        price = quote[1] if side > 0 else quote[0]
        if distance * BPS > price * self.config.max_stop_bps:
            return
        stop = price - side * distance
        lots = self.size(market, price, stop)
        if lots < 1:
            return
        result = market.enter(self.perp, side * lots, stop=stop, tag="momentum")
        if isinstance(result, Refused):
            market.note(result.message)
            self.rest(market)
            return
        self.working, self.stop = result, stop

    def spot_agrees(self, side: int) -> bool:
        """Whether takers of the spot market pushed the same way; where that is not recorded nobody is asked."""
        if self.spot is None or not self.spot.has_flow:
            return True
        return side * self.spot.cvd(self.config.lookback_bars * self.bar_ns) > 0

    def size(self, market: Market, price: int, stop: int) -> int:
        """Return the lots whose loss at the stop, fees included, is what may be risked."""
        spec, budget = self.perp.spec, market.budget(self.perp)
        loss_per_lot = abs(price - stop) * spec.money_per_tick_lot + spec.fee(1, price, maker=False) + spec.fee(1, stop, maker=False)
        risk = min(share(budget.equity, self.config.risk_bps), budget.risk)
        return min(risk // loss_per_lot, spec.lots_for(budget.max_notional, price))

    # -- the position -------------------------------------------------------------------------------------------------
    def follow(self, market: Market, side: int, move: float) -> None:
        """Close a position whose move has turned; otherwise bring its stop nearer, never further away. One that was taken over gets a stop of ours."""
        last, distance = self.perp.last(), self.distance()
        if side * move < self.config.exit_bps:
            market.exit(self.perp, tag="turned")
        elif last is not None and distance is not None:
            stop = last - side * distance
            if (self.stop is None or side * (stop - self.stop) > 0) and market.protect(self.perp, stop=stop):
                self.stop = stop

    def rest(self, market: Market) -> None:
        """Enter nothing for a while."""
        self.quiet_until_ns = market.now_ns + self.config.pause_s * S

    def on_fill(self, market: Market, order: Order, fill: Fill) -> None:
        """Note what became of an entry."""
        if order is self.working and not order.leaves_lots:
            self.working = None

    def on_order_closed(self, market: Market, order: Order) -> None:
        """Forget an entry that ended early."""
        if order is self.working:
            self.working = None

    def on_flat(self, market: Market, instrument: InstrumentView) -> None:
        """The trade is over, by whatever order: rest."""
        self.working = self.stop = None
        self.rest(market)
