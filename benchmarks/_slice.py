"""Slices of a market for the benchmarks: generated ones by default, a real recording where one is at hand."""

import gzip
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.level_rule import MIN_STEP_NS, MarketSlice
from titan_core.errors import UsageError
from titan_core.model.units import S

I32, I64 = np.int32, np.int64
FIRST_NS = 1_640_995_200 * S
TICKS_PER_S = 58.0
"""Quotes and prints of one busy perpetual per second, averaged over a day (5M a day)."""
SLOWED = 4.4
"""The recording is a busy hour; slowed by this it has the density of an average one."""
RECORDING = Path(__file__).resolve().parents[2] / "shared" / "market" / "raw_ws" / "binance_usdm_btcusdt_20240808.gz"


def spaced(ts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Move times, given in order, so that they are `MIN_STEP_NS` apart or more and none lies on, or a few ns after, a whole second."""
    steps = np.arange(len(ts), dtype=I64) * (2 * MIN_STEP_NS)
    out: NDArray[np.int64] = np.maximum.accumulate(ts - steps) + steps
    out[out % S < 10] += 10
    return out


def slice_of(ts: NDArray[np.int64], is_quote: NDArray[np.bool_], values: NDArray[np.int64], source: str) -> MarketSlice:
    """Split merged rows into raw columns; `values` has bid, ask, bid lots, ask lots of a quote or price and signed lots of a print."""
    ts, rows = spaced(ts), values.astype(I32)
    quotes = {"ts": ts[is_quote]} | {name: np.ascontiguousarray(rows[is_quote, i]) for i, name in enumerate(("bid", "ask", "bid_lots", "ask_lots"))}
    trades = {"ts": ts[~is_quote]} | {name: np.ascontiguousarray(rows[~is_quote, i]) for i, name in enumerate(("price", "signed_lots"))}
    return MarketSlice(quotes, trades, source=source)


def generated_slice(ticks: int, seed: int = 1) -> MarketSlice:
    """Make ticks of one perpetual: clustered arrivals, a book one tick wide that moves in heavy-tailed steps, prints on either side of it.

    As on a real venue a quote renews the size of one side, or both sides where the book moves.
    """
    rng = np.random.default_rng(seed)
    gaps = rng.pareto(1.3, ticks).clip(0, 2_000) + 1e-3
    ts = FIRST_NS + np.cumsum(gaps / gaps.mean() * S / TICKS_PER_S).astype(I64)
    is_quote = rng.random(ticks) < 0.75
    is_quote[0] = True
    jumps = (rng.random(ticks) < 0.03) & is_quote
    steps = np.where(jumps, np.rint(rng.standard_t(3, ticks) * 9), 0).astype(I64)
    bid = 600_000 + np.cumsum(steps)
    lots = 1 + (rng.pareto(1.1, (ticks, 2)).clip(0, 2_000) * 10).astype(I64)
    buys = rng.random(ticks) < 0.5
    renewed = is_quote[:, None] & (np.column_stack([buys, ~buys]) | (steps != 0)[:, None])
    renewed[0] = True
    latest = np.maximum.accumulate(np.where(renewed, np.arange(ticks)[:, None], 0))
    quotes = np.column_stack([bid, bid + 1, np.take_along_axis(lots, latest, 0)])
    prints = np.column_stack([bid + buys, np.where(buys, 1, -1) * lots[:, 0], np.zeros((ticks, 2), I64)])
    return slice_of(ts, is_quote, np.where(is_quote[:, None], quotes, prints), f"generated, seed {seed}")


def real_slice(ticks: int, path: Path = RECORDING) -> MarketSlice:
    """Lay a raw recording (receive time in ns, space, bookTicker or trade message) end to end until there are enough ticks.

    Times are slowed by `SLOWED`; each lap continues at the price where the one before ended. Raises UsageError where the file is absent.
    """
    if not path.is_file():
        raise UsageError(f"no recording at {path}; run without --real to use generated ticks")
    ts, is_quote, values = _recorded(path)
    laps = -(-ticks // len(ts))
    lap_ns = int((ts[-1] - ts[0] + S) * SLOWED)
    relative = ((ts - ts[0]) * SLOWED).astype(I64)
    bids = values[is_quote, 0]
    drift = int(bids[-1] - bids[0])
    is_price = np.where(is_quote[:, None], [1, 1, 0, 0], [1, 0, 0, 0])
    all_ts = np.concatenate([FIRST_NS + relative + lap * lap_ns for lap in range(laps)])[:ticks]
    all_values = np.concatenate([values + is_price * drift * lap for lap in range(laps)])[:ticks]
    return slice_of(all_ts, np.tile(is_quote, laps)[:ticks], all_values, f"{path.name}, {laps} laps, slowed {SLOWED}x")


def _recorded(path: Path) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]:
    times, quotes, rows = [], [], []
    with gzip.open(path, "rb") as lines:
        for line in lines:
            ts, _, body = line.partition(b" ")
            message = json.loads(body)
            data = message.get("data", {})
            if message.get("stream", "").endswith("@bookTicker"):
                rows.append((_ticks(data["b"]), _ticks(data["a"]), _lots(data["B"]), _lots(data["A"])))
            elif message.get("stream", "").endswith("@trade") and float(data["q"]) > 0:
                rows.append((_ticks(data["p"]), -_lots(data["q"]) if data["m"] else _lots(data["q"]), 0, 0))
            else:
                continue
            times.append(int(ts))
            quotes.append(message["stream"].endswith("@bookTicker"))
    return np.maximum.accumulate(np.array(times, I64)), np.array(quotes, np.bool_), np.array(rows, I64)


def _ticks(price: str) -> int:
    return round(float(price) * 10)


def _lots(quantity: str) -> int:
    return max(1, round(float(quantity) * 1000))


def save(columns: MarketSlice, path: Path) -> None:
    """Write the traded instrument's columns for the peers, which read plain numpy files only."""
    arrays = {f"quote_{name}": column for name, column in columns.quotes.items()} | {f"trade_{name}": column for name, column in columns.trades.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)  # type: ignore[arg-type]
