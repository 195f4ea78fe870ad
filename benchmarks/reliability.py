"""What becomes of orders, feeds and whole sessions when something fails: the reliability bars.

An account at the venue in a box, in this process and in virtual time, but for the kills of bar 1, which are of real processes; the faults are those of the
box. The numbers are those of docs/reliability.md.

python -m benchmarks reliability [N ...] [--orders N] [--seed S] [--over rest|socket] [--kills N] [--seeds N --hours H]
"""

import argparse
import asyncio
import random
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from time import perf_counter

from benchmarks import _feed_bars as feed_bars
from benchmarks import _harness as harness
from benchmarks import _session_bars as session_bars
from benchmarks import _simulation as simulation
from tests.execution.rig import Rig, run
from titan_core.execution.flatten import Flattened, Flattening
from titan_core.execution.limiter import Lane
from titan_core.execution.outcomes import FINAL_REFUSALS, REFUSED_UNSEEN, SUCCESS, Outcome, known_codes, of_code
from titan_core.execution.reports import Execution, OrderReport
from titan_core.execution.tracker import OrderTracker
from titan_core.model.enums import Liquidity, OrderType
from titan_core.model.ids import ClientOrderId, InstrumentId
from titan_core.model.order import OrderStatus
from titan_core.model.units import Money
from titan_core.simulator.faults import FaultKind, Rule

BARS = (
    harness.Bar("1: kill -9 at random instants over real sockets: double orders, positions astray, cash off, recoveries >= 5 s", 0, "wrong", at_most=True),
    harness.Bar("2: the same with unsynced writes dropped: orders that the disk does not know, and whatever else breaks a rule", 0, "breaks", at_most=True),
    harness.Bar("3: fifty positions closed while 30 % of the answers are errors, 10 requests a second", 12, "s", at_most=True),
    harness.Bar("4: the same while 60 % are", 25, "s", at_most=True),
    harness.Bar("5: a panic behind 500 queued reads, until its first order is executed", 50, "ms", at_most=True),
    harness.Bar("6: orders with answers and requests lost: difference between intents and orders created", 0, "orders", at_most=True),
    harness.Bar("7: known codes and 1,000 random ones: answers that crash or are taken for what they are not", 0, "answers", at_most=True),
    harness.Bar("9: a private socket that carries nothing, until the books are right again", 10, "s", at_most=True),
    harness.Bar("10: topics that go silent on a living socket, until it is noticed and they are asked for again", 15, "s", at_most=True),
    harness.Bar("11: 100,000 private events shuffled and doubled: orders whose end differs", 0, "orders", at_most=True),
    harness.Bar("12: 1 % of book messages lost: rows vouched for that are not the true book", 0, "rows", at_most=True),
    harness.Bar("13: the clock is set by 6 s, until entries are allowed again", 5, "s", at_most=True),
    harness.Bar("14: 300 positions and 500 orders at start: not reconciled", 0, "left", at_most=True),
    harness.Bar("15: fills racing cancels: difference between what we booked and what the venue filled", 0, "lots", at_most=True),
    harness.Bar("16: liquidation, auto-deleveraging, a trade by hand, until the ledger is right", 5, "s", at_most=True),
    harness.Bar("17: hours of simulated trading in storms: seeds that break a rule", 0, "seeds", at_most=True),
    harness.Bar("18: a process that stands still for a minute: entries from before that are sent after", 0, "orders", at_most=True),
)
Measured = tuple[float, str]


def lost(over: str) -> tuple[Rule, ...]:
    """A twentieth of the requests and a twentieth of the answers are lost; over REST some answers hang as well."""
    if over == "socket":
        where = ((FaultKind.DROP_REQUEST, "/v5/trade request"), (FaultKind.DROP_FRAME, "/v5/trade answer"))
    else:
        where = tuple((kind, "POST /v5/order/create") for kind in (FaultKind.DROP_REQUEST, FaultKind.DROP_ANSWER, FaultKind.HANG_ANSWER))
    return tuple(Rule(kind=kind, venue="bybit", where=pattern, probability=0.1 / len(where), seconds=4.0) for kind, pattern in where)


def disagreement(rig: Rig) -> int:
    """Return what separates our books from the venue's: executions on one side only, and lots."""
    ours = {e.execution_id for e in rig.owner.executions}
    theirs = {e.id for e in rig.box.exchanges["bybit"].account.executions}
    return len(ours ^ theirs) + len(rig.owner.executions) - len(ours) + abs(rig.owner.position - rig.venue_position)


def _flatten(share: float, seed: int) -> Measured:
    kept: list[tuple[Flattened, int]] = []

    async def scene(rig: Rig) -> None:
        rig.hold(50, orders=30)
        rig.box.add_fault(Rule(kind=FaultKind.STATUS, venue="bybit", where="*", probability=share, status=502))
        before = rig.account.client.door.sent
        kept.append((await Flattening(rig.account.client, "panic1").leave(), rig.account.client.door.sent - before))

    rig = run(scene, seed=seed, over_socket=False, coins=49)
    flipped: Counter[str] = Counter()
    flips = 0
    for e in rig.box.exchanges["bybit"].account.executions:
        before = flipped[e.instrument]
        flipped[e.instrument] += e.lots * e.side.sign
        flips += before * flipped[e.instrument] < 0
    took, calls = kept[0]
    left = len(rig.held) + len(rig.box.exchanges["bybit"].account.open_orders)
    seconds = took.seconds if not flips and not left else float("inf")
    return seconds, f"50 positions and 30 orders: {calls} calls, {took.orders} of them closing orders, {flips} flips, {left} left"


def bar_3(orders: int, seed: int, over: str) -> Measured:
    """Leave the venue through 30 % of errors."""
    return _flatten(0.3, seed)


def bar_4(orders: int, seed: int, over: str) -> Measured:
    """Leave the venue through 60 % of errors."""
    return _flatten(0.6, seed)


def bar_5(orders: int, seed: int, over: str) -> Measured:
    """Panic while reads wait for their turn."""
    kept: list[float] = []

    async def scene(rig: Rig) -> None:
        rig.hold(1)
        reads = [asyncio.ensure_future(rig.account.client.wallet()) for _ in range(500)]
        await asyncio.sleep(0.01)
        began = rig.box.now_ns()
        leaving = asyncio.ensure_future(Flattening(rig.account.client, "panic1").leave())
        while rig.held:
            await asyncio.sleep(0.0005)
        kept.append((rig.box.now_ns() - began) / 1e6)
        for read in reads:
            read.cancel()
        await asyncio.gather(leaving, *reads, return_exceptions=True)

    run(scene, seed=seed, over_socket=False)
    return kept[0], "500 reads queued at 10 a second, 1 ms each way"


def bar_6(orders: int, seed: int, over: str) -> Measured:
    """Send market orders through losses; every intent becomes exactly one order."""

    async def scene(rig: Rig) -> None:
        for i in range(orders):
            rig.submit(3 if i % 2 == 0 else -3, Lane.EXIT)
            await asyncio.sleep(0.05)
        await rig.settled(3_600)

    rig = run(scene, seed=seed, faults=lost(over), over_socket=over == "socket", rate=200.0)
    created = len(set(rig.venue_links))
    struck = sum(rule.hits for rule in rig.box.faults.rules)
    wrong = abs(created - orders) + disagreement(rig) + sum(end != "filled 3" for end in rig.owner.ended.values())
    return wrong, f"{orders} intents, {created} orders created, {struck} requests or answers lost, {len(rig.owner.executions)} executions"


def bar_7(orders: int, seed: int, over: str) -> Measured:
    """Classify every known code and 1,000 random ones; each has one meaning, and an unknown one proves nothing."""
    chance = random.Random(seed)
    wrong, asked = 0, 0
    for family in ("bybit", "mexc"):
        known = known_codes(family)
        for code in [*known, *(chance.randrange(-(2**40), 2**40) for _ in range(1_000))]:
            asked += 1
            outcome = of_code(family, code)
            wrong += code not in known and outcome is not Outcome.UNKNOWN
            wrong += (outcome in SUCCESS) + (outcome in FINAL_REFUSALS) + (outcome in REFUSED_UNSEEN) > 1

    async def scene(rig: Rig) -> None:
        for i in range(60):
            rig.submit(3 if i % 2 == 0 else -3, Lane.EXIT)
            await asyncio.sleep(0.5)
        await rig.settled(3_600)

    fault = Rule(kind=FaultKind.CODE, venue="bybit", where="POST /v5/order/create", probability=0.5)  # code 0: a random one each time
    rig = run(scene, seed=seed, faults=(fault,), over_socket=False, rate=50.0)
    return wrong + disagreement(rig), f"{asked} codes classified; 60 orders of which {rig.box.faults.rules[0].hits} answers were random codes"


def bar_10(orders: int, seed: int, over: str) -> Measured:
    """Mute topics of every venue."""
    return feed_bars.bar_10(seed)


def bar_11(orders: int, seed: int, over: str) -> Measured:
    """Follow orders whose private events come shuffled and doubled, 100,000 events in all."""
    chance, btc = random.Random(seed), InstrumentId("BTCUSDT.bybit-linear")
    events: list[OrderReport | Execution] = []
    ends: dict[ClientOrderId, tuple[OrderStatus, int]] = {}
    tracker = OrderTracker()
    while len(events) < 50_000:
        ident, lots, done = ClientOrderId(f"p.s.1.{len(ends)}"), chance.randrange(1, 20), 0

        def report(status: OrderStatus, filled: int, ident: ClientOrderId = ident, lots: int = lots) -> OrderReport:
            return OrderReport(client_order_id=ident, venue_order_id="v", instrument=btc, signed_lots=lots, status=status, filled_lots=filled)

        events.append(report(OrderStatus.OPEN, 0))
        while done < lots and chance.random() < 0.8:
            part = chance.randrange(1, lots - done + 1)
            done += part
            execution = Execution(
                execution_id=f"{ident}/{done}", client_order_id=ident, venue_order_id="v", instrument=btc, signed_lots=part, price=1,
                fee=Money(0), liquidity=Liquidity.TAKER,
            )  # fmt: skip
            events += [execution, report(OrderStatus.FILLED if done == lots else OrderStatus.PARTIALLY_FILLED, done)]
        if done < lots:
            events.append(report(OrderStatus.CANCELLED, done))
        tracker.intend(ident, lots)
        ends[ident] = (OrderStatus.FILLED if done == lots else OrderStatus.CANCELLED, done)
    doubled = events * 2
    chance.shuffle(doubled)
    for event in doubled:
        if isinstance(event, Execution):
            tracker.take_execution(event)
        else:
            tracker.take_report(event)
    wrong = sum((order.status, order.filled_lots) != ends[ident] or not order.is_done for ident, order in tracker.orders.items())
    return wrong, f"{len(doubled):,} events of {len(ends):,} orders"


def bar_12(orders: int, seed: int, over: str) -> Measured:
    """Lose book messages of every venue."""
    return feed_bars.bar_12(seed)


def bar_15(orders: int, seed: int, over: str) -> Measured:
    """Rest orders at the touch and withdraw them at random moments; what was filled is what the venue says."""
    chance = random.Random(seed)

    async def scene(rig: Rig) -> None:
        for _ in range(orders):
            bid, ask = rig.touch
            side = 1 if rig.owner.position <= 0 else -1
            order = rig.submit(3 * side, Lane.EXIT, order_type=OrderType.LIMIT, limit=bid if side > 0 else ask)
            asyncio.get_running_loop().call_later(chance.random() * 3, rig.service.cancel, order.client_order_id, Lane.EXIT)
            await asyncio.sleep(0.3)
        await rig.settled(3_600)

    rig = run(scene, seed=seed, over_socket=over == "socket", rate=10.0)
    ends = list(rig.owner.ended.values())
    counts = Counter("cancelled in part" if end.startswith("cancelled") and not end.endswith(" 0") else end.split()[0] for end in ends)
    return disagreement(rig), f"{len(ends)} orders: {', '.join(f'{count} {word}' for word, count in counts.most_common())}"


RUNS: dict[int, Callable[[int, int, str], Measured]] = {3: bar_3, 4: bar_4, 5: bar_5, 6: bar_6, 7: bar_7, 10: bar_10, 11: bar_11, 12: bar_12, 15: bar_15}


def _of_session(measure: Callable[[int], Measured]) -> Callable[[int, int, str], Measured]:
    return lambda orders, seed, over: measure(seed)


def main(argv: Sequence[str]) -> int:
    """Measure the bars that are named, or all; print a table and write JSON. Returns 0 where all were met."""
    parse = argparse.ArgumentParser(prog="python -m benchmarks reliability", description=__doc__.splitlines()[0])
    parse.add_argument("bars", nargs="*", type=int, metavar="N", help=f"which bars: {', '.join(map(str, RUNS))} (default all)")
    parse.add_argument("--orders", type=int, default=10_000)
    parse.add_argument("--seed", type=int, default=1)
    parse.add_argument("--kills", type=int, default=session_bars.KILLS, help="of bar 1")
    parse.add_argument("--seeds", type=int, default=10, help="seeds of bar 17; those that its file has are not run again")
    parse.add_argument("--hours", type=float, default=2.0, help="simulated hours of each")
    parse.add_argument("--over", choices=("rest", "socket"), default="socket")
    given = parse.parse_args(argv)
    numbers = [int(bar.text.partition(":")[0]) for bar in BARS]
    if unknown := [number for number in given.bars if number not in numbers]:
        print(f"no such bar: {unknown[0]}; there is {', '.join(map(str, numbers))}", file=sys.stderr)
        return 2
    runs = RUNS | {number: _of_session(measure) for number, measure in session_bars.RUNS.items()}
    runs[1] = lambda orders, seed, over: session_bars.bar_1(seed, given.kills)
    runs[17] = lambda orders, seed, over: simulation.bar_17(given.seeds, given.hours)
    verdicts = {bar.text: harness.Verdict(bar, None) for bar in BARS}
    rows = []
    for number, bar in sorted((int(bar.text.partition(":")[0]), bar) for bar in BARS):
        measure = runs[number]
        if given.bars and number not in given.bars:
            continue
        began = perf_counter()
        wrong, said = measure(given.orders, given.seed, given.over)
        verdict = verdicts[bar.text] = harness.Verdict(bar, wrong)
        rows.append((str(number), bar.text.partition(": ")[2], said, f"{perf_counter() - began:.1f}", verdict.words))
    harness.stdout_console().print(harness.table("Reliability", (">bar", "claim", "what was done", ">s", ">measured"), rows))
    record = {"settings": vars(given), "machine": harness.machine(), "bars": [verdict.record() for verdict in verdicts.values()]}
    harness.write_json(harness.OUT / "reliability.json", record)
    return 0 if all(verdict.met is not False for verdict in verdicts.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
