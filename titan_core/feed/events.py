"""What a feed tells of itself: connections, subscriptions, topics and books, in words and as data for telemetry."""

from collections.abc import Callable
from enum import StrEnum

import msgspec


class FeedEventKind(StrEnum):
    """What happened."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    UNREACHABLE = "unreachable"
    """A connection could not be opened; it is tried again."""
    REFUSED = "refused"
    """The venue refused a subscription. It is asked for again at the next connection."""
    SILENT = "silent"
    """A topic has sent nothing for longer than it may while its socket lives; it is asked for again."""
    ALIVE = "alive"
    """A topic that was silent sends again."""
    BROKEN = "broken"
    """A book lost its sequence, was never in step or reaches beyond its snapshot; another one is asked for."""
    SYNCED = "synced"
    """A book that could not be read can be read again."""
    MISSED = "missed"
    """Prints were missed; how many could be fetched stands in the text."""
    CLOCK_STEP = "clock_step"
    """The computer's clock was set."""


class FeedEvent(msgspec.Struct, frozen=True, gc=False):
    """One event: where, when by the feed's own times, and what."""

    kind: FeedEventKind
    venue: str
    ts_ns: int
    topic: str
    text: str


OnEvent = Callable[[FeedEvent], None]
