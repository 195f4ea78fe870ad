"""The timeframes' agreement, and what it admits."""

import pytest

from titan_core import MIN, D, H
from titan_hunter.hologram import Frame, Hologram, Veto
from titan_hunter.structure import Structure, Trend


def hologram(*trends: Trend, leg: tuple[int, int] | None = (100, 200), **settings: float) -> Hologram:
    frames = []
    for timeframe_ns, weight, trend in zip((D, 4 * H, 15 * MIN), (3.0, 2.0, 1.0), trends, strict=True):
        structure = Structure()
        structure.trend, structure.leg = trend, leg
        frames.append(Frame(timeframe_ns, weight, structure))
    return Hologram(tuple(frames), 1, **({"min_alignment": 0.5, "min_strength_bps": 10.0} | settings))  # type: ignore[arg-type]


UP, DOWN, NONE = Trend.UP, Trend.DOWN, Trend.NONE


@pytest.mark.parametrize(
    ("trends", "score"), [((UP, UP, UP), 1.0), ((DOWN, DOWN, DOWN), -1.0), ((UP, DOWN, UP), 1 / 3), ((NONE, UP, UP), 0.5), ((NONE, NONE, NONE), 0.0)]
)
def test_the_score_is_the_weighted_agreement(trends, score):
    assert hologram(*trends).score() == pytest.approx(score)


def test_what_is_aligned_and_cheap_is_admitted_either_way():
    assert hologram(UP, UP, UP).veto(1, 140, None) is None
    assert hologram(DOWN, DOWN, UP, leg=(200, 100)).veto(-1, 160, None) is None


@pytest.mark.parametrize(
    ("made", "side", "price", "strength", "veto"),
    [
        (hologram(UP, DOWN, UP), 1, 140, None, Veto.NOT_ALIGNED),
        (hologram(UP, UP, UP), -1, 160, None, Veto.NOT_ALIGNED),
        (hologram(UP, UP, UP), 1, 140, 9.0, Veto.WEAK),
        (hologram(DOWN, DOWN, DOWN), -1, 160, 9.0, Veto.WEAK),
        (hologram(UP, UP, UP), 1, 151, None, Veto.PREMIUM),
        (hologram(DOWN, DOWN, DOWN), -1, 149, None, Veto.DISCOUNT),
        (hologram(UP, UP, UP, leg=None), 1, 140, None, Veto.NO_LEG),
    ],
)
def test_each_veto_has_its_own_reason(made, side, price, strength, veto):
    assert made.veto(side, price, strength) is veto


def test_strength_enough_is_no_veto():
    assert hologram(UP, UP, UP).veto(1, 140, 10.0) is None
    assert hologram(DOWN, DOWN, DOWN).veto(-1, 160, -10.0) is None
