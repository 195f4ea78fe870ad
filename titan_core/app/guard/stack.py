"""What a hanging session was doing: its own interpreter writes the stacks down, without the lock that the hanging code may hold, and the guard reads them.

`faulthandler` waits in a thread that needs nothing of the interpreter. It is armed anew with every sign of life, so it writes only when none comes.
"""

import faulthandler
import os
import re
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from titan_core.app.guard.page import shared_file

LONGEST = 1 << 16
FRAMES = 12
_FRAME = re.compile(r'^  File "(?P<file>[^"]*)", line (?P<line>\d+|\?\?\?) in (?P<name>.*)$')
_STATES = {"T": "stopped (SIGSTOP)", "t": "stopped by a debugger", "D": "waiting for the disk or a driver", "R": "computing", "S": "waiting"}


class StackWriter:
    """The session's side: arms the alarm. One in a process, on the thread of the loop."""

    def __init__(self) -> None:
        self.fd = shared_file("titan-stacks")

    def arm(self, after_s: float) -> None:
        """Have all stacks written down unless this is called again within that time."""
        faulthandler.cancel_dump_traceback_later()
        os.ftruncate(self.fd, 0)
        os.lseek(self.fd, 0, os.SEEK_SET)
        faulthandler.dump_traceback_later(after_s, file=self.fd)

    def close(self) -> None:
        """Disarm the alarm."""
        faulthandler.cancel_dump_traceback_later()
        os.close(self.fd)


@frozen
class Stack:
    """One thread's stack: frames as `file:line in function`, innermost first."""

    frames: tuple[tuple[str, str, str], ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """The frames in words, as many as one wants to read."""
        return tuple(f"{file}:{line} in {name}" for file, line, name in self.frames[:FRAMES])

    def culprit(self, code: Mapping[str, str]) -> tuple[str, str]:
        """Return the phase whose code is innermost on the stack, and where it is; `code` gives folder or file of each phase's code. Empty where none is."""
        for file, line, name in self.frames:
            found = [phase for phase, path in code.items() if file == path or file.startswith(path.rstrip(os.sep) + os.sep)]
            if found:
                return " or ".join(sorted(found)), f"{Path(file).name}:{line} in {name}"
        return "", ""


def read_stack(fd: int, thread: int) -> Stack:
    """Read what was written down of one thread; empty where nothing was."""
    text = os.pread(fd, LONGEST, 0).decode("utf-8", "replace")
    frames, is_ours = [], False
    for line in text.splitlines():
        if line.startswith(("Thread ", "Current thread ")):
            is_ours = f"0x{thread:016x}" in line
        elif is_ours and (found := _FRAME.match(line)):
            frames.append((found["file"], found["line"], found["name"]))
    return Stack(tuple(frames))


def state_of(pid: int, proc: Path = Path("/proc")) -> str:
    """Say what the system knows of a process: whether it is stopped, computing, waiting; empty where it does not tell."""
    try:
        text = (proc / str(pid) / "stat").read_text("ascii", "replace")
    except OSError:
        return ""
    return _STATES.get(text.rpartition(")")[2].split()[0], "")
