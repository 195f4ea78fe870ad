"""Things that happen at a time of the box: a heap of calls, in order of time and of their making."""

import heapq
from collections.abc import Callable


class Timers:
    """Calls to make later."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._made = 0

    def call_at(self, at_ns: int, call: Callable[[], None]) -> None:
        """Make a call at a time, or as soon as possible where that has passed."""
        self._made += 1
        heapq.heappush(self._heap, (at_ns, self._made, call))

    def next_ns(self) -> int | None:
        """Return the time of the next call."""
        return self._heap[0][0] if self._heap else None

    def run_next(self) -> None:
        """Make the next call."""
        _, _, call = heapq.heappop(self._heap)
        call()
