"""Opens follow each city's own daylight saving, and a Judas swing is a sweep that is taken back in time."""

from datetime import UTC, date, datetime, timedelta

import pytest

from titan_core import MIN, D, H, S
from titan_hunter.candles import Candle
from titan_hunter.sessions import Session, SessionProfile, day_of

DAY_NS = 1_709_251_200 * S  # 2024-03-01


def sunday(year: int, month: int, which: int) -> date:
    """The first (1), second (2) or last (-1) Sunday of a month."""
    days = [date(year, month, 1) + timedelta(days=k) for k in range(31)]
    sundays = [day for day in days if day.month == month and day.weekday() == 6]
    return sundays[which - 1 if which > 0 else which]


def london_by_rule(day: date) -> int:
    """European summer time lasts from the last Sunday of March to the last of October (directive 2000/84/EC): 08:00 is then 07:00 UTC."""
    return 7 * 60 if sunday(day.year, 3, -1) <= day < sunday(day.year, 10, -1) else 8 * 60


def new_york_by_rule(day: date) -> int:
    """American daylight time lasts from the second Sunday of March to the first of November (Energy Policy Act of 2005): 09:30 is then 13:30 UTC."""
    return 13 * 60 + 30 if sunday(day.year, 3, 2) <= day < sunday(day.year, 11, 1) else 14 * 60 + 30


@pytest.mark.parametrize("year", range(2019, 2028))
def test_opens_are_those_of_the_rules_on_every_day(year):
    for k in range(366):
        day = date(year, 1, 1) + timedelta(days=k)
        midnight_ns = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * S
        times = day_of(midnight_ns + k % 24 * H, 6)
        opens = dict(times.opens)
        assert (opens[Session.LONDON] - midnight_ns) // MIN == london_by_rule(day)
        assert (opens[Session.NEW_YORK] - midnight_ns) // MIN == new_york_by_rule(day)
        assert times.asia_ns == midnight_ns and times.asia_end_ns == midnight_ns + 6 * H


def candle(minute: int, low: int, high: int, close: int) -> Candle:
    start = DAY_NS + minute * MIN
    return Candle(start, start + 15 * MIN, close, high, low, close)


def asia() -> list[Candle]:
    return [candle(15 * k, 1_000 - k % 5, 1_010 + k % 7, 1_005) for k in range(24)]


def judas_of(candles: list[Candle]) -> list[tuple[Session, int, int]]:
    profile = SessionProfile()
    found = [profile.take(each) for each in [*asia(), *candles]]
    return [(each.session, each.side, each.extreme) for each in found if each is not None]


def test_the_asian_range_is_that_of_its_hours():
    profile = SessionProfile()
    for each in [*asia(), candle(400, 900, 1_200, 1_000)]:
        profile.take(each)
    assert (profile.low, profile.high) == (996, 1_016)
    profile.take(candle(1_440, 2_000, 2_001, 2_000))
    assert (profile.low, profile.high) == (2_000, 2_001)


def test_a_sweep_of_the_high_that_is_taken_back_looks_down():
    assert judas_of([candle(480, 1_004, 1_030, 1_020), candle(495, 1_004, 1_025, 1_009)]) == [(Session.LONDON, -1, 1_030)]


def test_a_sweep_of_the_low_that_is_taken_back_within_its_candle_looks_up():
    assert judas_of([candle(480, 980, 1_012, 1_000)]) == [(Session.LONDON, 1, 980)]


def test_what_is_not_taken_back_in_time_is_none():
    assert judas_of([candle(480, 1_004, 1_030, 1_020), candle(480 + 120, 1_004, 1_025, 1_009)]) == []


def test_what_sweeps_both_sides_is_none():
    assert judas_of([candle(480, 980, 1_030, 1_009), candle(495, 1_000, 1_012, 1_005)]) == []


def test_a_sweep_before_the_open_is_none():
    assert judas_of([candle(450, 1_004, 1_030, 1_009)]) == []


def test_either_open_may_have_its_own():
    swings = [candle(480, 1_004, 1_030, 1_009), candle(870, 980, 1_012, 1_000)]  # 14:30 UTC: before the second Sunday of March
    assert judas_of(swings) == [(Session.LONDON, -1, 1_030), (Session.NEW_YORK, 1, 980)]


def test_a_moment_lies_in_the_session_that_opened_last():
    profile = SessionProfile(judas_s=8 * 3_600)
    assert profile.session_at(DAY_NS + 7 * H) is None
    assert profile.session_at(DAY_NS + 8 * H) is Session.LONDON
    assert profile.session_at(DAY_NS + 14 * H + 30 * MIN) is Session.NEW_YORK
    assert profile.session_at(DAY_NS + 23 * H) is None


def test_deleting_the_future_changes_none_of_the_past(candles):
    def judas(rows: list[Candle]) -> list[object]:
        profile = SessionProfile()
        return [found for each in rows if (found := profile.take(each)) is not None]

    whole = judas(candles[:2_000])
    known = candles[:1_200]
    assert judas(known) == [each for each in whole if each.at_ns <= known[-1].end_ns]
    assert all(each.at_ns // D == (each.at_ns - S) // D for each in whole)
