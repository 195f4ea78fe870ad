"""Times written for people: UTC, by arithmetic alone, because the deterministic rooms know no clock and no calendar of the machine."""

from titan_core.model.units import S


def utc(ts_ns: int) -> str:
    """Write ns since 1970 as `2024-08-08 23:54:13 UTC`; fractions of a second are cut off."""
    days, seconds = divmod(ts_ns // S, 86_400)
    year, month, day = civil(days)
    return f"{year:04d}-{month:02d}-{day:02d} {seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d} UTC"


def civil(days: int) -> tuple[int, int, int]:
    """Return year, month, day of a number of days since 1970-01-01 in the proleptic Gregorian calendar.

    Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (civil_from_days): eras of 400 years that begin on 1 March.
    """
    shifted = days + 719_468
    era, of_era = divmod(shifted, 146_097)
    year_of_era = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    moved_month = (5 * of_year + 2) // 153
    day = of_year - (153 * moved_month + 2) // 5 + 1
    month = moved_month + 3 if moved_month < 10 else moved_month - 9
    return year_of_era + era * 400 + (month <= 2), month, day
