"""The emergency against the venue in a box: whatever sets it off and whatever fails on the way, it ends locked, with nothing held and nothing resting there."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from attrs import evolve

from tests.app.live.rig import assert_agrees, run_session, setup_on
from titan_core.app.live.session import Session
from titan_core.brain.limits import BrainLimits
from titan_core.engine.heard import Wish
from titan_core.engine.phases import PhaseBinding
from titan_core.journal.failures import JournalError
from titan_core.journal.memory import MemoryDisk
from titan_core.model.units import S
from titan_core.simulator.box import Box
from titan_core.simulator.faults import FaultKind, Rule
from titan_core.testing.phases import Hold, make_phase

ERRORS = Rule(kind=FaultKind.STATUS, venue="bybit", where="*", probability=0.3, status=502)
STEPS = ("cancelling_entries", "flattening", "verifying", "disabling", "locked")


class Holder(Hold):
    """Holds a position and has a further entry in the book, far from the market."""

    share = 3.0
    wait_ns = 1 * S
    stop_bps = 300
    again = True

    def buy(self, market: Any, timer: Any) -> None:
        super().buy(market, timer)
        bid = market.perp.quote()[0]
        market.enter(market.perp, 2, limit=bid - 2_000, stop=bid - 4_000)


def holder() -> list[PhaseBinding]:
    return [make_phase("holder", 200, None, strategy=Holder, leverage=(1, 10))]


class Scene:
    """One box and one disk, over several processes."""

    def __init__(self, seed: int = 1, *faults: Rule, limits: BrainLimits | None = None) -> None:
        self.box, self.disk, self.limits = Box(seed, balance_usdt=1_000, ticks_per_day=200_000, faults=faults), MemoryDisk(), limits

    def run(self, scene: Callable[[Session], Awaitable[None]]) -> Session:
        setup = setup_on(self.box, self.disk, holder())
        return run_session(self.box, setup if self.limits is None else evolve(setup, limits=self.limits), scene)

    @property
    def held(self) -> int:
        return sum(abs(position.lots) for position in self.box.exchanges["bybit"].account.positions.values())

    @property
    def resting(self) -> int:
        return len(self.box.exchanges["bybit"].account.open_orders)

    def now_s(self) -> float:
        return (self.box.now_ns() - self.box.start_ns) / S

    def fault_now(self, kind: FaultKind, where: str, seconds: float, **more: Any) -> None:
        """Let something fail from now on."""
        self.box.add_fault(Rule(kind=kind, venue="bybit", where=where, from_s=self.now_s(), to_s=self.now_s() + seconds, **more))


async def until(what: Callable[[], bool], within_s: float = 120.0) -> float:
    """Wait until something is true; return how long it took."""
    began = asyncio.get_running_loop().time()
    while not what():
        await asyncio.sleep(0.001)
        assert asyncio.get_running_loop().time() - began < within_s, "it did not come true"
    return asyncio.get_running_loop().time() - began


def step(session: Session) -> str:
    return session.governor.machine.configuration.mode.rpartition(".")[2]


async def in_position(session: Session) -> None:
    await until(lambda: any(session.engine.account.lots) and len(session.engine.venue.working) >= 1)


async def locked(scene: Scene, session: Session, within_s: float = 120.0) -> None:
    """Wait for the lock, then see that the venue is left and stays so."""
    await until(lambda: step(session) == "locked", within_s)
    for _ in range(20):
        assert (scene.held, scene.resting) == (0, 0)
        assert not session.governor.machine.gate_open
        await asyncio.sleep(1)


@pytest.mark.parametrize("faults", [(), (ERRORS,)], ids=["all well", "30 % errors"])
def test_the_operators_panic_leaves_the_venue_and_locks(faults: tuple[Rule, ...]) -> None:
    scene = Scene(1, *faults)

    async def panic(session: Session) -> None:
        await in_position(session)
        assert session.ask(Wish.PANIC, "a test") == ""
        assert not session.governor.machine.gate_open
        await locked(scene, session)

    session = scene.run(panic)
    scene.box.faults.remove()
    assert_agrees(scene.box, session)


def test_a_draw_down_beyond_the_emergency_level_leaves_the_venue_and_locks() -> None:
    scene = Scene(1, limits=BrainLimits(drawdown_warning_bps=5, drawdown_reduced_bps=10, drawdown_emergency_bps=40))

    async def wait(session: Session) -> None:
        await in_position(session)
        await until(lambda: session.governor.machine.configuration.is_in("emergency"), 3_600)
        await locked(scene, session)
        assert any("draw-down" in note.text for note in session.notes)

    assert_agrees(scene.box, scene.run(wait))


def test_a_venue_that_does_not_answer_for_thirty_seconds_is_left_when_it_answers() -> None:
    scene = Scene(1)

    async def silence(session: Session) -> None:
        await in_position(session)
        scene.fault_now(FaultKind.BLACK_HOLE, "/v5/private", 100)
        scene.fault_now(FaultKind.BLACK_HOLE, "/v5/trade", 100)
        scene.fault_now(FaultKind.DROP_REQUEST, "* /v5/[aop]*", 100)
        scene.fault_now(FaultKind.DROP_REQUEST, "* /v5/market/time", 100)
        took = await until(lambda: session.governor.machine.configuration.is_in("emergency"))
        assert 30 < took < 45, took
        assert scene.held
        await until(lambda: scene.now_s() > 100)
        await locked(scene, session)

    assert_agrees(scene.box, scene.run(silence))


def test_an_announced_maintenance_is_no_emergency() -> None:
    scene = Scene(1)

    async def maintenance(session: Session) -> None:
        await in_position(session)
        scene.fault_now(FaultKind.MAINTENANCE, "*", 100)
        session.engine.at_system(session.engine.now + S, lambda timer: None)
        await asyncio.sleep(110)
        assert not session.governor.machine.configuration.is_in("emergency")

    assert_agrees(scene.box, scene.run(maintenance))


@pytest.mark.parametrize("during", STEPS)
@pytest.mark.parametrize("kept", [0, 5], ids=["last words lost", "last words kept"])
def test_a_process_that_is_killed_in_the_middle_of_it_starts_into_it(during: str, kept: int) -> None:
    scene = Scene(STEPS.index(during) + 1, ERRORS)

    async def killed(session: Session) -> None:
        await in_position(session)
        session.ask(Wish.PANIC, "a test")
        await until(lambda: step(session) == during or STEPS.index(step(session)) > STEPS.index(during))
        session.journal.crash(kept)  # type: ignore[attr-defined]
        raise JournalError("killed")

    async def again(session: Session) -> None:
        if kept == 0 and not session.governor.machine.configuration.is_in("emergency"):
            assert during == "cancelling_entries"  # the wish itself was not on the disk yet
            return
        await locked(scene, session)

    with pytest.raises(JournalError):
        scene.run(killed)
    session = scene.run(again)
    scene.box.faults.remove()
    assert_agrees(scene.box, session)


def test_a_fill_under_the_lock_is_closed() -> None:
    scene = Scene(1)

    async def late(session: Session) -> None:
        await in_position(session)
        session.ask(Wish.PANIC, "a test")
        await locked(scene, session)
        scene.fault_now(FaultKind.MANUAL_TRADE, "*", 1, symbol="BTCUSDT", lots=5)
        await until(lambda: scene.held > 0, 5)
        assert await until(lambda: scene.held == 0, 10) < 5
        await locked(scene, session)

    assert_agrees(scene.box, scene.run(late))


def test_a_fill_under_the_lock_of_which_no_word_comes_is_closed() -> None:
    scene = Scene(1)

    async def late(session: Session) -> None:
        await in_position(session)
        session.ask(Wish.PANIC, "a test")
        await locked(scene, session)
        scene.fault_now(FaultKind.MUTE, "/v5/private*", 3_600)
        scene.fault_now(FaultKind.MANUAL_TRADE, "*", 1, symbol="BTCUSDT", lots=5)
        await until(lambda: scene.held > 0, 5)
        assert await until(lambda: scene.held == 0, 30) < 20
        await locked(scene, session)

    assert_agrees(scene.box, scene.run(late))


def test_resume_boots_again_and_a_restart_under_the_lock_stays_locked() -> None:
    scene = Scene(1)

    async def panic(session: Session) -> None:
        await in_position(session)
        session.ask(Wish.PANIC, "a test")
        await locked(scene, session)

    async def resume(session: Session) -> None:
        await asyncio.sleep(5)
        assert step(session) == "locked"
        assert session.ask(Wish.RESUME, "a test") == ""
        assert session.governor.machine.gate_open
        await in_position(session)

    scene.run(panic)
    assert_agrees(scene.box, scene.run(resume))


def test_resume_is_refused_before_the_emergency_has_ended() -> None:
    scene = Scene(1)

    async def panic(session: Session) -> None:
        await in_position(session)
        session.ask(Wish.PANIC, "a test")
        assert session.ask(Wish.RESUME, "too early") != ""
        assert not session.governor.machine.gate_open
        await locked(scene, session)

    scene.run(panic)


def _ban(scene: Scene, session: Session) -> None:
    scene.fault_now(FaultKind.BAN, "*", 20)


def _stop(scene: Scene, session: Session) -> None:
    session.begin_stop("a test", flatten=True)


def _nothing(scene: Scene, session: Session) -> None:
    pass


@pytest.mark.parametrize("first", [_ban, _stop, _nothing], ids=["venue that bans us", "stopping", "all well"])
def test_a_panic_in_any_state_ends_locked(first: Callable[[Scene, Session], None]) -> None:
    scene = Scene(1)

    async def panic(session: Session) -> None:
        await in_position(session)
        first(scene, session)
        await asyncio.sleep(0.0005)
        session.ask(Wish.PANIC, "a test")
        session.ask(Wish.PANIC, "twice")
        await locked(scene, session, 900)

    assert_agrees(scene.box, scene.run(panic))
