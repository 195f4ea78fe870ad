"""Subscriptions are counted, outages leave gaps and no holes, dead topics and sockets are found, against all three venues in a box."""

import asyncio
from collections.abc import Iterable

import pytest
from attrs import evolve

from tests.feed.boxes import DEPTH, GAP, QUOTE, TRADE, Bench, Seen, on_box
from titan_core.errors import UsageError
from titan_core.feed.events import FeedEventKind
from titan_core.model.enums import StreamKind
from titan_core.model.ids import InstrumentId
from titan_core.model.market import GapReason
from titan_core.model.units import S
from titan_core.simulator.faults import FaultKind, Rule

ALL = {QUOTE, TRADE, DEPTH, GAP}
MARK, INTEREST = StreamKind.MARK, StreamKind.OPEN_INTEREST
VENUES = ("bybit-linear", "bybit-spot", "binance-spot", "mexc-contract")
PATHS = {
    "bybit-linear": ("bybit", "/v5/public/linear", "publicTrade.*", "orderbook.50.*"),
    "bybit-spot": ("bybit", "/v5/public/spot", "publicTrade.*", "orderbook.50.*"),
    "binance-spot": ("binance", "/stream", "*@trade", "*@depth*"),
    "mexc-contract": ("mexc", "/edge", "*deal*", "*depth*"),
}


def rising(seen: Iterable[Seen]) -> bool:
    times = sorted(row[0] for each in seen for row in each.rows)
    return all(a < b for a, b in zip(times, times[1:], strict=False))


# -- subscriptions ------------------------------------------------------------------------------------------------------
def test_every_venue_brings_every_kind_over_one_connection_each() -> None:
    seen = {venue: Seen() for venue in VENUES}

    async def main(bench: Bench) -> None:
        for venue in VENUES:
            perp = {MARK, INTEREST} if venue in ("bybit-linear", "mexc-contract") else set()
            bench.feeds.subscribe(venue, "btc_usdt", ALL | perp, seen[venue])
            assert bench.feeds.doubt(InstrumentId(f"BTCUSDT.{venue}"))
        await asyncio.sleep(20)
        assert all(bench.feeds.doubt(InstrumentId(f"BTCUSDT.{venue}")) == "" for venue in VENUES)

    bench = on_box(main)
    for venue in VENUES:
        kinds = {kind for _, kind, _, _ in seen[venue].rows}
        assert kinds >= ALL - {GAP} and (kinds >= {MARK, INTEREST}) == (venue in ("bybit-linear", "mexc-contract"))
        assert [event.venue for event in bench.told(FeedEventKind.CONNECTED)].count(venue) == 1
    assert rising(seen.values()), "no two rows of all streams have one time"
    assert bench.feeds.faults() == ()


def test_two_receivers_share_a_topic_until_the_last_one_leaves() -> None:
    first, second = Seen(), Seen()

    async def main(bench: Bench) -> None:
        one = bench.feeds.subscribe("bybit-linear", "BTCUSDT", {TRADE, QUOTE}, first)
        two = bench.feeds.subscribe("bybit-linear", "BTCUSDT", {TRADE}, second)
        await asyncio.sleep(20)
        bench.feeds.unsubscribe(one)
        bench.feeds.unsubscribe(one)
        count = len(first.rows)
        await asyncio.sleep(20)
        assert len(first.rows) == count
        bench.feeds.unsubscribe(two)
        await asyncio.sleep(1)
        count = len(second.rows)
        assert "publicTrade.BTCUSDT" not in bench.box._bybit_public["linear"].topics
        await asyncio.sleep(10)
        assert len(second.rows) == count

    on_box(main)
    early = [row for row in second.rows if row[0] <= first.rows[-1][0]]
    assert [row for row in first.rows if row[1] is TRADE] == early[: len([row for row in first.rows if row[1] is TRADE])]
    assert len(second.rows) > len(early)


def test_what_does_not_exist_is_refused_by_name() -> None:
    async def main(bench: Bench) -> None:
        with pytest.raises(UsageError, match="NOPEUSDT.bybit-linear is not among"):
            bench.feeds.subscribe("bybit-linear", "NOPEUSDT", {TRADE}, print)
        with pytest.raises(UsageError, match="bybit-spot sends no mark"):
            bench.feeds.subscribe("bybit-spot", "BTCUSDT", {MARK}, print)
        with pytest.raises(UsageError, match="no kind of row"):
            bench.feeds.subscribe("bybit-spot", "BTCUSDT", {GAP}, print)
        await bench.feeds.close()
        with pytest.raises(UsageError, match="closed"):
            bench.feeds.subscribe("bybit-spot", "BTCUSDT", {TRADE}, print)

    on_box(main)


def test_a_topic_that_the_venue_refuses_does_not_spoil_the_others_of_its_request() -> None:
    seen = Seen()

    async def main(bench: Bench) -> None:
        known = next(each for each in bench.instruments if each.id == "BTCUSDT.bybit-linear")
        bench.feeds._known[InstrumentId("NOPEUSDT.bybit-linear")] = evolve(known, symbol="NOPEUSDT", base="NOPE")
        bench.feeds.subscribe("bybit-linear", "NOPEUSDT", {TRADE}, print)
        bench.feeds.subscribe("bybit-linear", "BTCUSDT", {TRADE}, seen)
        await asyncio.sleep(20)

    bench = on_box(main)
    assert [event.topic for event in bench.told(FeedEventKind.REFUSED)] == ["publicTrade.NOPEUSDT"]
    assert seen.of(TRADE)


def test_a_receiver_that_raises_is_reported_and_stops_nobody() -> None:
    seen, failures = Seen(), []

    def bad(*row: object) -> None:
        raise RuntimeError("receiver")

    async def main(bench: Bench) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context["exception"]))
        bench.feeds.subscribe("binance-spot", "BTCUSDT", {QUOTE}, bad)
        bench.feeds.subscribe("bybit-linear", "BTCUSDT", {QUOTE}, seen)
        await asyncio.sleep(5)

    bench = on_box(main)
    assert failures and seen.of(QUOTE) and len(bench.told(FeedEventKind.CONNECTED)) == 2


# -- outages ------------------------------------------------------------------------------------------------------------
def prints_of(venue: str, *faults: Rule, seconds: float = 60) -> tuple[Seen, Bench]:
    seen = Seen()

    async def main(bench: Bench) -> None:
        bench.feeds.subscribe(venue, "BTCUSDT", ALL, seen)
        await asyncio.sleep(1)
        for fault in faults:
            bench.box.add_fault(fault)
        await asyncio.sleep(seconds)

    return seen, on_box(main)


@pytest.mark.parametrize("venue", VENUES)
def test_after_a_reconnection_comes_a_gap_then_what_was_missed_then_what_comes(venue: str) -> None:
    name, path, *_ = PATHS[venue]
    whole, _ = prints_of(venue)
    seen, bench = prints_of(
        venue,
        Rule(kind=FaultKind.DISCONNECT, venue=name, where=f"{path}*", from_s=20),
        Rule(kind=FaultKind.REFUSE, venue=name, where=f"{path}*", to_s=27, from_s=20),
    )
    assert len(bench.told(FeedEventKind.CONNECTED)) == 2 and bench.told(FeedEventKind.UNREACHABLE)
    prints = [(event_ns, values) for _, kind, values, event_ns in seen.rows if kind is TRADE]
    wanted = [(event_ns, values) for _, kind, values, event_ns in whole.rows if kind is TRADE]
    assert prints == wanted[: len(prints)] and len(prints) >= len(wanted) - 3, "no print is lost, doubled or out of order"
    ((length_ns, reason),) = seen.of(GAP)
    assert reason == GapReason.RECONNECT and 6 * S < length_ns < 15 * S
    after = next(ts for ts, kind, _, _ in seen.rows if kind is GAP)
    assert not [ts for ts, kind, _, _ in seen.rows if after - length_ns + 1_000 < ts < after], "nothing came within the gap"


@pytest.mark.parametrize("venue", VENUES)
def test_a_black_holed_socket_is_found_in_less_than_four_seconds(venue: str) -> None:
    name, path, *_ = PATHS[venue]
    seen, bench = prints_of(venue, Rule(kind=FaultKind.BLACK_HOLE, venue=name, where=f"{path}*", from_s=10, to_s=10.5), seconds=30)
    (down, _) = bench.told(FeedEventKind.DISCONNECTED)
    assert 0 < down.ts_ns - (bench.box.start_ns + 10 * S) < 4 * S
    assert seen.of(GAP) and seen.rows[-1][0] > down.ts_ns + 5 * S


@pytest.mark.parametrize("place", [2, 3])
@pytest.mark.parametrize("venue", VENUES)
def test_a_muted_topic_on_a_living_socket_is_found_in_less_than_fifteen_seconds(venue: str, place: int) -> None:
    name, path, *_ = PATHS[venue]
    topic = PATHS[venue][place]
    seen, bench = prints_of(venue, Rule(kind=FaultKind.MUTE, venue=name, where=f"{path}*{topic}", from_s=20, to_s=34), seconds=60)
    silent = bench.told(FeedEventKind.SILENT)
    assert silent and 0 < silent[0].ts_ns - (bench.box.start_ns + 20 * S) < 15 * S, bench.events
    returned = [event for event in (*bench.told(FeedEventKind.ALIVE), *bench.told(FeedEventKind.SYNCED)) if event.ts_ns > silent[0].ts_ns]
    assert returned
    assert seen.of(GAP) and seen.rows[-1][0] > bench.box.start_ns + 58 * S


@pytest.mark.parametrize("venue", VENUES)
def test_while_a_topic_is_dead_the_instrument_is_in_doubt(venue: str) -> None:
    name, path, *_ = PATHS[venue]

    async def main(bench: Bench) -> None:
        instrument = InstrumentId(f"BTCUSDT.{venue}")
        bench.feeds.subscribe(venue, "BTCUSDT", ALL, Seen())
        await asyncio.sleep(5)
        assert bench.feeds.doubt(instrument) == "" and bench.feeds.is_up(instrument.partition(".")[2])  # type: ignore[arg-type]
        bench.box.add_fault(Rule(kind=FaultKind.MUTE, venue=name, where=f"{path}*"))
        await asyncio.sleep(15)
        assert bench.feeds.doubt(instrument)

    on_box(main)


def test_a_quiet_market_is_no_dead_topic() -> None:
    seen = {venue: Seen() for venue in VENUES}

    async def main(bench: Bench) -> None:
        for venue in VENUES:
            bench.feeds.subscribe(venue, "BTCUSDT", ALL, seen[venue])
        await asyncio.sleep(300)

    bench = on_box(main, ticks_per_day=150_000)
    times = [row[0] for row in seen["bybit-linear"].rows if row[1] is TRADE]
    longest = max(b - a for a, b in zip(times, times[1:], strict=False))
    assert longest > 12 * S, "the market was not quiet enough for this test to mean anything"
    assert not bench.told(FeedEventKind.SILENT) and not any(each.of(GAP) for each in seen.values())


# -- books --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("venue", VENUES)
def test_with_one_in_five_book_messages_lost_the_book_comes_back_in_step(venue: str) -> None:
    name, path, _, books = PATHS[venue]
    seen, bench = prints_of(venue, Rule(kind=FaultKind.DROP_FRAME, venue=name, where=f"{path}*{books}", probability=0.2, from_s=3, to_s=50), seconds=60)
    assert bench.told(FeedEventKind.BROKEN) and bench.told(FeedEventKind.SYNCED)
    assert [reason for _, reason in seen.of(GAP)].count(GapReason.SEQUENCE) == len(seen.of(GAP)) > 0
    assert seen.of(DEPTH) and seen.rows[-1][0] > bench.box.start_ns + 58 * S


@pytest.mark.parametrize("fault", [FaultKind.EMPTY, FaultKind.HTML, FaultKind.TRUNCATED, FaultKind.DROP_ANSWER])
@pytest.mark.parametrize("venue", ["binance-spot", "mexc-contract"])
def test_a_snapshot_that_is_none_makes_no_book(venue: str, fault: FaultKind) -> None:
    seen = Seen()

    async def main(bench: Bench) -> None:
        bench.box.add_fault(Rule(kind=fault, venue=PATHS[venue][0], where="GET *depth*", to_s=10))
        bench.feeds.subscribe(venue, "BTCUSDT", {DEPTH}, seen)
        await asyncio.sleep(9)
        assert bench.feeds.doubt(InstrumentId(f"BTCUSDT.{venue}")) and not seen.rows
        await asyncio.sleep(9)
        assert not bench.feeds.doubt(InstrumentId(f"BTCUSDT.{venue}")) and seen.rows

    on_box(main)


def test_without_rest_feeds_go_on_and_books_that_need_it_stay_in_doubt() -> None:
    seen = Seen()

    async def main(bench: Bench) -> None:
        bench.feeds.subscribe("binance-spot", "BTCUSDT", ALL, seen)
        await asyncio.sleep(30)
        assert "not in step" in bench.feeds.doubt(InstrumentId("BTCUSDT.binance-spot"))

    on_box(main, rest=False)
    assert seen.of(TRADE) and seen.of(QUOTE) and not seen.of(DEPTH)


# -- clock --------------------------------------------------------------------------------------------------------------
def test_a_clock_that_is_set_is_told_and_times_still_rise() -> None:
    seen = Seen()
    shift = 0

    async def main(bench: Bench) -> None:
        nonlocal shift
        bench.feeds.subscribe("bybit-linear", "BTCUSDT", {QUOTE}, seen)
        await asyncio.sleep(5)
        shift = -6 * S
        await asyncio.sleep(5)
        shift = 0
        await asyncio.sleep(5)

    bench = on_box(main, shift_ns=lambda: shift)
    assert len(bench.told(FeedEventKind.CLOCK_STEP)) == 2 and rising([seen])
