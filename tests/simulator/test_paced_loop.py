"""An event loop on which the market keeps a pace, beside what is real."""

import asyncio
import hashlib
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.simulator.builders import PERP, Script, box_of, order, placed
from tests.simulator.test_box import Trader
from titan_core.errors import TitanError, UsageError
from titan_core.model.units import MS, D, H, S
from titan_core.simulator.box import Box
from titan_core.simulator.clock import RealClock, VirtualClock
from titan_core.simulator.listings import Role
from titan_core.simulator.paced_loop import PATIENCE_NS, PacedLoop, run_paced
from titan_core.simulator.virtual_loop import Selected, run_virtual


class ScriptedWall:
    """A computer's clock that moves when somebody waits for it, or when a test says that time has been used."""

    def __init__(self) -> None:
        self.now = 5_000 * S
        self.waits = 0

    def now_ns(self) -> int:
        return self.now

    def wait(self, selector: selectors.BaseSelector, seconds: float | None) -> Selected:
        self.waits += 1
        found = selector.select(1 if seconds is None else 0)
        if not found and seconds:
            self.now += -int(-seconds * S // 1)
        return found


class Ticker:
    """A world with an event every tenth of a second; it keeps their times."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock, self.begin, self.seen = clock, clock.now_ns(), list[int]()
        self.calls: dict[int, Callable[[], Any]] = {}

    def next_ns(self) -> int:
        return self.begin + (len(self.seen) + 1) * 100 * MS

    def advance(self, to_ns: int, interrupted: Callable[[], int]) -> None:
        while self.next_ns() <= to_ns:
            at = self.next_ns()
            self.clock.set(at)
            self.seen.append(at)
            self.calls.get(len(self.seen), lambda: None)()
            if interrupted():
                return
        self.clock.set(to_ns)


def loop_of(wall: ScriptedWall, speed: float = 60.0, world: bool = True) -> tuple[PacedLoop, Ticker]:
    clock = VirtualClock(1_700_000_000 * S)
    ticker = Ticker(clock)
    return PacedLoop(clock, ticker if world else None, speed, wall), ticker


def run(loop: PacedLoop, main: Any) -> Any:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)


def paced() -> PacedLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, PacedLoop)
    return loop


def test_a_minute_of_the_market_takes_a_second_at_sixty_times_its_speed() -> None:
    wall = ScriptedWall()
    loop, ticker = loop_of(wall)
    begin, market = wall.now, loop.clock.now_ns()

    async def main() -> float:
        await asyncio.sleep(60)
        assert loop.time() == (loop.clock.now_ns() - market) / S
        return loop.time()

    assert run(loop, main()) == pytest.approx(60, abs=1e-8)
    assert wall.now - begin == pytest.approx(S, abs=2 * MS)
    assert ticker.seen == [market + (each + 1) * 100 * MS for each in range(600)]


def test_without_a_world_only_time_passes() -> None:
    wall = ScriptedWall()
    loop, _ = loop_of(wall, 600.0, world=False)
    begin = wall.now
    run(loop, asyncio.sleep(60))
    assert wall.now - begin == pytest.approx(S / 10, abs=MS)


def test_whoever_the_world_wakes_is_woken_at_the_event_and_timers_are_met_at_their_time() -> None:
    wall = ScriptedWall()
    loop, ticker = loop_of(wall)
    begin, told = loop.clock.now_ns(), list[tuple[str, int]]()

    async def main() -> None:
        woken = asyncio.Event()
        ticker.calls[15] = woken.set
        ticker.calls[17] = lambda: loop.call_later(0.03, lambda: told.append(("late", loop.clock.now_ns() - begin)))
        loop.call_later(1.55, lambda: told.append(("timer", loop.clock.now_ns() - begin)))
        await woken.wait()
        told.append(("woken", loop.clock.now_ns() - begin))
        await asyncio.sleep(3)

    run(loop, main())
    assert [name for name, _ in told] == ["woken", "timer", "late"]
    assert [at for _, at in told] == pytest.approx([1_500 * MS, 1_550 * MS, 1_730 * MS], abs=2)


def test_the_speed_may_change_on_the_way() -> None:
    wall = ScriptedWall()
    loop, _ = loop_of(wall)
    begin = wall.now

    async def main() -> None:
        await asyncio.sleep(60)
        loop.speed = 600
        await asyncio.sleep(600)
        loop.speed = 1
        await asyncio.sleep(1)

    run(loop, main())
    assert wall.now - begin == pytest.approx(3 * S, abs=5 * MS) and loop.speed == 1
    with pytest.raises(UsageError, match="speed 0 is out of range"):
        loop.speed = 0


def test_what_holds_the_loop_up_makes_the_market_late_and_nothing_is_skipped() -> None:
    wall = ScriptedWall()
    loop, ticker = loop_of(wall)
    begin, market = wall.now, loop.clock.now_ns()

    async def main() -> list[float]:
        await asyncio.sleep(60)
        wall.now += S  # something computes
        lags = [loop.lag_s]
        await asyncio.sleep(0.05)
        lags.append(loop.lag_s)
        await asyncio.sleep(120)
        return [*lags, loop.lag_s]

    lags = run(loop, main())
    assert lags == pytest.approx([60, 59.95, 0], abs=0.1) and loop.slipped_s == 0
    assert wall.now - begin == pytest.approx(3 * S, abs=5 * MS)
    assert ticker.seen == [market + (each + 1) * 100 * MS for each in range(1_800)]


def test_what_cannot_be_made_up_for_happens_later_and_whole() -> None:
    wall = ScriptedWall()
    loop, ticker = loop_of(wall)
    begin, market = wall.now, loop.clock.now_ns()

    async def main() -> None:
        wall.now += 3_600 * S  # the computer slept
        await asyncio.sleep(600)

    run(loop, main())
    assert loop.slipped_s == pytest.approx((3_600 * S - PATIENCE_NS) * 60 / S)
    assert wall.now - begin == pytest.approx(3_600 * S + 10 * S - PATIENCE_NS, abs=5 * MS)
    assert ticker.seen == [market + (each + 1) * 100 * MS for each in range(6_000)]


def test_a_program_that_is_never_idle_does_not_stop_the_market() -> None:
    wall = ScriptedWall()
    loop, ticker = loop_of(wall)

    async def main() -> None:
        while len(ticker.seen) < 50:
            wall.now += MS
            await asyncio.sleep(0)
        assert loop.lag_s < 2

    run(loop, asyncio.wait_for(main(), 100))


def test_a_failing_market_stands_still_and_ends_the_program() -> None:
    box, cleaned = box_of(Script().quote(60_000.0).wait(1).quote(60_001.0)), list[str]()

    def on_quote(role: Role) -> None:
        raise TitanError("the disk is full")

    box._quoted.append(on_quote)

    async def main() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            before = len(cleaned)
            await asyncio.sleep(1)  # a program that tidies up still has time that passes
            cleaned.append("tidied" if before == 0 else "twice")

    with pytest.raises(TitanError, match="the disk is full"):
        run_paced(main(), box, wall=ScriptedWall())
    assert cleaned == ["tidied"]


def test_a_paced_market_is_the_same_as_one_that_jumps() -> None:
    jumping, pacing = (Box(11, ticks_per_day=200_000) for _ in range(2))
    jumped = run_virtual(Trader(jumping).run(1_200), jumping.clock, jumping)  # type: ignore[arg-type]
    assert run_paced(Trader(pacing).run(1_200), pacing, 60.0, ScriptedWall()) == jumped
    assert pacing.trace() == jumping.trace() and pacing.now_ns() == jumping.now_ns()


def test_days_that_are_made_beforehand_are_the_same_days() -> None:
    def market(ahead: bool) -> str:
        box, digest = Box(4, ticks_per_day=100_000), hashlib.blake2b()
        box._quoted.append(lambda role: digest.update(repr((role, box.market.books[role].bid, box.now_ns())).encode()))
        if ahead:
            box.look_ahead()
            box.look_ahead()
        box.advance(box.start_ns + 3 * D)
        return digest.hexdigest()

    assert market(True) == market(False)


# -- what is real -----------------------------------------------------------------------------------------------------
def quiet_box() -> Box:
    """Return a box whose market sleeps for a day."""
    return box_of(Script().quote(60_000.0))


def later(act: Callable[[], object]) -> None:
    """Do something in a moment, in a thread."""
    time.sleep(0.02)
    act()


def test_pipes_sockets_and_processes_wake_the_loop_at_once() -> None:
    async def main() -> list[float]:
        loop, took = paced(), []
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        for _ in range(5):
            sent = time.monotonic()
            await asyncio.to_thread(later, lambda: theirs.send(b"x"))
            await reader.readexactly(1)
            took.append(time.monotonic() - sent)
        writer.close()
        theirs.close()
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print('made')", stdout=asyncio.subprocess.PIPE)
        told, _ = await asyncio.wait_for(process.communicate(), loop.real(20))
        assert told == b"made\n" and process.returncode == 0
        return took

    assert max(run_paced(main(), quiet_box(), 10_000.0)) < 0.1


def test_the_market_goes_on_at_its_pace_beside_real_events() -> None:
    box = Box(1, ticks_per_day=200_000)

    async def main() -> None:
        loop, begin = paced(), time.monotonic()
        for _ in range(20):
            await asyncio.to_thread(time.sleep, 0.01)
            assert loop.clock.now_ns() - box.start_ns == pytest.approx((time.monotonic() - begin) * 60 * S, abs=3 * S)

    run_paced(main(), box)


def test_signals_are_handled() -> None:
    async def main() -> float:
        loop, asked = paced(), asyncio.Event()
        loop.add_signal_handler(signal.SIGINT, asked.set)
        loop.add_signal_handler(signal.SIGTERM, asked.set)
        began = time.monotonic()
        for name in (signal.SIGINT, signal.SIGTERM):
            asked.clear()
            await asyncio.to_thread(os.kill, os.getpid(), name)
            await asked.wait()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(name)
        return time.monotonic() - began

    assert run_paced(main(), quiet_box()) < 1


def test_an_interrupt_without_a_handler_cancels_the_program() -> None:
    tidied = []

    async def main() -> None:
        asyncio.get_running_loop().run_in_executor(None, later, lambda: os.kill(os.getpid(), signal.SIGINT))
        try:
            await asyncio.sleep(1_000_000)
        finally:
            tidied.append(True)

    with pytest.raises(KeyboardInterrupt):
        run_paced(main(), quiet_box())
    assert tidied == [True]


def test_what_cannot_be_paced() -> None:
    script = Script().quote(60_000.0)
    for box, speed, message in ((box_of(script, clock=RealClock(0)), 60.0, "follows a clock of its own"), (box_of(script), -1.0, "speed -1 is out of range")):
        with pytest.raises(UsageError, match=message):
            run_paced(asyncio.sleep(1), box, speed)


def test_an_hour_beside_the_market_costs_little(capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]) -> None:
    box = Box(1, start_ns=Box(1, ticks_per_day=200_000).start_ns + 4 * H)
    placed(box.exchanges["bybit"], order(PERP, lots=10))

    async def main() -> float:
        before = time.process_time()
        await asyncio.sleep(paced().real(3))
        return time.process_time() - before

    used = run_paced(main(), box)
    hours = (box.now_ns() - box.start_ns) / H
    with capsys.disabled():
        print(f"\nthe default market at 60x: {used / 3:.1%} of a core, {used / hours:.2f} s of CPU per hour of the market")
    record_property("CPU seconds per hour of the market", used / hours)
    assert hours == pytest.approx(0.05, rel=0.05) and used < 1.0
