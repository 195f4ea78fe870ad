"""One venue's websocket, kept alive: connect, subscribe within the venue's limits, beat, watch, and start over with growing pauses.

Frames go from the transport through the codec to whoever subscribed in one call, without a queue or a task between. Pings find a dead peer, the
watch finds a dead topic on a living socket.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from titan_core.errors import UsageError, VenueUnavailable
from titan_core.feed.events import FeedEventKind
from titan_core.feed.port import Ack, Codec, Reply, Topic
from titan_core.feed.strict_time import StrictTime
from titan_core.feed.transport import Connection, Transport, retry_pause_s
from titan_core.feed.watch import Patience, Verdict, Watched

ALREADY = "already subscribed"


class Owner(Protocol):
    """Who is told what happens on a connection."""

    def on_up(self, connection: "VenueConnection") -> None:
        """The socket is open and the subscriptions are on their way."""

    def on_down(self, connection: "VenueConnection") -> None:
        """The socket is gone; no book can be read."""

    def on_subscribed(self, connection: "VenueConnection", names: list[str]) -> None:
        """The venue has said that topics are on their way."""

    def on_silent(self, connection: "VenueConnection", watched: Watched) -> None:
        """A topic is dead; it has been asked for again."""

    def on_quiet(self, connection: "VenueConnection", watched: Watched) -> None:
        """A topic is silent and may be so rightly. Answer with `strike` or `excuse`."""

    def tell(self, kind: FeedEventKind, venue: str, topic: str, text: str) -> None:
        """Something happened that people and telemetry should know."""


class VenueConnection:
    """Keeps one websocket open for as long as `run` runs."""

    def __init__(
        self,
        codec: Codec,
        transport: Transport,
        url: str,
        owner: Owner,
        time: StrictTime,
        *,
        jitter: Callable[[], float],
        patience: Patience,
        quiet_kinds: Callable[[Topic], bool] = lambda topic: False,
    ) -> None:
        """`jitter` returns a number in [0, 1). `quiet_kinds` says for which topics silence is no proof of anything."""
        self.codec, self.url, self.patience = codec, url, patience
        self.watched: dict[str, Watched] = {}
        self.is_up = False
        self.last_ns = 0
        """Receive time of the newest frame."""
        self.attempts = 0
        self._transport, self._owner, self._time, self._jitter, self._may_be_quiet = transport, owner, time, jitter, quiet_kinds
        self._link: Connection | None = None
        self._ended: asyncio.Event | None = None
        self._reason = ""
        self._outbox: deque[tuple[bool, list[str]]] = deque()
        self._pump_timer: asyncio.TimerHandle | None = None
        self._sent_s = float("-inf")
        self._request = 0
        self._pending: dict[str, tuple[bool, list[str]]] = {}
        self._beat_s = 0.0
        self._look_ns = 0

    # -- topics -------------------------------------------------------------------------------------------------
    def add(self, topics: list[Topic]) -> None:
        """Ask for topics now and after every reconnection. Raises UsageError where the venue does not allow so many on one connection."""
        most = self.codec.limits.topics_per_connection
        if len(self.watched) + len(topics) > most:
            raise UsageError(f"{self.codec.venue} allows {most} topics on one connection; {len(self.watched)} are in use and {len(topics)} more are wanted")
        for topic in topics:
            self.codec.add(topic)
            limit_s, route = self.patience.limit_s(topic.kinds), self.codec.routes[topic.name]
            watched = Watched(route, limit_s, self.patience.most_s, self._may_be_quiet(topic), self._now())
            self.watched[topic.name] = watched
        self._ask(True, [topic.name for topic in topics])

    def remove(self, names: list[str]) -> None:
        """End topics."""
        for name in names:
            self.codec.remove(name)
            self.watched.pop(name, None)
        self._ask(False, names)

    def resubscribe(self, name: str) -> None:
        """End a topic and ask for it again, which brings a new snapshot where the venue sends any."""
        if name in self.watched:
            self._ask(False, [name])
            self._ask(True, [name])

    def strike(self, watched: Watched) -> None:
        """Treat a topic as dead."""
        self._act(watched, watched.strike(self._now()))

    def drop(self, reason: str) -> None:
        """Give the present connection up; another one is made."""
        self._reason = self._reason or reason
        if self._ended is not None:
            self._ended.set()

    # -- staying alive --------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Stay connected until cancelled."""
        failures = 0
        try:
            while True:
                began = self._now()
                await self._once()
                failures = 0 if self._now() - began > self.patience.stable_s else failures + 1
                await asyncio.sleep(retry_pause_s(failures, self.patience.first_retry_s, self.patience.last_retry_s, self._jitter()))
        finally:
            await self._close()

    async def _once(self) -> None:
        self._ended, self._reason = asyncio.Event(), ""
        self.attempts += 1
        patience = self.patience
        try:
            link = await self._transport.connect(
                self.url,
                on_frame=self._receiver(),
                on_closed=self._closer(),
                open_timeout_s=patience.open_s,
                ping_interval_s=patience.ping_interval_s,
                ping_timeout_s=patience.ping_timeout_s,
            )
        except VenueUnavailable as error:
            self._owner.tell(FeedEventKind.UNREACHABLE, self.codec.venue, "", str(error))
            return
        self._opened(link)
        while not self._ended.is_set():
            try:
                async with asyncio.timeout(patience.tick_s):
                    await self._ended.wait()
            except TimeoutError:
                self._look()
        await self._close()

    def _opened(self, link: Connection) -> None:
        self._link, self.is_up = link, True
        now = self._beat_s = self._now()
        for watched in self.watched.values():
            watched.again(now)
        self._owner.tell(FeedEventKind.CONNECTED, self.codec.venue, "", f"connected to {self.url}, attempt {self.attempts}")
        self._owner.on_up(self)
        self._ask(True, list(self.watched))

    async def _close(self) -> None:
        link, self._link = self._link, None
        self._outbox.clear()
        self._pending.clear()
        if self._pump_timer is not None:
            self._pump_timer.cancel()
            self._pump_timer = None
        if self.is_up:
            self.is_up = False
            self.codec.lose()
            self._owner.on_down(self)
            self._owner.tell(FeedEventKind.DISCONNECTED, self.codec.venue, "", self._reason or "closed")
        if link is not None:
            await link.close()

    def _receiver(self) -> Callable[[bytes], None]:
        """Make what takes the frames of one connection. What a receiver of rows raises is a fault of the program: the loop's handler is told."""
        feed, frame_time, loop, ended = self.codec.feed, self._time.frame, asyncio.get_running_loop(), self._ended

        def on_frame(frame: bytes) -> None:
            if ended is not self._ended:
                return
            self.last_ns = frame_time()
            try:
                reply = feed(frame)
            except Exception as error:  # receivers are foreign code, and a port's callback must not raise
                loop.call_exception_handler({"message": f"a receiver of {self.codec.venue} rows failed", "exception": error})
                return
            if reply is not None:
                self._answered(reply)

        return on_frame

    def _closer(self) -> Callable[[str], None]:
        ended = self._ended

        def on_closed(reason: str) -> None:
            if ended is self._ended:  # an old connection may tell of its end when there is a new one
                self.drop(reason)

        return on_closed

    # -- requests -------------------------------------------------------------------------------------------------
    def _ask(self, wanted: bool, names: list[str]) -> None:
        """Queue requests; they leave in batches at the venue's pace."""
        if not self.is_up or not names:
            return
        most = self.codec.limits.topics_per_request
        self._outbox.extend((wanted, names[start : start + most]) for start in range(0, len(names), most))
        if self._pump_timer is None:
            self._pump()

    def _pump(self) -> None:
        self._pump_timer = None
        gap = 1 / self.codec.limits.requests_per_s
        wait = self._sent_s + gap - self._now()
        if wait > 0:
            self._pump_timer = asyncio.get_running_loop().call_later(wait, self._pump)
            return
        wanted, names = self._outbox.popleft()
        if wanted:
            names = [name for name in names if name in self.watched]
        if names:
            self._send(wanted, names)
        if self._outbox:
            self._pump_timer = asyncio.get_running_loop().call_later(gap if names else 0, self._pump)

    def _send(self, wanted: bool, names: list[str]) -> None:
        if self._link is None:
            return
        self._request += 1
        self._sent_s = self._now()
        self._pending[str(self._request)] = (wanted, names)
        self._link.send((self.codec.subscribe if wanted else self.codec.unsubscribe)(names, self._request))

    def _answered(self, reply: Reply) -> None:
        if not isinstance(reply, Ack):
            return
        request = reply.request or next(iter(self._pending), "")  # a venue that repeats no id answers in order
        wanted, names = self._pending.pop(request, (True, []))
        if reply.ok or not wanted or ALREADY in reply.text:
            if wanted:
                self._owner.on_subscribed(self, names)
            return
        if len(names) > 1:  # one bad topic spoils the batch: ask for each alone
            for name in names:
                self._ask(True, [name])
            return
        for name in names:
            if name in self.watched:
                self.watched[name].limit_s = None
        self._owner.tell(FeedEventKind.REFUSED, self.codec.venue, ", ".join(names), reply.text or "no reason given")

    # -- watching -------------------------------------------------------------------------------------------------
    def _look(self) -> None:
        now, limits = self._now(), self.codec.limits
        before, self._look_ns = self._look_ns, self._time.check()
        if limits.heartbeat_s is not None and now - self._beat_s >= limits.heartbeat_s and self._link is not None:
            self._beat_s = now
            self._link.send(self.codec.heartbeat())
        for watched in list(self.watched.values()):
            self._act(watched, watched.look(now, before))

    def _act(self, watched: Watched, verdict: Verdict) -> None:
        topic = watched.route.topic.name
        if verdict is Verdict.RETURNED:
            self._owner.tell(FeedEventKind.ALIVE, self.codec.venue, topic, f"{topic} sends again")
        elif verdict is Verdict.ASK:
            self._owner.on_quiet(self, watched)
        elif verdict in (Verdict.RESUBSCRIBE, Verdict.RECONNECT):
            text = f"{topic} is silent while its socket lives"
            self._owner.tell(FeedEventKind.SILENT, self.codec.venue, topic, text)
            self.codec.lose(topic)
            self._owner.on_silent(self, watched)
            if verdict is Verdict.RECONNECT:
                self.drop(text)
            else:
                self.resubscribe(topic)

    def excuse(self, watched: Watched) -> None:
        """Treat a silent topic as quiet."""
        watched.excuse(self._now())

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
