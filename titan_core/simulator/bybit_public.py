"""Bybit V5 public websockets (linear and spot): books, trades, tickers, bars and liquidations."""

from collections.abc import Callable
from typing import Any

from titan_core.model.units import MS, US, S
from titan_core.simulator.books import Throttle, WindowBook
from titan_core.simulator.bybit_market import INTERVALS, levels_text, linear_ticker, spot_ticker, trade_id, turnover
from titan_core.simulator.bybit_shapes import CATEGORIES, Json
from titan_core.simulator.listings import Listing, Role, compact
from titan_core.simulator.session import Deliver, Session, Topics, parsed
from titan_core.simulator.timers import Timers
from titan_core.simulator.venue import Venue
from titan_core.simulator.wire import encode

BOOK_EVERY = {1: 10 * MS, 50: 20 * MS, 200: 100 * MS, 500: 100 * MS, 1000: 200 * MS}
TICKER_EVERY = {Role.PERP: 100 * MS, Role.SPOT: 50 * MS}
KLINE_EVERY = 1 * S
BURST = 200 * US
"""Trades of one taker order follow within this time; they go out in one message."""
LIQUIDATION_EVERY = 500 * MS
TICKS = {1: "PlusTick", 0: "ZeroPlusTick", -1: "MinusTick"}


class BybitPublicHub:
    """What all sessions of one category share: the topics and what publishes them."""

    def __init__(self, venue: Venue, category: str, timers: Timers) -> None:
        self.venue, self.category, self.timers = venue, category, timers
        self.role = Role.PERP if category == "linear" else Role.SPOT
        self.book = venue.market.books[self.role]
        self.topics = Topics()
        self._books: dict[str, tuple[WindowBook, Throttle]] = {}
        self._tickers: dict[str, tuple[Listing, Throttle, Json]] = {}
        self._klines: dict[str, Throttle] = {}
        self._trades: dict[str, tuple[Listing, list[Json]]] = {}
        self._liquidations: dict[str, tuple[Listing, list[Json]]] = {}
        self._last_seq = 0

    # -- subscriptions ------------------------------------------------------------------------------------------
    def listing(self, symbol: str) -> Listing | None:
        """Return the instrument of a symbol."""
        return self.venue.by_symbol.get((CATEGORIES[self.category], symbol))

    def subscribe(self, topic: str, session: "BybitPublicSession") -> bool:
        """Add a session to a topic and send it the snapshot; return whether there is such a topic."""
        kind, _, rest = topic.partition(".")
        argument, _, symbol = rest.rpartition(".")
        listing = self.listing(symbol)
        adders: dict[str, Callable[[str, str, Listing], bool]] = {
            "orderbook": self._add_book,
            "publicTrade": self._add_trades,
            "tickers": self._add_ticker,
            "kline": self._add_kline,
            "allLiquidation": self._add_liquidations,
        }
        if listing is None or kind not in adders or not adders[kind](topic, argument, listing):
            return False
        if self.topics.add(topic, session) and topic in self._books:
            self._books[topic][0].refresh()
        return True

    def greet(self, topic: str, session: "BybitPublicSession") -> None:
        """Send a new subscriber the state that later messages change."""
        if topic in self._books:
            window, _ = self._books[topic]
            session.deliver(encode(self._book_frame(topic, "snapshot", window, *window.snapshot())), topic)
        elif topic in self._tickers:
            listing, throttle, _ = self._tickers[topic]
            shape = self._ticker(listing)
            self._tickers[topic] = (listing, throttle, shape)
            session.deliver(encode(self._ticker_frame(topic, "snapshot", shape)), topic)
        elif topic in self._klines:
            session.deliver(encode(self._kline_frame(topic)), topic)

    def _add_book(self, topic: str, argument: str, listing: Listing) -> bool:
        if not argument.isdigit() or int(argument) not in BOOK_EVERY:
            return False
        levels = int(argument)
        if topic not in self._books:
            window = WindowBook(listing, self.venue.depth, self.book, levels)
            throttle = Throttle(BOOK_EVERY[levels], self.venue.now_ns, self.timers, lambda: self._publish_book(topic))
            self._books[topic] = (window, throttle)
            if levels == 1:
                self.timers.call_at(self.venue.now_ns() + 3 * S, lambda: self._repeat_book(topic, window.update_id))
        return True

    def _add_trades(self, topic: str, argument: str, listing: Listing) -> bool:
        self._trades.setdefault(topic, (listing, []))
        return not argument

    def _add_ticker(self, topic: str, argument: str, listing: Listing) -> bool:
        if topic not in self._tickers:
            throttle = Throttle(TICKER_EVERY[self.role], self.venue.now_ns, self.timers, lambda: self._publish_ticker(topic))
            self._tickers[topic] = (listing, throttle, {})
        return not argument

    def _add_kline(self, topic: str, argument: str, listing: Listing) -> bool:
        if argument not in INTERVALS:
            return False
        if topic not in self._klines:
            self._klines[topic] = Throttle(KLINE_EVERY, self.venue.now_ns, self.timers, lambda: self._publish_kline(topic))
        return True

    def _add_liquidations(self, topic: str, argument: str, listing: Listing) -> bool:
        if self.role is Role.SPOT:
            return False
        self._liquidations.setdefault(topic, (listing, []))
        return not argument

    # -- the market ---------------------------------------------------------------------------------------------
    def on_quote(self, role: Role) -> None:
        """Publish books and tickers."""
        if role is self.role:
            for topic, (_, throttle) in self._books.items():
                if topic in self.topics:
                    throttle.ask()
            self.on_mark()

    def on_mark(self) -> None:
        """Publish tickers."""
        for topic, (_, throttle, _) in self._tickers.items():
            if topic in self.topics:
                throttle.ask()

    def on_trade(self, role: Role, price: int, signed_lots: int) -> None:
        """Publish trades and bars."""
        if role is not self.role:
            return
        for topic, (listing, waiting) in self._trades.items():
            if topic in self.topics:
                if not waiting:
                    self.timers.call_at(self.venue.now_ns() + BURST, lambda topic=topic: self._flush(topic, self._trades))  # type: ignore[misc]
                waiting.append(self._trade(listing, price, signed_lots))
        for topic, throttle in self._klines.items():
            if topic in self.topics:
                throttle.ask()

    def on_liquidation(self, price: int, signed_lots: int) -> None:
        """Publish somebody's liquidation."""
        for topic, (listing, waiting) in self._liquidations.items():
            if topic in self.topics:
                if not waiting:
                    self.timers.call_at(self.venue.now_ns() + LIQUIDATION_EVERY, lambda topic=topic: self._flush(topic, self._liquidations))  # type: ignore[misc]
                # S is the side of the position that was liquidated: a long one is sold
                side = "Buy" if signed_lots < 0 else "Sell"
                size = compact(listing.qty(listing.lots(abs(signed_lots))))
                waiting.append({"T": self.venue.now_ms(), "s": listing.symbol, "S": side, "v": size, "p": listing.px(listing.bid(price))})

    # -- frames -------------------------------------------------------------------------------------------------
    def _trade(self, listing: Listing, price: int, signed: int) -> Json:
        tick = self.book.last_tick
        return {
            "T": self.venue.now_ms(),
            "s": listing.symbol,
            "S": "Buy" if signed > 0 else "Sell",
            "v": listing.qty(listing.lots(abs(signed))),
            "p": listing.px(listing.ask(price) if signed > 0 else listing.bid(price)),
            "L": TICKS[(tick > 0) - (tick < 0)],
            "i": trade_id(self.book.trades),
            "BT": False,
            "RPI": False,
            "seq": self.book.version * 8,
        }

    def _flush(self, topic: str, buffers: dict[str, tuple[Listing, list[Json]]]) -> None:
        waiting = buffers[topic][1]
        self.topics.publish(topic, {"topic": topic, "type": "snapshot", "ts": self.venue.now_ms(), "data": list(waiting)})
        waiting.clear()

    def _publish_book(self, topic: str) -> None:
        known = self._books.get(topic)
        if known is None:  # the last subscriber has left while this waited
            return
        window, _ = known
        changes = window.changes()
        if changes is not None:
            self.topics.publish(topic, self._book_frame(topic, "delta", window, *changes))

    def _repeat_book(self, topic: str, last: int) -> None:
        if topic not in self.topics:
            self._books.pop(topic, None)
            return
        window, _ = self._books.get(topic, (None, None))
        if window is None:
            return
        if window.update_id == last:
            self.topics.publish(topic, self._book_frame(topic, "snapshot", window, *window.snapshot()))
        self.timers.call_at(self.venue.now_ns() + 3 * S, lambda: self._repeat_book(topic, window.update_id))

    def _book_frame(self, topic: str, kind: str, window: WindowBook, bids: Any, asks: Any) -> Json:
        now = self.venue.now_ms()
        data = {
            "s": window.listing.symbol,
            "b": levels_text(window.listing, bids),
            "a": levels_text(window.listing, asks),
            "u": window.update_id,
            "seq": self.book.version * 8,
        }
        return {"topic": topic, "type": kind, "ts": now, "data": data, "cts": now}

    def _ticker(self, listing: Listing) -> Json:
        if self.role is Role.SPOT:
            shape = spot_ticker(self.venue, listing)
            for name in ("bid1Price", "bid1Size", "ask1Price", "ask1Size"):
                shape.pop(name)
            return shape | {"usdIndexPrice": shape["lastPrice"]}
        tick = self.book.last_tick
        return linear_ticker(self.venue, listing) | {"tickDirection": TICKS[(tick > 0) - (tick < 0)]}

    def _ticker_frame(self, topic: str, kind: str, data: Json) -> Json:
        return {"topic": topic, "type": kind, "data": data, "cs": self.book.version * 8, "ts": self.venue.now_ms()}

    def _publish_ticker(self, topic: str) -> None:
        listing, throttle, before = self._tickers[topic]
        now = self._ticker(listing)
        self._tickers[topic] = (listing, throttle, now)
        if self.role is Role.SPOT:
            self.topics.publish(topic, self._ticker_frame(topic, "snapshot", now))
            return
        changed = {name: value for name, value in now.items() if before.get(name) != value}
        if changed:
            self.topics.publish(topic, self._ticker_frame(topic, "delta", {"symbol": listing.symbol} | changed))

    def _publish_kline(self, topic: str) -> None:
        self.topics.publish(topic, self._kline_frame(topic))

    def _kline_frame(self, topic: str) -> Json:
        _, interval, symbol = topic.split(".")
        listing, minutes, now = self.listing(symbol), INTERVALS[interval], self.venue.now_ms()
        assert listing is not None
        rows = []
        for bar in self.book.bars.query(self.venue.now_ns(), minutes, 1):
            start = bar.open_ns // MS
            names = ("open", "high", "low", "close")
            prices = {name: listing.px(listing.bid(ticks)) for name, ticks in zip(names, (bar.open, bar.high, bar.low, bar.close), strict=True)}
            volume = {"volume": listing.qty(listing.lots(bar.lots)) if bar.lots else "0", "turnover": turnover(listing, bar.value)}
            rows.append(
                {"start": start, "end": start + minutes * 60_000 - 1, "interval": interval, **prices, **volume, "confirm": bar.closed, "timestamp": now}
            )
        return {"topic": topic, "data": rows, "ts": now, "type": "snapshot"}


class BybitPublicSession(Session):
    """One public websocket."""

    def __init__(self, hub: BybitPublicHub, connection: str, deliver: Deliver) -> None:
        self.hub, self.connection, self.deliver = hub, connection, deliver

    def receive(self, frame: bytes) -> list[bytes]:
        """Answer ping, subscribe and unsubscribe."""
        message = parsed(frame)
        if message is None:
            return [encode({"success": False, "ret_msg": "error:invalid JSON", "conn_id": self.connection, "req_id": "", "op": ""})]
        operation, request = message.get("op"), str(message.get("req_id") or "")
        if operation == "ping":
            return [self._answer(True, "pong", request, "ping")]
        arguments = message.get("args")
        if operation not in ("subscribe", "unsubscribe") or not isinstance(arguments, list) or not arguments:
            return [self._answer(False, f"error:handler not found,op:{operation}", request, str(operation))]
        topics = [str(each) for each in arguments]
        if operation == "unsubscribe":
            for topic in topics:
                self.hub.topics.remove(topic, self)
            return [self._answer(True, "", request, operation)]
        failed = [topic for topic in topics if not self.hub.subscribe(topic, self)]
        if failed:
            return [self._answer(False, f"Invalid topic: {','.join(failed)}", request, operation)]
        now = self.hub.venue.now_ns()
        self.hub.timers.call_at(now, lambda: self._greet(topics))
        return [self._answer(True, "", request, operation)]

    def _greet(self, topics: list[str]) -> None:
        for topic in topics:
            if self.hub.topics.has(topic, self):
                self.hub.greet(topic, self)

    def close(self) -> None:
        """Forget the session."""
        self.hub.topics.drop(self)

    def _answer(self, success: bool, text: str, request: str, operation: str) -> bytes:
        return encode({"success": success, "ret_msg": text, "conn_id": self.connection, "req_id": request, "op": operation})
