"""The port between the feeds and a venue's public REST, what each venue answers, and how an answer is checked before it is believed."""

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any, Protocol, TypeVar

import msgspec
from attrs import evolve

from titan_core.errors import UsageError, VenueUnavailable
from titan_core.feed.port import TradeId
from titan_core.model.ids import VenueId
from titan_core.model.instrument import Instrument
from titan_core.tape.catalog import make_instrument, normal_symbol
from titan_core.tape.importers.lines import preview

T = TypeVar("T")

Fetch = Callable[[str], Awaitable[tuple[int, bytes]]]
"""`fetch(url)` sends a GET and returns status and body. Raises VenueUnavailable where there is no answer in time."""


class Print(msgspec.Struct, frozen=True, gc=False):
    """One trade by REST: its id, the venue's time, ticks and lots (positive where the taker bought)."""

    id: TradeId
    event_ns: int
    price: int
    signed_lots: int


class Kline(msgspec.Struct, frozen=True, gc=False):
    """One bar: when it opens, prices in ticks, traded lots (rounded down)."""

    open_ns: int
    open: int
    high: int
    low: int
    close: int
    lots: int


class VenueRest(Protocol):
    """What a venue answers. Every method raises VenueUnavailable where the answer is missing, an error or not understood."""

    @property
    def venue(self) -> VenueId:
        """The venue."""
        ...

    async def depth(self, instrument: Instrument) -> bytes:
        """Return the body of a snapshot of the book, as the venue's codec takes it."""
        ...

    async def trades(self, instrument: Instrument, after: TradeId, after_ns: int) -> tuple[list[Print], bool]:
        """Return the prints after one (its id, its time), oldest first, and whether none in between can be missing."""
        ...

    async def newest(self, instrument: Instrument) -> tuple[int, int]:
        """Return best bid and ask in ticks, as they are now."""
        ...

    async def klines(self, instrument: Instrument, minutes: int, count: int) -> list[Kline]:
        """Return the newest bars of 1, 5, 15 or 60 minutes, oldest first; the last one may still be open."""
        ...

    async def instruments(self) -> tuple[list[Instrument], list[str]]:
        """Return what can be traded now, and of each symbol that Titan cannot represent, why."""
        ...

    async def server_time_ns(self) -> int:
        """Return the venue's clock."""
        ...


class Reader:
    """Asks, and believes an answer only where it is what was asked for: an empty or cut-off body, a page or an error is no data."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    async def body(self, url: str) -> bytes:
        """Return the body of an answer with status 200."""
        status, body = await self._fetch(url)
        if status != 200:
            raise VenueUnavailable(f"{url} answered with status {status}: {preview(body)}")
        return body

    async def read(self, url: str, kind: type[T]) -> T:
        """Return an answer of one type."""
        return decoded(url, await self.body(url), kind)


def decoded(url: str, body: bytes, kind: type[T]) -> T:
    """Return a body as one type. Raises VenueUnavailable where it is something else."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise VenueUnavailable(f"{url} answered something else than asked: {error}: {preview(body)}") from error


def steps(value: Decimal | str, step: Decimal) -> int:
    """Return the whole steps in a value. Raises VenueUnavailable where it is not on the grid."""
    scaled = Decimal(value) / step
    whole = int(scaled)
    if scaled != whole:
        raise VenueUnavailable(f"{value} is not a multiple of {step}: the instrument's rules have changed; read them again")
    return whole


def listed(venue: VenueId, symbol: str, base: str, quote: str, tick: Decimal, lot: Decimal, **limits: Any) -> Instrument:
    """Build an instrument from what a venue lists. Raises UsageError where money would not be exact on its grid."""
    made = make_instrument(venue, normal_symbol(symbol), tick.normalize(), lot.normalize())
    return evolve(made, base=base, quote=quote, **limits)


def sift(rows: Sequence[T], symbol: Callable[[T], str], make: Callable[[T], Instrument]) -> tuple[list[Instrument], list[str]]:
    """Make an instrument of each row; return those and why the others could not be made."""
    made, refused = [], []
    for row in rows:
        try:
            made.append(make(row))
        except UsageError as error:
            refused.append(f"{symbol(row)}: {error}")
    return made, refused
