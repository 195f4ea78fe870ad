"""The matching core of one account at one venue: orders come in, the market moves, fills come out. Pure, in whole numbers, no clock of its own.

Fills know the depth and no queue: what takes walks the book level by level; what rests is filled by trades at its price up to their size, wholly by trades
beyond it, and by the book when that crosses it.
"""

from collections.abc import Iterable, Mapping
from enum import Enum

from titan_core.model.enums import Side
from titan_core.model.ids import InstrumentId, VenueId
from titan_core.simulator.account import Account, EventKind
from titan_core.simulator.checks import check_funds, check_new, check_trigger
from titan_core.simulator.listings import Listing, Role, Trading
from titan_core.simulator.orders import (
    PROTECTIVE,
    FillKind,
    Kind,
    NewOrder,
    Order,
    Origin,
    PriceKind,
    Reason,
    Refusal,
    Status,
    Tif,
    Trigger,
)
from titan_core.simulator.protection import Protection

FILL_KIND = {Origin.LIQUIDATION: FillKind.LIQUIDATION, Origin.ADL: FillKind.ADL, Origin.SETTLEMENT: FillKind.SETTLEMENT}
_NO_BOOK = (0, 0, 0, 0)
Best = tuple[int, int, int, int]
"""Bid, ask, bid lots and ask lots of a book."""


class Scope(Enum):
    """Which orders a mass cancellation is about."""

    ALL = "all"
    ACTIVE = "active"
    CONDITIONAL = "conditional"


class Exchange:
    """One account's exchange. The box calls `on_quote`, `on_trade` and `on_mark` when the market has changed."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.listings: Mapping[InstrumentId, Listing] = account.listings
        self.depth = account.depth
        self.orders: dict[str, Order] = {}
        self.by_link: dict[tuple[bool, str], Order] = {}
        self.closed: list[Order] = []
        self.protection = Protection(self)
        self.rested = 0
        """How often an order has come to rest."""
        self._resting: dict[Role, dict[str, Order]] = {role: {} for role in Role}
        self._waiting: dict[Role, dict[str, Order]] = {role: {} for role in Role}
        self._taken: dict[tuple[InstrumentId, Side], tuple[Best, dict[int, int]]] = {}

    @property
    def venue(self) -> VenueId:
        """The venue's name."""
        return self.account.venue

    # -- requests -----------------------------------------------------------------------------------------------
    def place(self, request: NewOrder) -> Order | Refusal:
        """Accept an order, or refuse it; a client id may be used once."""
        if request.link_id:
            known = self.find(link_id=request.link_id, spot=self._is_spot(request.instrument))
            if known is not None:
                return Refusal(Reason.DUPLICATE_ID, f"client order id {request.link_id} is taken by order {known.id}")
        refusal = check_new(self.account, request)
        if refusal is not None:
            return refusal
        order = self.create(request)
        if order.trigger is not None:
            self.account.emit(EventKind.ORDER, order=order)
        else:
            self._truncate(order)
            self._activate(order)
        return order

    def create(self, request: NewOrder) -> Order:
        """Enter an order into the books without matching it."""
        account, listing = self.account, self.listings[request.instrument]
        number, now = account.ids.number(), account.now_ns()
        position = account.positions.get(request.instrument)
        order = Order(
            request=request,
            id=str(1_700_000_000_000_000_000 + number) if listing.role is Role.SPOT or account.venue == "mexc-contract" else account.ids.uuid(),
            number=number,
            created_ns=now,
            updated_ns=now,
            lots=request.lots or max(1, listing.instrument.lots_for(request.spend, self.depth.best(listing)[1])),
            price=request.price,
            status=Status.NEW if request.trigger is None else Status.UNTRIGGERED,
            trigger=request.trigger,
            leverage=position.leverage if position is not None else min(10, listing.instrument.max_leverage),
            last_on_created=self.depth.last(listing),
            stop_loss=request.stop_loss,
            take_profit=request.take_profit,
        )
        account.note(order)
        self.orders[order.id] = order
        if request.link_id:
            self.by_link[listing.role is Role.SPOT, request.link_id] = order
        account.open_orders[order.id] = order
        if request.trigger is not None:
            self._waiting[listing.role][order.id] = order
        return order

    def find(self, order_id: str = "", link_id: str = "", *, spot: bool = False) -> Order | None:
        """Return an order by the venue's id, or by the client's, open or not."""
        return self.orders.get(order_id) if order_id else self.by_link.get((spot, link_id))

    def cancel(self, order: Order | None, reason: Reason = Reason.BY_USER) -> Order | Refusal:
        """Cancel an order that is open."""
        if order is None:
            return Refusal(Reason.UNKNOWN_ORDER, "order not exists or too late to cancel")
        if not order.is_open:
            return Refusal(Reason.ORDER_DONE, f"order {order.id} is {order.status.value}")
        if order.request.origin in PROTECTIVE and reason is Reason.BY_USER:
            self.protection.forget(order)
        self.end(order, Status.DEACTIVATED if order.status is Status.UNTRIGGERED else Status.CANCELLED, reason)
        return order

    def cancel_all(self, instruments: Iterable[InstrumentId], scope: Scope = Scope.ALL, reason: Reason = Reason.BY_USER) -> list[Order]:
        """Cancel all orders of some instruments and return them."""
        wanted = set(instruments)
        found = [order for order in self.account.open_orders.values() if order.instrument in wanted]
        if scope is not Scope.ALL:
            found = [order for order in found if (order.status is Status.UNTRIGGERED) == (scope is Scope.CONDITIONAL)]
        for order in found:
            self.cancel(order, reason)
        return found

    def amend(self, order: Order | None, *, price: int = 0, lots: int = 0, trigger: int = 0) -> Order | Refusal:
        """Change price, size or trigger price of an open order."""
        if order is None or not order.is_open:
            return Refusal(Reason.UNKNOWN_ORDER, "order not exists or too late to replace")
        if lots and lots <= order.filled:
            return Refusal(Reason.BAD_SIZE, f"new size {lots} lots is not above the {order.filled} lots that are filled")
        if trigger and order.trigger is not None:
            wanted = Trigger(trigger, order.trigger.rising, order.trigger.by)
            refusal = check_trigger(self.account, self.listings[order.instrument], wanted)
            if refusal is not None:
                return refusal
            order.trigger = wanted
        self.account.note(order)
        order.price, order.lots = price or order.price, lots or order.lots
        order.updated_ns = self.account.now_ns()
        if order.status is Status.UNTRIGGERED:
            self.report(order)
        else:
            self._resting[self.listings[order.instrument].role].pop(order.id, None)
            self._activate(order)
        return order

    def set_leverage(self, instrument: InstrumentId, leverage: int) -> Refusal | None:
        """Set the leverage of an instrument."""
        position = self.account.position(instrument)
        limit = self.listings[instrument].instrument.max_leverage
        if not 1 <= leverage <= limit:
            return Refusal(Reason.LEVERAGE_RANGE, f"leverage {leverage} is out of range, allowed are 1 to {limit}")
        if leverage == position.leverage:
            return Refusal(Reason.LEVERAGE_SAME, "leverage not modified")
        before, position.leverage = position.leverage, leverage
        if position.lots and leverage < before and self.account.margin().available <= 0:
            position.leverage = before
            return Refusal(Reason.MARGIN, f"the margin at leverage {leverage} is more than the account has")
        self.account.emit(EventKind.POSITION, position=position)
        return None

    # -- the market ---------------------------------------------------------------------------------------------
    def on_quote(self, role: Role) -> None:
        """Fill resting orders that the book has crossed."""
        for order in list(self._resting[role].values()):
            if not order.is_open:  # an order filled before it has ended this one
                continue
            bid, ask, bid_lots, ask_lots = self.depth.best(self.listings[order.instrument])
            crossed = ask <= order.price if order.side is Side.BUY else bid >= order.price
            if crossed:
                self._fill(order, [(order.price, ask_lots if order.side is Side.BUY else bid_lots)], maker=True)

    def on_trade(self, role: Role, price: int, signed_lots: int) -> None:
        """Fill resting orders that somebody's trade has reached, then set off what waits for the last price."""
        side = Side.BUY if signed_lots < 0 else Side.SELL
        resting = [order for order in self._resting[role].values() if order.side is side]
        resting.sort(key=lambda order: (-order.price * order.side.sign, order.number))
        left: dict[InstrumentId, int] = {}
        for order in resting:
            listing = self.listings[order.instrument]
            at = listing.bid(price) if signed_lots < 0 else listing.ask(price)
            beyond = (order.price - at) * side.sign
            if beyond < 0 or not order.is_open:
                continue
            budget = left.get(order.instrument, listing.lots(abs(signed_lots)))
            if beyond == 0 and budget <= 0:
                continue
            filled = self._fill(order, [(order.price, order.remaining if beyond else budget)], maker=True)
            left[order.instrument] = budget - filled
        if self._waiting[role]:
            self._set_off(role, (PriceKind.LAST,))

    def on_mark(self) -> None:
        """Set off what waits for mark or index price."""
        for role in Role:
            if self._waiting[role]:
                self._set_off(role, (PriceKind.MARK, PriceKind.INDEX))

    def _set_off(self, role: Role, kinds: tuple[PriceKind, ...]) -> None:
        for order in list(self._waiting[role].values()):
            trigger = order.trigger
            if trigger is None or trigger.by not in kinds or order.status is not Status.UNTRIGGERED:
                continue
            listing = self.listings[order.instrument]
            mark, index = self.depth.marks(listing)
            now = self.depth.last(listing) if trigger.by is PriceKind.LAST else mark if trigger.by is PriceKind.MARK else index
            if now >= trigger.price if trigger.rising else now <= trigger.price:
                self._triggered(order, listing)

    def _triggered(self, order: Order, listing: Listing) -> None:
        self.account.note(order)
        self._waiting[listing.role].pop(order.id, None)
        order.status, order.updated_ns = Status.NEW, self.account.now_ns()
        if order.request.origin in PROTECTIVE:
            self.protection.forget(order)
        request = order.request
        funds = None if request.reduce_only else check_funds(self.account, listing, _at_market(order))
        if funds is not None:
            self.end(order, Status.REJECTED, Reason.MARGIN)
        else:
            self._truncate(order)
            self._activate(order)

    def _truncate(self, order: Order) -> None:
        """A reduce-only market order becomes as large as the position, where it was larger."""
        if order.request.reduce_only and order.request.kind is Kind.MARKET:
            order.lots = self._fillable(order) or order.lots

    # -- matching -----------------------------------------------------------------------------------------------
    def execute(self, request: NewOrder, price: int | None = None) -> Order:
        """Make the venue's own order and fill it now: in the book, or wholly at `price`. No check is made; used for liquidation, ADL and settlement."""
        order = self.create(request)
        if price is None:
            self._activate(order)
        else:
            self._fill(order, [(price, order.lots)], maker=False)
        return order

    def _activate(self, order: Order) -> None:
        fills = list(self._reachable(order))
        tif = order.request.tif
        if tif is Tif.POST_ONLY and fills:
            self.end(order, Status.CANCELLED, Reason.WOULD_TAKE)
            return
        wanted = self._fillable(order)
        if tif is Tif.FOK and sum(lots for _, lots in fills) < wanted:
            fills = []
        if fills:
            self._fill(order, fills, maker=False)
        if not order.is_open:
            return
        if order.request.kind is Kind.MARKET or tif in (Tif.IOC, Tif.FOK):
            self.end(order, Status.CANCELLED, Reason.NO_LIQUIDITY)
            return
        self.rested += 1
        order.rank = self.rested
        self._resting[self.listings[order.instrument].role][order.id] = order
        if not fills:
            self.report(order)

    def _fillable(self, order: Order) -> int:
        if not order.request.reduce_only:
            return order.remaining
        held = self.account.position(order.instrument).lots
        return min(order.remaining, abs(held)) if held * order.side.sign < 0 else 0

    def _reachable(self, order: Order) -> Iterable[tuple[int, int]]:
        """Yield what the order could take from the other side now, less what it has taken from this very book before."""
        listing = self.listings[order.instrument]
        key = (order.instrument, order.side)
        version, taken = self._taken.get(key, (_NO_BOOK, {}))
        left = self._fillable(order)
        spend = order.request.spend
        for price, lots in self.depth.side(listing, order.side.opposite):
            if left <= 0 or (order.request.kind is Kind.LIMIT and (price - order.price) * order.side.sign > 0):
                return
            size = min(left, lots - taken.get(price, 0) if version == self.depth.best(listing) else lots)
            if spend:
                size = min(size, listing.instrument.lots_for(spend - order.value, price))
            if size > 0:
                yield price, size
                left -= size

    def _fill(self, order: Order, fills: list[tuple[int, int]], *, maker: bool) -> int:
        """Fill an order at given prices up to given sizes; return the lots filled and report what has changed."""
        account, listing = self.account, self.listings[order.instrument]
        before = account.position(order.instrument).lots if listing.role is Role.PERP else 0
        key, version = (order.instrument, order.side), self.depth.best(listing)
        if not maker and self._taken.get(key, (_NO_BOOK, {}))[0] != version:
            self._taken[key] = (version, {})
        filled = 0
        for price, size in fills:
            lots = min(size, self._fillable(order))
            if order.request.spend:
                lots = min(lots, listing.instrument.lots_for(order.request.spend - order.value, price))
            if lots <= 0:
                break
            account.book(order, price, lots, maker, FILL_KIND.get(order.request.origin, FillKind.TRADE))
            filled += lots
            if not maker:
                taken = self._taken[key][1]
                taken[price] = taken.get(price, 0) + lots
        if order.request.spend and filled and listing.instrument.lots_for(order.request.spend - order.value, fills[-1][0]) == 0:
            order.lots = order.filled
        self._after_fill(order, listing, before, filled)
        return filled

    def _after_fill(self, order: Order, listing: Listing, before: int, filled: int) -> None:
        if order.remaining == 0:
            self.end(order, Status.FILLED, Reason.NONE)
        elif filled:
            order.status = Status.PARTIALLY_FILLED
            self.report(order)
        if not filled:
            return
        if listing.role is Role.PERP:
            self.protection.after_fill(order, before)
            self.account.emit(EventKind.POSITION, position=self.account.position(order.instrument))
        self.account.emit(EventKind.WALLET)
        if order.is_open and order.request.reduce_only and self._fillable(order) == 0:
            self.end(order, Status.CANCELLED, Reason.BY_REDUCE_ONLY)

    def report(self, order: Order) -> None:
        """Tell the listeners about an order."""
        order.updated_ns = self.account.now_ns()
        order.version += 1
        self.account.emit(EventKind.ORDER, order=order)

    def end(self, order: Order, status: Status, reason: Reason) -> None:
        """Take an order out of the book for good and report it."""
        order.status, order.reason = status, reason
        role = self.listings[order.instrument].role
        self._resting[role].pop(order.id, None)
        self._waiting[role].pop(order.id, None)
        self.account.open_orders.pop(order.id, None)
        self.closed.append(order)
        self.report(order)

    # -- what a file keeps --------------------------------------------------------------------------------------
    def taken(self) -> dict[tuple[InstrumentId, Side], tuple[Best, dict[int, int]]]:
        """Return what market orders have taken from books: of each side the book's best prices and sizes then, and the lots taken at each price."""
        return self._taken

    def restore(self, orders: Iterable[Order], closed: Iterable[str], rested: int) -> None:
        """Take orders over, oldest first, in an exchange that has none; `closed` are those that have ended, in that order."""
        for order in orders:
            spot = self._is_spot(order.instrument)
            self.orders[order.id] = order
            if order.link_id:
                self.by_link[spot, order.link_id] = order
            if order.is_open:
                self.account.open_orders[order.id] = order
        self.closed = [self.orders[each] for each in closed]
        self.rested = rested
        held = list(self.account.open_orders.values())
        for order in sorted(held, key=lambda each: each.rank):
            role, waits = self.listings[order.instrument].role, order.status is Status.UNTRIGGERED
            (self._waiting if waits else self._resting)[role][order.id] = order
            if waits and order.request.origin in PROTECTIVE:
                self.protection.restore(order)

    def _is_spot(self, instrument: InstrumentId) -> bool:
        listing = self.listings.get(instrument)
        return listing is not None and listing.role is Role.SPOT

    def is_open(self, instrument: InstrumentId) -> bool:
        """Whether an instrument is traded."""
        return self.listings[instrument].trading is Trading.OPEN


def _at_market(order: Order) -> NewOrder:
    request = order.request
    return NewOrder(instrument=request.instrument, side=request.side, kind=request.kind, lots=order.remaining, price=order.price)
