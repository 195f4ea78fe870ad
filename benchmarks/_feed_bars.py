"""What becomes of market data when topics die and messages are lost: the reliability bars of the feeds, against the venue in a box, in virtual time."""

import asyncio
from collections import Counter

from tests.feed.boxes import DEPTH, GAP, QUOTE, TRADE, Bench, Seen, on_box
from titan_core.feed.events import FeedEventKind
from titan_core.feed.port import Values
from titan_core.model.enums import StreamKind
from titan_core.model.ids import InstrumentId
from titan_core.model.units import S
from titan_core.simulator.faults import FaultKind, Rule

ALL = {QUOTE, TRADE, DEPTH, GAP}
PATHS = {
    "bybit-linear": ("bybit", "/v5/public/linear", "publicTrade.*", "orderbook.50.*"),
    "bybit-spot": ("bybit", "/v5/public/spot", "publicTrade.*", "orderbook.50.*"),
    "binance-spot": ("binance", "/stream", "*@trade", "*@depth*"),
    "mexc-contract": ("mexc", "/edge", "*deal*", "*depth*"),
}
"""Per feed: the box's name of the venue, its path, and patterns of the topics of prints and books."""
MUTED_S, RETURN_S = 20.0, 45.0


def muted(venue: str, topics: str, seed: int) -> tuple[Bench, int]:
    """Mute topics for a while on a living socket; return what was told and how often they were asked for after that."""
    name, path, *_ = PATHS[venue]
    asked = 0

    async def main(bench: Bench) -> None:
        nonlocal asked
        bench.feeds.subscribe(venue, "BTCUSDT", ALL, Seen())
        await asyncio.sleep(1)
        bench.box.add_fault(Rule(kind=FaultKind.MUTE, venue=name, where=f"{path}*{topics}", from_s=MUTED_S, to_s=RETURN_S))
        await asyncio.sleep(MUTED_S - 2)
        before = len(bench.transport.sent)
        await asyncio.sleep(RETURN_S - MUTED_S + 30)
        asked = sum(b"btc" in sent.lower() and b"unsub" not in sent.lower() for sent in bench.transport.sent[before:])

    return on_box(main, seed=seed), asked


def bar_10(seed: int) -> tuple[float, str]:
    """Mute the prints, the books and everything, at each venue; return the longest time until it was found."""
    times, asked_in_all, back = [], 0, []
    for venue, (_, _, prints, books) in PATHS.items():
        for topics in (prints, books, "*"):
            bench, asked = muted(venue, topics, seed)
            silent = bench.told(FeedEventKind.SILENT)
            times.append((silent[0].ts_ns - bench.box.start_ns) / S - MUTED_S if silent else float("inf"))
            returned = [event.ts_ns for event in bench.events if event.kind in (FeedEventKind.ALIVE, FeedEventKind.SYNCED)]
            late = (max(returned, default=0) - bench.box.start_ns) / S - RETURN_S
            times.append(0.0 if late > 0 and asked else float("inf"))
            asked_in_all += asked
            back.append(late)
    found = [time for time in times if time > 0]
    said = (
        f"{len(back)} cases at {len(PATHS)} venues: found after {min(found):.1f} to {max(found):.1f} s, asked for again {asked_in_all} times, "
        f"all heard again within {max(back):.1f} s of speaking again"
    )
    return max(times), said


class Watching:
    """Takes the rows of an instrument as a run does: looks at each book it is handed, and decides on those only that the feed does not doubt."""

    def __init__(self, bench: Bench, instrument: InstrumentId) -> None:
        self._feeds, self._instrument = bench.feeds, instrument
        self.books: dict[int, Values] = {}
        self.rows = self.gapped = self.worn = 0

    def __call__(self, ts_ns: int, kind: StreamKind, values: Values, event_ns: int) -> None:
        """Note a row."""
        if kind is DEPTH:
            self.rows += 1
            doubt = self._feeds.doubt(self._instrument)
            if not doubt:
                self.books[event_ns] = values
            self.gapped += "not in step" in doubt
            self.worn += "beyond its snapshot" in doubt


def books(venue: str, share: float, seconds: float, seed: int) -> tuple[Watching, Bench, float]:
    """Follow a book while a share of its messages is lost; return the rows, what was told, and for how many seconds the book was in doubt."""
    name, path, _, topics = PATHS[venue]
    doubt_s, kept = 0.0, []

    async def main(bench: Bench) -> None:
        nonlocal doubt_s
        instrument = InstrumentId(f"BTCUSDT.{venue}")
        watching = Watching(bench, instrument)
        kept.append(watching)
        bench.feeds.subscribe(venue, "BTCUSDT", {DEPTH, GAP}, watching)
        await asyncio.sleep(3)
        if share:
            bench.box.add_fault(Rule(kind=FaultKind.DROP_FRAME, venue=name, where=f"{path}*{topics}", probability=share, to_s=seconds - 10))
        while bench.box.now_ns() < bench.box.start_ns + int(seconds * S):
            await asyncio.sleep(0.01)
            doubt_s += 0.01 if bench.feeds.doubt(instrument) else 0.0
        if "not in step" in bench.feeds.doubt(instrument):
            watching.gapped += 1

    bench = on_box(main, seed=seed)
    return kept[0], bench, doubt_s


def bar_12(seed: int, seconds: float = 300.0, share: float = 0.01) -> tuple[float, str]:
    """Lose book messages at each venue; return how many rows were handed on that were not the true book, or that the feed did not vouch for."""
    wrong, seen = 0, Counter[str]()
    in_doubt = 0.0
    for venue in PATHS:
        true, _, _ = books(venue, 0.0, seconds, seed)
        found, bench, doubt_s = books(venue, share, seconds, seed)
        wrong += found.gapped + sum(true.books.get(event_ns, values) != values for event_ns, values in found.books.items())
        lost = sum(rule.hits for rule in bench.box.faults.rules)
        wrong += not lost or not found.books
        told = Counter(event.kind for event in bench.events)
        compared = sum(event_ns in true.books for event_ns in found.books)
        seen.update(rows=found.rows, worn=found.worn, lost=lost, compared=compared, synced=told[FeedEventKind.SYNCED])
        in_doubt += doubt_s
    said = (
        f"{seen['lost']} messages lost at {len(PATHS)} venues in {seconds:.0f} s each: books put back in step {seen['synced']} times, in doubt "
        f"{in_doubt / len(PATHS) / seconds:.1%} of the time; {seen['rows']:,} rows handed on, {seen['worn']} of them told to reach beyond the snapshot, "
        f"{seen['compared']:,} compared with the true book"
    )
    return float(wrong), said
