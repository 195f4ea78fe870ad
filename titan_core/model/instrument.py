"""What is traded and its grid: the only place where prices and quantities are rounded."""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from attrs import field, frozen

from titan_core.errors import UsageError
from titan_core.model.enums import InstrumentKind
from titan_core.model.ids import InstrumentId, VenueId, instrument_id
from titan_core.model.units import BPS, MONEY_PER_USDT, PPM, Money, ceil_div


def _positive(instance: object, attribute: object, value: Decimal) -> None:
    if not value > 0:
        raise UsageError(f"{getattr(attribute, 'name', 'value')} must be above 0, found {value}")


@frozen(kw_only=True)
class Instrument:
    """One instrument of one venue: its grid, limits and fees.

    Prices are integer ticks and quantities integer lots everywhere inside Titan; Decimal lives at the edges. `money_per_tick_lot` (1e-8 USDT)
    is the notional of one lot at a price of one tick and must be a whole number, otherwise money would not be exact.
    """

    venue: VenueId
    symbol: str
    kind: InstrumentKind
    base: str
    quote: str = "USDT"
    tick_size: Decimal = field(converter=Decimal, validator=_positive)
    lot_size: Decimal = field(converter=Decimal, validator=_positive)
    min_notional: Decimal = field(converter=Decimal, default=Decimal(5))
    maker_fee_ppm: int = 200
    taker_fee_ppm: int = 550
    max_leverage: int = 100
    maintenance_margin_bps: int = 50
    liquidation_fee_bps: int = 50
    id: InstrumentId = field(init=False)
    money_per_tick_lot: int = field(init=False)
    min_notional_money: Money = field(init=False)
    """The smallest notional the venue accepts, in 1e-8 USDT."""
    is_perp: bool = field(init=False)
    """Whether this is a perpetual contract."""

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "id", instrument_id(self.symbol, self.venue))
        unit = self.tick_size * self.lot_size * MONEY_PER_USDT
        if unit != unit.to_integral_value() or unit < 1:
            raise UsageError(
                f"{self.id}: one lot ({self.lot_size}) at one tick ({self.tick_size}) is worth {self.tick_size * self.lot_size} {self.quote}, "
                "which is not a whole number of 1e-8; give a coarser tick or lot"
            )
        object.__setattr__(self, "money_per_tick_lot", int(unit))
        object.__setattr__(self, "min_notional_money", Money(int(self.min_notional * MONEY_PER_USDT)))
        object.__setattr__(self, "is_perp", self.kind is InstrumentKind.PERP)

    # -- prices -------------------------------------------------------------------------------------------------
    def ticks(self, price: Decimal | str) -> int:
        """Convert a price that lies on the grid. Raises UsageError where it does not."""
        scaled = Decimal(price) / self.tick_size
        whole = scaled.to_integral_value()
        if scaled != whole:
            raise UsageError(f"{self.id}: price {price} is not a multiple of the tick size {self.tick_size}")
        return int(whole)

    def ticks_floor(self, price: Decimal | float) -> int:
        """Round a price down to the grid."""
        return int((Decimal(price) / self.tick_size).to_integral_value(ROUND_FLOOR))

    def ticks_ceil(self, price: Decimal | float) -> int:
        """Round a price up to the grid."""
        return int((Decimal(price) / self.tick_size).to_integral_value(ROUND_CEILING))

    def ticks_nearest(self, price: Decimal | float) -> int:
        """Round a price to the nearest tick, ties to even."""
        return int((Decimal(price) / self.tick_size).to_integral_value(ROUND_HALF_EVEN))

    def price(self, ticks: int) -> Decimal:
        """Convert ticks to a price."""
        return ticks * self.tick_size

    # -- quantities ---------------------------------------------------------------------------------------------
    def lots(self, quantity: Decimal | str) -> int:
        """Convert a quantity that lies on the grid. Raises UsageError where it does not."""
        scaled = Decimal(quantity) / self.lot_size
        whole = scaled.to_integral_value()
        if scaled != whole:
            raise UsageError(f"{self.id}: quantity {quantity} is not a multiple of the lot size {self.lot_size}")
        return int(whole)

    def quantity(self, lots: int) -> Decimal:
        """Convert lots to a quantity in base coin."""
        return lots * self.lot_size

    def lots_for(self, notional: int, ticks: int) -> int:
        """Return the largest whole number of lots whose notional (1e-8 USDT) at `ticks` does not exceed `notional`."""
        return max(0, notional // (ticks * self.money_per_tick_lot)) if ticks > 0 else 0

    # -- money --------------------------------------------------------------------------------------------------
    def notional(self, lots: int, ticks: int) -> Money:
        """Return |lots| × price in 1e-8 USDT, exactly."""
        return Money(abs(lots) * ticks * self.money_per_tick_lot)

    def fee(self, lots: int, ticks: int, maker: bool) -> Money:
        """Return the fee of a fill in 1e-8 USDT, rounded against us (a rebate is rounded towards zero)."""
        return Money(ceil_div(abs(lots) * ticks * self.money_per_tick_lot * (self.maker_fee_ppm if maker else self.taker_fee_ppm), PPM))

    def loss_at_stop(self, lots: int, entry: int, stop: int) -> Money:
        """Return what a position of `lots` loses from `entry` to `stop` (ticks), both taker fees included, in 1e-8 USDT."""
        return Money(abs(lots) * abs(entry - stop) * self.money_per_tick_lot + self.fee(lots, entry, False) + self.fee(lots, stop, False))

    def lots_at_risk(self, entry: int, stop: int, money: int) -> int:
        """Return the largest number of lots whose loss at the stop does not exceed `money` (1e-8 USDT)."""
        if money <= 0:
            return 0
        per_lot_ppm = self.money_per_tick_lot * (abs(entry - stop) * PPM + (entry + stop) * self.taker_fee_ppm)
        lots = money * PPM // per_lot_ppm
        while lots and self.loss_at_stop(lots, entry, stop) > money:  # fees are rounded up, by less than one unit each
            lots -= 1
        return lots

    def offset(self, ticks: int, bps: float) -> int:
        """Return the number of ticks that make `bps` basis points of `ticks`, rounded down, at least one."""
        return max(1, int(ticks * bps // BPS))
