"""One writer per journal: a file lock that the system itself takes back from a process that dies."""

import fcntl
import os
import weakref
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Protocol

from titan_core.journal.failures import JournalError, JournalLocked

LOCK_NAME = "lock"
DRAIN_S = 10.0
"""How long to wait for the writer of a process that was killed: it holds the lock until it has brought to disk what was sent to it."""


class WriterLock:
    """Holds the lock from construction to `release`. Raises JournalLocked, naming the process, where another holds it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK_NAME
        self.pid = os.getpid()
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self._acquire(monotonic() + DRAIN_S)
        except BlockingIOError:
            raise _locked(self.path, self._take_fd()) from None
        except OSError as error:
            os.close(self._take_fd())
            raise JournalError(f"cannot lock {self.path}: {error.strerror}; a journal needs a file system that has locks") from error
        self.taken_from = _read_pid(self._fd)
        """Process that wrote the journal before and did not give the lock back: it was killed. 0 where there was none."""
        self._write_pid(self.pid)
        close_in_children(self)

    def _acquire(self, until: float) -> None:
        while True:
            try:
                return fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # whoever has just taken it has yet to write its number
                pid = _read_pid(self._fd)
                if (pid and answers(pid)) or monotonic() > (until if pid else until - DRAIN_S + 0.5):
                    raise
                sleep(0.01)

    @property
    def fd(self) -> int:
        """The open lock file, for a process that is to hold the lock too."""
        return self._fd

    @property
    def held(self) -> bool:
        """Whether this process holds the lock; False in a child that was forked from the holder."""
        return self._fd >= 0

    def release(self) -> None:
        """Give the lock back. Does nothing the second time, and in a child process."""
        if self._fd < 0:
            return
        if os.getpid() == self.pid:
            self._write_pid(0)
        os.close(self._take_fd())

    def close_in_child(self) -> None:
        """Let go of the lock in a forked child without taking it from the parent: a child that lives on would hold it for a parent that was killed."""
        if self._fd >= 0:
            os.close(self._take_fd())

    def _take_fd(self) -> int:
        fd, self._fd = self._fd, -1
        return fd

    def _write_pid(self, pid: int) -> None:
        # the lock is the flock; the number is for the message only, so a full disk is no reason to stop
        with suppress(OSError):
            os.ftruncate(self._fd, 0)
            if pid:
                os.pwrite(self._fd, b"%d\n" % pid, 0)


class Forkable(Protocol):
    """Something that a forked child inherits and must let go of."""

    def close_in_child(self) -> None:
        """Let go of it in the child, without a change for the parent."""
        ...


def close_in_children(held: Forkable) -> None:
    """Have every child that is forked from now on let go of `held`, while there is one."""
    seen = weakref.ref(held)

    def close() -> None:
        alive = seen()
        if alive is not None:
            alive.close_in_child()

    os.register_at_fork(after_in_child=close)


def answers(pid: int) -> bool:
    """Whether a process of that number exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _read_pid(fd: int) -> int:
    text = os.pread(fd, 32, 0).strip()
    return int(text) if text.isdigit() else 0


def _locked(path: Path, fd: int) -> JournalLocked:
    pid = _read_pid(fd)
    os.close(fd)
    who = f"process {pid}" if pid else "another process"
    if pid and not answers(pid):
        return JournalLocked(f"process {pid} was killed, and its writer still waits for the disk with the journal {path.parent}; look after the disk", pid)
    return JournalLocked(f"{who} is writing the journal {path.parent}; stop it first (`titan stop`), or name another folder", pid)
