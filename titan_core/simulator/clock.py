"""The box's time: a clock that is told what time it is, and one that follows the computer's at a chosen speed."""

import time
from collections.abc import Callable
from typing import Protocol

from titan_core.errors import UsageError


class Clock(Protocol):
    """Tells the time in ns since 1970, UTC."""

    def now_ns(self) -> int:
        """Return the time."""
        ...


def check_speed(speed: float) -> float:
    """Return a speed. Raises UsageError where it is out of range."""
    if not 0 < speed <= 10_000:
        raise UsageError(f"speed {speed:g} is out of range; allowed are more than 0 and at most 10,000 (1 is the speed of life)")
    return speed


class VirtualClock:
    """A clock that stands still until somebody moves it. It never goes back."""

    def __init__(self, start_ns: int) -> None:
        self._now = start_ns

    def now_ns(self) -> int:
        """Return the time."""
        return self._now

    def set(self, to_ns: int) -> None:
        """Move to a later time; an earlier one is ignored."""
        if to_ns > self._now:
            self._now = to_ns


class RealClock:
    """A clock that begins at `start_ns` and runs `speed` times as fast as the computer's."""

    def __init__(self, start_ns: int, speed: float = 1.0, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._start, self._speed, self._monotonic = start_ns, check_speed(speed), monotonic_ns
        self._origin = monotonic_ns()

    def now_ns(self) -> int:
        """Return the time."""
        return self._start + int((self._monotonic() - self._origin) * self._speed)
