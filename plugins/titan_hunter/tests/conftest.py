"""What the Hunter's tests share: candles, real ones where the recordings are at hand, and walks that any machine can make."""

import gzip
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from titan_core import MIN, MS
from titan_hunter.candles import Candle

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
