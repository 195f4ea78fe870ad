"""Run `titan` at a terminal, as a person does."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Terminal:
    """A process with a terminal of its own."""

    def __init__(self, *arguments: str, columns: int = 80, rows: int = 24) -> None:
        self.main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environ = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "titan_core", *arguments],
            stdin=side,
            stdout=side,
            stderr=side,
            cwd=ROOT,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(side, termios.TIOCSCTTY, 0),
            env=environ | {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT)},
        )
        os.close(side)
        self.seen = ""

    def until(self, text: str, timeout_s: float = 20.0) -> str:
        """Read until the text has been seen; returns all that was."""
        end = time.monotonic() + timeout_s
        while text not in self.seen:
            assert self._read(end - time.monotonic()), f"{text!r} did not come; seen: {self.seen}"
        return self.seen

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self.main, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.type("\x03")

    def end(self, timeout_s: float = 20.0) -> int:
        """Wait for the end; returns the exit code."""
        end = time.monotonic() + timeout_s
        while self._read(end - time.monotonic()):
            pass
        code = self.process.wait(5)
        os.close(self.main)
        return code

    def kill(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def _read(self, seconds: float) -> bool:
        if seconds <= 0 or not select.select([self.main], [], [], seconds)[0]:
            return False
        try:
            part = os.read(self.main, 65_536)
        except OSError:  # the other side is closed
            return False
        self.seen += part.decode("utf-8", "replace")
        return bool(part)
