"""MEXC contract streams. Two real frames, wrapped, stand below.

    {"symbol":"DOGE_USDT","data":{"cts":1789498405531,"asks":[[0.080100,2868,1],[0.080140,7405,4]],"bids":[[0.08003,8905,4],[0.07969,0,0]],
     "end":8752808003,"begin":8752807948,"version":8752808003},"channel":"push.depth","ts":1789498405534}
    {"symbol":"BTC_USDT","data":{"symbol":"BTC_USDT","price":76027.1},"channel":"push.index.price","ts":1789498540911}

Numbers are JSON numbers and may come in exponent form (7.548E+4); sizes count contracts, which are the lots of the instrument. A merged difference covers the
versions `begin` to `end`, an unmerged one `version` alone; the snapshot comes by REST. Full depth is whole each time. Deals have no id. Acknowledgements say
what kind of topic, not which. The server closes a connection that sent no ping for 60 s. Source: MEXC contract API documentation, "Websocket API".
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated

import msgspec

from titan_core.feed.book import Levels
from titan_core.feed.codecs.base import BaseCodec, BookRoute, Settlements, only
from titan_core.feed.numbers import BadNumber, NumberSteps, interest_steps, mark_steps, price_steps, size_steps
from titan_core.feed.port import Ack, Limits, Pong, Reply, Sink, Topic
from titan_core.model.enums import StreamKind
from titan_core.model.ids import VenueId
from titan_core.model.instrument import Instrument
from titan_core.model.units import MS
from titan_core.tape.faults import FaultKind
from titan_core.tape.importers.lines import preview
from titan_core.tape.importers.messages import Whole

VENUE = VenueId("mexc-contract")
_KINDS = {
    StreamKind.QUOTE: ("depth",),
    StreamKind.DEPTH: ("depth",),
    StreamKind.TRADE: ("deal",),
    StreamKind.MARK: ("fair.price", "index.price"),
    StreamKind.FUNDING: ("funding.rate",),
    StreamKind.OPEN_INTEREST: ("ticker",),
}
_BOOK_KINDS = {StreamKind.QUOTE, StreamKind.DEPTH}
_ONE = Decimal(1)

Level = Annotated[list[Decimal], msgspec.Meta(min_length=2)]


class _Deal(msgspec.Struct, gc=False):
    p: Decimal
    v: Decimal
    T: int
    t: Whole
    i: str | int = ""


class _Depth(msgspec.Struct, gc=False):
    asks: list[Level]
    bids: list[Level]
    version: Whole
    begin: Whole | None = None
    end: Whole | None = None


class _Snapshot(msgspec.Struct, gc=False):
    success: bool
    data: _Depth


class _Price(msgspec.Struct, gc=False):
    price: Decimal


class _Rate(msgspec.Struct, gc=False):
    rate: Decimal
    nextSettleTime: Whole = 0


class _Ticker(msgspec.Struct, gc=False):
    holdVol: Decimal | None = None


class _Envelope(msgspec.Struct, gc=False):
    channel: str = ""
    symbol: str = ""
    ts: Whole = 0
    data: msgspec.Raw = msgspec.Raw(b"null")
    method: str = ""
    topic: str = ""


class MexcContract(BaseCodec):
    """The codec of MEXC's contract streams."""

    kinds = frozenset(_KINDS)
    limits = Limits(topics_per_request=1, requests_per_s=20, topics_per_connection=200, heartbeat_s=15)

    def __init__(self, sink: Sink) -> None:
        super().__init__(VENUE, sink, 0)
        self._decode = msgspec.json.Decoder(_Envelope).decode
        self._event_ns = 0
        self._marks: dict[str, list[int]] = {}

    def topics(self, instrument: Instrument, kinds: frozenset[StreamKind]) -> list[Topic]:
        """See Codec.topics."""
        only(kinds, self.kinds, instrument, self.venue)
        found: dict[str, set[StreamKind]] = {}
        for kind in sorted(kinds):
            for name in _KINDS[kind]:
                found.setdefault(f"{name}.{symbol_of(instrument)}", set()).add(kind)
        return [Topic(name, instrument, frozenset(of)) for name, of in found.items()]

    def key(self, topic: Topic) -> bytes:
        """See BaseCodec.key: the channel stands at the end of a frame, so topics are found by what the envelope says."""
        return topic.name.encode()

    def taker(self, topic: Topic) -> Callable[[bytes], None]:
        """See BaseCodec.taker."""
        channel = topic.name.rpartition(".")[0]
        if channel in ("depth", "depth.full") and topic.kinds <= _BOOK_KINDS:
            return self._depth(topic, channel == "depth.full")
        if channel == "deal" and topic.kinds == {StreamKind.TRADE}:
            return self._deals(topic)
        if channel in ("fair.price", "index.price") and topic.kinds == {StreamKind.MARK}:
            return self._prices(topic, channel == "fair.price")
        if channel == "funding.rate" and topic.kinds == {StreamKind.FUNDING}:
            return self._rates(topic)
        if channel == "ticker" and topic.kinds == {StreamKind.OPEN_INTEREST}:
            return self._tickers(topic)
        raise self.refuse_name(topic, "deal, depth, depth.full, fair.price, index.price, funding.rate, ticker")

    def subscribe(self, names: list[str], request: int) -> bytes:
        """See Codec.subscribe."""
        return self._ask("sub", names)

    def unsubscribe(self, names: list[str], request: int) -> bytes:
        """See Codec.unsubscribe."""
        return self._ask("unsub", names)

    def heartbeat(self) -> bytes:
        """See Codec.heartbeat."""
        return b'{"method":"ping"}'

    def snapshot(self, name: str, body: bytes) -> bool:
        """See Codec.snapshot: the body of `GET /api/v1/contract/depth/{symbol}`."""
        route = self.books.get(name)
        if route is None:
            return True
        try:
            found = msgspec.json.decode(body, type=_Snapshot)
            if not found.success or not (found.data.bids or found.data.asks):  # a delisted contract answers success with an empty book
                raise msgspec.ValidationError("the book is empty")
            bids, asks = self._levels(route, found.data)
        except (msgspec.MsgspecError, UnicodeDecodeError, BadNumber) as error:
            self.fault(error.kind if isinstance(error, BadNumber) else FaultKind.BAD_LINE, f"{name}: REST snapshot: {error}: {preview(body)}")
            return False
        return route.snapshot(0, found.data.version, bids, asks)

    def odd(self, frame: bytes) -> Reply | None:
        """See BaseCodec.odd: every frame comes here."""
        found = self._decode(frame)
        kind, _, channel = found.channel.partition(".")
        if kind == "push":
            route = self.routes.get(f"{channel}.{found.symbol}")
            if route is not None:
                self._odd -= 1
                self._event_ns = found.ts * MS
                self.follow(route, bytes(found.data))
            else:
                self.fault(FaultKind.UNKNOWN_MESSAGE, f"{found.channel} of {found.symbol or 'no symbol'} was not asked for: {preview(frame)}")
        elif kind == "rs":
            return Ack(channel != "error", "", "" if channel != "error" else bytes(found.data).decode("utf-8", "replace").strip('"'))
        elif kind == "pong":
            return Pong()
        else:
            what = "is a message of a client" if found.method else "is not a MEXC contract message"
            self.fault(FaultKind.UNKNOWN_MESSAGE, f"{what}: {preview(frame)}")
        return None

    # -- topics -------------------------------------------------------------------------------------------------
    def _deals(self, topic: Topic) -> Callable[[bytes], None]:
        decode = msgspec.json.Decoder(list[_Deal] | _Deal).decode
        price, size = NumberSteps(price_steps(topic.instrument.tick_size)), NumberSteps(size_steps(_ONE))
        emit = self.sink.trade_emitter(topic.instrument.id)

        def take(data: bytes) -> None:
            found = decode(data)
            for deal in found if isinstance(found, list) else [found]:
                ticks, lots = price[deal.p], size[deal.v]
                if ticks and lots and deal.T in (1, 2):
                    emit(deal.t * MS, (ticks, lots if deal.T == 1 else -lots), str(deal.i))
                else:
                    self.fault(FaultKind.OUT_OF_RANGE, f"{topic.name}: price {deal.p}, volume {deal.v}, side {deal.T}; the row is dropped")

        return take

    def _depth(self, topic: Topic, full: bool) -> Callable[[bytes], None]:
        decode = msgspec.json.Decoder(_Depth).decode
        route = BookRoute.of(self, topic, joins=not full, lot=_ONE)

        def take(data: bytes) -> None:
            found = decode(data)
            bids, asks = self._levels(route, found)
            if not full:
                first = found.version if found.begin is None else found.begin
                last = found.version if found.end is None else found.end
                route.delta(self._event_ns, first, last, bids, asks)
            elif route.book.last is None or found.version >= route.book.last:
                route.snapshot(self._event_ns, found.version, bids, asks)
            else:
                self.fault(FaultKind.DUPLICATE, f"{topic.name}: version {found.version} came after {route.book.last}; left out")

        return take

    def _prices(self, topic: Topic, fair: bool) -> Callable[[bytes], None]:
        decode = msgspec.json.Decoder(_Price).decode
        average = NumberSteps(mark_steps(topic.instrument.tick_size))
        emit = self.sink.emitter(topic.instrument.id, StreamKind.MARK)
        state = self._marks.setdefault(topic.instrument.symbol, [0, 0])  # one for both topics

        def take(data: bytes) -> None:
            state[0 if fair else 1] = average[decode(data).price]
            if state[0]:
                emit(self._event_ns, (state[0], state[1]))

        return take

    def _rates(self, topic: Topic) -> Callable[[bytes], None]:
        decode = msgspec.json.Decoder(_Rate).decode
        emit, settlements = self.sink.emitter(topic.instrument.id, StreamKind.FUNDING), Settlements()

        def take(data: bytes) -> None:
            found = decode(data)
            settled = settlements.told(found.rate, found.nextSettleTime)
            if settled is not None:
                emit(settled[0], (settled[1],))

        return take

    def _tickers(self, topic: Topic) -> Callable[[bytes], None]:
        decode = msgspec.json.Decoder(_Ticker).decode
        emit, interest = self.sink.emitter(topic.instrument.id, StreamKind.OPEN_INTEREST), NumberSteps(interest_steps(_ONE))

        def take(data: bytes) -> None:
            found = decode(data)
            if found.holdVol is not None and (lots := interest[found.holdVol]):
                emit(self._event_ns, (lots,))

        return take

    def _levels(self, route: BookRoute, found: _Depth) -> tuple[Levels, Levels]:
        price, size = route.price, route.size
        bids, asks = (([price[format(level[0], "f")] for level in side], [size[format(level[1], "f")] for level in side]) for side in (found.bids, found.asks))
        return bids, asks

    def _ask(self, verb: str, names: list[str]) -> bytes:
        (name,) = names
        channel, _, symbol = name.rpartition(".")
        param: dict[str, str | int] = {"symbol": symbol}
        if channel == "depth.full":
            param["limit"] = 20
        return msgspec.json.encode({"method": f"{verb}.{channel}", "param": param})


def symbol_of(instrument: Instrument) -> str:
    """Return what MEXC calls an instrument: base and quote with an underscore between."""
    return f"{instrument.base}_{instrument.quote}"
