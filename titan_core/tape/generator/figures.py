"""What can be measured of a market, generated or recorded: the figures that the generator is held against."""

import numpy as np
from attrs import frozen

from titan_core.errors import TapeError
from titan_core.model.instrument import Instrument
from titan_core.model.units import BPS, MS, S
from titan_core.tape.columns import Columns
from titan_core.tape.generator.draws import Floats, Ints

TAIL_SHARE = 0.05


@frozen(kw_only=True)
class BookFigures:
    """Figures of one instrument's quotes and trades. A taker order is a run of trades of one side and one venue time (ms)."""

    quotes_per_s: float
    trades_per_s: float
    orders_per_s: float
    trades_per_order: float
    trades_per_order_max: int
    share_single_trade: float
    trade_fano_10ms: float
    trade_fano_1s: float
    order_fano_1s: float
    side_autocorrelation_1: float
    side_autocorrelation_20: float
    order_size_median: float
    order_size_p99: float
    """Sizes in base coin."""
    hill_exponent: float
    volume_share_top_1pct: float
    share_one_tick: float
    spread_max_ticks: int
    return_sd_bps: float
    return_kurtosis: float
    """Of one-second mid returns; 3 for a normal distribution."""
    share_zero_seconds: float
    quote_gap_p50_ms: float
    quote_gap_p99_ms: float


@frozen(kw_only=True)
class PairFigures:
    """Figures of a spot and perpetual pair. Basis in bps of the spot mid, sampled every 100 ms."""

    correlation_100ms: float
    correlation_1s: float
    perp_first_100ms: float
    """Correlation of a spot return with the perpetual's return one step earlier."""
    spot_first_100ms: float
    basis_p1_bps: float
    basis_p50_bps: float
    basis_p99_bps: float
    basis_sd_bps: float


@frozen(eq=False)
class Prints:
    """Taker orders put together from their trades."""

    ts: Ints
    side: Ints
    lots: Ints
    trades: Ints


def as_orders(trades: Columns) -> Prints:
    """Group consecutive trades of one side and one venue millisecond. Raises TapeError where the trades carry no venue time."""
    if "ts_event" not in trades:
        raise TapeError("taker orders cannot be told apart: the trade stream has no column ts_event")
    stamp = trades["ts_event"].astype(np.int64) // MS
    lots = trades["signed_lots"].astype(np.int64)
    begins = np.flatnonzero(np.r_[True, (np.diff(stamp) != 0) | (np.diff(np.sign(lots)) != 0)])
    return Prints(trades["ts"].astype(np.int64)[begins], np.sign(lots)[begins], np.add.reduceat(np.abs(lots), begins), np.diff(np.r_[begins, len(lots)]))


def measure_book(instrument: Instrument, quotes: Columns, trades: Columns) -> BookFigures:
    """Measure one instrument. Raises TapeError on a stream too short to measure."""
    if len(quotes["ts"]) < 100 or len(trades["ts"]) < 100:
        raise TapeError(f"{instrument.id}: {len(quotes['ts'])} quotes and {len(trades['ts'])} trades are too few to measure; at least 100 of each are needed")
    ts, trade_ts = quotes["ts"].astype(np.int64), trades["ts"].astype(np.int64)
    begin, end = int(ts[0]), int(ts[-1])
    seconds = (end - begin) / S
    orders = as_orders(trades)
    size = np.sort(orders.lots)[::-1] * float(instrument.lot_size)
    tail = max(2, int(len(size) * TAIL_SHARE))
    spread = quotes["ask"].astype(np.int64) - quotes["bid"].astype(np.int64)
    gap = np.diff(ts)
    returns = mid_returns(quotes, begin, end, S)
    return BookFigures(
        quotes_per_s=len(ts) / seconds,
        trades_per_s=len(trade_ts) / seconds,
        orders_per_s=len(size) / seconds,
        trades_per_order=float(orders.trades.mean()),
        trades_per_order_max=int(orders.trades.max()),
        share_single_trade=float((orders.trades == 1).mean()),
        trade_fano_10ms=fano(trade_ts, begin, end, 10 * MS),
        trade_fano_1s=fano(trade_ts, begin, end, S),
        order_fano_1s=fano(orders.ts, begin, end, S),
        side_autocorrelation_1=autocorrelation(orders.side.astype(np.float64), 1),
        side_autocorrelation_20=autocorrelation(orders.side.astype(np.float64), 20),
        order_size_median=float(np.median(size)),
        order_size_p99=float(np.percentile(size, 99)),
        hill_exponent=float(1.0 / np.mean(np.log(size[:tail] / size[tail]))),
        volume_share_top_1pct=float(size[: max(1, len(size) // 100)].sum() / size.sum()),
        share_one_tick=float(gap[spread[:-1] == 1].sum() / gap.sum()),
        spread_max_ticks=int(spread.max()),
        return_sd_bps=float(returns.std()),
        return_kurtosis=kurtosis(returns),
        share_zero_seconds=float((returns == 0).mean()),
        quote_gap_p50_ms=float(np.percentile(gap, 50)) / MS,
        quote_gap_p99_ms=float(np.percentile(gap, 99)) / MS,
    )


def measure_pair(spot: Instrument, perp: Instrument, spot_quotes: Columns, perp_quotes: Columns) -> PairFigures:
    """Measure how a perpetual moves with its spot, over the time that both cover."""
    begin, end = max(int(q["ts"][0]) for q in (spot_quotes, perp_quotes)), min(int(q["ts"][-1]) for q in (spot_quotes, perp_quotes))
    correlation, fast = {}, 100 * MS
    for step in (fast, S):
        correlation[step] = _correlation(mid_returns(spot_quotes, begin, end, step), mid_returns(perp_quotes, begin, end, step))
    a, b = mid_returns(spot_quotes, begin, end, fast), mid_returns(perp_quotes, begin, end, fast)
    grid = np.arange(begin, end, fast)
    basis = (mid2_at(perp_quotes, grid) * float(perp.tick_size) / (mid2_at(spot_quotes, grid) * float(spot.tick_size)) - 1.0) * BPS
    low, middle, high = np.percentile(basis, [1, 50, 99])
    return PairFigures(
        correlation_100ms=correlation[fast],
        correlation_1s=correlation[S],
        perp_first_100ms=_correlation(a[1:], b[:-1]),
        spot_first_100ms=_correlation(a[:-1], b[1:]),
        basis_p1_bps=float(low),
        basis_p50_bps=float(middle),
        basis_p99_bps=float(high),
        basis_sd_bps=float(basis.std()),
    )


def mid2_at(quotes: Columns, at: Ints) -> Ints:
    """Return bid + ask as of each time."""
    row = np.maximum(np.searchsorted(quotes["ts"].astype(np.int64), at, side="right") - 1, 0)
    return quotes["bid"].astype(np.int64)[row] + quotes["ask"].astype(np.int64)[row]


def mid_returns(quotes: Columns, begin: int, end: int, step: int) -> Floats:
    """Return the mid's log returns in bps on a grid."""
    out: Floats = np.diff(np.log(mid2_at(quotes, np.arange(begin, end, step)))) * BPS
    return out


def fano(ts: Ints, begin: int, end: int, width: int) -> float:
    """Return variance over mean of the counts in windows of `width` ns: 1 for a Poisson process."""
    windows = (end - begin) // width
    count = np.bincount((ts[(ts >= begin) & (ts < begin + windows * width)] - begin) // width, minlength=windows)
    return float(count.var() / count.mean())


def kurtosis(values: Floats) -> float:
    """Return the fourth standardised moment: 3 for a normal distribution."""
    centred = values - values.mean()
    return float((centred**4).mean() / (centred**2).mean() ** 2)


def autocorrelation(values: Floats, lag: int) -> float:
    """Return the autocorrelation at a lag."""
    centred = values - values.mean()
    return float((centred[lag:] * centred[:-lag]).mean() / (centred**2).mean())


def _correlation(a: Floats, b: Floats) -> float:
    return float(np.corrcoef(a, b)[0, 1])
