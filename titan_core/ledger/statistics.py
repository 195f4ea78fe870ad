"""What a trader asks of a run, computed from closed trades and an equity curve.

A figure that is not defined (a ratio without a denominator, a deviation of one value) is None, never NaN or infinity, so that it survives JSON.
Money is 1e-8 USDT, times are ns, shares are fractions of 1.
"""

import math
from collections.abc import Iterable, Sequence

from attrs import asdict, frozen

from titan_core.ledger.trades import RoundTrip
from titan_core.model.ids import PhaseId
from titan_core.model.units import D, Money

DAYS_PER_YEAR = 365
"""The market never closes."""
SHARPE_DAYS = 30


@frozen(kw_only=True)
class TradeStatistics:
    """Statistics of closed trades. A win is a trade with something left after costs; one that ends at exactly nothing is neither win nor loss."""

    trades: int
    wins: int
    losses: int
    win_rate: float | None
    """wins / trades."""
    profit_factor: float | None
    """Σ wins / |Σ losses|; None without a loss."""
    net: Money
    gross: Money
    fees: Money
    funding: Money
    average_win: Money | None
    """Σ wins / wins, rounded down."""
    average_loss: Money | None
    """Σ losses / losses, negative, rounded down."""
    expectancy: Money | None
    """Net result per trade, rounded down."""
    largest_win: Money | None
    largest_loss: Money | None
    average_duration_ns: int | None
    exposure_ns: int
    """Time with at least one position open; overlapping trades count once."""
    exposure_share: float | None
    """Exposure over the span of the run."""
    trades_per_day: float | None


@frozen(kw_only=True)
class Drawdown:
    """The largest fall of an equity curve below its running peak, in money and as a share of the peak; the two may lie in different places.

    `peak_ns` and `trough_ns` belong to the largest share.
    """

    amount: Money
    fraction: float
    peak_ns: int
    trough_ns: int


@frozen(kw_only=True)
class RunStatistics:
    """Statistics of a run: the account, all trades, and the trades of each phase."""

    equity_start: Money
    equity_end: Money
    total_return: float | None
    max_drawdown: Drawdown | None
    sharpe: float | None
    """Over all whole days of the run."""
    sharpe_30d: float | None
    """Over the last 30 whole days; None while there are fewer."""
    total: TradeStatistics
    by_phase: dict[PhaseId, TradeStatistics]

    def to_json(self) -> dict[str, object]:
        """Return plain values for JSON: numbers, None and nested mappings."""
        return asdict(self)


def trade_statistics(trips: Iterable[RoundTrip], begin_ns: int, end_ns: int, open_since: Sequence[int] = ()) -> TradeStatistics:
    """Summarise closed trades of the span [begin, end]. `open_since` holds the entry times of positions still open; they count as exposure."""
    closed = list(trips)
    won = [trip.net for trip in closed if trip.net > 0]
    lost = [trip.net for trip in closed if trip.net < 0]
    span = end_ns - begin_ns
    exposure = covered([(trip.entry_ns, trip.exit_ns) for trip in closed] + [(since, end_ns) for since in open_since], begin_ns, end_ns)
    net = sum(trip.net for trip in closed)
    return TradeStatistics(
        trades=len(closed),
        wins=len(won),
        losses=len(lost),
        win_rate=ratio(len(won), len(closed)),
        profit_factor=ratio(sum(won), -sum(lost)),
        net=Money(net),
        gross=Money(sum(trip.gross for trip in closed)),
        fees=Money(sum(trip.fees for trip in closed)),
        funding=Money(sum(trip.funding for trip in closed)),
        average_win=_average(won),
        average_loss=_average(lost),
        expectancy=_average([trip.net for trip in closed]),
        largest_win=max(won, default=None),
        largest_loss=min(lost, default=None),
        average_duration_ns=sum(trip.duration_ns for trip in closed) // len(closed) if closed else None,
        exposure_ns=exposure,
        exposure_share=ratio(exposure, span),
        trades_per_day=ratio(len(closed) * D, span),
    )


def run_statistics(
    trips: Iterable[RoundTrip], ts_ns: Sequence[int], equity: Sequence[int], equity_start: Money, open_since: Iterable[tuple[PhaseId, int]] = ()
) -> RunStatistics:
    """Summarise a run from its closed trades and its equity curve (sampled at rising times that cover the run).

    Raises ValueError where the curve is empty or its columns differ in length.
    """
    if not len(ts_ns) or len(ts_ns) != len(equity):
        raise ValueError(f"an equity curve needs equally many times and values, at least one: found {len(ts_ns)} and {len(equity)}")
    closed, still_open = list(trips), list(open_since)
    begin, end = int(ts_ns[0]), int(ts_ns[-1])
    returns = daily_returns(ts_ns, equity, equity_start)
    phases = list(dict.fromkeys([*(trip.phase for trip in closed), *(phase for phase, _ in still_open)]))
    by_phase = {
        phase: trade_statistics([t for t in closed if t.phase == phase], begin, end, [since for owner, since in still_open if owner == phase])
        for phase in phases
    }
    last = int(equity[-1])
    return RunStatistics(
        equity_start=equity_start,
        equity_end=Money(last),
        total_return=ratio(last - equity_start, equity_start),
        max_drawdown=max_drawdown(ts_ns, equity),
        sharpe=sharpe(returns),
        sharpe_30d=rolling_sharpe(returns)[-1] if returns else None,
        total=trade_statistics(closed, begin, end, [since for _, since in still_open]),
        by_phase=by_phase,
    )


def max_drawdown(ts_ns: Sequence[int], equity: Sequence[int]) -> Drawdown | None:
    """Return the largest fall below the running peak: max over t of (peak − equity), and of (peak − equity) / peak. None for an empty curve.

    The amounts are compared exactly. A peak of nothing or less has no share: such falls count in money only.
    """
    if not len(equity):
        return None
    values, times = _plain(equity), _plain(ts_ns)
    peak, peak_at = values[0], 0
    amount, fall, top, found = 0, 0, 1, (0, 0)
    for i, value in enumerate(values):
        if value > peak:
            peak, peak_at = value, i
        elif (below := peak - value) > 0:
            amount = max(amount, below)
            if peak > 0 and below * top > fall * peak:
                fall, top, found = below, peak, (peak_at, i)
    return Drawdown(amount=Money(amount), fraction=fall / top, peak_ns=times[found[0]], trough_ns=times[found[1]])


def daily_returns(ts_ns: Sequence[int], equity: Sequence[int], equity_start: int) -> list[float]:
    """Return the account's simple return of each UTC day that the curve covers to its end.

    A day ends with the last sample at or before the following midnight; the day that is still running when the curve ends is left out.
    The first day begins with `equity_start`. Stops where equity is no longer positive: from there returns have no meaning.
    """
    times, values = _plain(ts_ns), _plain(equity)
    closes: list[int] = []
    for i, ts in enumerate(times):
        # a sample exactly at midnight closes the day before
        if i + 1 < len(times) and -(-times[i + 1] // D) > -(-ts // D):
            closes.extend([values[i]] * (-(-times[i + 1] // D) - -(-ts // D)))
    if times and times[-1] % D == 0:
        closes.append(values[-1])
    out: list[float] = []
    before = equity_start
    for close in closes:
        if before <= 0:
            break
        out.append(close / before - 1.0)
        before = close
    return out


def sharpe(returns: Sequence[float]) -> float | None:
    """Return mean / standard deviation of daily returns × √365, with a risk-free rate of nothing and the deviation of a sample (n − 1).

    W. F. Sharpe, "The Sharpe Ratio", Journal of Portfolio Management 21 (1994). None for fewer than two days or where all are alike.
    """
    n = len(returns)
    if n < 2:
        return None
    mean = math.fsum(returns) / n
    variance = math.fsum((r - mean) ** 2 for r in returns) / (n - 1)
    deviation = math.sqrt(variance)
    # equal returns leave rounding noise, not a deviation
    return mean / deviation * math.sqrt(DAYS_PER_YEAR) if deviation > 1e-12 * max(1.0, abs(mean)) else None


def rolling_sharpe(returns: Sequence[float], days: int = SHARPE_DAYS) -> list[float | None]:
    """Return the Sharpe ratio of the last `days` days as of each day; None while there are fewer."""
    return [sharpe(returns[i + 1 - days : i + 1]) if i + 1 >= days else None for i in range(len(returns))]


def covered(spans: Iterable[tuple[int, int]], begin_ns: int, end_ns: int) -> int:
    """Return how much of [begin, end] is covered by at least one span."""
    total, reached = 0, begin_ns
    for begin, end in sorted(spans):
        begin, end = max(begin, reached), min(end, end_ns)
        if end > begin:
            total += end - begin
            reached = end
    return total


def ratio(numerator: int, denominator: int) -> float | None:
    """Return the quotient, or None where the denominator is not positive."""
    return numerator / denominator if denominator > 0 else None


def _average(amounts: Sequence[int]) -> Money | None:
    return Money(sum(amounts) // len(amounts)) if amounts else None


def _plain(values: Sequence[int]) -> list[int]:
    """Return Python integers: arrays would overflow in products."""
    return [int(value) for value in values]
