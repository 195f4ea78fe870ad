import json
import math
import statistics as stdlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from titan_core.ledger.statistics import covered, daily_returns, max_drawdown, ratio, rolling_sharpe, run_statistics, sharpe, trade_statistics
from titan_core.ledger.trades import RoundTrip
from titan_core.model.ids import InstrumentId, PhaseId, StrategyId
from titan_core.model.units import D, H, Money

HUNTER, SCAVENGER = PhaseId("hunter"), PhaseId("scavenger")


def trip(net: int, entry: int = 0, leave: int = 1, *, phase: PhaseId = HUNTER, fees: int = 0, funding: int = 0) -> RoundTrip:
    return RoundTrip(
        phase=phase, strategy=StrategyId("main"), instrument=InstrumentId("BTCUSDT.bybit-linear"), tag="", entry_ns=entry, exit_ns=leave, max_lots=1,
        entry_lots=1, entry_notional=100, exit_notional=100, gross=Money(net + fees - funding), fees=Money(fees), funding=Money(funding), fills=2,
    )  # fmt: skip


# -- trades ---------------------------------------------------------------------------------------------------------------------
def test_figures_of_a_handful_of_trades() -> None:
    trips = [trip(300, 0, 2 * H), trip(-100, 4 * H, 5 * H, fees=40, funding=10), trip(0, 6 * H, 7 * H), trip(50, 8 * H, 10 * H)]
    out = trade_statistics(trips, 0, D)
    assert (out.trades, out.wins, out.losses, out.win_rate) == (4, 2, 1, 0.5)
    assert out.profit_factor == 3.5
    assert (out.net, out.gross, out.fees, out.funding) == (250, 280, 40, 10)
    assert (out.average_win, out.average_loss, out.expectancy) == (175, -100, 62)
    assert (out.largest_win, out.largest_loss) == (300, -100)
    assert (out.average_duration_ns, out.exposure_ns, out.trades_per_day) == (90 * H // 60, 6 * H, 4.0)
    assert out.exposure_share == 0.25


def test_a_trade_that_costs_make_negative_is_a_loss() -> None:
    out = trade_statistics([trip(-5, fees=100)], 0, D)
    assert (out.wins, out.losses, out.gross) == (0, 1, 95)


def test_what_is_not_defined_is_none_and_survives_json() -> None:
    nothing = trade_statistics([], 0, 0)
    for name in (
        "win_rate",
        "profit_factor",
        "average_win",
        "average_loss",
        "expectancy",
        "largest_win",
        "exposure_share",
        "trades_per_day",
        "average_duration_ns",
    ):
        assert getattr(nothing, name) is None, name
    assert trade_statistics([trip(5)], 0, D).profit_factor is None, "no loss to divide by"
    assert trade_statistics([trip(-5)], 0, D).profit_factor == 0.0
    out = run_statistics([], [0, H], [10, 10], Money(10))
    assert json.loads(json.dumps(out.to_json(), allow_nan=False))["sharpe"] is None


def test_overlapping_trades_count_once_as_exposure_and_open_ones_to_the_end() -> None:
    assert covered([(0, 10), (5, 12), (20, 30), (21, 22)], 0, 100) == 22
    assert covered([(-50, 10), (90, 500)], 0, 100) == 20
    assert trade_statistics([trip(1, 0, 10)], 0, 100, open_since=[60]).exposure_ns == 50


spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted).map(tuple), max_size=8)


@given(spans, st.integers(0, 30), st.integers(30, 60))
def test_covered_time_is_what_a_count_of_moments_finds(parts: list[tuple[int, int]], begin: int, end: int) -> None:
    assert covered(parts, begin, end) == sum(any(a <= moment < b for a, b in parts) for moment in range(begin, end))


# -- equity curve ---------------------------------------------------------------------------------------------------------------
def test_the_deepest_fall_in_money_and_in_share_may_lie_apart() -> None:
    out = max_drawdown([1, 2, 3, 4, 5, 6], [100, 60, 1_000, 800, 2_000, 1_790])
    assert out is not None
    assert (out.amount, out.fraction, out.peak_ns, out.trough_ns) == (210, 0.4, 1, 2)


def test_of_equal_falls_the_first_is_named() -> None:
    out = max_drawdown([1, 2, 3, 4], [100, 50, 200, 100])
    assert out is not None and (out.fraction, out.peak_ns, out.trough_ns) == (0.5, 1, 2)


def test_a_rising_curve_has_no_drawdown_and_an_empty_one_none() -> None:
    out = max_drawdown([1, 2, 3], [5, 5, 6])
    assert out is not None and (out.amount, out.fraction) == (0, 0.0)
    assert max_drawdown([], []) is None


@given(st.lists(st.integers(1, 10**15), min_size=1, max_size=40))
def test_drawdown_is_the_largest_over_all_pairs_of_moments(values: list[int]) -> None:
    out = max_drawdown(range(len(values)), values)
    pairs = [(values[i], values[j]) for i in range(len(values)) for j in range(i, len(values))]
    assert out is not None
    assert out.amount == max(a - b for a, b in pairs)
    assert out.fraction == pytest.approx(max((a - b) / a for a, b in pairs))
    assert values[out.peak_ns] - values[out.trough_ns] == pytest.approx(out.fraction * values[out.peak_ns])


def test_drawdown_of_an_array_does_not_overflow() -> None:
    out = max_drawdown(np.array([0, 1]), np.array([2**61, 2**60]))  # type: ignore[arg-type]
    assert out is not None and (out.amount, out.fraction) == (2**60, 0.5)


def test_a_day_ends_with_its_last_sample_and_a_midnight_sample_closes_the_day_before() -> None:
    ts = [10 * H, 20 * H, D, D + H, 2 * D - 1, 2 * D + 1, 4 * D + H]
    assert daily_returns(ts, [100, 101, 110, 111, 121, 90, 80], 100) == pytest.approx([0.10, 0.10, 90 / 121 - 1, 0.0])
    assert daily_returns([0, H], [100, 101], 100) == [0.0], "midnight closes the day before, the running day is left out"
    assert daily_returns([H, D], [100, 99], 110) == pytest.approx([-0.1])


def test_returns_end_with_the_money() -> None:
    assert daily_returns([D, 2 * D, 3 * D], [50, -10, 20], 100) == pytest.approx([-0.5, -1.2])


def test_sharpe_is_the_mean_over_the_sample_deviation_of_a_year_of_365_days() -> None:
    returns = [0.01, -0.02, 0.03, 0.005]
    assert sharpe(returns) == pytest.approx(stdlib.mean(returns) / stdlib.stdev(returns) * math.sqrt(365))
    assert sharpe([]) is None and sharpe([0.01]) is None and sharpe([0.01] * 50) is None and sharpe([0.1 + 0.2, 0.3]) is None


def test_rolling_sharpe_needs_its_whole_window() -> None:
    returns = [((i * 7) % 11 - 5) / 1_000 for i in range(40)]
    out = rolling_sharpe(returns)
    assert len(out) == 40 and out[:29] == [None] * 29
    assert out[29] == sharpe(returns[:30]) and out[-1] == sharpe(returns[10:])


def test_a_run_is_summed_up_in_all_and_per_phase() -> None:
    ts, curve = [0, D, 2 * D, 3 * D], [1_000, 1_100, 900, 1_200]
    trips = [trip(150, 0, H), trip(-50, 0, 2 * H, phase=SCAVENGER)]
    out = run_statistics(trips, ts, curve, Money(1_000), open_since=[(SCAVENGER, 3 * D - H)])
    assert (out.equity_start, out.equity_end, out.total_return) == (1_000, 1_200, 0.2)
    assert out.max_drawdown is not None and out.max_drawdown.amount == 200
    assert out.sharpe == pytest.approx(sharpe([0.0, 0.1, 900 / 1_100 - 1, 1_200 / 900 - 1]))
    assert out.sharpe_30d is None
    assert set(out.by_phase) == {HUNTER, SCAVENGER}
    assert out.by_phase[SCAVENGER].exposure_ns == 3 * H
    assert out.total.exposure_ns == 3 * H
    assert out.total.trades == sum(part.trades for part in out.by_phase.values()) == 2
    assert out.total.net == sum(part.net for part in out.by_phase.values())


def test_an_empty_curve_is_refused() -> None:
    with pytest.raises(ValueError, match="equally many"):
        run_statistics([], [], [], Money(1))


def test_a_ratio_needs_a_positive_denominator() -> None:
    assert (ratio(1, 2), ratio(1, 0), ratio(1, -3)) == (0.5, None, None)
