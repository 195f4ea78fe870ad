"""What a codec is given and gives back: topics in, rows, faults and replies out. No sockets, no clock, no tasks."""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from attrs import frozen

from titan_core.model.enums import StreamKind
from titan_core.model.ids import InstrumentId, VenueId
from titan_core.model.instrument import Instrument
from titan_core.model.market import GapReason
from titan_core.tape.faults import FaultLog

Values = tuple[Any, ...]
"""The raw columns of a row after `ts`, as the engine takes them: integers, and lists of ten integers for a depth row."""

TradeId = int | str
"""How a venue names a print: Binance counts them, Bybit sends UUIDs, MEXC sends nothing ("")."""

Emit = Callable[[int, Values], None]
"""Takes a row: the venue's own time in ns (0 where it sends none) and the values."""

TradeEmit = Callable[[int, Values, TradeId], None]
"""Takes a print with its id, so that what was missed can be told from what was seen."""


@frozen
class Topic:
    """One thing that a venue sends when asked for it by `name`, and the kinds of row to make of it."""

    name: str
    instrument: Instrument
    kinds: frozenset[StreamKind]


class Sink(Protocol):
    """Where a codec's rows go."""

    def now_ns(self) -> int:
        """Return when the frame being fed was received."""
        ...

    def emitter(self, instrument: InstrumentId, kind: StreamKind) -> Emit:
        """Return what takes the rows of one stream. It is asked for once, when a topic is added."""
        ...

    def trade_emitter(self, instrument: InstrumentId) -> TradeEmit:
        """Return what takes the prints of one instrument."""
        ...

    def gap(self, instrument: InstrumentId, since_ns: int, reason: GapReason) -> None:
        """Note that what came after `since_ns` and before now may lack events of this instrument."""
        ...

    def missing(self, instrument: InstrumentId, after: TradeId, before: TradeId) -> None:
        """Note a gap since the last print: those between two ids have not come. Prints emitted from now on are held back until they have been asked for."""
        ...

    def resync(self, topic: Topic) -> None:
        """Ask for a snapshot of a topic's book; until it comes the book cannot be read, or is worn."""
        ...


class Ack(msgspec.Struct, frozen=True, gc=False):
    """The venue's answer to a request; `request` is the id that the request carried, empty where the venue repeats none."""

    ok: bool
    request: str
    text: str = ""


class Pong(msgspec.Struct, frozen=True, gc=False):
    """The venue's answer to a heartbeat of its own kind."""


Reply = Ack | Pong


@frozen
class Limits:
    """What a venue allows on one connection, and the beat it wants to hear."""

    topics_per_request: int
    requests_per_s: float
    topics_per_connection: int
    heartbeat_s: float | None = None
    """Seconds between heartbeats of the venue's own kind; None where pings of the websocket protocol are enough."""


class Route:
    """Where the frames of one topic go. `seen` counts them, so that a watchdog can tell whether any came without a look at the clock for each."""

    __slots__ = ("seen", "take", "topic")

    def __init__(self, topic: Topic, take: Callable[[bytes], None]) -> None:
        self.topic = topic
        self.take = take
        self.seen = 0


class Codec(Protocol):
    """The wire language of one venue."""

    @property
    def venue(self) -> VenueId:
        """The venue."""
        ...

    @property
    def limits(self) -> Limits:
        """What the venue allows on one connection."""
        ...

    @property
    def kinds(self) -> frozenset[StreamKind]:
        """The kinds of row that the venue sends."""
        ...

    @property
    def repeated(self) -> tuple[str, ...]:
        """How the names of topics begin that the venue repeats even where nothing changes, so that silence proves them dead."""
        ...

    @property
    def log(self) -> FaultLog:
        """What was not understood so far; a fault's line is the number of the frame."""
        ...

    @property
    def routes(self) -> dict[str, Route]:
        """The topics that have been added, by name."""
        ...

    def topics(self, instrument: Instrument, kinds: frozenset[StreamKind]) -> list[Topic]:
        """Return the topics that bring those kinds of row. Raises UsageError for a kind that the venue does not send."""
        ...

    def add(self, topic: Topic) -> None:
        """Understand a topic from now on; one of the same name is replaced."""
        ...

    def remove(self, name: str) -> None:
        """Forget a topic."""
        ...

    def subscribe(self, names: list[str], request: int) -> bytes:
        """Return the message that asks for topics, at most `limits.topics_per_request` of them."""
        ...

    def unsubscribe(self, names: list[str], request: int) -> bytes:
        """Return the message that ends topics."""
        ...

    def heartbeat(self) -> bytes:
        """Return the venue's own heartbeat message."""
        ...

    def feed(self, frame: bytes) -> Reply | None:
        """Take in one frame: rows go to the sink, what answers a request is returned. Never raises because of what a frame holds."""
        ...

    def snapshot(self, name: str, body: bytes) -> bool:
        """Take in a REST snapshot of a topic's book; return whether it could be used, else a newer one is needed."""
        ...

    def joins(self, name: str) -> bool:
        """Return whether a topic's book needs snapshots by REST."""
        ...

    def lose(self, name: str | None = None) -> None:
        """Forget what a topic's book (or every one) holds, because messages may have been lost. It cannot be read until it has a new snapshot."""
        ...

    def worn(self, name: str) -> bool:
        """Return whether the best levels of a topic's book reach beyond what its snapshot told, so that some may be missing."""
        ...

    def readable(self, name: str) -> bool:
        """Return whether a topic's book can be trusted now; true for topics without a book."""
        ...
