"""One venue as the rest of Titan sees it: topics counted by use, gaps noted, books put back in step, missed prints fetched.

After an outage the first frame of each topic is preceded by a gap row, and prints are held back until those that were missed have been asked for, so
that a receiver sees: gap, missed prints, prints. Quotes and books are not made up for; their newest state is all that matters.
"""

import asyncio
from collections import Counter
from collections.abc import Callable

from titan_core.errors import VenueUnavailable
from titan_core.feed.channels import Channel, Handler, TradeChannel
from titan_core.feed.connection import VenueConnection
from titan_core.feed.events import FeedEventKind
from titan_core.feed.port import Codec, Emit, Sink, Topic, TradeEmit, TradeId, Values
from titan_core.feed.rest.port import Print, VenueRest
from titan_core.feed.strict_time import StrictTime
from titan_core.feed.tasks import Tasks
from titan_core.feed.transport import Transport
from titan_core.feed.watch import Patience, Watched, after_first
from titan_core.model.enums import StreamKind
from titan_core.model.ids import InstrumentId
from titan_core.model.instrument import Instrument
from titan_core.model.market import GapReason

Tell = Callable[[FeedEventKind, str, str, str], None]
RESYNC_EVERY_S = 1.0
"""A snapshot is asked for at most so often per book."""
GRACE_S = 1.0
"""What REST knows and the stream does not may still be on its way for so long."""
STEP_S = 5.0
"""How long a book may take to be in step after it was asked for, to be told so."""
_BOOKS = frozenset({StreamKind.QUOTE, StreamKind.DEPTH})


class VenueFeed:
    """The sink of one codec and the owner of one connection."""

    def __init__(
        self,
        make_codec: Callable[[Sink], Codec],
        transport: Transport,
        url: str,
        rest: VenueRest | None,
        time: StrictTime,
        tell: Tell,
        jitter: Callable[[], float],
        patience: Patience,
    ) -> None:
        self.time, self.rest, self.tell, self.patience = time, rest, tell, patience
        self.codec = make_codec(self)
        self.connection = VenueConnection(
            self.codec, transport, url, self, time, jitter=jitter, patience=patience, quiet_kinds=lambda topic: self._may_be_quiet(topic)
        )
        self._channels: dict[tuple[InstrumentId, StreamKind], Channel] = {}
        self._prints: dict[InstrumentId, TradeChannel] = {}
        self._uses: Counter[str] = Counter()
        self._topics: dict[str, Topic] = {}
        self._tasks = Tasks(f"the {self.codec.venue} feed")
        self._syncing: dict[str, float] = {}
        self._resuming: dict[str, tuple[int, GapReason]] = {}
        self._gap_ends: dict[InstrumentId, int] = {}
        self._answers: dict[str, tuple[int, object]] = {}
        self._down_ns = 0

    # -- subscriptions --------------------------------------------------------------------------------------------
    def add(self, token: int, instrument: Instrument, kinds: frozenset[StreamKind], handler: Handler) -> None:
        """Hand rows to a receiver. Raises UsageError for kinds that the venue does not send, and then changes nothing."""
        wanted = [topic.name for topic in self.codec.topics(instrument, kinds - {StreamKind.GAP})]
        offered = {topic.name: topic for topic in self.codec.topics(instrument, self.codec.kinds)}
        new = [offered[name] for name in wanted if not self._uses[name]]
        self.connection.add(new)
        for topic in new:
            self._topics[topic.name] = topic
        self._uses.update(wanted)
        for kind in kinds:
            self._channel(instrument.id, kind).add(token, handler)

    def remove(self, token: int, instrument: Instrument, kinds: frozenset[StreamKind]) -> None:
        """Stop handing rows to a receiver; topics that nobody uses any more are ended."""
        for kind in kinds:
            self._channel(instrument.id, kind).remove(token)
        names = [topic.name for topic in self.codec.topics(instrument, kinds - {StreamKind.GAP})]
        self._uses.subtract(names)
        unused = [name for name in names if self._uses[name] <= 0]
        for name in unused:
            del self._topics[name], self._uses[name]
            self._resuming.pop(name, None)
            self._syncing.pop(name, None)
            self._answers.pop(name, None)
        self.connection.remove(unused)

    @property
    def is_used(self) -> bool:
        """Whether anybody has subscribed."""
        return bool(self._uses)

    def doubt(self, instrument: InstrumentId) -> str:
        """Return why the rows of an instrument cannot be trusted to be the newest at this moment; empty where they can."""
        if not self.connection.is_up:
            return f"{self.codec.venue} is not connected"
        for name, topic in self._topics.items():
            if topic.instrument.id != instrument:
                continue
            if not self.codec.readable(name):
                return f"the book of {name} is not in step"
            if self.codec.worn(name):
                return f"the best levels of {name} reach beyond its snapshot"
            if not self.connection.watched[name].route.seen and topic.kinds & _BOOKS:
                return f"{name} has sent nothing yet"
            if name in self._resuming:
                return f"{name} has sent nothing since the last outage" if not self.connection.watched[name].strikes else f"{name} is silent"
        return ""

    def _channel(self, instrument: InstrumentId, kind: StreamKind) -> Channel:
        if kind is StreamKind.TRADE:
            return self._prints.setdefault(instrument, TradeChannel(self.time))
        return self._channels.setdefault((instrument, kind), Channel(kind, self.time))

    # -- the codec's sink -------------------------------------------------------------------------------------------
    def now_ns(self) -> int:
        """See Sink.now_ns."""
        return self.time.now

    def emitter(self, instrument: InstrumentId, kind: StreamKind) -> Emit:
        """See Sink.emitter."""
        return self._channel(instrument, kind).emitter()

    def trade_emitter(self, instrument: InstrumentId) -> TradeEmit:
        """See Sink.trade_emitter."""
        return self._prints.setdefault(instrument, TradeChannel(self.time)).trade_emitter()

    def gap(self, instrument: InstrumentId, since_ns: int, reason: GapReason) -> None:
        """See Sink.gap. A stretch that lies in one already noted makes no second row."""
        if self._gap_ends.get(instrument, 0) > since_ns:
            return
        channel = self._channel(instrument, StreamKind.GAP)
        self._gap_ends[instrument] = ts_ns = self.time.next()
        for handler in channel.handlers:
            handler(ts_ns, StreamKind.GAP, (ts_ns - since_ns, int(reason)), 0)

    def missing(self, instrument: InstrumentId, after: TradeId, before: TradeId) -> None:
        """See Sink.missing."""
        channel = self._prints[instrument]
        self.gap(instrument, channel.last_ts_ns or self.time.now, GapReason.SEQUENCE)
        self._hold(self._instrument(instrument))

    def resync(self, topic: Topic) -> None:
        """See Sink.resync."""
        now = asyncio.get_running_loop().time()
        if topic.name not in self._topics or now - self._syncing.get(topic.name, float("-inf")) < RESYNC_EVERY_S:
            return
        self._syncing[topic.name] = now
        if not self.codec.joins(topic.name):
            self.tell(FeedEventKind.BROKEN, self.codec.venue, topic.name, f"the book of {topic.name} is not in step; asked for again")
            self.connection.resubscribe(topic.name)
            self._tasks.start(self._await_step(topic))
        elif self.rest is None:
            self.tell(FeedEventKind.BROKEN, self.codec.venue, topic.name, f"{topic.name} needs a snapshot by REST, which is not at hand")
        else:
            self._tasks.start(self._fetch_snapshot(topic, self.rest))

    # -- the connection's owner -------------------------------------------------------------------------------------
    def on_up(self, connection: VenueConnection) -> None:
        """See Owner.on_up."""
        if self._down_ns:
            for watched in connection.watched.values():
                since = min(self._down_ns, watched.heard_ns or self._down_ns) if watched.strikes else self._down_ns
                self._await_return(watched, since, GapReason.RECONNECT)

    def on_down(self, connection: VenueConnection) -> None:
        """See Owner.on_down."""
        self._down_ns = connection.last_ns or self._down_ns
        self._syncing.clear()

    def on_subscribed(self, connection: VenueConnection, names: list[str]) -> None:
        """See Owner.on_subscribed. A snapshot asked for now is at least as new as the stream's beginning, so it fits."""
        for name in names:
            if name in self._topics and self.codec.joins(name) and not self.codec.readable(name):
                self.resync(self._topics[name])

    def on_silent(self, connection: VenueConnection, watched: Watched) -> None:
        """See Owner.on_silent."""
        self._await_return(watched, watched.heard_ns or self.time.now, GapReason.SILENCE)

    def on_quiet(self, connection: VenueConnection, watched: Watched) -> None:
        """See Owner.on_quiet."""
        if self.rest is None:
            connection.excuse(watched)
        else:
            self._tasks.start(self._compare(watched, self.rest))

    def _await_return(self, watched: Watched, since_ns: int, reason: GapReason) -> None:
        topic = watched.route.topic
        if topic.name not in self._resuming:
            self._resuming[topic.name] = (since_ns, reason)
            after_first(watched.route, lambda: self._returned(topic))

    def _returned(self, topic: Topic) -> None:
        """Note the gap that ends with a topic's first frame after an outage."""
        found = self._resuming.pop(topic.name, None)
        if found is not None:
            self.gap(topic.instrument.id, *found)
            if StreamKind.TRADE in topic.kinds:
                self._hold(topic.instrument)

    # -- tasks ------------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Keep the connection until cancelled."""
        try:
            await self.connection.run()
        finally:
            await self._tasks.close()

    async def _fetch_snapshot(self, topic: Topic, rest: VenueRest) -> None:
        """Ask for a snapshot; where it does not fit, the next difference asks again."""
        why = f"the best levels of {topic.name} reach beyond its snapshot" if self.codec.worn(topic.name) else f"the book of {topic.name} is not in step"
        self.tell(FeedEventKind.BROKEN, self.codec.venue, topic.name, f"{why}; a snapshot is asked for")
        try:
            body = await rest.depth(topic.instrument)
        except VenueUnavailable as error:
            self.tell(FeedEventKind.BROKEN, self.codec.venue, topic.name, f"no snapshot of {topic.name}: {error}")
            return
        if topic.name in self._topics and self.connection.is_up:
            self.time.frame()
            self.codec.snapshot(topic.name, body)
            await self._await_step(topic)

    async def _await_step(self, topic: Topic) -> None:
        """Tell when a book is in step again."""
        deadline = asyncio.get_running_loop().time() + STEP_S
        while topic.name in self._topics and asyncio.get_running_loop().time() < deadline:
            if self.codec.readable(topic.name):
                self.tell(FeedEventKind.SYNCED, self.codec.venue, topic.name, f"the book of {topic.name} is in step")
                return
            await asyncio.sleep(0.05)

    def _hold(self, instrument: Instrument) -> None:
        """Hold prints back and ask for those that were missed, where any were seen before."""
        channel = self._prints.get(instrument.id)
        if channel is not None and self.rest is not None and channel.last_ts_ns and channel.held is None:
            channel.hold()
            self._tasks.start(self._fill(instrument, channel, self.rest))

    async def _fill(self, instrument: Instrument, channel: TradeChannel, rest: VenueRest) -> None:
        try:
            async with asyncio.timeout(self.patience.fill_s):
                prints, complete = await rest.trades(instrument, channel.last_id, channel.last_event_ns)
        except (VenueUnavailable, TimeoutError) as error:
            prints, complete = [], False
            reason = str(error) or f"no answer within {self.patience.fill_s:g} s"
            self.tell(FeedEventKind.MISSED, self.codec.venue, instrument.id, f"missed prints of {instrument.id} cannot be fetched: {reason}")
        held = channel.held or []
        missed, whole = _before(prints, held)
        self.time.frame()
        channel.held = None
        emit = channel.trade_emitter()
        for each in missed:
            emit(each.event_ns, (each.price, each.signed_lots), each.id)
        for row in held:
            emit(*row)
        if prints:
            text = f"{len(missed)} missed prints of {instrument.id} fetched" + ("" if complete and whole else "; others may be missing")
            self.tell(FeedEventKind.MISSED, self.codec.venue, instrument.id, text)

    async def _compare(self, watched: Watched, rest: VenueRest) -> None:
        """Find out whether a silent topic is dead: the venue answers by REST what the stream did not bring, not even a moment later."""
        topic, seen = watched.route.topic, watched.route.seen
        try:
            newer = topic.name in self._topics and await self._is_newer(topic, rest)
            if newer:
                await asyncio.sleep(GRACE_S)
        except VenueUnavailable:
            newer = False
        if self.connection.watched.get(topic.name) is not watched:
            return
        if newer and watched.route.seen == seen and self.connection.is_up:
            self.connection.strike(watched)
        else:
            self.connection.excuse(watched)

    async def _is_newer(self, topic: Topic, rest: VenueRest) -> bool:
        instrument = topic.instrument
        if StreamKind.TRADE in topic.kinds:
            channel = self._prints[instrument.id]
            prints, _ = await rest.trades(instrument, channel.last_id, channel.last_event_ns)
            return bool(prints) if channel.last_ts_ns else self._moved(topic, prints[-1:])
        found = await rest.newest(instrument)
        best = self._best(topic)
        return found != best if best is not None else self._moved(topic, found)

    def _moved(self, topic: Topic, found: object) -> bool:
        """Return whether REST answers other than at the last look although no frame came since, for a topic whose rows tell nothing to compare with."""
        route = self.codec.routes.get(topic.name)
        now = (route.seen if route is not None else 0, found)
        before, self._answers[topic.name] = self._answers.get(topic.name), now
        return before is not None and before[0] == now[0] and before[1] != found

    def _best(self, topic: Topic) -> tuple[int, int] | None:
        """Return best bid and ask as a topic told them last."""
        for kind in topic.kinds & _BOOKS:
            last = self._channel(topic.instrument.id, kind).last
            if last is not None:
                return (last[0], last[1]) if kind is StreamKind.QUOTE else (last[0][0], last[2][0])
        return None

    def _may_be_quiet(self, topic: Topic) -> bool:
        return bool(topic.kinds & (_BOOKS | {StreamKind.TRADE})) and not topic.name.startswith(self.codec.repeated)

    def _instrument(self, instrument: InstrumentId) -> Instrument:
        return next(topic.instrument for topic in self._topics.values() if topic.instrument.id == instrument)


def _before(prints: list[Print], held: list[tuple[int, Values, TradeId]]) -> tuple[list[Print], bool]:
    """Return the prints that came before those held back, and whether they reach up to them; what is newer comes by the stream."""
    if not held:
        return [], False
    first_ns, _, first = held[0]
    if first == "":
        return [each for each in prints if each.event_ns < first_ns], True
    place = next((place for place, each in enumerate(prints) if each.id == first), None)
    return prints[:place], place is not None
