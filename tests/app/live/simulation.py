"""Simulated trading: hours of a session's lives on the venue in a box, in a storm drawn from a seed, with an oracle that judges every moment of it."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from tests.app.live.oracle import Oracle
from tests.app.live.rig import Churner, assert_agrees, setup_on
from tests.app.live.storm import Life, Storm, draw
from titan_core.app.live.entries import entry_codec
from titan_core.app.live.playback import compare, processes
from titan_core.app.live.session import Session
from titan_core.app.live.setup import Setup
from titan_core.brain.limits import BrainLimits
from titan_core.engine.heard import Wish
from titan_core.engine.phases import PhaseBinding
from titan_core.errors import ConfigError, TitanError
from titan_core.feed.recorder import make_tape
from titan_core.journal.failures import JournalError
from titan_core.journal.memory import MemoryDisk
from titan_core.model.ids import VenueId
from titan_core.model.units import S
from titan_core.simulator.box import Box
from titan_core.simulator.faults import FaultKind, Rule
from titan_core.simulator.virtual_loop import run_virtual
from titan_core.tape.store import open_tape
from titan_core.testing.phases import make_phase, named

TICKS_PER_DAY = 100_000
QUIET_S = 240.0
STOP_WITHIN_S = 300.0


@frozen
class Report:
    """What one seed came to."""

    seed: int
    hours: float
    trace: str
    breaks: tuple[str, ...]
    counts: dict[str, int]


class Trader(Churner):
    """Trades at random sizes up to `most_lots`."""

    most_lots = 12

    def act(self, market: Any, timer: Any) -> None:
        if market.perp.quote() is not None:
            super().act(market, timer)


def trader(storm: Storm, life: int) -> list[PhaseBinding]:
    traits = {"seed": 1_000 * storm.seed + life, "period_s": storm.period_s, "most_lots": storm.most_lots}
    return [make_phase("churner", 200, None, strategy=lambda: named(Trader, "churn", **traits)(), leverage=(1, 15))]


class Simulation:
    """One box, one disk, many processes."""

    def __init__(self, storm: Storm, say: Callable[[str], None] = lambda text: None, recordings: Path | None = None) -> None:
        """With `recordings`, an empty folder, every process is recorded and played back at the end."""
        self.storm, self._say, self._recordings = storm, say, recordings
        self.box = Box(storm.seed, balance_usdt=storm.balance, ticks_per_day=TICKS_PER_DAY, faults=storm.rules)
        slow = random.Random(f"disk:{storm.seed}")
        self.disk = MemoryDisk(sync_s=lambda: slow.uniform(*storm.sync_s))
        self.oracle = Oracle(self.box, self.disk)
        self.step_ns = 0
        self.delisted = any(rule.kind is FaultKind.DELISTING for rule in storm.rules)
        self.counts: dict[str, int] = {}

    def run(self) -> Report:
        """Live through all lives, then through a quiet one at whose end everything must agree."""
        storm, start = self.storm, self.box.start_ns
        for number, life in enumerate(storm.lives):
            if (self.box.now_ns() - start) / S >= storm.seconds or self.oracle.breaks:
                break
            self._live(life, number)
            if life.pause_s:
                self.box.advance(self.box.now_ns() + int(life.pause_s * S))
        struck = {f"fault {active.rule.kind}": active.hits for active in self.box.faults.rules if active.hits}
        self.box.faults.remove()
        if not self.oracle.breaks and not self.delisted:
            self._end_quietly(len(storm.lives))
        if self._recordings is not None:
            self._play_back(self._recordings)
        self.oracle.paper.catch_up()
        counts = self.counts | self.oracle.paper.counts | struck
        return Report(storm.seed, storm.seconds / 3_600, self.oracle.trace(), tuple(self.oracle.breaks), counts)

    # -- one process ------------------------------------------------------------------------------------------------
    def _setup(self, number: int) -> Setup:
        recording = self._recordings / f"life-{number}" if self._recordings is not None else None
        storm = self.storm
        setup = setup_on(self.box, self.disk, trader(storm, number), seed=storm.seed, recording=recording, snapshot_every=storm.snapshot_every)
        return evolve(setup, clock=lambda: self.box.now_ns() + self.step_ns, steady=self.box.now_ns)

    def _live(self, life: Life, number: int) -> None:
        self._run(number, lambda session, running: self._until_its_end(life, session, running))

    def _run(self, number: int, ending: Callable[[Session, "asyncio.Task[str]"], Any]) -> None:
        async def main() -> None:
            session = self.oracle.running = Session(self._setup(number), lambda text: self._tell(number, text))
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: self.oracle.breaks.append(f"unhandled: {context.get('message')} {context.get('exception')!r}"))
            running = loop.create_task(session.run())
            watching = loop.create_task(self._watch(session))
            try:
                await ending(session, running)
            finally:
                watching.cancel()
                running.cancel()
                await asyncio.gather(watching, running, return_exceptions=True)

        self.disk.full = False
        try:
            run_virtual(main(), self.box.clock, self.box)  # type: ignore[arg-type]
        except JournalError as error:
            if not self.disk.full:
                self.oracle.breaks.append(f"process {number} ended with {error!r}")
            self._count("ended on a full disk")
        except ConfigError as error:
            if not self.delisted:
                self.oracle.breaks.append(f"process {number} ended with {error!r}")
        except (TitanError, AssertionError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            self.oracle.breaks.append(f"process {number} ended with {type(error).__name__}: {error}")
        self._count("lives")

    async def _watch(self, session: Session) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.oracle.look(session, 1.0)

    async def _until_its_end(self, life: Life, session: Session, running: "asyncio.Task[str]") -> None:
        loop = asyncio.get_running_loop()
        operator = loop.create_task(self._operate(life, session))
        try:
            await asyncio.wait({running}, timeout=life.seconds)
            if operator.done():
                operator.result()
            if running.done():
                running.result()
                raise AssertionError("the session ended by itself")
            if life.end != "kill" and self._asked_to_stop(session, flatten=life.end == "stop_flat"):
                await asyncio.wait({running}, timeout=STOP_WITHIN_S)
            if running.done():
                running.result()
                self._count(life.end)
            else:
                self._count("kill")
                if session.has_journal:
                    session.journal.crash(life.kept)  # type: ignore[attr-defined]
        finally:
            operator.cancel()

    def _asked_to_stop(self, session: Session, *, flatten: bool) -> bool:
        try:
            session.begin_stop("the scene is over", flatten=flatten)
        except TitanError:
            return False
        return True

    async def _operate(self, life: Life, session: Session) -> None:
        loop = asyncio.get_running_loop()
        began, steps = loop.time(), iter(life.steps_s)
        for at_s, wish in life.wishes:
            await asyncio.sleep(max(0.0, at_s - (loop.time() - began)))
            if wish == "clock":
                self.step_ns = int(next(steps) * S)
                self._count("clock set")
            elif wish == "freeze":
                self.box.advance(self.box.now_ns() + int(abs(next(steps)) * 10 * S))
                self._count("froze")
            elif wish == "full":
                self.disk.full = True
                loop.call_later(20.0, self._make_room)
                self._count("disk full")
            elif session.stage == "running":
                session.ask(Wish(wish), "the operator's wish")
                self._count(wish)

    def _make_room(self) -> None:
        self.disk.full = False

    # -- the end ----------------------------------------------------------------------------------------------------
    def _end_quietly(self, number: int) -> None:
        async def ending(session: Session, running: "asyncio.Task[str]") -> None:
            await asyncio.wait({running}, timeout=QUIET_S)
            if running.done():
                running.result()
                raise AssertionError("the session ended by itself")
            if session.stage != "running":
                raise AssertionError(f"after {QUIET_S:.0f} quiet seconds the session is still {session.stage}")
            configuration = session.governor.machine.configuration
            if configuration.is_in("emergency") and not configuration.is_in("emergency.locked"):
                raise AssertionError(f"after {QUIET_S:.0f} quiet seconds the emergency is still in {configuration}")
            if configuration.is_in("emergency.locked"):
                refusal = session.ask(Wish.RESUME, "the end")
                assert not refusal, refusal
                await asyncio.sleep(60)
            session.begin_stop("the end")
            await asyncio.wait({running}, timeout=STOP_WITHIN_S)
            assert running.done(), "the session did not stop"
            running.result()
            assert_agrees(self.box, session)

        self._run(number, ending)

    def _play_back(self, folder: Path) -> None:
        """Play every process back from its recording and the words in the journal: the decisions must be the same."""
        codec = entry_codec()
        for process in processes(codec.decode(payload) for _, payload in self.disk.entries):
            name = process.started.recording
            try:
                make_tape(folder / name, folder / name / "tape")
                bindings = trader(self.storm, int(name.removeprefix("life-")))
                found = compare(process, open_tape(folder / name / "tape"), bindings, BrainLimits(), frozenset({VenueId("bybit-linear")}))
            except TitanError:  # it ended before there was a row
                self._count("not recorded")
                continue
            self._count("played back")
            tail_lost = process.ended is None and found.difference is not None and found.difference[1] is None  # the kill took the last moments, not the rows
            if not found.is_equal and not tail_lost:
                self.oracle.breaks.append(f"process {process.started.boot} decides otherwise when it is played back: {found.difference}")

    def _tell(self, number: int, text: str) -> None:
        self._say(f"{(self.box.now_ns() - self.box.start_ns) / S:10.3f} {number:3d} {text}")

    def _count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1


def simulate(
    seed: int,
    hours: float,
    *,
    keep: Callable[[Rule], bool] = lambda rule: True,
    say: Callable[[str], None] = lambda text: None,
    recordings: Path | None = None,
) -> Report:
    """Simulate the storm of a seed."""
    return Simulation(draw(seed, hours * 3_600, keep), say, recordings).run()
