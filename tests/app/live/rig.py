"""A session on the venue in a box, in one process on virtual time: the real one but for the wires."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from titan_core.app.compose import bind
from titan_core.app.live.entries import Kept, entry_codec
from titan_core.app.live.session import Session
from titan_core.app.live.settling import CENT
from titan_core.app.live.setup import Identity, Setup
from titan_core.brain.limits import BrainLimits
from titan_core.config.load import load_config
from titan_core.engine.phases import PhaseBinding
from titan_core.journal.memory import MemoryDisk, MemoryJournal, recover_memory
from titan_core.model.ids import InstrumentId, StrategyId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Refused
from titan_core.model.units import S
from titan_core.plugin_host import discover
from titan_core.ports import Strategy
from titan_core.simulator.box import Box
from titan_core.simulator.paper import paper_setup
from titan_core.simulator.virtual_loop import run_virtual
from titan_core.testing.phases import make_phase, named

PERP, SPOT = InstrumentId("BTCUSDT.bybit-linear"), InstrumentId("BTCUSDT.binance-spot")


def setup_on(
    box: Box,
    disk: MemoryDisk,
    bindings: Sequence[PhaseBinding],
    *,
    recording: Path | None = None,
    seed: int = 1,
    latency_s: float = 0.001,
    snapshot_every: int = 50_000,
    only: Sequence[Instrument] | None = None,
) -> Setup:
    codec = entry_codec()

    def open_journal(loop: asyncio.AbstractEventLoop, on_status: Any) -> Any:
        recovery = recover_memory(disk, codec, Kept)
        return MemoryJournal(disk, codec, clock=box.now_ns, loop=loop, snapshot_every=snapshot_every, on_status=on_status), recovery

    identity = Identity(name="test", mode="paper", feed="built-in", seed=seed)
    return paper_setup(box, bindings, BrainLimits(), identity, open_journal, wall=box.now_ns, recording=recording, seed=seed, latency_s=latency_s, only=only)


def scavenger(*overrides: str) -> list[PhaseBinding]:
    phases = [phase for phase in discover().phases if phase.id == "scavenger"]
    config = load_config(None, [phase.declaration for phase in phases], overrides, {})
    return [bind(phase, config) for phase in phases]


class Churner(Strategy):
    """Enters and leaves at random moments, by market, limit and stop orders, with and without a target, and moves its stop."""

    id = StrategyId("churn")
    period_s = 20
    seed = 1
    most_lots = 12

    def on_start(self, market: Any) -> None:
        self.dice = random.Random(f"{self.seed}:{market.now_ns}")
        market.every(self.period_s * S, self.act)

    def act(self, market: Any, timer: Any) -> None:
        perp, dice = market.perp, self.dice
        bid, ask, *_ = perp.quote()
        held = perp.position()
        if held:
            what = dice.random()
            if what < 0.4:
                market.exit(perp, lots=max(1, abs(held) // dice.choice((1, 2))))
            elif what < 0.6:
                market.protect(perp, stop=bid - dice.randrange(300, 900) if held > 0 else ask + dice.randrange(300, 900))
            elif what < 0.7:
                market.exit(perp, limit=ask + 5 if held > 0 else bid - 5, post_only=True)
            return
        side, away = dice.choice((1, -1)), dice.randrange(300, 1500)
        price = ask if side > 0 else bid
        terms: dict[str, Any] = {"stop": price - side * away}
        if dice.random() < 0.4:
            terms["target"] = price + side * away
        kind = dice.random()
        if kind < 0.3:
            terms["limit"] = price - side * 3
        elif kind < 0.4:
            terms["trigger"] = price + side * 20
        order = market.enter(perp, side * dice.randrange(2, self.most_lots), **terms)
        if kind < 0.4 and not isinstance(order, Refused):
            market.after(15 * S, self.withdraw, order)

    def withdraw(self, market: Any, timer: Any) -> None:
        market.cancel(timer.payload)


def churner(seed: int = 1, period_s: int = 20) -> list[PhaseBinding]:
    return [make_phase("churner", 200, None, strategy=lambda: named(Churner, "churn", seed=seed, period_s=period_s)(), leverage=(1, 15))]


def run_session(box: Box, setup: Setup, scene: Callable[[Session], Awaitable[None]], say: Callable[[str], None] = lambda text: None) -> Session:
    """Run a session until the scene is over, then stop it in order."""
    kept: list[Session] = []

    async def main() -> None:
        session = Session(setup, say)
        kept.append(session)
        running = asyncio.get_running_loop().create_task(session.run())
        ready = asyncio.get_running_loop().create_task(session.is_ready.wait())
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if running.done():
            await running
        await scene(session)
        if session.stage == "running":
            session.begin_stop("the scene is over")
        await running

    run_virtual(main(), box.clock, box)  # type: ignore[arg-type]
    return kept[0]


class Crashed(Exception):
    """The process has been killed; nothing of it goes on."""


def run_and_crash(
    box: Box, setup: Setup, after_s: float, kept: int = 0, say: Callable[[str], None] = lambda text: None, lost: list[int] | None = None
) -> Session:
    """Run a session and kill it after a while: what is not on disk is lost, except `kept` entries that happened to get there. `lost` gets their number."""
    made: list[Session] = []

    async def main() -> None:
        session = Session(setup, say)
        made.append(session)
        running = asyncio.get_running_loop().create_task(session.run())
        await asyncio.wait({running}, timeout=after_s)
        if running.done():
            running.result()
            raise AssertionError("the session ended by itself")
        if session.has_journal:
            gone = session.journal.crash(kept)  # type: ignore[attr-defined]
            if lost is not None:
                lost.append(gone)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_virtual(main(), box.clock, box)  # type: ignore[arg-type]
    return made[0]


def assert_agrees(box: Box, session: Session) -> None:
    """The books and the venue agree: positions, stops, cash to the cent, and no order was created twice."""
    account = box.exchanges["bybit"].account
    for k, instrument in enumerate(session.setup.instruments):
        if not instrument.is_perp:
            continue
        held = account.positions.get(instrument.id)
        lots = held.lots if held is not None else 0
        assert session.engine.account.lots[k] == lots, (session.engine.account.lots[k], lots)
        assert not lots or (held is not None and held.stop_loss), "a position without a stop at the venue"
    orders = {order.id: order.link_id for order in (*(e.order for e in account.executions), *account.open_orders.values()) if order.link_id}
    assert len(set(orders.values())) == len(orders), "an order was created twice"
    cash, theirs = session.view.wallet_cash(session.engine.account.cash), account.wallet.balance("USDT")
    assert abs(cash - theirs) < CENT, (cash, theirs)
