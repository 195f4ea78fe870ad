"""One instrument's quotes and trades of a day, laid out row by row so that every trade prints at the best price then standing.

Moves and taker orders are *steps*, one after another and never overlapping. The book enters and leaves each step with a spread of one tick:

- an order that does not move the price prints its trades at the best price, then one quote shows what is left there;
- an order that does walks through levels: trades, a quote at the next level, trades, ...; then a quote shows the opened spread and, a little
  later, another one shows the other side following;
- a move without an order is a quote that opens the spread and one that closes it, or a single quote.

Quote updates that change sizes only are woven in between. Steps keep to even nanoseconds and updates to odd ones, so that no two rows meet.
"""

import numpy as np
from attrs import define, frozen
from numpy.typing import NDArray

from titan_core.model.units import MS, US, D, S
from titan_core.tape.generator.arrivals import ArrivalTables, Moves, Orders
from titan_core.tape.generator.draws import Ints, QuantileTable, log_knots, log_uniform, lognormal, order_sizes
from titan_core.tape.generator.draws import NormalQuantiles as Normal
from titan_core.tape.generator.profile import BookProfile

ROW_NS = 2 * US
"""Distance of the rows of one order."""
MAX_LEVELS = 24

Flags = NDArray[np.bool_]


@frozen(eq=False)
class BookTables:
    """The distributions of one book."""

    profile: BookProfile
    arrivals: ArrivalTables
    size: QuantileTable
    prints: QuantileTable
    rest: QuantileTable
    follow_up: QuantileTable
    latency: QuantileTable

    @classmethod
    def of(cls, normal: Normal, book: BookProfile, density: float) -> "BookTables":
        """Tabulate a profile. The spread stays open the shorter the more often it opens."""
        crowding = density**0.7
        return cls(
            profile=book,
            arrivals=ArrivalTables.of(normal, book),
            size=order_sizes(normal, book.size_median, book.size_sigma, book.size_tail, book.size_cap),
            prints=log_knots(book.trades_per_order),
            rest=lognormal(normal, book.rest_median, book.rest_sigma, high=5e8),
            follow_up=log_uniform(20.0 * US / crowding, 240.0 * MS / crowding),
            latency=lognormal(normal, *book.latency_ns, high=900.0 * MS),
        )


@define(eq=False)
class Steps:
    """Moves and orders in time order. `ts` is the time within the day; `count` trades of `lots` in all through `levels` prices (0 = no order)."""

    ts: Ints
    before: Ints
    after: Ints
    side: Ints
    lots: Ints
    count: Ints
    levels: Ints
    rows: Ints
    """Quote rows of the step."""

    @property
    def change(self) -> Ints:
        """Ticks by which the bid moves."""
        return self.after - self.before

    @property
    def atomic_ns(self) -> Ints:
        """Time from the first row to the last that follows without a pause."""
        out: Ints = np.maximum(self.count + self.levels - 1, 0) * ROW_NS
        return out


def make_steps(rng: np.random.Generator, tables: BookTables, moves: Moves, orders: Orders, bid: int) -> Steps:
    """Merge moves and orders, give the orders sides, sizes, trades and levels, and space the steps so that they do not overlap."""
    ts = np.concatenate([moves.ts, orders.ts])
    order = np.argsort(ts, kind="stable")
    is_move = order < len(moves.ts)
    slot = np.maximum.accumulate(np.where(is_move, np.arange(len(order)), -1)) if len(order) else order
    targets = np.zeros(len(order), np.int64)
    targets[is_move] = moves.bid[order[is_move]]
    after = np.where(slot >= 0, targets[np.maximum(slot, 0)], bid)
    before = np.concatenate([[bid], after[:-1]])
    change = after - before
    source = np.maximum(order - len(moves.ts), 0)
    herd = np.where(is_move, np.sign(change), orders.herd[source]) if len(orders.ts) else np.sign(change)
    has_order = ~is_move
    has_order[is_move] = moves.by_order[order[is_move]] > 0
    place = np.flatnonzero(has_order)
    side, lots, count = (np.zeros(len(order), np.int64) for _ in range(3))
    side[place] = sides(rng, tables.profile, herd[place], change[place])
    lots[place], count[place] = sizes(rng, tables, (change[place] != 0) | (np.abs(herd[place]) == 2), ts[order][place] // S)
    levels = np.where(has_order, np.clip(np.minimum(count, np.abs(change)), 1, MAX_LEVELS), 0)
    opens = (change != 0) & (has_order | (rng.integers(0, 2, len(order)) == 0))
    rows = np.maximum(levels, 1) + opens
    steps = Steps(ts[order] // 2 * 2, before, after, side, lots, count, levels, rows)
    length = steps.atomic_ns + (rows + 2) * ROW_NS
    lead = np.cumsum(length) - length
    steps.ts = np.maximum.accumulate(steps.ts - lead) + lead if len(order) else steps.ts
    return steps


def sides(rng: np.random.Generator, book: BookProfile, herd: Ints, change: Ints) -> Ints:
    """Return each order's side: that of the move it makes, else that of a persistent run, of the move that set it off, or either."""
    n = len(herd)
    runs = rng.geometric(1.0 / book.run_mean, n // max(1, int(book.run_mean) // 2) + 16)
    mood = np.repeat(1 - 2 * rng.integers(0, 2, len(runs)), runs)
    while len(mood) < n:
        mood = np.concatenate([mood, mood])
    roll = rng.integers(0, 1_000, n)
    either = 1 - 2 * rng.integers(0, 2, n)
    sure = (np.abs(herd) == 2) & (rng.integers(0, 4, n) != 0)
    by_run = roll < int(1_000 * book.run_weight)
    by_herd = ~by_run & (roll < int(1_000 * (book.run_weight + book.herd_weight))) & (herd != 0)
    free = np.where(sure, np.sign(herd), np.where(by_run, mood[:n], np.where(by_herd, np.sign(herd), either)))
    return np.where(change != 0, np.sign(change), free)


def sizes(rng: np.random.Generator, tables: BookTables, eager: Flags, second: Ints) -> tuple[Ints, Ints]:
    """Return each order's lots and number of trades: large orders print more, come in busy seconds and are the ones that move the price."""
    n = len(eager)
    _, back, company = np.unique(second, return_inverse=True, return_counts=True)
    heat = np.minimum(company[back], 40) * 9_500 + np.where(eager, 300_000, 0)
    lots, count = np.sort(tables.size.draw(rng, n)), np.sort(tables.prints.draw(rng, n))
    rank = np.empty(n, np.int64)
    rank[np.argsort(rng.integers(0, 1_000_000, n) + heat, kind="stable")] = np.arange(n)
    blurred = np.empty(n, np.int64)
    blurred[np.argsort(rank + rng.integers(0, max(1, n // 4), n), kind="stable")] = np.arange(n)
    return lots[rank], np.minimum(count[blurred], lots[rank])


@frozen(eq=False)
class Trades:
    """Rows of the trade stream, and how they group: `level_of` numbers the price levels of all orders in time order."""

    step: Ints
    level: Ints
    ts: Ints
    price: Ints
    lots: Ints


def make_trades(rng: np.random.Generator, steps: Steps) -> Trades:
    """Divide each order into its trades: at least one lot each, spread over the levels in order."""
    count = steps.count
    step = np.repeat(np.arange(len(count)), count)
    first = np.cumsum(count) - count
    k = np.arange(len(step), dtype=np.int64) - first[step]
    level = k * steps.levels[step] // np.maximum(count[step], 1)
    weight = rng.integers(1, 64, len(step)) ** 2
    filled = np.flatnonzero(count)
    total = np.zeros(len(count), np.int64)
    if len(filled):
        total[filled] = np.add.reduceat(weight, first[filled])
    lots = 1 + (steps.lots - count)[step] * weight // np.maximum(total[step], 1)
    if len(filled):
        lots[first[filled]] += steps.lots[filled] - np.add.reduceat(lots, first[filled])
    price = np.where(steps.side[step] > 0, steps.before[step] + 1 + walked(steps, step, level), steps.before[step] - walked(steps, step, level))
    return Trades(step, level, steps.ts[step] + (k + level) * ROW_NS, price, lots)


def walked(steps: Steps, step: Ints, level: Ints) -> Ints:
    """Return how many ticks beyond the first price an order's n-th level lies."""
    out: Ints = np.maximum(np.abs(steps.change[step]) - 1, 0) * level // np.maximum(steps.levels[step] - 1, 1)
    return out


@define(eq=False)
class Quotes:
    """Rows of the quote stream under construction, and where each step begins in it."""

    ts: Ints
    bid: Ints
    ask: Ints
    first: Ints
    """Row of each step's first quote; the row before it is the one its order meets."""


def make_quotes(rng: np.random.Generator, tables: BookTables, steps: Steps, updates: Ints, bid: int) -> Quotes:
    """Lay out the quotes of all steps and weave in the updates, which keep clear of them: see `free_updates`."""
    first = np.cumsum(steps.rows) - steps.rows
    n = int(steps.rows.sum())
    ts, bids, asks = (np.zeros(n, np.int64) for _ in range(3))
    up, down = steps.change > 0, steps.change < 0
    post = first + np.maximum(steps.levels, 1) - 1
    ts[post] = steps.ts + steps.atomic_ns
    two = steps.rows > np.maximum(steps.levels, 1)
    bids[post] = np.where(two & up, steps.before, steps.after)
    asks[post] = np.where(two & down, steps.before, steps.after) + 1
    _lay_levels(steps, first, ts, bids, asks)
    last = post[two] + 1
    following = np.concatenate([steps.ts[1:], [D]])[two]
    pause = np.minimum(tables.follow_up.draw(rng, len(last)), (following - ts[post[two]]) // 2) // 2 * 2
    ts[last] = ts[post[two]] + np.maximum(pause, 2)
    bids[last], asks[last] = steps.after[two], steps.after[two] + 1
    own = np.arange(n) + np.searchsorted(updates, ts)
    out = Quotes(
        np.empty(n + len(updates), np.int64), np.full(n + len(updates), bid), np.full(n + len(updates), bid + 1), np.searchsorted(updates, steps.ts) + first
    )
    out.ts[own], out.bid[own], out.ask[own] = ts, bids, asks
    woven = np.arange(len(updates)) + np.searchsorted(ts, updates)
    out.ts[woven] = updates
    known = np.maximum(np.searchsorted(ts, updates) - 1, 0)
    begun = ts[known] < updates if n else np.zeros(len(updates), np.bool_)
    out.bid[woven[begun]], out.ask[woven[begun]] = bids[known[begun]], asks[known[begun]]
    return out


def free_updates(steps: Steps, times: Ints, wanted: int) -> Ints:
    """Return `wanted` of the times for updates, in order, the first opening the day, without those that fall among the rows of a step."""
    owner = np.searchsorted(steps.ts, times, side="right") - 1
    free = (owner < 0) | (times > (steps.ts + steps.atomic_ns)[np.maximum(owner, 0)]) if len(steps.ts) else owner < 0
    return np.unique(np.concatenate([[MS], times[free][: max(0, wanted - 1)]]) | 1)


def _lay_levels(steps: Steps, first: Ints, ts: Ints, bids: Ints, asks: Ints) -> None:
    inner = np.maximum(steps.levels - 1, 0)
    step = np.repeat(np.arange(len(inner)), inner)
    level = np.arange(len(step), dtype=np.int64) - (np.cumsum(inner) - inner)[step] + 1
    row = first[step] + level - 1
    begins = -(-level * steps.count[step] // np.maximum(steps.levels[step], 1))
    ts[row] = steps.ts[step] + (begins + level - 1) * ROW_NS
    beyond = walked(steps, step, level)
    up = steps.side[step] > 0
    bids[row] = np.where(up, steps.before[step], steps.before[step] - beyond)
    asks[row] = np.where(up, steps.before[step] + 1 + beyond, steps.before[step] + 1)


def rest_sizes(rng: np.random.Generator, tables: BookTables, steps: Steps, trades: Trades, quotes: Quotes) -> tuple[Ints, Ints]:
    """Return the sizes at bid and ask of each quote: what an order takes stood there before, and what it leaves stands there after."""
    n = len(quotes.ts)
    on_bid = rng.integers(0, 2, n) == 0
    begins = np.flatnonzero(np.diff(trades.step * MAX_LEVELS + trades.level, prepend=-1))
    taken = np.add.reduceat(trades.lots, begins) if len(begins) else np.zeros(0, np.int64)
    step, level = trades.step[begins], trades.level[begins]
    met = quotes.first[step] + level - 1
    exhausted = steps.change[step] != 0
    out = []
    for sign, price, drawn in ((-1, quotes.bid, on_bid), (1, quotes.ask, ~on_bid)):
        mine = steps.side[step] == sign
        lots = tables.rest.draw(rng, n)
        fresh = drawn | (np.diff(price, prepend=0) != 0)
        row, size, gone = met[mine], taken[mine], exhausted[mine]
        # the book is left with the remainder, unless the next order meets that very quote
        left = row[~gone] + 1
        lots[row] = np.where(gone, size, np.maximum(lots[row], size + 1))
        meets = np.zeros(n, np.bool_)
        meets[row] = True
        free = ~meets[left]
        lots[left[free]] = (lots[row[~gone]] - size[~gone])[free]
        fresh[row] = True
        fresh[left] = True
        out.append(lots[np.maximum.accumulate(np.where(fresh, np.arange(n), 0))])
    return out[0], out[1]
