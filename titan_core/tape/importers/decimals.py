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
    """It has more decimals than the scale; the value is rounded down to the scale."""


@frozen(eq=False)
class Numbers:
    """Numbers as mantissa × 10^-decimals; `trouble` marks those that could not be read."""

    mantissa: Ints
    decimals: Ints
    trouble: NDArray[np.int8]

    def every(self, start: int, step: int) -> "Numbers":
        """Return every `step`-th number from `start` on."""
        return Numbers(self.mantissa[start::step], self.decimals[start::step], self.trouble[start::step])

    def fine(self, scale: int) -> tuple[Ints, NDArray[np.int8]]:
        """Return the values as integers of 10^-scale, with the trouble of each. Unreadable and too large values are 0."""
        out, trouble = np.zeros(len(self.mantissa), np.int64), self.trouble.copy()
        for decimals in np.unique(self.decimals).tolist():
            rows = slice(None) if len(self.decimals) and (self.decimals == decimals).all() else np.flatnonzero(self.decimals == decimals)
            values = self.mantissa[rows]
            if decimals > scale:
                out[rows], rest = np.divmod(values, 10 ** min(decimals - scale, _MOST_DIGITS))
                trouble[rows] = np.where((rest != 0) & (trouble[rows] == 0), Trouble.TOO_FINE, trouble[rows])
            else:
                factor = 10 ** (scale - decimals)
                fits = np.abs(values) <= _INT64_MAX // factor
                out[rows] = np.where(fits, values, 0) * np.int64(min(factor, _INT64_MAX))
                trouble[rows] = np.where(fits | (trouble[rows] != 0), trouble[rows], Trouble.TOO_LARGE)
        return out, trouble


def read_numbers(tokens: Sequence[str] | Sequence[bytes]) -> Numbers:
    """Read one number per token."""
    if not tokens:
        return Numbers(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int8))
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
    return Numbers(mantissa, decimals, np.zeros(count, np.int8))


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


def exact(token: str | bytes) -> tuple[int, int, Trouble]:
    """Read one number in any notation, exponents included: (mantissa, decimals, trouble)."""
    try:
        text = token if isinstance(token, str) else token.decode("ascii")
        if not text.isascii() or "_" in text:
            return 0, 0, Trouble.UNREADABLE
        value = Decimal(text)
        sign, digits, exponent = value.as_tuple()
    except (InvalidOperation, ValueError):
        return 0, 0, Trouble.UNREADABLE
    if not isinstance(exponent, int):
        return 0, 0, Trouble.UNREADABLE
    mantissa = int("".join(map(str, digits)))
    while mantissa and mantissa % 10 == 0:
        mantissa, exponent = mantissa // 10, exponent + 1
    if mantissa == 0:
        return 0, 0, Trouble.NONE
    if exponent > 0:
        mantissa, exponent = mantissa * 10 ** min(exponent, 2 * _MOST_DIGITS), 0
    if mantissa >= 10**_MOST_DIGITS:
        over = len(str(mantissa)) - _MOST_DIGITS
        if -exponent - over < PRICE_DECIMALS:
            return 0, 0, Trouble.TOO_LARGE
        mantissa, exponent = mantissa // 10**over, exponent + over
    return -mantissa if sign else mantissa, -exponent, Trouble.NONE


def _read_each(tokens: Sequence[str] | Sequence[bytes]) -> Numbers:
    rows = [exact(token) for token in tokens]
    table = np.array(rows, np.int64).reshape(-1, 3)
    return Numbers(np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1]), table[:, 2].astype(np.int8))


def times_to_ns(values: Ints) -> Ints:
    """Convert times of unknown unit to nanoseconds: seconds, ms, µs and ns since 1970 are told apart by their size."""
    factors = np.select([values < 10**11, values < 10**14, values < 10**17], [10**9, 10**6, 10**3], 1)
    return values * factors.astype(np.int64)


def seconds_to_ns(text: bytes) -> int:
    """Convert decimal seconds since 1970 to nanoseconds, digits beyond the ninth dropped. Raises ValueError."""
    whole, _, fraction = text.partition(b".")
    return int(whole) * 10**9 + (int(fraction[:9].ljust(9, b"0")) if fraction else 0)
