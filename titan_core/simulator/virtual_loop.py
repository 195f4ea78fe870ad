"""An asyncio event loop whose time is virtual: when nothing is ready it jumps to the next timer, so hours of trading run in seconds.

A *world* may be attached (the box): before the loop jumps over a span of time the world lives through it, event by event, and the jump ends early at
the first event that wakes somebody. Where an event only sets a timer, such as a frame that arrives after a latency, the jump ends there too, and the timer
is met at its time. Work in threads takes no virtual time: the clock stands still until it is done.
"""

import asyncio
import math
import selectors
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context
from typing import Any, Protocol, TypeVar

from titan_core.errors import TitanError
from titan_core.model.units import D, S
from titan_core.simulator.clock import VirtualClock

T = TypeVar("T")
Selected = list[tuple[selectors.SelectorKey, int]]
"""What a selector has found ready."""

PATIENCE_NS = 2 * D
"""How much virtual time may pass without anybody being woken before the loop says that it is stuck."""
THREAD_WAIT_S = 60.0


class World(Protocol):
    """Something that has events of its own in virtual time."""

    def next_ns(self) -> int | None:
        """Return when the next event happens, None where there is none."""
        ...

    def advance(self, to_ns: int, interrupted: Callable[[], int]) -> None:
        """Live through the events up to and including `to_ns`, or until `interrupted` says yes, and leave the clock at the time reached."""
        ...


class LoopStuck(TitanError):
    """Everybody waits and nothing is going to happen; the program under test must be repaired."""


class WorldLoop(asyncio.SelectorEventLoop):
    """An event loop whose `time()` is a clock's, counted from the loop's creation, and that lets a world live while it waits."""

    def __init__(self, clock: VirtualClock, world: World | None = None) -> None:
        self.clock, self.world = clock, world
        self._origin_ns = clock.now_ns()
        self._nearest = math.inf
        super().__init__(_AskingSelector(self))

    def time(self) -> float:
        """Return seconds of the clock since the loop was made."""
        return (self.clock.now_ns() - self._origin_ns) / S

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.TimerHandle:  # type: ignore[override]  # typeshed uses a TypeVarTuple
        """Call at a time of the loop; where the world is living towards a later one it stops for this timer."""
        self._nearest = min(self._nearest, when)
        return super().call_at(when, callback, *args, context=context)

    def timer_ns(self) -> int:
        """Return the clock's time of the next timer: always the same, however late it is asked for. There must be one."""
        when: float = self._scheduled[0].when()  # type: ignore[attr-defined]  # the heap of CPython's loop, since 3.4
        since = round(when * S)
        if since / S < when:  # a timer that finds itself too early by a fraction of a nanosecond would be set again for ever
            since += 1
        return max(self.clock.now_ns(), self._origin_ns + since)

    def wait(self, real: selectors.BaseSelector, timeout_s: float | None) -> Selected:
        """Let time pass until something is ready or `timeout_s` is over (None: there is no timer), and return what the real selector has found."""
        raise NotImplementedError

    def live(self, to_ns: int, interrupted: Callable[[], bool] = bool) -> bool:
        """Let the world live until a time; return whether it has woken somebody or somebody has set a timer for before that time."""
        self._nearest, ready = math.inf, self._ready.__len__  # type: ignore[attr-defined]  # what CPython's loop has to run, since 3.4
        if self.world is None:
            self.clock.set(to_ns)
            return False
        end, had = (to_ns - self._origin_ns) / S, ready()
        self.world.advance(to_ns, lambda: ready() > had or self._nearest < end or interrupted())
        return bool(ready() > had or self._nearest < end)


class VirtualLoop(WorldLoop):
    """The event loop that jumps."""

    def __init__(self, clock: VirtualClock, world: World | None = None) -> None:
        self.threads = 0
        super().__init__(clock, world)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]  # typeshed uses a TypeVarTuple
        """Run in a thread; virtual time stands still meanwhile."""
        future = super().run_in_executor(executor, func, *args)
        self.threads += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _future: Any) -> None:
        self.threads -= 1

    async def shutdown_default_executor(self, *args: Any, **options: Any) -> None:
        """End the threads; virtual time stands still meanwhile."""
        self.threads += 1
        try:
            await super().shutdown_default_executor(*args, **options)
        finally:
            self.threads -= 1

    def wait(self, real: selectors.BaseSelector, timeout_s: float | None) -> Selected:
        """Ask the real selector without waiting, then let virtual time pass."""
        if timeout_s is not None and timeout_s <= 0:
            return real.select(0)
        events = real.select(THREAD_WAIT_S if self.threads else 0)
        if not events and not self.threads:
            self.jump(timeout_s)
        return events

    def jump(self, timeout_s: float | None) -> None:
        """Let time pass until something is ready or `timeout_s` is over (None: there is no timer). Raises LoopStuck where nothing can happen."""
        woken = self.live(self.clock.now_ns() + PATIENCE_NS if timeout_s is None else self.timer_ns())
        if timeout_s is None and not woken:
            raise LoopStuck("everybody waits, no timer is set and the world wakes nobody; something awaited a future that is never resolved")


class _AskingSelector(selectors.BaseSelector):
    """Registers with the real selector and asks the loop how to wait."""

    def __init__(self, loop: WorldLoop) -> None:
        self._real = selectors.DefaultSelector()
        self._loop = loop

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()

    def select(self, timeout: float | None = None) -> Selected:
        return self._loop.wait(self._real, timeout)


def run_virtual(main: Coroutine[Any, Any, T], clock: VirtualClock, world: World | None = None) -> T:
    """Run a coroutine to its end on a virtual loop and return its result, as `asyncio.run` does on the real one."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock, world)) as runner:
        return runner.run(main)
