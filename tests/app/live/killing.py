"""Kills a real session again and again at random instants, while the venue fails in many ways, and counts what is wrong afterwards."""

import asyncio
import contextlib
import json
import os
import pickle
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from tests.app.live.test_recovery import UNRELIABLE
from titan_core.app.live.entries import Moment, Submit, entry_codec
from titan_core.app.live.settling import CENT
from titan_core.journal.reading import read
from titan_core.model.units import D
from titan_core.simulator.box import Box
from titan_core.simulator.chunks import generated
from titan_core.simulator.clock import RealClock
from titan_core.simulator.paper import paper_instruments
from titan_core.simulator.server import BoxServer

ROOT = Path(__file__).resolve().parents[3]
LONGEST_S = 6.0
GONE_S = 30.0
STILL = 6
"""How often the last process may be started again because the venue moved while it ended."""
IN_FLIGHT_NS = 1_000_000_000
"""A word about an execution so shortly before the end may have been on its way."""


@frozen
class Killed:
    """What became of it."""

    kills: int
    orders: int
    executions: int
    duplicates: int
    """Orders at the venue beyond one for each of our ids, and such as the journal does not have."""
    orphans: int
    """Instruments in which books and venue do not hold the same, or whose position has no stop."""
    cash_off: int
    """1e-8 USDT between the books and the venue."""
    slowest_s: float
    """The longest recovery, from the opening of the journal until it traded."""
    median_s: float


@define(slots=False)
class _Killing:
    folder: Path
    seed: int
    ready_s: list[float] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        now = time.time_ns()
        supply = generated(self.seed, start_ns=now - D)
        self.box = Box(self.seed, supply=supply, start_ns=now, clock=RealClock(now, 1.0), server_ns=time.time_ns, balance_usdt=1_000, faults=UNRELIABLE)
        self.instruments = self.folder / "instruments"
        self.instruments.write_bytes(pickle.dumps(paper_instruments(self.box)))

    async def start(self, url: str, number: int) -> asyncio.subprocess.Process:
        command = (sys.executable, "-m", "tests.app.live.process", url, str(self.folder / "journal"), str(self.instruments), str(number))
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE, start_new_session=True)

    async def life(self, url: str, number: int) -> None:
        """Start a process and kill it: while it recovers, or some time after it was ready; every other time its journal's writer as well."""
        process = await self.start(url, number)
        assert process.stdout is not None
        if self.dice.random() < 0.25:
            await asyncio.sleep(self.dice.uniform(0.5, 3.0))
        else:
            line = await asyncio.wait_for(process.stdout.readline(), GONE_S)
            assert line, "the process has ended by itself"
            self.ready_s.append(json.loads(line)["ready"])
            await asyncio.sleep(self.dice.uniform(0.0, LONGEST_S))
        assert process.returncode is None, f"the process has ended by itself with {process.returncode}"
        if number % 2:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        await process.wait()

    async def last(self, url: str) -> dict[str, Any]:
        """Let a last process recover without faults, close its positions and stop; return what it says of its books."""
        self.box.faults.remove()
        process = await self.start(url, 0)
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), GONE_S)
            self.ready_s.append(json.loads(line)["ready"])
            await asyncio.sleep(5)
            process.terminate()
            ended = json.loads(await asyncio.wait_for(process.stdout.readline(), GONE_S))
            await asyncio.wait_for(process.wait(), GONE_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        return dict(ended)

    def moved_since(self, ts_ns: int) -> bool:
        """Whether the venue has executed anything since: a stop that was hit while the process ended is no fault of its books."""
        executions = self.box.exchanges["bybit"].account.executions
        return bool(executions) and executions[-1].ts_ns > ts_ns

    def count(self, ended: dict[str, Any], kills: int) -> Killed:
        account = self.box.exchanges["bybit"].account
        orders = {order.id: order for order in self.box.exchanges["bybit"].orders.values() if order.link_id}
        links = {order.link_id for order in orders.values()}
        known: set[str] = set()
        for record in read(self.folder / "journal", entry_codec()):
            if isinstance(record.entry, Moment):
                known |= {sent.client_order_id for sent in record.entry.sent if isinstance(sent, Submit)}
        strangers = {link for link in links if link not in known and not link.startswith("brain.out")}
        held = {str(name): position for name, position in account.positions.items() if position.lots}
        differ = {name: position.lots for name, position in held.items()}.items() ^ ended["held"].items()
        bare = sum(not position.stop_loss for position in held.values())
        ready = sorted(self.ready_s)
        return Killed(
            kills, len(orders), len(account.executions), len(orders) - len(links) + len(strangers), len(differ) + bare,
            abs(ended["cash"] - account.wallet.balance("USDT")), ready[-1], ready[len(ready) // 2],
        )  # fmt: skip


async def kill_often(folder: Path, kills: int, seed: int = 1) -> Killed:
    """Kill `kills` processes in turn on one journal, then compare books, journal and venue."""
    killing = _Killing(folder, seed)
    async with BoxServer(killing.box) as server:
        for number in range(1, kills + 1):
            await killing.life(server.url, number)
        for _ in range(STILL):
            ended = await killing.last(server.url)
            if not killing.moved_since(ended["at_ns"] - IN_FLIGHT_NS):
                break
        return killing.count(ended, kills)


def is_right(found: Killed) -> bool:
    """Whether nothing is wrong."""
    return not found.duplicates and not found.orphans and found.cash_off < CENT
