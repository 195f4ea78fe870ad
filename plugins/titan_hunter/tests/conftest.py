"""What the Hunter's tests share: candles, real ones where the recordings are at hand, and walks that any machine can make."""

import gzip
import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from attrs import define, frozen

from titan_core import MIN, MONEY_PER_USDT, MS
from titan_core.engine.layout import Layout
from titan_core.engine.live import PerEvent, play
from titan_core.engine.reference import Reference
from titan_core.engine.replay import Prepared, Replay
from titan_core.tape.tape import Tape
from titan_core.testing.chaos import START
from titan_core.testing.governors import OpenGovernor
from titan_core.testing.markets import stepped_market, waves_path
from titan_hunter.candles import Candle
from titan_hunter.config import HunterConfig
from titan_hunter.strategy import Hunter

MARKET = Path(__file__).resolve().parents[4] / "shared" / "market" / "ohlcv"
QUARTER, DAY = 15 * MIN, 1_440 * MIN
JANUARY_2024_NS = 1_704_067_200_000 * MS


def joined(rows: Sequence[tuple[int, int, int, int, int]], timeframe_ns: int) -> list[Candle]:
    """Join rows of (start, open, high, low, close) to candles of a timeframe."""
    candles: dict[int, list[int]] = {}
    for start, opened, high, low, close in rows:
        known = candles.setdefault(start // timeframe_ns, [opened, high, low, close])
        known[1], known[2], known[3] = max(known[1], high), min(known[2], low), close
    return [Candle(k * timeframe_ns, (k + 1) * timeframe_ns, *values) for k, values in sorted(candles.items())]


def real(name: str, timeframe_ns: int, most: int, tick: float = 0.1) -> list[Candle]:
    """Return candles of a recorded file, or skip the test where it is absent."""
    path = MARKET / name
    if not path.exists():
        pytest.skip(f"the shared market recordings are not at {MARKET}")
    rows = []
    with gzip.open(path, "rt") as file:
        next(file)
        for line in file:
            ts_ms, *prices = line.split(",")[:5]
            rows.append((int(ts_ms) * MS, *(round(float(price) / tick) for price in prices)))
    return joined(rows, timeframe_ns)[:most]


def walk(seed: int, count: int = 400, timeframe_ns: int = QUARTER, start_ns: int = JANUARY_2024_NS) -> list[Candle]:
    """Return candles of a walk on a coarse grid, so that ties are common."""
    chance, price, found = random.Random(seed), 10_000, []
    for k in range(count):
        path = [price]
        for _ in range(4):
            path.append(path[-1] + chance.choice((-6, -3, -1, 0, 1, 3, 6)) * chance.choice((1, 1, 1, 4)))
        price = path[-1]
        found.append(Candle(start_ns + k * timeframe_ns, start_ns + (k + 1) * timeframe_ns, path[0], max(path), min(path), path[-1]))
    return found


REAL = [
    ("binance_usdm_BTCUSDT_5m_20231101_20240630.csv.gz", 4_000),
    ("binance_usdm_BTCUSDT_5m_20220601_20221124.csv.gz", 4_000),
    ("bybit_linear_BTCUSDT_5m_20251201_20260721.csv.gz", 4_000),
]
SOURCES: list[tuple[str, Callable[[], list[Candle]]]] = [
    *((f"walk {seed}", lambda seed=seed: walk(seed)) for seed in range(6)),  # type: ignore[misc]
    *((name.partition(".")[0], lambda name=name, most=most: real(name, QUARTER, most)) for name, most in REAL),  # type: ignore[misc]
]


@pytest.fixture(params=SOURCES, ids=[name for name, _ in SOURCES])
def candles(request: pytest.FixtureRequest) -> list[Candle]:
    """Fifteen-minute candles of some market."""
    made: list[Candle] = request.param[1]()
    return made


# -- markets to trade -------------------------------------------------------------------------------------------------
STEP_S = 15
CASH = 10_000 * MONEY_PER_USDT
QUICK = HunterConfig(daily_weight=0, four_hour_weight=0, place_of="15m", cooldown_s=0, max_hold_s=7_200)
"""Follows the 15-minute structure alone, so that a market of days is enough to trade."""


@cache
def market(seed: int, days: float = 4) -> Tape:
    """Waves on a spot and a perpetual market."""
    return stepped_market(waves_path(seed, days=days, step_s=STEP_S), step_s=STEP_S, start_ns=START)


@frozen
class Allowance:
    """A budget as a test sets it."""

    equity: int
    max_notional: int
    risk: int


class BudgetGovernor(OpenGovernor):
    """Approves everything within the budget of the Hunter's caps."""

    def budget(self, desk: Any, instrument: Any) -> Allowance:
        equity = self.engine.account.equity2(self.engine.value2) // 2
        return Allowance(equity, equity * 5 // 4, equity // 20)


@define
class Outcome:
    """A finished run."""

    strategy: Hunter
    engine: Any

    @property
    def entries(self) -> list[Any]:
        """The entries that were approved, as (time, signed lots, kind, limit, trigger, stop, target, tag)."""
        return [(entry[1], *entry[4:]) for entry in self.engine.record.entries if entry[0] == "approved" and entry[-1].startswith("block")]

    @property
    def notes(self) -> list[str]:
        return [entry[3] for entry in self.engine.record.entries if entry[0] == "note"]

    @property
    def tally(self) -> Counter[str]:
        """What came of all days, from the notes and of the day that has not ended."""
        return self.strategy.tally.with_notes(self.notes)


class Hunts:
    """Runs the Hunter on a market."""

    QUICK = QUICK
    CASH = CASH

    def market(self, seed: int, days: float = 4) -> Tape:
        return market(seed, days)

    def run(self, tape: Tape, config: HunterConfig = QUICK, *, form: str = "replay", watch: Callable[[Any], None] | None = None) -> Outcome:
        """Run over a tape in one of the engine's forms. Fails where a callback raised."""
        strategy = Hunter(config)
        governor = BudgetGovernor([strategy])
        made: Any
        if form == "per-event":
            made = PerEvent(Layout.of(tape), governor, cash=CASH, slots=1, latency_ns=5 * MS)
        elif form == "reference":
            made = Reference(tape, governor, cash=CASH, slots=1, latency_ns=5 * MS)
        else:
            made = Replay(Prepared(tape), governor, cash=CASH, slots=1, latency_ns=5 * MS)
        if watch is not None:
            watch(made)
        play(made, tape) if form == "per-event" else made.run()
        assert not governor.faults, governor.faults
        return Outcome(strategy, made)


@pytest.fixture(scope="session")
def hunts() -> Hunts:
    return Hunts()
