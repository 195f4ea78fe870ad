"""Receive times that strictly increase over everything one process receives, and an eye on the clock that they come from.

The engine orders events by time and wants no two alike, so each row is at least a nanosecond after the one before, whatever the clock says. A clock that is
set back makes rows crowd together until it has caught up; that is noticed by comparing it with a clock that nobody can set.
"""

from collections.abc import Callable

from titan_core.model.units import MS

STEP_NS = 100 * MS
"""A clock that moves this much against the steady one between two checks has been set; what NTP does in passing is a thousand times less."""


class StrictTime:
    """One per process. `frame` when something arrives, `next` for each row made of it; both are called more often than anything else, hence closures."""

    frame: Callable[[], int]
    """Look at the clock because something has arrived, and return the time."""
    next: Callable[[], int]
    """Return the time of the next row: that of the frame, or a nanosecond after the last row."""

    def __init__(self, clock: Callable[[], int], steady: Callable[[], int] | None = None, on_step: Callable[[int], None] | None = None) -> None:
        """`clock` returns ns since 1970, `steady` ns since whenever; `on_step` is told by how many ns the clock was set, forwards or (negative) back."""
        self._steady = steady
        self._on_step = on_step
        self._offset: int | None = None
        self.steps = 0
        """How often the clock was found to have been set."""
        now = last = 0

        def frame() -> int:
            nonlocal now
            now = clock()
            return now

        def next_ts() -> int:
            nonlocal last
            last = last + 1 if last >= now else now
            return last

        def look() -> tuple[int, int]:
            return now, last

        self.frame, self.next, self._look = frame, next_ts, look

    @property
    def now(self) -> int:
        """When the frame at hand arrived, by the clock."""
        return self._look()[0]

    @property
    def behind_ns(self) -> int:
        """How far the times given out have run ahead of the clock."""
        now, last = self._look()
        return max(0, last - now)

    def check(self) -> int:
        """Look at the clock, and whether it was set since the last check; return the time. To be called at least once a second."""
        now = self.frame()
        if self._steady is not None:
            offset = now - self._steady()
            known, self._offset = self._offset, offset
            if known is not None and not -STEP_NS < offset - known < STEP_NS:
                self.steps += 1
                if self._on_step is not None:
                    self._on_step(offset - known)
        return now
