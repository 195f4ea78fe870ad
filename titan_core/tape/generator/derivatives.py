"""What belongs to the perpetual alone: its basis, mark price, funding, open interest and liquidations."""

import numpy as np
from attrs import define, field

from titan_core.model.units import BPS, MIN, MS, RATE_SCALE, D, H, S
from titan_core.tape.columns import strictly_increasing
from titan_core.tape.generator.book import Quotes, Steps, walked
from titan_core.tape.generator.draws import Ints, QuantileTable, log_uniform, normals
from titan_core.tape.generator.path import Path
from titan_core.tape.generator.profile import MINUTES, PIPS_PER_USDT, SECONDS, BookProfile

FUNDING_EVERY = 8 * H
OPEN_INTEREST_EVERY = 5 * MIN
HOME_BASIS = -3_600
"""Milli-bps: a perpetual that pays funding in USDT has mostly stood a few basis points under spot since 2024."""
HOME_LOTS = 55_000_000
RATE_PER_BP = RATE_SCALE // BPS

Rows = dict[str, Ints]


@define
class DerivativesState:
    """What a day needs from the days before it."""

    mood: float = 0.0
    """The appetite for leverage, an autoregression over funding intervals with unit variance."""
    basis: float = float(HOME_BASIS)
    lots: int = HOME_LOTS
    moods: list[float] = field(factory=list)


def delays() -> QuantileTable:
    """Tabulate receive time minus venue time of the slow streams."""
    return log_uniform(1.0 * MS, 60.0 * MS)


def make_basis(rng: np.random.Generator, state: DerivativesState) -> Ints:
    """Return the slow part of the basis in milli-bps per minute, pulled to a home that moves with the appetite for leverage."""
    state.moods = [state.mood]
    for shock in normals(rng, 3).tolist():
        state.mood = 0.8 * state.mood + 0.6 * shock
        state.moods.append(state.mood)
    basis = np.zeros(MINUTES)
    for minute, shock in enumerate(normals(rng, MINUTES).tolist()):
        home = HOME_BASIS + 1_200.0 * state.moods[1 + minute // 480]
        state.basis += (home - state.basis) / 500.0 + 60.0 * shock
        basis[minute] = state.basis
    return np.rint(basis).astype(np.int64)


def funding_rows(rng: np.random.Generator, state: DerivativesState) -> Rows:
    """Return the three settlements of the day. The rate rests at exactly 1 bp while the appetite for leverage is moderate, and persists."""
    event = np.arange(3, dtype=np.int64) * FUNDING_EVERY
    rates = [funding_rate(mood) for mood in state.moods[:3]]
    return {"ts": event + delays().draw(rng, 3), "rate_e8": np.array(rates, np.int64), "ts_event": event}


def funding_rate(mood: float) -> int:
    """Return the rate (1e-8) of one interval: negative in about one of eight, above 10 bps in about one of a hundred."""
    calm = 0.52
    beyond = mood - calm if mood > calm else mood + calm if mood < -calm else 0.0
    slope = 2.6 if beyond > 0 else 1.64
    return RATE_PER_BP + round(RATE_PER_BP * slope * beyond)


def mid_pips(book: BookProfile, quotes: Quotes, at: Ints) -> Ints:
    """Return the mid (pips, rounded down) as of each time; before the first quote, that quote's."""
    row = np.maximum(np.searchsorted(quotes.ts, at, side="right") - 1, 0)
    return (quotes.bid[row] + quotes.ask[row]) * int(book.instrument.tick_size * PIPS_PER_USDT) // 2


def mark_rows(rng: np.random.Generator, spot: BookProfile, perp: BookProfile, spot_quotes: Quotes, perp_quotes: Quotes) -> Rows:
    """Return mark and index of each second: the index is the spot mid, the mark adds the mean basis of the last minute."""
    event = np.arange(SECONDS, dtype=np.int64) * S
    index = mid_pips(spot, spot_quotes, event)
    running = np.concatenate([[0], np.cumsum(mid_pips(perp, perp_quotes, event) - index)])
    begin = np.maximum(np.arange(SECONDS) - 59, 0)
    premium = (running[1:] - running[begin]) // (np.arange(SECONDS) + 1 - begin)
    tick = int(perp.instrument.tick_size * PIPS_PER_USDT)
    ts = event + delays().draw(rng, SECONDS)
    return {"ts": ts, "price": (index + premium + tick // 2) // tick, "index": (index + tick // 2) // tick, "ts_event": event}


def liquidation_rows(rng: np.random.Generator, steps: Steps, path: Path) -> Rows:
    """Mark taker orders as forced where they follow a hard move or a sweep; the print repeats the order's last price and whole size."""
    second = np.minimum(steps.ts // S, SECONDS - 1)
    move = np.diff(path.pips)
    bps_tenths = np.abs(move) * 100_000 // path.pips[:-1]
    odds = np.clip((bps_tenths - 40) * 4 + 250 * (path.sweep != 0), 0, 500)
    forced = (steps.count > 0) & (steps.side == np.sign(move)[second]) & (rng.integers(0, 1_000, len(steps.ts)) < odds[second])
    row = np.flatnonzero(forced)
    last = walked(steps, row, steps.levels[row] - 1)
    price = np.where(steps.side[row] > 0, steps.before[row] + 1 + last, steps.before[row] - last)
    event = steps.ts[row] // MS * MS
    ts = strictly_increasing((steps.ts + steps.atomic_ns)[row] + delays().draw(rng, len(row)))
    return {"ts": ts, "price": price, "signed_lots": steps.side[row] * steps.lots[row], "ts_event": event}


def open_interest_rows(rng: np.random.Generator, path: Path, forced: Rows, state: DerivativesState) -> Rows:
    """Return open contracts every five minutes: a persistent walk that loses what is liquidated and what a sweep scares away."""
    count = D // OPEN_INTEREST_EVERY
    event = np.arange(count, dtype=np.int64) * OPEN_INTEREST_EVERY
    lost = np.zeros(count, np.int64)
    np.add.at(lost, np.minimum(forced["ts"] // OPEN_INTEREST_EVERY, count - 1), np.abs(forced["signed_lots"]))
    swept = np.add.reduceat((path.sweep != 0).astype(np.int64), np.arange(0, SECONDS, SECONDS // count))
    heavy = normals(rng, count) * (1.0 + 2.0 * (rng.integers(0, 12, count) == 0))
    scared = rng.integers(0, 25, count)
    lots = np.empty(count, np.int64)
    for i in range(count):
        lots[i] = state.lots
        change = round(state.lots * 0.0018 * float(heavy[i])) + (HOME_LOTS - state.lots) // 600
        change -= state.lots * int(swept[i]) * int(scared[i]) // 100_000 + 3 * int(lost[i])
        state.lots = max(HOME_LOTS // 8, state.lots + change)
    return {"ts": event + delays().draw(rng, int(count)), "lots": lots, "ts_event": event}
