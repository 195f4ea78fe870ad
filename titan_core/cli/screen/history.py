"""What a screen remembers of the pictures before: prices that move and the equity's way. It fills while one looks."""

from collections import deque

from attrs import field, frozen

from titan_core.app.live.status import FeedStatus, SessionStatus

KEPT = 240
BLOCKS = "▁▂▃▄▅▆▇█"


@frozen
class History:
    """The newest mids of each instrument and equities of the account, oldest first."""

    mids: dict[str, deque[float]] = field(factory=dict)
    equity: deque[int] = field(factory=lambda: deque(maxlen=KEPT))

    def add(self, status: SessionStatus) -> None:
        """Take in a picture."""
        self.equity.append(status.equity)
        for feed in status.feeds:
            mid = mid_of(feed)
            if mid is not None:
                self.mids.setdefault(feed.instrument, deque(maxlen=KEPT)).append(mid)

    def move(self, instrument: str) -> float:
        """Return how far the mid has moved since the picture before; 0 where there is none."""
        seen = self.mids.get(instrument)
        return seen[-1] - seen[-2] if seen is not None and len(seen) > 1 else 0.0

    def drift_bps(self, instrument: str) -> float | None:
        """Return how far the mid has moved since the first picture that is kept, in basis points; None where nothing can be said."""
        seen = self.mids.get(instrument)
        return (seen[-1] / seen[0] - 1) * 10_000 if seen is not None and len(seen) > 1 and seen[0] else None


def mid_of(feed: FeedStatus) -> float | None:
    """Return the middle of the best prices; None where they are no numbers."""
    try:
        bid, ask = float(feed.bid), float(feed.ask)
    except ValueError:
        return None
    return (bid + ask) / 2 if 0 < bid < 1e15 and 0 < ask < 1e15 else None


def spark(values: "deque[float] | deque[int] | None", width: int) -> str:
    """Draw the newest values as blocks between the lowest and the highest; empty where there is nothing to draw."""
    points = list(values or ())[-width:] if width > 0 else []
    if len(points) < 2:
        return ""
    low, high = min(points), max(points)
    if low == high:
        return BLOCKS[3] * len(points)
    return "".join(BLOCKS[round((point - low) / (high - low) * (len(BLOCKS) - 1))] for point in points)
