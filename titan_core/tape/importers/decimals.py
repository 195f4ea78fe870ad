"""Exact numbers out of text, many at a time: decimal strings become integers and never pass through a float.

A number is kept as mantissa × 10^-decimals. On the common *fine* scale prices are integers of 1e-10 and sizes of 1e-8, fine enough for every venue's
grid and coarse enough for 64 bits; `grid.py` turns them into ticks and lots once the whole file has been seen.
"""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from enum import IntEnum

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

PRICE_DECIMALS = 10
SIZE_DECIMALS = 8

_DIGITS = b"0123456789"
_PLAIN = _DIGITS + b".,-"
_MOST_DIGITS = 18
_INT64_MAX = 2**63 - 1

Ints = NDArray[np.int64]


class Trouble(IntEnum):
    """Why a token did not become an exact integer of the wanted scale."""

    NONE = 0
    UNREADABLE = 1
    TOO_LARGE = 2
    TOO_FINE = 3
    """It has more decimals than the scale; the value is cut off there."""


@frozen(eq=False)
class Numbers:
    """Numbers as mantissa × 10^-decimals, or, where some are written in another way, as `exact` values (None for what is no number)."""

    mantissa: Ints
    decimals: Ints
    exact: tuple[Decimal | None, ...] | None = None

    def every(self, start: int, step: int) -> "Numbers":
        """Return every `step`-th number from `start` on."""
        return Numbers(self.mantissa[start::step], self.decimals[start::step], None if self.exact is None else self.exact[start::step])

    def fine(self, scale: int) -> tuple[Ints, NDArray[np.int8]]:
        """Return the values as integers of 10^-scale, with the trouble of each. Unreadable and too large values are 0."""
        if self.exact is not None:
            rows = [_scaled(value, scale) for value in self.exact]
            return np.array([value for value, _ in rows], np.int64), np.array([trouble for _, trouble in rows], np.int8)
        out, trouble = np.zeros(len(self.mantissa), np.int64), np.zeros(len(self.mantissa), np.int8)
        for decimals in np.unique(self.decimals).tolist():
            rows_of = slice(None) if (self.decimals == decimals).all() else np.flatnonzero(self.decimals == decimals)
            values = self.mantissa[rows_of]
            if decimals > scale:
                whole = np.abs(values) // 10 ** (decimals - scale)
                out[rows_of] = np.sign(values) * whole
                trouble[rows_of] = np.where(whole * 10 ** (decimals - scale) == np.abs(values), Trouble.NONE, Trouble.TOO_FINE)
            else:
                fits = np.abs(values) <= _INT64_MAX // 10 ** (scale - decimals)
                out[rows_of] = np.where(fits, values, 0) * np.int64(10 ** (scale - decimals))
                trouble[rows_of] = np.where(fits, Trouble.NONE, Trouble.TOO_LARGE)
        return out, trouble


def read_numbers(tokens: Sequence[str] | Sequence[bytes]) -> Numbers:
    """Read one number per token."""
    if not tokens:
        return Numbers(np.zeros(0, np.int64), np.zeros(0, np.int64))
    text = b",".join(tokens) if isinstance(tokens[0], bytes) else ",".join(tokens).encode()  # type: ignore[arg-type]
    fast = read_joined(text, len(tokens))
    return fast if fast is not None else _read_each(tokens)


def read_joined(text: bytes, count: int) -> Numbers | None:
    """Read `count` numbers separated by commas, or return None where the text holds anything but plain decimal numbers."""
    if count == 0 or text.translate(None, _PLAIN):
        return None
    raw = np.frombuffer(text, np.uint8)
    marks = np.flatnonzero(raw < 48)
    if len(marks) == 2 * count - 1 and (raw[marks[0::2]] == 46).all() and (raw[marks[1::2]] == 44).all():
        dots, ends = marks[0::2], np.append(marks[1::2], len(raw))
        digits = np.diff(ends, prepend=-1) - 2
        decimals = ends - dots - 1
    else:
        layout = _layout(raw, marks, count)
        if layout is None:
            return None
        digits, decimals = layout
    if int(digits.min()) < 1 or int(digits.max()) > _MOST_DIGITS:
        return None
    mantissa = np.fromstring(text.translate(None, b"."), np.int64, sep=",")
    return Numbers(mantissa, decimals)


def _layout(raw: NDArray[np.uint8], marks: NDArray[np.intp], count: int) -> tuple[Ints, Ints] | None:
    """Return digits and decimals of each token where some lack a decimal point or have a sign; None where the text is not plain numbers."""
    signs = raw[marks]
    commas, dots, minus = marks[signs == 44], marks[signs == 46], marks[signs == 45]
    if len(commas) + 1 != count:
        return None
    ends = np.append(commas, len(raw))
    starts = np.append(0, commas + 1)
    owner, place = np.searchsorted(ends, dots), np.searchsorted(ends, minus)
    if (np.diff(owner) <= 0).any() or not np.array_equal(minus, starts[place]):
        return None
    digits, decimals = ends - starts, np.zeros(count, np.int64)
    digits[owner] -= 1
    digits[place] -= 1
    decimals[owner] = ends[owner] - dots - 1
    return digits, decimals


def read_number(token: str | bytes) -> Decimal | None:
    """Read one number in any notation, exponents included; None for what is no finite number."""
    try:
        text = token if isinstance(token, str) else token.decode("ascii")
        value = Decimal(text) if text.isascii() and "_" not in text else None
    except (InvalidOperation, ValueError):
        return None
    return value if value is not None and value.is_finite() else None


def _scaled(value: Decimal | None, scale: int) -> tuple[int, Trouble]:
    if value is None:
        return 0, Trouble.UNREADABLE
    if not value:
        return 0, Trouble.NONE
    if value.adjusted() + scale > _MOST_DIGITS:
        return 0, Trouble.TOO_LARGE
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    if len(digits) + exponent + scale < 0:
        return 0, Trouble.TOO_FINE
    mantissa, shift = int("".join(map(str, digits))), exponent + scale
    whole, rest = (mantissa * 10**shift, 0) if shift >= 0 else divmod(mantissa, 10**-shift)
    if whole > _INT64_MAX:
        return 0, Trouble.TOO_LARGE
    return -whole if sign else whole, Trouble.TOO_FINE if rest else Trouble.NONE


def _read_each(tokens: Sequence[str] | Sequence[bytes]) -> Numbers:
    nothing = np.zeros(len(tokens), np.int64)
    return Numbers(nothing, nothing, tuple(read_number(token) for token in tokens))


def times_to_ns(values: Ints) -> Ints:
    """Convert times of unknown unit to nanoseconds: seconds, ms, µs and ns since 1970 are told apart by their size.

    What is a time between 2001 and 2128 in none of these units becomes 0.
    """
    factors = np.zeros(len(values), np.int64)
    for power in (0, 3, 6, 9):
        factors[(values >= 10 ** (18 - power)) & (values < 5 * 10 ** (18 - power))] = 10**power
    return values * factors


def is_time(value: int) -> bool:
    """Return whether a number is a time between 2001 and 2128 in seconds, ms, µs or ns."""
    return any(10**power <= value < 5 * 10**power for power in (9, 12, 15, 18))


def seconds_to_ns(text: bytes) -> int:
    """Convert decimal seconds since 1970 to nanoseconds, digits beyond the ninth dropped. Raises ValueError."""
    whole, _, fraction = text.partition(b".")
    return int(whole) * 10**9 + (int(fraction[:9].ljust(9, b"0")) if fraction else 0)
