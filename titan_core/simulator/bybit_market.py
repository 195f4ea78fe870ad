"""Bybit V5 market data over REST: time, instruments, tickers, books, trades, bars, funding and open interest."""

from decimal import Decimal
from typing import Any

from titan_core.model.enums import Side
from titan_core.model.units import MIN, MS
from titan_core.simulator.bars import Bar
from titan_core.simulator.bybit_shapes import CATEGORIES, Json
from titan_core.simulator.ladder import Level
from titan_core.simulator.listings import Listing, Role, Text, Trading, coins, compact
from titan_core.simulator.upkeep import next_funding_ns
from titan_core.simulator.venue import Venue
from titan_core.simulator.wire import Window

INTERVALS = {"1": 1, "3": 3, "5": 5, "15": 15, "30": 30, "60": 60, "120": 120, "240": 240, "360": 360, "720": 720, "D": 1_440, "W": 10_080}
INTEREST_TIMES = {"5min": 5, "15min": 15, "30min": 30, "1h": 60, "4h": 240, "1d": 1_440}
IP_LIMIT, IP_SPAN_NS = 600, 5_000_000_000
"""Requests that one address may make in five seconds."""
LAUNCHED_MS = "1585526400000"
_RATE = Text(Decimal("1e-8"))


class BadParameter(Exception):
    """A parameter is missing or impossible: code 10001."""


class BybitMarket:
    """Answers `/v5/market/...`."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.ip_window = Window(IP_LIMIT, venue.server_ns, IP_SPAN_NS)
        self.routes = {
            "/v5/market/time": self.time,
            "/v5/market/instruments-info": self.instruments,
            "/v5/market/tickers": self.tickers,
            "/v5/market/orderbook": self.orderbook,
            "/v5/market/recent-trade": self.trades,
            "/v5/market/kline": self.kline,
            "/v5/market/mark-price-kline": self.mark_kline,
            "/v5/market/index-price-kline": self.mark_kline,
            "/v5/market/funding/history": self.funding,
            "/v5/market/open-interest": self.open_interest,
            "/v5/market/risk-limit": self.risk_limit,
            "/v5/system/status": self.status,
            "/v5/announcements/index": self.announcements,
        }

    # -- helpers ------------------------------------------------------------------------------------------------
    def category(self, query: dict[str, Any]) -> str:
        """Return the category. Raises BadParameter for an unknown one."""
        category = str(query.get("category", ""))
        if category not in ("linear", "spot", "inverse", "option"):
            raise BadParameter(f"Illegal category, found {category!r}, allowed are linear, spot, inverse and option")
        return category

    def listed(self, category: str, symbol: str | None) -> list[Listing]:
        """Return the instruments of a category, or the one that is asked for. Raises BadParameter for an unknown symbol."""
        venue = CATEGORIES.get(category)
        found = [each for each in self.venue.listings.values() if each.instrument.venue == venue and symbol in (None, "", each.symbol)]
        if symbol and not found:
            raise BadParameter(f"params error: symbol invalid {symbol}")
        return found

    def listing(self, query: dict[str, Any]) -> Listing:
        """Return the one instrument that a request names."""
        symbol = query.get("symbol")
        if not symbol:
            raise BadParameter("params error: symbol is required")
        found = self.listed(self.category(query), str(symbol))
        if not found:
            raise BadParameter(f"params error: symbol invalid {symbol}")
        return found[0]

    # -- routes -------------------------------------------------------------------------------------------------
    def time(self, query: dict[str, Any]) -> Json:
        """Return the servers' time."""
        now = self.venue.server_ns()
        return {"timeSecond": str(now // 1_000_000_000), "timeNano": str(now)}

    def status(self, query: dict[str, Any]) -> Json:
        """Return the planned maintenance."""
        return {"list": []}

    def announcements(self, query: dict[str, Any]) -> Json:
        """Return delistings as announcements."""
        gone = [each for each in self.venue.listings.values() if each.trading is Trading.CLOSED]
        rows = [{"title": f"Delisting of {each.symbol}", "type": {"key": "delistings"}, "publishTime": self.venue.now_ms()} for each in gone]
        return {"total": len(rows), "list": rows}

    def instruments(self, query: dict[str, Any]) -> Json:
        """Return grids and limits. Pages by `cursor` where `limit` is given (linear)."""
        category = self.category(query)
        found = self.listed(category, query.get("symbol"))
        wanted = query.get("status")
        if wanted:
            found = [each for each in found if instrument_status(each) == wanted]
        else:
            found = [each for each in found if each.trading is Trading.OPEN or query.get("symbol")]
        if category == "spot":
            return {"category": category, "list": [_spot_info(each) for each in found], "nextPageCursor": ""}
        limit, begin = min(int(query.get("limit", 500)), 1000), int(query.get("cursor") or 0)
        page = found[begin : begin + limit]
        return {"category": category, "list": [_linear_info(each) for each in page], "nextPageCursor": str(begin + limit) if begin + limit < len(found) else ""}

    def tickers(self, query: dict[str, Any]) -> Json:
        """Return prices, 24 hour figures, and of perpetuals mark, index, funding and open interest."""
        category = self.category(query)
        shape = spot_ticker if category == "spot" else linear_ticker
        rows = [shape(self.venue, each) for each in self.listed(category, query.get("symbol"))]
        if category == "spot":
            rows = [row | {"usdIndexPrice": row["lastPrice"]} for row in rows]
        else:
            empty = {name: "" for name in ("predictedDeliveryPrice", "basisRate", "deliveryFeeRate", "basis")}
            rows = [row | empty | {"deliveryTime": "0"} for row in rows]
        return {"category": category, "list": rows}

    def orderbook(self, query: dict[str, Any]) -> Json:
        """Return a book."""
        listing = self.listing(query)
        count = min(int(query.get("limit", 25 if listing.role is Role.PERP else 1)), 500)
        book = self.venue.market.books[listing.role]
        sides = [self.venue.depth.levels(listing, side, count) for side in (Side.BUY, Side.SELL)]
        now = self.venue.now_ms()
        return {
            "s": listing.symbol,
            "b": levels_text(listing, sides[0]),
            "a": levels_text(listing, sides[1]),
            "ts": now,
            "u": book.version - 49_000_000_000,
            "seq": book.version * 8,
            "cts": now,
        }

    def trades(self, query: dict[str, Any]) -> Json:
        """Return the last trades, the newest first."""
        listing = self.listing(query)
        count = min(int(query.get("limit", 500 if listing.role is Role.PERP else 60)), 1000)
        rows = []
        for number, ts, ticks, signed in reversed(self.venue.market.trades_since(listing.role, count, self.venue.now_ns())):
            rows.append(
                {
                    "execId": trade_id(number),
                    "symbol": listing.symbol,
                    "price": listing.px(listing.ask(ticks) if signed > 0 else listing.bid(ticks)),
                    "size": compact(listing.qty(listing.lots(abs(signed)))),
                    "side": "Buy" if signed > 0 else "Sell",
                    "time": str(ts // MS),
                    "isBlockTrade": False,
                }
            )
        return {"category": self.category(query), "list": rows}

    def kline(self, query: dict[str, Any]) -> Json:
        """Return bars, the newest first."""
        listing = self.listing(query)
        rows = [bar_row(listing, bar) for bar in reversed(self._bars(listing, query, 1000, 200))]
        return {"category": self.category(query), "symbol": listing.symbol, "list": rows}

    def mark_kline(self, query: dict[str, Any]) -> Json:
        """Return bars without volume, the newest first."""
        listing = self.listing(query)
        rows = [bar_row(listing, bar)[:5] for bar in reversed(self._bars(listing, query, 1000, 200))]
        return {"category": self.category(query), "symbol": listing.symbol, "list": rows}

    def _bars(self, listing: Listing, query: dict[str, Any], most: int, default: int) -> list[Bar]:
        minutes = INTERVALS.get(str(query.get("interval", "")))
        if minutes is None:
            raise BadParameter(f"Invalid period! found {query.get('interval')!r}, allowed are {', '.join(INTERVALS)}")
        start, end = (int(query[name]) * MS if query.get(name) else None for name in ("start", "end"))
        limit = min(int(query.get("limit", default)), most)
        return self.venue.market.books[listing.role].bars.query(self.venue.now_ns(), minutes, limit, start, end)

    def funding(self, query: dict[str, Any]) -> Json:
        """Return settled funding rates, the newest first."""
        listing = self.listing(query)
        limit = min(int(query.get("limit", 200)), 200)
        start, end = (int(query[name]) * MS if query.get(name) else None for name in ("startTime", "endTime"))
        every = listing.funding_minutes * MIN
        known = self.venue.market.funding_rates
        boundary = min(self.venue.now_ns(), end if end is not None else self.venue.now_ns()) // every * every
        rows: list[Json] = []
        while known and boundary >= max(min(known), start or 0) and len(rows) < limit:
            rate = funding_of(self.venue, listing, boundary)
            rows.append({"symbol": listing.symbol, "fundingRate": coins(rate), "fundingRateTimestamp": str(boundary // MS)})
            boundary -= every
        return {"category": self.category(query), "list": rows}

    def open_interest(self, query: dict[str, Any]) -> Json:
        """Return open contracts at regular times, the newest first."""
        listing = self.listing(query)
        minutes = INTEREST_TIMES.get(str(query.get("intervalTime", "")))
        if minutes is None:
            raise BadParameter(f"params error: intervalTime invalid, allowed are {', '.join(INTEREST_TIMES)}")
        limit = min(int(query.get("limit", 50)), 200)
        start, end = (int(query[name]) * MS if query.get(name) else None for name in ("startTime", "endTime"))
        by_slot = {ts // (minutes * MIN): lots for ts, lots in self.venue.market.interest_history}
        slots = [slot for slot in by_slot if (start is None or slot * minutes * MIN >= start) and (end is None or slot * minutes * MIN <= end)]
        rows = [
            {"openInterest": listing.qty(listing.lots(by_slot[slot])) + "00000", "timestamp": str(slot * minutes * MIN // MS)}
            for slot in sorted(slots, reverse=True)[:limit]
        ]
        return {"symbol": listing.symbol, "category": self.category(query), "list": rows, "nextPageCursor": ""}

    def risk_limit(self, query: dict[str, Any]) -> Json:
        """Return the one tier that the box has."""
        rows = [
            {
                "id": 1,
                "symbol": each.symbol,
                "riskLimitValue": "2000000",
                "maintenanceMargin": coins(each.instrument.maintenance_margin_bps * 10_000),
                "initialMargin": coins(100_000_000 // each.instrument.max_leverage),
                "isLowestRisk": 1,
                "maxLeverage": f"{each.instrument.max_leverage}.00",
            }
            for each in self.listed(self.category(query), query.get("symbol"))
        ]
        return {"category": self.category(query), "list": rows, "nextPageCursor": ""}


def levels_text(listing: Listing, levels: list[Level]) -> list[list[str]]:
    """Write levels."""
    return [[listing.px(price), listing.qty(lots)] for price, lots in levels]


def trade_id(number: int) -> str:
    """Return a trade's id in the form of a UUID."""
    return f"{number:08x}-5d81-5a31-9112-{number:012x}"


def bar_row(listing: Listing, bar: Bar) -> list[str]:
    """Write a bar: time, open, high, low, close, volume, turnover."""
    prices = [listing.px(listing.bid(ticks)) for ticks in (bar.open, bar.high, bar.low, bar.close)]
    volume = listing.qty(listing.lots(bar.lots)) if bar.lots else "0"
    return [str(bar.open_ns // MS), *prices, volume, turnover(listing, bar.value)]


def turnover(listing: Listing, value: int) -> str:
    """Write a value that is given in ticks × lots of the market's book."""
    money = value * listing.instrument.money_per_tick_lot * listing.price_ratio * listing.lots_ratio
    return coins(int(money))


def funding_of(venue: Venue, listing: Listing, boundary_ns: int) -> int:
    """Return an instrument's rate (1e-8) at a settlement, within its cap."""
    rate = venue.market.funding_rate(boundary_ns) * listing.funding_minutes // 480
    return max(-listing.funding_cap_e8, min(listing.funding_cap_e8, rate))


def instrument_status(listing: Listing) -> str:
    """Return the status word."""
    return "Trading" if listing.trading is Trading.OPEN else "Closed"


def _day(venue: Venue, listing: Listing) -> Json:
    figures = venue.market.books[listing.role].bars.day(venue.now_ns())
    last = venue.depth.last(listing)
    first = listing.bid(figures.first) if figures.first else last
    change = (last - first) * 1_000_000 // first
    sign = "-" if change < 0 else ""
    return {
        "lastPrice": listing.px(last),
        "prevPrice24h": listing.px(first),
        "price24hPcnt": f"{sign}0.{abs(change):06d}" if abs(change) < 1_000_000 else f"{change / 1e6:.6f}",
        "highPrice24h": listing.px(max(last, listing.bid(figures.high))),
        "lowPrice24h": listing.px(min(last, listing.bid(figures.low)) if figures.low else last),
        "turnover24h": turnover(listing, figures.value),
        "volume24h": listing.qty(listing.lots(figures.lots)),
        "prevPrice1h": listing.px(listing.bid(figures.hour_ago) if figures.hour_ago else last),
    }


def spot_ticker(venue: Venue, listing: Listing) -> Json:
    """Return a spot ticker."""
    bid, ask, bid_lots, ask_lots = venue.depth.best(listing)
    day = _day(venue, listing)
    day.pop("prevPrice1h")
    best = {"bid1Price": listing.px(bid), "bid1Size": listing.qty(bid_lots), "ask1Price": listing.px(ask), "ask1Size": listing.qty(ask_lots)}
    return {"symbol": listing.symbol} | best | day


def linear_ticker(venue: Venue, listing: Listing) -> Json:
    """Return a perpetual's ticker, as REST and the stream have it in common."""
    bid, ask, bid_lots, ask_lots = venue.depth.best(listing)
    mark, index = venue.depth.marks(listing)
    interest = listing.lots(venue.market.open_interest)
    settles = next_funding_ns(listing.funding_minutes, venue.now_ns())
    return {
        "symbol": listing.symbol,
        **_day(venue, listing),
        "indexPrice": listing.px(index),
        "markPrice": listing.px(mark),
        "openInterest": listing.qty(interest),
        "openInterestValue": coins(listing.instrument.notional(interest, mark)),
        "fundingRate": coins(funding_of(venue, listing, settles)),
        "nextFundingTime": str(settles // MS),
        "fundingIntervalHour": str(listing.funding_minutes // 60),
        "ask1Size": listing.qty(ask_lots),
        "bid1Price": listing.px(bid),
        "ask1Price": listing.px(ask),
        "bid1Size": listing.qty(bid_lots),
    }


def _linear_info(listing: Listing) -> Json:
    instrument, most = listing.instrument, listing.max_market_lots
    return {
        "symbol": listing.symbol,
        "contractType": "LinearPerpetual",
        "status": instrument_status(listing),
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "launchTime": LAUNCHED_MS,
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": "2",
        "leverageFilter": {"minLeverage": "1", "maxLeverage": f"{instrument.max_leverage}.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": listing.px(1), "maxPrice": listing.px(1_999_998), "tickSize": listing.px(1)},
        "lotSizeFilter": {
            "maxOrderQty": listing.qty(most * 10),
            "maxMktOrderQty": listing.qty(most),
            "minOrderQty": listing.qty(1),
            "qtyStep": listing.qty(1),
            "postOnlyMaxOrderQty": listing.qty(most * 10),
            "minNotionalValue": str(instrument.min_notional),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": listing.funding_minutes,
        "settleCoin": instrument.quote,
        "copyTrading": "both",
        "upperFundingRate": _RATE(listing.funding_cap_e8).rstrip("0"),
        "lowerFundingRate": _RATE(-listing.funding_cap_e8).rstrip("0"),
    }


def _spot_info(listing: Listing) -> Json:
    instrument, most = listing.instrument, listing.max_market_lots
    return {
        "symbol": listing.symbol,
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "innovation": "0",
        "status": instrument_status(listing),
        "marginTrading": "utaOnly",
        "lotSizeFilter": {
            "basePrecision": listing.qty(1),
            "quotePrecision": "0.00000001",
            "minOrderQty": listing.qty(1),
            "maxOrderQty": listing.qty(most),
            "minOrderAmt": str(instrument.min_notional),
            "maxOrderAmt": "4000000",
        },
        "priceFilter": {"tickSize": listing.px(1)},
    }
