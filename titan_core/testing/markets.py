"""Small markets that do what a test needs: a spot and a perpetual instrument that follow a path of prices, deterministic to the tick.

    tape = stepped_market([60_000, 60_030, 59_900], step_s=5)   # or trend(), ranges(), crash(), gap(), lively(), ...

Every step has a quote and, a millisecond later, a trade on each leg. No two events of these markets have the same time, so the per-event form of the
engine sees them in the order of a replay.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import evolve, frozen
from numpy.typing import ArrayLike, NDArray

from titan_core.errors import UsageError
from titan_core.model.enums import StreamKind
from titan_core.model.instrument import Instrument
from titan_core.model.market import GapReason
from titan_core.model.units import BPS, MIN, MS, US, H, S
from titan_core.tape.columns import DEPTH_LEVELS, Columns
from titan_core.tape.tape import StreamKey, Tape, build_tape
from titan_core.testing.chaos import PERP, SPOT, START

I32 = np.int32
Prices = NDArray[np.float64]
Times = NDArray[np.int64]
Kept = NDArray[np.bool_]

MORNING = START + 9 * H
"""When the markets begin: 2024-01-01 09:00 UTC, so that a day-long one goes through midnight and three settlements of funding."""
TRADE_LAG_NS = MS
"""How long after the quote of its step a trade happens."""
LEG_LAG_NS = US
"""How long after the spot leg's event the same event of the perpetual happens."""


@frozen(kw_only=True)
class MarketShape:
    """What a small market has beside its path of prices. Sizes are lots of the perpetual; spot carries the same quantity of the coin."""

    step_s: float = 1.0
    start_ns: int = MORNING
    spot: Instrument | None = SPOT
    perp: Instrument | None = PERP
    basis_bps: float | Sequence[float] = 0.0
    """How far the perpetual trades above spot: always, or at each step."""
    spread_ticks: int = 1
    book_lots: int = 100_000
    """Lots displayed at the best prices; with `depth`, at each of the ten levels."""
    trade_lots: int = 10
    trades: bool = True
    trade_every: int = 1
    """A trade at every so many-th step."""
    depth: bool = False
    derivatives: bool = False
    """Mark price at each step, funding every eight hours, open interest every minute, a liquidation at each move of more than 20 bps."""
    hole: tuple[int, int] | None = None
    """(first step, number of steps) that the recording lacks; a gap event tells of it."""
    bar_s: int = 0
    """Above 0: the trades count as drawn through bars of that length, hence carry no order flow."""


def stepped_market(prices: ArrayLike, *, flow: Sequence[int] | NDArray[np.int64] | None = None, shape: MarketShape | None = None, **changes: Any) -> Tape:
    """Make a market whose price (USDT) takes the given path, a step apart.

    `flow` gives the signed taker lots of each step's trade; by default buyers take when the price has risen. `changes` are fields of `MarketShape`.
    Raises UsageError for an empty path or prices below a tick.
    """
    shape = evolve(shape or MarketShape(), **changes)
    raw = stepped_columns(prices, flow=flow, shape=shape)
    legs = tuple(leg for leg in (shape.spot, shape.perp) if leg is not None)
    return build_tape(legs, raw, bars_only={leg.id: shape.bar_s * S for leg in legs} if shape.bar_s else None)


def stepped_columns(prices: ArrayLike, *, flow: Sequence[int] | NDArray[np.int64] | None = None, shape: MarketShape | None = None) -> dict[StreamKey, Columns]:
    """Make the raw columns of `stepped_market`, for tests that change a stream before they build the tape."""
    shape = shape or MarketShape()
    path = np.asarray(prices, dtype=np.float64)
    if path.ndim != 1 or not len(path):
        raise UsageError(f"a market needs a path of at least one price, found an array of shape {path.shape}")
    ts = shape.start_ns + np.round(np.arange(len(path)) * shape.step_s * S).astype(np.int64)
    signed = _flow(path, shape) if flow is None else np.asarray(flow, dtype=np.int64)
    kept = np.ones(len(path), dtype=bool)
    if shape.hole is not None:
        kept[shape.hole[0] : sum(shape.hole)] = False
    raw: dict[StreamKey, Columns] = {}
    for leg in (shape.spot, shape.perp):
        if leg is not None:
            raw |= _leg(leg, path, ts, signed, kept, shape)
    return raw


def _flow(path: Prices, shape: MarketShape) -> NDArray[np.int64]:
    moves = np.sign(np.diff(path, prepend=path[0])).astype(np.int64)
    return np.where(moves == 0, 1, moves) * shape.trade_lots


def _leg(leg: Instrument, path: Prices, ts: Times, flow: NDArray[np.int64], kept: Kept, shape: MarketShape) -> dict[StreamKey, Columns]:
    """Make the streams of one instrument."""
    lead = LEG_LAG_NS if leg.is_perp else 0
    scale = 1 if leg.is_perp or shape.perp is None else int(shape.perp.lot_size / leg.lot_size)
    level = path * (1 + np.asarray(shape.basis_bps) / BPS) if leg.is_perp else path
    price = np.round(level / float(leg.tick_size)).astype(I32)
    if int(price.min()) < 1:
        raise UsageError(f"{leg.id}: price {path.min()} is below one tick ({leg.tick_size})")
    shown = np.full(len(path), shape.book_lots * scale, I32)
    quotes: Columns = {"ts": ts + lead, "bid": price, "ask": (price + shape.spread_ticks).astype(I32), "bid_lots": shown, "ask_lots": shown}
    raw: dict[StreamKey, Columns] = {(leg.id, StreamKind.QUOTE): _rows(quotes, kept)}
    if shape.trades:
        often = kept & (np.arange(len(path)) % shape.trade_every == 0)
        traded = np.where(flow > 0, quotes["ask"], quotes["bid"]).astype(I32)
        raw[leg.id, StreamKind.TRADE] = _rows({"ts": ts + lead + TRADE_LAG_NS, "price": traded, "signed_lots": (flow * scale).astype(I32)}, often)
    if shape.depth:
        raw[leg.id, StreamKind.DEPTH] = _rows(_depth(quotes, ts + lead + US // 2, shape.book_lots * scale), kept)
    if shape.derivatives and leg.is_perp:
        raw |= _derivatives(leg, price, ts, kept)
    if shape.hole is not None:
        raw[leg.id, StreamKind.GAP] = _gap(ts, lead, shape.hole)
    return raw


def _rows(columns: Mapping[str, NDArray[np.generic]], kept: Kept) -> Columns:
    return {name: column[kept] for name, column in columns.items()}


def _depth(quotes: Columns, ts: Times, lots: int) -> Columns:
    steps = np.arange(DEPTH_LEVELS, dtype=I32)
    sizes = np.full((len(ts), DEPTH_LEVELS), lots, I32)
    bids = np.asarray(quotes["bid"], I32)[:, None] - steps
    asks = np.asarray(quotes["ask"], I32)[:, None] + steps
    return {"ts": ts, "bids": bids.astype(I32), "bid_lots": sizes, "asks": asks.astype(I32), "ask_lots": sizes}


def _gap(ts: Times, lead: int, hole: tuple[int, int]) -> Columns:
    first, steps = hole
    after = min(first + steps, len(ts) - 1)
    length = ts[after] - ts[max(0, first - 1)]
    return {"ts": ts[after : after + 1] + lead - 100, "length_ns": np.array([length]), "reason": np.array([int(GapReason.HOLE)], I32)}


def _derivatives(leg: Instrument, price: NDArray[np.int32], ts: Times, kept: Kept) -> dict[StreamKey, Columns]:
    late = ts + 2 * MS
    changed = np.diff(late // (8 * H), prepend=late[:1] // (8 * H)) > 0
    each_minute = np.diff(late // MIN, prepend=late[:1] // MIN - 1) > 0
    moves = np.diff(price.astype(np.int64), prepend=price[:1])
    hard = np.abs(moves) * BPS > price.astype(np.int64) * 20
    interest = (1_000_000 + np.cumsum(np.sign(moves))).astype(I32)
    forced = (np.sign(moves) * 500).astype(I32)  # a fall liquidates longs, whose forced orders sell
    return {
        (leg.id, StreamKind.MARK): _rows({"ts": late, "price": price, "index": price}, kept),
        (leg.id, StreamKind.FUNDING): _rows({"ts": late + US, "rate_e8": np.full(len(ts), 10_000, I32)}, kept & changed),
        (leg.id, StreamKind.OPEN_INTEREST): _rows({"ts": late + 2 * US, "lots": interest}, kept & each_minute),
        (leg.id, StreamKind.LIQUIDATION): _rows({"ts": late + 3 * US, "price": price, "signed_lots": forced}, kept & hard),
    }


# -- paths ------------------------------------------------------------------------------------------------------------
def trend_path(hours: float = 6, *, step_s: float = 5, start: float = 60_000, bps_per_hour: float = 80, pullback_bps: float = 15) -> Prices:
    """Return a path that rises (or falls, with a negative rate) for half the time and comes back, with a pullback every half hour."""
    t = np.arange(int(hours * 3600 / step_s)) * step_s / 3600
    there = np.minimum(t, hours - t)
    return np.asarray(start * (1 + (bps_per_hour * there + pullback_bps * np.sin(4 * np.pi * t)) / BPS))


def range_path(hours: float = 6, *, step_s: float = 5, middle: float = 60_000, width_bps: float = 60, period_min: float = 50) -> Prices:
    """Return a path that swings between two levels `width_bps` apart, a little further each time."""
    minutes = np.arange(int(hours * 3600 / step_s)) * step_s / 60
    swing = np.sin(2 * np.pi * minutes / period_min) * (1 + minutes / (hours * 240))
    return np.asarray(middle * (1 + width_bps / 2 * swing / BPS))


def waves_path(seed: int, *, days: float = 4, step_s: float = 15, start: float = 60_000) -> Prices:
    """Return a path of impulses, each followed by a return of most of its way; one in four turns the other way. It has structure to trade."""
    chance, path, side = np.random.default_rng(seed), [start], 1
    count = int(days * 86_400 / step_s)
    while len(path) < count:
        side = -side if chance.random() < 0.25 else side
        rise, back = chance.uniform(0.012, 0.025), chance.uniform(0.6, 0.95)
        steps, rest = int(chance.uniform(1_800, 4_500) / step_s), int(chance.uniform(5_000, 9_000) / step_s)
        leg = path[-1] * (1 + side * rise * (np.arange(1, steps + 1) / steps) ** 1.5)
        home = leg[-1] + (path[-1] - leg[-1]) * back * np.arange(1, rest + 1) / rest
        for part in (leg, home):
            path += (part * (1 + chance.normal(0, 0.0002, len(part)))).tolist()
    return np.array(path[:count])


def crash_path(hours: float = 6, *, step_s: float = 5, start: float = 60_000, fall_bps: float = 1_200) -> Prices:
    """Return a path that swings quietly, loses `fall_bps` between two steps at half time, and stays there."""
    path = range_path(hours, step_s=step_s, middle=start)
    path[len(path) // 2 :] *= 1 - fall_bps / BPS
    return path


def lively_path(hours: float = 24, *, step_s: float = 5, start: float = 60_000, seed: int = 1, bps_per_step: float = 1.2) -> Prices:
    """Return a random walk with clustered volatility, fat tails and a pull back to where the day began; the same for the same seed."""
    g = np.random.default_rng(seed)
    steps = int(hours * 3600 / step_s)
    calm = np.exp(0.6 * np.sin(np.arange(steps) * 2 * np.pi * step_s / (3 * 3600)))
    moves = g.standard_t(4, steps) * calm * bps_per_step / BPS
    path, level = np.empty(steps), 0.0
    for i, move in enumerate(moves.tolist()):
        level += move - level * 2e-4
        path[i] = level
    return np.asarray(start * np.exp(path))


# -- markets ----------------------------------------------------------------------------------------------------------
def trend(hours: float = 6, *, bps_per_hour: float = 80, step_s: float = 5, **changes: Any) -> Tape:
    """Make a market that rises for half the time and comes back."""
    return stepped_market(trend_path(hours, step_s=step_s, bps_per_hour=bps_per_hour), step_s=step_s, **changes)


def ranges(hours: float = 6, *, width_bps: float = 60, step_s: float = 5, **changes: Any) -> Tape:
    """Make a market that swings between two levels."""
    return stepped_market(range_path(hours, step_s=step_s, width_bps=width_bps), step_s=step_s, **changes)


def crash(hours: float = 6, *, fall_bps: float = 1_200, step_s: float = 5, **changes: Any) -> Tape:
    """Make a market that loses `fall_bps` between two steps: no stop is filled at its price."""
    return stepped_market(crash_path(hours, step_s=step_s, fall_bps=fall_bps), step_s=step_s, **changes)


def gap(hours: float = 6, *, silent_min: float = 20, jump_bps: float = 100, step_s: float = 5, **changes: Any) -> Tape:
    """Make a market whose recording has a hole of `silent_min` minutes at half time, across which the price jumps."""
    path = range_path(hours, step_s=step_s)
    first, steps = len(path) // 2, int(silent_min * 60 / step_s)
    path[first + steps :] *= 1 + jump_bps / BPS
    return stepped_market(path, step_s=step_s, hole=(first, steps), **changes)


def lively(hours: float = 24, *, seed: int = 1, step_s: float = 5, **changes: Any) -> Tape:
    """Make a day on which most strategies find something to do, with mark price, funding, open interest and liquidations."""
    path = lively_path(hours, step_s=step_s, seed=seed)
    return stepped_market(path, flow=_herd(path, seed), step_s=step_s, **{"derivatives": True, **changes})


def _herd(path: Prices, seed: int) -> NDArray[np.int64]:
    """Return taker lots that mostly follow the move and grow with it."""
    g = np.random.default_rng(seed + 1)
    moves = np.diff(np.log(path), prepend=np.log(path[0])) * BPS
    lots = np.maximum(1, np.round(np.exp(g.normal(1.5, 0.8, len(path))) * (1 + np.abs(moves)))).astype(np.int64)
    follows = np.where(moves >= 0, 1, -1) * np.where(g.random(len(path)) < 0.75, 1, -1)
    return np.asarray(lots * follows)


def no_trades(hours: float = 3, **changes: Any) -> Tape:
    """Make a market of which only the quotes were recorded."""
    return ranges(hours, **{"trades": False, **changes})


def only_perp(hours: float = 6, **changes: Any) -> Tape:
    """Make a market without a spot leg."""
    return ranges(hours, **{"spot": None, **changes})


def bars_only(hours: float = 24, *, bar_s: int = 300, **changes: Any) -> Tape:
    """Make a market that was imported from bars: no order flow, no shorter bars."""
    return stepped_market(lively_path(hours, step_s=bar_s / 15), step_s=bar_s / 15, bar_s=bar_s, **changes)


def thin(hours: float = 6, **changes: Any) -> Tape:
    """Make a market with a lot or two at each price, a wide spread and a trade a minute: orders are filled in parts and far from the best price."""
    return ranges(hours, **{"book_lots": 2, "spread_ticks": 80, "trade_every": 12, "trade_lots": 1, "depth": True, **changes})


CONTRACT_MARKETS: Mapping[str, Callable[[], Tape]] = {
    "trend": trend,
    "range": ranges,
    "lively": lively,
    "crash": crash,
    "gap": gap,
    "no_trades": no_trades,
    "only_perp": only_perp,
    "bars_only": bars_only,
    "thin": thin,
}
"""The markets on which the contract runs every phase, by name."""
