"""MEXC contract websocket: public channels and, after login, the account's own."""

from typing import Any

from titan_core.model.units import MS, S
from titan_core.simulator.account import AccountEvent
from titan_core.simulator.books import DiffBook, Throttle
from titan_core.simulator.listings import MEXC, Listing, Role
from titan_core.simulator.mexc_market import INTERVALS, MexcMarket, deal, levels
from titan_core.simulator.mexc_shapes import Json, asset_shape, deal_shape, order_event, position_shape, price
from titan_core.simulator.orders import FillKind, Status
from titan_core.simulator.session import Deliver, Session, Topics, parsed
from titan_core.simulator.timers import Timers
from titan_core.simulator.wire import encode, same, signature

DEPTH_EVERY, TICKER_EVERY, KLINE_EVERY, FUNDING_EVERY = 200 * MS, 1 * S, 500 * MS, 60 * S
FULL_LEVELS = (5, 10, 20)
KNOWN = ("tickers", "ticker", "deal", "depth", "depth.full", "kline", "funding.rate", "index.price", "fair.price")
IDLE_NS = 60 * S
"""The server closes a connection on which the client has not spoken for so long."""


class MexcHub:
    """What all sessions share. A topic is the channel's name, the symbol and what distinguishes variants, separated by blanks."""

    def __init__(self, market: MexcMarket, timers: Timers) -> None:
        self.venue, self.market, self.timers = market.venue, market, timers
        self.book = self.venue.market.books[Role.PERP]
        self.topics = Topics()
        self.personal = Topics()
        self._diffs: dict[str, tuple[DiffBook, Throttle]] = {}
        self._on_quote: dict[str, Throttle] = {}
        self._on_trade: dict[str, Throttle] = {}
        self._deals: dict[str, Listing] = {}
        self.venue.account_exchange.account.listeners.append(self.on_event)

    def subscribe(self, channel: str, param: Json, session: "MexcSession") -> str | None:
        """Add a session to a channel; return what is wrong, None where nothing is."""
        topic = topic_of(channel, param)
        listing = self.venue.by_symbol.get((MEXC, str(param.get("symbol", ""))))
        if channel != "tickers" and listing is None:
            return f"Contract [{param.get('symbol', '')}] not exists"
        if channel == "kline" and param.get("interval") not in INTERVALS:
            return f"interval [{param.get('interval')}] error"
        if topic not in self.topics:
            self._make(channel, topic, listing, param)
        self.topics.add(topic, session)
        if channel in ("funding.rate", "ticker", "kline", "depth.full"):
            self.timers.call_at(self.venue.now_ns(), lambda: self._publish(topic))
        return None

    def _make(self, channel: str, topic: str, listing: Listing | None, param: Json) -> None:
        def throttle(every_ns: int) -> Throttle:
            return Throttle(every_ns, self.venue.now_ns, self.timers, lambda: self._publish(topic))

        if channel == "depth" and listing is not None:
            diff = DiffBook(listing, self.venue.depth, self.book)
            self._diffs[topic] = (diff, throttle(0 if param.get("compress") is False else DEPTH_EVERY))
        elif channel == "depth.full":
            self._on_quote[topic] = throttle(DEPTH_EVERY)
        elif channel in ("ticker", "tickers"):
            self._on_quote[topic] = throttle(TICKER_EVERY)
        elif channel == "kline":
            self._on_trade[topic] = throttle(KLINE_EVERY)
        elif channel == "deal" and listing is not None:
            self._deals[topic] = listing
        elif channel == "funding.rate":
            self._repeat(topic)

    def _repeat(self, topic: str) -> None:
        def again() -> None:
            if topic in self.topics:
                self._publish(topic)
                self._repeat(topic)

        self.timers.call_at(self.venue.now_ns() + FUNDING_EVERY, again)

    def unsubscribe(self, topic: str, session: "MexcSession") -> None:
        """Remove a session from a channel; what nobody hears is not made."""
        self.topics.remove(topic, session)
        if topic not in self.topics:
            for made in (self._diffs, self._on_quote, self._on_trade, self._deals):
                made.pop(topic, None)

    def drop(self, session: "MexcSession") -> None:
        """Forget a session."""
        for topic in list(session.subscribed):
            self.unsubscribe(topic, session)
        self.personal.drop(session)

    # -- the market ---------------------------------------------------------------------------------------------
    def on_quote(self, role: Role) -> None:
        """Publish books and tickers."""
        if role is not Role.PERP:
            return
        for diff, throttle in list(self._diffs.values()):
            diff.note()
            throttle.ask()
        for throttle in list(self._on_quote.values()):
            throttle.ask()

    def on_trade(self, role: Role, ticks: int, signed_lots: int) -> None:
        """Publish trades and bars."""
        if role is not Role.PERP:
            return
        for topic, listing in list(self._deals.items()):
            self._send(topic, [deal(listing, ticks, signed_lots, self.venue.now_ms())])
        for throttle in list(self._on_trade.values()):
            throttle.ask()

    def on_mark(self) -> None:
        """Publish mark and index prices."""
        for topic in self.topics.names():
            if topic.startswith(("fair.price ", "index.price ")):
                self._publish(topic)

    # -- frames -------------------------------------------------------------------------------------------------
    def _send(self, topic: str, data: Any) -> None:
        channel, _, rest = topic.partition(" ")
        frame: Json = {"data": data, "channel": f"push.{channel}", "ts": self.venue.now_ms()}
        symbol = rest.partition(" ")[0]
        self.topics.publish(topic, {"symbol": symbol, **frame} if symbol else frame)

    def _publish(self, topic: str) -> None:
        if topic not in self.topics:
            return
        channel, symbol, detail = (*topic.split(" "), "", "")[:3]
        if channel == "depth":
            self._publish_diff(topic)
            return
        if channel == "tickers":
            self._send(topic, [self.market.ticker(each) for each in self.market.all()])
            return
        listing = self.market.listing(symbol)
        data: Json
        if channel == "depth.full":
            data = self.market.depth(listing, int(detail))
            data.pop("timestamp")
        elif channel == "ticker":
            data = self.market.ticker(listing)
        elif channel == "kline":
            data = self._kline(listing, detail)
        elif channel == "funding.rate":
            found = self.market.funding(listing)
            data = {"symbol": symbol, "rate": found["fundingRate"], "nextSettleTime": found["nextSettleTime"]}
        else:
            mark, index = self.venue.depth.marks(listing)
            data = {"symbol": symbol, "price": price(listing, mark if channel == "fair.price" else index)}
        self._send(topic, data)

    def _publish_diff(self, topic: str) -> None:
        diff, _ = self._diffs[topic]
        found = diff.take()
        if found is None:
            return
        first, last, bids, asks = found
        data: Json = {"cts": self.venue.now_ms(), "asks": levels(diff.listing, asks), "bids": levels(diff.listing, bids)}
        if not topic.endswith(" single"):
            data |= {"end": last, "begin": first}
        self._send(topic, data | {"version": last})

    def _kline(self, listing: Listing, interval: str) -> Json:
        bar = self.book.bars.query(self.venue.now_ns(), INTERVALS[interval], 1)[-1]
        amount = bar.value * float(listing.lots_ratio) * float(listing.instrument.tick_size * listing.instrument.lot_size)
        names = {"o": bar.open, "c": bar.close, "h": bar.high, "l": bar.low}
        prices = {name: price(listing, listing.bid(ticks)) for name, ticks in names.items()}
        volume = listing.lots(bar.lots) if bar.lots else 0
        return {"symbol": listing.symbol, "interval": interval, "t": bar.open_ns // S, **prices, "a": round(amount, 4), "q": volume}

    # -- the account --------------------------------------------------------------------------------------------
    def on_event(self, event: AccountEvent) -> None:
        """Send an event of the account to those who are signed in and have not filtered it out."""
        account = self.venue.account_exchange.account
        name, shape = "", None
        if event.order is not None:
            if event.order.status in (Status.UNTRIGGERED, Status.DEACTIVATED):  # these have channels of their own
                return
            name, shape = "order", order_event(self.venue, event.order)
        elif event.execution is not None:
            if event.execution.kind is FillKind.FUNDING:
                return
            name, shape = "order.deal", deal_shape(self.venue, event.execution)
        elif event.position is not None:
            listing = self.venue.listings[event.position.instrument]
            name, shape = "position", position_shape(account, listing, event.position, account.margin())
        else:
            name, shape = "asset", asset_shape(account, account.margin())
        self.personal.publish(name, {"channel": f"push.personal.{name}", "data": shape, "ts": event.ts_ns // MS})


PERSONAL = ("order", "order.deal", "position", "asset")


def topic_of(channel: str, param: Json) -> str:
    """Return the topic of a subscription."""
    if channel == "tickers":
        return channel
    if channel == "kline":
        return f"{channel} {param.get('symbol')} {param.get('interval')}"
    if channel == "depth.full":
        limit = int(param.get("limit", 20))
        return f"{channel} {param.get('symbol')} {limit if limit in FULL_LEVELS else 20}"
    if channel == "depth" and param.get("compress") is False:
        return f"{channel} {param.get('symbol')} single"
    return f"{channel} {param.get('symbol')}"


class MexcSession(Session):
    """One websocket."""

    def __init__(self, hub: MexcHub, deliver: Deliver) -> None:
        self.hub, self.deliver = hub, deliver
        self.subscribed: dict[str, None] = {}
        self.signed_in = False

    def receive(self, frame: bytes) -> list[bytes]:
        """Answer ping, login, filters and subscriptions."""
        message = parsed(frame)
        if message is None:
            return [self._answer("rs.error", "Invalid JSON")]
        method, param = str(message.get("method")), message.get("param") or {}
        if method == "ping":
            return [self._answer("pong", self.hub.venue.server_ms())]
        if method == "login":
            return [self._login(param)]
        if method == "personal.filter":
            return [self._filter(param)]
        verb, _, channel = method.partition(".")
        if channel not in KNOWN or verb not in ("sub", "unsub"):
            return [self._answer("rs.error", f"method [{method}] not exists")]
        if verb == "unsub":
            self.subscribed.pop(topic_of(channel, param), None)
            self.hub.unsubscribe(topic_of(channel, param), self)
            return [self._answer(f"rs.{method}", "success")]
        wrong = self.hub.subscribe(channel, param, self)
        if wrong is not None:
            return [self._answer("rs.error", wrong)]
        self.subscribed[topic_of(channel, param)] = None
        return [self._answer(f"rs.{method}", "success")]

    def _login(self, param: Json) -> bytes:
        key, stamp = str(param.get("apiKey", "")), str(param.get("reqTime", ""))
        credential = self.hub.venue.credential(key)
        if credential is None or not same(str(param.get("signature", "")), signature(credential.secret, key + stamp)):
            return self._answer("rs.error", "Signature verification failed")
        if not self.signed_in:
            self.signed_in = True
            for name in PERSONAL:
                self.hub.personal.add(name, self)
        return self._answer("rs.login", "success")

    def _filter(self, param: Json) -> bytes:
        if not self.signed_in:
            return self._answer("rs.error", "not logged in")
        self.hub.personal.drop(self)
        wanted = [str(each.get("filter")) for each in param.get("filters") or []]
        for name in PERSONAL:
            if not wanted or name in wanted:
                self.hub.personal.add(name, self)
        return self._answer("rs.personal.filter", "success")

    def _answer(self, channel: str, data: Any) -> bytes:
        return encode({"channel": channel, "data": data, "ts": self.hub.venue.server_ms()})

    def close(self) -> None:
        """Forget the session."""
        self.hub.drop(self)
