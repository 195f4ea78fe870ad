"""An account at one venue: coins, positions, executions, margin, and the stream of everything that happens to them."""

import hashlib
import random
import uuid
from collections.abc import Callable, Mapping
from enum import StrEnum

from attrs import frozen

from titan_core.model.enums import Side
from titan_core.model.ids import InstrumentId, VenueId
from titan_core.model.units import BPS, PPM, RATE_SCALE, ceil_div
from titan_core.simulator.depth import Depth
from titan_core.simulator.listings import Listing, Role
from titan_core.simulator.orders import Execution, FillKind, Order, Status
from titan_core.simulator.positions import Cause, Position, Wallet
from titan_core.simulator.unsaved import Unsaved

QUOTE = "USDT"
COLLATERAL_BPS = 9_500
"""Share of a coin's value that counts as collateral."""


class EventKind(StrEnum):
    """What an account event is about."""

    ORDER = "order"
    EXECUTION = "execution"
    POSITION = "position"
    WALLET = "wallet"


@frozen
class AccountEvent:
    """Something happened. `seq` rises by one from event to event; `order` and `position` are the living objects as of this event."""

    seq: int
    ts_ns: int
    kind: EventKind
    order: Order | None = None
    execution: Execution | None = None
    position: Position | None = None


@frozen
class Margin:
    """What the account is worth and what it needs, in 1e-8 of the quote coin."""

    cash: int
    unrealised: int
    coin_value: int
    collateral: int
    position_margin: int
    order_margin: int
    maintenance: int

    @property
    def equity(self) -> int:
        """Cash, open profit and the value of coins."""
        return self.cash + self.unrealised + self.coin_value

    @property
    def balance(self) -> int:
        """What counts against margin: coins with a discount."""
        return self.cash + self.unrealised + self.collateral

    @property
    def available(self) -> int:
        """What may still be used as initial margin; never below 0."""
        return max(0, self.balance - self.position_margin - self.order_margin)


class Ids:
    """Draws ids from a seed."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)
        self.drawn = self.numbered = 0
        """How many UUIDs and numbers have been given."""

    def restore(self, drawn: int, numbered: int) -> None:
        """Go on where so many had been given."""
        for _ in range(drawn - self.drawn):
            self._random.getrandbits(128)
        self.drawn, self.numbered = drawn, numbered

    def uuid(self) -> str:
        """Return a fresh id in the form of a UUID."""
        self.drawn += 1
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def number(self) -> int:
        """Return the next serial number, from 1."""
        self.numbered += 1
        return self.numbered


class Account:
    """The books of one account. The exchange decides what happens; here it is written down."""

    def __init__(self, venue: VenueId, listings: Mapping[InstrumentId, Listing], depth: Depth, now_ns: Callable[[], int], ids: Ids, deposit: int) -> None:
        self.venue, self.listings, self.depth, self.now_ns, self.ids = venue, listings, depth, now_ns, ids
        self._spot = {each.instrument.base: each for each in listings.values() if each.role is Role.SPOT}
        self.wallet = Wallet()
        self.positions: dict[InstrumentId, Position] = {}
        self.executions: list[Execution] = []
        self.open_orders: dict[str, Order] = {}
        self.listeners: list[Callable[[AccountEvent], None]] = []
        self.unsaved: Unsaved | None = None
        """Takes note of what changes, where somebody writes it down."""
        self.seq = 0
        self.digest = bytes(16)
        """Of all events so far: each event's is made from the one before it."""
        self.wallet.apply(now_ns(), QUOTE, Cause.DEPOSIT, deposit)

    # -- events -------------------------------------------------------------------------------------------------
    def emit(self, kind: EventKind, *, order: Order | None = None, execution: Execution | None = None, position: Position | None = None) -> None:
        """Number an event, add it to the trace and tell the listeners."""
        self.note(order if execution is None else execution.order, position.instrument if position is not None else None)
        self.seq += 1
        now = self.now_ns()
        if order is not None:
            what = f"{order.id}|{order.link_id}|{order.status}|{order.filled}|{order.lots}|{order.value}|{order.fee}|{order.reason}"
        elif execution is not None:
            what = f"{execution.id}|{execution.order.id}|{execution.kind}|{execution.price}|{execution.lots}|{execution.fee}|{execution.profit}"
        elif position is not None:
            position.seq, position.updated_ns = self.seq, now
            what = f"{position.instrument}|{position.lots}|{position.entry_value}|{position.stop_loss}|{position.take_profit}"
        else:
            what = "|".join(f"{coin}={amount}" for coin, amount in self.wallet.balances.items())
        self.digest = hashlib.blake2b(f"{self.seq}|{now}|{kind}|{what}\n".encode(), digest_size=16, key=self.digest).digest()
        event = AccountEvent(self.seq, now, kind, order, execution, position)
        for listener in self.listeners:
            listener(event)

    def trace(self) -> str:
        """Return the digest of all events so far: equal for two runs exactly when the same things happened at the same times."""
        return self.digest.hex()

    def note(self, order: Order | None = None, instrument: InstrumentId | None = None) -> None:
        """Take note that an order, or what is held of an instrument, is about to change; of the rest of the account in any case."""
        if self.unsaved is not None:
            self.unsaved.note(order, instrument)

    def position(self, instrument: InstrumentId) -> Position:
        """Return the position in an instrument, a flat one where there is none."""
        found = self.positions.get(instrument)
        if found is None:
            self.note(instrument=instrument)
            limit = self.listings[instrument].instrument.max_leverage
            found = self.positions[instrument] = Position(instrument, len(self.positions) + 1, min(10, limit), created_ns=self.now_ns())
        return found

    # -- fills --------------------------------------------------------------------------------------------------
    def book(self, order: Order, price: int, lots: int, maker: bool, kind: FillKind) -> Execution:
        """Write a fill down: cash, coins, position, fee and the order's sums."""
        listing = self.listings[order.instrument]
        instrument = listing.instrument
        value = instrument.notional(lots, price)
        rate = 0 if kind in (FillKind.ADL, FillKind.SETTLEMENT) else instrument.maker_fee_ppm if maker else instrument.taker_fee_ppm
        now = self.now_ns()
        closed = profit = 0
        if listing.role is Role.PERP:
            fee, fee_coin = ceil_div(value * rate, PPM), QUOTE
            position = self.position(order.instrument)
            if position.lots == 0:
                position.created_ns = now
            closed, profit = position.apply(order.side.sign * lots, value)
            self.wallet.apply(now, QUOTE, Cause.PROFIT, profit)
            position.realised += profit - fee
            position.realised_total += profit - fee
        else:
            fee, fee_coin = self._exchange_coins(listing, order.side, lots, value, rate)
        self.wallet.apply(now, fee_coin, Cause.FEE, -fee)
        order.filled += lots
        order.value += value
        order.fee += fee
        order.maker_fee += fee if maker else 0
        order.fee_coin = fee_coin
        order.profit += profit
        return self._record(order, kind, price, lots, value, fee, fee_coin, rate * (RATE_SCALE // PPM), maker, closed, profit)

    def _exchange_coins(self, listing: Listing, side: Side, lots: int, value: int, rate_ppm: int) -> tuple[int, str]:
        amount, now, base = lots * listing.coin_per_lot, self.now_ns(), listing.instrument.base
        self.wallet.apply(now, base, Cause.EXCHANGE, side.sign * amount)
        self.wallet.apply(now, QUOTE, Cause.EXCHANGE, -side.sign * value)
        return (ceil_div(amount * rate_ppm, PPM), base) if side is Side.BUY else (ceil_div(value * rate_ppm, PPM), QUOTE)

    def _record(
        self,
        order: Order,
        kind: FillKind,
        price: int,
        lots: int,
        value: int,
        fee: int,
        fee_coin: str,
        rate_e8: int,
        maker: bool,
        closed: int,
        profit: int,
    ) -> Execution:
        mark, index = self.depth.marks(self.listings[order.instrument])
        execution = Execution(
            seq=self.seq + 1,
            id=self.ids.uuid(),
            order=order,
            instrument=order.instrument,
            kind=kind,
            side=order.side,
            price=price,
            lots=lots,
            value=value,
            fee=fee,
            fee_coin=fee_coin,
            fee_rate_e8=rate_e8,
            maker=maker,
            closed_lots=closed,
            profit=profit,
            mark=mark,
            index=index,
            ts_ns=self.now_ns(),
            leaves=order.remaining,
        )
        self.executions.append(execution)
        self.emit(EventKind.EXECUTION, execution=execution)
        return execution

    def pay_funding(self, position: Position, rate_e8: int, marker: Order) -> None:
        """Settle funding of one position: longs pay a positive rate. Rounded against the account."""
        listing = self.listings[position.instrument]
        mark, _ = self.depth.marks(listing)
        value = listing.instrument.notional(position.lots, mark)
        payment = ceil_div(value * rate_e8 * (1 if position.lots > 0 else -1), RATE_SCALE)
        self.wallet.apply(self.now_ns(), QUOTE, Cause.FUNDING, -payment)
        position.realised -= payment
        position.realised_total -= payment
        position.funding += payment
        self._record(marker, FillKind.FUNDING, mark, abs(position.lots), value, payment, QUOTE, rate_e8, False, 0, 0)

    # -- margin -------------------------------------------------------------------------------------------------
    def margin(self) -> Margin:
        """Return the account's figures at the mark prices of now."""
        unrealised = position_margin = maintenance = 0
        for position in self.positions.values():
            if position.lots:
                instrument = self.listings[position.instrument].instrument
                value = instrument.notional(position.lots, self.depth.marks(self.listings[position.instrument])[0])
                unrealised += position.unrealised(value)
                position_margin += ceil_div(value, position.leverage)
                maintenance += ceil_div(value * instrument.maintenance_margin_bps, BPS)
        coin_value = collateral = 0
        for coin, amount in self.wallet.balances.items():
            listing = self._spot.get(coin)
            if amount and listing is not None:
                worth = amount * self.depth.marks(listing)[0] * listing.instrument.money_per_tick_lot // listing.coin_per_lot
                coin_value += worth
                collateral += worth * COLLATERAL_BPS // BPS
        orders = sum(self.order_margin(order) for order in self.open_orders.values() if order.status is not Status.UNTRIGGERED)
        return Margin(self.wallet.balance(QUOTE), unrealised, coin_value, collateral, position_margin, orders, maintenance)

    def order_margin(self, order: Order) -> int:
        """Return what an order locks of the quote coin while it rests."""
        return self.needed(order.instrument, order.side, order.remaining, order.price, order.request.reduce_only)

    def needed(self, instrument_id: InstrumentId, side: Side, lots: int, price: int, reduce_only: bool) -> int:
        """Return the initial margin and the taker fee of lots that would open (spot: what a buy costs)."""
        listing = self.listings[instrument_id]
        instrument = listing.instrument
        if listing.role is Role.SPOT:
            return instrument.notional(lots, price) if side is Side.BUY else 0
        if reduce_only:
            return 0
        position = self.positions.get(instrument_id)
        held = position.lots if position is not None else 0
        opening = max(0, lots - abs(held)) if held * side.sign < 0 else lots
        leverage = position.leverage if position is not None else min(10, instrument.max_leverage)
        value = instrument.notional(opening, price)
        return ceil_div(value, leverage) + ceil_div(value * instrument.taker_fee_ppm, PPM)

    def free_coins(self, coin: str) -> int:
        """Return what of a coin is not locked in resting sell orders, in 1e-8."""
        locked = 0
        for order in self.open_orders.values():
            listing = self.listings[order.instrument]
            if listing.role is Role.SPOT and order.side is Side.SELL and listing.instrument.base == coin:
                locked += order.remaining * listing.coin_per_lot
        return self.wallet.balance(coin) - locked

    def liquidation_price(self, position: Position, margin: Margin) -> int:
        """Return the mark price (ticks) at which the account would be liquidated if only this instrument moved; 0 where it never would."""
        instrument = self.listings[position.instrument].instrument
        mark, _ = self.depth.marks(self.listings[position.instrument])
        sign = 1 if position.lots > 0 else -1
        per_tick = abs(position.lots) * instrument.money_per_tick_lot
        own = ceil_div(per_tick * mark * instrument.maintenance_margin_bps, BPS)
        room = margin.balance - (margin.maintenance - own)
        ticks = (mark * per_tick - sign * room) * BPS // (per_tick * (BPS - sign * instrument.maintenance_margin_bps))
        return max(0, ticks)
