import numpy as np
import pytest

from titan_core.tape.generator.draws import child
from titan_core.tape.generator.path import Overlay, Path, PathState, make_path
from titan_core.tape.generator.profile import NANO_PER_BPS, PIPS_PER_USDT, SECONDS, PathProfile
from titan_core.tape.generator.structure import DAILY, ROUND, SWING, Level, Structure, Sweep, sweep_of

PROFILE = PathProfile()


def days(count: int, seed: int = 1) -> tuple[list[Path], PathState]:
    state = PathState(PROFILE.start_usdt * PIPS_PER_USDT)
    return [make_path(child(seed, day, 0), PROFILE, state) for day in range(count)], state


def test_a_day_begins_where_the_day_before_ended() -> None:
    (first, second), state = days(2)
    assert len(first.pips) == SECONDS + 1
    assert first.pips[-1] == second.pips[0]
    assert state.tail is not None
    assert second.pips[-1] == state.pips


def test_a_sweep_at_the_end_of_a_day_acts_into_the_next() -> None:
    overlay = Overlay.empty()
    overlay.add(SECONDS - 2, Sweep(1, 3, np.array([5, 4, 3, 2], np.int64), 4, -1))
    following = overlay.next_day()
    assert overlay.push[SECONDS - 2 : SECONDS].tolist() == [5, 4] and following.push[:3].tolist() == [3, 2, 0]
    assert following.sweep[:2].tolist() == [1, 0] and following.lean[:3].tolist() == [-1, -1, 0]
    state = PathState(PROFILE.start_usdt * PIPS_PER_USDT, tail=following)
    following.push[:60] = 10 * NANO_PER_BPS
    pushed = make_path(child(1, 0, 0), PROFILE, state).pips
    assert pushed[60] > days(1)[0][0].pips[60] * 1.05


def test_levels_are_swept_several_times_an_hour_when_it_is_busy_and_all_day_long() -> None:
    paths, _ = days(5)
    by_hour = np.zeros(24)
    for path in paths:
        begins = np.flatnonzero((path.sweep != 0) & (np.r_[0, path.sweep[:-1]] == 0))
        assert 30 < len(begins) < 200
        by_hour += np.bincount(begins // 3_600, minlength=24) / len(paths)
    assert by_hour[13:17].mean() > 3
    assert (by_hour > 0.5).all()


def test_spot_flow_tells_whether_a_sweep_goes_on_or_reverts() -> None:
    paths, _ = days(5)
    after: dict[int, list[float]] = {-1: [], 1: []}
    for path in paths:
        ends = np.flatnonzero((path.sweep[:-1] != 0) & (path.sweep[1:] == 0))
        for end in ends[ends < SECONDS - 300]:
            direction, lean = int(path.sweep[end]), int(path.lean[end])
            if lean:
                moved = (int(path.pips[end + 281]) - int(path.pips[end + 1])) / int(path.pips[end + 1]) * 1e4
                after[direction * lean].append(moved * direction)
    assert np.mean(after[-1]) < -1 < 1 < np.mean(after[1])


def test_sweeps_run_beyond_their_level_and_more_so_at_a_days_extreme() -> None:
    def amplitude(kind: int) -> float:
        made = [sweep_of(child(seed, 0, 9), Level(100, kind, 0), -1, NANO_PER_BPS) for seed in range(400)]
        sweeps = [sweep for sweep in made if sweep is not None]
        assert len(sweeps) > 150
        assert all((sweep.push[: sweep.fast] <= 0).all() and sweep.direction == -1 for sweep in sweeps)
        return float(np.mean([-sweep.push[: sweep.fast].sum() / NANO_PER_BPS for sweep in sweeps]))

    assert 3 < amplitude(SWING) < amplitude(ROUND) < amplitude(DAILY) < 40


def test_the_level_reached_first_is_the_one_crossed_and_quiet_seconds_do_not_count() -> None:
    structure = Structure(levels=[Level(110, SWING, 99), Level(95, DAILY, 99), Level(120, SWING, 99)])
    leg = np.array([100, 105, 111, 121, 90], np.int64)
    assert structure.first_crossing(100, leg, 0) == (2, Level(110, SWING, 99))
    assert structure.first_crossing(100, leg, 3) == (3, Level(120, SWING, 99))
    assert structure.first_crossing(100, leg, 4) == (4, Level(120, SWING, 99)), "the price stood above 120 before"
    assert structure.first_crossing(100, leg[:2], 0) is None
    assert structure.first_crossing(100, leg, 5) is None


def test_a_swing_is_confirmed_by_later_bars_and_spent_when_passed() -> None:
    structure = Structure()
    for minute, price in enumerate([100, 101, 105, 102, 101]):
        for inside in range(5):
            structure.close_minute(minute * 5 + inside, np.array([price * 1_000_001], np.int64))
    assert [(level.pips, level.kind) for level in structure.levels if level.kind != ROUND] == [(105_000_105, DAILY)]
    structure.close_minute(25, np.array([104_000_000, 106_000_000], np.int64))
    assert all(level.pips != 105_000_105 for level in structure.levels)


def test_yesterdays_extremes_are_todays_levels() -> None:
    structure = Structure()
    structure.close_minute(0, np.array([50, 80, 40, 60], np.int64))
    structure.close_day()
    assert {level.pips for level in structure.levels if level.kind == DAILY} == {80, 40}


@pytest.mark.parametrize("seed", [1, 2])
def test_daily_returns_are_neither_pinned_nor_wild(seed: int) -> None:
    paths, state = days(40, seed)
    daily = np.diff(np.log([path.pips[0] for path in paths])) * 1e4
    assert 150 < daily.std() < 600
    assert 20_000 < state.pips / PIPS_PER_USDT < 180_000
