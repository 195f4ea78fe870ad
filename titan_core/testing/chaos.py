"""Random markets and a random strategy, for the property tests that hold the engines against each other."""

import random
from decimal import Decimal
from typing import Any

import numpy as np

from titan_core.model.enums import InstrumentKind, StreamKind, TimeInForce
from titan_core.model.ids import StrategyId, VenueId
from titan_core.model.instrument import Instrument
from titan_core.model.units import MIN, S
from titan_core.ports import Strategy
from titan_core.tape.columns import DEPTH_LEVELS, Columns, strictly_increasing
from titan_core.tape.tape import StreamKey

SPOT = Instrument(
    venue=VenueId("binance-spot"),
    symbol="BTCUSDT",
    kind=InstrumentKind.SPOT,
    base="BTC",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.00001"),
    taker_fee_ppm=1000,
    maker_fee_ppm=1000,
)
PERP = Instrument(venue=VenueId("bybit-linear"), symbol="BTCUSDT", kind=InstrumentKind.PERP, base="BTC", tick_size=Decimal("0.1"), lot_size=Decimal("0.001"))
ETH = Instrument(venue=VenueId("bybit-linear"), symbol="ETHUSDT", kind=InstrumentKind.PERP, base="ETH", tick_size=Decimal("0.01"), lot_size=Decimal("0.01"))
START = 1_704_067_200 * S


def random_market(
    seed: int, rows: int, *, step_ns: int = 40_000_000, volatility: float = 2.0, jump: float = 0.0, ties: bool = True, thin: bool = False
) -> tuple[tuple[Instrument, ...], dict[StreamKey, Columns]]:
    """Make raw columns of a random market: one to three instruments, with or without mark, depth, funding and open interest.

    Times lie on a microsecond grid with ties between streams (and none inside one) unless `ties` is False; prices jump with probability `jump`.
    """
    g = np.random.default_rng(seed)
    walk = np.cumsum(g.normal(0, volatility, rows)) + np.cumsum((g.random(rows) < jump) * g.normal(0, volatility * 60, rows))
    grid = np.sort(g.integers(0, max(2, rows * step_ns // 1000), rows)) * 1000 + START
    chosen = (SPOT, PERP, ETH) if seed % 5 == 0 else (SPOT, PERP) if seed % 5 < 4 else (PERP,)
    raw: dict[StreamKey, Columns] = {}
    for instrument in chosen:
        scale = 10 if instrument is SPOT else 1
        level = 30_000 if instrument is ETH else 460_000

        def pick(count: int) -> tuple[Any, Any]:
            rows_taken = np.sort(g.choice(rows, min(rows, count), replace=False))
            return strictly_increasing(grid[rows_taken]), rows_taken

        ts, at = pick(max(1, int(rows * g.uniform(0.2, 0.9))))
        price = ((level + walk[at] / (16 if instrument is ETH else 1)) * scale + g.normal(0, 3 * scale, len(at))).astype(np.int64)
        spread = g.integers(1, 4, len(at))
        raw[instrument.id, StreamKind.QUOTE] = {
            "ts": ts,
            "bid": price.astype(np.int32),
            "ask": (price + spread).astype(np.int32),
            "bid_lots": g.integers(1, 60, len(at)).astype(np.int32),
            "ask_lots": g.integers(1, 60, len(at)).astype(np.int32),
        }
        ts, at = pick(max(1, int(rows * g.uniform(0.2, 0.9))))
        price = ((level + walk[at] / (16 if instrument is ETH else 1)) * scale + g.integers(-4, 5, len(at))).astype(np.int32)
        lots = (g.integers(1, 3 if thin else 80, len(at)) * g.choice([-1, 1], len(at))).astype(np.int32)
        raw[instrument.id, StreamKind.TRADE] = {"ts": ts, "price": price, "signed_lots": lots}
        if instrument.is_perp:
            _perp_streams(g, raw, instrument, grid, walk, level, pick)
    if not ties:
        _untie(raw)
    return chosen, raw


def _perp_streams(g: Any, raw: dict[StreamKey, Columns], instrument: Instrument, grid: Any, walk: Any, level: int, pick: Any) -> None:
    rows = len(grid)
    scale = 16 if instrument is ETH else 1
    if g.random() < 0.6:
        ts, at = pick(max(1, rows // 7))
        price = (level + walk[at] / scale).astype(np.int32)
        raw[instrument.id, StreamKind.MARK] = {"ts": ts, "price": price, "index": price - 1}
    if g.random() < 0.7:
        ts, at = pick(max(1, rows // 100))
        raw[instrument.id, StreamKind.FUNDING] = {"ts": ts, "rate_e8": g.integers(-40_000, 40_000, len(ts)).astype(np.int32)}
    if g.random() < 0.5:
        ts, at = pick(max(1, rows // 50))
        raw[instrument.id, StreamKind.OPEN_INTEREST] = {"ts": ts, "lots": (g.integers(-500, 500, len(ts)) + 100_000).astype(np.int32)}
    if g.random() < 0.4:
        ts, at = pick(max(1, rows // 20))
        base = (level + walk[at] / scale).astype(np.int64)
        steps = np.arange(DEPTH_LEVELS)
        raw[instrument.id, StreamKind.DEPTH] = {
            "ts": ts,
            "bids": (base[:, None] - steps).astype(np.int32),
            "bid_lots": g.integers(0, 9, (len(ts), DEPTH_LEVELS)).astype(np.int32),
            "asks": (base[:, None] + 1 + steps).astype(np.int32),
            "ask_lots": g.integers(0, 9, (len(ts), DEPTH_LEVELS)).astype(np.int32),
        }


def _untie(raw: dict[StreamKey, Columns]) -> None:
    """Make times unique over all streams, as a receiving process does."""
    keys = list(raw)
    ts = np.concatenate([raw[key]["ts"] for key in keys])
    rank = np.concatenate([np.full(len(raw[key]["ts"]), i) for i, key in enumerate(keys)])
    order = np.lexsort((rank, ts))
    unique = np.empty_like(ts)
    unique[order] = strictly_increasing(ts[order])
    place = 0
    for key in keys:
        count = len(raw[key]["ts"])
        raw[key] = {**raw[key], "ts": unique[place : place + count]}
        place += count


def _one_in_nine(ts_ns: int, price: int, signed_lots: int) -> bool:
    return (price + signed_lots) % 9 == 0


def _wide(ts_ns: int, bid: int, ask: int, bid_lots: int, ask_lots: int) -> bool:
    return ask - bid > 2 and bid_lots * 2 < ask_lots


class Chaos(Strategy):
    """Arms, cancels, orders and looks up at random, and notes everything that it sees."""

    def __init__(self, seed: int, *, first: int = 6, budget: int = 400, spread: int = 60) -> None:
        """`first` conditions are armed at the start; after `budget` actions it only watches."""
        self.id = StrategyId(f"chaos{seed % 1000}")
        self._r = random.Random(seed)
        self._first, self._left, self._spread = first, budget, spread
        self._conditions: list[Any] = []
        self._orders: list[Any] = []
        self._moments: list[int] = []
        self._frames = (7 * S, MIN, 2 * MIN)

    def on_start(self, market: Any) -> None:
        """Arm the first conditions."""
        market.every(self._r.choice((3 * S, 7 * S, MIN)), self._tick)
        for _ in range(self._first):
            self._arm(market)

    def _note(self, market: Any, *words: object) -> None:
        market.note(repr(words))

    def _instrument(self, market: Any) -> Any:
        return self._r.choice(market.instruments)

    def _window(self, market: Any) -> int:
        self._moments.append(market.now_ns)
        if self._r.random() < 0.5:  # an edge that falls exactly on an event
            return max(1, int(market.now_ns) - self._r.choice(self._moments[-40:]))
        return int(self._r.choice((3 * S, 20 * S)))

    def _look(self, market: Any) -> Any:
        i, w, x = self._instrument(market), self._window(market), self._r.randrange(13)
        if x == 0:
            return i.cvd(w)
        if x == 1:
            return i.volume(w)
        if x == 2:
            return i.vwap(w)
        if x == 3:
            return i.range_high(market.now_ns - w)
        if x == 4:
            return i.range_low(market.now_ns - w)
        if x == 5:
            return i.quote(), i.last(), i.mark(), i.funding_rate(), i.open_interest()
        if x == 6:
            price = i.last() or 460_000
            return i.footprint(market.now_ns - w, price - 10, price + 10)
        if x == 7:
            return [pair.basis() for pair in market.pairs]
        return self._look_at_bars(i.bars(self._r.choice(self._frames)), x)

    def _look_at_bars(self, bars: Any, x: int) -> Any:
        if not bars.count:
            return 0
        if x == 8:
            return bars.count, bars.open(1), bars.high(1), bars.low(1), bars.close(1), bars.volume(1), bars.delta(1)
        if x == 9:
            return bars.bollinger(5, 2.0)
        if x == 10:
            return bars.atr(5)
        return bars.swing_highs(2, 12), bars.swing_lows(1, 8)

    def _arm(self, market: Any) -> None:
        r, i = self._r, self._instrument(market)
        price = i.last() or (4_600_000 if not i.spec.is_perp else 460_000)
        bid, ask = (i.quote() or (price, price))[:2]
        d = r.randrange(self._spread) * (1 if i.spec.is_perp else 10)
        window, lots = self._window(market), r.randrange(1, 600)
        within = r.choice((None, 30 * S, 2 * S))
        makers = [
            lambda: i.above(price + d),
            lambda: i.below(price - d),
            lambda: i.above(price - d // 4),
            lambda: i.below(price + d // 4),
            lambda: i.bid_below(bid - d // 4),
            lambda: i.ask_above(ask + d // 4),
            lambda: i.bid_above(bid + d // 4),
            lambda: i.ask_below(ask - d // 4),
            lambda: i.trail_from_high(d + 1),
            lambda: i.trail_from_low(d + 1),
            lambda: i.flow_above(window, lots, within),
            lambda: i.flow_below(window, -lots, within),
            lambda: i.trade_where(_one_in_nine),
            lambda: i.quote_where(_wide),
        ]
        if market.pairs:
            basis = market.pairs[0].basis() or 0
            makers += [lambda: market.pairs[0].basis_above(basis + d), lambda: market.pairs[0].basis_below(basis - d)]
        if i.mark() is not None:
            makers += [lambda: i.mark_above(price + d), lambda: i.mark_below(price - d)]
        if i.open_interest() is not None:
            makers += [lambda: i.open_interest_above(100_000 + d), lambda: i.open_interest_below(100_000 - d)]
        if i.funding_rate() is not None:
            makers.append(i.next_funding)
        which = r.randrange(len(makers))
        self._conditions.append(market.arm(makers[which](), self._hit, which))

    def _hit(self, market: Any, condition: Any) -> None:
        self._note(market, "hit", condition.seq, condition.payload, self._look(market))
        self._act(market)

    def _tick(self, market: Any, timer: Any) -> None:
        self._note(market, "tick", self._look(market))
        self._act(market)

    def on_fill(self, market: Any, order: Any, fill: Any) -> None:
        """Note it and act."""
        self._note(market, "fill", order.leaves_lots, fill.price)
        self._act(market)

    def on_flat(self, market: Any, instrument: Any) -> None:
        """Note it."""
        self._note(market, "flat", instrument.spec.id)

    def on_order_closed(self, market: Any, order: Any) -> None:
        """Note it."""
        self._note(market, "closed", order.client_order_id, order.status.value)

    def _act(self, market: Any) -> None:
        self._left -= 1
        if self._left < 0:
            return
        r = self._r
        for _ in range(r.randrange(1, 3)):
            x = r.randrange(11)
            if x < 4:
                self._arm(market)
            elif x == 4 and self._conditions:
                market.disarm(self._conditions.pop(r.randrange(len(self._conditions))))
            elif x == 5 and self._orders:
                market.cancel(r.choice(self._orders))
            elif x == 6:
                market.after(r.randrange(1, 4 * S), self._tick)
            else:
                self._order(market, x)

    def _order(self, market: Any, x: int) -> None:
        r, i = self._r, self._instrument(market)
        quote = i.quote()
        if quote is None:
            return
        side, lots = r.choice((-1, 1)), r.choice((1, 5, 50, 500))
        d = r.randrange(-2, 12) * (1 if i.spec.is_perp else 5)
        price = quote[0] - d if side > 0 else quote[1] + d
        stop, target = (quote[0] - 3 * abs(d) - 3, quote[1] + 2 * abs(d) + 2)[:: 1 if side > 0 else -1]
        if r.random() < 0.4:
            stop = target = None
        if x == 7:
            order = market.enter(i, side * lots, stop=stop, target=target, tag="m")
        elif x == 8:
            tif = r.choice((TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK))
            order = market.enter(i, side * lots, limit=price, stop=stop, target=target, post_only=r.random() < 0.4, time_in_force=tif, tag="l")
        elif x == 9:
            order = market.enter(i, side * lots, trigger=quote[1] + 3 * d if side > 0 else quote[0] - 3 * d, stop=stop, tag="s")
        else:
            limit = None if r.random() < 0.5 else quote[1] + abs(d) if i.position() > 0 else quote[0] - abs(d)
            order = market.exit(i, lots=lots if r.random() < 0.5 else None, limit=limit, tag="x")
        self._orders.append(order)
