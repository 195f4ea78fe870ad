"""Brings remembered books in line with what the venue says has happened since: pure arithmetic on a `Memory`.

Executions that nobody had heard of are booked on whoever asked for them, else on the owner of the position, else on the Brain. What the venue holds beyond
that is a correction at the venue's own entry price: the exchange wins. What then is missing or too much in cash is a deposit, and said.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from attrs import define, field
from msgspec import structs

from titan_core.app.live.entries import Kept, Submit
from titan_core.engine.memory import Holding, Memory
from titan_core.execution.reports import Execution, ExecutionKind, PositionReport, WalletReport
from titan_core.model.enums import Liquidity
from titan_core.model.fill import Booking, Deposit, Fill, FundingPayment
from titan_core.model.ids import BRAIN, ClientOrderId, InstrumentId, PhaseId, StrategyId
from titan_core.model.instrument import Instrument
from titan_core.model.position import Position
from titan_core.model.units import MONEY_PER_USDT, RATE_SCALE, Money, to_usdt

CENT = MONEY_PER_USDT // 100


@define
class Settled:
    """A memory being brought up to date, and what was booked on the way."""

    memory: Memory
    known: Mapping[InstrumentId, Instrument]
    orders: Mapping[str, Submit]
    ts_ns: int
    bookings: list[Booking] = field(factory=list)
    notes: list[str] = field(factory=list)
    seen: list[str] = field(factory=list)
    last_execution_ns: int = 0
    unprotected: list[InstrumentId] = field(factory=list)
    """Positions whose stop the venue does not have."""

    # -- executions -----------------------------------------------------------------------------------------------
    def take(self, executions: Iterable[Execution]) -> None:
        """Book executions, oldest first; those that are booked already must have been left out."""
        for execution in executions:
            self.seen.append(execution.execution_id)
            self.last_execution_ns = max(self.last_execution_ns, execution.ts_event_ns)
            if execution.kind is ExecutionKind.FUNDING:
                self._fund(execution)
            else:
                self._trade(execution)

    def _trade(self, execution: Execution) -> None:
        order = self.orders.get(execution.client_order_id)
        held = self.memory.holdings.get(execution.instrument)
        rest = (held.lots if held is not None else 0) + execution.signed_lots
        if order is None and held is not None and held.lots * rest < 0:  # it has closed what its owner held, and the rest belongs to nobody
            fee = execution.fee * abs(held.lots) // abs(execution.signed_lots)
            self._part(structs.replace(execution, signed_lots=-held.lots, fee=Money(fee)), None)
            self._part(structs.replace(execution, signed_lots=rest, fee=Money(execution.fee - fee)), None)
        else:
            self._part(execution, order)

    def _part(self, execution: Execution, order: Submit | None) -> None:
        held = self.memory.holdings.get(execution.instrument)
        owner = held.owner if held is not None else str(order.phase) if order else str(BRAIN)
        strategy = order.strategy if order else StrategyId("venue")
        tag = order.label if order else str(execution.kind)
        stops = (order.stop, order.target) if order is not None and not order.reduce_only else (None, None)
        self._book(
            execution.instrument, owner, strategy, execution.client_order_id or ClientOrderId(f"{owner}.{tag}"), execution.signed_lots, execution.price,
            execution.fee, execution.liquidity, tag, stops,
        )  # fmt: skip
        self.notes.append(f"booked while recovering: {execution.signed_lots} lots of {execution.instrument} at {execution.price} ticks for {owner} ({tag})")

    def _book(
        self, name: InstrumentId, owner: str, strategy: StrategyId, ident: ClientOrderId, signed_lots: int, price: int, fee: int, liquidity: Liquidity,
        tag: str, stops: tuple[int | None, int | None],
    ) -> None:  # fmt: skip
        memory, unit = self.memory, self.known[name].money_per_tick_lot
        moved = signed_lots * price * unit + fee
        memory.cash -= moved
        memory.fees += fee
        self._flow(owner, -moved)
        held = memory.holdings.pop(name, None)
        before = held.lots if held else 0
        after = before + signed_lots
        if after:
            kept = held if held is not None and before * after > 0 else None
            stop, target = (kept.stop, kept.target) if kept is not None and kept.stop is not None else stops
            memory.holdings[name] = Holding(lots=after, owner=owner, stop=stop, target=target)
        self.bookings.append(Fill(self.ts_ns, name, PhaseId(owner), strategy, ident, signed_lots, price, Money(fee), liquidity, tag))

    def _flow(self, owner: str, amount: int) -> None:
        phase = self.memory.phases.get(owner)
        if phase is None:
            self.memory.brain_flow2 += 2 * amount
        else:
            phase.flow2 += 2 * amount

    def _fund(self, execution: Execution) -> None:
        held = self.memory.holdings.get(execution.instrument)
        owner, lots = (held.owner, held.lots) if held else (str(BRAIN), 0)
        amount = -execution.fee
        self.memory.cash += amount
        self.memory.funding += amount
        self._flow(owner, amount)
        worth = lots * self.known[execution.instrument].money_per_tick_lot * execution.price
        rate = -amount * RATE_SCALE // worth if worth else 0
        self.bookings.append(FundingPayment(self.ts_ns, execution.instrument, PhaseId(owner), lots, execution.price, rate, Money(amount)))

    # -- what the venue holds -------------------------------------------------------------------------------------
    def agree(self, positions: Sequence[PositionReport]) -> None:
        """Correct the perpetuals to what the venue holds, and take over the stops that rest there."""
        reported = {position.instrument: position for position in positions}
        for name, instrument in self.known.items():
            if not instrument.is_perp:
                continue
            held, found = self.memory.holdings.get(name), reported.get(name)
            ours, theirs = held.lots if held else 0, found.signed_lots if found else 0
            if ours != theirs:
                price = instrument.ticks_nearest(Decimal(found.entry_price)) if found else self._last_price(name, held)
                owner = held.owner if held is not None else str(BRAIN)
                self.notes.append(f"{name}: the venue holds {theirs} lots, the books had {ours}; the venue is right, the difference is booked on {owner}")
                parts = ((owner, -ours), (str(BRAIN), theirs)) if ours * theirs < 0 else ((owner, theirs - ours),)
                for each, lots in parts:  # what is held the other way round belongs to nobody
                    ident = ClientOrderId(f"{each}.correction")
                    self._book(name, each, StrategyId("venue"), ident, lots, price, 0, Liquidity.TAKER, "correction", (None, None))
            now = self.memory.holdings.get(name)
            if now is not None and found is not None:
                if found.stop is not None:
                    now.stop, now.target = found.stop, found.target
                elif now.stop is not None:
                    self.unprotected.append(name)

    def _last_price(self, name: InstrumentId, held: Holding | None) -> int:
        """A position is gone and nobody says at what price: the newest that the books know."""
        for booking in reversed(self.bookings):
            if isinstance(booking, Fill) and booking.instrument == name:
                return booking.price
        return held.stop if held is not None and held.stop else 1

    def agree_cash(self, wallet: WalletReport, view: "VenueView") -> None:
        """Correct cash to what the venue has. `view` holds everything booked so far, what was booked here included."""
        expected = view.wallet_cash(self.memory.cash)
        difference = wallet.cash - expected
        if abs(difference) < CENT:
            return
        self.memory.cash += difference
        self.memory.peak2 += 2 * difference
        self._flow(str(BRAIN), difference)
        reason = f"the venue has {to_usdt(wallet.cash)} USDT, the books had {to_usdt(expected)}"
        self.notes.append(f"cash corrected: {reason}")
        self.bookings.append(Deposit(self.ts_ns, Money(difference), reason))


class VenueView:
    """The perpetuals as a venue sees them: one position per instrument, whichever phase holds it."""

    def __init__(self, known: Mapping[InstrumentId, Instrument], bookings: Iterable[Booking] = ()) -> None:
        self._known = known
        self.positions: dict[InstrumentId, Position] = {}
        for booking in bookings:
            self.take(booking)

    def take(self, booking: Booking) -> None:
        """Book an execution; nothing else moves a position at the venue."""
        if isinstance(booking, Fill) and booking.instrument in self._known and self._known[booking.instrument].is_perp:
            held = self.positions.get(booking.instrument)
            if held is None:
                held = self.positions[booking.instrument] = Position(self._known[booking.instrument])
            held.apply(booking.signed_lots, booking.price)

    def wallet_cash(self, cash: int) -> int:
        """Return what the venue shows as wallet balance: our cash falls by the full notional of perpetuals, the venue's does not."""
        return cash + sum(held.cost for held in self.positions.values())


def fresh_memory(wallet: WalletReport, ts_ns: int) -> Memory:
    """Return the memory of a first boot: what the venue has in cash and nothing else."""
    return Memory(
        ts_ns=ts_ns, leaves=(), cash=wallet.cash, fees=0, funding=0, brain_flow2=0, peak2=0, drawdown=0, worst_drawdown_ppm=0, escalated_today=0,
        closing_orders=0, phases={}, holdings={},
    )  # fmt: skip


def settle(
    kept: Kept, known: Mapping[InstrumentId, Instrument], executions: Sequence[Execution], positions: Sequence[PositionReport], wallet: WalletReport, ts_ns: int
) -> Settled:
    """Bring what a journal has kept in line with the venue."""
    memory = kept.memory or fresh_memory(wallet, ts_ns)
    settled = Settled(memory, known, kept.open_orders, ts_ns, seen=list(kept.seen), last_execution_ns=kept.last_execution_ns)
    if kept.memory is not None:
        already = set(kept.seen)
        settled.take(e for e in executions if e.execution_id not in already)
    else:
        settled.seen += [e.execution_id for e in executions]
    settled.agree(positions)
    if kept.memory is not None:
        settled.agree_cash(wallet, VenueView(known, (*kept.bookings, *settled.bookings)))
    return settled
