"""Reading blocks of a Binance recording in compiled code, where that pays and where numba is there."""

import importlib
import sys
from types import ModuleType

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from titan_core.tape.importers.book import CompiledBook
from titan_core.tape.importers.decimals import Ints

WORTH_BYTES = 4 << 20
"""Loading the compiled code takes about as long as reading a file of this size without it."""

SHORTEST_LEVEL = len('["1","1"],')


@frozen(eq=False)
class Scanned:
    """The lines of a block: where each is and, unless its kind is odd, its receive time, stream and numbers (see `kernels`)."""

    starts: Ints
    ends: Ints
    kinds: NDArray[np.int8]
    receive: Ints
    numbers: NDArray[np.int16]
    fields: NDArray[np.int64]
    prices: Ints
    sizes: Ints
    streams: list[str]


def scan_block(kernels: ModuleType, data: bytes, lines: int) -> Scanned:
    """Read a block of that many lines, each ended by a newline."""
    levels = len(data) // SHORTEST_LEVEL + 1
    starts, ends, receive = (np.empty(lines, np.int64) for _ in range(3))
    kinds, numbers = np.empty(lines, np.int8), np.empty(lines, np.int16)
    fields = np.empty((lines, kernels.FIELDS), np.int64)
    prices, sizes = np.empty(levels, np.int64), np.empty(levels, np.int64)
    streams = np.zeros((kernels.MOST_STREAMS, 2), np.int64)
    raw = np.frombuffer(data, np.uint8)
    _, used, known = kernels.scan(raw, starts, ends, kinds, receive, numbers, fields, prices, sizes, streams)
    names = [data[start:stop].decode("ascii", "replace") for start, stop in streams[:known].tolist()]
    return Scanned(starts, ends, kinds, receive, numbers, fields, prices[:used], sizes[:used], names)


def load_kernels(size: int) -> ModuleType | None:
    """Return the compiled code where a file of `size` bytes is worth loading it, or it is loaded already; None otherwise or without numba."""
    name = "titan_core.tape.importers.kernels"
    if size < WORTH_BYTES and name not in sys.modules:
        return None
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def warm_up() -> bool:
    """Load and compile the hot loops, so that a first import does not wait for them. Returns whether they are there."""
    kernels = load_kernels(WORTH_BYTES)
    if kernels is None:
        return False
    scan_block(kernels, b"\n", 1)
    CompiledBook(kernels).row()
    return True
