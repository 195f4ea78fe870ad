"""The simulated account: cash, positions and what each phase has made, in exact integers."""

from collections.abc import Callable, Sequence

from titan_core.model.instrument import Instrument
from titan_core.model.units import BPS, ceil_div

NOBODY = -1


class Account:
    """One cross-margin account. Slot s is a phase, instrument k a position in the layout.

    `cash` (1e-8 USDT) falls by the full notional of a purchase, for perpetuals too, so equity = cash + Σ lots × unit × price without further
    bookkeeping. `flow2[s]` is twice the cash that phase s has moved. Doubled amounts carry a `2`, because a mid price is a half-integer.
    """

    def __init__(self, instruments: Sequence[Instrument], cash: int, slots: int) -> None:
        """Start flat with `cash`."""
        count = len(instruments)
        self.instruments = tuple(instruments)
        self.units = [instrument.money_per_tick_lot for instrument in instruments]
        self._maintenance = [unit * i.maintenance_margin_bps if i.is_perp else 0 for unit, i in zip(self.units, instruments, strict=True)]
        self.cash = cash
        self.lots = [0] * count
        self.owner = [NOBODY] * count
        self.flow2 = [0] * slots
        self.fees = 0
        self.funding = 0

    def trade(self, slot: int, k: int, signed_lots: int, price: int, fee: int) -> None:
        """Book an execution."""
        moved = signed_lots * price * self.units[k] + fee
        self.cash -= moved
        self.flow2[slot] -= 2 * moved
        self.fees += fee
        self.lots[k] += signed_lots
        self.owner[k] = slot

    def pay(self, slot: int, amount: int) -> None:
        """Book funding: positive is received."""
        self.cash += amount
        self.flow2[slot] += 2 * amount
        self.funding += amount

    def charge(self, slot: int, fee: int) -> None:
        """Book a fee that belongs to no execution, such as that of a liquidation."""
        self.cash -= fee
        self.flow2[slot] -= 2 * fee
        self.fees += fee

    def transfer(self, k: int, slot: int, value2: int) -> None:
        """Hand a position to another phase at its present value; the account as a whole does not change."""
        worth2 = self.lots[k] * self.units[k] * value2
        if self.owner[k] != NOBODY:
            self.flow2[self.owner[k]] += worth2
        self.flow2[slot] -= worth2
        self.owner[k] = slot

    def held(self) -> list[int]:
        """Return the instruments with an open position."""
        return [k for k, lots in enumerate(self.lots) if lots]

    def equity2(self, value2: Callable[[int], int]) -> int:
        """Return twice the account's equity; `value2(k)` is twice the price that values instrument k."""
        total = 2 * self.cash
        for k, lots in enumerate(self.lots):
            if lots:
                total += lots * self.units[k] * value2(k)
        return total

    def result2(self, slot: int, value2: Callable[[int], int]) -> int:
        """Return twice the net result of a phase since the start: cash moved plus the worth of what it holds."""
        total = self.flow2[slot]
        for k, lots in enumerate(self.lots):
            if lots and self.owner[k] == slot:
                total += lots * self.units[k] * value2(k)
        return total

    def maintenance_unit(self, k: int) -> int:
        """Return the maintenance margin of instrument k per tick of price, rounded against us."""
        return ceil_div(abs(self.lots[k]) * self._maintenance[k], BPS)
