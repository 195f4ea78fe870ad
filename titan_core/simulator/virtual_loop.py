"""An asyncio event loop whose time is virtual: when nothing is ready it jumps to the next timer, so hours of trading run in seconds.

A *world* may be attached (the box): before the loop jumps over a span of time the world lives through it, event by event, and the jump ends early at
the first event that wakes somebody. Work in threads takes no virtual time: the clock stands still until it is done.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeVar

from titan_core.errors import TitanError
from titan_core.model.units import D, S
from titan_core.simulator.clock import VirtualClock

T = TypeVar("T")

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


class VirtualLoop(asyncio.SelectorEventLoop):
    """The event loop. Its `time()` is the clock's, counted from the loop's creation."""

    def __init__(self, clock: VirtualClock, world: World | None = None) -> None:
        self.clock, self.world = clock, world
        self._origin_ns = clock.now_ns()
        self.threads = 0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return (self.clock.now_ns() - self._origin_ns) / S

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

    def jump(self, timeout_s: float | None) -> None:
        """Let time pass until something is ready or `timeout_s` is over (None: there is no timer). Raises LoopStuck where nothing can happen."""
        now = self.clock.now_ns()
        target = now + PATIENCE_NS if timeout_s is None else now + max(1, -int(-timeout_s * S // 1))
        if self.world is not None:
            ready = self._ready.__len__  # type: ignore[attr-defined]  # what CPython's loop has to run, since 3.4
            self.world.advance(target, ready)
            if ready():
                return
        if timeout_s is None:
            raise LoopStuck("everybody waits, no timer is set and the world wakes nobody; something awaited a future that is never resolved")
        self.clock.set(target)


class _JumpingSelector(selectors.BaseSelector):
    """Asks the real selector without waiting, then lets virtual time pass."""

    def __init__(self, loop: VirtualLoop) -> None:
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

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return self._real.select(0)
        events = self._real.select(THREAD_WAIT_S if self._loop.threads else 0)
        if events or self._loop.threads:
            return events
        self._loop.jump(timeout)
        return []


def run_virtual(main: Coroutine[Any, Any, T], clock: VirtualClock, world: World | None = None) -> T:
    """Run a coroutine to its end on a virtual loop and return its result, as `asyncio.run` does on the real one."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock, world)) as runner:
        return runner.run(main)
