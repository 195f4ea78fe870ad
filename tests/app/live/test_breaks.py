"""What simulated storms have broken once, each in its smallest form."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from attrs import evolve

from tests.app.live.rig import PERP, run_and_crash, run_session, setup_on
from tests.app.live.scenes import Pusher, fresh, happen, holder, is_right, until
from titan_core.app.live.asking import VenueReader
from titan_core.app.live.entries import Moment, Submit, Withdraw, entry_codec
from titan_core.app.live.playback import processes
from titan_core.app.live.relay import Relay
from titan_core.app.live.session import Session
from titan_core.engine.heard import Wish
from titan_core.engine.memory import remember
from titan_core.engine.phases import PhaseBinding
from titan_core.execution.limiter import Lane
from titan_core.journal.memory import MemoryDisk
from titan_core.model.enums import OrderType, Side, StreamKind, TimeInForce
from titan_core.model.ids import BRAIN, ClientOrderId, PhaseId, StrategyId
from titan_core.model.units import D, S
from titan_core.simulator.box import Box
from titan_core.simulator.faults import FaultKind, Rule
from titan_core.simulator.orders import Refusal
from titan_core.simulator.upkeep import trade_by_hand
from titan_core.simulator.virtual_loop import run_virtual
from titan_core.tape.generate import NEW_YEAR_2024
from titan_core.testing.phases import Hold, make_phase

Scene = Callable[[Session], Awaitable[None]]


def run(box: Box, disk: MemoryDisk, scene: Scene, bindings: list[PhaseBinding] | None = None, say: Callable[[str], None] = lambda text: None) -> Session:
    return run_session(box, setup_on(box, disk, bindings or holder()), scene, say)


def moments(disk: MemoryDisk) -> list[Moment]:
    codec = entry_codec()
    return [entry for entry in (codec.decode(payload) for _, payload in disk.entries) if isinstance(entry, Moment)]


async def in_position(session: Session) -> None:
    await until(lambda: any(session.engine.account.lots))
    await asyncio.sleep(1)


def test_a_market_read_without_an_answer_does_not_end_the_session() -> None:
    box, disk = fresh(3)

    async def scene(session: Session) -> None:
        happen(box, FaultKind.DROP_REQUEST, "GET /v5/market/*", 60)
        happen(box, FaultKind.DISCONNECT, "/v5/public/*")
        await asyncio.sleep(90)
        assert session.stage == "running"

    run(box, disk, scene)


def test_two_measurements_of_the_clock_at_a_time_do_not_add_up() -> None:
    box, disk = fresh(1)

    async def scene(session: Session) -> None:
        session.offset_ns += 8_000_000_000
        await asyncio.gather(*(session.measure_clock() for _ in range(4)))
        assert abs(session.offset_ns) < 100_000_000, session.offset_ns

    run(box, disk, scene)


def test_a_clock_that_is_set_while_a_start_goes_on_does_not_hold_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    box, disk = fresh(1)
    run_and_crash(box, setup_on(box, disk, holder()), 20)
    measure, step = Session.measure_clock, [0]
    setup = evolve(setup_on(box, disk, holder()), clock=lambda: box.now_ns() + step[0], steady=box.now_ns)

    async def measured_then_set(session: Session) -> int:
        found = await measure(session)
        step[0] = 6 * S
        return found

    async def main() -> None:
        session = Session(setup)
        running = asyncio.get_running_loop().create_task(session.run())
        try:
            async with asyncio.timeout(60):
                await session.is_ready.wait()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    monkeypatch.setattr(Session, "measure_clock", measured_then_set)
    run_virtual(main(), box.clock, box)  # type: ignore[arg-type]


def test_a_read_that_an_emergency_has_given_up_is_told_so() -> None:
    """Else the comparison with the venue that waits for it, one at a time, would wait for ever, and nobody would look again."""
    box, disk = fresh(1)

    async def scene(session: Session) -> None:
        await in_position(session)
        limiter = session.trading.client.limiter
        limiter.ban(30)
        looking = asyncio.get_running_loop().create_task(session.agree())
        await asyncio.sleep(1)
        assert limiter.drop(Lane.ENTRY, Lane.READ)
        done, _ = await asyncio.wait({looking}, timeout=5)
        assert done
        await asyncio.sleep(60)
        before = session.watching.reconciled_ns
        await session.agree()
        assert session.watching.reconciled_ns > before

    run(box, disk, scene)


def bare(box: Box) -> bool:
    return any(position.lots and not position.stop_loss for position in box.exchanges["bybit"].account.positions.values())


def test_what_a_trade_by_hand_turns_over_is_the_brains_and_has_a_stop() -> None:
    box, disk = fresh(1)

    async def scene(session: Session) -> None:
        await in_position(session)
        engine, governor, k = session.engine, session.governor, session.layout.place[PERP]
        held, before = engine.account.lots[k], governor.phase_equity2(governor.books[0])
        happen(box, FaultKind.MANUAL_TRADE, symbol="BTCUSDT", lots=-held - 3)
        await until(lambda: engine.account.lots[k] == -3, 5)
        assert engine.account.owner[k] == governor.brain_slot
        assert await until(lambda: not bare(box), 5) < 1
        assert abs(governor.phase_equity2(governor.books[0]) - before) < before // 50, "the phase is charged what it held, at the price at which it was closed"
        assert is_right(box, session)

    run(box, disk, scene)


def test_what_was_turned_over_while_no_process_lived_is_the_brains_and_has_a_stop() -> None:
    box, disk = fresh(1)
    run_and_crash(box, setup_on(box, disk, holder()), 20)
    exchange = box.exchanges["bybit"]
    held = exchange.account.positions[PERP].lots
    assert held > 0
    assert not isinstance(trade_by_hand(exchange, PERP, Side.SELL, held + 3), Refusal)
    assert bare(box)

    async def scene(session: Session) -> None:
        assert await until(lambda: not bare(box), 5) < 2
        assert session.kept.memory is not None and session.kept.memory.holdings[PERP].owner == str(BRAIN)
        assert is_right(box, session)

    run(box, disk, scene, [make_phase("holder", 200, None, leverage=(1, 10))])


def test_a_data_venue_that_is_silent_does_not_keep_positions_unattended() -> None:
    box, disk = fresh(1, faults=(Rule(kind=FaultKind.BLACK_HOLE, venue="binance", where="*"),))

    async def scene(session: Session) -> None:
        assert box.now_ns() - box.start_ns < 10_000_000_000

    run(box, disk, scene)


def test_a_peak_that_only_the_market_has_made_is_written_down() -> None:
    box, disk = fresh(1)

    async def scene(session: Session) -> None:
        await in_position(session)
        session.governor.peak2 += 200_000_000
        peak2 = session.governor.peak2
        await asyncio.sleep(31)
        assert session.kept.memory is not None and session.kept.memory.peak2 >= peak2

    run(box, disk, scene)


def test_what_changes_at_midnight_is_in_the_journal() -> None:
    box, disk = fresh(1, start_ns=NEW_YEAR_2024 + D - 40 * S)

    async def scene(session: Session) -> None:
        await in_position(session)
        await until(lambda: session.engine.now > NEW_YEAR_2024 + D + S // 2)
        assert session.kept.memory is not None
        assert session.kept.memory.phases == remember(session.governor, session.engine).phases
        assert session.kept.memory.ts_ns >= NEW_YEAR_2024 + D

    run(box, disk, scene)


def test_what_changes_at_midnight_is_in_the_journal_with_the_first_row_of_the_day() -> None:
    box, disk = fresh(1, start_ns=NEW_YEAR_2024 + D - 40 * S)

    async def scene(session: Session) -> None:
        await in_position(session)
        while session.setup.clock() < NEW_YEAR_2024 + D - S // 1000:
            await asyncio.sleep(0.0003)
        rank = session.layout.ranks[PERP, StreamKind.QUOTE]
        session.engine.on_event(NEW_YEAR_2024 + D, rank, session.engine._state[rank] or ())
        session._after_row(NEW_YEAR_2024 + D)
        assert session.kept.memory is not None, "not only with the next look at the timers"
        assert session.kept.memory.phases == remember(session.governor, session.engine).phases
        await asyncio.sleep(0.001)

    run(box, disk, scene)


def test_what_a_full_disk_has_kept_out_is_written_before_the_end() -> None:
    box, disk = fresh(1)

    async def scene(session: Session) -> None:
        await in_position(session)
        disk.full = True
        await asyncio.sleep(1)
        session.governor.closing.flatten(None)
        session.flush()
        await until(lambda: not any(session.engine.account.lots), 5)
        await asyncio.sleep(1)
        assert session.journalling.failure
        disk.full = False
        await asyncio.sleep(1)
        assert not session.journalling.failure, "room again, and nothing has happened since"

    run(box, disk, scene)
    process = processes(entry_codec().decode(payload) for _, payload in disk.entries)[-1]
    assert process.ended is not None
    assert process.moments[-1].memory is None or not process.moments[-1].memory.holdings


def test_an_entry_that_was_due_before_a_panic_is_not_sent_after_it() -> None:
    box, disk = fresh(1)
    exchange = box.exchanges["bybit"]
    asked: list[int] = []

    async def scene(session: Session) -> None:
        await asyncio.sleep(5)
        engine: Any = session.engine
        while not any(ts <= session.setup.clock() for ts, *_ in engine._timers[:1]):
            await asyncio.sleep(0.0007)
        asked.append(box.now_ns())
        session.ask(Wish.PANIC, "a test")
        await asyncio.sleep(10)

    run(box, disk, scene, [make_phase("pusher", 200, None, strategy=Pusher, leverage=(1, 15))])
    late = [order for order in exchange.orders.values() if order.created_ns > asked[0] and not order.request.reduce_only]
    both = [
        m
        for m in moments(disk)
        if {s.client_order_id for s in m.sent if isinstance(s, Submit)} & {s.client_order_id for s in m.sent if isinstance(s, Withdraw)}
    ]
    assert not late and both


def test_a_stop_waits_for_an_exit_that_is_on_its_way() -> None:
    box, disk = fresh(1)

    async def scene(session: Session) -> None:
        await in_position(session)
        session.governor.closing.flatten(None)
        session.flush()
        session.begin_stop("with an exit under way")

    session = run(box, disk, scene, [make_phase("holder", 200, None, strategy=Leaver, leverage=(1, 10))])
    assert not any(session.engine.account.lots)
    assert is_right(box, session)


class Leaver(Hold):
    wait_ns = S


def test_orders_that_were_never_sent_are_followed_all_at_once() -> None:
    box, disk = fresh(1)

    def unsent(number: int) -> Submit:
        return Submit(
            client_order_id=ClientOrderId(f"p.s.1.{number}"), phase=PhaseId("p"), strategy=StrategyId("s"), instrument=PERP, signed_lots=1, asked_lots=1,
            order_type=OrderType.MARKET, limit=None, trigger=None, stop=None, target=None, reduce_only=False, post_only=False,
            time_in_force=TimeInForce.GTC, label="", pair="", checks=(), is_leaving=False,
        )  # fmt: skip

    async def main() -> None:
        setup = setup_on(box, disk, holder())
        account = setup.join(Relay(), box.now_ns)
        running = asyncio.get_running_loop().create_task(account.run())
        began = asyncio.get_running_loop().time()
        orders = {order.client_order_id: order for order in map(unsent, range(6))}
        found = await VenueReader(account.client, {i.id: i for i in setup.instruments}, lambda text: None).find(orders, 0)
        assert set(found.fates.values()) == {None}
        assert asyncio.get_running_loop().time() - began < 6
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_virtual(main(), box.clock, box)  # type: ignore[arg-type]
