"""What the index adds to a stream: zone maps, prefix sums, a time index, one-minute bars and the basis of a pair.

Plain numpy, so a tape can be built and read where numba is absent.
"""

import numpy as np
from numpy.typing import NDArray

from titan_core.model.enums import StreamKind
from titan_core.model.units import MIN, S
from titan_core.tape.columns import SPECS, Columns

ZONE_BITS = 6
"""Each level of a zone map covers 64 entries of the level below: 64, 4,096 and 262,144 rows."""

I32, I64 = np.int32, np.int64
Built = dict[str, NDArray[np.generic]]


def zone_map(values: NDArray[np.int32], largest: bool) -> NDArray[np.int32]:
    """Return the three levels of block maxima (or minima), one after another in one array."""
    levels: list[NDArray[np.int32]] = []
    current = values
    for _ in range(3):
        if len(current) == 0:
            break
        starts = np.arange(0, len(current), 1 << ZONE_BITS)
        current = (np.maximum if largest else np.minimum).reduceat(current, starts).astype(I32)
        levels.append(current)
    return np.concatenate(levels) if levels else np.zeros(0, I32)


def prefix_sum(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return n + 1 running sums: entry i is the sum of the first i values."""
    out = np.zeros(len(values) + 1, I64)
    np.cumsum(values, out=out[1:])
    return out


def time_index(ts: NDArray[np.int64]) -> tuple[NDArray[np.int32], int, int]:
    """Return (first row at or after each bucket's start, time of bucket 0, bucket length in ns).

    A bucket is a second, or longer where the stream is thin, so that the index never has many more entries than the stream.
    """
    if len(ts) == 0:
        return np.zeros(2, I32), 0, S
    first, last = int(ts[0]), int(ts[-1])
    bucket = max(S, -(-(last - first + 1) // max(1, len(ts))))
    origin = first // bucket * bucket
    count = (last - origin) // bucket + 1
    edges = origin + np.arange(count + 2, dtype=I64) * bucket
    return np.searchsorted(ts, edges, side="left").astype(I32), origin, bucket


def dense_bars(ts: NDArray[np.int64], price: NDArray[np.int32], signed_lots: NDArray[np.int32], timeframe_ns: int = MIN) -> Built:
    """Return the dense bars, a minute long by default, from the first trade's bar on; a bar without trades repeats the close before it.

    `volume` and `delta` (lots) are 0 there. The last, still open bar is included: readers count closed bars by the clock.
    """
    if len(ts) == 0:
        empty: Built = {f"bar_{c}": np.zeros(0, I32) for c in "ohlc"}
        return empty | {"bar_volume": np.zeros(0, I64), "bar_delta": np.zeros(0, I64), "bar_base": np.zeros(1, I64)}
    slot_of = ts // timeframe_ns
    base = int(slot_of[0])
    count = int(slot_of[-1]) - base + 1
    starts = np.flatnonzero(np.r_[True, slot_of[1:] != slot_of[:-1]])
    slot = (slot_of[starts] - base).astype(I64)
    ends = np.r_[starts[1:], len(ts)] - 1
    lots = signed_lots.astype(I64)
    volume, delta = np.zeros(count, I64), np.zeros(count, I64)
    volume[slot] = np.add.reduceat(np.abs(lots), starts)
    delta[slot] = np.add.reduceat(lots, starts)
    filled = np.zeros(count, I64)
    filled[slot] = np.arange(len(slot))
    filled = np.maximum.accumulate(filled)
    close = price[ends][filled]
    out = {"bar_o": close.copy(), "bar_h": close.copy(), "bar_l": close.copy(), "bar_c": close}
    out["bar_o"][slot] = price[starts]
    out["bar_h"][slot] = np.maximum.reduceat(price, starts)
    out["bar_l"][slot] = np.minimum.reduceat(price, starts)
    return {name: column.astype(I32) for name, column in out.items()} | {"bar_volume": volume, "bar_delta": delta, "bar_base": np.array([base], I64)}


def build_index(kind: StreamKind, raw: Columns) -> Built:
    """Return raw columns plus everything the engine derives from them, all C-contiguous."""
    out: Built = {name: np.ascontiguousarray(column) for name, column in raw.items()}
    ts = out["ts"].astype(I64, copy=False)
    if kind is StreamKind.QUOTE:
        out["mid2"] = (out["bid"].astype(I64) + out["ask"].astype(I64)).astype(I32)
    if kind is StreamKind.TRADE:
        price, lots = out["price"].astype(I32, copy=False), out["signed_lots"].astype(I64)
        out["sum_signed"] = prefix_sum(lots)
        out["sum_lots"] = prefix_sum(np.abs(lots))
        out["sum_notional"] = prefix_sum(np.abs(lots) * price.astype(I64))
        out |= dense_bars(ts, price, out["signed_lots"].astype(I32, copy=False))
    for name in SPECS[kind].searched:
        values = out[name].astype(I32, copy=False)
        out[f"{name}_max"], out[f"{name}_min"] = zone_map(values, True), zone_map(values, False)
    buckets, origin, bucket = time_index(ts)
    out["buckets"] = buckets
    out["bucket_meta"] = np.array([origin, bucket], I64)
    return out


def basis_rows(spot: Columns, perp: Columns, spot_unit: int, perp_unit: int) -> dict[str, NDArray[np.generic]]:
    """Join two quote streams as of time: one row per quote of either once both have begun.

    `milli_bps` = (perp mid − spot mid) / spot mid in 1e-3 bps, rounded down; `spot_unit` and `perp_unit` are the ticks' sizes on a common scale.
    Of two quotes at one time the spot's comes first.
    """
    ts_spot, ts_perp = spot["ts"].astype(I64, copy=False), perp["ts"].astype(I64, copy=False)
    rows = np.concatenate([ts_spot, ts_perp])
    order = np.argsort(rows, kind="stable")
    from_spot = order < len(ts_spot)
    seen_spot, seen_perp = np.cumsum(from_spot), np.cumsum(~from_spot)
    both = (seen_spot > 0) & (seen_perp > 0)
    ts, i, j = rows[order][both], seen_spot[both] - 1, seen_perp[both] - 1
    s2 = (spot["bid"].astype(I64) + spot["ask"].astype(I64))[i] * spot_unit
    p2 = (perp["bid"].astype(I64) + perp["ask"].astype(I64))[j] * perp_unit
    value = np.clip((p2 - s2) * 10_000_000 // s2, -(2**31), 2**31 - 1)
    return {"ts": ts, "milli_bps": value.astype(I32)}
