"""Nobody trades real money by accident."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titan_core.cli.confirm import NotConfirmed, confirm, confirmation_phrase
from titan_core.errors import UsageError
from titan_core.model.units import Money

ROOT = Path(__file__).resolve().parents[2]
PHRASE = confirmation_phrase("live", "bybit", Money(123_499_999_999))


def test_the_phrase_says_how_much_where_and_as_what() -> None:
    assert PHRASE == "trade 1234 USDT at bybit as live"
    assert confirmation_phrase("a", "mexc", Money(0)) == "trade 0 USDT at mexc as a"


def test_the_phrase_confirms_and_is_shown_with_a_warning() -> None:
    shown: list[str] = []

    def read(prompt: str) -> str:
        shown.append(prompt)
        return f"  {PHRASE}\n"

    confirm(PHRASE, read)
    assert "real money" in shown[0] and PHRASE in shown[0] and len(shown) == 1


@given(st.text() | st.sampled_from(["y", "yes", "", PHRASE[:-1], PHRASE.upper(), PHRASE + ".", PHRASE.replace("1234", "123"), PHRASE.replace("bybit", "mexc")]))
def test_nothing_else_confirms_and_there_is_one_attempt(typed: str) -> None:
    reads = iter([typed, PHRASE])
    if typed.strip() == PHRASE:
        return
    with pytest.raises(NotConfirmed, match="not begun"):
        confirm(PHRASE, lambda prompt: next(reads))
    assert next(reads) == PHRASE


def test_silence_does_not_confirm() -> None:
    def read(prompt: str) -> str:
        raise EOFError

    with pytest.raises(NotConfirmed, match="nothing was typed"):
        confirm(PHRASE, read)


CHILD = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from titan_core.cli.confirm import confirm
from titan_core.errors import TitanError
try:
    confirm({PHRASE!r})
except TitanError as error:
    print(type(error).__name__, error)
else:
    print("CONFIRMED")
"""


def test_what_is_piped_in_confirms_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", CHILD], input=f"{PHRASE}\n", capture_output=True, text=True, timeout=20, start_new_session=True)
    assert done.stdout.startswith(f"{UsageError.__name__} live trading is confirmed at a terminal") and not done.stderr


@pytest.mark.parametrize(("typed", "early", "answer"), [(PHRASE, "", "CONFIRMED"), ("yes", "", "NotConfirmed"), ("no", f"{PHRASE}\n", "NotConfirmed")])
def test_at_a_terminal_the_phrase_is_typed_after_it_was_shown(typed: str, early: str, answer: str) -> None:
    """With stdin taken by something else; what was typed before the question is not taken for its answer."""
    terminal, theirs = pty.openpty()
    takes = "import fcntl, sys, termios\nfcntl.ioctl(int(sys.argv[1]), termios.TIOCSCTTY, 0)\n"
    child = subprocess.Popen(
        [sys.executable, "-c", takes + CHILD, str(theirs)],
        stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, pass_fds=[theirs], start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    os.write(terminal, early.encode())
    shown, end, asked = b"", time.monotonic() + 20, False
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            shown += os.read(terminal, 4096)
        except OSError:
            break
        if b"> " in shown and not asked:
            time.sleep(0.1)
            os.write(terminal, f"{typed}\n".encode())
            asked = True
    child.wait(10)
    os.close(terminal)
    assert answer in shown.decode(), shown
