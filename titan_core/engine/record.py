"""What a run leaves behind: every decision in order, and the digest that identifies it.

Entries are plain tuples `(kind, ts_ns, ...)` of integers and strings, so that two runs can be compared entry by entry and hashed.
"""

import hashlib
from typing import Any

from attrs import define, field

from titan_core.model.fill import Booking, Charge, Deposit, Fill, FundingPayment, Transfer
from titan_core.model.order import Approved, Refused

Entry = tuple[Any, ...]


@define
class Record:
    """Decisions, fills, funding and chart transitions of one run."""

    entries: list[Entry] = field(factory=list)
    fills: list[Fill] = field(factory=list)
    cash_after: list[int] = field(factory=list)
    """Account cash after each fill, in step with `fills`."""
    funding: list[FundingPayment] = field(factory=list)
    bookings: list[Booking] = field(factory=list)
    """Everything that the ledger books, in order."""

    def approved(self, ts_ns: int, approved: Approved) -> None:
        """Note an intent that was approved, with the size that was sent."""
        i = approved.intent
        self.entries.append(
            ("approved", ts_ns, i.client_order_id, i.instrument.id, approved.signed_lots, i.order_type.value, i.limit, i.trigger, i.stop, i.target, i.tag)
        )

    def refused(self, ts_ns: int, refused: Refused) -> None:
        """Note an intent that was refused, and why."""
        i = refused.intent
        self.entries.append(("refused", ts_ns, i.client_order_id, i.instrument.id, i.signed_lots, refused.code.value, refused.observed, refused.limit))

    def fill(self, fill: Fill, cash: int) -> None:
        """Note an execution and the cash after it."""
        self.fills.append(fill)
        self.bookings.append(fill)
        self.cash_after.append(cash)
        f = fill
        self.entries.append(("fill", f.ts_ns, f.client_order_id, f.instrument, f.signed_lots, f.price, f.fee, f.liquidity.value, cash))

    def closed(self, ts_ns: int, order: Any) -> None:
        """Note an order that ended without being filled completely."""
        self.entries.append(("closed", ts_ns, order.client_order_id, order.status.value, order.leaves_lots))

    def paid(self, payment: FundingPayment) -> None:
        """Note a settlement of funding."""
        self.funding.append(payment)
        self.bookings.append(payment)
        p = payment
        self.entries.append(("funding", p.ts_ns, p.instrument, p.signed_lots, p.mark, p.rate_e8, p.amount))

    def charged(self, charge: Charge) -> None:
        """Note a fee that belongs to no execution."""
        self.bookings.append(charge)
        self.entries.append(("charged", charge.ts_ns, charge.instrument, charge.phase, charge.fee))

    def handed_over(self, transfer: Transfer) -> None:
        """Note a position that moved from one phase to another."""
        self.bookings.append(transfer)
        t = transfer
        self.entries.append(("handed_over", t.ts_ns, t.instrument, t.signed_lots, t.giver, t.taker, t.mark2))

    def deposited(self, deposit: Deposit) -> None:
        """Note money that came or went for no reason that the books know."""
        self.bookings.append(deposit)
        self.entries.append(("deposited", deposit.ts_ns, deposit.amount, deposit.reason))

    def chart(self, ts_ns: int, trigger: str, source: str, destination: str, guards: tuple[tuple[str, int], ...]) -> None:
        """Note a transition of the Brain's chart with the guard values behind it."""
        self.entries.append(("chart", ts_ns, trigger, source, destination, guards))

    def note(self, ts_ns: int, author: str, text: str) -> None:
        """Note a line of a strategy or of the Brain."""
        self.entries.append(("note", ts_ns, author, text))

    def take(self) -> "tuple[list[Entry], list[Booking]]":
        """Return what was noted and booked since the last call, and forget it: a run that never ends keeps nothing here."""
        taken = self.entries, self.bookings
        self.entries, self.bookings, self.fills, self.cash_after, self.funding = [], [], [], [], []
        return taken

    @property
    def digest(self) -> str:
        """The sha256 of all entries in order."""
        return hashlib.sha256(repr(self.entries).encode()).hexdigest()
