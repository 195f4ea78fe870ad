import numpy as np
import pytest

from titan_core.tape.generator.draws import (
    NormalQuantiles,
    QuantileTable,
    child,
    exponential,
    log_knots,
    log_uniform,
    lognormal,
    normals,
    order_sizes,
    pareto,
    pick,
)

COUNT = 200_000


@pytest.fixture(scope="module")
def normal() -> NormalQuantiles:
    return NormalQuantiles()


def test_children_of_one_seed_are_independent_of_each_other_and_repeatable() -> None:
    numbers = {key: child(7, *key).integers(0, 2**62) for key in ((0, 0), (0, 1), (1, 0))}
    assert len(set(numbers.values())) == 3
    assert child(7, 1, 0).integers(0, 2**62) == numbers[1, 0]


def test_normal_numbers_lie_on_a_coarse_grid() -> None:
    drawn = normals(child(1, 0, 0), 1_000)
    assert np.array_equal(drawn * 2**20, np.rint(drawn * 2**20))
    assert drawn.std() == pytest.approx(1.0, abs=0.08)


def test_tables_draw_the_distribution_that_they_tabulate(normal: NormalQuantiles) -> None:
    rng = child(1, 0, 0)
    assert np.median(lognormal(normal, 5_000.0, 1.0).draw(rng, COUNT)) == pytest.approx(5_000, rel=0.02)
    assert exponential(10_000.0).draw(rng, COUNT).mean() == pytest.approx(10_000, rel=0.02)
    assert np.median(log_uniform(100.0, 1e6).draw(rng, COUNT)) == pytest.approx(1e4, rel=0.05)
    drawn = pareto(1.5, 1_000.0, 1e12).draw(rng, COUNT)
    assert (drawn > 10_000).mean() == pytest.approx(10**-1.5, rel=0.1)
    assert drawn.min() >= 1_000


def test_the_tail_is_finer_than_the_body() -> None:
    table = pareto(1.0, 1.0, 1e12)
    assert table.tail[0] >= table.body[-2]
    assert table.tail[-1] > 1_000 * table.body[-2]


def test_order_sizes_have_a_lognormal_body_a_pareto_tail_and_a_cap(normal: NormalQuantiles) -> None:
    drawn = np.sort(order_sizes(normal, 350.0, 2.6, 1.05, 2e6).draw(child(1, 0, 0), COUNT))[::-1]
    assert np.median(drawn) == pytest.approx(350, rel=0.05)
    tail = drawn[: COUNT // 50]
    below_cap = tail[tail < 2e6]
    rank_slope = np.polyfit(np.log(below_cap), np.log(np.flatnonzero(tail < 2e6) + 1.0), 1)[0]
    assert rank_slope == pytest.approx(-1.05, abs=0.1)
    assert drawn[0] <= 2_000_000 and drawn[-1] >= 1


def test_knots_are_met() -> None:
    drawn = log_knots(((0.3, 2.0), (0.1, 6.0), (0.01, 24.0))).draw(child(1, 0, 0), COUNT)
    assert (drawn == 1).mean() == pytest.approx(0.7, abs=0.01)
    assert (drawn > 6).mean() == pytest.approx(0.1, abs=0.02)
    assert drawn.max() == 24


def test_picking_follows_the_weights_in_rising_order() -> None:
    picked = pick(child(1, 0, 0), np.array([1, 0, 3], np.int64), 40_000)
    assert (np.diff(picked) >= 0).all()
    assert np.bincount(picked, minlength=3).tolist() == [pytest.approx(10_000, rel=0.05), 0, pytest.approx(30_000, rel=0.05)]


def test_a_table_is_made_of_whole_numbers() -> None:
    table = QuantileTable.of(lambda beyond: 1.0 / beyond)
    assert table.body.dtype == table.tail.dtype == np.int64
