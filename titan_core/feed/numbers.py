"""Exact steps of a grid out of a venue's decimal numbers, one at a time and fast: prices and sizes repeat, so most are a look-up.

The rule is that of the tape's importers (`titan_core.tape.importers.decimals` and `target.to_steps`); they convert whole columns, this converts as it comes.
"""

from decimal import Decimal
from math import gcd

from titan_core.model.units import INT32_MAX
from titan_core.tape.columns import PRICE_MAX
from titan_core.tape.faults import FaultKind
from titan_core.tape.importers.decimals import read_number

REMEMBERED = 4096
"""Numbers kept per table; a full one starts over. Most repetitions come soon, and a small table stays in the processor's cache."""
_MOST_DECIMALS = 18


class BadNumber(ValueError):
    """A number that is no number, does not lie on the grid, or does not fit into a column."""

    def __init__(self, kind: FaultKind, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Steps(dict[str, int]):
    """`steps[text]` is the number of steps of the grid that a decimal string stands for. Raises BadNumber.

    With `nearest`, what lies between two steps goes to the nearest one (halves to even), as is right for averages such as mark prices.
    """

    __slots__ = ("_limit", "_nearest", "_scales", "_step", "_what")

    def __init__(self, step: Decimal, what: str, *, nearest: bool = False, limit: int = PRICE_MAX) -> None:
        super().__init__()
        self._step = step
        self._what = what
        self._nearest = nearest
        self._limit = limit
        sign, digits, exponent = step.as_tuple()
        assert isinstance(exponent, int) and not sign
        size: int = int("".join(map(str, digits))) * 10 ** max(exponent, 0)
        up: int = 10 ** max(-exponent, 0)
        self._scales: list[tuple[int, int]] = [(up // gcd(up, size * 10**d), size * 10**d // gcd(up, size * 10**d)) for d in range(_MOST_DECIMALS + 1)]

    def __missing__(self, text: str) -> int:
        digits = text.replace(".", "", 1)
        size = len(digits)
        steps: int
        if digits.isdigit() and size <= _MOST_DECIMALS and digits.isascii():
            up, down = self._scales[0 if size == len(text) else size - text.find(".")]
            steps, rest = divmod(int(digits) * up, down)
            if rest:
                steps = self._between(text, steps, rest, down)
        else:
            steps = self._exotic(text)
        if steps > self._limit:
            raise BadNumber(FaultKind.OUT_OF_RANGE, f"{self._what} {text} is {steps} steps of {self._step:f}; a column holds at most {self._limit}")
        if len(self) >= REMEMBERED:
            self.clear()
        self[text] = steps
        return steps

    def _between(self, text: str, steps: int, rest: int, unit: int) -> int:
        if not self._nearest:
            raise BadNumber(FaultKind.OFF_GRID, f"{self._what} {text} is not a multiple of {self._step:f}; read the instrument's rules again")
        return steps + (rest * 2 > unit or (rest * 2 == unit and steps % 2 != 0))

    def _exotic(self, text: str) -> int:
        """Convert what is not plainly written: exponents, signs, many digits."""
        value = read_number(text)
        if value is None:
            raise BadNumber(FaultKind.BAD_LINE, f"{self._what} {text!r} is not a number")
        if value < 0:
            raise BadNumber(FaultKind.OUT_OF_RANGE, f"{self._what} {text} is below zero")
        if value.adjusted() - self._step.adjusted() > _MOST_DECIMALS:
            raise BadNumber(FaultKind.OUT_OF_RANGE, f"{self._what} {text} is too large")
        numerator, denominator = value.as_integer_ratio()
        up, down = self._scales[0]
        steps, rest = divmod(numerator * up, denominator * down)
        return self._between(text, steps, rest, denominator * down) if rest else steps


class NumberSteps(dict[Decimal, int]):
    """The same for venues that send JSON numbers, exponents included; msgspec reads those exactly as Decimal."""

    __slots__ = ("_steps",)

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self._steps = steps

    def __missing__(self, value: Decimal) -> int:
        steps = self._steps[format(value, "f")] if -40 < value.adjusted() < 40 else self._steps[str(value)]
        if len(self) >= REMEMBERED:
            self.clear()
        self[value] = steps
        return steps


def price_steps(tick: Decimal) -> Steps:
    """Return the table for prices that lie on the grid."""
    return Steps(tick, "price")


def size_steps(lot: Decimal) -> Steps:
    """Return the table for sizes that lie on the grid."""
    return Steps(lot, "size", limit=INT32_MAX)


def level_steps(lot: Decimal) -> Steps:
    """Return the table for sizes shown in a book, rounded to the nearest lot: what is older than the grid lies between lots."""
    return Steps(lot, "size", nearest=True, limit=INT32_MAX)


def mark_steps(tick: Decimal) -> Steps:
    """Return the table for mark and index prices: averages, rounded to the nearest tick."""
    return Steps(tick, "mark price", nearest=True)


def interest_steps(lot: Decimal) -> Steps:
    """Return the table for open interest, rounded to the nearest lot."""
    return Steps(lot, "open interest", nearest=True, limit=INT32_MAX)
