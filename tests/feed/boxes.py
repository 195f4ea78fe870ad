"""Feeds against the venue in a box, in virtual time: a minute of market takes a fraction of a second."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from titan_core.errors import VenueUnavailable
from titan_core.feed.events import FeedEvent, FeedEventKind
from titan_core.feed.manager import FeedManager
from titan_core.feed.port import Values
from titan_core.feed.transport import Connection, Transport
from titan_core.feed.venues import box_endpoints, rests
from titan_core.model.enums import StreamKind
from titan_core.model.instrument import Instrument
from titan_core.model.units import MIN, D
from titan_core.simulator.box import DEFAULT_START_NS, Box
from titan_core.simulator.chunks import Streams, Supply, generated
from titan_core.simulator.inprocess import BoxHttp, BoxTransport
from titan_core.simulator.listings import Role
from titan_core.simulator.virtual_loop import run_virtual

QUOTE, TRADE, DEPTH, GAP = StreamKind.QUOTE, StreamKind.TRADE, StreamKind.DEPTH, StreamKind.GAP
ENDPOINTS = box_endpoints("http://box")


@cache
def _minutes(seed: int, ticks_per_day: int) -> tuple[Supply, Streams]:
    """A quarter of an hour of a generated day, made once."""
    whole = generated(seed, start_ns=DEFAULT_START_NS, ticks_per_day=ticks_per_day)
    cut = {}
    for key, columns in next(whole.spans).items():
        low, high = np.searchsorted(columns["ts"].astype(np.int64), [DEFAULT_START_NS - MIN, DEFAULT_START_NS + 15 * MIN])
        cut[key] = {name: column[max(0, low - 1) : high] for name, column in columns.items()}
    return whole, cut


def supply(seed: int, ticks_per_day: int) -> Supply:
    whole, cut = _minutes(seed, ticks_per_day)

    def spans() -> Iterator[Streams]:
        yield cut
        mark = cut[Role.PERP, StreamKind.MARK]
        day = 0
        while True:  # then silence
            day += 1
            yield {(Role.PERP, StreamKind.MARK): {name: column[-1:] + (day * D if name == "ts" else 0) for name, column in mark.items()}}

    return Supply(whole.spot, whole.perp, DEFAULT_START_NS, spans())


class Seen:
    """A receiver that keeps every row."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, StreamKind, Values, int]] = []

    def __call__(self, ts_ns: int, kind: StreamKind, values: Values, event_ns: int) -> None:
        self.rows.append((ts_ns, kind, values, event_ns))

    def of(self, kind: StreamKind) -> list[Values]:
        return [values for _, found, values, _ in self.rows if found is kind]


class Overheard(Transport):
    """A transport that keeps what is sent."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.sent: list[bytes] = []

    async def connect(self, url: str, **settings: Any) -> Connection:  # type: ignore[override]
        link = await self._inner.connect(url, **settings)
        send = link.send

        def heard(payload: bytes) -> None:
            self.sent.append(payload)
            send(payload)

        link.send = heard  # type: ignore[method-assign]
        return link


class Bench:
    """A box, feeds on it and what they told."""

    def __init__(self, box: Box, rest: bool = True, shift_ns: Callable[[], int] = lambda: 0, **settings: Any) -> None:
        self.box = box
        self.transport = Overheard(BoxTransport(box))
        self.events: list[FeedEvent] = []
        self.instruments: list[Instrument] = [listing.instrument for listing in box.listings.values()]
        http = BoxHttp(box)

        async def fetch(url: str) -> tuple[int, bytes]:
            try:
                answer = await http.request("GET", url)
            except ConnectionResetError as error:
                raise VenueUnavailable(str(error)) from error
            return answer.status, answer.body

        self.rests = rests(ENDPOINTS, fetch)
        self.feeds = FeedManager(
            self.instruments,
            self.transport,
            ENDPOINTS,
            clock=lambda: box.now_ns() + shift_ns(),
            steady=box.now_ns,
            jitter=lambda: 0.5,
            rests=self.rests if rest else None,
            on_event=self.events.append,
            **settings,
        )

    def told(self, kind: FeedEventKind) -> list[FeedEvent]:
        return [event for event in self.events if event.kind is kind]


def on_box(main: Callable[[Bench], Awaitable[None]], rest: bool = True, seed: int = 7, ticks_per_day: int = 2_000_000, **settings: Any) -> Bench:
    """Run against a fresh box until `main` ends; nothing may have gone to the loop's exception handler."""
    box = Box(seed, supply=supply(seed, ticks_per_day))
    bench = Bench(box, rest, **settings)
    failures: list[dict[str, Any]] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
        async with bench.feeds:
            await main(bench)
        assert len(asyncio.all_tasks()) == 1

    run_virtual(run(), box.clock, box)  # type: ignore[arg-type]
    assert not failures, failures
    return bench
