"""What the venues list: the same coins on Bybit (linear and spot), MEXC (contract) and Binance (spot), each on its own grid.

All instruments on the spot market follow one book and all perpetuals another; a listing converts that book to its grid. Coins beyond the market's own
are scaled copies, so that an account with hundreds of positions can be built.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from attrs import define, evolve, field

from titan_core.model.ids import InstrumentId, VenueId
from titan_core.model.instrument import Instrument
from titan_core.tape.catalog import known_grid, known_instrument, make_instrument

BYBIT_LINEAR, BYBIT_SPOT, MEXC, BINANCE = VenueId("bybit-linear"), VenueId("bybit-spot"), VenueId("mexc-contract"), VenueId("binance-spot")
VENUE_INSTRUMENTS = (BYBIT_LINEAR, BYBIT_SPOT, MEXC, BINANCE)


class Role(StrEnum):
    """Which of the market's two books an instrument follows."""

    SPOT = "spot"
    PERP = "perp"


class Trading(StrEnum):
    """Whether an instrument is traded."""

    OPEN = "open"
    CLOSED = "closed"
    """Delisted: orders are refused and resting ones cancelled; a position can be closed by the venue only."""


class Text:
    """Writes whole numbers of a unit as decimal text with the unit's decimals, without going through Decimal."""

    def __init__(self, unit: Decimal, decimals: int | None = None) -> None:
        self.decimals = max(0, -int(unit.normalize().as_tuple().exponent)) if decimals is None else decimals
        self._scale: int = 10**self.decimals
        self._unit = int(unit * self._scale)

    def __call__(self, number: int) -> str:
        """Write a number of units."""
        scaled = abs(number) * self._unit
        sign = "-" if number < 0 else ""
        if not self.decimals:
            return f"{sign}{scaled}"
        return f"{sign}{scaled // self._scale}.{scaled % self._scale:0{self.decimals}d}"


def compact(text: str) -> str:
    """Strip zeros behind the decimal point."""
    return text.rstrip("0").rstrip(".") if "." in text else text


_MONEY = Text(Decimal("1e-8"))


def coins(amount: int) -> str:
    """Write an amount in 1e-8 of a coin, without needless zeros."""
    return compact(_MONEY(amount))


@define(eq=False)
class Listing:
    """An instrument as one venue lists it, and how the market's book becomes its book."""

    instrument: Instrument
    role: Role
    symbol: str
    """As the venue writes it."""
    price_ratio: Fraction
    lots_ratio: Fraction
    funding_minutes: int = 480
    funding_cap_e8: int = 500_000
    max_market_lots: int = 0
    trading: Trading = Trading.OPEN
    px: Text = field(init=False)
    qty: Text = field(init=False)
    coin_per_lot: int = field(init=False)
    """1e-8 of the base coin in one lot."""

    def __attrs_post_init__(self) -> None:
        self.px, self.qty = Text(self.instrument.tick_size), Text(self.instrument.lot_size)
        self.coin_per_lot = int(self.instrument.lot_size * 100_000_000)
        self.max_market_lots = self.max_market_lots or int(Decimal(100) / self.instrument.lot_size)

    def bid(self, source_ticks: int) -> int:
        """Convert a price of the market's book, rounded down."""
        ratio = self.price_ratio
        return max(1, source_ticks * ratio.numerator // ratio.denominator)

    def ask(self, source_ticks: int) -> int:
        """Convert a price of the market's book, rounded up."""
        ratio = self.price_ratio
        return max(2, -(-source_ticks * ratio.numerator // ratio.denominator))

    def lots(self, source_lots: int) -> int:
        """Convert a size of the market's book, at least one lot."""
        ratio = self.lots_ratio
        return max(1, source_lots * ratio.numerator // ratio.denominator)


Listings = Mapping[InstrumentId, Listing]


def universe(spot: Instrument, perp: Instrument, extra_coins: int = 0) -> dict[InstrumentId, Listing]:
    """List the market's coin on all venues, and `extra_coins` scaled copies of it on the venues that take orders."""
    found: dict[InstrumentId, Listing] = {}
    for venue in VENUE_INSTRUMENTS:
        source = perp if venue in (BYBIT_LINEAR, MEXC) else spot
        for listing in _listings(venue, source, Role.PERP if source is perp else Role.SPOT, extra_coins):
            found[listing.instrument.id] = listing
    return found


def _listings(venue: VenueId, source: Instrument, role: Role, extra_coins: int) -> Iterator[Listing]:
    own = source if source.venue == venue else None
    instrument = own or known_instrument(venue, source.symbol) or make_instrument(venue, source.symbol, source.tick_size, source.lot_size)
    if venue == BYBIT_LINEAR and known_grid(venue, source.symbol) is None:
        instrument = evolve(instrument, max_leverage=50)
    yield _listing(instrument, source, role, Fraction(1), 480)
    for number in range(1, extra_coins + 1 if venue != BINANCE else 1):
        base = f"SIM{number:03d}"
        scaled = evolve(instrument, symbol=f"{base}{instrument.quote}", base=base)
        yield _listing(scaled, source, role, Fraction(3 + number * 7 % 95, 100), (480, 240, 60)[number % 3])


def _listing(instrument: Instrument, source: Instrument, role: Role, scale: Fraction, minutes: int) -> Listing:
    symbol = f"{instrument.base}_{instrument.quote}" if instrument.venue == MEXC else instrument.symbol
    return Listing(
        instrument=instrument,
        role=role,
        symbol=symbol,
        price_ratio=Fraction(source.tick_size) / Fraction(instrument.tick_size) * scale,
        lots_ratio=Fraction(source.lot_size) / Fraction(instrument.lot_size),
        funding_minutes=minutes,
    )
