"""A box that outlives its process."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulator.builders import MEXC, PERP, SPOT, START, Script, box_of, order, placed, step
from tests.simulator.killed import box_at
from tests.simulator.wires import KEY, Client, buy, trade_message
from titan_core.errors import UsageError
from titan_core.model.enums import Side
from titan_core.model.units import D, H, S
from titan_core.simulator.box import Box
from titan_core.simulator.control import state
from titan_core.simulator.faults import FaultKind, Rule
from titan_core.simulator.keeper import CLOCK_EVERY_NS
from titan_core.simulator.orders import Origin, PriceKind, Refusal, Trigger
from titan_core.simulator.saving import drawn_up_whole
from titan_core.simulator.store import BoxStore, StoreError, look
from titan_core.simulator.upkeep import deleverage, delist
from titan_core.simulator.wire import signature

KILLS = 20
QUIET = {"suppress_health_check": [HealthCheck.function_scoped_fixture], "deadline": None}


def everything(box: Box) -> dict[str, Any]:
    """Return all that a box knows of its accounts, in a form that can be compared."""
    found: dict[str, Any] = {"state": state(box), "hour": box.hour_ns}
    for name, exchange in box.exchanges.items():
        record = msgspec.to_builtins(drawn_up_whole(exchange))
        record["totals"].sort()
        found[name] = record
        found[f"links of {name}"] = {key: each.id for key, each in exchange.by_link.items()}
        found[f"open at {name}"] = list(exchange.account.open_orders)
    for role, book in box.market.books.items():
        found[role] = (book.bid, book.ask, book.bid_lots, book.ask_lots, book.last, book.last_tick, book.version, book.trades)
    return found


def wandering(seed: int, steps: int = 400) -> Script:
    """Return a market that goes up and down by a few hundred USDT, with trades of all sizes, some of one time."""
    drawn, script, price = random.Random(seed), Script(), 60_000.0
    for _ in range(steps):
        price = round(price + drawn.uniform(-60, 60), 1)
        script.quote(price, lots=drawn.randrange(1, 400))
        for _ in range(drawn.randrange(3)):
            script.trade(round(price + drawn.uniform(-20, 20), 1), drawn.choice([-1, 1]) * drawn.randrange(1, 300))
            script.now -= drawn.choice([0, 1_000_000])
        script.wait(drawn.choice([0.5, 7, 90]))
    return script


Operation = tuple[str, int, int]
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["advance", "advance", "take", "rest", "when", "guarded", "spot", "mexc", "protect", "cancel", "amend", "lever", "shut", "adl"]),
        st.integers(0, 40),
        st.integers(-9, 9),
    ),
    min_size=4,
    max_size=25,
)


def act(box: Box, number: int, operation: Operation) -> None:
    """Do one thing to the Bybit account, or let time pass."""
    what, amount, shift = operation
    exchange = box.exchanges["mexc" if what == "mexc" else "bybit"]
    perp = exchange.listings[MEXC if what == "mexc" else PERP]
    last, side, name = exchange.depth.last(perp), Side.BUY if shift >= 0 else Side.SELL, f"c{number}"
    fields: dict[str, Any] = {"side": side, "lots": 1 + amount, "link_id": name}
    if what == "advance":
        box.advance(box.now_ns() + amount * S * (1 if shift < 5 else 900))
    elif what in ("take", "mexc"):
        exchange.place(order(perp.instrument.id, **fields))
    elif what == "rest":
        exchange.place(order(PERP, price=(last + shift * 30) / 10, reduce_only=amount % 5 == 0, **fields))
    elif what == "when":
        by = (PriceKind.LAST, PriceKind.MARK)[amount % 2]
        exchange.place(order(PERP, trigger=Trigger(last + shift * 50, shift > 0, by), **fields))
    elif what == "guarded":
        exchange.place(order(PERP, stop_loss=last - side.sign * 300, take_profit=last + side.sign * 400, **fields))
    elif what == "spot":
        exchange.place(order(SPOT, side=side, lots=100 + amount * 1_000, link_id=name, price=0.0 if amount % 2 else 60_000 - shift * 10))
    elif what == "protect":
        exchange.protection.request(PERP, stop_loss=max(0, last - shift * 100), take_profit=None if amount % 2 else last + shift * 100)
    elif what in ("cancel", "amend"):
        held = list(exchange.account.open_orders.values())
        if held and what == "cancel":
            exchange.cancel(held[amount % len(held)])
        elif held:
            exchange.amend(held[amount % len(held)], lots=1 + amount, price=last + shift * 20)
    elif what == "lever":
        exchange.set_leverage(PERP, 1 + amount)
    elif what == "adl":
        deleverage(exchange, PERP, 1 + amount)
    elif amount == 0:
        delist(exchange, PERP)
    box.outbox.settle()


@given(seed=st.integers(0, 5), operations=OPERATIONS, cuts=st.sets(st.integers(0, 25), max_size=3), kill=st.booleans())
@settings(max_examples=120, **QUIET)  # type: ignore[arg-type]
def test_an_account_is_the_same_whether_or_not_the_box_was_opened_again(
    tmp_path_factory: pytest.TempPathFactory, seed: int, operations: list[Operation], cuts: set[int], kill: bool
) -> None:
    script, path = wandering(seed), tmp_path_factory.mktemp("box") / "box"
    whole, kept = box_of(script, extra_coins=2), box_of(script, extra_coins=2, store=BoxStore(path))
    for number, operation in enumerate(operations):
        if number in cuts:
            kept = opened_again(kept, script, path, kill)
            whole.advance(kept.now_ns())
        act(whole, number, operation)
        act(kept, number, operation)
    kept = opened_again(kept, script, path, kill)
    whole.advance(kept.now_ns())
    try:
        assert everything(kept) == everything(whole)
    finally:
        kept.close()


def opened_again(box: Box, script: Script, path: Path, kill: bool) -> Box:
    """Close a box, or let it go as if its process had been killed, and open its file."""
    now, keeper = box.now_ns(), box._keeper
    assert keeper is not None
    if kill:
        keeper._store.close()
    else:
        box.close()
    made = box_of(script, extra_coins=2, store=BoxStore(path))
    assert now <= made.now_ns() <= now + (CLOCK_EVERY_NS if kill else 0)
    return made


def test_a_killed_box_knows_every_change_and_is_never_earlier_than_what_was_seen(tmp_path: Path) -> None:
    script, path = wandering(1), tmp_path / "box"
    box = box_of(script, store=BoxStore(path))
    made = placed(box.exchanges["bybit"], order(PERP, lots=50, link_id="first"))
    box.outbox.settle()
    box.advance(box.now_ns() + CLOCK_EVERY_NS * 7 // 2)
    seen = box.now_ns()
    let_go(box)
    again = box_of(script, store=BoxStore(path))
    known = again.exchanges["bybit"].by_link[False, "first"]
    assert (known.id, known.filled, known.status) == (made.id, made.filled, made.status) and known is not made
    assert seen <= again.now_ns() <= seen + CLOCK_EVERY_NS
    assert isinstance(again.exchanges["bybit"].place(order(PERP, link_id="first")), Refusal)
    again.close()


def test_events_of_one_time_happen_once(tmp_path: Path) -> None:
    script, path = Script().quote(60_000.0), tmp_path / "box"
    script.wait(1).trade(59_990.0, -30)
    script.now -= 1_000_000
    script.trade(59_990.0, -30)
    box = box_of(script, store=BoxStore(path))
    resting = placed(box.exchanges["bybit"], order(PERP, price=59_990.0, lots=100))
    box.advance(box.now_ns() + 5 * S, interrupted=lambda: resting.filled)
    assert resting.filled == 30
    let_go(box)
    again = box_of(script, store=BoxStore(path))
    assert again.exchanges["bybit"].orders[resting.id].filled == 60
    again.close()


def test_resting_orders_keep_their_turn(tmp_path: Path) -> None:
    script, path = Script().quote(60_000.0).wait(60).quote(59_000.0), tmp_path / "box"
    box = box_of(script, store=BoxStore(path))
    step(box, 3)
    exchange = box.exchanges["bybit"]
    first, second = (placed(exchange, order(PERP, price=59_900.0, lots=lots)) for lots in (10, 20))
    exchange.amend(first, lots=15)
    box.close()
    again = box_of(script, store=BoxStore(path))
    again.advance(again.now_ns() + 120 * S)
    assert [each.order.id for each in again.exchanges["bybit"].account.executions] == [second.id, first.id]
    again.close()


def test_what_happens_once_does_not_happen_again(tmp_path: Path) -> None:
    rules, path = [Rule(kind=FaultKind.MANUAL_TRADE, symbol="BTCUSDT", lots=10, from_s=at) for at in (5, 500)], tmp_path / "box"
    box = box_of(wandering(2), faults=rules, store=BoxStore(path))
    for at, orders in ((10, 1), (100, 1), (600, 2), (700, 2)):
        box.advance(box.start_ns + at * S)
        assert len(box.exchanges["bybit"].orders) == orders
        box.close()
        box = box_of(wandering(2), faults=rules, store=BoxStore(path))
    box.close()


def test_what_a_frame_tells_is_in_the_file_when_it_leaves(tmp_path: Path) -> None:
    path = tmp_path / "box"
    box = box_of(wandering(1), store=BoxStore(path))
    told = list[tuple[str, str]]()

    class Careful(Client):
        """A client that looks at the file at each frame that tells it of an order or an execution."""

        def __init__(self, box: Box, path: str) -> None:
            super().__init__(box, "bybit", path)
            self.socket._on_frame = self.look

        def look(self, frame: bytes) -> None:
            message, kept = msgspec.json.decode(frame), path.read_text()
            self.frames.append(message)
            rows = message.get("data") if isinstance(message.get("data"), list) else [message.get("data") or {}]
            for row in rows:
                for name in ("orderId", "execId"):
                    if isinstance(row, dict) and row.get(name):
                        assert f'"{row[name]}"' in kept
                        told.append((message.get("topic") or message["op"], name))

    expires = box.now_ns() // 1_000_000 + 10_000
    auth = {"op": "auth", "args": [KEY.key, expires, signature(KEY.secret, f"GET/realtime{expires}")]}
    private, trading = Careful(box, "/v5/private"), Careful(box, "/v5/trade")
    for client in (private, trading):
        client.send(auth)
    private.send({"op": "subscribe", "args": ["order", "execution"]})
    trading.send(trade_message(box, stopLoss="50000", orderLinkId="a"))
    buy(box, orderType="Limit", price="59000", orderLinkId="b")
    box.advance(box.now_ns() + H)
    assert {("order.create", "orderId"), ("execution", "execId"), ("order", "orderId")} <= set(told) and len(told) >= 6
    box.close()


def test_nobody_is_told_of_what_could_not_be_written(tmp_path: Path) -> None:
    box = box_of(wandering(1), store=BoxStore(tmp_path / "box"))
    keeper, told = box._keeper, []
    assert keeper is not None
    box.exchanges["bybit"].account.listeners.append(lambda event: box.outbox.keep(lambda: told.append(event)) if box.outbox.holding else told.append(event))
    full, fd = os.open("/dev/full", os.O_RDWR), keeper._store._fd
    keeper._store._fd = full
    placed(box.exchanges["bybit"], order(PERP))
    with pytest.raises(StoreError, match="No space left on device; the venue stands still"):
        box.advance(box.now_ns() + S)
    assert told == []
    keeper._store._fd = fd
    box.advance(box.now_ns() + S)
    assert len(told) >= 4
    os.close(full)
    again = opened_after(box, tmp_path / "box", wandering(1))
    assert len(again.exchanges["bybit"].account.executions) == 1
    again.close()


def test_a_file_that_has_grown_is_written_anew_while_it_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("titan_core.simulator.store.TURNED_OVER_BYTES", 10_000)
    script, path = wandering(3), tmp_path / "box"
    box, largest = box_of(script, store=BoxStore(path)), 0
    exchange = box.exchanges["bybit"]
    for number in range(200):
        resting = placed(exchange, order(PERP, price=50_000.0, lots=10, link_id=f"n{number}"))
        for lots in (11, 12, 13, 14, 15):
            exchange.amend(resting, lots=lots)
            box.outbox.settle()
        exchange.cancel(resting)
        box.advance(box.now_ns() + 20 * S)
        largest = max(largest, path.stat().st_size)
    before = everything(box)
    assert path.stat().st_size < largest
    again = opened_after(box, path, script)
    assert everything(again) == before and len(again.exchanges["bybit"].by_link) == 200
    again.close()


def test_bars_trades_and_prices_go_on_after_many_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("titan_core.simulator.market.KEPT_SPANS", 1)
    options: dict[str, Any] = {"ticks_per_day": 100_000, "start_ns": START + 4 * H}
    whole, kept = Box(5, **options), Box(5, store=BoxStore(tmp_path / "box"), **options)
    for days in (2, 3):
        for box in (whole, kept):
            box.advance(START + days * D + 7 * H)
            placed(box.exchanges["bybit"], order(PERP, lots=10))
            box.outbox.settle()
        kept.close()
        kept = Box(5, store=BoxStore(tmp_path / "box"), ticks_per_day=100_000)
        whole.advance(kept.now_ns())
        assert everything(kept) == everything(whole)
        for role, book in kept.market.books.items():
            asked = (kept.now_ns(), 60, 30)
            assert book.bars.query(*asked) == whole.market.books[role].bars.query(*asked)
            assert kept.market.trades_since(role, 50, kept.now_ns()) == whole.market.trades_since(role, 50, whole.now_ns())
    assert len(kept.market.bookmarks) == 2
    kept.close()


def let_go(box: Box) -> None:
    """Take the file from a box as if its process had been killed."""
    assert box._keeper is not None
    box._keeper._store.close()


def opened_after(box: Box, path: Path, script: Script) -> Box:
    box.close()
    return box_of(script, store=BoxStore(path))


# -- processes that are killed ----------------------------------------------------------------------------------------
class Told:
    """What all generations of a program were told before they were killed."""

    def __init__(self) -> None:
        self.orders: dict[str, str] = {}
        self.executions: set[str] = set()
        self.seen_ns = 0

    def take(self, text: str) -> None:
        """Take in what one generation has said; a line that has no end was not said."""
        for line in text[: text.rfind("\n") + 1].splitlines():
            what, *words = line.split()
            if what == "order":
                assert words[0] not in self.orders
                self.orders[words[0]] = words[1]
                self.seen_ns = int(words[2])
            elif what == "execution":
                self.executions.add(words[0])
            else:
                assert int(words[0]) >= self.seen_ns, "the market went back"


def killed_after(path: Path, generation: int, seconds: float) -> str:
    """Let a program trade for so long, kill it, and return what it has said."""
    command = [sys.executable, "-m", "tests.simulator.killed", str(path), f"g{generation}"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).resolve().parents[2])
    assert running.stdout is not None
    first = running.stdout.readline()
    time.sleep(seconds)
    running.send_signal(signal.SIGKILL)
    rest = running.stdout.read()
    running.stdout.close()
    assert running.wait() == -signal.SIGKILL
    return first + rest


def check_kept(path: Path, told: Told) -> None:
    """Compare a file with what was told, and its sums with each other."""
    store = BoxStore(path)
    found = store.open()
    store.close()
    assert found is not None
    head, saved = found
    account = saved.accounts["bybit"]
    orders = {each.link_id: each for each in account.orders.values() if each.link_id}
    assert told.orders.items() <= {name: each.id for name, each in orders.items()}.items()
    fills = {each.id: each for each in account.fills}
    assert told.executions <= fills.keys() and len(fills) == len(account.fills)
    assert len({each.number for each in account.orders.values()}) == len(account.orders)
    assert account.coins["USDT"] == head.deposit + sum(each.profit - each.fee for each in account.fills)
    trades = [each for each in account.fills if each.marker is None]
    assert account.positions[PERP].lots == sum(each.side.sign * each.lots for each in trades)
    filled = Counter[str]()
    for fill in trades:
        filled[fill.order] += fill.lots
    assert all(each.filled == filled[each.id] for each in account.orders.values())
    assert saved.clock.shown_ns >= told.seen_ns


def test_what_was_said_before_a_kill_is_known_after_it(tmp_path: Path) -> None:
    path, told, drawn = tmp_path / "box", Told(), random.Random(1)
    for generation in range(KILLS):
        told.take(killed_after(path, generation, drawn.uniform(0.05, 0.4)))
        check_kept(path, told)
    assert len(told.orders) > 5 * KILLS and len(told.executions) > 5 * KILLS
    box = box_at(path)
    assert box.now_ns() >= told.seen_ns and len(box.exchanges["bybit"].by_link) >= len(told.orders)
    box.close()


# -- files that cannot be used ----------------------------------------------------------------------------------------
def test_two_processes_cannot_have_one_file(tmp_path: Path) -> None:
    box = box_of(wandering(1), store=BoxStore(tmp_path / "box"))
    with pytest.raises(StoreError, match="another process runs the venue of"):
        box_of(wandering(1), store=BoxStore(tmp_path / "box"))
    box.close()
    box_of(wandering(1), store=BoxStore(tmp_path / "box")).close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"", "is not the file of a venue in a box; name another file"),
        (lambda data: b"SQLite format 3\0" + data, "is not the file of a venue in a box"),
        (lambda data: data.replace(b'"version":1', b'"version":9'), "has format 9, this program reads 1"),
        (lambda data: data.replace(b'"seed":1', b'"seed":2'), "line 1 .* is damaged .the checksum does not fit"),
        (lambda data: data[: data.index(b"\n") + 1], "line 2 .* is damaged .the clock is missing"),
        (lambda data: data.replace(b'"link_id":"first"', b'"link_id":"thirst"'), "line 6 .* is damaged .*put a copy in its place, or move the file away"),
        (lambda data: data.replace(b"\n", b"\n\0\0\0\n", 3), "line 2 .* is damaged"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_with_what_to_do(tmp_path: Path, change: Callable[[bytes], bytes], message: str) -> None:
    path = tmp_path / "box"
    box = box_of(wandering(1), store=BoxStore(path))
    placed(box.exchanges["bybit"], order(PERP, link_id="first"))
    box.close()
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(StoreError, match=message):
        box_of(wandering(1), store=BoxStore(path))
    path.unlink()
    box_of(wandering(1), store=BoxStore(path)).close()  # the lock was given back


def test_the_end_of_a_line_that_was_being_written_is_not_missed(tmp_path: Path) -> None:
    path = tmp_path / "box"
    box = box_of(wandering(1), store=BoxStore(path))
    placed(box.exchanges["bybit"], order(PERP, link_id="first"))
    box.outbox.settle()
    whole = len(path.read_bytes())
    placed(box.exchanges["bybit"], order(PERP, link_id="second"))
    box.close()
    path.write_bytes(path.read_bytes()[: whole + 100])
    again = box_of(wandering(1), store=BoxStore(path))
    assert set(again.exchanges["bybit"].by_link) == {(False, "first")}
    again.close()


def test_another_market_is_not_taken_for_the_same(tmp_path: Path) -> None:
    Box(5, ticks_per_day=100_000, store=BoxStore(tmp_path / "box")).close()
    for options, message in (
        ({"seed": 6}, "whose market is 'generated from seed 5 .*, not 'generated from seed 6"),
        ({"ticks_per_day": 120_000}, "with 100000 ticks a day"),
        ({"extra_coins": 3}, "whose extra coins is 0, not 3"),
    ):
        with pytest.raises(UsageError, match=message):
            Box(**{"seed": 5, "ticks_per_day": 100_000, **options}, store=BoxStore(tmp_path / "box"))  # type: ignore[arg-type]
    head = look(tmp_path / "box")
    assert head is not None and (head.seed, head.ticks_per_day, head.deposit) == (5, 100_000, 10_000 * 10**8)
    assert look(tmp_path / "none") is None


def test_a_file_of_the_first_format_is_read_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "box"
    path.write_bytes((Path(__file__).parent / "box_v1.txt").read_bytes())
    box = box_of(wandering(1), extra_coins=2, store=BoxStore(path))
    told = {name: (each["cash"], each["positions"], each["orders"], each["executions"], each["events"]) for name, each in state(box)["accounts"].items()}
    assert told == {
        "bybit": ("8794.19545216", {PERP: -9}, 9, 7, 33),
        "mexc": ("9999.99226198", {MEXC: -13}, 1, 2, 7),
    }
    held = box.exchanges["bybit"].account.open_orders.values()
    assert [(each.request.origin, each.trigger.price if each.trigger else 0) for each in held] == [(Origin.STOP_LOSS, 602_008), (Origin.TAKE_PROFIT, 601_308)]
    box.close()
