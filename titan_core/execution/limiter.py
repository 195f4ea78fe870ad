"""One budget of requests for each venue, in lanes: what gets us out is never kept waiting by what gets us in, or by reading.

A token bucket with weights. A share of it is reserved for the emergency lane, and lanes are served strictly in order of urgency. The venue's own words (headers
with what remains, bans) only ever slow it down.
"""

from collections import deque
from collections.abc import Callable
from enum import IntEnum

from attrs import define, field


class Lane(IntEnum):
    """Who asks, most urgent first."""

    EMERGENCY = 0
    EXIT = 1
    PROTECT = 2
    ENTRY = 3
    READ = 4


@define
class Limiter:
    """The requests that one venue will take. `now_s` is the loop's clock; `later(delay_s, fn)` calls back on the loop."""

    now_s: Callable[[], float]
    later: Callable[[float, Callable[[], None]], object]
    rate_per_s: float = 10.0
    burst: float = 10.0
    reserved: float = 4.0
    """Tokens that only the emergency lane may spend."""
    tokens: float = field(init=False)
    banned_until_s: float = field(init=False, default=0.0)
    _at_s: float = field(init=False)
    _waiting: dict[Lane, deque[tuple[float, Callable[[], None], Callable[[], None]]]] = field(init=False)
    _timer: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.reserved < self.burst:
            raise ValueError(f"the reserve must lie below the burst of {self.burst:g} requests, found {self.reserved:g}")
        self.tokens, self._at_s = self.burst, self.now_s()
        self._waiting = {lane: deque() for lane in Lane}

    def run(self, lane: Lane, send: Callable[[], None], weight: float = 1.0, dropped: Callable[[], None] = lambda: None) -> None:
        """Call `send` now where the budget admits it and nobody more urgent waits, else as soon as it does, or `dropped` where it never will be."""
        if not self._is_anyone_ahead(lane) and self._take(lane, weight):
            send()
            return
        self._waiting[lane].append((weight, send, dropped))
        self._wake()

    def waiting(self, lane: Lane | None = None) -> int:
        """Return how many requests wait, in one lane or in all."""
        return sum(len(queue) for each, queue in self._waiting.items() if lane is None or each is lane)

    def drop(self, *lanes: Lane) -> int:
        """Give up what waits in some lanes, as an emergency does with entries and reads, and tell those who wait. Returns how many were dropped."""
        given_up = [entry for lane in lanes for entry in self._waiting[lane]]
        for lane in lanes:
            self._waiting[lane].clear()
        for _, _, dropped in given_up:
            dropped()
        return len(given_up)

    def heed(self, remaining: float | None) -> None:
        """Take the venue at its word where it says that less remains than we think."""
        if remaining is not None:
            self._refill()
            self.tokens = min(self.tokens, remaining)

    def ban(self, seconds: float) -> None:
        """Send nothing for a while: the venue has asked for it."""
        self.banned_until_s = max(self.banned_until_s, self.now_s() + seconds)
        self._wake()

    @property
    def is_banned(self) -> bool:
        """Whether the venue does not want to hear from us now."""
        return self.now_s() < self.banned_until_s

    # -- inside ---------------------------------------------------------------------------------------------------
    def _is_anyone_ahead(self, lane: Lane) -> bool:
        return any(self._waiting[other] for other in Lane if other <= lane)

    def _refill(self) -> None:
        now = self.now_s()
        self.tokens = min(self.burst, self.tokens + (now - self._at_s) * self.rate_per_s)
        self._at_s = now

    def _take(self, lane: Lane, weight: float) -> bool:
        if self.is_banned:
            return False
        self._refill()
        floor = 0.0 if lane is Lane.EMERGENCY else self.reserved
        # what weighs more than the bucket holds is sent when the bucket is full, and leaves it in debt
        if self.tokens - floor < min(weight, self.burst - floor) - 1e-9:
            return False
        self.tokens -= weight
        return True

    def _serve(self) -> None:
        self._timer = False
        for lane in Lane:
            queue = self._waiting[lane]
            while queue and self._take(lane, queue[0][0]):
                queue.popleft()[1]()
            if queue:
                break
        self._wake()

    def _wake(self) -> None:
        if self._timer:
            return
        for lane in Lane:
            if self._waiting[lane]:
                weight = min(self._waiting[lane][0][0], self.burst - (0.0 if lane is Lane.EMERGENCY else self.reserved))
                floor = 0.0 if lane is Lane.EMERGENCY else self.reserved
                self._refill()
                delay_s = max(0.0, (floor + weight - self.tokens) / self.rate_per_s, self.banned_until_s - self.now_s())
                self._timer = True
                self.later(delay_s + 1e-4, self._serve)
                return
