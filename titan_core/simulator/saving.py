"""From an exchange to records, and back."""

from attrs import define, field

from titan_core.model.enums import Side
from titan_core.model.ids import InstrumentId
from titan_core.simulator.exchange import Exchange
from titan_core.simulator.listings import Trading
from titan_core.simulator.market import Bookmark
from titan_core.simulator.orders import Execution, Order
from titan_core.simulator.positions import Cause, Position
from titan_core.simulator.records import AccountRecord, Change, ClockRecord, Fill, Taken
from titan_core.simulator.unsaved import Unsaved

FILL_FIELDS = tuple(name for name in Fill.__struct_fields__ if name not in ("order", "marker"))


def drawn_up(exchange: Exchange, unsaved: Unsaved) -> AccountRecord:
    """Return what has changed in an account since it was last written down."""
    account = exchange.account
    touched = {(each.coin, each.cause) for each in account.wallet.changes[unsaved.changes :]}
    record = _record(exchange, list(unsaved.instruments))
    record.coins = {coin: account.wallet.balance(coin) for coin, _ in touched}
    record.totals = [(coin, cause, account.wallet.totals[coin, cause]) for coin, cause in touched]
    record.orders = list(unsaved.orders.values())
    record.closed = [each.id for each in exchange.closed[unsaved.closed :]]
    record.fills = [_fill(each) for each in account.executions[unsaved.executions :]]
    return record


def drawn_up_whole(exchange: Exchange) -> AccountRecord:
    """Return an account."""
    account = exchange.account
    record = _record(exchange, list(exchange.listings))
    record.coins = dict(account.wallet.balances)
    record.totals = [(*key, amount) for key, amount in account.wallet.totals.items()]
    record.orders = list(exchange.orders.values())
    record.closed = [each.id for each in exchange.closed]
    record.fills = [_fill(each) for each in account.executions]
    return record


def _record(exchange: Exchange, instruments: list[InstrumentId]) -> AccountRecord:
    account, taken = exchange.account, exchange.taken()
    record = AccountRecord(
        venue=account.venue, seq=account.seq, digest=account.digest.hex(), drawn=account.ids.drawn, numbered=account.ids.numbered, rested=exchange.rested
    )
    record.positions = [account.positions[each] for each in instruments if each in account.positions]
    record.shut = [each for each in instruments if exchange.listings[each].trading is Trading.CLOSED]
    for key in ((each, side) for each in instruments for side in Side):
        if key in taken:
            best, lots = taken[key]
            record.taken.append(Taken(instrument=key[0], side=key[1], best=best, lots=list(lots.items())))
    return record


def _fill(execution: Execution) -> Fill:
    fields = {name: getattr(execution, name) for name in FILL_FIELDS}
    return Fill(order=execution.order.id, marker=None if execution.order.number else execution.order, **fields)


@define
class SavedAccount:
    """An account as the records so far have it."""

    last: AccountRecord
    coins: dict[str, int] = field(factory=dict)
    totals: dict[tuple[str, Cause], int] = field(factory=dict)
    orders: dict[str, Order] = field(factory=dict)
    closed: list[str] = field(factory=list)
    fills: list[Fill] = field(factory=list)
    positions: dict[InstrumentId, Position] = field(factory=dict)
    taken: dict[tuple[InstrumentId, Side], Taken] = field(factory=dict)
    shut: set[InstrumentId] = field(factory=set)

    def take(self, record: AccountRecord) -> None:
        """Take in the next record."""
        self.last = record
        self.coins.update(record.coins)
        self.totals.update({(coin, cause): amount for coin, cause, amount in record.totals})
        self.orders.update({each.id: each for each in record.orders})
        self.closed += record.closed
        self.fills += record.fills
        self.positions.update({each.instrument: each for each in record.positions})
        self.taken.update({(each.instrument, each.side): each for each in record.taken})
        self.shut.update(record.shut)


@define
class Saved:
    """A box as the records so far have it."""

    clock: ClockRecord
    bookmark: Bookmark | None = None
    accounts: dict[str, SavedAccount] = field(factory=dict)

    def take(self, change: Change) -> None:
        """Take in the next change. The clock does not go back: its own record may be younger than the change."""
        self.clock = max(self.clock, change.clock, key=lambda each: (each.now_ns, each.next_ns, each.done))
        self.bookmark = change.bookmark or self.bookmark
        for record in change.accounts:
            self.accounts.setdefault(record.venue, SavedAccount(record)).take(record)


def restore(exchange: Exchange, saved: SavedAccount) -> None:
    """Make a fresh account what it was. Raises KeyError where the records do not fit together."""
    account, last = exchange.account, saved.last
    wallet = account.wallet
    wallet.balances, wallet.totals = saved.coins, saved.totals
    wallet.changes.clear()
    account.seq, account.digest = last.seq, bytes.fromhex(last.digest)
    account.ids.restore(last.drawn, last.numbered)
    account.positions = {each.instrument: each for each in sorted(saved.positions.values(), key=lambda each: each.number)}
    for instrument in saved.shut:
        exchange.listings[instrument].trading = Trading.CLOSED
    exchange.restore(sorted(saved.orders.values(), key=lambda each: each.number), saved.closed, last.rested)
    for key, taken in saved.taken.items():
        exchange.taken()[key] = (taken.best, dict(taken.lots))
    for fill in saved.fills:
        order = fill.marker or exchange.orders[fill.order]
        account.executions.append(Execution(order=order, instrument=order.instrument, **{name: getattr(fill, name) for name in FILL_FIELDS}))
