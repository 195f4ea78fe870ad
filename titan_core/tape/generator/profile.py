"""The numbers of the generated market: instruments, density, sizes and the shape of the price path.

Unless a line says otherwise the targets were measured on recordings of Bitcoin spot and perpetual from August 2024.
"""

from decimal import Decimal

from attrs import field, frozen

from titan_core.model.enums import InstrumentKind
from titan_core.model.ids import VenueId
from titan_core.model.instrument import Instrument
from titan_core.model.units import MS, US, S

PIPS_PER_USDT = 10_000
"""The price path is an integer number of pips, a hundredth of the finest tick."""
NANO = 1_000_000_000
"""Returns of the path are integers of 1e-9."""
NANO_PER_BPS = 100_000
SECONDS = 86_400
MINUTES = 1_440

DEFAULT_TICKS_PER_DAY = 1_200_000
MIN_TICKS_PER_DAY = 200_000
MAX_TICKS_PER_DAY = 20_000_000
REFERENCE_QUOTES_AND_TRADES = 1_110_000
"""Quotes and trades a day at which the profile's `moves` and counts hold; other densities scale from it."""


@frozen(kw_only=True)
class BookProfile:
    """How one instrument's book and tape look. Sizes are lots, times ns, shares parts per thousand of all quotes and trades."""

    instrument: Instrument
    quote_share: int
    trade_share: int
    trades_per_order: tuple[tuple[float, float], ...]
    """Knots (probability of more, trades) of the number of trades that one taker order prints; log-log linear in between."""
    size_median: float
    size_sigma: float
    """The lognormal body of order sizes; the largest 5 % follow a Pareto law."""
    size_tail: float
    size_cap: float
    rest_median: float
    rest_sigma: float
    """Lognormal sizes resting at the best price."""
    lag_ns: tuple[float, float]
    """Median and log-sd of the delay with which the book follows the common price."""
    follow: float
    """Share of the common price moves that this book takes part in; the rest it makes up for at the next."""
    own_seconds: float
    """Share of seconds in which the book moves by itself."""
    noise_milli_bps: float
    """Mean absolute distance of a resting book from the common price, redrawn at each move."""
    move_order_share: float
    """Share of taker orders that move the price, at the reference density."""
    run_mean: float
    run_weight: float
    """Taker sides persist: runs of this mean length decide the side with this probability."""
    herd_weight: float
    """Probability that the side follows the price move that set the order off."""
    tail_index: float
    """How unequally price moves set off taker orders (Pareto); smaller is burstier."""
    quote_delay_ns: tuple[float, float]
    """Quote updates follow what set them off after a log-uniform delay between these."""
    latency_ns: tuple[float, float]
    """Median and log-sd of receive time minus venue time."""


@frozen(kw_only=True)
class PathProfile:
    """The common price path. Volatility in bps per second, spans in minutes unless named otherwise."""

    start_usdt: int = 60_000
    sd_bps: float = 0.72
    day_log_sd: float = 0.20
    hour_log_sd: float = 0.38
    hour_span: float = 300.0
    minute_log_sd: float = 0.40
    minute_span: float = 14.0
    burst_every_s: float = 50.0
    burst_span_s: float = 6.0
    active_share: float = 0.44
    regime_minutes: float = 75.0
    trend_bps_per_minute: float = 0.8
    range_pull: float = 0.004
    sweep_cooldown_s: int = 100
    season: tuple[int, ...] = (105, 100, 92, 85, 80, 76, 76, 82, 92, 95, 94, 96, 105, 128, 146, 140, 126, 116, 108, 103, 104, 100, 96, 100)
    """Volatility by UTC hour, per cent of the mean: quiet in the Asian afternoon, busiest when the American cash market opens."""


@frozen(kw_only=True)
class MarketProfile:
    """Everything that `generate` needs to know about the market it makes."""

    spot: BookProfile
    perp: BookProfile
    path: PathProfile = field(factory=PathProfile)


def bitcoin() -> MarketProfile:
    """Return the profile of BTCUSDT: Binance spot and the Bybit linear perpetual."""
    return MarketProfile(spot=_bitcoin_spot(), perp=_bitcoin_perp())


def _bitcoin_spot() -> BookProfile:
    instrument = Instrument(
        venue=VenueId("binance-spot"),
        symbol="BTCUSDT",
        kind=InstrumentKind.SPOT,
        base="BTC",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.00001"),
        maker_fee_ppm=1_000,
        taker_fee_ppm=1_000,
        max_leverage=1,
    )
    return BookProfile(
        instrument=instrument,
        quote_share=223,
        trade_share=78,
        trades_per_order=((0.27, 1.6), (0.10, 5.5), (0.01, 24.0), (0.001, 140.0), (0.00003, 735.0)),
        size_median=350.0,
        size_sigma=2.6,
        size_tail=1.05,
        size_cap=1_500_000.0,
        rest_median=108_000.0,
        rest_sigma=1.3,
        lag_ns=(12.0 * MS, 0.8),
        follow=0.92,
        own_seconds=0.02,
        noise_milli_bps=260.0,
        move_order_share=0.20,
        run_mean=24.0,
        run_weight=0.78,
        herd_weight=0.20,
        tail_index=0.85,
        quote_delay_ns=(8.0 * US, 2.0 * S),
        latency_ns=(6.0 * MS, 0.5),
    )


def _bitcoin_perp() -> BookProfile:
    instrument = Instrument(
        venue=VenueId("bybit-linear"),
        symbol="BTCUSDT",
        kind=InstrumentKind.PERP,
        base="BTC",
        tick_size=Decimal("0.1"),
        lot_size=Decimal("0.001"),
    )
    return BookProfile(
        instrument=instrument,
        quote_share=529,
        trade_share=170,
        trades_per_order=((0.32, 1.6), (0.10, 6.5), (0.01, 43.0), (0.001, 280.0), (0.0001, 420.0)),
        size_median=30.0,
        size_sigma=2.4,
        size_tail=1.05,
        size_cap=75_000.0,
        rest_median=2_700.0,
        rest_sigma=1.4,
        lag_ns=(4.0 * MS, 0.7),
        follow=0.97,
        own_seconds=0.14,
        noise_milli_bps=260.0,
        move_order_share=0.20,
        run_mean=30.0,
        run_weight=0.63,
        herd_weight=0.20,
        tail_index=0.80,
        quote_delay_ns=(0.5 * US, 2.0 * S),
        latency_ns=(9.0 * MS, 0.5),
    )
