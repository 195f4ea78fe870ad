"""Escalation of risk to the last unit of money."""

from hypothesis import given
from hypothesis import strategies as st

from titan_core.brain.limits import BrainLimits
from titan_core.brain.risk import DayLoss, Drawdown, day_loss, day_loss_floor2, drawdown, drawdown_ppm, next_drawdown
from titan_core.model.phase import LossLevels
from titan_core.model.units import share

LIMITS = BrainLimits()
PEAK = 2_000 * 10**8


def test_draw_down_levels_at_their_exact_bounds():
    assert drawdown(PEAK, PEAK, LIMITS) is Drawdown.NONE
    assert drawdown(PEAK * 90 // 100 + 1, PEAK, LIMITS) is Drawdown.NONE
    assert drawdown(PEAK * 90 // 100, PEAK, LIMITS) is Drawdown.WARNING
    assert drawdown(PEAK * 875 // 1000 + 1, PEAK, LIMITS) is Drawdown.WARNING
    assert drawdown(PEAK * 875 // 1000, PEAK, LIMITS) is Drawdown.REDUCED
    assert drawdown(PEAK * 85 // 100, PEAK, LIMITS) is Drawdown.REDUCED, "15 % exactly is not more than 15 %"
    assert drawdown(PEAK * 85 // 100 - 1, PEAK, LIMITS) is Drawdown.EMERGENCY


@given(st.integers(1, 10**15), st.integers(-(10**14), 10**15))
def test_the_watched_level_is_reached_exactly_when_the_judgement_changes(peak2, equity2):
    level = drawdown(min(equity2, peak2), peak2, LIMITS)
    for lower in Drawdown:
        bps, strict = next_drawdown(lower, LIMITS)
        if bps and level <= lower:
            assert min(equity2, peak2) > peak2 - share(peak2, bps) - strict
        elif bps:
            assert min(equity2, peak2) <= peak2 - share(peak2, bps) - strict


def test_daily_loss_levels_at_their_exact_bounds():
    levels, base = LossLevels(300, 500, 700), 1_000_000
    assert day_loss(base, base, levels) is DayLoss.NONE
    assert day_loss(970_001, base, levels) is DayLoss.NONE
    assert day_loss(970_000, base, levels) is DayLoss.REDUCED
    assert day_loss(950_000, base, levels) is DayLoss.HALTED
    assert day_loss(930_000, base, levels) is DayLoss.ESCALATED
    assert day_loss(2 * base, base, levels) is DayLoss.NONE


@given(st.integers(10_000, 10**15), st.sampled_from([DayLoss.NONE, DayLoss.REDUCED, DayLoss.HALTED]))
def test_the_floor_is_where_the_next_level_begins(base2, level):
    levels = LossLevels()
    floor2 = day_loss_floor2(level, base2, levels)
    assert floor2 is not None
    assert day_loss(floor2, base2, levels) > level
    assert day_loss(floor2 + 1, base2, levels) <= level


def test_the_last_level_has_no_floor_and_a_phase_without_money_no_loss():
    assert day_loss_floor2(DayLoss.ESCALATED, 1_000, LossLevels()) is None
    assert day_loss(-5, 0, LossLevels()) is DayLoss.NONE
    assert drawdown_ppm(85, 100) == 150_000
    assert drawdown_ppm(5, 0) == 0
