"""What a venue's answer to a request means for Titan. Tables, because each row is a measured fact about a venue.

The rule behind them: an order of unknown outcome is never sent again before the venue has been asked what became of it, and every code that is not listed is
of unknown outcome. Codes are those of the venues' own error lists (Bybit V5 "Error Codes", MEXC contract "Error code").
"""

from enum import StrEnum


class Outcome(StrEnum):
    """What became of a request."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    """The venue has an order of this client id already: an acknowledgement of the one before; ask where it stands."""
    UNCHANGED = "unchanged"
    """It is already as asked for: success."""
    NOT_FOUND = "not_found"
    """No such open order: filled, cancelled or never there; ask."""
    NOTHING_TO_REDUCE = "nothing_to_reduce"
    """A reduce-only order found no position: read the position again; flat is success."""
    REJECTED = "rejected"
    """Refused for good: sending it again would be refused again."""
    NO_MARGIN = "no_margin"
    """Refused for lack of margin: stop opening."""
    POSITION_MODE = "position_mode"
    """The account's position mode is not the one that was assumed."""
    CLOCK = "clock"
    """The request's time lies outside the venue's window: measure the offset."""
    RATE_LIMITED = "rate_limited"
    """Refused unseen: may be sent again after a pause."""
    BANNED = "banned"
    """The venue does not listen for a while: halt it."""
    MAINTENANCE = "maintenance"
    """The venue takes reducing orders only, or none."""
    NOT_ALLOWED = "not_allowed"
    """The key lacks the permission, or is wrong."""
    SETTLING = "settling"
    """Funding is being settled: wait a moment and send again."""
    UNKNOWN = "unknown"
    """It may or may not have happened."""


REFUSED_UNSEEN = frozenset((Outcome.RATE_LIMITED, Outcome.BANNED, Outcome.CLOCK, Outcome.SETTLING))
"""The venue has not looked at the order: it does not exist, and the same id may be sent again."""
SUCCESS = frozenset((Outcome.ACCEPTED, Outcome.DUPLICATE, Outcome.UNCHANGED))
FINAL_REFUSALS = frozenset((Outcome.REJECTED, Outcome.NO_MARGIN, Outcome.POSITION_MODE, Outcome.NOT_ALLOWED, Outcome.NOTHING_TO_REDUCE, Outcome.MAINTENANCE))

_BYBIT: dict[Outcome, tuple[int, ...]] = {
    Outcome.ACCEPTED: (0,),
    Outcome.DUPLICATE: (110072, 170141),
    Outcome.UNCHANGED: (110043, 110026, 34036, 34040),
    Outcome.NOT_FOUND: (110001, 170213, 110008, 110010),
    Outcome.NOTHING_TO_REDUCE: (110017, 110079),
    Outcome.REJECTED: (
        10001, 110003, 110009, 110011, 110013, 110018, 110020, 110021, 110023, 110028, 110040, 110045, 110059, 110074, 110090, 110092, 110093, 110094,
        170124, 170130, 170132, 170133, 170134, 170135, 170136, 170137, 170140, 170143, 170151, 170193, 170194,
    ),
    Outcome.NO_MARGIN: (110004, 110006, 110007, 110012, 110014, 110044, 110051, 110052, 110053, 170033, 170131),
    Outcome.POSITION_MODE: (110025, 110024, 110027),
    Outcome.CLOCK: (10002,),
    Outcome.RATE_LIMITED: (10006, 10018, 170222),
    Outcome.BANNED: (10009, 403, 429),
    Outcome.MAINTENANCE: (10008, 110099, 170234),
    Outcome.NOT_ALLOWED: (10003, 10004, 10005, 10010, 10024, 10027, 33004),
    Outcome.SETTLING: (110063,),
    Outcome.UNKNOWN: (10000, 10016, 10019, 170146, 170147, 500000, 504),
}  # fmt: skip
_MEXC: dict[Outcome, tuple[int, ...]] = {
    Outcome.ACCEPTED: (0, 200),
    Outcome.DUPLICATE: (603,),
    Outcome.NOT_FOUND: (2040, 2041, 2042, 5002),
    Outcome.NOTHING_TO_REDUCE: (2008, 2009),
    Outcome.REJECTED: (
        600, 601, 1001, 1002, 1003, 1004, 2001, 2002, 2003, 2004, 2006, 2007, 2011, 2013, 2014, 2015, 2016, 2023, 2024, 2025, 2026, 2028, 2029, 2030, 2031,
        2032, 2033, 2034, 2035, 2036, 2038, 3001, 3002, 3003, 3004, 4001, 5001, 5003, 5004, 6003, 6004, 6005,
    ),
    Outcome.NO_MARGIN: (2005, 2018),
    Outcome.POSITION_MODE: (2019, 2021, 2022, 2027),
    Outcome.CLOCK: (513, 700003),
    Outcome.RATE_LIMITED: (510, 2037),
    Outcome.BANNED: (403, 429),
    Outcome.MAINTENANCE: (604, 801, 1005),
    Outcome.NOT_ALLOWED: (401, 402, 406, 511, 602, 701, 702, 703, 704, 1000, 6001, 6002, 700001, 700002, 700004, 700005, 700006, 700007),
    Outcome.UNKNOWN: (500, 501, 506, 9999),
}  # fmt: skip
"""`603` (repeated request) is what a client id that is taken is answered with; `2008` (quantity insufficient) says that there is less to close than was said;
`2019`, `2021` and `2027` that the account's mode, leverage or margin is not as the order says."""

_BY_CODE = {
    "bybit": {code: outcome for outcome, codes in _BYBIT.items() for code in codes},
    "mexc": {code: outcome for outcome, codes in _MEXC.items() for code in codes},
}
_BY_STATUS = {400: Outcome.UNKNOWN, 401: Outcome.NOT_ALLOWED, 403: Outcome.BANNED, 404: Outcome.UNKNOWN, 418: Outcome.BANNED, 429: Outcome.BANNED}


def of_code(family: str, code: int | None) -> Outcome:
    """Say what a code in a venue's answer means; `family` is `bybit` or `mexc`. Whatever is not listed is of unknown outcome."""
    return Outcome.UNKNOWN if code is None else _BY_CODE[family].get(code, Outcome.UNKNOWN)


def of_status(status: int) -> Outcome:
    """Say what an HTTP status without a readable body means. A success without a body says nothing."""
    return _BY_STATUS.get(status, Outcome.UNKNOWN)


def known_codes(family: str) -> tuple[int, ...]:
    """List the codes of a venue whose meaning is known."""
    return tuple(_BY_CODE[family])
