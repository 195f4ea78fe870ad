"""Fills and funding payments: the facts that the ledger is made of."""

from attrs import frozen

from titan_core.model.enums import Liquidity
from titan_core.model.ids import ClientOrderId, InstrumentId, PhaseId, StrategyId
from titan_core.model.units import Money


@frozen
class Fill:
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


@frozen
class FundingPayment:
    """One settlement of funding on an open position. `amount` is positive when we receive."""

    ts_ns: int
    instrument: InstrumentId
    phase: PhaseId
    signed_lots: int
    mark: int
    rate_e8: int
    amount: Money
