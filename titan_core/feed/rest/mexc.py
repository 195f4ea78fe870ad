"""MEXC contract's public REST (MEXC contract API documentation, "Market"). `success` false or an empty book of a delisted contract is no data."""

from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from titan_core.errors import UsageError, VenueUnavailable
from titan_core.feed.codecs.mexc_contract import VENUE, symbol_of
from titan_core.feed.port import TradeId
from titan_core.feed.rest.binance import kline
from titan_core.feed.rest.port import Fetch, Kline, Print, Reader, decoded, listed, sift, steps
from titan_core.model.instrument import Instrument
from titan_core.model.units import BPS, MS, PPM, S

T = TypeVar("T")
_MINUTES = {1: "Min1", 5: "Min5", 15: "Min15", 60: "Min60"}
_ONE = Decimal(1)
_ENABLED = 0


class _Answer(msgspec.Struct, gc=False):
    success: bool
    code: int = 0
    message: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Deal(msgspec.Struct, gc=False):
    p: Decimal
    v: Decimal
    T: int
    t: int
    i: str | int = ""


class _Ticker(msgspec.Struct, gc=False):
    bid1: Decimal
    ask1: Decimal


class _Klines(msgspec.Struct, gc=False):
    time: list[int]
    open: list[Decimal]
    high: list[Decimal]
    low: list[Decimal]
    close: list[Decimal]
    vol: list[Decimal]


class _Contract(msgspec.Struct, gc=False):
    symbol: str
    baseCoin: str
    quoteCoin: str
    contractSize: Decimal
    priceUnit: Decimal
    volUnit: Decimal
    maxLeverage: int
    maintenanceMarginRate: Decimal
    takerFeeRate: Decimal
    makerFeeRate: Decimal
    state: int = _ENABLED


class MexcRest:
    """Answers of MEXC contract."""

    venue = VENUE

    def __init__(self, fetch: Fetch, base: str = "https://contract.mexc.com") -> None:
        self._reader, self._base = Reader(fetch), f"{base}/api/v1/contract"

    async def depth(self, instrument: Instrument) -> bytes:
        """See VenueRest.depth."""
        return await self._reader.body(f"{self._base}/depth/{symbol_of(instrument)}?limit=1000")

    async def trades(self, instrument: Instrument, after: TradeId, after_ns: int) -> tuple[list[Print], bool]:
        """See VenueRest.trades. Deals have no id: those of the millisecond of the last one seen count as seen."""
        rows = await self._ask(f"deals/{symbol_of(instrument)}?limit=100", list[_Deal])
        rows = sorted(rows[::-1], key=lambda row: row.t)  # newest first as they come; those of one millisecond keep their order
        found = [row for row in rows if row.t * MS > after_ns]
        tick = instrument.tick_size
        prints = [Print(str(r.i), r.t * MS, steps(r.p, tick), steps(r.v, _ONE) * (1 if r.T == 1 else -1)) for r in found]
        return prints, len(found) < len(rows)

    async def newest(self, instrument: Instrument) -> tuple[int, int]:
        """See VenueRest.newest."""
        row = await self._ask(f"ticker?symbol={symbol_of(instrument)}", _Ticker)
        return steps(row.bid1, instrument.tick_size), steps(row.ask1, instrument.tick_size)

    async def klines(self, instrument: Instrument, minutes: int, count: int) -> list[Kline]:
        """See VenueRest.klines. Volume counts contracts, the lots of the instrument."""
        end = await self.server_time_ns() // S
        start = end - count * minutes * 60
        found = await self._ask(f"kline/{symbol_of(instrument)}?interval={_MINUTES[minutes]}&start={start}&end={end}", _Klines)
        rows = zip(found.time, found.open, found.high, found.low, found.close, found.vol, strict=True)
        return [kline(row[0] * S, [*row[1:5], row[5] * instrument.lot_size], instrument) for row in rows][-count:]

    async def instruments(self) -> tuple[list[Instrument], list[str]]:
        """See VenueRest.instruments."""
        rows = await self._ask("detail", list[_Contract])
        enabled = [row for row in rows if row.state == _ENABLED]
        return sift(enabled, lambda row: row.symbol, self._instrument)

    async def server_time_ns(self) -> int:
        """See VenueRest.server_time_ns."""
        return await self._ask("ping", int) * MS

    async def _ask(self, query: str, kind: type[T]) -> T:
        url = f"{self._base}/{query}"
        answer = await self._reader.read(url, _Answer)
        if not answer.success:
            raise VenueUnavailable(f"{url} answered {answer.code} {answer.message}")
        return decoded(url, bytes(answer.data), kind)

    def _instrument(self, row: _Contract) -> Instrument:
        if row.volUnit != 1:
            raise UsageError(f"orders count in steps of {row.volUnit} contracts; only steps of one contract are supported")
        limits: dict[str, Any] = {
            "max_leverage": row.maxLeverage,
            "maintenance_margin_bps": int(row.maintenanceMarginRate * BPS),
            "maker_fee_ppm": int(row.makerFeeRate * PPM),
            "taker_fee_ppm": int(row.takerFeeRate * PPM),
        }
        return listed(self.venue, row.symbol, row.baseCoin, row.quoteCoin, row.priceUnit, row.contractSize, **limits)
