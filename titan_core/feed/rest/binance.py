"""Binance Spot's public REST (binance-spot-api-docs, rest-api.md)."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from titan_core.errors import UsageError, VenueUnavailable
from titan_core.feed.codecs.binance_spot import VENUE
from titan_core.feed.port import TradeId
from titan_core.feed.rest.port import Fetch, Kline, Print, Reader, listed, sift, steps
from titan_core.model.instrument import Instrument
from titan_core.model.units import MS

_MINUTES = {1: "1m", 5: "5m", 15: "15m", 60: "1h"}
_DEPTH_LIMIT = 1000
_MOST_TRADES = 1000


class _Trade(msgspec.Struct, gc=False):
    id: int
    price: Decimal
    qty: Decimal
    time: int
    isBuyerMaker: bool


class _Ticker(msgspec.Struct, gc=False):
    bidPrice: Decimal
    askPrice: Decimal


class _Time(msgspec.Struct, gc=False):
    serverTime: int


class _Filter(msgspec.Struct, gc=False):
    filterType: str
    tickSize: Decimal = Decimal(0)
    stepSize: Decimal = Decimal(0)
    minNotional: Decimal = Decimal(0)


class _Symbol(msgspec.Struct, gc=False):
    symbol: str
    status: str
    baseAsset: str
    quoteAsset: str
    filters: list[_Filter]

    def find(self, *kinds: str) -> _Filter:
        """Return the filter of a kind."""
        for each in self.filters:
            if each.filterType in kinds:
                return each
        raise UsageError(f"the venue lists no {kinds[0]}")


class _Info(msgspec.Struct, gc=False):
    symbols: list[_Symbol]


class BinanceRest:
    """Answers of Binance Spot."""

    venue = VENUE

    def __init__(self, fetch: Fetch, base: str = "https://api.binance.com") -> None:
        self._reader, self._base = Reader(fetch), f"{base}/api/v3"

    async def depth(self, instrument: Instrument) -> bytes:
        """See VenueRest.depth."""
        return await self._reader.body(f"{self._base}/depth?symbol={instrument.symbol}&limit={_DEPTH_LIMIT}")

    async def trades(self, instrument: Instrument, after: TradeId, after_ns: int) -> tuple[list[Print], bool]:
        """See VenueRest.trades."""
        rows = await self._reader.read(f"{self._base}/trades?symbol={instrument.symbol}&limit={_MOST_TRADES}", list[_Trade])
        rows.sort(key=lambda row: row.id)
        known = int(after or 0)
        found = [row for row in rows if row.id > known]
        tick, lot = instrument.tick_size, instrument.lot_size
        prints = [Print(r.id, r.time * MS, steps(r.price, tick), steps(r.qty, lot) * (-1 if r.isBuyerMaker else 1)) for r in found]
        complete = all(b.id == a.id + 1 for a, b in zip(found, found[1:], strict=False)) and (not found or found[0].id == known + 1)
        return prints, complete

    async def newest(self, instrument: Instrument) -> tuple[int, int]:
        """See VenueRest.newest."""
        row = await self._reader.read(f"{self._base}/ticker/bookTicker?symbol={instrument.symbol}", _Ticker)
        return steps(row.bidPrice, instrument.tick_size), steps(row.askPrice, instrument.tick_size)

    async def klines(self, instrument: Instrument, minutes: int, count: int) -> list[Kline]:
        """See VenueRest.klines."""
        url = f"{self._base}/klines?symbol={instrument.symbol}&interval={_MINUTES[minutes]}&limit={count}"
        rows = await self._reader.read(url, list[list[int | str]])
        return [kline(int(row[0]) * MS, row[1:6], instrument) for row in rows]

    async def instruments(self) -> tuple[list[Instrument], list[str]]:
        """See VenueRest.instruments."""
        info = await self._reader.read(f"{self._base}/exchangeInfo", _Info)
        return sift([row for row in info.symbols if row.status == "TRADING"], lambda row: row.symbol, self._instrument)

    async def server_time_ns(self) -> int:
        """See VenueRest.server_time_ns."""
        return (await self._reader.read(f"{self._base}/time", _Time)).serverTime * MS

    def _instrument(self, row: _Symbol) -> Instrument:
        least = row.find("NOTIONAL", "MIN_NOTIONAL").minNotional
        tick, lot = row.find("PRICE_FILTER").tickSize, row.find("LOT_SIZE").stepSize
        return listed(self.venue, row.symbol, row.baseAsset, row.quoteAsset, tick, lot, min_notional=least)


def kline(open_ns: int, values: Sequence[object], instrument: Instrument) -> Kline:
    """Make a bar of open, high, low, close and volume as written. Raises VenueUnavailable where they are not numbers on the grid."""
    try:
        numbers = [Decimal(str(value)) for value in values]
    except ArithmeticError as error:
        raise VenueUnavailable(f"{instrument.id}: a bar with values that are no numbers: {values}") from error
    opened, high, low, close = (steps(number, instrument.tick_size) for number in numbers[:4])
    return Kline(open_ns, opened, high, low, close, int(numbers[4] / instrument.lot_size))
