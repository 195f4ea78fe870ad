"""The columns of each kind of stream: what an importer delivers, what the index adds, and what the engine may search.

An importer delivers *raw* columns. The index adds prefix sums and zone maps (minimum and maximum of every 64, 4,096 and 262,144 rows), so that
"first row at or above a level" and "sum over a window" cost a few look-ups instead of a scan. `ts` is the local receive time in ns, strictly
increasing inside a stream; ties between streams are ordered by the stream's rank. `ts_event` (the venue's own time, 0 where it sends none) is optional.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from titan_core.errors import TapeError
from titan_core.model.enums import StreamKind
from titan_core.model.units import INT32_MAX, INT32_MIN

DEPTH_LEVELS = 10

Column = NDArray[np.int64] | NDArray[np.int32]
Columns = Mapping[str, NDArray[np.generic]]


@frozen
class StreamSpec:
    """Raw columns with their types, and the columns that conditions may search."""

    raw: dict[str, type[np.generic]]
    searched: tuple[str, ...]
    width: int = 1
    """Values per row of the raw columns other than `ts`: 1, or the number of book levels."""


I32, I64 = np.int32, np.int64
SPECS: dict[StreamKind, StreamSpec] = {
    StreamKind.GAP: StreamSpec({"ts": I64, "length_ns": I64, "reason": I32}, ("reason",)),
    StreamKind.QUOTE: StreamSpec({"ts": I64, "bid": I32, "ask": I32, "bid_lots": I32, "ask_lots": I32}, ("bid", "ask", "mid2")),
    StreamKind.DEPTH: StreamSpec({"ts": I64, "bids": I32, "bid_lots": I32, "asks": I32, "ask_lots": I32}, (), DEPTH_LEVELS),
    StreamKind.TRADE: StreamSpec({"ts": I64, "price": I32, "signed_lots": I32}, ("price",)),
    StreamKind.MARK: StreamSpec({"ts": I64, "price": I32, "index": I32}, ("price",)),
    StreamKind.FUNDING: StreamSpec({"ts": I64, "rate_e8": I32}, ("rate_e8",)),
    StreamKind.OPEN_INTEREST: StreamSpec({"ts": I64, "lots": I32}, ("lots",)),
    StreamKind.LIQUIDATION: StreamSpec({"ts": I64, "price": I32, "signed_lots": I32}, ("price",)),
    StreamKind.BASIS: StreamSpec({"ts": I64, "milli_bps": I32}, ("milli_bps",)),
}
"""`mid2` is bid + ask, made by the index. A price must stay below 2^30 ticks, so that mid2 fits. BASIS is made by the index, never imported."""

PRICE_MAX = INT32_MAX // 2


def view(column: NDArray[Any]) -> "memoryview[int]":
    """Return a view whose elements are plain Python numbers: reading one costs a fifth of indexing the array."""
    return memoryview(column)  # type: ignore[arg-type]


def check_raw(kind: StreamKind, columns: Columns, where: str) -> None:
    """Raise TapeError unless the raw columns are complete, of the right type and shape, in strict time order and in range."""
    spec = SPECS[kind]
    missing = [name for name in spec.raw if name not in columns]
    unknown = [name for name in columns if name not in spec.raw and name != "ts_event"]
    if missing or unknown:
        raise TapeError(f"{where}: stream {kind} needs columns {', '.join(spec.raw)}; missing {missing or 'none'}, unknown {unknown or 'none'}")
    rows = len(columns["ts"])
    for name, dtype in spec.raw.items():
        column = columns[name]
        shape = (rows,) if name == "ts" or spec.width == 1 else (rows, spec.width)
        if column.dtype != dtype or column.shape != shape:
            raise TapeError(f"{where}: column {kind}.{name} is {column.dtype}{list(column.shape)}, it must be {np.dtype(dtype)}{list(shape)}")
    ts = np.asarray(columns["ts"], dtype=np.int64)
    rising = ts[1:] > ts[:-1]
    if not bool(rising.all()):
        row = int(np.argmin(rising)) + 1
        raise TapeError(f"{where}: times of stream {kind} must strictly increase; row {row} has {ts[row]} after {ts[row - 1]}")


def fits_int32(values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark the values that a 32-bit column can hold."""
    return (values >= INT32_MIN) & (values <= INT32_MAX)


def strictly_increasing(ts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the times with ties and backward steps bumped to one nanosecond after the row before, in row order."""
    steps = np.arange(len(ts), dtype=np.int64)
    bumped: NDArray[np.int64] = np.maximum.accumulate(ts - steps) + steps
    return bumped
