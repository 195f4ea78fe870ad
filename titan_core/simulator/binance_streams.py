"""Binance Spot market streams: `/ws/...`, `/stream?streams=...`, and SUBSCRIBE on either."""

from collections.abc import Callable
from typing import Any

from titan_core.model.enums import Side
from titan_core.model.units import MS, S
from titan_core.simulator.binance_rest import INTERVALS, Json, aggregate, best_shape, eight, levels_text, ticker_shape, value_text
from titan_core.simulator.books import DiffBook, Throttle
from titan_core.simulator.listings import BINANCE, Listing, Role
from titan_core.simulator.session import Deliver, Session, parsed
from titan_core.simulator.timers import Timers
from titan_core.simulator.venue import Venue
from titan_core.simulator.wire import encode

DEPTH_SPEEDS = {"100ms": 100 * MS, "1000ms": 1 * S}
PARTIAL = ("5", "10", "20")
KLINE_EVERY = 2 * S
TICKER_EVERY = 1 * S
TICKER_NAMES = {
    "priceChange": "p",
    "priceChangePercent": "P",
    "weightedAvgPrice": "w",
    "prevClosePrice": "x",
    "lastPrice": "c",
    "lastQty": "Q",
    "bidPrice": "b",
    "bidQty": "B",
    "askPrice": "a",
    "askQty": "A",
    "openPrice": "o",
    "highPrice": "h",
    "lowPrice": "l",
    "volume": "v",
    "quoteVolume": "q",
    "openTime": "O",
    "closeTime": "C",
    "firstId": "F",
    "lastId": "L",
    "count": "n",
}

MINI = ("lastPrice", "openPrice", "highPrice", "lowPrice", "volume", "quoteVolume")


class BinanceHub:
    """What all sessions share: the streams and what publishes them."""

    def __init__(self, venue: Venue, timers: Timers) -> None:
        self.venue, self.timers = venue, timers
        self.book = venue.market.books[Role.SPOT]
        self._sessions: dict[str, dict[BinanceSession, None]] = {}
        self._on_quote: dict[str, Callable[[], None]] = {}
        self._on_trade: dict[str, Callable[[int, int], None]] = {}
        self._before = (0, 0, 0, 0)

    def subscribe(self, stream: str, session: "BinanceSession") -> bool:
        """Add a session to a stream; return whether there is such a stream."""
        symbol, _, kind = stream.partition("@")
        listing = self.venue.by_symbol.get((BINANCE, symbol.upper()))
        if listing is None or symbol != symbol.lower():
            return False
        if stream not in self._sessions and not self._make(stream, kind, listing):
            return False
        self._sessions.setdefault(stream, {})[session] = None
        return True

    def unsubscribe(self, stream: str, session: "BinanceSession") -> None:
        """Remove a session from a stream; one that nobody hears is not made."""
        found = self._sessions.get(stream, {})
        found.pop(session, None)
        if not found:
            self._sessions.pop(stream, None)
            self._on_quote.pop(stream, None)
            self._on_trade.pop(stream, None)

    def _make(self, stream: str, kind: str, listing: Listing) -> bool:
        name, _, argument = kind.partition("_")
        if kind == "bookTicker":
            self._on_quote[stream] = lambda: self._best(stream, listing)
        elif kind in ("trade", "aggTrade"):
            self._on_trade[stream] = lambda price, signed: self._trade(stream, kind, listing, price, signed)
        elif name == "kline" and argument in INTERVALS:
            throttle = self._throttle(KLINE_EVERY, lambda: self._kline(stream, argument, listing))
            self._on_trade[stream] = lambda price, signed: throttle.ask()
        elif kind in ("ticker", "miniTicker"):
            throttle = self._throttle(TICKER_EVERY, lambda: self._ticker(stream, kind, listing))
            self._on_quote[stream] = throttle.ask
        else:
            return self._make_depth(stream, kind, listing)
        return True

    def _make_depth(self, stream: str, kind: str, listing: Listing) -> bool:
        name, _, speed = kind.partition("@")
        every = DEPTH_SPEEDS.get(speed or "1000ms")
        if every is None or not name.startswith("depth"):
            return False
        levels = name.removeprefix("depth")
        if levels in PARTIAL:
            self._on_quote[stream] = self._throttle(every, lambda: self._partial(stream, int(levels), listing)).ask
            return True
        if levels:
            return False
        diff = DiffBook(listing, self.venue.depth, self.book)
        throttle = self._throttle(every, lambda: self._diff(stream, diff))

        def changed() -> None:
            diff.note()
            throttle.ask_later()

        self._on_quote[stream] = changed
        return True

    def _throttle(self, every_ns: int, publish: Callable[[], None]) -> Throttle:
        return Throttle(every_ns, self.venue.now_ns, self.timers, publish)

    # -- the market ---------------------------------------------------------------------------------------------
    def on_quote(self, role: Role) -> None:
        """Publish books."""
        if role is Role.SPOT:
            for call in list(self._on_quote.values()):
                call()

    def on_trade(self, role: Role, price: int, signed_lots: int) -> None:
        """Publish trades and bars."""
        if role is Role.SPOT:
            for call in list(self._on_trade.values()):
                call(price, signed_lots)

    # -- frames -------------------------------------------------------------------------------------------------
    def _publish(self, stream: str, data: Json) -> None:
        found = self._sessions.get(stream)
        if not found:
            return
        bare: bytes | None = None
        combined: bytes | None = None
        for session in list(found):
            if session.combined:
                combined = combined or encode({"stream": stream, "data": data})
                session.deliver(combined, stream)
            else:
                bare = bare or encode(data)
                session.deliver(bare, stream)

    def _best(self, stream: str, listing: Listing) -> None:
        best = best_shape(self.venue, listing)
        self._publish(
            stream,
            {"u": self.book.version, "s": listing.symbol, "b": best["bidPrice"], "B": best["bidQty"], "a": best["askPrice"], "A": best["askQty"]},
        )

    def _trade(self, stream: str, kind: str, listing: Listing, price: int, signed: int) -> None:
        now, number = self.venue.now_ms(), self.book.trades
        head = {"e": kind, "E": now, "s": listing.symbol}
        row = aggregate(listing, number, now, price, signed)
        if kind == "trade":
            row = {"t": number, "p": row["p"], "q": row["q"], "T": now, "m": row["m"], "M": True}
        self._publish(stream, head | row)

    def _kline(self, stream: str, interval: str, listing: Listing) -> None:
        now = self.venue.now_ms()
        minutes = INTERVALS[interval]
        for bar in self.book.bars.query(self.venue.now_ns(), minutes, 1):
            start = bar.open_ns // MS
            prices = {name: eight(listing.px(listing.bid(ticks))) for name, ticks in zip("ochl", (bar.open, bar.close, bar.high, bar.low), strict=True)}
            volume, bought = (eight(listing.qty(listing.lots(lots)) if lots else "0") for lots in (bar.lots, bar.buy_lots))
            numbers = {"f": self.book.trades - bar.trades + 1, "L": self.book.trades}
            head = {"t": start, "T": start + minutes * 60_000 - 1, "s": listing.symbol, "i": interval}
            tail = {"v": volume, "n": bar.trades, "x": bar.closed, "q": value_text(listing, bar.value), "V": bought, "Q": value_text(listing, bar.buy_value)}
            self._publish(stream, {"e": "kline", "E": now, "s": listing.symbol, "k": {**head, **numbers, **prices, **tail, "B": "0"}})

    def _ticker(self, stream: str, kind: str, listing: Listing) -> None:
        shape = ticker_shape(self.venue, listing)
        names = (
            TICKER_NAMES
            if kind == "ticker"
            else {name: TICKER_NAMES[name] for name in ("lastPrice", "openPrice", "highPrice", "lowPrice", "volume", "quoteVolume")}
        )
        event = "24hrTicker" if kind == "ticker" else "24hrMiniTicker"
        self._publish(stream, {"e": event, "E": self.venue.now_ms(), "s": listing.symbol} | {short: shape[name] for name, short in names.items()})

    def _partial(self, stream: str, count: int, listing: Listing) -> None:
        bids, asks = (levels_text(listing, self.venue.depth.levels(listing, side, count)) for side in (Side.BUY, Side.SELL))
        self._publish(stream, {"lastUpdateId": self.book.version, "bids": bids, "asks": asks})

    def _diff(self, stream: str, diff: DiffBook) -> None:
        found = diff.take()
        if found is not None:
            first, last, bids, asks = found
            head = {"e": "depthUpdate", "E": self.venue.now_ms(), "s": diff.listing.symbol, "U": first, "u": last}
            self._publish(stream, head | {"b": levels_text(diff.listing, bids), "a": levels_text(diff.listing, asks)})


class BinanceSession(Session):
    """One websocket. `combined` says whether messages are wrapped with their stream's name."""

    def __init__(self, hub: BinanceHub, deliver: Deliver, *, combined: bool, streams: list[str]) -> None:
        self.hub, self.deliver, self.combined = hub, deliver, combined
        self.streams: dict[str, None] = {}
        self.unknown = [stream for stream in streams if not self._add(stream)]

    def _add(self, stream: str) -> bool:
        if not self.hub.subscribe(stream, self):
            return False
        self.streams[stream] = None
        return True

    def receive(self, frame: bytes) -> list[bytes]:
        """Answer SUBSCRIBE, UNSUBSCRIBE and LIST_SUBSCRIPTIONS."""
        message = parsed(frame)
        if message is None:
            return [encode({"error": {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}})]
        number, method, params = message.get("id"), message.get("method"), message.get("params")
        if method == "LIST_SUBSCRIPTIONS":
            return [encode({"result": list(self.streams), "id": number})]
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE") or not isinstance(params, list):
            return [encode({"error": {"code": 2, "msg": f"Invalid request: unknown variant `{method}`"}, "id": number})]
        result: Any = None
        for stream in params:
            if method == "SUBSCRIBE":
                self._add(str(stream))  # an unknown stream is acknowledged and never sends, as on the venue
            else:
                self.hub.unsubscribe(str(stream), self)
                self.streams.pop(str(stream), None)
        return [encode({"result": result, "id": number})]

    def close(self) -> None:
        """Forget the session."""
        for stream in self.streams:
            self.hub.unsubscribe(stream, self)
