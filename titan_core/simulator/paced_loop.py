"""An asyncio event loop on which the market runs so many times as fast as the computer's clock, with real files, pipes, sockets, signals and threads beside it.

A second of the loop is a second of the market: timers are met at their exact time of the market, and the world (the box) lives through its events in order
while the loop waits. Real events wake the loop at once. What holds the loop up makes the market late: it catches up as fast as it can and skips nothing.
"""

import asyncio
import math
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from titan_core.errors import UsageError
from titan_core.model.units import MS, S
from titan_core.simulator.box import Box
from titan_core.simulator.clock import VirtualClock, check_speed
from titan_core.simulator.virtual_loop import Selected, World, WorldLoop

T = TypeVar("T")

SLICE_NS = 5 * MS
"""How long (by the computer) the world may live before real events are looked for."""
BUSY_NS = 10 * MS
"""A program that is never idle for this long (by the computer) shares the loop with the market."""
PATIENCE_NS = 2 * S
"""By how much of the computer's time the market may be late; what is beyond that is given up: the market then happens later, whole."""


class Wall(Protocol):
    """The computer's time, and how to wait in it."""

    def now_ns(self) -> int:
        """Return a time that never goes back."""
        ...

    def wait(self, selector: selectors.BaseSelector, seconds: float | None) -> Selected:
        """Wait until something real happens, at most so long."""
        ...


class ComputersWall:
    """The computer's own clock."""

    def now_ns(self) -> int:
        """Return the monotonic time."""
        return time.monotonic_ns()

    def wait(self, selector: selectors.BaseSelector, seconds: float | None) -> Selected:
        """Wait in the system."""
        return selector.select(seconds)


class Pace:
    """Says what time of the market it should be."""

    def __init__(self, market_ns: int, wall_ns: int, speed: float) -> None:
        self.speed = check_speed(speed)
        self._market, self._wall = market_ns, wall_ns

    def due_ns(self, wall_ns: int) -> int:
        """Return the market's time that belongs to a time of the computer."""
        return self._market + int((wall_ns - self._wall) * self.speed)

    def change(self, wall_ns: int, speed: float) -> None:
        """Run at another speed from now on."""
        self.speed, self._market, self._wall = check_speed(speed), self.due_ns(wall_ns), wall_ns

    def delay(self, by_ns: int) -> None:
        """Let everything happen later by so much of the market's time."""
        self._market -= by_ns


class PacedLoop(WorldLoop):
    """The event loop. Not for a world that moves its clock by itself; the clock is moved by the world alone."""

    def __init__(self, clock: VirtualClock, world: World | None = None, speed: float = 1.0, wall: Wall | None = None) -> None:
        self._wall = wall or ComputersWall()
        self._pace = Pace(clock.now_ns(), self._wall.now_ns(), speed)
        self._lived_at = self._wall.now_ns()
        self.slipped_s = 0.0
        """Seconds of the market by which it happens later than its speed would have had it, because nobody could keep up."""
        self.failure: BaseException | None = None
        """Why the market stands still; the program is being cancelled then."""
        self.on_failure: Callable[[], object] = self.stop
        super().__init__(clock, world)

    @property
    def speed(self) -> float:
        """How many seconds of the market pass in one of the computer's. May be set at any time, in the loop's thread. Raises UsageError out of range."""
        return self._pace.speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self._pace.change(self._wall.now_ns(), speed)

    @property
    def lag_s(self) -> float:
        """By how many seconds of the market it is late now. Hardly above 0 while the computer keeps up."""
        return max(0, self._pace.due_ns(self._wall.now_ns()) - self.clock.now_ns()) / S

    def real(self, seconds: float) -> float:
        """Return the seconds of this loop that pass in `seconds` of the computer's: for time limits of what lies outside the market (a disk, a process)."""
        return seconds * self._pace.speed

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """End the threads; a time limit is meant in the computer's time."""
        if timeout is None:
            await super().shutdown_default_executor()
        else:
            await super().shutdown_default_executor(self.real(timeout))  # type: ignore[call-arg]  # since 3.12

    # -- waiting ------------------------------------------------------------------------------------------------
    def wait(self, real: selectors.BaseSelector, timeout_s: float | None) -> Selected:
        """Let the market live at its pace until somebody is woken, something real happens, or `timeout_s` of the market is over."""
        if timeout_s is not None and timeout_s <= 0:
            if self._wall.now_ns() - self._lived_at > BUSY_NS:
                self._keep_up()
            return real.select(0)
        target = None if timeout_s is None else self.timer_ns()
        pause: float | None = 0.0
        while True:
            events = self._wall.wait(real, pause)
            woken = self._live(target)
            if events or woken or (target is not None and self.clock.now_ns() >= target):
                return events
            pause = self._pause(target)

    def _live(self, target: int | None) -> bool:
        """Bring the market up to where it should be, for a slice of time; return whether somebody was woken or a timer set for before `target`."""
        now = self._lived_at = self._wall.now_ns()
        due = self._due_ns(now)
        limit = due if target is None or due < target else target
        if limit < self.clock.now_ns():  # at the same time there may be more events
            return False
        until, wall = now + SLICE_NS, self._wall.now_ns
        woken = self._advance(limit, lambda: wall() > until)
        return woken or self._nearest < (math.inf if target is None else (target - self._origin_ns) / S)

    def _advance(self, limit: int, interrupted: Callable[[], bool]) -> bool:
        try:
            return self.live(limit, interrupted)
        except Exception as failure:
            self.failure, self.world = failure, None
            self.call_soon(self.on_failure)
            return True

    def _due_ns(self, wall_ns: int) -> int:
        """Return where the market should be; what it cannot make up for is given up."""
        due, most = self._pace.due_ns(wall_ns), int(PATIENCE_NS * self._pace.speed)
        excess = due - self.clock.now_ns() - most
        if excess > 0:
            self._pace.delay(excess)
            self.slipped_s += excess / S
            due -= excess
        return due

    def _pause(self, target: int | None) -> float | None:
        """Return how long to wait, in the computer's time, for the next event or timer; None where there is neither."""
        following = self.world.next_ns() if self.world is not None else None
        if following is None or (target is not None and target < following):
            following = target
        if following is None:
            return None
        return max(0.0, (following - self._pace.due_ns(self._wall.now_ns())) / (self._pace.speed * S))

    def _keep_up(self) -> None:
        """Let the market live for a slice although the program has more to do, up to the next timer."""
        self._live(self.timer_ns() if self._scheduled else None)  # type: ignore[attr-defined]


def run_paced(main: Coroutine[Any, Any, T], box: Box, speed: float = 60.0, wall: Wall | None = None) -> T:
    """Run a coroutine to its end while the box's market runs `speed` times as fast as the computer's clock, and return its result.

    SIGINT cancels the coroutine as `asyncio.run` does, unless it has a handler of its own. Where the market fails (its file cannot be written) the coroutine
    is cancelled, the market stands still, and the failure is raised. Raises UsageError where the speed is out of range or the box has another's clock.
    """
    clock = box.clock
    if not isinstance(clock, VirtualClock):
        main.close()
        raise UsageError("the box follows a clock of its own; a paced loop moves the clock, so make the box without one")
    try:
        check_speed(speed)
    except UsageError:
        main.close()
        raise
    box.look_ahead()
    with asyncio.Runner(loop_factory=lambda: PacedLoop(clock, box, speed, wall)) as runner:
        return runner.run(_guarded(main))


async def _guarded(main: Coroutine[Any, Any, T]) -> T:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, PacedLoop)
    task = loop.create_task(main)
    loop.on_failure = task.cancel
    try:
        result = await task
    except asyncio.CancelledError:
        if loop.failure is not None:
            raise loop.failure from None
        raise
    if loop.failure is not None:
        raise loop.failure
    return result
