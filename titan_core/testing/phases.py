"""Phases of the test kit: strategies with one trait each, and `make_phase`, which binds one to a declaration.

    governor = BrainGovernor([make_phase("small", 200, 5_000), make_phase("large", 5_000, None, strategy=Flipper)], BrainLimits())

A strategy's trait is set by class attributes: make a subclass to change one.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from titan_core.brain import chart
from titan_core.engine.phases import PhaseBinding
from titan_core.hookspecs import Handover, Health
from titan_core.model.fill import Fill
from titan_core.model.ids import PhaseId, StrategyId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Refused
from titan_core.model.phase import CapitalBand, LossLevels, PhaseDeclaration
from titan_core.model.units import BPS, MIN, S
from titan_core.ports import InstrumentView, Market, Order, Strategy

WIDE_LOSSES = LossLevels(4_000, 5_000, 6_000)
"""Daily losses that a test does not want to reach."""


class Hold(Strategy):
    """Buys `share` of phase equity (as notional) after `wait_ns`, with a stop `stop_bps` below, and keeps it. Notes what is refused."""

    share = 0.5
    stop_bps = 800
    target_bps = 0
    side = 1
    wait_ns = 90 * S
    again = False
    """Whether it buys again whenever it has become flat."""

    def on_start(self, market: Market) -> None:
        """Wait."""
        market.after(self.wait_ns, self.buy)

    def on_flat(self, market: Market, instrument: InstrumentView) -> None:
        """Begin anew where it does so."""
        if self.again:
            market.after(self.wait_ns, self.buy)

    def buy(self, market: Market, timer: Any) -> None:
        """Enter at market; wait on where there is no price yet."""
        quote = market.perp.quote()
        if quote is None:
            market.after(self.wait_ns, self.buy)
            return
        price = quote[1] if self.side > 0 else quote[0]
        lots = self.lots(market, price)
        target = price + self.side * (price * self.target_bps // BPS) if self.target_bps else None
        result = market.enter(market.perp, self.side * lots, stop=price - self.side * (price * self.stop_bps // BPS), target=target)
        if isinstance(result, Refused):
            market.note(f"{result.code}: {result.message}")

    def lots(self, market: Market, price: int) -> int:
        """Return the size: `share` of phase equity."""
        return market.perp.spec.lots_for(int(market.budget().equity * self.share), price)


class Flipper(Hold):
    """Is long and short in turn: every `period_ns` it closes what it holds or enters on the other side."""

    period_ns = 5 * MIN
    stop_bps = 100

    def on_start(self, market: Market) -> None:
        """Act at every period."""
        market.every(self.period_ns, self.flip)

    def flip(self, market: Market, timer: Any) -> None:
        """Leave, or enter on the other side."""
        if market.perp.position():
            market.exit(market.perp)
        elif market.perp.quote():
            self.side = -self.side
            self.buy(market, timer)


class Greedy(Hold):
    """Asks for `times` what it may have, every `period_ns`."""

    times = 10
    period_ns = MIN

    def on_start(self, market: Market) -> None:
        """Ask at every period."""
        market.every(self.period_ns, self.ask)

    def ask(self, market: Market, timer: Any) -> None:
        """Ask, once there is a price."""
        if market.perp.quote():
            self.buy(market, timer)

    def lots(self, market: Market, price: int) -> int:
        """Return a size beyond every limit."""
        return self.times * market.perp.spec.lots_for(max(market.budget().max_notional, market.budget().equity), price) + 1


class Raiser(Hold):
    """Behaves like `Hold` until the callback named by `where`, which raises `error`."""

    where = "on_fill"
    """`on_start`, `on_fill`, `on_flat`, `on_order_closed`, `timer` or `condition`; the last two are armed with the first fill."""
    error: Callable[[], BaseException] = staticmethod(lambda: RuntimeError("the strategy is broken"))

    def _raise_at(self, where: str) -> None:
        if self.where == where:
            raise self.error()

    def on_start(self, market: Market) -> None:
        """Raise, or wait."""
        self._raise_at("on_start")
        super().on_start(market)

    def on_fill(self, market: Market, order: Order, fill: Fill) -> None:
        """Raise, or arm what raises."""
        self._raise_at("on_fill")
        if fill.signed_lots * self.side > 0:
            market.after(MIN, self._timer)
            market.arm(market.perp.bid_above(1), self._condition)
            if self.where == "on_order_closed":
                bid = (market.perp.quote() or (0, 0))[0]
                order_far_away = market.exit(market.perp, limit=2 * bid)
                if not isinstance(order_far_away, Refused):
                    market.cancel(order_far_away)
            if self.where == "on_flat":
                market.exit(market.perp)

    def on_flat(self, market: Market, instrument: InstrumentView) -> None:
        """Raise, or nothing."""
        self._raise_at("on_flat")

    def on_order_closed(self, market: Market, order: Order) -> None:
        """Raise, or nothing."""
        self._raise_at("on_order_closed")

    def _timer(self, market: Market, timer: Any) -> None:
        self._raise_at("timer")

    def _condition(self, market: Market, condition: Any) -> None:
        self._raise_at("condition")


class Sleeper(Hold):
    """Hangs for `hang_s` in its first timer: sleeping, or computing without end where `busy`."""

    hang_s = 60.0
    busy = False

    def buy(self, market: Market, timer: Any) -> None:
        """Hang, swallowing whatever is raised meanwhile as careless code does."""
        until = time.monotonic() + self.hang_s
        while time.monotonic() < until:
            try:
                if not self.busy:
                    time.sleep(self.hang_s)
            except ValueError:
                continue


class Idle(Strategy):
    """Does nothing."""


def _adopts(handover: Handover) -> bool:
    return True


def make_phase(
    name: str,
    lower: int,
    upper: int | None,
    *,
    strategy: Callable[[], Strategy] | Sequence[Callable[[], Strategy]] = Hold,
    adopt: Callable[[Handover], bool] = _adopts,
    health: Callable[[], Health] = lambda: Health(True),
    leverage: tuple[int, int] = (1, 10),
    max_position_bps: int = BPS,
    losses: LossLevels = WIDE_LOSSES,
    drain_s: int = 900,
    hedged: bool = False,
) -> PhaseBinding:
    """Bind strategies (a class or function that makes one, or several) to a phase for an equity of `lower` to `upper` USDT.

    Its limits are wide by default, so that a test meets only the one that it sets.
    """
    makers = (strategy,) if callable(strategy) else tuple(strategy)
    declaration = PhaseDeclaration(
        id=PhaseId(name),
        title=name.capitalize(),
        summary="a phase of the test kit",
        band=CapitalBand.usdt(lower, upper),
        leverage=leverage,
        max_position_bps=max_position_bps,
        daily_loss=losses,
        drain_s=drain_s,
        hedged=hedged,
        create=lambda config: [make() for make in makers],
    )
    return PhaseBinding(declaration=declaration, create=lambda: declaration.create(None), adopt=adopt, health=health)


def alike_phases(count: int, *, lower: int = 200, upper: int | None = 5_000, **options: Any) -> list[PhaseBinding]:
    """Make `count` phases that differ by name only. Options are those of `make_phase`."""
    return [make_phase(name, lower, upper, **options) for name in chart.alike_phases(count)]


def named(strategy: type[Strategy], name: str, **traits: Any) -> type[Strategy]:
    """Return a subclass of a strategy with another id and other traits."""
    return type(name.capitalize(), (strategy,), {"id": StrategyId(name), "__doc__": strategy.__doc__, **traits})


def free_of_charge(instrument: Instrument) -> Instrument:
    """Return an instrument without fees and with a tiny minimum, so that a test's arithmetic is plain."""
    from decimal import Decimal

    from attrs import evolve

    return evolve(instrument, maker_fee_ppm=0, taker_fee_ppm=0, min_notional=Decimal("0.1"))
