"""Whether topics are alive although their socket is: each has a time within which it must send something.

A frame costs the watch nothing: routes count what they see, and the watch compares counts now and then.
"""

from collections.abc import Callable
from enum import Enum, auto

from attrs import define, frozen

from titan_core.feed.port import Route
from titan_core.model.enums import StreamKind

_BOOK, _STATE = {StreamKind.QUOTE, StreamKind.DEPTH}, {StreamKind.MARK, StreamKind.OPEN_INTEREST}


@frozen
class Patience:
    """Times in seconds after which something is wrong. A muted topic is found after its own time plus `tick_s`."""

    open_s: float = 10.0
    ping_interval_s: float = 1.5
    ping_timeout_s: float = 1.5
    """A dead peer is found within the sum of both and a moment more."""
    tick_s: float = 1.0
    book_s: float = 8.0
    state_s: float = 10.0
    """For mark prices and open interest."""
    trade_s: float = 10.0
    """Trades may be scarce; what is silent for so long is compared with what the venue answers by REST before it counts as dead."""
    slow_s: float = 180.0
    """For what is sent once a minute, such as MEXC's funding rates."""
    most_s: float = 300.0
    """The longest that a topic's patience grows to while it stays dead."""
    first_retry_s: float = 0.25
    last_retry_s: float = 30.0
    stable_s: float = 10.0
    """A connection that lasted so long is followed by a prompt attempt; others wait twice as long each time."""
    fill_s: float = 3.0
    """How long prints are held back at most while missed ones are asked for."""

    def limit_s(self, kinds: frozenset[StreamKind]) -> float | None:
        """Return how long a topic with those kinds of row may be silent; None where silence means nothing."""
        if kinds & _BOOK:
            return self.book_s
        if kinds & _STATE:
            return self.state_s
        if StreamKind.TRADE in kinds:
            return self.trade_s
        return self.slow_s if StreamKind.FUNDING in kinds else None


class Verdict(Enum):
    """What the watch says of a topic."""

    FINE = auto()
    RETURNED = auto()
    """It was silent and sends again."""
    ASK = auto()
    """It is silent, which may be the market's doing: ask the venue."""
    RESUBSCRIBE = auto()
    """It is silent: ask for it again."""
    RECONNECT = auto()
    """It stayed silent after that: try another connection."""


@define(eq=False)
class Watched:
    """One topic under watch. Times are the loop's."""

    route: Route
    limit_s: float | None
    most_s: float
    may_be_quiet: bool
    """Whether silence is no proof: nothing need happen in a thin market."""
    heard_s: float
    heard_ns: int = 0
    """A receive time at or before that of the last frame, at most a look too early; 0 before the first."""
    seen: int = 0
    strikes: int = 0
    asked: bool = False
    _factor: float = 1.0

    def look(self, now_s: float, before_ns: int) -> Verdict:
        """Judge the topic; `before_ns` is the receive time at the look before."""
        if self.route.seen != self.seen:
            returned = self.strikes > 0
            self.seen, self.heard_s, self.heard_ns = self.route.seen, now_s, before_ns
            self.strikes, self.asked, self._factor = 0, False, 1.0
            return Verdict.RETURNED if returned else Verdict.FINE
        if self.limit_s is None or self.asked or now_s - self.heard_s < self.limit_s * self._factor:
            return Verdict.FINE
        if self.may_be_quiet:
            self.asked = True
            return Verdict.ASK
        return self.strike(now_s)

    def strike(self, now_s: float) -> Verdict:
        """Note that the topic is dead: ask again, then reconnect once, then ask again ever more seldom."""
        self.strikes += 1
        self.heard_s, self.asked = now_s, False
        if self.strikes > 2:
            self._wait_longer()
        return Verdict.RECONNECT if self.strikes == 2 else Verdict.RESUBSCRIBE

    def excuse(self, now_s: float) -> None:
        """Note that the market is quiet, not the topic: wait longer before asking the next time."""
        self.heard_s, self.asked = now_s, False
        self._wait_longer()

    def _wait_longer(self) -> None:
        if self.limit_s is not None:
            self._factor = min(self._factor * 2, max(1.0, self.most_s / self.limit_s))

    def again(self, now_s: float) -> None:
        """Begin anew because the topic was asked for on a new connection; what was held against it stays."""
        self.heard_s, self.asked, self.seen = now_s, False, self.route.seen


def after_first(route: Route, told: Callable[[], None]) -> None:
    """Call `told` before the next frame of a route is taken, once. Costs later frames nothing."""
    take = route.take

    def first(frame: bytes) -> None:
        route.take = take
        told()
        take(frame)

    route.take = first
