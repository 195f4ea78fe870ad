"""What the venue does by itself: funding, liquidation, auto-deleveraging, delisting; and what the account's owner does by hand on its page."""

from titan_core.model.enums import Side
from titan_core.model.ids import InstrumentId
from titan_core.model.units import BPS, MIN, ceil_div
from titan_core.simulator.account import QUOTE, EventKind
from titan_core.simulator.exchange import Exchange
from titan_core.simulator.listings import Role, Trading
from titan_core.simulator.orders import Kind, NewOrder, Order, Origin, Reason, Refusal
from titan_core.simulator.positions import Cause, Position

EIGHT_HOURS = 480


def funding_due(exchange: Exchange, boundary_ns: int, rate_e8: int) -> int:
    """Settle funding of all positions whose instrument settles at this time; `rate_e8` is for eight hours. Returns how many paid."""
    account, paid = exchange.account, 0
    for position in list(account.positions.values()):
        listing = exchange.listings[position.instrument]
        if position.lots and boundary_ns % (listing.funding_minutes * MIN) == 0:
            rate = rate_e8 * listing.funding_minutes // EIGHT_HOURS
            marker = Order(_own_order(position, Origin.SETTLEMENT), account.ids.uuid(), 0, account.now_ns(), account.now_ns(), abs(position.lots), 0)
            account.pay_funding(position, rate, marker)
            account.emit(EventKind.POSITION, position=position)
            paid += 1
    if paid:
        account.emit(EventKind.WALLET)
    return paid


def next_funding_ns(minutes: int, now_ns: int) -> int:
    """Return the next settlement of an instrument that settles every so many minutes, counted from midnight UTC."""
    every = minutes * MIN
    return (now_ns // every + 1) * every


def watch_margin(exchange: Exchange) -> bool:
    """Liquidate the account where its margin balance has fallen to the maintenance margin. Returns whether it did."""
    if not any(position.lots for position in exchange.account.positions.values()):
        return False
    margin = exchange.account.margin()
    if margin.balance > margin.maintenance:
        return False
    liquidate(exchange)
    return True


def liquidate(exchange: Exchange, instrument: InstrumentId | None = None) -> list[Order]:
    """Cancel all orders and close positions, the costliest first, until the rest is covered; or one position in any case."""
    account = exchange.account
    exchange.cancel_all(exchange.listings, reason=Reason.BY_LIQUIDATION)
    held = sorted((each for each in account.positions.values() if each.lots), key=lambda each: -_value(exchange, each))
    done: list[Order] = []
    for position in held if instrument is None else [each for each in held if each.instrument == instrument]:
        if instrument is None and done and account.margin().balance > account.margin().maintenance:
            break
        fee = ceil_div(_value(exchange, position) * exchange.listings[position.instrument].instrument.liquidation_fee_bps, BPS)
        done.append(exchange.execute(_own_order(position, Origin.LIQUIDATION)))
        account.wallet.apply(account.now_ns(), QUOTE, Cause.LIQUIDATION_FEE, -fee)
        position.realised_total -= fee
    if account.wallet.balance(QUOTE) < 0 and not any(position.lots for position in account.positions.values()):
        account.wallet.apply(account.now_ns(), QUOTE, Cause.INSURANCE, -account.wallet.balance(QUOTE))
    account.emit(EventKind.WALLET)
    return done


def deleverage(exchange: Exchange, instrument: InstrumentId, lots: int | None = None) -> Order | None:
    """Close a position, or some lots of it, at the mark price without a fee, as auto-deleveraging does."""
    position = exchange.account.positions.get(instrument)
    if position is None or not position.lots:
        return None
    mark, _ = exchange.depth.marks(exchange.listings[instrument])
    return exchange.execute(_own_order(position, Origin.ADL, lots), mark)


def delist(exchange: Exchange, instrument: InstrumentId) -> None:
    """Stop trading an instrument: cancel its orders and settle its position at the mark price."""
    listing = exchange.listings[instrument]
    exchange.account.note(instrument=instrument)
    listing.trading = Trading.CLOSED
    exchange.cancel_all([instrument], reason=Reason.BY_DELISTING)
    position = exchange.account.positions.get(instrument)
    if position is not None and position.lots and listing.role is Role.PERP:
        exchange.execute(_own_order(position, Origin.SETTLEMENT), exchange.depth.marks(listing)[0])


def trade_by_hand(exchange: Exchange, instrument: InstrumentId, side: Side, lots: int) -> Order | Refusal:
    """Place a market order as the account's owner would on the venue's page: without a client id."""
    return exchange.place(NewOrder(instrument=instrument, side=side, kind=Kind.MARKET, lots=lots, origin=Origin.MANUAL))


def _own_order(position: Position, origin: Origin, lots: int | None = None) -> NewOrder:
    size = abs(position.lots) if lots is None else min(lots, abs(position.lots))
    side = Side.SELL if position.lots > 0 else Side.BUY
    return NewOrder(instrument=position.instrument, side=side, kind=Kind.MARKET, lots=size, reduce_only=True, origin=origin)


def _value(exchange: Exchange, position: Position) -> int:
    listing = exchange.listings[position.instrument]
    return listing.instrument.notional(position.lots, exchange.depth.marks(listing)[0])
