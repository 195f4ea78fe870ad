"""Small markets with every price chosen, and boxes on them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from titan_core.model.enums import Side, StreamKind
from titan_core.model.ids import InstrumentId
from titan_core.model.units import MS, D, S
from titan_core.simulator.box import Box
from titan_core.simulator.chunks import Streams, Supply
from titan_core.simulator.exchange import Exchange
from titan_core.simulator.listings import Role
from titan_core.simulator.orders import Kind, NewOrder, Order
from titan_core.tape.columns import SPECS
from titan_core.testing.chaos import PERP as PERP_SOURCE
from titan_core.testing.chaos import SPOT as SPOT_SOURCE

PERP = InstrumentId("BTCUSDT.bybit-linear")
SPOT = InstrumentId("BTCUSDT.bybit-spot")
MEXC = InstrumentId("BTCUSDT.mexc-contract")
START = 19_723 * D


def columns(kind: StreamKind, rows: list[tuple[Any, ...]]) -> dict[str, Any]:
    names = list(SPECS[kind].raw)
    return {name: np.array([row[place] for row in rows], SPECS[kind].raw[name]) for place, name in enumerate(names)}


class Script:
    """A market event by event, a millisecond apart unless a time is given. Prices in USDT; the perpetual's mark follows its quotes."""

    def __init__(self) -> None:
        self.rows: dict[tuple[Role, StreamKind], list[tuple[Any, ...]]] = {}
        self.now = START

    def _add(self, role: Role, kind: StreamKind, *values: int) -> "Script":
        self.now += MS
        self.rows.setdefault((role, kind), []).append((self.now, *values))
        return self

    def quote(self, bid: float, ask: float | None = None, lots: int = 5_000) -> "Script":
        high = ask if ask is not None else bid + 0.1
        self._add(Role.PERP, StreamKind.QUOTE, round(bid * 10), round(high * 10), lots, lots)
        self._add(Role.SPOT, StreamKind.QUOTE, round(bid * 100), round(high * 100), lots * 100, lots * 100)
        return self._add(Role.PERP, StreamKind.MARK, round(bid * 10), round(bid * 10))

    def trade(self, price: float, lots: int) -> "Script":
        return self._add(Role.PERP, StreamKind.TRADE, round(price * 10), lots)

    def wait(self, seconds: float) -> "Script":
        self.now += int(seconds * S)
        return self

    def supply(self) -> Supply:
        return Supply(SPOT_SOURCE, PERP_SOURCE, START, self._spans())

    def _spans(self) -> Iterator[Streams]:
        yield {key: columns(key[1], rows) for key, rows in self.rows.items()}
        last = self.now
        while True:  # silence, except for a mark a day
            last += D
            mark = self.rows[Role.PERP, StreamKind.MARK][-1]
            yield {(Role.PERP, StreamKind.MARK): columns(StreamKind.MARK, [(last, *mark[1:])])}


def box_of(script: Script, **options: Any) -> Box:
    return Box(1, supply=script.supply(), **options)


def step(box: Box, events: int = 1) -> None:
    """Let the next market events happen."""
    for _ in range(events):
        box.advance(box.next_ns())


def order(instrument: InstrumentId = PERP, side: Side = Side.BUY, lots: int = 100, price: float = 0.0, **fields: Any) -> NewOrder:
    tick = 100 if instrument == SPOT else 10
    kind = Kind.LIMIT if price else Kind.MARKET
    return NewOrder(instrument=instrument, side=side, kind=kind, lots=lots, price=round(price * tick), **fields)


def placed(exchange: Exchange, request: NewOrder) -> Order:
    made = exchange.place(request)
    assert isinstance(made, Order), made
    return made
