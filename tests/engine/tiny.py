"""Tapes of a few events written by hand, and strategies that follow a script, run through every form of the engine."""

import importlib.util
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np

from titan_core.engine.layout import Layout
from titan_core.engine.live import PerEvent, play
from titan_core.engine.open_governor import OpenGovernor
from titan_core.engine.reference import Reference
from titan_core.model.enums import InstrumentKind, StreamKind
from titan_core.model.ids import StrategyId, VenueId
from titan_core.model.instrument import Instrument
from titan_core.model.units import MONEY_PER_USDT, S
from titan_core.ports import Strategy
from titan_core.tape.columns import DEPTH_LEVELS, SPECS
from titan_core.tape.tape import Tape, build_tape

T0 = 1_700_000_000 * S
CASH = 100_000 * MONEY_PER_USDT
FORMS = ["reference", "per-event"] + (["replay"] if importlib.util.find_spec("numba") else [])

PERP = Instrument(
    venue=VenueId("test-perp"),
    symbol="AAAUSDT",
    kind=InstrumentKind.PERP,
    base="AAA",
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
    maker_fee_ppm=200,
    taker_fee_ppm=500,
)
"""One lot at one tick is worth 0.0001 USDT: 10,000 units of money."""
SPOT = Instrument(venue=VenueId("test-spot"), symbol="AAAUSDT", kind=InstrumentKind.SPOT, base="AAA", tick_size=Decimal("0.01"), lot_size=Decimal("0.01"))
"""One lot at one tick is worth 0.0001 USDT as well; its tick is a tenth of the perpetual's."""
OTHER = Instrument(venue=VenueId("test-perp"), symbol="BBBUSDT", kind=InstrumentKind.PERP, base="BBB", tick_size=Decimal("0.01"), lot_size=Decimal("0.1"))
UNIT = 10_000


class Events:
    """Collects events; times are given in ns after T0."""

    def __init__(self, *instruments: Instrument) -> None:
        self.instruments = instruments or (PERP,)
        self._rows: dict[Any, list[tuple[Any, ...]]] = {}

    def add(self, kind: StreamKind, ns: int, *values: Any, on: Instrument | None = None) -> "Events":
        """Add one event of any kind."""
        self._rows.setdefault(((on or self.instruments[0]).id, kind), []).append((T0 + ns, *values))
        return self

    def quote(self, ns: int, bid: int, ask: int, bid_lots: int = 10, ask_lots: int = 10, on: Instrument | None = None) -> "Events":
        """Add a best bid and ask."""
        return self.add(StreamKind.QUOTE, ns, bid, ask, bid_lots, ask_lots, on=on)

    def trade(self, ns: int, price: int, signed_lots: int = -1, on: Instrument | None = None) -> "Events":
        """Add a print; negative lots are sold by the taker."""
        return self.add(StreamKind.TRADE, ns, price, signed_lots, on=on)

    def until(self, ns: int) -> "Events":
        """Let the tape last until a time, by a last quote."""
        quotes = self._rows[self.instruments[0].id, StreamKind.QUOTE]
        return self if quotes[-1][0] == T0 + ns else self.quote(ns, 1, 2)

    def depth(self, ns: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]], on: Instrument | None = None) -> "Events":
        """Add a book; missing levels are empty ones far away."""

        def filled(levels: list[tuple[int, int]], step: int) -> tuple[list[int], list[int]]:
            levels = levels + [(levels[-1][0] + step * (i + 1), 0) for i in range(DEPTH_LEVELS - len(levels))]
            return [price for price, _ in levels], [lots for _, lots in levels]

        return self.add(StreamKind.DEPTH, ns, *filled(bids, -1), *filled(asks, 1), on=on)

    def tape(self, **kwargs: Any) -> Tape:
        """Build the tape."""
        raw = {}
        for (instrument, kind), rows in self._rows.items():
            columns = zip(*sorted(rows), strict=True)
            raw[instrument, kind] = {name: np.array(column, dtype) for (name, dtype), column in zip(SPECS[kind].raw.items(), columns, strict=True)}
        return build_tape(self.instruments, raw, **kwargs)


class Script(Strategy):
    """Runs functions of the market at given times (ns after T0) and keeps what happens to its orders."""

    id = StrategyId("script")

    def __init__(self, steps: dict[int, Callable[[Any], Any]], on_fill: Callable[[Any, Any, Any], Any] | None = None) -> None:
        self._steps = steps
        self._react = on_fill
        self.results: dict[int, Any] = {}
        self.log: list[tuple[Any, ...]] = []
        self.hits: list[tuple[int, Any]] = []

    def on_start(self, market: Any) -> None:
        for ns in self._steps:
            market.at(T0 + ns, self._step, ns)

    def _step(self, market: Any, timer: Any) -> None:
        self.results[timer.payload] = self._steps[timer.payload](market)

    def hit(self, market: Any, condition: Any) -> None:
        """A callback for conditions: notes the time and the payload."""
        self.hits.append((market.now_ns - T0, condition.payload))

    def on_fill(self, market: Any, order: Any, fill: Any) -> None:
        self.log.append(("fill", fill.ts_ns - T0, fill.signed_lots, fill.price, fill.liquidity.value, fill.tag))
        if self._react is not None:
            self._react(market, order, fill)

    def on_flat(self, market: Any, instrument: Any) -> None:
        self.log.append(("flat", market.now_ns - T0))

    def on_order_closed(self, market: Any, order: Any) -> None:
        self.log.append(("closed", market.now_ns - T0, order.status.value, order.leaves_lots))


def make_engine(form: str, tape: Tape, governor: Any, *, slots: int = 1, cash: int = CASH, **kwargs: Any) -> Any:
    """Make one form of the engine, the compiled one with tiny capacities."""
    if form == "reference":
        return Reference(tape, governor, cash=cash, slots=slots, **kwargs)
    if form == "per-event":
        return PerEvent(Layout.of(tape), governor, cash=cash, slots=slots, segment_rows=64, **kwargs)
    from titan_core.engine.levels import LevelBook
    from titan_core.engine.prepared import Prepared
    from titan_core.engine.replay import Replay

    prepared = Prepared(tape)
    book = LevelBook(prepared.descriptors, capacity=2, alive_bits=2)
    return Replay(prepared, governor, cash=cash, slots=slots, chunk=1, book=book, **kwargs)


def run(
    form: str, events: "Events | Tape", *strategies: Strategy, start: int | None = None, end: int | None = None, governor: Any = None, **kwargs: Any
) -> Any:
    """Run strategies over hand-made events in one form; times are ns after T0. Latency is 10 ns unless given. Returns the engine."""
    tape = events.tape() if isinstance(events, Events) else events
    governor = governor or OpenGovernor(strategies)
    engine = make_engine(form, tape, governor, slots=governor.slots, **({"latency_ns": 10} | kwargs))
    start_ns, end_ns = (None if t is None else T0 + t for t in (start, end))
    if form == "per-event":
        play(engine, tape, start_ns, end_ns)
    else:
        engine.run(start_ns, end_ns)
    assert not governor.faults, governor.faults
    return engine


def fills(engine: Any) -> list[tuple[int, int, int, str]]:
    """Return (ns after T0, signed lots, price, liquidity) of all fills."""
    return [(f.ts_ns - T0, f.signed_lots, f.price, f.liquidity.value) for f in engine.record.fills]
