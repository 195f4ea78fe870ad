"""The ledger: exact books per phase and instrument, fed with fills, funding and fees.

It holds two accounts of the same money, and their agreement is its law: what was made (start + realised + unrealised − fees + funding) and what is
there (cash + positions at price). Cash falls by the full notional of a purchase, for perpetuals too.
"""

from collections.abc import Iterable, Mapping

from attrs import define, field, frozen

from titan_core.errors import UsageError
from titan_core.ledger.trades import OpenTrip, RoundTrip, charge
from titan_core.model.enums import Liquidity
from titan_core.model.fill import Booking, Charge, Deposit, Fill, FundingPayment
from titan_core.model.ids import ClientOrderId, InstrumentId, PhaseId, StrategyId
from titan_core.model.instrument import Instrument
from titan_core.model.position import Position
from titan_core.model.units import Money

HANDOVER = ClientOrderId("handover")


@frozen
class Totals:
    """Sums of one phase, one instrument or all, in 1e-8 USDT. `fees` is positive when paid, `funding` when received."""

    realised: Money
    unrealised: Money
    fees: Money
    funding: Money

    @property
    def net(self) -> Money:
        """What was made: realised plus unrealised, less fees, plus funding."""
        return Money(self.realised + self.unrealised - self.fees + self.funding)


@define
class Book:
    """What one phase holds and has made in one instrument. `cash` is the sum of all its cash flows."""

    position: Position
    realised: int = 0
    fees: int = 0
    funding: int = 0
    cash: int = 0
    trip: OpenTrip | None = None
    last_trip: int = -1
    """Place of its latest closed trip among the ledger's `trips`."""


@define
class Ledger:
    """Books of a run. `equity_start` is the cash it begins with; `trips` the closed trades in order of their exit."""

    instruments: Iterable[Instrument]
    equity_start: Money
    cash: int = field(init=False)
    books: dict[tuple[PhaseId, InstrumentId], Book] = field(init=False, factory=dict)
    trips: list[RoundTrip] = field(init=False, factory=list)
    _known: dict[InstrumentId, Instrument] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._known = {instrument.id: instrument for instrument in self.instruments}
        self.cash = self.equity_start

    # -- what happens -------------------------------------------------------------------------------------------
    def book(self, booking: Booking) -> None:
        """Book whatever a run has recorded."""
        if isinstance(booking, Fill):
            self.fill(booking)
        elif isinstance(booking, FundingPayment):
            self.funding(booking)
        elif isinstance(booking, Charge):
            self.charge(booking.phase, booking.instrument, booking.fee)
        elif isinstance(booking, Deposit):
            self.deposit(booking.amount)
        else:
            self.transfer(booking.instrument, booking.giver, booking.taker, booking.mark2 // 2, ts_ns=booking.ts_ns, half_tick=bool(booking.mark2 % 2))

    def fill(self, fill: Fill) -> Money:
        """Book an execution and return the gross result that it realised. Raises UsageError for an instrument that the ledger lacks."""
        book = self._book(fill.phase, fill.instrument)
        position, lots, price, fee = book.position, fill.signed_lots, fill.price, fill.fee
        held = position.signed_lots
        realised = position.apply(lots, price)
        moved = lots * price * position.instrument.money_per_tick_lot + fee
        self.cash -= moved
        book.cash -= moved
        book.realised += realised
        book.fees += fee
        self._note(book, fill, held, realised)
        return realised

    def funding(self, payment: FundingPayment) -> None:
        """Book a settlement of funding."""
        book = self._book(payment.phase, payment.instrument)
        self.cash += payment.amount
        book.cash += payment.amount
        book.funding += payment.amount
        if book.trip is not None:
            book.trip.funding += payment.amount
        elif book.last_trip >= 0:
            self.trips[book.last_trip] = charge(self.trips[book.last_trip], funding=payment.amount)

    def charge(self, phase: PhaseId, instrument: InstrumentId, fee: Money) -> None:
        """Book a fee that belongs to no execution, such as that of a liquidation."""
        book = self._book(phase, instrument)
        self.cash -= fee
        book.cash -= fee
        book.fees += fee
        if book.trip is not None:
            book.trip.fees += fee
        elif book.last_trip >= 0:
            self.trips[book.last_trip] = charge(self.trips[book.last_trip], fee=fee)

    def deposit(self, amount: Money) -> None:
        """Book money that came or went: no profit, no loss."""
        self.cash += amount
        self.equity_start = Money(self.equity_start + amount)

    def transfer(self, instrument: InstrumentId, giver: PhaseId, taker: PhaseId, mark: int, *, ts_ns: int = 0, half_tick: bool = False) -> None:
        """Hand the giver's whole position to another phase at the mark (ticks, plus half a one for a mid): no money moves, no total changes.

        The giver realises its result at the mark and its trip ends; the taker's begins there. Where the taker held the other way round, its
        position is netted like by a fill.
        """
        source, target = self._book(giver, instrument), self._book(taker, instrument)
        if source is target or not source.position.signed_lots:
            return
        lots, unit = source.position.signed_lots, source.position.instrument.money_per_tick_lot
        worth = lots * (2 * mark + half_tick) * unit // 2
        realised = worth - source.position.cost
        source.realised += realised
        source.cash += worth
        source.position.signed_lots = source.position.cost = 0
        if source.trip is not None:
            source.trip.leave(-lots, mark, 0, realised)
            self._end(source, ts_ns, handed_over=True)
        fill = Fill(ts_ns, instrument, taker, StrategyId("handover"), HANDOVER, lots, mark, Money(0), Liquidity.MAKER, "handover")
        held, gained = target.position.signed_lots, target.position.apply(lots, mark)
        # the half tick that a fill cannot carry: to the cost of what was opened, to the result of what was netted
        rest = worth - lots * mark * unit
        opened = lots if held * lots >= 0 else 0 if abs(lots) <= abs(held) else held + lots
        to_cost = rest * opened // lots
        target.position.cost += to_cost
        gained = Money(gained - (rest - to_cost))
        target.cash -= worth
        target.realised += gained
        self._note(target, fill, held, gained)

    # -- what is there ------------------------------------------------------------------------------------------
    def position(self, phase: PhaseId, instrument: InstrumentId) -> int:
        """Return the signed lots that a phase holds."""
        book = self.books.get((phase, instrument))
        return book.position.signed_lots if book is not None else 0

    def held(self, instrument: InstrumentId) -> int:
        """Return the signed lots of an instrument over all phases."""
        return sum(book.position.signed_lots for (_, name), book in self.books.items() if name == instrument)

    @property
    def phases(self) -> tuple[PhaseId, ...]:
        """Return the phases that have books, in order of their first entry."""
        return tuple(dict.fromkeys(phase for phase, _ in self.books))

    def totals(self, prices: Mapping[InstrumentId, int], phase: PhaseId | None = None, instrument: InstrumentId | None = None) -> Totals:
        """Return the sums of one phase, one instrument, or all. `prices` (ticks) values what is open; it may lack instruments that are flat."""
        realised = unrealised = fees = funding = 0
        for (owner, name), book in self.books.items():
            if phase not in (None, owner) or instrument not in (None, name):
                continue
            realised += book.realised
            fees += book.fees
            funding += book.funding
            if book.position.signed_lots:
                unrealised += book.position.unrealised(_price(prices, name))
        return Totals(Money(realised), Money(unrealised), Money(fees), Money(funding))

    def equity(self, prices: Mapping[InstrumentId, int]) -> Money:
        """Return cash plus positions at `prices` (ticks)."""
        total = self.cash
        for (_, name), book in self.books.items():
            if book.position.signed_lots:
                total += book.position.signed_lots * _price(prices, name) * book.position.instrument.money_per_tick_lot
        return Money(total)

    # -- inside -------------------------------------------------------------------------------------------------
    def _book(self, phase: PhaseId, instrument: InstrumentId) -> Book:
        book = self.books.get((phase, instrument))
        if book is None:
            known = self._known.get(instrument)
            if known is None:
                raise UsageError(f"the ledger has no instrument {instrument}; it was opened for {', '.join(self._known) or 'none'}")
            book = self.books[phase, instrument] = Book(Position(known))
        return book

    def _note(self, book: Book, fill: Fill, held: int, realised: int) -> None:
        """Carry a fill into the round trip. One that crosses zero ends a trip and begins another; its fee is divided by lots."""
        lots, now = fill.signed_lots, book.position.signed_lots
        trip = book.trip
        if held and (held > 0) != (lots > 0):
            closing = lots if abs(lots) <= abs(held) else -held
            fee = fill.fee if closing == lots else fill.fee * closing // lots
            if trip is not None:
                trip.leave(closing, fill.price, fee, realised)
            if closing == lots and now:
                return
            self._end(book, fill.ts_ns)
            if not now:
                return
            book.trip = OpenTrip(fill)
            book.trip.enter(now, fill.price, fill.fee - fee, now)
            return
        if trip is None:
            trip = book.trip = OpenTrip(fill)
        trip.enter(lots, fill.price, fill.fee, now)

    def _end(self, book: Book, ts_ns: int, handed_over: bool = False) -> None:
        if book.trip is not None:
            self.trips.append(book.trip.close(ts_ns, handed_over))
            book.last_trip = len(self.trips) - 1
            book.trip = None


def _price(prices: Mapping[InstrumentId, int], instrument: InstrumentId) -> int:
    try:
        return prices[instrument]
    except KeyError:
        raise UsageError(f"a position in {instrument} is open, but the prices given lack it; they have {', '.join(prices) or 'none'}") from None
