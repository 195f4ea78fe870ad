"""Markets and a strategy made to hit edges: few prices, tiny sizes, everything on a coarse grid of time, so that equal prices, equal times, windows
that begin exactly on an event and queues that are eaten to the last lot are the rule and not the exception. Everything follows from a seed.
"""

import random
from typing import Any

import numpy as np

from tests.engine.tiny import OTHER, PERP, SPOT
from titan_core.model.enums import StreamKind, TimeInForce
from titan_core.model.ids import StrategyId
from titan_core.model.units import MIN, S
from titan_core.ports import Strategy
from titan_core.tape.columns import DEPTH_LEVELS, strictly_increasing
from titan_core.tape.tape import Tape, build_tape

GRID = S
START = 28_333_333 * MIN
I32 = np.int32


def edge_market(seed: int, rows: int, *, ties: bool = True, span: int = 6, dense: bool = False) -> Tape:
    """Make a tape: one to three instruments, prices within `span` ticks of 1000, times on whole seconds.

    With `dense`, streams have a row at nearly every second; otherwise minutes may pass without one.
    """
    g = np.random.default_rng(seed)
    instruments = ((PERP,), (SPOT, PERP), (SPOT, PERP, OTHER), (PERP, OTHER))[seed % 4]
    raw: dict[Any, Any] = {}

    def times(count: int) -> Any:
        steps = g.integers(1, 3, count) if dense else g.choice([1, 1, 2, 3, 40, 61], count, p=[0.4, 0.2, 0.2, 0.1, 0.05, 0.05])
        return START + np.cumsum(steps) * GRID

    def walk(count: int, scale: int) -> Any:
        wave = np.cumsum(g.choice([-1, 0, 0, 1], count))
        return (1000 + np.abs((wave + span) % (2 * span) - span)) * scale

    for instrument in instruments:
        scale = 10 if instrument is SPOT else 1
        n = max(1, int(rows * g.uniform(0.3, 1.0)))
        bid = walk(n, scale) + g.integers(0, scale, n)
        quote = {"ts": times(n), "bid": bid.astype(I32), "ask": (bid + g.integers(1, 3, n)).astype(I32)}
        raw[instrument.id, StreamKind.QUOTE] = quote | {name: g.integers(0, 4, n).astype(I32) for name in ("bid_lots", "ask_lots")}
        n = max(1, int(rows * g.uniform(0.3, 1.0)))
        signed = g.choice([-3, -2, -1, -1, 1, 1, 2, 3, 0], n)
        raw[instrument.id, StreamKind.TRADE] = {
            "ts": times(n),
            "price": (walk(n, scale) + g.integers(0, scale, n)).astype(I32),
            "signed_lots": signed.astype(I32),
        }
        if instrument.is_perp:
            _perp(g, raw, instrument.id, times, walk, rows)
    if not ties:
        _untie(raw)
    return build_tape(instruments, raw)


def _perp(g: Any, raw: dict[Any, Any], name: Any, times: Any, walk: Any, rows: int) -> None:
    n = max(1, rows // 6)
    if g.random() < 0.5:
        price = walk(n, 1).astype(I32)
        raw[name, StreamKind.MARK] = {"ts": times(n), "price": price, "index": price}
    if g.random() < 0.7:
        raw[name, StreamKind.FUNDING] = {"ts": times(n // 4 + 1), "rate_e8": g.integers(-3, 4, n // 4 + 1).astype(I32) * 33_333}
    if g.random() < 0.5:
        raw[name, StreamKind.OPEN_INTEREST] = {"ts": times(n), "lots": (100 + g.integers(-2, 3, n)).astype(I32)}
    if g.random() < 0.4:
        raw[name, StreamKind.LIQUIDATION] = {
            "ts": times(n // 3 + 1),
            "price": walk(n // 3 + 1, 1).astype(I32),
            "signed_lots": g.integers(-3, 3, n // 3 + 1).astype(I32),
        }
    if g.random() < 0.4:
        best, steps = walk(n, 1)[:, None], np.arange(DEPTH_LEVELS)
        sizes = {side: g.integers(0, 3, (n, DEPTH_LEVELS)).astype(I32) for side in ("bid_lots", "ask_lots")}
        raw[name, StreamKind.DEPTH] = {"ts": times(n), "bids": (best - steps).astype(I32), "asks": (best + 1 + steps).astype(I32)} | sizes


def _untie(raw: dict[Any, Any]) -> None:
    """Make times unique by whole nanoseconds, leaving as many as possible on the grid."""
    keys = list(raw)
    ts = np.concatenate([raw[key]["ts"] for key in keys])
    order = np.argsort(ts, kind="stable")
    ts[order] = strictly_increasing(ts[order])
    for key, part in zip(keys, np.split(ts, np.cumsum([len(raw[key]["ts"]) for key in keys])[:-1]), strict=True):
        raw[key] = {**raw[key], "ts": part}


def _sold_on_an_odd_tick(ts_ns: int, price: int, signed_lots: int) -> bool:
    return price % 2 == 1 and signed_lots < 0


def _even_ask(ts_ns: int, bid: int, ask: int, bid_lots: int, ask_lots: int) -> bool:
    return ask % 2 == 0 and (ts_ns // GRID) % 3 > 0


class Edgy(Strategy):
    """Looks everything up at every callback, and arms, disarms and orders at prices and times that are likely to be met exactly."""

    def __init__(self, seed: int, budget: int = 150) -> None:
        self.id = StrategyId(f"edgy{seed % 1000}")
        self._r = random.Random(seed)
        self._left = budget
        self._armed: list[Any] = []
        self._orders: list[Any] = []
        self._moments: list[int] = []

    def on_start(self, market: Any) -> None:
        market.every(self._r.choice((5, 7, 60)) * GRID, self._tick)
        for _ in range(8):
            self._arm(market)

    # -- looking --------------------------------------------------------------------------------------------------
    def _window(self, market: Any) -> int:
        """A window that begins on a second, a moment at which something happened, or a nanosecond beside one."""
        now = market.now_ns
        edge = self._r.choice(self._moments[-30:]) if self._moments and self._r.random() < 0.4 else now // GRID * GRID - self._r.randrange(90) * GRID
        self._moments.append(now)
        return max(1, now - edge + self._r.choice((0, 0, 0, 1, -1)))

    def _look(self, market: Any) -> Any:
        i, r = self._r.choice(market.instruments), self._r
        w, since = self._window(market), market.now_ns - self._window(market)
        last = i.last() or 1000
        low = last + r.randrange(-3, 1)
        bars = i.bars(r.choice((GRID * 5, MIN, MIN, 2 * MIN, 3 * MIN)))
        seen = [i.quote(), i.last(), i.mark(), i.funding_rate(), i.open_interest(), i.position(), [pair.basis() for pair in market.pairs]]
        seen += [i.cvd(w), i.volume(w), i.vwap(w), i.range_high(since), i.range_low(since), i.footprint(since, low, low + r.randrange(4)), bars.count]
        if bars.count:
            ago = r.randrange(1, min(bars.count, 5) + 1)
            seen += [bars.open(ago), bars.high(ago), bars.low(ago), bars.close(ago), bars.volume(ago), bars.delta(ago)]
            seen += [bars.bollinger(r.randrange(1, 6), 2.0), bars.atr(3), bars.swing_highs(r.randrange(1, 3), r.randrange(3, 20)), bars.swing_lows(1, 9)]
        return seen

    # -- arming ---------------------------------------------------------------------------------------------------
    def _arm(self, market: Any) -> None:
        r, i = self._r, self._r.choice(market.instruments)
        scale = 1 if i.spec.is_perp else 10
        last = i.last() or 1000 * scale
        bid, ask = (i.quote() or (last, last + 1))[:2]
        d = r.randrange(-2, 4) * scale
        window, lots, within = self._window(market), r.randrange(-2, 6), r.choice((None, r.randrange(1, 40) * GRID))
        makers = [
            lambda: i.above(last + d),
            lambda: i.below(last - d),
            lambda: i.bid_above(bid + d),
            lambda: i.bid_below(bid - d),
            lambda: i.ask_above(ask + d),
            lambda: i.ask_below(ask - d),
            lambda: i.trail_from_high(abs(d)),
            lambda: i.trail_from_low(abs(d)),
            lambda: i.flow_above(window, lots, within),
            lambda: i.flow_below(window, -lots, within),
            lambda: i.trade_where(_sold_on_an_odd_tick),
            lambda: i.quote_where(_even_ask),
        ]
        if market.pairs:
            basis = market.pairs[0].basis() or 0
            makers += [lambda: market.pairs[0].basis_above(basis + d * 500), lambda: market.pairs[0].basis_below(basis - d * 500)]
        if i.mark() is not None:
            makers += [lambda: i.mark_above(i.mark() + d), lambda: i.mark_below(i.mark() - d)]
        if i.open_interest() is not None:
            makers += [lambda: i.open_interest_above(100 + d), lambda: i.open_interest_below(100 - d)]
        if i.funding_rate() is not None:
            makers.append(i.next_funding)
        which = r.randrange(len(makers))
        self._armed.append(market.arm(makers[which](), self._hit, which))

    def _hit(self, market: Any, condition: Any) -> None:
        market.note(repr(("hit", condition.seq, condition.payload, self._look(market))))
        self._act(market)

    def _tick(self, market: Any, timer: Any) -> None:
        market.note(repr(("tick", self._look(market))))
        self._act(market)

    def on_fill(self, market: Any, order: Any, fill: Any) -> None:
        market.note(repr(("fill", order.leaves_lots, self._look(market))))
        self._act(market)

    def on_order_closed(self, market: Any, order: Any) -> None:
        market.note(repr(("closed", order.client_order_id, order.status.value, order.leaves_lots)))

    # -- acting ---------------------------------------------------------------------------------------------------
    def _act(self, market: Any) -> None:
        self._left -= 1
        if self._left < 0:
            return
        r = self._r
        for _ in range(r.randrange(1, 4)):
            x = r.randrange(12)
            if x < 5:
                self._arm(market)
            elif x == 5 and self._armed:
                market.disarm(self._armed.pop(r.randrange(len(self._armed))))
            elif x == 6 and self._orders:
                market.cancel(r.choice(self._orders))
            elif x == 7:
                market.at(market.now_ns // GRID * GRID + r.randrange(4) * GRID, self._tick)
            else:
                self._order(market, x)

    def _order(self, market: Any, x: int) -> None:
        r, i = self._r, self._r.choice(market.instruments)
        quote = i.quote()
        if quote is None:
            return
        scale = 1 if i.spec.is_perp else 10
        side, lots, d = r.choice((-1, 1)), r.choice((1, 2, 3, 5, 8)), r.randrange(-1, 3) * scale
        price = quote[0] - d if side > 0 else quote[1] + d
        stop, target = (quote[0] - r.randrange(1, 5) * scale, quote[1] + r.randrange(1, 4) * scale)[:: 1 if side > 0 else -1]
        if r.random() < 0.4:
            stop = target = None
        if x == 8:
            order = market.enter(i, side * lots, stop=stop, target=target, tag="m")
        elif x == 9:
            tif = r.choice((TimeInForce.GTC, TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK))
            order = market.enter(i, side * lots, limit=price, stop=stop, target=target, post_only=r.random() < 0.4, time_in_force=tif, tag="l")
        elif x == 10:
            order = market.enter(i, side * lots, trigger=quote[1] + d if side > 0 else quote[0] - d, stop=stop, tag="s")
        else:
            limit = None if r.random() < 0.4 else quote[1] + abs(d) if i.position() > 0 else quote[0] - abs(d)
            order = market.exit(i, lots=lots if r.random() < 0.5 else None, limit=limit, tag="x")
            if r.random() < 0.3:
                market.protect(i, stop=stop, target=target)
        self._orders.append(order)
