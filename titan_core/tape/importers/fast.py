"""Reading blocks of a Binance recording in compiled code, where that pays and where numba is there."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

from titan_core.tape.importers.book import CompiledBook
from titan_core.tape.importers.decimals import Ints
from titan_core.tape.importers.lines import GZIP_MAGIC, file_size

WORTH_BYTES = 64 << 20
"""Text of this size takes about a second without the compiled code; loading that takes half a second, compiling it once takes some."""
PACKED = 8
"""How much smaller gzip makes a recording, roughly."""
SHORTEST_LEVEL = len('["1","1"],')
USUAL_LINE = 100
"""A block with shorter lines is read twice."""


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


@define(eq=False)
class Scanner:
    """Reads blocks into buffers that are used again for the next block: fresh memory for each costs as much as reading it.

    What `scan` returns is good until the next call.
    """

    kernels: ModuleType
    _lines: int = field(default=0, init=False)
    _levels: int = field(default=0, init=False)
    _of_lines: tuple[NDArray[Any], ...] = field(default=(), init=False)
    _of_levels: tuple[Ints, Ints] = field(factory=lambda: (np.zeros(0, np.int64), np.zeros(0, np.int64)), init=False)

    def scan(self, data: bytes) -> Scanned:
        """Read a block of lines, each ended by a newline."""
        self._make_room(len(data) // USUAL_LINE + 16, len(data) // SHORTEST_LEVEL + 1)
        used = -1
        while used < 0:
            streams = np.zeros((self.kernels.MOST_STREAMS, self.kernels.STREAM_FIELDS), np.int64)
            used, levels, known = self.kernels.scan(np.frombuffer(data, np.uint8), *self._of_lines, *self._of_levels, streams)
            if used < 0:
                self._make_room(4 * self._lines, self._levels)
        names = [data[start:stop].decode("ascii", "replace") for start, stop in streams[:known, : self.kernels.HEADER_FROM].tolist()]
        starts, ends, kinds, receive, numbers, fields = (column[:used] for column in self._of_lines)
        prices, sizes = (column[:levels] for column in self._of_levels)
        return Scanned(starts, ends, kinds, receive, numbers, fields, prices, sizes, names)

    def _make_room(self, lines: int, levels: int) -> None:
        if lines > self._lines:
            self._lines = lines
            starts, ends, receive = (np.empty(lines, np.int64) for _ in range(3))
            kinds, numbers = np.empty(lines, np.int8), np.empty(lines, np.int16)
            self._of_lines = (starts, ends, kinds, receive, numbers, np.empty((lines, self.kernels.FIELDS), np.int64))
        if levels > self._levels:
            self._levels = levels
            self._of_levels = (np.empty(levels, np.int64), np.empty(levels, np.int64))


def load_kernels(path: Path, wanted: bool | None = None) -> ModuleType | None:
    """Return the compiled code if it is wanted; by default if the file is worth loading it or it is loaded already. None without numba."""
    name = "titan_core.tape.importers.kernels"
    if wanted is None:
        wanted = name in sys.modules or text_size(path) >= WORTH_BYTES
    try:
        return importlib.import_module(name) if wanted else None
    except ImportError:
        return None


def text_size(path: Path) -> int:
    """Estimate the size of a file's text in bytes. Raises TapeError where there is no file."""
    size = file_size(path)
    with path.open("rb") as file:
        return size * PACKED if file.read(2) == GZIP_MAGIC else size


def warm_up() -> bool:
    """Load and compile the hot loops, so that a first import does not wait for them. Returns whether they are there."""
    kernels = load_kernels(Path(), wanted=True)
    if kernels is None:
        return False
    Scanner(kernels).scan(b"\n")
    CompiledBook(kernels).row()
    return True
