"""An event loop whose time is virtual."""

import asyncio
import time
from collections.abc import Callable

import pytest

from titan_core.model.units import H, S
from titan_core.simulator.clock import RealClock, VirtualClock
from titan_core.simulator.virtual_loop import LoopStuck, run_virtual


def test_hours_of_sleep_take_no_time() -> None:
    clock = VirtualClock(1_700_000_000 * S)

    async def main() -> float:
        await asyncio.gather(*(asyncio.sleep(3_600 * hours) for hours in range(1, 25)))
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert run_virtual(main(), clock) == pytest.approx(86_400)
    assert clock.now_ns() == 1_700_000_000 * S + 24 * H
    assert time.monotonic() - began < 2


def test_timers_run_in_order_of_time_at_their_time() -> None:
    clock, seen = VirtualClock(0), []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for delay in (0.3, 0.1, 0.2, 0.1000001):
            loop.call_later(delay, lambda delay=delay: seen.append((delay, clock.now_ns())))
        await asyncio.sleep(1)

    run_virtual(main(), clock)
    assert [delay for delay, _ in seen] == [0.1, 0.1000001, 0.2, 0.3]
    assert all(abs(at - delay * S) <= 2 for delay, at in seen)


def test_no_timer_is_early_by_a_fraction_of_a_nanosecond() -> None:
    async def main() -> None:
        loop, early = asyncio.get_running_loop(), list[float]()

        def look(due: float) -> None:
            if loop.time() < due:
                early.append(due)

        due = 0.0
        for _ in range(1_000):
            due += 0.001
            loop.call_at(due, look, due)
        await asyncio.sleep(1.1)
        assert early == []

    run_virtual(main(), VirtualClock(1_700_000_000 * S))


def test_a_time_limit_strikes_in_virtual_time() -> None:
    async def main() -> None:
        await asyncio.wait_for(asyncio.Event().wait(), 5)

    clock = VirtualClock(0)
    with pytest.raises(TimeoutError):
        run_virtual(main(), clock)
    assert clock.now_ns() == pytest.approx(5 * S, abs=10)


def test_waiting_for_what_never_comes_is_an_error_and_no_hang() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(LoopStuck, match="never resolved"):
        run_virtual(main(), VirtualClock(0))


def test_work_in_a_thread_takes_no_virtual_time() -> None:
    clock = VirtualClock(0)

    async def main() -> str:
        return await asyncio.to_thread(lambda: (time.sleep(0.05), "done")[1])

    assert run_virtual(main(), clock) == "done"
    assert clock.now_ns() == 0


class Ticker:
    """A world with an event every second; the third one wakes somebody."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock, self.wake = clock, asyncio.Event()

    def next_ns(self) -> int:
        return self.clock.now_ns() // S * S + S

    def advance(self, to_ns: int, interrupted: Callable[[], int]) -> None:
        while self.next_ns() <= to_ns:
            self.clock.set(self.next_ns())
            if self.clock.now_ns() == 3 * S:
                self.wake.set()
            if interrupted():
                return
        self.clock.set(to_ns)


def test_the_world_lives_through_a_jump_and_may_end_it() -> None:
    clock = VirtualClock(0)
    world = Ticker(clock)

    async def main() -> tuple[int, int]:
        await world.wake.wait()
        woken = clock.now_ns()
        await asyncio.sleep(10)
        return woken, clock.now_ns()

    assert run_virtual(main(), clock, world) == (3 * S, 13 * S)


def test_a_timer_that_the_world_sets_during_a_jump_is_met_at_its_time() -> None:
    clock, seen = VirtualClock(0), []

    class Sender(Ticker):
        def advance(self, to_ns: int, interrupted: Callable[[], int]) -> None:
            while self.next_ns() <= to_ns:
                self.clock.set(self.next_ns())
                sent = self.clock.now_ns()
                asyncio.get_running_loop().call_later(0.25, lambda sent=sent: seen.append(self.clock.now_ns() - sent))
                if interrupted():
                    return
            self.clock.set(to_ns)

    run_virtual(asyncio.sleep(10), clock, Sender(clock))
    assert seen[:9] == pytest.approx([S // 4] * 9, abs=2)


def test_a_real_clock_runs_at_its_speed() -> None:
    now = [0]
    clock = RealClock(100, 60.0, lambda: now[0])
    now[0] = 10
    assert clock.now_ns() == 700
