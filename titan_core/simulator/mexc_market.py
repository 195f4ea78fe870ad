"""MEXC contract market data over REST."""

from collections.abc import Callable
from typing import Any

from titan_core.model.enums import Side
from titan_core.model.units import MIN, MS, RATE_SCALE, S
from titan_core.simulator.bybit_market import funding_of
from titan_core.simulator.ladder import Level
from titan_core.simulator.listings import MEXC, Listing, Role
from titan_core.simulator.mexc_shapes import Json, contract_shape, price
from titan_core.simulator.upkeep import next_funding_ns
from titan_core.simulator.venue import Venue

INTERVALS = {"Min1": 1, "Min5": 5, "Min15": 15, "Min30": 30, "Min60": 60, "Hour4": 240, "Hour8": 480, "Day1": 1_440, "Week1": 10_080}


class MexcError(Exception):
    """An error answer: code and text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class MexcMarket:
    """Answers `/api/v1/contract/...`."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.book = venue.market.books[Role.PERP]

    def listing(self, symbol: str) -> Listing:
        """Return a contract. Raises MexcError for an unknown one."""
        found = self.venue.by_symbol.get((MEXC, symbol))
        if found is None:
            raise MexcError(1001, "Contract not exists")
        return found

    def all(self) -> list[Listing]:
        """Return all contracts."""
        return [each for each in self.venue.listings.values() if each.instrument.venue == MEXC]

    def answer(self, path: str, query: dict[str, str]) -> Any:
        """Return the data of a path below `/api/v1/contract/`. Raises MexcError; returns None for an unknown path."""
        name, _, rest = path.partition("/")
        if name == "ping":
            return self.venue.server_ms()
        if name == "detail":
            rows = [contract_shape(each, number) for number, each in enumerate(self.all()) if query.get("symbol") in (None, each.symbol)]
            return rows[0] if query.get("symbol") and rows else rows
        if name == "ticker":
            return self.ticker(self.listing(query["symbol"])) if query.get("symbol") else [self.ticker(each) for each in self.all()]
        if name == "funding_rate" and rest == "history":
            return self.funding_history(self.listing(query.get("symbol", "")), query)
        if name == "funding_rate" and not rest:
            return [self.funding(each) for each in self.all()]
        answers: dict[str, Callable[[], Any]] = {
            "depth": lambda: self.depth(self.listing(rest), int(query.get("limit", 100))),
            "depth_commits": lambda: self.commits(rest),
            "index_price": lambda: self._mark(self.listing(rest), "indexPrice", 1),
            "fair_price": lambda: self._mark(self.listing(rest), "fairPrice", 0),
            "funding_rate": lambda: self.funding(self.listing(rest)),
            "kline": lambda: self.kline(self.listing(rest.rpartition("/")[2]), query),
            "deals": lambda: self.deals(self.listing(rest), min(int(query.get("limit", 100)), 100)),
        }
        return answers[name]() if name in answers else None

    def depth(self, listing: Listing, count: int) -> Json:
        """Return a book with the version that the stream's messages continue from."""
        bids, asks = (self.venue.depth.levels(listing, side, count) for side in (Side.BUY, Side.SELL))
        now = self.venue.now_ms()
        return {"asks": levels(listing, asks), "bids": levels(listing, bids), "version": self.book.version, "timestamp": now, "cts": now}

    def commits(self, rest: str) -> list[Json]:
        """Return recent changes of a book: here the book itself as one change."""
        symbol, _, _ = rest.partition("/")
        return [self.depth(self.listing(symbol), 20)]

    def _mark(self, listing: Listing, name: str, place: int) -> Json:
        return {"symbol": listing.symbol, name: price(listing, self.venue.depth.marks(listing)[place]), "timestamp": self.venue.now_ms()}

    def funding(self, listing: Listing) -> Json:
        """Return the rate of the next settlement."""
        settles = next_funding_ns(listing.funding_minutes, self.venue.now_ns())
        cap = listing.funding_cap_e8 / RATE_SCALE
        return {
            "symbol": listing.symbol,
            "fundingRate": funding_of(self.venue, listing, settles) / RATE_SCALE,
            "maxFundingRate": cap,
            "minFundingRate": -cap,
            "collectCycle": listing.funding_minutes // 60,
            "nextSettleTime": settles // MS,
            "timestamp": self.venue.now_ms(),
        }

    def funding_history(self, listing: Listing, query: dict[str, str]) -> Json:
        """Return settled rates, the newest first."""
        every = listing.funding_minutes * MIN
        last = self.venue.now_ns() // every * every
        known = self.venue.market.funding_rates
        first = -(-min(known, default=last + 1) // every) * every
        times = range(last, first - 1, -every)
        size, page = min(int(query.get("page_size", 20)), 100), int(query.get("page_num", 1))
        rows = [
            {"symbol": listing.symbol, "fundingRate": funding_of(self.venue, listing, ts) / RATE_SCALE, "settleTime": ts // MS}
            for ts in times[(page - 1) * size : page * size]
        ]
        pages = -(-len(times) // size)
        return {"pageSize": size, "totalCount": len(times), "totalPage": pages, "currentPage": page, "resultList": rows}

    def kline(self, listing: Listing, query: dict[str, str]) -> Json:
        """Return bars in columns, oldest first."""
        minutes = INTERVALS.get(query.get("interval", "Min1"))
        if minutes is None:
            raise MexcError(600, f"Parameter error: interval must be one of {', '.join(INTERVALS)}")
        start, end = (int(query[name]) * S if query.get(name) else None for name in ("start", "end"))
        bars = self.book.bars.query(self.venue.now_ns(), minutes, 2_000, start, end)
        columns = {name: [price(listing, listing.bid(getattr(bar, name))) for bar in bars] for name in ("open", "close", "high", "low")}
        value = float(listing.instrument.tick_size * listing.instrument.lot_size * listing.price_ratio.numerator / listing.price_ratio.denominator)
        return {
            "time": [bar.open_ns // S for bar in bars],
            **columns,
            "vol": [listing.lots(bar.lots) if bar.lots else 0 for bar in bars],
            "amount": [round(bar.value * float(listing.lots_ratio) * value, 4) for bar in bars],
        }

    def deals(self, listing: Listing, count: int) -> list[Json]:
        """Return the last trades, the newest first."""
        found = self.venue.market.trades_since(Role.PERP, count, self.venue.now_ns())
        return [deal(listing, ticks, signed, ts // MS) for _, ts, ticks, signed in reversed(found)]

    def ticker(self, listing: Listing) -> Json:
        """Return prices, figures of 24 hours, and what only contracts have."""
        bid, ask, _, _ = self.venue.depth.best(listing)
        mark, index = self.venue.depth.marks(listing)
        day = self.book.bars.day(self.venue.now_ns())
        last = self.venue.depth.last(listing)
        first = listing.bid(day.first) if day.first else last
        return {
            "contractId": self.all().index(listing) + 1,
            "symbol": listing.symbol,
            "lastPrice": price(listing, last),
            "bid1": price(listing, bid),
            "ask1": price(listing, ask),
            "volume24": listing.lots(day.lots) if day.lots else 0,
            "amount24": round(day.value * float(listing.lots_ratio) * float(listing.instrument.tick_size * listing.instrument.lot_size), 4),
            "holdVol": listing.lots(self.venue.market.open_interest),
            "lower24Price": price(listing, min(last, listing.bid(day.low)) if day.low else last),
            "high24Price": price(listing, max(last, listing.bid(day.high))),
            "riseFallRate": round((last - first) / first, 4),
            "riseFallValue": price(listing, last - first),
            "indexPrice": price(listing, index),
            "fairPrice": price(listing, mark),
            "fundingRate": self.funding(listing)["fundingRate"],
            "maxBidPrice": price(listing, index * 11 // 10),
            "minAskPrice": price(listing, index * 9 // 10),
            "timestamp": self.venue.now_ms(),
        }


def levels(listing: Listing, rows: list[Level]) -> list[list[Any]]:
    """Write levels: price, contracts, number of orders."""
    return [[price(listing, ticks), lots, 1 if lots else 0] for ticks, lots in rows]


def deal(listing: Listing, ticks: int, signed: int, ms: int) -> Json:
    """Write a trade: T is the taker's side, O whether it opened a position, M whether the market's own account traded."""
    side = 1 if signed > 0 else 2
    at = listing.ask(ticks) if signed > 0 else listing.bid(ticks)
    return {"p": price(listing, at), "v": listing.lots(abs(signed)), "T": side, "O": 3, "M": 1, "t": ms}
