"""What the exchange examines before it accepts an order."""

from titan_core.model.enums import Side
from titan_core.simulator.account import QUOTE, Account
from titan_core.simulator.listings import Listing, Role, Trading, coins
from titan_core.simulator.orders import Kind, NewOrder, Reason, Refusal, Trigger

MAX_OPEN_ORDERS = 500
MAX_LINK_ID_CHARS = 36
PRICE_BAND = 10
"""A limit price may be this many times the last price, or that part of it."""


def check_new(account: Account, request: NewOrder) -> Refusal | None:
    """Return why an order is refused, None where it is accepted."""
    listing = account.listings.get(request.instrument)
    if listing is None:
        return Refusal(Reason.UNKNOWN_SYMBOL, f"symbol {request.instrument} is not listed")
    if listing.trading is not Trading.OPEN:
        return Refusal(Reason.NOT_TRADING, f"{listing.symbol} is {listing.trading.value}; no orders are accepted")
    if len(request.link_id) > MAX_LINK_ID_CHARS:
        return Refusal(Reason.BAD_SIZE, f"client order id has {len(request.link_id)} characters, allowed are {MAX_LINK_ID_CHARS}")
    same = sum(1 for order in account.open_orders.values() if order.instrument == request.instrument)
    if same >= MAX_OPEN_ORDERS:
        return Refusal(Reason.TOO_MANY_ORDERS, f"{same} open orders in {listing.symbol}, allowed are {MAX_OPEN_ORDERS}")
    return (
        _check_size(listing, request, account.depth.last(listing))
        or _check_reducing(account, request)
        or (check_trigger(account, listing, request.trigger) if request.trigger is not None else None)
        or _check_attached(account, listing, request)
        or check_funds(account, listing, request)
    )


def _check_size(listing: Listing, request: NewOrder, last: int) -> Refusal | None:
    instrument = listing.instrument
    if request.lots <= 0 and request.spend <= 0:
        return Refusal(Reason.BAD_SIZE, f"order size must be at least {instrument.lot_size} {instrument.base}")
    if request.kind is Kind.LIMIT and not last <= request.price * PRICE_BAND <= last * PRICE_BAND * PRICE_BAND:
        return Refusal(Reason.BAD_PRICE, f"price {listing.px(request.price)} is out of range, the last price is {listing.px(last)}")
    limit = listing.max_market_lots * (1 if request.kind is Kind.MARKET else 10)
    if request.lots > limit:
        return Refusal(Reason.TOO_LARGE, f"order size {listing.qty(request.lots)} is above the maximum {listing.qty(limit)}")
    value = request.spend or instrument.notional(request.lots, request.price or last)
    if value < instrument.min_notional_money and not request.reduce_only:
        return Refusal(Reason.BELOW_MINIMUM, f"order value {coins(value)} is below the minimum {instrument.min_notional} {instrument.quote}")
    return None


def _check_reducing(account: Account, request: NewOrder) -> Refusal | None:
    if not request.reduce_only or request.trigger is not None:
        return None
    position = account.positions.get(request.instrument)
    if position is None or position.lots == 0:
        return Refusal(Reason.REDUCE_ONLY, "current position is zero, cannot fix reduce-only order qty")
    if position.lots * request.side.sign > 0:
        return Refusal(Reason.REDUCE_ONLY, "reduce-only order has the same side as the position")
    return None


def check_trigger(account: Account, listing: Listing, trigger: Trigger) -> Refusal | None:
    """Return why a trigger is refused: its price must still lie ahead."""
    last = account.depth.last(listing)
    if trigger.price <= 0:
        return Refusal(Reason.BAD_PRICE, "trigger price must be above 0")
    if trigger.rising and trigger.price <= last:
        return Refusal(Reason.TRIGGER_SIDE, f"expect Rising, but trigger_price[{listing.px(trigger.price)}] <= current[{listing.px(last)}]")
    if not trigger.rising and trigger.price >= last:
        return Refusal(Reason.TRIGGER_SIDE, f"expect Falling, but trigger_price[{listing.px(trigger.price)}] >= current[{listing.px(last)}]")
    return None


def _check_attached(account: Account, listing: Listing, request: NewOrder) -> Refusal | None:
    base = request.price or account.depth.last(listing)
    return check_stops(listing, request.side, base, request.stop_loss, request.take_profit)


def check_stops(listing: Listing, side: Side, base: int, stop_loss: int, take_profit: int) -> Refusal | None:
    """Return why protective prices are refused: a long's stop lies below `base` and its target above, a short's the other way round."""
    word = "Buy" if side is Side.BUY else "Sell"
    if stop_loss and (base - stop_loss) * side.sign <= 0:
        where = "lower" if side is Side.BUY else "higher"
        return Refusal(Reason.STOP_SIDE, f"StopLoss:{listing.px(stop_loss)} set for {word} position should be {where} than base_price:{listing.px(base)}")
    if take_profit and (take_profit - base) * side.sign <= 0:
        where = "higher" if side is Side.BUY else "lower"
        return Refusal(Reason.STOP_SIDE, f"TakeProfit:{listing.px(take_profit)} set for {word} position should be {where} than base_price:{listing.px(base)}")
    return None


def check_funds(account: Account, listing: Listing, request: NewOrder) -> Refusal | None:
    """Return a refusal where the account cannot pay for the order. A conditional order is examined when it is set off."""
    if request.trigger is not None:
        return None
    instrument = listing.instrument
    if listing.role is Role.SPOT:
        if request.side is Side.SELL:
            has, needs, coin = account.free_coins(instrument.base), request.lots * listing.coin_per_lot, instrument.base
        else:
            price = request.price or account.depth.best(listing)[1]
            has = min(account.margin().available, account.wallet.balance(QUOTE))
            needs, coin = request.spend or instrument.notional(request.lots, price), QUOTE
    else:
        bid, ask, _, _ = account.depth.best(listing)
        price = request.price or (ask if request.side is Side.BUY else bid)
        has, coin = account.margin().available, QUOTE
        needs = account.needed(request.instrument, request.side, request.lots, price, request.reduce_only)
    if needs > has:
        return Refusal(Reason.MARGIN, f"needs {coins(needs)} {coin}, available are {coins(has)}")
    return None
