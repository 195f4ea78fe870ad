"""Market data for everybody: subscriptions counted over one connection per venue, rows straight to their receivers.

async with FeedManager(instruments, transport, endpoints, rests=rests, clock=time.time_ns, jitter=random.random) as feeds:
token = feeds.subscribe("bybit-linear", "BTCUSDT", {StreamKind.TRADE, StreamKind.QUOTE, StreamKind.GAP}, handler)
...
feeds.unsubscribe(token)
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from types import TracebackType

from attrs import frozen

from titan_core.errors import UsageError
from titan_core.feed.channels import Handler
from titan_core.feed.events import FeedEvent, FeedEventKind, OnEvent
from titan_core.feed.rest.port import VenueRest
from titan_core.feed.strict_time import StrictTime
from titan_core.feed.transport import Transport
from titan_core.feed.venue_feed import VenueFeed
from titan_core.feed.venues import CODECS, Codecs, Endpoint
from titan_core.feed.watch import Patience
from titan_core.model.enums import StreamKind
from titan_core.model.ids import InstrumentId, VenueId, instrument_id
from titan_core.model.instrument import Instrument
from titan_core.tape.catalog import normal_symbol
from titan_core.tape.faults import Fault


@frozen(eq=False)
class Subscription:
    """What `subscribe` returns and `unsubscribe` takes."""

    token: int
    instrument: Instrument
    kinds: frozenset[StreamKind]


def _ignore(event: FeedEvent) -> None:
    pass


class FeedManager:
    """All venues' market data. Everything but `start` and `close` is synchronous and must be called in the loop that runs it."""

    def __init__(
        self,
        instruments: Iterable[Instrument],
        transport: Transport,
        endpoints: Mapping[VenueId, Endpoint],
        *,
        clock: Callable[[], int],
        jitter: Callable[[], float],
        steady: Callable[[], int] | None = None,
        rests: Mapping[VenueId, VenueRest] | None = None,
        on_event: OnEvent = _ignore,
        patience: Patience | None = None,
        codecs: Codecs = CODECS,
    ) -> None:
        """`clock` tells ns since 1970, `steady` ns of a clock that cannot be set; `jitter` returns numbers in [0, 1). `codecs`: see `compiled_codecs`."""
        self.time = StrictTime(clock, steady, self._stepped)
        self._known = {instrument.id: instrument for instrument in instruments}
        self._transport, self._endpoints, self._rests, self._codecs = transport, endpoints, rests or {}, codecs
        self._jitter, self._on_event, self._patience = jitter, on_event, patience or Patience()
        self._feeds: dict[VenueId, VenueFeed] = {}
        self._tasks: dict[VenueId, asyncio.Task[None]] = {}
        self._live: dict[int, Subscription] = {}
        self._tokens = count(1)
        self._closed = False

    # -- subscriptions --------------------------------------------------------------------------------------------
    def subscribe(self, venue: str, symbol: str, kinds: Iterable[StreamKind], handler: Handler) -> Subscription:
        """Hand rows of these kinds to `handler` from now on. GAP rows come where they are among the kinds.

        Raises UsageError for a venue or instrument that is not known and for a kind that the venue does not send.
        """
        instrument = self._instrument(venue, symbol)
        wanted = frozenset(kinds)
        if not wanted - {StreamKind.GAP}:
            raise UsageError(f"subscribe {instrument.id}: no kind of row besides gaps is asked for")
        feed = self._feed(instrument.venue)
        subscription = Subscription(next(self._tokens), instrument, wanted)
        feed.add(subscription.token, instrument, wanted, handler)
        self._live[subscription.token] = subscription
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription. A topic that nobody else uses is ended at the venue; a second call does nothing."""
        if self._live.pop(subscription.token, None) is not None:
            self._feeds[subscription.instrument.venue].remove(subscription.token, subscription.instrument, subscription.kinds)

    def doubt(self, instrument: InstrumentId) -> str:
        """Return why the newest rows of an instrument cannot be trusted now (venue down, book out of step, topic silent); empty where they can."""
        known = self._known.get(instrument)
        feed = self._feeds.get(known.venue) if known is not None else None
        return feed.doubt(instrument) if feed is not None else f"{instrument} is not subscribed"

    def is_up(self, venue: VenueId) -> bool:
        """Return whether a venue is connected."""
        feed = self._feeds.get(venue)
        return feed is not None and feed.connection.is_up

    def faults(self) -> tuple[Fault, ...]:
        """Return what was not understood so far, of all venues."""
        return tuple(fault for feed in self._feeds.values() for fault in feed.codec.log.faults)

    def feed(self, venue: VenueId) -> VenueFeed:
        """Return a venue's feed, for whoever examines it. Raises UsageError where nothing is subscribed there."""
        if venue not in self._feeds:
            raise UsageError(f"nothing of {venue} is subscribed")
        return self._feeds[venue]

    # -- life -------------------------------------------------------------------------------------------------------
    async def __aenter__(self) -> "FeedManager":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection. No row comes afterwards."""
        self._closed = True
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()

    # -- inside -----------------------------------------------------------------------------------------------------
    def _instrument(self, venue: str, symbol: str) -> Instrument:
        name = instrument_id(normal_symbol(symbol), VenueId(venue))
        known = self._known.get(name)
        if known is None:
            raise UsageError(f"{name} is not among the {len(self._known)} instruments at hand; check the symbol, or read the venue's instruments again")
        return known

    def _feed(self, venue: VenueId) -> VenueFeed:
        if self._closed:
            raise UsageError("the feeds are closed")
        feed = self._feeds.get(venue)
        if feed is None:
            endpoint = self._endpoints.get(venue)
            if endpoint is None or venue not in self._codecs:
                raise UsageError(f"{venue} has no feed; there are feeds of {', '.join(v for v in self._codecs if v in self._endpoints) or 'nothing'}")
            rest = self._rests.get(venue)
            feed = VenueFeed(self._codecs[venue], self._transport, endpoint.websocket_url, rest, self.time, self._tell, self._jitter, self._patience)
            self._feeds[venue] = feed
            task = asyncio.get_running_loop().create_task(feed.run(), name=f"feed of {venue}")
            task.add_done_callback(self._ended)
            self._tasks[venue] = task
        return feed

    def _ended(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            asyncio.get_running_loop().call_exception_handler({"message": f"{task.get_name()} failed", "exception": error, "task": task})

    def _tell(self, kind: FeedEventKind, venue: str, topic: str, text: str) -> None:
        self._on_event(FeedEvent(kind, venue, self.time.now, topic, text))

    def _stepped(self, step_ns: int) -> None:
        self._tell(FeedEventKind.CLOCK_STEP, "", "", f"the computer's clock was set by {step_ns / 1e9:+.3f} s")
