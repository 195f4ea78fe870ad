"""Titan in the comparisons: the level rule as one of its strategies, and the Scavenger as `titan replay` composes it."""

from collections.abc import Sequence
from decimal import Decimal
from time import perf_counter, process_time
from typing import Any

from attrs import field, frozen

from benchmarks import _harness as harness
from benchmarks.level_rule import LevelFill, LevelResult, LevelRule, MarketSlice
from titan_core.app.compose import bind, choose_phases, on_terms
from titan_core.config.load import Config, load_config
from titan_core.engine.governor import BrainGovernor
from titan_core.engine.layout import Layout
from titan_core.engine.live import PerEvent
from titan_core.engine.open_governor import OpenGovernor
from titan_core.engine.prepared import Prepared
from titan_core.engine.reference import stream_events
from titan_core.engine.replay import Replay
from titan_core.model.enums import InstrumentKind, StreamKind
from titan_core.model.ids import VenueId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Refused
from titan_core.model.units import MONEY_PER_USDT, MS, Money
from titan_core.plugin_host import LoadedPhase, discover
from titan_core.ports import Market, Order, Strategy
from titan_core.tape.tape import Tape, build_tape

REPLAY, PER_EVENT = "titan", "titan per event"
CASH = 1_000_000 * MONEY_PER_USDT
EQUITY = Money(1_000 * MONEY_PER_USDT)
"""What the Scavenger starts with, as in `titan replay`."""
Event = tuple[int, int, tuple[Any, ...]]


# -- the level rule -------------------------------------------------------------------------------------------------


class LevelStrategy(Strategy):
    """The rule as a strategy: two armed levels, a timer, market orders; and levels that no price reaches, armed once and kept, where asked for."""

    def __init__(self, rule: LevelRule, above: Sequence[int] = (), below: Sequence[int] = ()) -> None:
        self.rule, self.far = rule, (above, below)
        self.fires = self.orders = self.position = 0
        self.levels: list[Any] = []
        self.fills: list[Any] = []

    def on_start(self, market: Market) -> None:
        """Set the timer."""
        perp, (above, below) = market.perp, self.far
        for price in above:
            market.arm(perp.above(price), self.on_level)
        for price in below:
            market.arm(perp.below(price), self.on_level)
        market.every(self.rule.period_ns, self.on_period)

    def on_period(self, market: Market, timer: Any) -> None:
        """Close what is open and set the levels anew."""
        last = market.perp.last()
        if self.position:
            self.trade(market, 0)
        if last is not None:
            self.set_levels(market, last)

    def on_level(self, market: Market, hit: Any) -> None:
        """Fade the level, or close, and set both levels anew."""
        last = market.perp.last()
        assert last is not None
        self.fires += 1
        self.trade(market, hit.payload)
        self.set_levels(market, last)

    def set_levels(self, market: Market, price: int) -> None:
        """Replace the levels by one on either side of the price."""
        perp, step, lots = market.perp, self.rule.step_ticks, self.rule.lots
        for level in self.levels:
            market.disarm(level)
        self.levels = [market.arm(perp.above(price + step), self.on_level, -lots), market.arm(perp.below(price - step), self.on_level, lots)]

    def trade(self, market: Market, signed_lots: int) -> None:
        """Close the position by a market order, or open one."""
        self.orders += 1
        if self.position:
            self.position, answer = 0, market.exit(market.perp)
        else:
            self.position, answer = signed_lots, market.enter(market.perp, signed_lots)
        if isinstance(answer, Refused):
            raise AssertionError(f"an order of the level rule was refused: {answer}")

    def on_fill(self, market: Market, order: Order, fill: Any) -> None:
        """Note the fill."""
        self.fills.append(fill)


def level_tape(columns: MarketSlice) -> Tape:
    """Make a tape of the slice's traded instrument."""
    perp = Instrument(venue=VenueId("bench"), symbol="PERP", kind=InstrumentKind.PERP, base="BTC", tick_size=Decimal("0.1"), lot_size=Decimal("0.001"))
    return build_tape([perp], {(perp.id, StreamKind.QUOTE): columns.quotes, (perp.id, StreamKind.TRADE): columns.trades})


@frozen(eq=False)
class TitanLevel:
    """The level rule over one tape: what runs share is made once; each run gets a new engine, and its times cover the run alone."""

    tape: Tape
    prepared: Prepared = field(init=False)
    _events: list[Event] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "prepared", Prepared(self.tape))

    def replay(self, rule: LevelRule, above: Sequence[int] = (), below: Sequence[int] = ()) -> LevelResult:
        """Run in the skip-ahead form, with levels at those prices armed besides."""
        strategy = LevelStrategy(rule, above, below)
        governor = OpenGovernor([strategy])
        engine = Replay(self.prepared, governor, cash=CASH, slots=governor.slots, latency_ns=1)
        wall, cpu = perf_counter(), process_time()
        engine.run()
        return self._result(REPLAY, strategy, governor, perf_counter() - wall, process_time() - cpu)

    def per_event(self, rule: LevelRule) -> LevelResult:
        """Run in the per-event form, which is handed one tick after the other."""
        events = self._events or self._listed()
        strategy = LevelStrategy(rule)
        governor = OpenGovernor([strategy])
        engine = PerEvent(self.prepared.layout, governor, cash=CASH, slots=governor.slots, latency_ns=1)
        wall, cpu = perf_counter(), process_time()
        feed(engine, events)
        return self._result(PER_EVENT, strategy, governor, perf_counter() - wall, process_time() - cpu)

    def _listed(self) -> list[Event]:
        self._events.extend(tape_events(self.tape))
        return self._events

    def _result(self, engine: str, strategy: LevelStrategy, governor: OpenGovernor, wall_s: float, cpu_s: float) -> LevelResult:
        if governor.faults:
            raise governor.faults[0][1]
        fills = tuple(LevelFill(fill.ts_ns, fill.signed_lots, fill.price) for fill in strategy.fills)
        return LevelResult(engine, self.tape.ticks, strategy.fires, strategy.orders, fills, wall_s, cpu_s)


# -- the per-event form ---------------------------------------------------------------------------------------------


def tape_events(tape: Tape) -> list[Event]:
    """Return all events as the per-event form takes them in; it works the basis out itself."""
    layout = Layout.of(tape)
    fed = [kind is not StreamKind.BASIS for _, kind in layout.keys]
    return [(ts, rank, values) for ts, rank, _, values in stream_events(tape, layout) if fed[rank]]


def feed(engine: PerEvent, events: Sequence[Event]) -> None:
    """Start just before the first event, take in one after the other, and end with the last."""
    engine.start(events[0][0] - 1)
    on_event = engine.on_event
    for ts, rank, values in events:
        on_event(ts, rank, values)
    engine.finish(events[-1][0])


# -- the Scavenger --------------------------------------------------------------------------------------------------


def scavenger(*overrides: str) -> tuple[LoadedPhase, Config]:
    """Return the installed phase and the built-in configuration with these overrides, whatever the user has set.

    Raises NotMeasured where it is not installed.
    """
    report = discover()
    if not any(phase.id == "scavenger" for phase in report.phases):
        why = next((plugin.reason for plugin in report.broken if plugin.name == "scavenger"), "not installed")
        raise harness.NotMeasured(f"the Scavenger cannot be used ({why}); install it with pip install -e plugins/titan_scavenger")
    return choose_phases(report.phases, ["scavenger"])[0], load_config(None, report.declarations, overrides, environ={})


def per_event_engine(tape: Tape, phase: LoadedPhase, config: Config) -> PerEvent:
    """Build what `compose_replay` builds, but in the per-event form."""
    governor = BrainGovernor([bind(phase, config)], config.brain)
    terms = config.replay
    return PerEvent(
        Layout.of(on_terms(tape, config)),
        governor,
        cash=EQUITY,
        slots=governor.slots,
        latency_ns=terms.order_latency_ms * MS,
        slippage_ticks=terms.slippage_ticks,
    )
