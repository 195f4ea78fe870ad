"""Bybit V5 public streams, linear and spot. Two real frames, wrapped, stand below.

    {"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1758841135824,"data":[{"T":1758841135823,"s":"BTCUSDT","S":"Buy","v":"0.020",
     "p":"109378.90","L":"ZeroPlusTick","i":"2a74ac78-691c-5b54-9dbe-5aafe8364627","BT":false,"RPI":false,"seq":457514743450}]}
    {"topic":"orderbook.1.BTCUSDT","type":"snapshot","ts":1758841134603,"data":{"s":"BTCUSDT","b":[["109378.80","1.273"]],
     "a":[["109378.90","6.278"]],"u":14869255,"seq":457514742271},"cts":1758841134598}

Books start with a snapshot and count `u` up by one; u = 1 is a snapshot after a restart of the service. `tickers` sends everything once, then what changed.
The side of a liquidation is that of the position: Buy means that a long was liquidated, at its bankruptcy price. Source: V5 documentation, "WebSocket Stream".
"""

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from titan_core.errors import UsageError
from titan_core.feed.codecs.base import BaseCodec, BookRoute, Settlements, only
from titan_core.feed.numbers import BadNumber, interest_steps, mark_steps, price_steps, size_steps
from titan_core.feed.port import Ack, Limits, Pong, Reply, Sink, Topic
from titan_core.model.enums import StreamKind
from titan_core.model.ids import VenueId
from titan_core.model.instrument import Instrument
from titan_core.model.units import MS
from titan_core.tape.faults import FaultKind
from titan_core.tape.importers.lines import preview
from titan_core.tape.importers.messages import BybitLevels, BybitTicker, BybitTrade, Whole

LINEAR, SPOT = VenueId("bybit-linear"), VenueId("bybit-spot")
_PREFIX = b'{"topic":"'
_BOOK_LEVELS = ("1", "50", "200", "500", "1000")
_SPOT_KINDS = frozenset({StreamKind.QUOTE, StreamKind.DEPTH, StreamKind.TRADE})
_TICKER_KINDS = frozenset({StreamKind.MARK, StreamKind.OPEN_INTEREST, StreamKind.FUNDING})
_LINEAR_KINDS = _SPOT_KINDS | _TICKER_KINDS | {StreamKind.LIQUIDATION}
_REMEMBERED_IDS = 4096
_TIME_DIGITS = 13  # ms until the year 2286; in ns they fit 64 bits
_Pairs = list[tuple[str, str]]
T = TypeVar("T")


class _Frame(msgspec.Struct, Generic[T], gc=False):
    data: T
    ts: Whole
    type: str = ""


class _Liquidation(msgspec.Struct, gc=False):
    T: Whole
    S: str
    v: str
    p: str


class _OldLiquidation(msgspec.Struct, gc=False):
    """The topic `liquidation`, which sends at most one order a second."""

    updatedTime: Whole
    side: str
    size: str
    price: str


class _Odd(msgspec.Struct, gc=False):
    topic: str = ""
    ts: int = 0
    op: str = ""
    success: bool | None = None
    ret_msg: str = ""
    req_id: str = ""
    request: msgspec.Raw = msgspec.Raw(b"")
    stream: str = ""


class BybitV5(BaseCodec):
    """The codec of one of Bybit's public streams; `depth_levels` chooses the book that depth rows come from."""

    limits = Limits(topics_per_request=10, requests_per_s=10, topics_per_connection=500, heartbeat_s=20)
    repeated = ("orderbook.1.", "tickers.")

    def __init__(self, sink: Sink, venue: VenueId = LINEAR, depth_levels: int = 50) -> None:
        super().__init__(venue, sink, len(_PREFIX))
        if venue not in (LINEAR, SPOT):
            raise UsageError(f"{venue} does not speak Bybit V5; {LINEAR} and {SPOT} do")
        self._levels = depth_levels
        self.kinds = _LINEAR_KINDS if venue == LINEAR else _SPOT_KINDS
        self._decode_odd = msgspec.json.Decoder(_Odd).decode

    def topics(self, instrument: Instrument, kinds: frozenset[StreamKind]) -> list[Topic]:
        """See Codec.topics."""
        only(kinds, self.kinds, instrument, self.venue)
        names = {
            f"publicTrade.{instrument.symbol}": kinds & {StreamKind.TRADE},
            f"orderbook.1.{instrument.symbol}": kinds & {StreamKind.QUOTE},
            f"orderbook.{self._levels}.{instrument.symbol}": kinds & {StreamKind.DEPTH},
            f"tickers.{instrument.symbol}": kinds & _TICKER_KINDS,
            f"allLiquidation.{instrument.symbol}": kinds & {StreamKind.LIQUIDATION},
        }
        return [Topic(name, instrument, found) for name, found in names.items() if found]

    def key(self, topic: Topic) -> bytes:
        """See BaseCodec.key."""
        return _PREFIX + topic.name.encode()

    def taker(self, topic: Topic) -> Callable[[bytes], None]:
        """See BaseCodec.taker."""
        kind, _, rest = topic.name.partition(".")
        if kind == "publicTrade" and topic.kinds == {StreamKind.TRADE}:
            return self._trades(topic)
        if kind == "orderbook" and rest.partition(".")[0] in _BOOK_LEVELS and topic.kinds <= {StreamKind.QUOTE, StreamKind.DEPTH}:
            return self._book(topic)
        if kind == "tickers" and topic.kinds <= _TICKER_KINDS:
            return self._tickers(topic)
        if kind in ("allLiquidation", "liquidation") and topic.kinds == {StreamKind.LIQUIDATION}:
            return self._liquidations(topic, kind == "liquidation")
        raise self.refuse_name(topic, f"publicTrade, orderbook.{'|'.join(_BOOK_LEVELS)}, tickers, allLiquidation, liquidation")

    def subscribe(self, names: list[str], request: int) -> bytes:
        """See Codec.subscribe."""
        return msgspec.json.encode({"req_id": str(request), "op": "subscribe", "args": names})

    def unsubscribe(self, names: list[str], request: int) -> bytes:
        """See Codec.unsubscribe."""
        return msgspec.json.encode({"req_id": str(request), "op": "unsubscribe", "args": names})

    def heartbeat(self) -> bytes:
        """See Codec.heartbeat."""
        return b'{"op":"ping"}'

    def odd(self, frame: bytes) -> Reply | None:
        """See BaseCodec.odd."""
        found = self._decode_odd(frame)
        if (found.topic and not found.ts) or found.request:
            text = f"the peer speaks the Bybit protocol from before V5: {preview(frame)}; allowed are V5 topics: connect to wss://stream.bybit.com/v5/public"
            self.fault(FaultKind.UNKNOWN_MESSAGE, text)
        elif found.topic:
            route = self.routes.get(found.topic)
            if route is not None:
                self.follow(route, frame)
            else:
                self.fault(FaultKind.UNKNOWN_MESSAGE, f"topic {found.topic} was not asked for: {preview(frame)}")
        elif found.op == "pong" or found.ret_msg == "pong":
            return Pong()
        elif found.op and found.success is not None:
            return Ack(found.success, found.req_id, found.ret_msg)
        else:
            what = "is not a Bybit message" if found.stream else "is no topic and no answer"
            self.fault(FaultKind.UNKNOWN_MESSAGE, f"{what}: {preview(frame)}")
        return None

    # -- topics -------------------------------------------------------------------------------------------------
    def _trades(self, topic: Topic) -> Callable[[bytes], None]:
        decode = msgspec.json.Decoder(_Frame[list[BybitTrade]]).decode
        price, size = price_steps(topic.instrument.tick_size), size_steps(topic.instrument.lot_size)
        emit = self.sink.trade_emitter(topic.instrument.id)
        order: deque[str] = deque()
        seen: set[str] = set()

        def take(frame: bytes) -> None:
            for found in decode(frame).data:
                name = found.i
                if name in seen:
                    self.fault(FaultKind.DUPLICATE, f"{topic.name}: trade {name} again; left out")
                    continue
                ticks, lots = price[found.p], size[found.v]
                seen.add(name)
                order.append(name)
                if len(order) > _REMEMBERED_IDS:
                    seen.discard(order.popleft())
                if ticks and lots:
                    emit(found.T * MS, (ticks, lots if found.S == "Buy" else -lots), name)
                else:
                    self.fault(FaultKind.OUT_OF_RANGE, f"{topic.name}: price {found.p}, size {found.v}; the row is dropped")

        return take

    def _book(self, topic: Topic) -> Callable[[bytes], None]:
        decode = msgspec.json.Decoder(_Frame[BybitLevels[_Pairs]]).decode
        route = BookRoute.of(self, topic, joins=False)

        def take(frame: bytes) -> None:
            found = decode(frame)
            data = found.data
            bids, asks = route.levels(data.b), route.levels(data.a)
            if found.type == "snapshot" or data.u == 1:
                route.snapshot(found.ts * MS, data.u, bids, asks)
            else:
                route.delta(found.ts * MS, data.u, data.u, bids, asks)

        return take

    def _tickers(self, topic: Topic) -> Callable[[bytes], None]:
        decode = msgspec.json.Decoder(_Frame[BybitTicker]).decode
        instrument, kinds = topic.instrument, topic.kinds
        average, interest = mark_steps(instrument.tick_size), interest_steps(instrument.lot_size)
        emit = {kind: self.sink.emitter(instrument.id, kind) for kind in kinds}
        settlements = Settlements()
        mark, index = "", "0"

        def take(frame: bytes) -> None:
            nonlocal mark, index
            found = decode(frame)
            data, event_ns = found.data, found.ts * MS
            if data.fundingRate or data.nextFundingTime:
                settled = settlements.told(data.fundingRate or None, _due_ms(data.nextFundingTime or "0"))
                if settled is not None and StreamKind.FUNDING in emit:
                    emit[StreamKind.FUNDING](settled[0], (settled[1],))
            if data.markPrice or data.indexPrice:
                mark, index = data.markPrice or mark, data.indexPrice or index
                if mark and StreamKind.MARK in emit and (ticks := average[mark]):
                    emit[StreamKind.MARK](event_ns, (ticks, average[index]))
            if data.openInterest and StreamKind.OPEN_INTEREST in emit and (lots := interest[data.openInterest]):
                emit[StreamKind.OPEN_INTEREST](event_ns, (lots,))

        return take

    def _liquidations(self, topic: Topic, old: bool) -> Callable[[bytes], None]:
        price, size = price_steps(topic.instrument.tick_size), size_steps(topic.instrument.lot_size)
        emit = self.sink.emitter(topic.instrument.id, StreamKind.LIQUIDATION)
        decode, decode_old = msgspec.json.Decoder(_Frame[list[_Liquidation]]).decode, msgspec.json.Decoder(_Frame[_OldLiquidation]).decode

        def add(time_ms: int, side: str, quantity: str, at: str) -> None:
            ticks, lots = price[at], size[quantity]
            if ticks and lots:
                emit(time_ms * MS, (ticks, -lots if side == "Buy" else lots))
            else:
                self.fault(FaultKind.OUT_OF_RANGE, f"{topic.name}: price {at}, size {quantity}; the row is dropped")

        def take(frame: bytes) -> None:
            for found in decode(frame).data:
                add(found.T, found.S, found.v, found.p)

        def take_old(frame: bytes) -> None:
            found = decode_old(frame).data
            add(found.updatedTime, found.side, found.size, found.price)

        return take_old if old else take


def _due_ms(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= _TIME_DIGITS:
        return int(text)
    raise BadNumber(FaultKind.BAD_LINE, f"next funding time {text[:40]!r} is no time in ms")
