"""When things happen inside the seconds: price moves, taker orders and quote updates, in clusters.

The clusters are those of a self-exciting process seen from its parents: each move sets off taker orders, each order and move sets off quote
updates, after delays that are uniform in the logarithm and in numbers that follow a Pareto law.
"""

import numpy as np
from attrs import frozen

from titan_core.model.units import MIN, MS, US, D, S
from titan_core.tape.generator.draws import Floats, Ints, QuantileTable, exponential, log_uniform, lognormal, pareto, pick
from titan_core.tape.generator.draws import NormalQuantiles as Normal
from titan_core.tape.generator.path import Path
from titan_core.tape.generator.profile import NANO, PIPS_PER_USDT, SECONDS, BookProfile

MOVES_PER_ACTIVE_SECOND = 1.35
DENSITY_POWER = 0.8
"""Price moves grow more slowly than quotes and trades where a market is denser."""
MARGIN = 200 * MS
"""Nothing begins this close to midnight, so that whatever begins in a day ends in it."""
MAX_ORDERS_PER_MOVE = 100
MILLI_BPS = NANO // 10_000_000


@frozen(eq=False)
class ArrivalTables:
    """The distributions of one book's timing."""

    lag: QuantileTable
    noise: QuantileTable
    productivity: QuantileTable
    order_delay: QuantileTable
    quote_delay: QuantileTable

    @classmethod
    def of(cls, normal: Normal, book: BookProfile) -> "ArrivalTables":
        """Tabulate a profile."""
        return cls(
            lag=lognormal(normal, *book.lag_ns, high=400.0 * MS),
            noise=exponential(book.noise_milli_bps),
            productivity=pareto(book.tail_index, 1_000.0, 4e6),
            order_delay=log_uniform(80.0 * US, 3.0 * S),
            quote_delay=log_uniform(*book.quote_delay_ns),
        )


@frozen(eq=False)
class Jumps:
    """Moves of the common price: time within the day and the level (pips) from then on."""

    ts: Ints
    pips: Ints


@frozen(eq=False)
class Setting:
    """What one book follows on one day: the common price, its own basis (milli-bps per minute) and where its takers lean in each second."""

    path: Path
    jumps: Jumps
    basis: Ints
    lean: Ints
    density: float


@frozen(eq=False)
class Moves:
    """Price moves of one book: time within the day, the bid to move to (ticks), how far that is, and whether a taker order makes the move."""

    ts: Ints
    bid: Ints
    change: Ints
    by_order: Ints
    trend: Ints
    """Side that takers lean to in that second: the sign of the common price's move, or twice a sweep's side."""


@frozen(eq=False)
class Orders:
    """Taker orders that leave the price where it is: their times within the day."""

    ts: Ints
    herd: Ints
    """The side that they would take after what set them off, 0 for none, doubled where they do so for sure."""


def moves_per_active_second(density: float) -> float:
    """Return the mean number of price moves in a second that moves at all."""
    return round(MOVES_PER_ACTIVE_SECOND * float(density**DENSITY_POWER), 6)


def make_jumps(rng: np.random.Generator, path: Path, density: float) -> Jumps:
    """Divide each second's move into jumps that crowd together, except in a sweep, which takes its whole second."""
    step = np.diff(path.pips)
    second = np.flatnonzero(step)
    size = np.abs(step[second])
    typical = int(np.median(size)) + 1
    mean = moves_per_active_second(density) * np.sqrt(np.minimum(size, 16 * typical) / typical)
    count = np.where(mean >= 1.0, 1 + rng.poisson(np.maximum(mean - 1.0, 0.0)), rng.random(len(mean)) < mean).astype(np.int64)
    first = np.cumsum(count) - count
    at = np.repeat(np.arange(len(second)), count)
    centre = rng.integers(0, S, len(second))[at]
    spread = exponential(50.0 * MS).draw(rng, len(at)) * (1 - 2 * rng.integers(0, 2, len(at)))
    swept = path.sweep[second[at]] != 0
    offset = np.clip(np.where(swept, rng.integers(0, S, len(at)), centre + spread), US, S - US)
    ts = np.sort(second[at] * S + offset)
    share = rng.integers(1, 1_000, len(at))
    running = np.cumsum(share)
    before = np.concatenate([[0], running])[first][at]
    total = np.add.reduceat(share, first[count > 0]) if len(share) else share
    whole = np.repeat(total, count[count > 0])
    return Jumps(ts, path.pips[second[at]] + step[second[at]] * (running - before) // whole)


def make_moves(rng: np.random.Generator, book: BookProfile, tables: ArrivalTables, setting: Setting) -> Moves:
    """Let a book follow the common price: late, with its basis, and resting a little off the mark."""
    path, jumps = setting.path, setting.jumps
    common = np.flatnonzero(rng.integers(0, 1_000, len(jumps.ts)) < int(1_000 * book.follow))
    lead = jumps.ts[common] + tables.lag.draw(rng, len(common))
    alone = own_moves(rng, book, setting)
    ts = np.concatenate([lead, alone])
    source = np.concatenate([common, np.searchsorted(jumps.ts, alone, side="right") - 1])
    order = np.argsort(ts, kind="stable")
    order = order[(ts[order] > MARGIN) & (ts[order] < D - MARGIN)]
    ts, source = ts[order], np.maximum.accumulate(source[order]) if len(order) else source[order]
    level = np.where(source >= 0, jumps.pips[np.maximum(source, 0)], path.pips[0])
    fair = level + level * (resting_noise(rng, tables, ts) + setting.basis[ts // MIN]) * MILLI_BPS // NANO
    pips_per_tick = int(book.instrument.tick_size * PIPS_PER_USDT)
    bid = (fair - pips_per_tick // 2) // pips_per_tick
    second = ts // S
    trend = np.where(setting.lean[second] != 0, 2 * setting.lean[second], np.sign(np.diff(path.pips))[second])
    return Moves(ts, bid, np.diff(bid, prepend=bid[:1]), np.zeros(len(ts), np.int64), trend)


def own_moves(rng: np.random.Generator, book: BookProfile, setting: Setting) -> Ints:
    """Return the times at which a book moves by itself, in small groups."""
    odds = int(10_000 * book.own_seconds) * np.minimum(setting.path.weight, 4_000)
    seconds = np.flatnonzero(rng.integers(0, 10_000, SECONDS) * 1_000 < odds)
    more = max(0.0, moves_per_active_second(setting.density) - 1.0)
    each = 1 + rng.poisson(more, len(seconds))
    begin = seconds * S + rng.integers(0, S, len(seconds))
    return np.repeat(begin, each) + exponential(40.0 * MS).draw(rng, int(each.sum()))


def resting_noise(rng: np.random.Generator, tables: ArrivalTables, ts: Ints) -> Ints:
    """Return how far off the common price a book rests after each move, in milli-bps; it is drawn anew once in a second that moves."""
    off = tables.noise.draw(rng, len(ts)) * (1 - 2 * rng.integers(0, 2, len(ts)))
    begins = np.diff(ts // S, prepend=-1) != 0
    return off[np.maximum.accumulate(np.where(begins, np.arange(len(ts)), 0))]


def choose_sweeping(rng: np.random.Generator, moves: Moves, wanted: int) -> Moves:
    """Mark about `wanted` moves as made by a taker order, the large ones first of all."""
    size = np.abs(moves.change)
    typical = max(1, int(np.median(size))) if len(size) else 1
    willing = np.where(np.sign(moves.change) == np.sign(moves.trend), 4, 2 - np.abs(moves.trend))
    weight = np.minimum(1 + 4 * size // typical, 12) * np.clip(willing, 0, 4)
    scale = 1_000_000 * min(wanted, len(size) * 9 // 10) // max(1, int(weight.sum()))
    by_order = (rng.integers(0, 1_000_000, len(size)) < weight * scale) & (size > 0)
    return Moves(moves.ts, moves.bid, moves.change, by_order.astype(np.int64), moves.trend)


def make_orders(rng: np.random.Generator, tables: ArrivalTables, setting: Setting, moves: Moves, count: int) -> Orders:
    """Draw the taker orders that do not move the price: three in four set off by a move, the others alone."""
    typical = max(1, int(np.median(np.abs(moves.change)))) if len(moves.ts) else 1
    stirring = (1 + np.minimum(np.abs(moves.change) // typical, 8)) * np.where(np.abs(moves.trend) == 2, 3, 1)
    weight = tables.productivity.draw(rng, len(moves.ts)) * stirring
    caused = count * 3 // 4 if len(moves.ts) else 0
    weight = np.minimum(weight, MAX_ORDERS_PER_MOVE * int(weight.sum()) // max(1, caused))
    parent = pick(rng, weight, caused)
    ts = np.concatenate([moves.ts[parent] + tables.order_delay.draw(rng, caused), scatter(rng, setting.path, count - caused)])
    herd = np.concatenate([moves.trend[parent], np.zeros(count - caused, np.int64)])
    order = np.argsort(ts, kind="stable")
    order = order[(ts[order] > MARGIN) & (ts[order] < D - MARGIN)]
    ts, herd = ts[order], herd[order]
    leaning = setting.lean[ts // S]
    return Orders(ts, np.where(leaning != 0, 2 * leaning, herd))


def make_quote_times(rng: np.random.Generator, tables: ArrivalTables, path: Path, causes: Ints, count: int) -> Ints:
    """Draw times for quote updates that change sizes only, in random order: most follow an order or a move, one in five comes alone."""
    alone = count // 5
    caused = count - alone if len(causes) else 0
    parent = pick(rng, pareto(1.2, 1_000.0, 1e6).draw(rng, len(causes)), caused) if caused else np.zeros(0, np.int64)
    ts = np.concatenate([causes[parent] + tables.quote_delay.draw(rng, caused), scatter(rng, path, count - caused)])
    return rng.permutation(ts[(ts > 2 * MS) & (ts < D - MARGIN // 2)])


def scatter(rng: np.random.Generator, path: Path, count: int) -> Ints:
    """Draw times that are denser where the day is busier."""
    second = pick(rng, path.weight + 50, count)
    return second * S + rng.integers(0, S, count)


def mean_of(table: QuantileTable) -> float:
    """Return the mean of a table."""
    whole: Floats = np.array([table.body[:-1].sum() + int(table.tail.mean())])
    return float(whole[0]) / len(table.body)
