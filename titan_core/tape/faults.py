"""What was found wrong with a recording: counted by class, with the first place and an example of each."""

from collections.abc import Iterable
from enum import StrEnum

from attrs import define, evolve, field, frozen

EXAMPLE_LENGTH = 160


class FaultKind(StrEnum):
    """The classes of fault that importers report. What happens to the affected rows stands beside each."""

    GAP = "gap"
    """Sequence or trade ids jump: messages are missing. Recorded as a GAP row."""
    HOLE = "hole"
    """Bars are missing. Recorded as a GAP row."""
    SILENCE = "silence"
    """The whole recording is silent for longer than a minute. Recorded as a GAP row."""
    TRUNCATED = "truncated"
    """The file ends in the middle or its compression is damaged; what could be read is kept. Recorded as a GAP row."""
    CLOCK_STEP = "clock_step"
    """The receive time goes backwards; rows keep the file's order and are bumped to one nanosecond after the row before."""
    DUPLICATE = "duplicate"
    """The same trade id, bar time or settlement again; the first is kept."""
    OVERLAP = "overlap"
    """Rows of a second file that lie inside the stretch the tape already has; the tape's rows are kept."""
    OUT_OF_ORDER = "out_of_order"
    """An id or bar time lower than one before it; kept (bars are sorted)."""
    CROSSED_BOOK = "crossed_book"
    """Best bid at or above best ask; the row is dropped."""
    OUT_OF_RANGE = "out_of_range"
    """A value that cannot be: a price of zero, a rate of 90 %, a size beyond 32 bits. Dropped, or clipped where the example says so."""
    OFF_GRID = "off_grid"
    """A price or size between two steps of the grid; rounded to the nearest."""
    BAD_BAR = "bad_bar"
    """High below low, open or close outside of them, or a bar time off the grid of bars; dropped."""
    ZERO_VOLUME = "zero_volume"
    """A bar in which nothing was traded; it makes no trades."""
    UNSYNCED = "unsynced"
    """Book updates with no snapshot to start from; checked for sequence, but no depth rows can be made of them."""
    BAD_LINE = "bad_line"
    """A line or field that cannot be read."""
    UNKNOWN_MESSAGE = "unknown_message"
    """A message of a type that the importer does not know."""


@frozen
class Fault:
    """One class of fault in one file. `line` is the first place, counted from 1 (0 where the file has no lines); `example` quotes it."""

    kind: FaultKind
    count: int
    file: str
    line: int
    example: str


@define
class FaultLog:
    """Collects the faults of one file while it is read."""

    file: str
    _found: dict[FaultKind, Fault] = field(factory=dict, init=False)

    def add(self, kind: FaultKind, line: int, example: str, count: int = 1) -> None:
        """Count `count` faults whose first stands at `line`. Faults may be reported in any order; the lowest line wins."""
        if count <= 0:
            return
        known = self._found.get(kind)
        if known is None or line < known.line:
            total = count + (known.count if known else 0)
            self._found[kind] = Fault(kind, total, self.file, line, _shorten(example))
        else:
            self._found[kind] = evolve(known, count=known.count + count)

    def count(self, kind: FaultKind) -> int:
        """Return how many faults of that class were found so far."""
        known = self._found.get(kind)
        return known.count if known else 0

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All faults, in the order of their classes."""
        return tuple(self._found[kind] for kind in FaultKind if kind in self._found)


def fault_total(faults: Iterable[Fault]) -> int:
    """Return the number of faults of all classes."""
    return sum(fault.count for fault in faults)


def _shorten(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= EXAMPLE_LENGTH else flat[: EXAMPLE_LENGTH - 1] + "…"
