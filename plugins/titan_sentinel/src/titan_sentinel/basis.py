"""How a basis usually is: mean and deviation of its newest samples, exact in whole thousandths of a basis point."""

from collections import deque
from math import sqrt


class BasisStatistics:
    """Mean and deviation over a window of samples, updated in constant time; sums are integers, so nothing drifts."""

    def __init__(self, window: int) -> None:
        """Keep `window` samples."""
        self._samples: deque[int] = deque()
        self._window = window
        self._sum = self._squares = 0

    @property
    def count(self) -> int:
        """How many samples there are."""
        return len(self._samples)

    def take(self, milli_bps: int) -> None:
        """Take in a sample."""
        samples = self._samples
        samples.append(milli_bps)
        self._sum += milli_bps
        self._squares += milli_bps * milli_bps
        if len(samples) > self._window:
            old = samples.popleft()
            self._sum -= old
            self._squares -= old * old

    def mean_bps(self) -> float:
        """Return the mean in basis points; 0 before there is a sample."""
        return self._sum / len(self._samples) / 1_000 if self._samples else 0.0

    def deviation_bps(self) -> float:
        """Return the standard deviation of the population in basis points."""
        count = len(self._samples)
        return sqrt(count * self._squares - self._sum * self._sum) / count / 1_000 if count else 0.0
