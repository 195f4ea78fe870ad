"""`titan run` at the built-in venue: a market and an exchange in this process, faster than life."""

import asyncio
import time
from typing import TYPE_CHECKING

from titan_core.app.control.private import make_folder
from titan_core.cli.run_plan import Plan
from titan_core.cli.run_screen import follow
from titan_core.model.units import H, Money, to_usdt
from titan_core.simulator.box import Box
from titan_core.simulator.paced_loop import PacedLoop, run_paced
from titan_core.simulator.paper import paper_setup
from titan_core.simulator.store import BoxStore, StoreError, look
from titan_core.tape.generate import NEW_YEAR_2024

if TYPE_CHECKING:
    from titan_core.app.control.places import Places

OPENING_NS = NEW_YEAR_2024 + 14 * H
"""When the built-in market is first seen: in the liveliest hours of its day, with bars before it."""
TIMEOUT_S = 0.5
"""By the computer's clock: how long the built-in venue may take to answer."""


def run_built_in(plan: Plan, seed: int, speed: float) -> None:
    """Run until stopped."""
    make_folder(plan.where.folder)
    box = open_box(plan.where, seed, plan.deposit)

    def speed_now() -> float:
        loop = asyncio.get_running_loop()
        return loop.speed if isinstance(loop, PacedLoop) else speed

    async def main() -> None:
        setup = paper_setup(
            box, plan.bindings, plan.config.brain, plan.identity("paper", "built-in", box.seed), plan.journal(box.now_ns), wall=time.time_ns,
            recording=plan.recording(), speed=speed_now, seed=box.seed, timeout_s=TIMEOUT_S * speed, on_terms=plan.on_terms,
        )  # fmt: skip
        await follow(setup, plan.where, seconds=plan.seconds, json=plan.json, levels_bps=plan.levels_bps)

    try:
        run_paced(main(), box, speed)
    finally:
        box.close()


def open_box(where: "Places", seed: int, deposit: Money) -> Box:
    """Open the venue of this session where it was left, or make a new one."""
    path = where.folder / "venue"
    try:
        head = look(path)
    except StoreError as error:
        raise StoreError(f"{error}; `titan run --fresh` puts this session aside and begins anew") from None
    if head is None:
        return Box(seed, start_ns=OPENING_NS, balance_usdt=str(to_usdt(deposit)), store=BoxStore(path))
    balance = to_usdt(Money(head.deposit))
    return Box(head.seed, start_ns=head.start_ns, balance_usdt=str(balance), ticks_per_day=head.ticks_per_day, store=BoxStore(path))
