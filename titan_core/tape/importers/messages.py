"""The wire messages of Binance and Bybit V5, as far as they are read, by the importers and by the feeds' codecs.

Structs without garbage collector tracking and with only the fields used: decoding them is the floor of an import's cost. For the importers depth levels stay
raw JSON; `read_levels` turns those of many messages into integers at once.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec
import numpy as np

from titan_core.tape.importers.book import LevelRuns, Levels
from titan_core.tape.importers.decimals import PRICE_DECIMALS, SIZE_DECIMALS, Ints, read_joined, read_numbers

Whole = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""An id or a time: one that does not fit 64 bits is an error of the message."""

T = TypeVar("T")
L = TypeVar("L")
"""How the levels of a book message are read: raw for the importers, as pairs of strings for a codec."""


class Frame(msgspec.Struct, Generic[T], gc=False):
    """A message of a Binance combined stream."""

    data: T


class BookTicker(msgspec.Struct, gc=False):
    """Binance best bid and ask; only USD-M sends times."""

    u: Whole
    b: str
    B: str
    a: str
    A: str
    T: Whole = 0
    E: Whole = 0


class TradeMessage(msgspec.Struct, gc=False):
    """Binance trade; `X` (USD-M only) is MARKET, INSURANCE_FUND, ADL or NA."""

    t: Whole
    p: str
    q: str
    m: bool
    T: Whole
    E: Whole = 0
    X: str = "MARKET"


class AggTrade(msgspec.Struct, gc=False):
    """Binance aggregated trade; `a` is its id."""

    a: Whole
    p: str
    q: str
    m: bool
    T: Whole
    E: Whole = 0


class DepthUpdate(msgspec.Struct, Generic[L], gc=False):
    """Binance difference of the book; `pu` (USD-M only) is the `u` of the message before."""

    U: Whole
    u: Whole
    b: L
    a: L
    E: Whole = 0
    T: Whole = 0
    pu: Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)] = -1


class MarkUpdate(msgspec.Struct, gc=False):
    """Binance USD-M mark price: `i` index price, `r` funding rate to come, `T` when it is due."""

    p: str
    E: Whole
    i: str = "0"
    r: str = ""
    T: Whole = 0


class ForcedOrder(msgspec.Struct, gc=False):
    """The order of a Binance liquidation: `S` is the side of the forced order, `z` what was executed of it."""

    S: str
    p: str
    z: str
    T: Whole


class ForceOrder(msgspec.Struct, gc=False):
    """Binance USD-M liquidation."""

    o: ForcedOrder
    E: Whole = 0


class DepthSnapshot(msgspec.Struct, Generic[L], gc=False):
    """REST answer with the whole book."""

    lastUpdateId: Whole
    bids: L
    asks: L


class BybitTrade(msgspec.Struct, gc=False):
    """One print of Bybit's publicTrade: `S` is the taker's side, `BT` whether it is a block trade, made outside the order book."""

    T: Whole
    S: str
    v: str
    p: str
    i: str
    BT: bool = False


class BybitLevels(msgspec.Struct, Generic[L], gc=False):
    """The data of Bybit's orderbook topics, whole or changes."""

    b: L
    a: L
    u: Whole


class BybitTicker(msgspec.Struct, gc=False):
    """The data of Bybit's tickers: a snapshot has all fields, a delta only those that changed. `fundingRate` is the one to come at `nextFundingTime`."""

    markPrice: str = ""
    indexPrice: str = ""
    openInterest: str = ""
    fundingRate: str = ""
    nextFundingTime: str = ""


def short_id(text: str) -> int:
    """Return 60 bits of a Bybit trade's id, enough to tell ids apart."""
    if text.isdigit() and len(text) < 19:
        return int(text)
    digits = text.replace("-", "")[:15]
    try:
        return int(digits, 16)
    except ValueError:
        return int.from_bytes(text.encode()[-7:], "big")


class Envelope(msgspec.Struct, gc=False):
    """Any JSON object of either exchange, far enough to tell what it is."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    topic: str = ""
    type: str = ""
    ts: Whole = 0
    op: str = ""
    success: bool | None = None
    channel: str = ""
    lastUpdateId: Whole = 0
    e: str = ""
    s: str = ""
    u: Whole = 0
    B: Any = None
    result: Any = msgspec.UNSET
    id: Any = msgspec.UNSET


def envelope_error(payload: bytes) -> str | None:
    """Return why a line holds no message at all, or None where it does."""
    try:
        msgspec.json.decode(payload, type=Envelope)
    except msgspec.MsgspecError as error:
        return str(error)
    return None


_LEVELS = msgspec.json.Decoder(list[tuple[str, str]])
_QUOTING = b'[]" \t'


def read_levels(bids: Sequence[bytes], asks: Sequence[bytes]) -> tuple[LevelRuns, list[int]]:
    """Read the JSON lists of [price, size] of many messages into fine integers, at once where they are well-formed.

    Returns the levels and which messages have a list that cannot be read; those have no levels.
    """
    raws = [raw for pair in zip(bids, asks, strict=True) for raw in pair]
    counts = [max(0, raw.count(b"[") - 1) for raw in raws]
    text = b",".join([raw for raw, count in zip(raws, counts, strict=True) if count]).translate(None, _QUOTING)
    numbers = read_joined(text, 2 * sum(counts))
    if numbers is not None and all(count or raw == b"[]" for raw, count in zip(raws, counts, strict=True)):
        (prices, price_trouble), (sizes, size_trouble) = numbers.every(0, 2).fine(PRICE_DECIMALS), numbers.every(1, 2).fine(SIZE_DECIMALS)
        if not price_trouble.any() and not size_trouble.any():
            return _runs(counts, prices, sizes), []
    return _read_each(raws)


def _runs(counts: Sequence[int], prices: Ints, sizes: Ints) -> LevelRuns:
    ends = np.cumsum(np.array([0, *counts], np.int64))
    return LevelRuns(ends[0:-1:2], ends[1::2], ends[2::2], prices, sizes)


def _read_each(raws: Sequence[bytes]) -> tuple[LevelRuns, list[int]]:
    lists = [_read_one(raw) for raw in raws]
    bad = [message for message in range(len(raws) // 2) if lists[2 * message] is None or lists[2 * message + 1] is None]
    for message in bad:
        lists[2 * message] = lists[2 * message + 1] = ([], [])
    prices = np.array([price for one in lists if one for price in one[0]], np.int64)
    sizes = np.array([size for one in lists if one for size in one[1]], np.int64)
    return _runs([len(one[0]) if one else 0 for one in lists], prices, sizes), bad


def _read_one(raw: bytes) -> Levels | None:
    try:
        levels = _LEVELS.decode(raw)
    except msgspec.MsgspecError:
        return None
    prices, price_trouble = read_numbers([price for price, _ in levels]).fine(PRICE_DECIMALS)
    sizes, size_trouble = read_numbers([size for _, size in levels]).fine(SIZE_DECIMALS)
    return None if price_trouble.any() or size_trouble.any() else (prices.tolist(), sizes.tolist())
