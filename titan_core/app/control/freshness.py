"""Whether a message is new: recent, and never seen before."""

from collections import deque
from collections.abc import Callable

from titan_core.model.units import S

MAX_AGE_NS = 30 * S
AHEAD_NS = S
"""How far a sender's clock may be ahead: it is the same clock, but it may have been set back a little in between."""
KEEP_NS = MAX_AGE_NS + AHEAD_NS
MAX_KEPT = 65_536


class Freshness:
    """Remembers the nonces of the messages that could still be taken for recent.

    A nonce is forgotten once it is old by both clocks, so that a step of the wall clock brings no old message back. Where there are too many, the oldest go
    first, and what is not newer than those is refused: a flood cannot keep a new message out.
    """

    def __init__(self, clock: Callable[[], int], monotonic: Callable[[], int]) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._nonces: set[str] = set()
        self._kept: deque[tuple[int, int, str]] = deque()
        self._floor = 0

    def problem(self, ts_ns: int, nonce: str) -> str:
        """Say why a message is not taken; empty where it is, and then never again. Call it with what was authenticated only."""
        now, since = self._clock(), self._monotonic()
        self._forget(now, since)
        if ts_ns > now + AHEAD_NS:
            return f"the message is dated {(ts_ns - now) / S:,.1f} s in the future; has the clock been set?"
        if ts_ns < now - MAX_AGE_NS:
            return f"the message is {(now - ts_ns) / S:,.1f} s old, and {MAX_AGE_NS // S} s are allowed; send it anew"
        if nonce in self._nonces or ts_ns <= self._floor:
            return "the message was sent before; a command is taken once"
        if len(self._kept) == MAX_KEPT:
            self._drop_oldest()
        self._nonces.add(nonce)
        self._kept.append((ts_ns, since, nonce))
        return ""

    def _forget(self, now: int, since: int) -> None:
        while self._kept and self._kept[0][0] < now - KEEP_NS and self._kept[0][1] < since - KEEP_NS:
            self._nonces.discard(self._kept.popleft()[2])

    def _drop_oldest(self) -> None:
        ts_ns, _, nonce = self._kept.popleft()
        self._nonces.discard(nonce)
        self._floor = max(self._floor, ts_ns)
