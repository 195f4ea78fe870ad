"""Binance Spot market streams (`/stream`, the combined form). One real frame, wrapped, stands below.

    {"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT",
     "b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}

`bookTicker` carries no time. Trade ids count up by one, so a loss shows; buyer is maker (`m` true) means that the taker sold. `depth@100ms` sends differences
that cover the ids `U` to `u`; the snapshot comes by REST. Source: binance-spot-api-docs, web-socket-streams.md.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from titan_core.feed.codecs.base import BaseCodec, BookRoute, only
from titan_core.feed.numbers import BadNumber, price_steps, size_steps
from titan_core.feed.port import Ack, Limits, Reply, Sink, Topic
from titan_core.model.enums import StreamKind
from titan_core.model.ids import VenueId
from titan_core.model.instrument import Instrument
from titan_core.model.units import MS
from titan_core.tape.faults import FaultKind
from titan_core.tape.importers.lines import preview
from titan_core.tape.importers.messages import AggTrade, DepthSnapshot, DepthUpdate, Frame, Whole

VENUE = VenueId("binance-spot")
_PREFIX = b'{"stream":"'
_KINDS = {StreamKind.QUOTE: "bookTicker", StreamKind.TRADE: "trade", StreamKind.DEPTH: "depth@100ms"}
_PARTIAL = tuple(f"depth{levels}{speed}" for levels in (5, 10, 20) for speed in ("", "@100ms"))
_Pairs = list[tuple[str, str]]


class _Error(msgspec.Struct, gc=False):
    code: int = 0
    msg: str = ""


class _Ticker(msgspec.Struct, gc=False):
    b: str
    B: str
    a: str
    A: str


class _Print(msgspec.Struct, gc=False):
    t: Whole
    p: str
    q: str
    m: bool
    T: Whole


class _Odd(msgspec.Struct, gc=False):
    stream: str = ""
    result: Any = msgspec.UNSET
    error: _Error | None = None
    code: int | None = None
    msg: str = ""
    id: Any = None
    topic: str = ""


class BinanceSpot(BaseCodec):
    """The codec of Binance Spot."""

    kinds = frozenset(_KINDS)
    limits = Limits(topics_per_request=100, requests_per_s=4, topics_per_connection=1024)

    def __init__(self, sink: Sink, compiled: Any = None) -> None:
        """`compiled` is `titan_core.feed.compiled`, where frames are to be read in compiled code; the rows are the same."""
        super().__init__(VENUE, sink, len(_PREFIX))
        self._compiled = compiled
        self._decode_odd = msgspec.json.Decoder(_Odd).decode
        self._decode_snapshot = msgspec.json.Decoder(DepthSnapshot[_Pairs]).decode

    def topics(self, instrument: Instrument, kinds: frozenset[StreamKind]) -> list[Topic]:
        """See Codec.topics."""
        only(kinds, self.kinds, instrument, self.venue)
        symbol = instrument.symbol.lower()
        return [Topic(f"{symbol}@{suffix}", instrument, frozenset({kind})) for kind, suffix in _KINDS.items() if kind in kinds]

    def key(self, topic: Topic) -> bytes:
        """See BaseCodec.key."""
        return _PREFIX + topic.name.encode()

    def taker(self, topic: Topic) -> Callable[[bytes], None]:
        """See BaseCodec.taker."""
        suffix = topic.name.partition("@")[2]
        kinds = set(topic.kinds)
        if suffix == "bookTicker" and kinds == {StreamKind.QUOTE}:
            return self._book_ticker(topic)
        if suffix in ("trade", "aggTrade") and kinds == {StreamKind.TRADE}:
            return self._prints(topic, suffix == "aggTrade")
        if suffix in ("depth", "depth@100ms") and kinds <= {StreamKind.QUOTE, StreamKind.DEPTH}:
            return self._depth(topic)
        if suffix in _PARTIAL and kinds <= {StreamKind.QUOTE, StreamKind.DEPTH}:
            return self._partial(topic)
        raise self.refuse_name(topic, f"bookTicker, trade, aggTrade, depth, depth@100ms, {', '.join(_PARTIAL)}")

    def subscribe(self, names: list[str], request: int) -> bytes:
        """See Codec.subscribe."""
        return msgspec.json.encode({"method": "SUBSCRIBE", "params": names, "id": request})

    def unsubscribe(self, names: list[str], request: int) -> bytes:
        """See Codec.unsubscribe."""
        return msgspec.json.encode({"method": "UNSUBSCRIBE", "params": names, "id": request})

    def heartbeat(self) -> bytes:
        """See Codec.heartbeat. Binance pings by itself; any request will do as a sign of life."""
        return msgspec.json.encode({"method": "LIST_SUBSCRIPTIONS", "id": 0})

    def snapshot(self, name: str, body: bytes) -> bool:
        """See Codec.snapshot: the body of `GET /api/v3/depth`."""
        route = self.books.get(name)
        if route is None:
            return True
        try:
            found = self._decode_snapshot(body)
            bids, asks = route.levels(found.bids), route.levels(found.asks)
        except (msgspec.MsgspecError, UnicodeDecodeError, BadNumber) as error:
            self.fault(error.kind if isinstance(error, BadNumber) else FaultKind.BAD_LINE, f"{name}: REST snapshot: {error}: {preview(body)}")
            return False
        return route.snapshot(0, found.lastUpdateId, bids, asks)

    def odd(self, frame: bytes) -> Reply | None:
        """See BaseCodec.odd."""
        found = self._decode_odd(frame)
        if found.stream:
            route = self.routes.get(found.stream)
            if route is not None:
                self.follow(route, frame)
            else:
                self.fault(FaultKind.UNKNOWN_MESSAGE, f"stream {found.stream} was not asked for: {preview(frame)}")
            return None
        request = "" if found.id is None else str(found.id)
        if found.error is not None or found.code is not None:
            error = found.error or _Error(found.code or 0, found.msg)
            return Ack(False, request, f"{error.code} {error.msg}")
        if found.result is not msgspec.UNSET:
            return Ack(True, request)
        what = "is not a Binance message" if found.topic else "is no message of a combined stream"
        self.fault(FaultKind.UNKNOWN_MESSAGE, f"{what}: {preview(frame)}; connect to wss://stream.binance.com:9443/stream")
        return None

    # -- topics -------------------------------------------------------------------------------------------------
    def _book_ticker(self, topic: Topic) -> Callable[[bytes], None]:
        decode = msgspec.json.Decoder(Frame[_Ticker]).decode
        price, size = price_steps(topic.instrument.tick_size), size_steps(topic.instrument.lot_size)
        emit, check = self.sink.emitter(topic.instrument.id, StreamKind.QUOTE), self.quotes(topic)

        def take(frame: bytes) -> None:
            found = decode(frame).data
            bid, ask = price[found.b], price[found.a]
            if 0 < bid < ask:
                emit(0, (bid, ask, size[found.B], size[found.A]))
            else:
                check(0, bid, ask, 0, 0)

        c = self._compiled
        if c is None or (room := c.room_for(self.key(topic), c.TICKER, topic.instrument)) is None:
            return take
        read = c.ticker

        def take_compiled(frame: bytes) -> None:
            values = read(frame, room)
            if values[0]:
                emit(0, values)
            else:
                take(frame)

        return take_compiled

    def _prints(self, topic: Topic, aggregated: bool) -> Callable[[bytes], None]:
        price, size = price_steps(topic.instrument.tick_size), size_steps(topic.instrument.lot_size)
        instrument, sink = topic.instrument.id, self.sink
        emit = sink.trade_emitter(instrument)
        decode: Callable[[bytes], Any] = msgspec.json.Decoder(Frame[AggTrade] if aggregated else Frame[_Print]).decode
        last = 0

        def jump(number: int) -> bool:
            """Report an id that does not follow; return whether the print is new."""
            if number <= last:
                self.fault(FaultKind.DUPLICATE, f"{topic.name}: trade id {number} after {last}; left out")
                return False
            self.fault(FaultKind.GAP, f"{topic.name}: trade ids jump from {last} to {number}: {number - last - 1} missing")
            sink.missing(instrument, last, number)
            return True

        def take(frame: bytes) -> None:
            nonlocal last
            found = decode(frame).data
            number = found.a if aggregated else found.t
            ticks, lots = price[found.p], size[found.q]
            if number != last + 1 and last and not jump(number):
                return
            last = number
            if ticks and lots:
                emit(found.T * MS, (ticks, -lots if found.m else lots), number)
            else:
                self.fault(FaultKind.OUT_OF_RANGE, f"{topic.name}: price {found.p}, quantity {found.q}; the row is dropped")

        c = self._compiled
        if c is None or (room := c.room_for(self.key(topic), c.AGG_TRADE if aggregated else c.TRADE, topic.instrument)) is None:
            return take
        read = c.agg_trade if aggregated else c.trade

        def take_compiled(frame: bytes) -> None:
            nonlocal last
            number, sent_ms, ticks, lots = read(frame, room)
            if number == last + 1:
                last = number
                emit(sent_ms * MS, (ticks, lots), number)
            else:
                take(frame)

        return take_compiled

    def _depth(self, topic: Topic) -> Callable[[bytes], None]:
        c = self._compiled
        room = None if c is None else c.room_for(self.key(topic), c.DEPTH, topic.instrument)
        if c is None or room is None:
            return self._plain_depth(BookRoute.of(self, topic, joins=True))
        sides = c.CompiledSides()
        route = BookRoute.of(self, topic, joins=True, sides=sides)
        plain, read, book = self._plain_depth(route), c.depth, route.book

        def take(frame: bytes) -> None:
            if book.readable and not book.worn:
                last, sent_ms = read(frame, room, book.last, sides.sides, sides.told)
                if last >= 0:
                    book.last = last
                    bids, bid_lots, asks, ask_lots = sides.told.tolist()
                    route.told(sent_ms * MS, (bids, bid_lots, asks, ask_lots))
                    return
            plain(frame)

        return take

    def _plain_depth(self, route: BookRoute) -> Callable[[bytes], None]:
        decode = msgspec.json.Decoder(Frame[DepthUpdate[_Pairs]]).decode

        def take(frame: bytes) -> None:
            found = decode(frame).data
            route.delta(found.E * MS, found.U, found.u, route.levels(found.b), route.levels(found.a))

        return take

    def _partial(self, topic: Topic) -> Callable[[bytes], None]:
        decode = msgspec.json.Decoder(Frame[DepthSnapshot[_Pairs]]).decode
        route = BookRoute.of(self, topic, joins=False)

        def take(frame: bytes) -> None:
            found = decode(frame).data
            known = route.book.last
            if known is not None and found.lastUpdateId < known:
                self.fault(FaultKind.DUPLICATE, f"{topic.name}: id {found.lastUpdateId} came after {known}; left out")
                return
            route.snapshot(0, found.lastUpdateId, route.levels(found.bids), route.levels(found.asks))

        return take
