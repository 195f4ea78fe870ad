"""What the codecs share: finding a frame's route by its first bytes, and counting what is not understood."""

from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

import msgspec
from attrs import define

from titan_core.errors import UsageError
from titan_core.feed.book import Depth, Levels, Outcome, SequencedBook, Sides
from titan_core.feed.numbers import BadNumber, Steps, level_steps, price_steps
from titan_core.feed.port import Emit, Limits, Reply, Route, Sink, Topic
from titan_core.model.enums import StreamKind
from titan_core.model.ids import VenueId
from titan_core.model.instrument import Instrument
from titan_core.model.market import GapReason
from titan_core.model.units import MS, RATE_SCALE
from titan_core.tape.faults import FaultKind, FaultLog
from titan_core.tape.importers.lines import preview

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, BadNumber)
"""What reading a frame may raise because of what it holds."""

Texts = Sequence[tuple[str, str]]
"""Levels as venues write them: price and size."""


class BaseCodec:
    """Routes by the beginning of a frame: most venues write the topic first, so one look-up replaces decoding an envelope.

    What has no such beginning is decoded in full by `odd`, so a venue may write its fields in any order.
    """

    limits: Limits
    kinds: frozenset[StreamKind]
    """What the venue sends."""
    repeated: tuple[str, ...] = ()
    """How the names of topics begin that the venue repeats even where nothing changes, so that silence proves them dead."""

    def __init__(self, venue: VenueId, sink: Sink, skip: int) -> None:
        self.venue = venue
        self.sink = sink
        self.log = FaultLog(str(venue))
        self.routes: dict[str, Route] = {}
        self.books: dict[str, BookRoute] = {}
        self._skip = skip
        self._by_key: dict[bytes, Route] = {}
        self._odd = 0
        self.feed: Callable[[bytes], Reply | None] = self._feeder()
        """See Codec.feed."""

    # -- what each venue says for itself ------------------------------------------------------------------------
    def taker(self, topic: Topic) -> Callable[[bytes], None]:
        """Return what takes the frames of a topic. Raises UsageError for a name that the venue does not know."""
        raise NotImplementedError

    def key(self, topic: Topic) -> bytes:
        """Return how the frames of a topic begin, up to the quote that ends its name."""
        raise NotImplementedError

    def odd(self, frame: bytes) -> Reply | None:
        """Take in a frame that no key fits."""
        raise NotImplementedError

    # -- topics -------------------------------------------------------------------------------------------------
    def add(self, topic: Topic) -> None:
        """See Codec.add."""
        self.remove(topic.name)
        route = Route(topic, self.taker(topic))
        self.routes[topic.name] = self._by_key[self.key(topic)] = route

    def remove(self, name: str) -> None:
        """See Codec.remove."""
        route = self.routes.pop(name, None)
        self.books.pop(name, None)
        if route is not None:
            del self._by_key[self.key(route.topic)]

    def lose(self, name: str | None = None) -> None:
        """See Codec.lose."""
        for known, book in self.books.items():
            if name is None or name == known:
                book.book.lose()

    def readable(self, name: str) -> bool:
        """See Codec.readable."""
        book = self.books.get(name)
        return book is None or book.book.readable

    def worn(self, name: str) -> bool:
        """See Codec.worn."""
        book = self.books.get(name)
        return book is not None and book.book.worn

    def joins(self, name: str) -> bool:
        """Return whether a topic's book needs snapshots by REST."""
        book = self.books.get(name)
        return book is not None and book.book.joins

    def snapshot(self, name: str, body: bytes) -> bool:
        """See Codec.snapshot; books whose snapshots come in the stream need none."""
        return True

    # -- frames -------------------------------------------------------------------------------------------------
    def _feeder(self) -> Callable[[bytes], Reply | None]:
        """Make `feed`: a closure, because it runs once per frame."""
        by_key, skip, taken = self._by_key, self._skip, self._taken

        def feed(frame: bytes) -> Reply | None:
            route = by_key.get(frame[: frame.find(b'"', skip)])
            if route is None:
                return taken(frame)
            route.seen += 1
            try:
                route.take(frame)
            except UNREADABLE as error:
                self._refuse(route, frame, error)
            return None

        return feed

    def _taken(self, frame: bytes) -> Reply | None:
        self._odd += 1
        try:
            return self.odd(frame)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            self.fault(FaultKind.BAD_LINE, f"{error}: {preview(frame)}")
            return None

    def follow(self, route: Route, frame: bytes) -> None:
        """Hand a frame to its route; what cannot be read is counted and described."""
        route.seen += 1
        try:
            route.take(frame)
        except UNREADABLE as error:
            self._refuse(route, frame, error)

    def _refuse(self, route: Route, frame: bytes, error: Exception) -> None:
        kind = error.kind if isinstance(error, BadNumber) else FaultKind.BAD_LINE
        self.fault(kind, f"{route.topic.name}: {error}: {preview(frame)}")

    def fault(self, kind: FaultKind, text: str) -> None:
        """Count a fault of the frame at hand."""
        self.log.add(kind, self._odd + sum(route.seen for route in self.routes.values()), text)

    # -- rows ---------------------------------------------------------------------------------------------------
    def quotes(self, topic: Topic) -> Callable[[int, int, int, int, int], None]:
        """Return what takes (event time, bid, ask, bid lots, ask lots) and lets through what can be: both sides there, not crossed."""
        emit, name = self.sink.emitter(topic.instrument.id, StreamKind.QUOTE), topic.name

        def quote(event_ns: int, bid: int, ask: int, bid_lots: int, ask_lots: int) -> None:
            if 0 < bid < ask:
                emit(event_ns, (bid, ask, bid_lots, ask_lots))
            elif bid and ask:
                self.fault(FaultKind.CROSSED_BOOK, f"{name}: ask {ask} ticks under a bid of {bid}; the row is dropped")
            else:
                self.fault(FaultKind.OUT_OF_RANGE, f"{name}: a side of the book is empty; the row is dropped")

        return quote

    def refuse_name(self, topic: Topic, allowed: str) -> UsageError:
        """Return the error for a topic that the venue does not know, or not for those kinds."""
        return UsageError(f"{self.venue} has no topic {topic.name} for {', '.join(sorted(topic.kinds))}; it has {allowed}")


@define(eq=False, slots=True)
class BookRoute:
    """A book behind a topic: keeps its sequence, emits a quote where the best levels change and a depth row per message."""

    codec: BaseCodec
    topic: Topic
    book: SequencedBook
    price: Steps
    size: Steps
    quote: Callable[[int, int, int, int, int], None] | None
    depth: Emit | None
    now_ns: Callable[[], int]
    best: tuple[int, int, int, int] = (0, 0, 0, 0)
    since_ns: int = 0
    """When the newest message came that was in sequence."""

    @classmethod
    def of(cls, codec: BaseCodec, topic: Topic, joins: bool, lot: Decimal | None = None, sides: Sides | None = None) -> "BookRoute":
        """Make the book of a topic and let the codec know it. `lot` is one where the venue counts contracts; `sides` keep the levels."""
        quote = codec.quotes(topic) if StreamKind.QUOTE in topic.kinds else None
        depth = codec.sink.emitter(topic.instrument.id, StreamKind.DEPTH) if StreamKind.DEPTH in topic.kinds else None
        price, size = price_steps(topic.instrument.tick_size), level_steps(topic.instrument.lot_size if lot is None else lot)
        route = cls(codec, topic, SequencedBook(joins, sides), price, size, quote, depth, codec.sink.now_ns)
        codec.books[topic.name] = route
        return route

    def levels(self, texts: Texts) -> Levels:
        """Put levels on the grid. Raises BadNumber; then nothing of the message is applied, and its absence shows in the sequence."""
        price, size = self.price, self.size
        return [price[p] for p, _ in texts], [size[s] for _, s in texts]

    def delta(self, event_ns: int, first: int, last: int, bids: Levels, asks: Levels) -> None:
        """Apply a difference and emit what it makes."""
        known, outcome = self.book.last, self.book.delta(first, last, bids, asks)
        if outcome is Outcome.APPLIED:
            self.emit(event_ns)
            return
        name, codec = self.topic.name, self.codec
        if outcome is Outcome.BROKEN:
            codec.fault(FaultKind.GAP, f"{name}: id {first} follows {known}; the book is not readable until it has a new snapshot")
            codec.sink.gap(self.topic.instrument.id, self.since_ns or self.now_ns(), GapReason.SEQUENCE)
        elif outcome is Outcome.REPEATED:
            codec.fault(FaultKind.DUPLICATE, f"{name}: id {last} came after {known}; left out")
            return
        self.since_ns = self.now_ns()
        codec.sink.resync(self.topic)

    def snapshot(self, event_ns: int, update_id: int, bids: Levels, asks: Levels) -> bool:
        """Load a whole book and emit what it makes; return whether it fits what came in the stream."""
        outcome = self.book.snapshot(update_id, bids, asks)
        if outcome is Outcome.APPLIED:
            self.emit(event_ns)
        elif outcome is Outcome.UNFIT and self.book.readable:
            return False
        elif outcome is Outcome.UNFIT:
            self.codec.fault(FaultKind.UNSYNCED, f"{self.topic.name}: the snapshot ends at id {update_id}, before the first difference kept; another is needed")
            return False
        return True

    def emit(self, event_ns: int) -> None:
        """Emit the rows of the book as it is now."""
        if self.depth is None:
            best = self.book.best()
            self._check_reach(best[0], best[1])
            self._emit(event_ns, best, None)
        else:
            self.told(event_ns, self.book.depth())

    def told(self, event_ns: int, depth: Depth) -> None:
        """Emit the rows of a book with these best levels."""
        self._check_reach(depth[0][-1], depth[2][-1])
        self._emit(event_ns, (depth[0][0], depth[2][0], depth[1][0], depth[3][0]), depth)

    def _check_reach(self, bid: int, ask: int) -> None:
        """Ask for another snapshot where the best levels reach beyond the last one; whoever is handed the row can see that in time."""
        if self.book.joins and self.book.wear(bid, ask):
            self.codec.sink.resync(self.topic)

    def _emit(self, event_ns: int, best: tuple[int, int, int, int], depth: Depth | None) -> None:
        self.since_ns = self.now_ns()
        bid, ask, bid_lots, ask_lots = best
        if self.quote is not None and best != self.best:
            self.quote(event_ns, bid, ask, bid_lots, ask_lots)
        self.best = best
        if self.depth is not None and depth is not None:
            if 0 < bid and 0 < ask <= bid:
                self.codec.fault(FaultKind.CROSSED_BOOK, f"{self.topic.name}: ask {ask} ticks under a bid of {bid}; the row is dropped")
            else:
                self.depth(event_ns, depth)


class Settlements:
    """Turns "rate r is due at t" into settlements: when the due time moves on, the one before has been paid at the rate last told for it."""

    __slots__ = ("_due_ms", "_rate")

    def __init__(self) -> None:
        self._due_ms = 0
        self._rate: int | None = None

    def told(self, rate: Decimal | str | None, due_ms: int) -> tuple[int, int] | None:
        """Take in a rate (None where unchanged) and the time it is due at (0 where unchanged); return (time in ns, rate in 1e-8) of a settlement."""
        settled = None
        if due_ms > self._due_ms:
            if self._due_ms and self._rate is not None:
                settled = (self._due_ms * MS, self._rate)
            self._due_ms = due_ms
        if rate is not None:
            self._rate = rate_e8(rate)
        return settled


def rate_e8(rate: Decimal | str) -> int:
    """Convert a funding rate to whole 1e-8, nearest first. Raises BadNumber for what is no rate."""
    try:
        value = Decimal(rate)
        if abs(value) < 1:
            return int((value * RATE_SCALE).to_integral_value(ROUND_HALF_EVEN))
    except InvalidOperation:
        pass
    raise BadNumber(FaultKind.OUT_OF_RANGE, f"funding rate {rate!r} is not a number between -1 and 1")


def only(kinds: frozenset[StreamKind], allowed: frozenset[StreamKind], instrument: Instrument, venue: VenueId) -> None:
    """Raise UsageError unless the instrument belongs to the venue and all kinds are allowed."""
    if instrument.venue != venue:
        raise UsageError(f"{instrument.id} is not an instrument of {venue}")
    for kind in sorted(kinds - allowed):
        raise UsageError(f"{venue} sends no {kind}; it sends {', '.join(sorted(allowed))}")
