"""Slices of a market for the benchmarks: generated ones by default, a real recording where one is at hand."""

import gzip
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.level_rule import MIN_STEP_NS, MarketSlice
from titan_core.errors import UsageError
from titan_core.model.enums import StreamKind
from titan_core.model.instrument import Instrument
from titan_core.model.units import S
from titan_core.tape.columns import Columns, strictly_increasing
from titan_core.tape.generate import generate
from titan_core.tape.tape import StreamKey

I32, I64 = np.int32, np.int64
FIRST_NS = 1_704_067_200 * S
TICKS_PER_DAY = 7_000_000
"""A busy market, all streams of a spot and perpetual pair together."""
Market = tuple[tuple[Instrument, ...], Mapping[StreamKey, Columns]]
SLOWED = 4.4
"""The recording is a busy hour; slowed by this it has the density of an average one."""
RECORDING = Path(__file__).resolve().parents[2] / "shared" / "market" / "raw_ws" / "binance_usdm_btcusdt_20240808.gz"


def spaced(ts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Move times, given in order, so that they are `MIN_STEP_NS` apart or more and none lies on, or a few ns after, a whole second."""
    # twice the step: the shift off a whole second below must not bring two ticks too close
    steps = np.arange(len(ts), dtype=I64) * (2 * MIN_STEP_NS)
    out: NDArray[np.int64] = np.maximum.accumulate(ts - steps) + steps
    out[out % S < 10] += 10
    return out


def slice_of(quotes: Columns, trades: Columns, ticks: int, source: str) -> MarketSlice:
    """Cut the first `ticks` of two raw streams, spaced; of equal times the quotes come first. Raises UsageError where there are fewer."""
    ts = np.concatenate([quotes["ts"], trades["ts"]]).astype(I64)
    if len(ts) < ticks:
        raise UsageError(f"{source} holds {len(ts):,} quotes and prints, {ticks:,} are wanted; ask for fewer ticks or a denser market")
    order = np.argsort(ts, kind="stable")[:ticks]
    ts[order] = spaced(ts[order])
    rows = np.sort(order)
    of_quotes, of_trades = rows[rows < len(quotes["ts"])], rows[rows >= len(quotes["ts"])] - len(quotes["ts"])

    def cut(columns: Columns, names: tuple[str, ...], rows: NDArray[np.int64], offset: int) -> Columns:
        return {"ts": ts[rows + offset]} | {name: np.ascontiguousarray(columns[name][rows], I32) for name in names}

    quote_columns = cut(quotes, ("bid", "ask", "bid_lots", "ask_lots"), of_quotes, 0)
    return MarketSlice(quote_columns, cut(trades, ("price", "signed_lots"), of_trades, len(quotes["ts"])), source=source)


@lru_cache(maxsize=1)
def generated_market(days: int, seed: int, ticks_per_day: int) -> Market:
    """Generate a market, or return the one that was generated last; its columns are not to be written to."""
    return generate(days, seed, ticks_per_day=ticks_per_day)


def unique_times(raw: Mapping[StreamKey, Columns]) -> dict[StreamKey, Columns]:
    """Return the streams with times that are unique over all of them, as a receiving process makes them."""
    keys = list(raw)
    ts = np.concatenate([np.asarray(raw[key]["ts"], I64) for key in keys])
    order = np.argsort(ts, kind="stable")
    ts[order] = strictly_increasing(ts[order])
    cuts = np.cumsum([len(raw[key]["ts"]) for key in keys])[:-1]
    return {key: {**raw[key], "ts": part} for key, part in zip(keys, np.split(ts, cuts), strict=True)}


def first_ticks(raw: Mapping[StreamKey, Columns], ticks: int) -> dict[StreamKey, Columns]:
    """Return the first `ticks` rows of all streams together; their times must be unique."""
    ts = np.concatenate([np.asarray(columns["ts"], I64) for columns in raw.values()])
    last = np.partition(ts, ticks - 1)[ticks - 1] if ticks < len(ts) else ts.max()
    ends = {key: int(np.searchsorted(columns["ts"], last, "right")) for key, columns in raw.items()}
    return {key: {name: column[: ends[key]] for name, column in columns.items()} for key, columns in raw.items()}


def generated_slice(ticks: int, seed: int = 1, ticks_per_day: int = TICKS_PER_DAY) -> MarketSlice:
    """Take the first quotes and prints of the perpetual of a generated market. Raises UsageError where an argument is out of range."""
    days = max(1, -(-2 * ticks // ticks_per_day))
    instruments, streams = generated_market(days, seed, ticks_per_day)
    perp = next(instrument.id for instrument in instruments if instrument.is_perp)
    source = f"generated, seed {seed}, {ticks_per_day / 1e6:g}M ticks a day"
    return slice_of(streams[perp, StreamKind.QUOTE], streams[perp, StreamKind.TRADE], ticks, source)


def real_slice(ticks: int, path: Path = RECORDING) -> MarketSlice:
    """Lay a raw recording (receive time in ns, space, bookTicker or trade message) end to end until there are enough ticks.

    Times are slowed by `SLOWED`; each lap continues at the price where the one before ended. Raises UsageError where the file is absent.
    """
    if not path.is_file():
        raise UsageError(f"no recording at {path}; run without --real to use generated ticks")
    quotes, trades = _recorded(path)
    first, last = min(quotes["ts"][0], trades["ts"][0]), max(quotes["ts"][-1], trades["ts"][-1])
    laps = -(-ticks // (len(quotes["ts"]) + len(trades["ts"])))
    lap_ns, drift = int((last - first + S) * SLOWED), int(quotes["bid"][-1] - quotes["bid"][0])

    def laid(columns: Columns) -> Columns:
        out = {name: np.tile(column.astype(I64), laps) for name, column in columns.items()}
        lap = np.repeat(np.arange(laps, dtype=I64), len(columns["ts"]))
        out["ts"] = FIRST_NS + ((out["ts"] - first) * SLOWED).astype(I64) + lap * lap_ns
        for name in {"bid", "ask", "price"} & out.keys():
            out[name] = out[name] + lap * drift
        return out

    return slice_of(laid(quotes), laid(trades), ticks, f"{path.name}, {laps} laps, slowed {SLOWED}x")


def _recorded(path: Path) -> tuple[Columns, Columns]:
    quotes, trades = [], []
    with gzip.open(path, "rb") as lines:
        for line in lines:
            ts, _, body = line.partition(b" ")
            message = json.loads(body)
            data, name = message.get("data", {}), message.get("stream", "")
            if name.endswith("@bookTicker"):
                quotes.append((int(ts), _ticks(data["b"]), _ticks(data["a"]), _lots(data["B"]), _lots(data["A"])))
            elif name.endswith("@trade") and float(data["q"]) > 0:
                trades.append((int(ts), _ticks(data["p"]), -_lots(data["q"]) if data["m"] else _lots(data["q"])))
    quote_rows, trade_rows = np.array(quotes, I64).T, np.array(trades, I64).T
    return (
        dict(zip(("ts", "bid", "ask", "bid_lots", "ask_lots"), quote_rows, strict=True)),
        dict(zip(("ts", "price", "signed_lots"), trade_rows, strict=True)),
    )


def _ticks(price: str) -> int:
    return round(float(price) * 10)


def _lots(quantity: str) -> int:
    return max(1, round(float(quantity) * 1000))


def save(columns: MarketSlice, path: Path) -> None:
    """Write the traded instrument's columns for the peers, which read plain numpy files only."""
    arrays = {f"quote_{name}": column for name, column in columns.quotes.items()} | {f"trade_{name}": column for name, column in columns.trades.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)  # type: ignore[arg-type]
