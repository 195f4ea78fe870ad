"""Bands with hysteresis, and the shares of the allocation."""

import math

from hypothesis import given
from hypothesis import strategies as st

from titan_core.brain.limits import BrainLimits
from titan_core.brain.selection import Verdict, boot_verdict, edges2, judge, unserved, weights_bps
from titan_core.model.ids import PhaseId
from titan_core.model.phase import CapitalBand, PhaseDeclaration
from titan_core.model.units import MONEY_PER_USDT

USDT = MONEY_PER_USDT
LIMITS = BrainLimits()
SMALL = CapitalBand.usdt(200, 5_000)
OPEN = CapitalBand.usdt(50_000)


def phase(name, lower, upper=None):
    return PhaseDeclaration(id=PhaseId(name), title=name, summary="", band=CapitalBand.usdt(lower, upper))


A, B, C = phase("a", 200, 5_000), phase("b", 2_500, 50_000), phase("c", 50_000)


def test_a_first_boot_has_no_hysteresis():
    assert boot_verdict(SMALL, 200 * USDT) is Verdict.ENTER
    assert boot_verdict(SMALL, 200 * USDT - 1) is Verdict.LEAVE
    assert boot_verdict(SMALL, 5_000 * USDT) is Verdict.LEAVE
    assert boot_verdict(OPEN, 50_000 * USDT) is Verdict.ENTER


def test_entering_takes_two_percent_more_and_leaving_two_percent_less():
    assert judge(SMALL, 204 * USDT, LIMITS) is Verdict.ENTER
    assert judge(SMALL, 204 * USDT - 1, LIMITS) is Verdict.KEEP
    assert judge(SMALL, 196 * USDT, LIMITS) is Verdict.KEEP
    assert judge(SMALL, 196 * USDT - 1, LIMITS) is Verdict.LEAVE
    assert judge(SMALL, 4_900 * USDT, LIMITS) is Verdict.ENTER
    assert judge(SMALL, 4_900 * USDT + 1, LIMITS) is Verdict.KEEP
    assert judge(SMALL, 5_100 * USDT, LIMITS) is Verdict.KEEP
    assert judge(SMALL, 5_100 * USDT + 1, LIMITS) is Verdict.OUTGROWN


def test_the_last_band_is_never_outgrown():
    assert judge(OPEN, 10**9 * USDT, LIMITS) is Verdict.ENTER


@given(st.integers(0, 120_000 * USDT), st.sampled_from([SMALL, OPEN, CapitalBand.usdt(2_500, 50_000)]))
def test_the_verdict_changes_at_the_edges_and_nowhere_else(equity2, band):
    beyond = min((edge for edge in edges2(band, LIMITS) if edge > equity2), default=None)
    if beyond is not None:
        before = (beyond - 1) // 2
        assert judge(band, before, LIMITS) is judge(band, equity2 // 2, LIMITS)
        assert judge(band, beyond // 2, LIMITS) is not judge(band, before, LIMITS)


def test_one_active_phase_gets_everything():
    assert weights_bps([B], 3_000 * USDT) == {"b": 10_000}
    assert weights_bps([], 3_000 * USDT) == {}


def test_overlapping_phases_cross_fade_in_the_logarithm_of_equity():
    assert weights_bps([A, B], 2_500 * USDT) == {"a": 10_000, "b": 0}
    middle = int(2_500 * math.sqrt(2) * USDT)
    assert weights_bps([A, B], middle) == {"a": 5_000, "b": 5_000} or abs(weights_bps([A, B], middle)["a"] - 5_000) <= 1
    assert weights_bps([A, B], 5_000 * USDT) == {"a": 0, "b": 10_000}


def test_bands_that_only_touch_hand_everything_over_at_the_boundary():
    assert weights_bps([B, C], 49_999 * USDT) == {"b": 10_000, "c": 0}
    assert weights_bps([B, C], 50_000 * USDT) == {"b": 0, "c": 10_000}


@given(st.integers(1, 200_000), st.sets(st.sampled_from([A, B, C]), min_size=1))
def test_shares_are_never_negative_and_sum_to_the_whole(usdt, active):
    shares = weights_bps(list(active), usdt * USDT)
    assert sum(shares.values()) == 10_000
    assert all(share >= 0 for share in shares.values())
    assert set(shares) == {p.id for p in active}


BANDS = st.builds(lambda low, size: CapitalBand.usdt(low, None if size is None else low + size), st.integers(0, 100), st.none() | st.integers(1, 50))


@given(st.lists(BANDS, min_size=1, max_size=5), st.integers(0, 300))
def test_an_equity_above_the_lowest_band_is_served_or_said_not_to_be(bands, usdt):
    equity = usdt * USDT
    held = any(band.holds(equity) for band in bands)
    told = [band for band in unserved(bands) if band.holds(equity)]
    if equity >= min(band.lower for band in bands):
        assert held != bool(told) and len(told) <= 1
    else:
        assert not told


def test_the_shipped_bands_leave_nothing_unserved_above_the_lowest():
    assert unserved([A.band, B.band, C.band]) == []
    assert unserved([A.band, C.band]) == [CapitalBand.usdt(5_000, 50_000)]
    assert unserved([A.band, B.band]) == [CapitalBand.usdt(50_000)]
    assert unserved([]) == [CapitalBand.usdt(0)]
