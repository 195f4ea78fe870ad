"""What can be armed: conditions and timers. They are small mutable objects, since a run makes hundreds of thousands of them."""

from typing import Any

from titan_core.model.units import INT32_MIN, NEVER

LEVEL, TRAIL, FLOW, BOUND, REST, WHERE = range(6)
"""Kinds of armed things: a level of a column, a trailing stop, rolling order flow, a bound on a weighted sum of prices, a resting limit order, a predicate."""


class Condition:
    """One-shot: it fires at the first later event that meets it and is then spent. Make it with an InstrumentView, arm it with Market.arm.

    `rank` is the stream it watches; `column` the searched column of that stream. `seq`, `callback`, `payload` and `owner` are set when it is armed;
    `state` and `version` belong to the engine that armed it.
    """

    seq: int
    callback: Any
    payload: Any
    owner: Any
    state: Any

    __slots__ = ("alive", "callback", "column", "extra", "kind", "level", "owner", "payload", "rank", "rising", "seq", "state", "until_ns", "version", "window")

    def __init__(self, kind: int, rank: int, column: int, rising: bool, level: int, window: int = 0, until_ns: int = NEVER) -> None:
        """Describe the condition; `window` is the look-back in ns of a flow or the distance in ticks of a trailing stop."""
        self.kind = kind
        self.rank = rank
        self.column = column
        self.rising = rising
        self.level = level
        self.window = window
        self.until_ns = until_ns
        self.alive = False
        self.version = 0
        self.extra: Any = None

    def __repr__(self) -> str:
        name = ("level", "trail", "flow", "bound", "rest", "where")[self.kind]
        return f"<{name} rank={self.rank} column={self.column} {'>=' if self.rising else '<='} {self.level} {'armed' if self.alive else 'spent'}>"


class Timer:
    """A call at a time, before any market event of that time; `period` > 0 repeats it."""

    seq: int
    callback: Any
    payload: Any
    owner: Any
    state: Any

    __slots__ = ("alive", "callback", "owner", "payload", "period")

    def __init__(self, callback: Any, payload: Any, owner: Any, period: int = 0) -> None:
        """Describe the call; the engine's heap knows the time."""
        self.callback = callback
        self.payload = payload
        self.owner = owner
        self.period = period
        self.alive = True


def any_event(rank: int) -> Condition:
    """Make a condition that the next event of a stream meets, whatever its value."""
    return Condition(LEVEL, rank, 0, True, INT32_MIN)


class Bound:
    """A watch on `const + Σ weight × price`, evaluated at each event of the price streams of the instruments in `weights`.

    Fires when the sum is <= low, >= high, or `bps` below its running peak. Sums are twice the money they stand for, so that a mid needs no half.
    """

    __slots__ = ("bps", "const", "high", "low", "name", "peak", "strict", "weights")

    def __init__(
        self, name: str, weights: dict[int, int], const: int, *, low: int = -NEVER, high: int = NEVER, peak: int = -NEVER, bps: int = 0, strict: int = 0
    ) -> None:
        """Weights are per instrument position, in doubled money per tick of the doubled price: see Layout.value_stream."""
        self.name = name
        self.weights = weights
        self.const = const
        self.low = low
        self.high = high
        self.peak = peak
        self.bps = bps
        self.strict = strict
