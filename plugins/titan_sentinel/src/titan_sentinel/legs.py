"""The two legs of a pair as one thing: sizes that fit both grids, what both venues demand, costs, net delta."""

from math import ceil, gcd

from attrs import frozen

from titan_core import BPS, Instrument

PPM = 1_000_000


@frozen
class Legs:
    """Spot lots against perpetual lots. One *unit* is the smallest quantity that both legs can hold exactly."""

    spot: Instrument
    perp: Instrument
    spot_per_unit: int
    perp_per_unit: int

    @classmethod
    def of(cls, spot: Instrument, perp: Instrument) -> "Legs":
        """Join two instruments on the same coin."""
        scale = 10 ** max(0, -_exponent(spot), -_exponent(perp))
        one, other = int(spot.lot_size * scale), int(perp.lot_size * scale)
        unit = one * other // gcd(one, other)
        return cls(spot, perp, unit // one, unit // other)

    def units_for(self, notional: int, spot_price: int, perp_price: int) -> int:
        """Return the largest number of units whose dearer leg is worth no more than `notional` (1e-8 USDT)."""
        dearer = max(self.spot.notional(self.spot_per_unit, spot_price), self.perp.notional(self.perp_per_unit, perp_price))
        return max(0, notional // dearer) if dearer else 0

    def least_units(self, spot_price: int, perp_price: int) -> int:
        """Return the smallest number of units that both venues accept."""
        needed = (
            ceil(leg.min_notional_money / leg.notional(per_unit, price))
            for leg, per_unit, price in ((self.spot, self.spot_per_unit, spot_price), (self.perp, self.perp_per_unit, perp_price))
        )
        return max(1, *needed)

    def costs_bps(self) -> float:
        """Return the fees of entering and leaving both legs at market, as a share of the notional of one leg."""
        return 2 * (self.spot.taker_fee_ppm + self.perp.taker_fee_ppm) * BPS / PPM


def _exponent(instrument: Instrument) -> int:
    return int(instrument.lot_size.normalize().as_tuple().exponent)
