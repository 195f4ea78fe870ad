"""Binance Spot market data over REST: symbols, books, trades, bars and tickers, with the weights that Binance counts."""

from collections.abc import Callable
from typing import Any

from titan_core.model.enums import Side
from titan_core.model.units import MIN, MS
from titan_core.simulator.bars import Bar
from titan_core.simulator.ladder import Level
from titan_core.simulator.listings import BINANCE, Listing, Role, Trading, coins
from titan_core.simulator.venue import Venue
from titan_core.simulator.wire import Request, Response, Window, encode

Json = dict[str, Any]
INTERVALS = {"1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "8h": 480, "12h": 720, "1d": 1_440, "1w": 10_080}
WEIGHT_LIMIT = 6_000
EIGHT = 8


class BinanceError(Exception):
    """An error answer: code and text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


def eight(text: str) -> str:
    """Pad a decimal text to eight decimals."""
    whole, _, part = text.partition(".")
    return f"{whole}.{part:0<8}"


class BinanceRest:
    """Answers requests to `/api/v3/...`."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.book = venue.market.books[Role.SPOT]
        self.window = Window(WEIGHT_LIMIT, venue.server_ns, MIN)
        self.routes: dict[str, tuple[Callable[[Json], Any], int]] = {
            "/api/v3/ping": (lambda query: {}, 1),
            "/api/v3/time": (lambda query: {"serverTime": venue.server_ms()}, 1),
            "/api/v3/exchangeInfo": (self.exchange_info, 20),
            "/api/v3/depth": (self.depth, 5),
            "/api/v3/trades": (self.trades, 25),
            "/api/v3/aggTrades": (self.aggregates, 4),
            "/api/v3/klines": (self.klines, 2),
            "/api/v3/avgPrice": (self.average, 2),
            "/api/v3/ticker/24hr": (self.ticker, 2),
            "/api/v3/ticker/price": (self.price, 2),
            "/api/v3/ticker/bookTicker": (self.book_ticker, 2),
        }

    def handle(self, request: Request) -> Response:
        """Answer a request."""
        route = self.routes.get(request.path)
        if route is None or request.method != "GET":
            return Response(404, encode({"code": -1000, "msg": "There is no such endpoint in the box: Binance is market data only."}))
        answer, weight = route
        within = self.window.take(weight)
        headers = {"X-MBX-USED-WEIGHT": str(self.window.used), "X-MBX-USED-WEIGHT-1M": str(self.window.used)}
        if not within:
            retry = max(1, self.window.reset_ms // 1000 - self.venue.server_ms() // 1000)
            text = f"Too much request weight used; current limit is {WEIGHT_LIMIT} request weight per 1 MINUTE."
            banned = self.window.used > 2 * WEIGHT_LIMIT
            return Response(418 if banned else 429, encode({"code": -1003, "msg": text}), headers | {"Retry-After": str(retry)})
        try:
            return Response(200, encode(answer(request.parameters())), headers)
        except BinanceError as error:
            return Response(400, encode({"code": error.code, "msg": error.text}), headers)
        except ValueError as error:
            return Response(400, encode({"code": -1100, "msg": f"Illegal characters found in a parameter: {error}"}), headers)

    # -- helpers ------------------------------------------------------------------------------------------------
    def listing(self, query: Json) -> Listing:
        """Return the symbol's instrument. Raises BinanceError where it is missing or unknown."""
        if not query.get("symbol"):
            raise BinanceError(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        found = self.venue.by_symbol.get((BINANCE, str(query["symbol"])))
        if found is None:
            raise BinanceError(-1121, "Invalid symbol.")
        return found

    def _all(self) -> list[Listing]:
        return [each for each in self.venue.listings.values() if each.instrument.venue == BINANCE]

    def _one_or_all(self, query: Json, shape: Callable[[Listing], Json]) -> Any:
        if query.get("symbol"):
            return shape(self.listing(query))
        return [shape(each) for each in self._all()]

    # -- routes -------------------------------------------------------------------------------------------------
    def exchange_info(self, query: Json) -> Json:
        """Return symbols, grids and rate limits."""
        found = [self.listing(query)] if query.get("symbol") else self._all()
        limits = [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": WEIGHT_LIMIT},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
            {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61_000},
        ]
        symbols = [symbol_shape(each) for each in found]
        sors = [{"baseAsset": each.instrument.base, "symbols": [each.symbol]} for each in found]
        return {"timezone": "UTC", "serverTime": self.venue.server_ms(), "rateLimits": limits, "exchangeFilters": [], "symbols": symbols, "sors": sors}

    def depth(self, query: Json) -> Json:
        """Return a book with the id that the stream's messages continue from."""
        listing = self.listing(query)
        count = min(int(query.get("limit", 100)), 1_000)
        bids, asks = (self.venue.depth.levels(listing, side, count) for side in (Side.BUY, Side.SELL))
        return {"lastUpdateId": self.book.version, "bids": levels_text(listing, bids), "asks": levels_text(listing, asks)}

    def trades(self, query: Json) -> list[Json]:
        """Return the last trades, oldest first."""
        listing = self.listing(query)
        rows = []
        for number, ts, ticks, signed in self.venue.market.trades_since(Role.SPOT, min(int(query.get("limit", 500)), 1_000), self.venue.now_ns()):
            lots = listing.lots(abs(signed))
            value = coins(listing.instrument.notional(lots, listing.bid(ticks)))
            sizes = {"price": eight(listing.px(listing.bid(ticks))), "qty": eight(listing.qty(lots)), "quoteQty": eight(value)}
            rows.append({"id": number, **sizes, "time": ts // MS, "isBuyerMaker": signed < 0, "isBestMatch": True})
        return rows

    def aggregates(self, query: Json) -> list[Json]:
        """Return the last trades in the form of aggregates of one."""
        listing = self.listing(query)
        found = self.venue.market.trades_since(Role.SPOT, min(int(query.get("limit", 500)), 1_000), self.venue.now_ns())
        return [aggregate(listing, number, ts // MS, ticks, signed) for number, ts, ticks, signed in found]

    def klines(self, query: Json) -> list[list[Any]]:
        """Return bars, oldest first."""
        listing = self.listing(query)
        minutes = INTERVALS.get(str(query.get("interval", "")))
        if minutes is None:
            raise BinanceError(-1120, "Invalid interval.")
        start, end = (int(query[name]) * MS if query.get(name) else None for name in ("startTime", "endTime"))
        limit = min(int(query.get("limit", 500)), 1_000)
        return [bar_row(listing, bar, minutes) for bar in self.book.bars.query(self.venue.now_ns(), minutes, limit, start, end)]

    def average(self, query: Json) -> Json:
        """Return the mean price of five minutes; here the last price."""
        listing = self.listing(query)
        return {"mins": 5, "price": eight(listing.px(self.venue.depth.last(listing))), "closeTime": self.venue.now_ms()}

    def ticker(self, query: Json) -> Any:
        """Return figures of 24 hours."""
        return self._one_or_all(query, lambda listing: ticker_shape(self.venue, listing))

    def price(self, query: Json) -> Any:
        """Return last prices."""
        return self._one_or_all(query, lambda listing: {"symbol": listing.symbol, "price": eight(listing.px(self.venue.depth.last(listing)))})

    def book_ticker(self, query: Json) -> Any:
        """Return best prices."""
        return self._one_or_all(query, lambda listing: {"symbol": listing.symbol} | best_shape(self.venue, listing))


def best_shape(venue: Venue, listing: Listing) -> Json:
    """Return best prices and sizes."""
    bid, ask, bid_lots, ask_lots = venue.depth.best(listing)
    return {
        "bidPrice": eight(listing.px(bid)),
        "bidQty": eight(listing.qty(bid_lots)),
        "askPrice": eight(listing.px(ask)),
        "askQty": eight(listing.qty(ask_lots)),
    }


def levels_text(listing: Listing, levels: list[Level]) -> list[list[str]]:
    """Write levels with eight decimals."""
    return [[eight(listing.px(price)), eight(listing.qty(lots))] for price, lots in levels]


def aggregate(listing: Listing, number: int, ms: int, ticks: int, signed: int) -> Json:
    """Return a trade as an aggregate of one."""
    sizes = {"p": eight(listing.px(listing.bid(ticks))), "q": eight(listing.qty(listing.lots(abs(signed))))}
    return {"a": number, **sizes, "f": number, "l": number, "T": ms, "m": signed < 0, "M": True}


def value_text(listing: Listing, value: int) -> str:
    """Write a value given in ticks × lots of the market's book."""
    return eight(coins(int(value * listing.instrument.money_per_tick_lot * listing.price_ratio * listing.lots_ratio)))


def bar_row(listing: Listing, bar: Bar, minutes: int) -> list[Any]:
    """Write a bar."""
    start = bar.open_ns // MS
    prices = [eight(listing.px(listing.bid(ticks))) for ticks in (bar.open, bar.high, bar.low, bar.close)]
    volume, bought = (eight(listing.qty(listing.lots(lots)) if lots else "0") for lots in (bar.lots, bar.buy_lots))
    end = start + minutes * 60_000 - 1
    return [start, *prices, volume, end, value_text(listing, bar.value), bar.trades, bought, value_text(listing, bar.buy_value), "0"]


def ticker_shape(venue: Venue, listing: Listing) -> Json:
    """Return figures of 24 hours."""
    book = venue.market.books[Role.SPOT]
    day = book.bars.day(venue.now_ns())
    last = venue.depth.last(listing)
    first = listing.bid(day.first) if day.first else last
    now = venue.now_ms()
    mean = day.value // day.lots if day.lots else book.last
    recent = venue.market.trades_since(Role.SPOT, 1, venue.now_ns())
    return {
        "symbol": listing.symbol,
        "priceChange": eight(listing.px(last - first)),
        "priceChangePercent": f"{(last - first) / first * 100:.3f}",
        "weightedAvgPrice": eight(listing.px(listing.bid(mean))),
        "prevClosePrice": eight(listing.px(first)),
        "lastPrice": eight(listing.px(last)),
        "lastQty": eight(listing.qty(listing.lots(abs(recent[-1][3])) if recent else 1)),
        **best_shape(venue, listing),
        "openPrice": eight(listing.px(first)),
        "highPrice": eight(listing.px(max(last, listing.bid(day.high)))),
        "lowPrice": eight(listing.px(min(last, listing.bid(day.low)) if day.low else last)),
        "volume": eight(listing.qty(listing.lots(day.lots)) if day.lots else "0"),
        "quoteVolume": value_text(listing, day.value),
        "openTime": now - 86_400_000,
        "closeTime": now,
        "firstId": max(0, book.trades - day.trades),
        "lastId": book.trades,
        "count": day.trades,
    }


def symbol_shape(listing: Listing) -> Json:
    """Return a symbol's rules."""
    instrument = listing.instrument
    tick, lot = eight(listing.px(1)), eight(listing.qty(1))
    return {
        "symbol": listing.symbol,
        "status": "TRADING" if listing.trading is Trading.OPEN else "BREAK",
        "baseAsset": instrument.base,
        "baseAssetPrecision": EIGHT,
        "quoteAsset": instrument.quote,
        "quotePrecision": EIGHT,
        "quoteAssetPrecision": EIGHT,
        "baseCommissionPrecision": EIGHT,
        "quoteCommissionPrecision": EIGHT,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "9000.00000000", "stepSize": lot},
            {"filterType": "NOTIONAL", "minNotional": eight(str(instrument.min_notional)), "applyMinToMarket": True, "maxNotional": "9000000.00000000"},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }
