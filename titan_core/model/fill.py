"""Fills, funding payments, charges, transfers and deposits: the facts that the ledger is made of."""

from msgspec import Struct

from titan_core.model.enums import Liquidity
from titan_core.model.ids import ClientOrderId, InstrumentId, PhaseId, StrategyId
from titan_core.model.units import Money


class Fill(Struct, frozen=True, gc=False, tag="fill"):
    """One execution. `fee` is positive when we pay."""

    ts_ns: int
    instrument: InstrumentId
    phase: PhaseId
    strategy: StrategyId
    client_order_id: ClientOrderId
    signed_lots: int
    price: int
    fee: Money
    liquidity: Liquidity
    tag: str


class FundingPayment(Struct, frozen=True, gc=False, tag="funding"):
    """One settlement of funding on an open position. `amount` is positive when we receive."""

    ts_ns: int
    instrument: InstrumentId
    phase: PhaseId
    signed_lots: int
    mark: int
    rate_e8: int
    amount: Money


class Charge(Struct, frozen=True, gc=False, tag="charge"):
    """A fee that belongs to no execution, such as that of a liquidation. Positive when we pay."""

    ts_ns: int
    instrument: InstrumentId
    phase: PhaseId
    fee: Money


class Transfer(Struct, frozen=True, gc=False, tag="transfer"):
    """A position that moved from one phase to another at its present value; `mark2` is twice the price in ticks."""

    ts_ns: int
    instrument: InstrumentId
    giver: PhaseId
    taker: PhaseId
    signed_lots: int
    mark2: int


class Deposit(Struct, frozen=True, gc=False, tag="deposit"):
    """Money that came into the account, or left it (negative), for no reason that the books know."""

    ts_ns: int
    amount: Money
    reason: str


Booking = Fill | FundingPayment | Charge | Transfer | Deposit
"""What the ledger books."""
