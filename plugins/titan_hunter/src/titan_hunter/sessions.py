"""Sessions of the day: the Asian range, the opens of London and New York by their own daylight-saving rules, and the Judas swing.

A Judas swing is a move soon after an open that takes out one side of the Asian range and is taken back: a candle trades beyond the range and one closes
inside it again, both within the window after the open. What was swept is the false side; the day is looked for on the other. Where both sides are swept
nothing follows.

Exchange hours are local: London 08:00 Europe/London, New York 09:30 America/New_York, Tokyo 09:00 Asia/Tokyo (no daylight saving). The switch of either city
moves its open in UTC by an hour, on different weekends.
"""

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from attrs import frozen

from titan_core import MIN, D, S
from titan_hunter.candles import Candle


class Session(StrEnum):
    """An open that matters."""

    LONDON = "london"
    NEW_YORK = "new_york"


@frozen(slots=True)
class Place:
    """An exchange: its zone, and when it opens by its own clock."""

    zone: ZoneInfo
    opens: time

    def open_ns(self, day: date) -> int:
        """Return its open on a day of its own calendar, in ns since 1970."""
        local = datetime.combine(day, self.opens, self.zone)
        return int(local.astimezone(UTC).timestamp()) * S


TOKYO = Place(ZoneInfo("Asia/Tokyo"), time(9))
OPENS = {Session.LONDON: Place(ZoneInfo("Europe/London"), time(8)), Session.NEW_YORK: Place(ZoneInfo("America/New_York"), time(9, 30))}
_EPOCH = date(1970, 1, 1)


@frozen(slots=True)
class Day:
    """The times of one UTC day that matter, in ns since 1970."""

    asia_ns: int
    asia_end_ns: int
    opens: tuple[tuple[Session, int], ...]


def day_of(ts_ns: int, asia_hours: int) -> Day:
    """Return the times of the UTC day that a moment lies in; the Asian range begins with Tokyo's open, which is 00:00 UTC, and lasts `asia_hours`."""
    day = _EPOCH + timedelta(days=ts_ns // D)
    asia_ns = TOKYO.open_ns(day)
    return Day(asia_ns, asia_ns + asia_hours * 60 * MIN, tuple((session, place.open_ns(day)) for session, place in OPENS.items()))


@frozen(slots=True)
class Judas:
    """A false move after an open. `side` is where the day is looked for: -1 after the high was swept, +1 after the low."""

    session: Session
    side: int
    extreme: int
    """The farthest price of the false move."""
    at_ns: int


class SessionProfile:
    """What the sessions of the day have shown so far, as candles come."""

    def __init__(self, *, asia_hours: int = 6, judas_s: int = 7_200) -> None:
        """`judas_s` is how long after an open a sweep and its end count as one false move."""
        self._asia_hours, self._judas_ns = asia_hours, judas_s * S
        self._day: Day | None = None
        self.high: int | None = None
        """The Asian range of this UTC day, whole once its hours are over."""
        self.low: int | None = None
        self._swept: dict[Session, tuple[int, int]] = {}
        """By session: the farthest price above and below the range since its open; the range's own ends where there was none."""
        self.judas: dict[Session, Judas] = {}

    def take(self, candle: Candle) -> Judas | None:
        """Take in a candle; return the false move that it ends."""
        if self._day is None or candle.start_ns // D != self._day.asia_ns // D:
            self._day, self.high, self.low = day_of(candle.start_ns, self._asia_hours), None, None
            self._swept, self.judas = {}, {}
        if candle.end_ns <= self._day.asia_end_ns:
            self.high = candle.high if self.high is None else max(self.high, candle.high)
            self.low = candle.low if self.low is None else min(self.low, candle.low)
            return None
        return self._after_opens(candle, self._day)

    def session_at(self, ts_ns: int) -> Session | None:
        """Return the open that the moment lies within `judas_s` of, the later one where there are two; None outside."""
        found = [session for session, open_ns in day_of(ts_ns, self._asia_hours).opens if open_ns <= ts_ns < open_ns + self._judas_ns]
        return found[-1] if found else None

    def _after_opens(self, candle: Candle, day: Day) -> Judas | None:
        if self.high is None or self.low is None:
            return None
        found = None
        for session, open_ns in day.opens:
            if open_ns <= candle.start_ns and candle.end_ns <= open_ns + self._judas_ns and session not in self.judas:
                high, low = self._swept.get(session, (self.high, self.low))
                high, low = self._swept[session] = max(high, candle.high), min(low, candle.low)
                if (high > self.high) != (low < self.low) and self.low <= candle.close <= self.high:
                    side = -1 if high > self.high else 1
                    found = self.judas[session] = Judas(session, side, high if side < 0 else low, candle.end_ns)
        return found
