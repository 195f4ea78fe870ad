"""Times as people write and read them on the command line: UTC, always."""

import re
from datetime import UTC, datetime, timedelta

from titan_core.errors import UsageError


def parse_moment(text: str, option: str, *, last: bool = False) -> int:
    """Return ns since 1970 of a UTC time. A date alone means its first nanosecond, its last one with `last`; 19 digits are taken as they are."""
    if re.fullmatch(r"\d{19}", text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        raise UsageError(f"{option} must be a time such as 2024-08-08 or 2024-08-08T23:55:00, found {text!r}") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    whole_day = last and re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) is not None
    since = moment - datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=1 if whole_day else 0)
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1_000 - (1 if whole_day else 0)
