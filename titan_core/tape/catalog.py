"""Venues and the grids of well-known instruments, so that importing a recording of one needs no question.

Grids, leverage and maintenance margin of the first tier as published by the venues (Binance `exchangeInfo` and `leverageBracket`, Bybit V5
`instruments-info` and `risk-limit`, MEXC `contract/detail`); fees are those of an account without discounts. Venues change them: what stands here is a
default that a recording may contradict and `--tick`, `--lot` override.
"""

from decimal import Decimal

from attrs import frozen

from titan_core.errors import UsageError
from titan_core.model.enums import InstrumentKind
from titan_core.model.ids import VenueId
from titan_core.model.instrument import Instrument

SPOT, PERP = InstrumentKind.SPOT, InstrumentKind.PERP


@frozen
class VenueRules:
    """What holds for every instrument of a venue unless its own entry says otherwise."""

    kind: InstrumentKind
    maker_fee_ppm: int
    taker_fee_ppm: int
    min_notional: str
    liquidation_fee_bps: int


@frozen
class Grid:
    """Tick and lot size, and what differs from the venue's rules. `lot` is in base coin also where the venue counts contracts."""

    tick: str
    lot: str
    max_leverage: int = 1
    maintenance_margin_bps: int = 0
    min_notional: str | None = None


VENUES: dict[str, VenueRules] = {
    "binance-spot": VenueRules(SPOT, 1000, 1000, "5", 0),
    "binance-usdm": VenueRules(PERP, 200, 500, "5", 125),
    "bybit-linear": VenueRules(PERP, 200, 550, "5", 50),
    "bybit-spot": VenueRules(SPOT, 1000, 1000, "5", 0),
    "mexc-contract": VenueRules(PERP, 0, 200, "5", 50),
}

GRIDS: dict[str, dict[str, Grid]] = {
    "binance-spot": {
        "BTCUSDT": Grid("0.01", "0.00001"),
        "ETHUSDT": Grid("0.01", "0.0001"),
        "SOLUSDT": Grid("0.01", "0.001"),
        "XRPUSDT": Grid("0.0001", "0.1"),
        "NEXOUSDT": Grid("0.001", "0.01"),
        "TRXUSDT": Grid("0.0001", "0.1"),
        "WIFUSDT": Grid("0.001", "0.01"),
    },
    "binance-usdm": {
        "BTCUSDT": Grid("0.1", "0.001", 125, 40, "100"),
        "ETHUSDT": Grid("0.01", "0.001", 125, 40, "20"),
        "SOLUSDT": Grid("0.01", "0.01", 100, 50),
        "XRPUSDT": Grid("0.0001", "0.1", 100, 50),
        "TRXUSDT": Grid("0.00001", "1", 75, 65),
        "WIFUSDT": Grid("0.0001", "0.1", 75, 100),
    },
    "bybit-linear": {
        "BTCUSDT": Grid("0.1", "0.001", 100, 50),
        "ETHUSDT": Grid("0.01", "0.01", 100, 50),
        "SOLUSDT": Grid("0.01", "0.1", 100, 50),
        "XRPUSDT": Grid("0.0001", "1", 75, 67),
        "TRXUSDT": Grid("0.00001", "1", 75, 67),
        "WIFUSDT": Grid("0.0001", "1", 50, 100),
    },
    "bybit-spot": {
        "BTCUSDT": Grid("0.01", "0.000001"),
        "ETHUSDT": Grid("0.01", "0.00001"),
        "SOLUSDT": Grid("0.01", "0.001"),
        "XRPUSDT": Grid("0.0001", "0.01"),
        "TRXUSDT": Grid("0.0001", "0.01"),
        "WIFUSDT": Grid("0.0001", "0.01"),
    },
    "mexc-contract": {
        "BTCUSDT": Grid("0.1", "0.0001", 200, 40),
        "ETHUSDT": Grid("0.01", "0.01", 200, 40),
        "SOLUSDT": Grid("0.01", "0.1", 100, 50),
        "XRPUSDT": Grid("0.0001", "1", 100, 50),
        "TRXUSDT": Grid("0.00001", "10", 75, 100),
        "WIFUSDT": Grid("0.0001", "1", 50, 100),
    },
}

_QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "EUR", "TRY", "BTC", "ETH", "BNB")
_DEFAULT_PERP = Grid("1", "1", 50, 100)
_DEFAULT_SPOT = Grid("1", "1")


def venue_rules(venue: str) -> VenueRules:
    """Return the rules of a venue. Raises UsageError for an unknown one."""
    try:
        return VENUES[venue]
    except KeyError:
        raise UsageError(f"venue {venue!r} is unknown; known are {', '.join(VENUES)}") from None


def known_grid(venue: str, symbol: str) -> Grid | None:
    """Return the grid of a well-known instrument, or None."""
    return GRIDS.get(venue, {}).get(symbol)


def make_instrument(venue: str, symbol: str, tick: Decimal, lot: Decimal) -> Instrument:
    """Build an instrument on a given grid with the fees and limits of its venue. Raises UsageError where money would not be exact on that grid."""
    rules = venue_rules(venue)
    limits = known_grid(venue, symbol) or (_DEFAULT_PERP if rules.kind is PERP else _DEFAULT_SPOT)
    base, quote = split_symbol(symbol)
    return Instrument(
        venue=VenueId(venue),
        symbol=symbol,
        kind=rules.kind,
        base=base,
        quote=quote,
        tick_size=tick,
        lot_size=lot,
        min_notional=Decimal(limits.min_notional or rules.min_notional),
        maker_fee_ppm=rules.maker_fee_ppm,
        taker_fee_ppm=rules.taker_fee_ppm,
        max_leverage=limits.max_leverage,
        maintenance_margin_bps=limits.maintenance_margin_bps,
        liquidation_fee_bps=rules.liquidation_fee_bps,
    )


def known_instrument(venue: str, symbol: str) -> Instrument | None:
    """Return a well-known instrument with its grid, fees and limits, or None."""
    grid = known_grid(venue, symbol)
    return None if grid is None else make_instrument(venue, symbol, Decimal(grid.tick), Decimal(grid.lot))


def normal_symbol(symbol: str) -> str:
    """Return a symbol as Titan writes it: capitals without separators, so that `BTC_USDT`, `btcusdt` and `BTC-USDT` are one."""
    return symbol.upper().translate(str.maketrans("", "", "_-/"))


def split_symbol(symbol: str) -> tuple[str, str]:
    """Split a symbol into base and quote coin. A symbol without a known quote is all base, quoted in USDT."""
    for quote in _QUOTES:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol[: -len(quote)], quote
    return symbol, "USDT"
