"""The venue in a box: one market, three venues, two accounts, and the faults between them and their clients. No sockets, no clock of its own."""

from collections.abc import Callable, Iterable, Sequence
from itertools import count

import msgspec

from titan_core.errors import UsageError, VenueUnavailable
from titan_core.model.enums import Side
from titan_core.model.ids import VenueId
from titan_core.model.units import H, S, to_money
from titan_core.simulator.account import Account, Ids
from titan_core.simulator.binance_rest import BinanceRest
from titan_core.simulator.binance_streams import BinanceHub, BinanceSession
from titan_core.simulator.bybit_private import BybitPrivateHub, BybitPrivateSession, BybitTradeSession
from titan_core.simulator.bybit_public import BybitPublicHub, BybitPublicSession
from titan_core.simulator.bybit_rest import BybitRest
from titan_core.simulator.chunks import Supply, generated
from titan_core.simulator.clock import Clock, VirtualClock
from titan_core.simulator.depth import Depth
from titan_core.simulator.exchange import Exchange
from titan_core.simulator.faults import EVENT_KINDS, REQUEST_KINDS, ActiveRule, FaultKind, FaultScript, Rule
from titan_core.simulator.keeper import Keeper, go_on, new_head
from titan_core.simulator.listings import BINANCE, BYBIT_LINEAR, BYBIT_SPOT, MEXC, VENUE_INSTRUMENTS, Listing, Role, universe
from titan_core.simulator.market import Market, Resumed
from titan_core.simulator.mexc_rest import MexcRest
from titan_core.simulator.mexc_streams import IDLE_NS, MexcHub, MexcSession
from titan_core.simulator.outbox import Outbox
from titan_core.simulator.records import Head
from titan_core.simulator.saving import Saved
from titan_core.simulator.session import Session
from titan_core.simulator.sockets import BoxSocket, OnClosed, OnFrame
from titan_core.simulator.store import BoxStore
from titan_core.simulator.strikes import answered_instead, maintenance_answer, struck
from titan_core.simulator.timers import Timers
from titan_core.simulator.upkeep import deleverage, delist, funding_due, liquidate, trade_by_hand, watch_margin
from titan_core.simulator.venue import Venue
from titan_core.simulator.wire import Credential, Outcome, Request
from titan_core.tape.generate import NEW_YEAR_2024

VENUES = ("bybit", "mexc", "binance")
IDLE_LOOK_NS = 1 * S
AHEAD_NS = 4 * H
"""How long before a day of the market ends the next one is made, where somebody looks ahead."""
DEFAULT_START_NS = NEW_YEAR_2024 + 4 * H
"""A generated market is shown from its fifth hour on, so that there are bars before it."""


class Box:
    """Everything, ready to be driven: `advance` lets time pass, `handle_http` and `open_socket` are what clients do.

    With a `VirtualClock` (the default) the box moves the clock itself and the same seed and the same calls give the same trace. With another clock
    it follows: `advance` to the clock's time now and then. `server_ns` is what the venues take for the time when they check signatures.
    A clock may be given as a function of the time at which the market begins or goes on.

    With a `store` the box outlives its process: where the file exists the box goes on as the file has it, at the market's time (`start_ns` and
    `balance_usdt` then count for nothing). Raises StoreError where the file cannot be used, UsageError where it holds another market.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        supply: Supply | None = None,
        start_ns: int | None = None,
        clock: Clock | Callable[[int], Clock] | None = None,
        balance_usdt: str | int = 10_000,
        extra_coins: int = 0,
        ticks_per_day: int = 1_200_000,
        faults: Iterable[Rule] = (),
        credentials: Sequence[Credential] = (Credential(),),
        server_ns: Callable[[], int] | None = None,
        store: BoxStore | None = None,
    ) -> None:
        found = store.open() if store is not None else None
        if found is not None:
            start_ns = found[0].start_ns
        elif start_ns is None:
            start_ns = DEFAULT_START_NS if supply is None else supply.first_ns
        density, supply = 0 if supply else ticks_per_day, supply or generated(seed, start_ns=start_ns, ticks_per_day=ticks_per_day)
        head = new_head(supply, seed=seed, ticks_per_day=density, start_ns=start_ns, deposit=to_money(balance_usdt), extra_coins=extra_coins)
        resumed: Resumed | None = None
        if store is not None and found is not None:
            head, supply, resumed = go_on(store, *found, head, supply)
        self.seed, self.start_ns = seed, start_ns
        at = start_ns if found is None else found[1].clock.shown_ns
        self.clock: Clock = VirtualClock(start_ns) if clock is None else clock(at) if callable(clock) else clock
        self._moving = self.clock if isinstance(self.clock, VirtualClock) else None
        self._server = server_ns or self.now_ns
        self.timers, self.outbox = Timers(), Outbox()
        self.market = Market(supply, start_ns, self, resumed)
        self.depth = Depth(self.market, seed, head.first)
        self.listings = universe(supply.spot, supply.perp, extra_coins)
        self.faults = FaultScript(seed, start_ns)
        self._sockets: dict[BoxSocket, None] = {}
        self._numbers = count(1)
        self.exchanges = {
            "bybit": self._exchange("bybit", (BYBIT_LINEAR, BYBIT_SPOT), head.deposit),
            "mexc": self._exchange("mexc-contract", (MEXC,), head.deposit),
        }
        self.venues = {name: self._venue(name, credentials) for name in VENUES}
        self._connect()
        self.hour_ns = start_ns // H * H
        """The hour whose funding was the last to be settled."""
        self._looks_ahead = False
        self._keeper: Keeper | None = None
        if store is not None:
            self._keep(store, head, found[1] if found is not None else None)
        for rule in faults:
            self._add_fault(rule, found is not None)
        self.timers.call_at(self.hour_ns + H, self._on_the_hour)
        if found is not None and self._moving is not None:
            self.advance(found[1].clock.shown_ns)

    def _keep(self, store: BoxStore, head: Head, saved: Saved | None) -> None:
        keeper = Keeper(store, msgspec.structs.replace(head, first=self.depth.first), self.market, self.exchanges, self.outbox, self.timers, self)
        if saved is not None:
            self.hour_ns = saved.clock.hour_ns
            if self._moving is not None:
                self._moving.set(saved.clock.now_ns)
            keeper.restore(saved)
        keeper.begin(following=self._moving is None)
        self._keeper = keeper

    # -- building -----------------------------------------------------------------------------------------------
    def _exchange(self, name: str, venues: tuple[VenueId, ...], deposit: int) -> Exchange:
        listings = {key: each for key, each in self.listings.items() if each.instrument.venue in venues}
        return Exchange(Account(VenueId(name), listings, self.depth, self.now_ns, Ids(f"{self.seed}:{name}"), deposit))

    def _venue(self, name: str, credentials: Sequence[Credential]) -> Venue:
        def server_ns() -> int:
            return self._server() + self.faults.clock_step_ns(name, self.now_ns())

        exchange = self.exchanges.get(name)
        own = {key: each for key, each in self.listings.items() if each.instrument.venue.startswith(name)}
        return Venue(name, self.market, self.depth, own, self.now_ns, server_ns, credentials, exchange)

    def _connect(self) -> None:
        bybit, mexc, binance = (self.venues[name] for name in VENUES)
        self.bybit_rest, self.mexc_rest, self.binance_rest = BybitRest(bybit), MexcRest(mexc), BinanceRest(binance)
        self._bybit_public = {category: BybitPublicHub(bybit, category, self.timers) for category in ("linear", "spot")}
        self._bybit_private = BybitPrivateHub(bybit)
        self._mexc = MexcHub(self.mexc_rest.market, self.timers)
        self._binance = BinanceHub(binance, self.timers)
        self._handlers = {"bybit": self.bybit_rest.handle, "mexc": self.mexc_rest.handle, "binance": self.binance_rest.handle}
        exchanges, hubs = list(self.exchanges.values()), list(self._bybit_public.values())
        self._quoted = [*(each.on_quote for each in exchanges), *(each.on_quote for each in hubs), self._mexc.on_quote, self._binance.on_quote]
        self._traded = [*(each.on_trade for each in exchanges), *(each.on_trade for each in hubs), self._mexc.on_trade, self._binance.on_trade]

    # -- time ---------------------------------------------------------------------------------------------------
    def now_ns(self) -> int:
        """Return the market's time."""
        return self.clock.now_ns()

    def next_ns(self) -> int:
        """Return when something happens next."""
        market, timer = self.market.next_ns(), self.timers.next_ns()
        return market if timer is None or market < timer else timer

    def advance(self, to_ns: int, interrupted: Callable[[], int] | None = None) -> None:
        """Let everything happen up to and including `to_ns`, in order of time, or until `interrupted` says yes.

        A virtual clock stands at `to_ns` afterwards, or at the event that interrupted.
        """
        market, timers, clock, outbox = self.market, self.timers, self._moving, self.outbox
        while True:
            at, timer = market.next_ns(), timers.next_ns()
            is_timer = timer is not None and timer <= at
            if is_timer and timer is not None:
                at = timer
            if at > to_ns:
                break
            if clock is not None:
                clock.set(at)
            if is_timer:
                timers.run_next()
            else:
                market.step()
            if outbox.holding:
                outbox.settle()
            if interrupted is not None and interrupted():
                return
        if clock is not None:
            clock.set(to_ns)

    def look_ahead(self) -> None:
        """Make each day of the market beforehand, in a thread, so that nobody waits for it at midnight."""
        if not self._looks_ahead:
            self._looks_ahead = True
            self._prepare()

    def _prepare(self) -> None:
        at = self.market.ends_ns - AHEAD_NS
        if self.now_ns() >= at:
            self.market.prepare()
            at = self.market.ends_ns + 1
        self.timers.call_at(at, self._prepare)

    def close(self) -> None:
        """Write down where the market stands and let go of the file. Raises StoreError. Does nothing where there is no file, or the second time."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.close()

    # -- the market's listener ----------------------------------------------------------------------------------
    def on_quote(self, role: Role) -> None:
        """Pass a change of a book on."""
        for call in self._quoted:
            call(role)

    def on_trade(self, role: Role, price: int, signed_lots: int) -> None:
        """Pass a trade on."""
        for call in self._traded:
            call(role, price, signed_lots)

    def on_mark(self) -> None:
        """Set off what waits for the mark price, and see whether an account must be liquidated."""
        for exchange in self.exchanges.values():
            exchange.on_mark()
            watch_margin(exchange)
        self._bybit_public["linear"].on_mark()
        self._mexc.on_mark()

    def on_open_interest(self) -> None:
        """Nobody waits for open interest by itself; tickers carry it."""

    def on_liquidation(self, price: int, signed_lots: int) -> None:
        """Pass somebody's liquidation on."""
        self._bybit_public["linear"].on_liquidation(price, signed_lots)

    def _on_the_hour(self) -> None:
        hour = self.hour_ns = self.hour_ns + H
        rate = self.market.funding_rate(hour)
        for exchange in self.exchanges.values():
            funding_due(exchange, hour, rate)
        self.timers.call_at(hour + H, self._on_the_hour)

    # -- what clients do ----------------------------------------------------------------------------------------
    def handle_http(self, venue: str, request: Request) -> Outcome:
        """Answer a request to a venue, unless a fault says otherwise. Raises UsageError for an unknown venue, StoreError where the change cannot be kept."""
        outcome = self._handle(venue, request)
        self.outbox.settle()
        return outcome

    def _handle(self, venue: str, request: Request) -> Outcome:
        handler = self._handlers.get(venue)
        if handler is None:
            raise UsageError(f"the box has no venue {venue!r}; it has {', '.join(VENUES)}")
        where, now = f"{request.method} {request.path}", self.now_ns()
        if self.faults.strike((FaultKind.BAN,), venue, where, now) is not None:
            return answered_instead(venue, Rule(kind=FaultKind.STATUS, status=403))
        if self.faults.strike((FaultKind.MAINTENANCE,), venue, where, now) is not None:
            refused = maintenance_answer(venue, request, self.venues[venue])
            if refused is not None:
                return refused
        rule = self.faults.strike(REQUEST_KINDS, venue, where, now)
        return handler(request) if rule is None else struck(rule, venue, request, handler)

    def open_socket(self, venue: str, path: str, on_frame: OnFrame, on_closed: OnClosed = lambda reason: None) -> BoxSocket:
        """Open a websocket; `path` is without the venue's prefix and may have a query. Raises VenueUnavailable where it cannot be opened."""
        now, bare = self.now_ns(), path.partition("?")[0]
        if self.faults.strike((FaultKind.REFUSE, FaultKind.BAN), venue, bare, now) is not None:
            raise VenueUnavailable(f"{venue} refuses the connection to {bare}")
        socket = BoxSocket(venue, bare, self.faults, self.timers, self.now_ns, self.outbox, on_frame, on_closed)
        session = self._session(venue, path, socket)
        if session is None:
            raise VenueUnavailable(f"{venue} has no websocket at {bare}")
        socket.attach(session)
        self._sockets = {each: None for each in (*self._sockets, socket) if each.is_open}
        if venue == "mexc":
            self._watch_idle(socket)
        return socket

    def _session(self, venue: str, path: str, socket: BoxSocket) -> Session | None:
        bare, _, query = path.partition("?")
        name = f"box{next(self._numbers):06d}"
        if venue == "bybit":
            category = bare.removeprefix("/v5/public/")
            if category in self._bybit_public:
                return BybitPublicSession(self._bybit_public[category], name, socket.deliver)
            if bare == "/v5/private":
                return BybitPrivateSession(self._bybit_private, name, socket.deliver)
            return BybitTradeSession(self.bybit_rest, name, socket.deliver) if bare == "/v5/trade" else None
        if venue == "mexc":
            return MexcSession(self._mexc, socket.deliver) if bare == "/edge" else None
        if venue == "binance" and bare.startswith("/stream"):
            streams = [each for each in query.removeprefix("streams=").split("/") if each]
            return BinanceSession(self._binance, socket.deliver, combined=True, streams=streams)
        if venue == "binance" and (bare == "/ws" or bare.startswith("/ws/")):
            streams = [each for each in bare.removeprefix("/ws").split("/") if "@" in each]
            return BinanceSession(self._binance, socket.deliver, combined=False, streams=streams)
        return None

    def _watch_idle(self, socket: BoxSocket) -> None:
        # the silence is measured by the servers' clock: the market may run faster than the client pings
        since = [self._server()]

        def look() -> None:
            now = self._server()
            if socket.heard:
                socket.heard, since[0] = False, now
            if socket.is_open and now - since[0] >= IDLE_NS:
                socket.hang_up("the client has not spoken for 60 seconds")
            elif socket.is_open:
                self.timers.call_at(self.now_ns() + IDLE_LOOK_NS, look)

        self.timers.call_at(self.now_ns() + IDLE_LOOK_NS, look)

    # -- faults -------------------------------------------------------------------------------------------------
    def add_fault(self, rule: Rule) -> ActiveRule:
        """Put a rule in force; one of the kinds that happen once is carried out at its time. Raises UsageError where its symbol is unknown."""
        return self._add_fault(rule, False)

    def _add_fault(self, rule: Rule, again: bool) -> ActiveRule:
        """Put a rule in force. In a box that goes on (`again`) what happens once and lies in the past has happened."""
        if rule.symbol:
            self.listing(rule.venue if rule.venue != "*" else "bybit", rule.symbol)
        active = self.faults.add(rule)
        if rule.kind in EVENT_KINDS:
            at = self.start_ns + int(rule.from_s * S)
            if again and at <= self.now_ns():
                active.hits += 1
                return active
            at = max(at, self.now_ns())
            self.timers.call_at(at, lambda: self._happen(active) if active in self.faults.rules else None)
        return active

    def listing(self, venue: str, symbol: str) -> Listing:
        """Return a venue's instrument: on Bybit the perpetual. Raises UsageError where there is none."""
        if venue not in self.venues:
            raise UsageError(f"the box has no venue {venue!r}; it has {', '.join(VENUES)}")
        for kind in VENUE_INSTRUMENTS if venue != "binance" else (BINANCE,):
            found = self.venues[venue].by_symbol.get((kind, symbol))
            if found is not None:
                return found
        known = ", ".join(sorted({each.symbol for each in self.venues[venue].listings.values()})[:5])
        raise UsageError(f"{venue} has no instrument {symbol!r}; it has {known} and so on")

    def _happen(self, active: ActiveRule) -> None:
        rule = active.rule
        active.hits += 1
        if rule.kind is FaultKind.DISCONNECT:
            for socket in [each for each in self._sockets if each.is_open]:
                if self.faults.matches(rule, socket.venue, socket.path):
                    socket.hang_up("connection reset")
            return
        venue = rule.venue if rule.venue != "*" else "bybit"
        exchange, instrument = self.exchanges[venue], self.listing(venue, rule.symbol).instrument.id
        if rule.kind is FaultKind.ADL:
            deleverage(exchange, instrument, abs(rule.lots) or None)
        elif rule.kind is FaultKind.LIQUIDATION:
            liquidate(exchange, instrument)
        elif rule.kind is FaultKind.DELISTING:
            delist(exchange, instrument)
        else:
            trade_by_hand(exchange, instrument, Side.BUY if rule.lots > 0 else Side.SELL, abs(rule.lots))

    def trace(self) -> str:
        """Return one digest of everything that happened to the accounts."""
        return "-".join(exchange.account.trace()[:16] for exchange in self.exchanges.values())
