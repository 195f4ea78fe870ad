"""The venue in a box on real sockets, in a thread of the test's process; its market is fast, so that there are prices at once."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from titan_core.model.enums import Side
from titan_core.model.ids import InstrumentId
from titan_core.model.units import D
from titan_core.simulator.box import Box
from titan_core.simulator.chunks import generated
from titan_core.simulator.clock import RealClock
from titan_core.simulator.faults import ActiveRule, Rule
from titan_core.simulator.orders import Kind, NewOrder, Refusal
from titan_core.simulator.server import BoxServer
from titan_core.simulator.wire import Credential

T = TypeVar("T")
SPEED = 10.0
PERP = InstrumentId("BTCUSDT.bybit-linear")
KEY = Credential(key="a-key-that-nobody-may-see", secret="a-secret-that-nobody-may-see")


class Venue:
    """The box, touched on its own thread only."""

    def __init__(self, box: Box, server: BoxServer, loop: asyncio.AbstractEventLoop) -> None:
        self.box, self.server, self.loop = box, server, loop
        self.account = box.exchanges["bybit"].account

    @property
    def url(self) -> str:
        return self.server.url

    def do(self, work: Callable[[], T]) -> T:
        """Do something on the box's thread."""

        async def done() -> T:
            result = work()
            self.box.outbox.settle()
            return result

        return asyncio.run_coroutine_threadsafe(done(), self.loop).result(10)

    @property
    def lots(self) -> int:
        held = self.do(lambda: self.account.positions.get(PERP))
        return held.lots if held is not None else 0

    @property
    def stop(self) -> int:
        held = self.do(lambda: self.account.positions.get(PERP))
        return held.stop_loss if held is not None and held.stop_loss else 0

    def buy(self, lots: int, **terms: Any) -> None:
        """Trade at the venue itself, by hand."""
        side = Side.BUY if lots > 0 else Side.SELL
        order = NewOrder(instrument=PERP, side=side, lots=abs(lots), **({"kind": Kind.LIMIT if "price" in terms else Kind.MARKET} | terms))
        made = self.do(lambda: self.box.exchanges["bybit"].place(order))
        assert not isinstance(made, Refusal), made

    @property
    def price(self) -> int:
        return self.do(lambda: self.account.depth.last(self.account.listings[PERP]))

    @property
    def links(self) -> list[str]:
        """The client ids of everything that was executed."""
        return self.do(lambda: [e.order.link_id for e in self.account.executions])

    @property
    def resting(self) -> list[str]:
        """Client ids of the orders in the book."""
        return self.do(lambda: [o.link_id for o in self.account.open_orders.values()])

    def clear(self) -> None:
        """Leave nothing open, and no fault in force."""
        self.do(lambda: self.box.faults.remove(None))
        self.do(lambda: self.box.exchanges["bybit"].cancel_all([PERP]))
        if self.lots:
            self.buy(-self.lots, reduce_only=True)
        assert not self.lots

    def add(self, rule: Rule) -> ActiveRule:
        return self.do(lambda: self.box.add_fault(rule))

    def remove(self, rule: ActiveRule) -> None:
        self.do(lambda: self.box.faults.remove(rule.number))


@contextmanager
def venue(seed: int = 1) -> Iterator[Venue]:
    now = time.time_ns()
    supply = generated(seed, start_ns=now - D, ticks_per_day=300_000)
    box = Box(seed, supply=supply, start_ns=now, clock=RealClock(now, SPEED), server_ns=time.time_ns, balance_usdt=10_000, credentials=(KEY,))
    loop, server, up = asyncio.new_event_loop(), BoxServer(box), threading.Event()

    async def serve() -> None:
        async with server:
            up.set()
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert up.wait(20)
    try:
        yield Venue(box, server, loop)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
        box.close()
