"""The typed confirmation before real money: a sentence that says how much, where and as what, typed at a terminal by somebody who has read it."""

import os
from collections.abc import Callable

from titan_core.errors import TitanError, UsageError
from titan_core.model.units import Money, to_usdt

LONGEST = 1_000
TERMINAL = "/dev/tty"


class NotConfirmed(TitanError):
    """Live trading was not confirmed; nothing was sent to the venue."""


def confirmation_phrase(name: str, venue: str, equity: Money) -> str:
    """Return what is to be typed: the account's equity in whole USDT, the venue and the session, so that none of them is taken for another."""
    return f"trade {int(to_usdt(equity))} USDT at {venue} as {name}"


def confirm(phrase: str, read: Callable[[str], str] | None = None) -> None:
    """Return if the phrase is typed, to the letter; there is one attempt. Raises NotConfirmed, and UsageError where there is no terminal to type it at.

    `read(prompt)` returns a line and raises EOFError where there is none; by default it is the terminal's.
    """
    try:
        typed = (read or read_at_terminal)(f"This trades with real money. To go on, type\n    {phrase}\n> ")
    except EOFError:
        raise NotConfirmed("nothing was typed; live trading was not begun") from None
    if typed.strip() != phrase:
        raise NotConfirmed(f"what was typed is not {phrase!r}; live trading was not begun")


def read_at_terminal(prompt: str) -> str:
    """Ask at the terminal of this process and return the line; neither what is piped in nor what was typed before is taken. Raises UsageError, EOFError."""
    import termios

    try:
        fd = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        raise UsageError("live trading is confirmed at a terminal, and there is none; start it from one, such as `tmux` or `ssh -t`") from None
    try:
        termios.tcflush(fd, termios.TCIFLUSH)
        os.write(fd, prompt.encode())
        line = os.read(fd, LONGEST)
    finally:
        os.close(fd)
    if not line:
        raise EOFError
    return line.decode("utf-8", "replace")
