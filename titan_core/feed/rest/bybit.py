"""Bybit V5's public REST (V5 documentation, "Market"). Every answer is an envelope; `retCode` 0 is success."""

from decimal import Decimal
from typing import Any, Generic, TypeVar

import msgspec

from titan_core.errors import VenueUnavailable
from titan_core.feed.codecs.bybit_v5 import LINEAR, SPOT
from titan_core.feed.port import TradeId
from titan_core.feed.rest.binance import kline
from titan_core.feed.rest.port import Fetch, Kline, Print, Reader, decoded, listed, sift, steps
from titan_core.model.ids import VenueId
from titan_core.model.instrument import Instrument
from titan_core.model.units import MS

T = TypeVar("T")
_MOST_TRADES = {LINEAR: 1000, SPOT: 60}
_PAGE = 1000
_MOST_PAGES = 20


class _Answer(msgspec.Struct, gc=False):
    retCode: int
    retMsg: str = ""
    result: msgspec.Raw = msgspec.Raw(b"null")


class _Rows(msgspec.Struct, Generic[T], gc=False):
    list_: list[T] = msgspec.field(name="list")
    nextPageCursor: str | None = None


class _Trade(msgspec.Struct, gc=False):
    execId: str
    price: Decimal
    size: Decimal
    side: str
    time: str


class _Ticker(msgspec.Struct, gc=False):
    bid1Price: Decimal
    ask1Price: Decimal


class _Prices(msgspec.Struct, gc=False):
    tickSize: Decimal


class _Sizes(msgspec.Struct, gc=False):
    qtyStep: Decimal | None = None
    basePrecision: Decimal | None = None
    minNotionalValue: Decimal | None = None
    minOrderAmt: Decimal | None = None


class _Leverage(msgspec.Struct, gc=False):
    maxLeverage: Decimal


class _Symbol(msgspec.Struct, gc=False):
    symbol: str
    status: str
    baseCoin: str
    quoteCoin: str
    priceFilter: _Prices
    lotSizeFilter: _Sizes
    contractType: str = ""
    leverageFilter: _Leverage | None = None


class _Time(msgspec.Struct, gc=False):
    timeNano: str


class BybitRest:
    """Answers of Bybit, of its linear perpetuals or of its spot market."""

    def __init__(self, fetch: Fetch, venue: VenueId = LINEAR, base: str = "https://api.bybit.com") -> None:
        self.venue = venue
        self._reader, self._base = Reader(fetch), f"{base}/v5/market"
        self._category = "linear" if venue == LINEAR else "spot"

    async def depth(self, instrument: Instrument) -> bytes:
        """See VenueRest.depth. Bybit's books need none: their snapshots come in the stream."""
        return await self._reader.body(f"{self._base}/orderbook?category={self._category}&symbol={instrument.symbol}&limit=200")

    async def trades(self, instrument: Instrument, after: TradeId, after_ns: int) -> tuple[list[Print], bool]:
        """See VenueRest.trades."""
        query = f"recent-trade?category={self._category}&symbol={instrument.symbol}&limit={_MOST_TRADES[self.venue]}"
        rows = (await self._ask(query, _Rows[_Trade])).list_[::-1]
        place = next((place for place, row in enumerate(rows) if row.execId == after), None)
        found = rows[place + 1 :] if place is not None else [row for row in rows if int(row.time) * MS > after_ns]
        tick, lot = instrument.tick_size, instrument.lot_size
        prints = [Print(r.execId, int(r.time) * MS, steps(r.price, tick), steps(r.size, lot) * (1 if r.side == "Buy" else -1)) for r in found]
        return prints, place is not None

    async def newest(self, instrument: Instrument) -> tuple[int, int]:
        """See VenueRest.newest."""
        rows = (await self._ask(f"tickers?category={self._category}&symbol={instrument.symbol}", _Rows[_Ticker])).list_
        if not rows:
            raise VenueUnavailable(f"{self.venue} answers no ticker of {instrument.symbol}")
        return steps(rows[0].bid1Price, instrument.tick_size), steps(rows[0].ask1Price, instrument.tick_size)

    async def klines(self, instrument: Instrument, minutes: int, count: int) -> list[Kline]:
        """See VenueRest.klines."""
        query = f"kline?category={self._category}&symbol={instrument.symbol}&interval={minutes}&limit={count}"
        rows = (await self._ask(query, _Rows[list[str]])).list_
        return [kline(int(row[0]) * MS, row[1:6], instrument) for row in rows[::-1]]

    async def instruments(self) -> tuple[list[Instrument], list[str]]:
        """See VenueRest.instruments."""
        rows: list[_Symbol] = []
        cursor = ""
        for _ in range(_MOST_PAGES):
            page = await self._ask(f"instruments-info?category={self._category}&limit={_PAGE}&cursor={cursor}", _Rows[_Symbol])
            rows += page.list_
            cursor = page.nextPageCursor or ""
            if not cursor:
                break
        trading = [row for row in rows if row.status == "Trading" and row.contractType in ("", "LinearPerpetual")]
        return sift(trading, lambda row: row.symbol, self._instrument)

    async def server_time_ns(self) -> int:
        """See VenueRest.server_time_ns."""
        return int((await self._ask("time", _Time)).timeNano)

    async def _ask(self, query: str, kind: type[T]) -> T:
        url = f"{self._base}/{query}"
        answer = await self._reader.read(url, _Answer)
        if answer.retCode:
            raise VenueUnavailable(f"{url} answered {answer.retCode} {answer.retMsg}")
        return decoded(url, bytes(answer.result), kind)

    def _instrument(self, row: _Symbol) -> Instrument:
        sizes = row.lotSizeFilter
        lot, least = sizes.qtyStep or sizes.basePrecision or Decimal(1), sizes.minNotionalValue or sizes.minOrderAmt
        limits: dict[str, Any] = {} if least is None else {"min_notional": least}
        if row.leverageFilter is not None:
            limits["max_leverage"] = int(row.leverageFilter.maxLeverage)
        return listed(self.venue, row.symbol, row.baseCoin, row.quoteCoin, row.priceFilter.tickSize, lot, **limits)
