"""Round trips: what happened in one instrument of one phase from flat to flat."""

from attrs import define, evolve, frozen

from titan_core.model.fill import Fill
from titan_core.model.ids import InstrumentId, PhaseId, StrategyId
from titan_core.model.units import Money


@frozen(kw_only=True)
class RoundTrip:
    """A closed trade. Times in ns, prices in ticks, money in 1e-8 USDT; `gross` is before fees and funding.

    The sum of `net` over all trips, closed and open, is the phase's realised result: fees and funding that arrive after the exit (a liquidation's
    fee) belong to the trip that caused them.
    """

    phase: PhaseId
    strategy: StrategyId
    instrument: InstrumentId
    tag: str
    """The tag of the first fill; the legs of a hedged pair share it."""
    entry_ns: int
    exit_ns: int
    max_lots: int
    """The largest position, signed."""
    entry_lots: int
    """Unsigned lots bought or sold to open and increase; as many were closed."""
    entry_notional: int
    """What they cost, per tick and lot: Σ lots × price."""
    exit_notional: int
    gross: Money
    fees: Money
    funding: Money
    fills: int
    handed_over: bool = False
    """Whether it ended by a hand-over to another phase, at the mark, instead of an exit."""

    @property
    def net(self) -> Money:
        """Gross result less fees plus funding."""
        return Money(self.gross - self.fees + self.funding)

    @property
    def is_win(self) -> bool:
        """Whether something was left after all costs."""
        return self.net > 0

    @property
    def average_entry(self) -> float:
        """Average entry price in ticks."""
        return self.entry_notional / self.entry_lots

    @property
    def average_exit(self) -> float:
        """Average exit price in ticks."""
        return self.exit_notional / self.entry_lots

    @property
    def duration_ns(self) -> int:
        """Time from the first fill to the last."""
        return self.exit_ns - self.entry_ns


@define
class OpenTrip:
    """A round trip that has not ended. `closed_lots` of its `entry_lots` are out again."""

    first: Fill
    max_lots: int = 0
    entry_lots: int = 0
    closed_lots: int = 0
    entry_notional: int = 0
    exit_notional: int = 0
    gross: int = 0
    fees: int = 0
    funding: int = 0
    fills: int = 0

    def enter(self, signed_lots: int, price: int, fee: int, position: int) -> None:
        """Add an execution that opened or increased the position to `position`."""
        self.entry_lots += abs(signed_lots)
        self.entry_notional += abs(signed_lots) * price
        self.fees += fee
        self.fills += 1
        if abs(position) > abs(self.max_lots):
            self.max_lots = position

    def leave(self, signed_lots: int, price: int, fee: int, realised: int) -> None:
        """Add an execution that reduced the position and realised a gross result."""
        self.closed_lots += abs(signed_lots)
        self.exit_notional += abs(signed_lots) * price
        self.gross += realised
        self.fees += fee
        self.fills += 1

    @property
    def net(self) -> Money:
        """What is realised so far, less fees plus funding."""
        return Money(self.gross - self.fees + self.funding)

    def close(self, ts_ns: int, handed_over: bool = False) -> RoundTrip:
        """Return the closed trade."""
        first = self.first
        return RoundTrip(
            phase=first.phase,
            strategy=first.strategy,
            instrument=first.instrument,
            tag=first.tag,
            entry_ns=first.ts_ns,
            exit_ns=ts_ns,
            max_lots=self.max_lots,
            entry_lots=self.entry_lots,
            entry_notional=self.entry_notional,
            exit_notional=self.exit_notional,
            gross=Money(self.gross),
            fees=Money(self.fees),
            funding=Money(self.funding),
            fills=self.fills,
            handed_over=handed_over,
        )


def charge(trip: RoundTrip, fee: int = 0, funding: int = 0) -> RoundTrip:
    """Return the trip with a fee or funding that arrived after its end."""
    return evolve(trip, fees=Money(trip.fees + fee), funding=Money(trip.funding + funding))
