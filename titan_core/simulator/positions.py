"""One-way positions and the coins of an account, in whole numbers, so that nothing is ever lost to rounding."""

from collections.abc import Iterable
from enum import StrEnum

from attrs import define, field, frozen

from titan_core.model.ids import InstrumentId


@define(eq=False)
class Position:
    """A position: lots (negative when short) and what they were entered for (1e-8 of the quote coin, never negative)."""

    instrument: InstrumentId
    number: int
    leverage: int = 10
    lots: int = 0
    entry_value: int = 0
    stop_loss: int = 0
    take_profit: int = 0
    realised: int = 0
    """Profit, fees and funding since the position was opened."""
    realised_total: int = 0
    opened_lots: int = 0
    closed_lots: int = 0
    closed_value: int = 0
    funding: int = 0
    created_ns: int = 0
    updated_ns: int = 0
    seq: int = 0

    def apply(self, signed_lots: int, value: int) -> tuple[int, int]:
        """Trade `signed_lots` for `value` in all; return (lots closed, profit on them).

        The part of the entry value that leaves with closed lots is rounded down; what rounding keeps leaves with the last lot, so profits add up exactly.
        """
        size = abs(signed_lots)
        closing = min(size, abs(self.lots)) if self.lots * signed_lots < 0 else 0
        profit = 0
        if closing:
            entered = self.entry_value * closing // abs(self.lots)
            left = value * closing // size
            profit = (left - entered) * (1 if self.lots > 0 else -1)
            self.entry_value -= entered
            self.lots += closing if signed_lots > 0 else -closing
            self.closed_lots += closing
            self.closed_value += left
            value -= left
        opening = size - closing
        if opening:
            if self.lots == 0:
                self.realised = self.funding = self.opened_lots = self.closed_lots = self.closed_value = 0
            self.lots += opening if signed_lots > 0 else -opening
            self.entry_value += value
            self.opened_lots += opening
        return closing, profit

    def unrealised(self, value_now: int) -> int:
        """Return the profit that closing for `value_now` would bring."""
        return value_now - self.entry_value if self.lots > 0 else self.entry_value - value_now if self.lots else 0


class Cause(StrEnum):
    """Why a balance changed."""

    DEPOSIT = "deposit"
    PROFIT = "profit"
    FEE = "fee"
    FUNDING = "funding"
    LIQUIDATION_FEE = "liquidation_fee"
    INSURANCE = "insurance"
    """What the venue's fund pays where a liquidation left less than nothing."""
    EXCHANGE = "exchange"
    """Coins bought and sold on the spot market."""


@frozen
class Change:
    """One change of a balance, in 1e-8 of the coin."""

    ts_ns: int
    coin: str
    cause: Cause
    amount: int
    balance: int


@define(eq=False)
class Wallet:
    """The coins of one account and every change that they went through."""

    balances: dict[str, int] = field(factory=dict)
    totals: dict[tuple[str, Cause], int] = field(factory=dict)
    changes: list[Change] = field(factory=list)

    def apply(self, ts_ns: int, coin: str, cause: Cause, amount: int) -> None:
        """Change a balance."""
        if not amount:
            return
        balance = self.balances.get(coin, 0) + amount
        self.balances[coin] = balance
        self.totals[coin, cause] = self.totals.get((coin, cause), 0) + amount
        self.changes.append(Change(ts_ns, coin, cause, amount, balance))

    def balance(self, coin: str) -> int:
        """Return a balance."""
        return self.balances.get(coin, 0)

    def total(self, coin: str, causes: Iterable[Cause] = tuple(Cause)) -> int:
        """Return the sum of all changes of these causes."""
        return sum(self.totals.get((coin, cause), 0) for cause in causes)
