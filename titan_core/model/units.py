"""Units and the exact arithmetic of money.

Cash is an integer number of 1e-8 USDT. Everything that adds up is an integer, so no result depends on the order of summation;
where a division is needed the remainder goes against us (costs up, credits down).
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NewType

Money = NewType("Money", int)
"""1e-8 USDT."""

MONEY_PER_USDT = 100_000_000
RATE_SCALE = 100_000_000
"""Funding rates are integers of 1e-8 (0.0001 = 1 bp = 10_000)."""
PPM = 1_000_000
BPS = 10_000

US = 1_000
MS = 1_000_000
S = 1_000_000_000
MIN = 60 * S
H = 3600 * S
D = 86_400 * S

INT32_MIN = -(2**31)
INT32_MAX = 2**31 - 1
NEVER = 1 << 62
"""A time later than any tape; also the largest magnitude that a bound may take."""


def to_money(usdt: Decimal | int | str) -> Money:
    """Convert USDT to Money exactly. Raises ValueError where the amount has more than eight decimals."""
    scaled = Decimal(usdt) * MONEY_PER_USDT
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{usdt} USDT has more than eight decimals")
    return Money(int(scaled))


def credit(usdt: Decimal) -> Money:
    """Convert an amount we receive: rounded down to 1e-8 USDT."""
    return Money(int((usdt * MONEY_PER_USDT).to_integral_value(ROUND_FLOOR)))


def cost(usdt: Decimal) -> Money:
    """Convert an amount we pay: rounded up to 1e-8 USDT."""
    return Money(int((usdt * MONEY_PER_USDT).to_integral_value(ROUND_CEILING)))


def to_usdt(amount: int) -> Decimal:
    """Convert Money to USDT, exactly."""
    return Decimal(amount) / MONEY_PER_USDT


def ceil_div(numerator: int, denominator: int) -> int:
    """Divide and round towards plus infinity."""
    return -(-numerator // denominator)


def share(amount: int, bps: int) -> int:
    """Return `bps` basis points of `amount`, rounded down, without overflowing 64 bits where amount does not.

    The compiled kernels compute draw-down thresholds with exactly this expression.
    """
    return amount // BPS * bps + amount % BPS * bps // BPS
