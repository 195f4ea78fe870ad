"""Scenes of one failure each, with figures: a deaf private socket, a clock that is set, a crowded start, a venue that acts by itself, a standstill."""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from attrs import evolve, frozen

from tests.app.live.oracle import Oracle
from tests.app.live.rig import PERP, churner, run_and_crash, run_session, setup_on
from tests.app.live.test_recovery import UNRELIABLE
from titan_core.app.live.asking import VenueReader
from titan_core.app.live.entries import Moment, Submit, entry_codec
from titan_core.app.live.folding import empty
from titan_core.app.live.relay import Relay
from titan_core.app.live.session import Session
from titan_core.app.live.settling import CENT, settle
from titan_core.engine.phases import PhaseBinding
from titan_core.execution.limiter import Lane
from titan_core.journal.memory import MemoryDisk
from titan_core.model.enums import Side
from titan_core.model.ids import StrategyId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Refused
from titan_core.model.units import S
from titan_core.ports import Strategy
from titan_core.simulator.account import AccountEvent, EventKind
from titan_core.simulator.box import Box
from titan_core.simulator.faults import FaultKind, Rule
from titan_core.simulator.orders import Kind, NewOrder, Refusal
from titan_core.simulator.virtual_loop import run_virtual
from titan_core.testing.phases import Hold, make_phase, named

NEVER_S = math.inf


def fresh(seed: int, **settings: Any) -> tuple[Box, MemoryDisk]:
    """Return a box and a disk."""
    return Box(seed, **({"balance_usdt": 1_000, "ticks_per_day": 200_000} | settings)), MemoryDisk()


def holder(**traits: Any) -> list[PhaseBinding]:
    """Return a phase that enters once and then does nothing."""
    return [make_phase("holder", 200, None, strategy=named(Hold, "hold", **({"share": 2.0, "wait_ns": S, "stop_bps": 300} | traits)), leverage=(1, 10))]


async def until(what: Callable[[], bool], within_s: float = 120.0) -> float:
    """Wait until something is true and return how long it took; `NEVER_S` where it never was."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not what():
        if loop.time() - began > within_s:
            return NEVER_S
        await asyncio.sleep(0.002)
    return loop.time() - began


def is_right(box: Box, session: Session) -> bool:
    """Whether books and venue hold the same lots and the same cash, to the cent."""
    account = box.exchanges["bybit"].account
    for k, instrument in enumerate(session.setup.instruments):
        held = account.positions.get(instrument.id)
        if instrument.is_perp and session.engine.account.lots[k] != (held.lots if held is not None else 0):
            return False
    return abs(session.view.wallet_cash(session.engine.account.cash) - account.wallet.balance("USDT")) < CENT


def now_s(box: Box) -> float:
    """Return the seconds since the box began."""
    return (box.now_ns() - box.start_ns) / S


def happen(box: Box, kind: FaultKind, where: str = "*", for_s: float = 1e6, **more: Any) -> None:
    """Let something go wrong from now on."""
    box.add_fault(Rule(kind=kind, venue="bybit", where=where, from_s=now_s(box), to_s=now_s(box) + for_s, **more))


# -- a private socket that carries nothing ----------------------------------------------------------------------------
@frozen
class Deaf:
    """How long it took until it was noticed, and until the books were right again."""

    noticed_s: float
    right_s: float


def deaf(seed: int) -> Deaf:
    """Let the private socket carry nothing, and somebody trade by hand meanwhile."""
    box, disk = fresh(seed)
    found: list[Deaf] = []

    async def scene(session: Session) -> None:
        await until(lambda: any(session.engine.account.lots))
        await asyncio.sleep(10 + seed % 7 / 7)
        happen(box, FaultKind.BLACK_HOLE, "/v5/private", 60)
        happen(box, FaultKind.MANUAL_TRADE, symbol="BTCUSDT", lots=-3)
        noticed = asyncio.ensure_future(until(lambda: not session.trading.service.is_streaming))
        await asyncio.sleep(0.01)
        right_s = await until(lambda: is_right(box, session))
        found.append(Deaf(await noticed, right_s + 0.01))

    run_session(box, setup_on(box, disk, holder()), scene)
    return found[0]


# -- a clock that is set ----------------------------------------------------------------------------------------------
@frozen
class Stepped:
    """How long it took until no entry was allowed, and until one was again; how many entries were refused by the venue because of their time."""

    halted_s: float
    resumed_s: float
    notes: tuple[str, ...]


def stepped(seed: int, seconds: float) -> Stepped:
    """Set the computer's clock by so many seconds while the session trades."""
    box, disk = fresh(seed)
    step = [0]
    found: list[Stepped] = []

    async def scene(session: Session) -> None:
        await asyncio.sleep(30 + seed % 5 / 5)
        step[0], traded = int(seconds * S), session.layout.place[PERP]
        halted_s = await until(lambda: bool(session.governor.steering.troubles))
        resumed_s = await until(lambda: not session.governor.steering.troubles and traded not in session.governor.steering.doubts)
        found.append(Stepped(halted_s, halted_s + resumed_s, tuple(note.text for note in session.notes if "clock" in note.text)))
        await asyncio.sleep(30)
        assert is_right(box, session)

    setup = setup_on(box, disk, churner(seed, 7))
    run_session(box, evolve(setup, clock=lambda: box.now_ns() + step[0], steady=box.now_ns), scene)
    return found[0]


def venue_stepped(seed: int, seconds: float) -> Stepped:
    """Set the venue's clock: it is noticed when the venue refuses something because of its time."""
    box, disk = fresh(seed)
    found: list[Stepped] = []

    async def scene(session: Session) -> None:
        await asyncio.sleep(30 + seed % 5 / 5)
        happen(box, FaultKind.CLOCK_STEP, seconds=seconds)
        refused = await until(lambda: bool(session.governor.steering.troubles))
        resumed_s = await until(lambda: not session.governor.steering.troubles)
        found.append(Stepped(refused, resumed_s, tuple(note.text for note in session.notes if "clock" in note.text)))
        await asyncio.sleep(30)
        assert is_right(box, session)

    run_session(box, setup_on(box, disk, churner(seed, 7)), scene)
    return found[0]


# -- a crowded start --------------------------------------------------------------------------------------------------
@frozen
class Crowd:
    """What a start found and how long it took; what was left of it."""

    positions: int
    orders: int
    seconds: float
    wrong: int
    """Positions that the books do not have as the venue has them, or that have no stop; orders that still rest; and 1 where cash is not exact."""


def crowded(seed: int, positions: int, orders: int) -> tuple[Box, list[Instrument]]:
    """Return a box whose account holds positions of both sides without stops and has orders in the book, and the instruments of them."""
    box = Box(seed, balance_usdt=1_000_000, ticks_per_day=200_000, extra_coins=positions - 1)
    exchange = box.exchanges["bybit"]
    perps = [listing.instrument for listing in exchange.account.listings.values() if listing.instrument.is_perp][:positions]
    for number in range(positions + orders):
        instrument = perps[number % positions]
        last = exchange.account.depth.last(exchange.account.listings[instrument.id])
        lots = max(1, int(Decimal(50) / (last * instrument.tick_size * instrument.lot_size)))
        terms: dict[str, Any] = {"kind": Kind.MARKET} if number < positions else {"kind": Kind.LIMIT, "price": last * 95 // 100}
        side = Side.SELL if number < positions and number % 2 else Side.BUY
        made = exchange.place(NewOrder(instrument=instrument.id, side=side, lots=lots, **terms))
        assert not isinstance(made, Refusal), made
    return box, perps


def crowd(seed: int, positions: int = 300, orders: int = 500) -> Crowd:
    """Read and settle an account with hundreds of positions and orders of which the journal knows nothing, as every start does."""
    box, perps = crowded(seed, positions, orders)
    account = box.exchanges["bybit"].account
    resting, began, found = len(account.open_orders), now_s(box), list[Crowd]()

    async def main() -> None:
        setup = setup_on(box, MemoryDisk(), holder(), only=perps)
        venue = setup.join(Relay(), box.now_ns)
        running = asyncio.get_running_loop().create_task(venue.run())
        known = {instrument.id: instrument for instrument in perps}
        read = await VenueReader(venue.client, known, lambda text: None).find({}, 0)
        settled = settle(empty(), known, read.executions, read.positions, read.wallet, box.now_ns())
        held = {str(name): p.lots for name, p in account.positions.items() if p.lots}
        ours = {str(name): holding.lots for name, holding in settled.memory.holdings.items()}
        wrong = len(held.items() ^ ours.items()) + len(account.open_orders) + (abs(read.wallet.cash - account.wallet.balance("USDT")) >= CENT)
        found.append(Crowd(len(held), resting, now_s(box) - began, wrong))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_virtual(main(), box.clock, box)  # type: ignore[arg-type]
    return found[0]


def crowd_adopted(seed: int, positions: int = 120, orders: int = 200) -> Crowd:
    """Start a session on such an account: every position is adopted and gets a stop. One connection carries the market of 125 instruments at most."""
    box, perps = crowded(seed, positions, orders)
    account = box.exchanges["bybit"].account
    resting, began, found = len(account.open_orders), now_s(box), list[Crowd]()

    def bare() -> int:
        return sum(bool(p.lots) and not p.stop_loss for p in account.positions.values())

    async def scene(session: Session) -> None:
        await until(lambda: not bare(), 600)
        held = {name: p.lots for name, p in account.positions.items() if p.lots}
        ours = {i.id: session.engine.account.lots[k] for k, i in enumerate(session.setup.instruments) if session.engine.account.lots[k]}
        left = sum(order.request.trigger is None for order in account.open_orders.values())
        wrong = len(held.items() ^ ours.items()) + bare() + left + (not is_right(box, session))
        found.append(Crowd(len(held), resting, now_s(box) - began, wrong))

    run_session(box, setup_on(box, MemoryDisk(), holder(wait_ns=10**15), only=perps), scene)
    return found[0]


# -- a venue that acts by itself --------------------------------------------------------------------------------------
@frozen
class Upset:
    """How long the ledger was wrong after the venue had acted; how many orders opened something in the minute after."""

    right_s: float
    reopened: int


UPSETS: tuple[tuple[FaultKind, int], ...] = (
    (FaultKind.LIQUIDATION, 0), (FaultKind.ADL, 0), (FaultKind.ADL, 5), (FaultKind.MANUAL_TRADE, -999), (FaultKind.MANUAL_TRADE, -4),
)  # fmt: skip
"""Kind and lots; of a trade by hand -999 stands for the whole position."""


def upset(seed: int, kind: FaultKind, lots: int, *, deaf_to: str = "") -> Upset:
    """Let the venue, or somebody by hand, close the position or a part of it; `deaf_to` is a topic of the private stream of which nothing comes meanwhile."""
    box, disk = fresh(seed)
    account = box.exchanges["bybit"].account
    found: list[Upset] = []
    opened: list[Any] = []

    async def scene(session: Session) -> None:
        await until(lambda: any(session.engine.account.lots))
        await asyncio.sleep(5)
        if deaf_to:
            happen(box, FaultKind.MUTE, deaf_to, 120)
        account.listeners.append(lambda event: opened.append(event.order) if _opens(event) else None)
        held = next(p for p in account.positions.values() if p.lots)
        before = held.lots
        happen(box, kind, symbol="BTCUSDT", lots=-before if lots == -999 else lots)
        await until(lambda: held.lots != before, 5)
        right_s = await until(lambda: is_right(box, session))
        await asyncio.sleep(60)
        found.append(Upset(right_s, len(opened)))

    run_session(box, setup_on(box, disk, holder()), scene)
    return found[0]


def _opens(event: AccountEvent) -> bool:
    order = event.order
    return event.kind is EventKind.ORDER and order is not None and bool(order.link_id) and not order.request.reduce_only


# -- a standstill -----------------------------------------------------------------------------------------------------
@frozen
class Standstill:
    """Entries decided shortly before or during a standstill: how many reached the venue after it, how many never did; and all that were decided afresh."""

    stale: int
    held_back: int
    fresh: int


class Pusher(Strategy):
    """Asks for more entries than the venue's budget of requests lets through, far from the market, and withdraws them."""

    id = StrategyId("push")

    def on_start(self, market: Any) -> None:
        market.every(S // 5, self.push)

    def push(self, market: Any, timer: Any) -> None:
        bid = market.perp.quote()[0]
        order = market.enter(market.perp, 1, limit=bid - 3_000, stop=bid - 6_000)
        if not isinstance(order, Refused):
            market.after(2 * S, self.withdraw, order)

    def withdraw(self, market: Any, timer: Any) -> None:
        market.cancel(timer.payload)


def standstill(seed: int, seconds: float = 60.0) -> Standstill:
    """Stop the process for a while, in the middle of its trading, as SIGSTOP does, while the market goes on."""
    box, disk = fresh(seed)
    account = box.exchanges["bybit"].account
    codec = entry_codec()
    arrived: dict[str, int] = {}
    frozen_ns: list[tuple[int, int]] = []

    async def scene(session: Session) -> None:
        account.listeners.append(lambda event: _arrive(arrived, event))
        for _ in range(4):
            await asyncio.sleep(19.0)
            await until(lambda: bool(session.trading.client.limiter.waiting(Lane.ENTRY)))
            begun = box.now_ns()
            box.advance(begun + int(seconds * S))
            frozen_ns.append((begun, box.now_ns()))
        await asyncio.sleep(30)
        assert is_right(box, session)

    told: list[str] = []
    pusher = [make_phase("pusher", 200, None, strategy=Pusher, leverage=(1, 15))]
    run_session(box, setup_on(box, disk, pusher), scene, told.append)
    entries = [(moment.ts_ns, each) for moment in _moments(disk, codec) for each in moment.sent if isinstance(each, Submit) and not each.is_leaving]
    decided = {d[2]: d[1] for moment in _moments(disk, codec) for d in moment.decisions if d[0] == "approved"}
    stale = held_back = 0
    for _, entry in entries:
        then, came = decided[entry.client_order_id], arrived.get(entry.client_order_id)
        for begun, ended in frozen_ns:
            if begun - 6 * S < then <= ended:
                stale += came is not None and came > ended
                held_back += came is None
    assert sum(text.startswith("session: this process stood still") for text in told) == len(frozen_ns)
    return Standstill(stale, held_back, len(arrived) - stale)


def _arrive(arrived: dict[str, int], event: AccountEvent) -> None:
    if _opens(event) and event.order is not None:
        arrived.setdefault(event.order.link_id, event.order.created_ns)


def _moments(disk: MemoryDisk, codec: Any) -> list[Moment]:
    return [entry for entry in (codec.decode(payload) for _, payload in disk.entries) if isinstance(entry, Moment)]


# -- kills that lose what was not synced ------------------------------------------------------------------------------
@frozen
class Dropped:
    """What became of a journal whose unsynced entries every kill has dropped."""

    kills: int
    entries_dropped: int
    orders: int
    breaks: tuple[str, ...]
    """What the oracle has found: above all orders at the venue that the disk does not know."""


def dropped(seed: int, kills: int = 200) -> Dropped:
    """Kill again and again at an unreliable venue, on a disk whose sync takes up to half a second and of which all that was not synced is lost."""
    dice = random.Random(seed)
    box, disk = Box(seed, balance_usdt=1_000, ticks_per_day=200_000, faults=UNRELIABLE), MemoryDisk(sync_s=lambda: dice.uniform(0.0002, 0.5))
    oracle, lost = Oracle(box, disk), list[int]()
    for life in range(kills):
        run_and_crash(box, setup_on(box, disk, churner(1_000 * seed + life, 5)), dice.uniform(0.02, 90), lost=lost)
    box.faults.remove()

    async def quiet(session: Session) -> None:
        await asyncio.sleep(120)
        assert is_right(box, session)

    run_session(box, setup_on(box, disk, churner(seed, 5)), quiet)
    oracle.paper.catch_up()
    links = [order.link_id for order in box.exchanges["bybit"].orders.values() if order.link_id]
    twice = [f"{link} twice" for link, count in Counter(links).items() if count > 1]
    return Dropped(kills, sum(lost), len(links), (*oracle.breaks, *twice))
