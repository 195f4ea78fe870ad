from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from titan_core.model.calendar import utc


@given(st.integers(0, 253_402_300_799))
def test_times_are_written_as_the_calendar_has_them(seconds):
    assert utc(seconds * 10**9 + 999_999_999) == datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC").rjust(23, "0")
