"""An open position and the arithmetic of its average entry."""

from attrs import define

from titan_core.model.instrument import Instrument
from titan_core.model.units import Money


@define
class Position:
    """A one-way position in one instrument.

    `cost` (1e-8 USDT, signed like the position) is what the open lots were bought or sold for, so the average entry never loses precision.
    """

    instrument: Instrument
    signed_lots: int = 0
    cost: int = 0

    def apply(self, signed_lots: int, price: int) -> Money:
        """Add a fill and return the gross PnL that it realised (before fees). A fill that crosses zero closes first, then opens."""
        unit = self.instrument.money_per_tick_lot
        held = self.signed_lots
        if held == 0 or (held > 0) == (signed_lots > 0):
            self.signed_lots += signed_lots
            self.cost += signed_lots * price * unit
            return Money(0)
        closing = -held if abs(signed_lots) >= abs(held) else signed_lots
        # the released cost is rounded towards the position's remaining cost, so that the last lot returns the remainder
        released = self.cost if closing == -held else self.cost * -closing // held
        realised = -closing * price * unit - released
        self.signed_lots += closing
        self.cost -= released
        opening = signed_lots - closing
        if opening:
            self.signed_lots += opening
            self.cost += opening * price * unit
        return Money(realised)

    def unrealised(self, price: int) -> Money:
        """Return the gross PnL of the open lots at `price` ticks."""
        return Money(self.signed_lots * price * self.instrument.money_per_tick_lot - self.cost)

    @property
    def average_entry(self) -> float:
        """The average entry price in ticks; 0 when flat. For display: money is computed from `cost`."""
        return self.cost / (self.signed_lots * self.instrument.money_per_tick_lot) if self.signed_lots else 0.0
