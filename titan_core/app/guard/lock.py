"""One guard per session's folder. A guard whose session has died makes way for the guard of the next one; one whose session lives does not."""

import fcntl
import os
import signal
import time
from pathlib import Path

import msgspec
from attrs import define
from msgspec import Struct

from titan_core.app.control.processes import is_alive, start_mark
from titan_core.errors import TitanError

LOCK_NAME = "guard.lock"
PATIENCE_S = 3.0
STEP_S = 0.1


class GuardLocked(TitanError):
    """Another guard is on duty for a session that lives."""


class Holder(Struct, frozen=True, kw_only=True):
    """Who holds the lock: a guard, and the session that it watches, each with the mark that tells it from a later process of its number."""

    pid: int
    mark: str
    session_pid: int
    session_mark: str


@define
class GuardLock:
    """Held from `take_lock` until the process ends."""

    fd: int


def take_lock(folder: Path, session_pid: int, session_mark: str) -> GuardLock:
    """Take the lock, from a guard without a session where need be: it is asked to go and after some seconds made to. Raises GuardLocked, OSError."""
    fd = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            _ask_to_go(_read(fd), is_late=time.monotonic() > until)
        if time.monotonic() > until + PATIENCE_S:
            os.close(fd)
            raise GuardLocked(f"{folder / LOCK_NAME} is held by a guard that does not end; end it by hand")
        time.sleep(STEP_S)
    pid = os.getpid()
    os.ftruncate(fd, 0)
    os.pwrite(fd, msgspec.json.encode(Holder(pid=pid, mark=start_mark(pid) or "", session_pid=session_pid, session_mark=session_mark)), 0)
    return GuardLock(fd)


def _ask_to_go(holder: Holder | None, *, is_late: bool) -> None:
    if holder is None or not is_alive(holder.pid, holder.mark):
        return  # it has just taken the lock, or just gone
    if is_alive(holder.session_pid, holder.session_mark):
        raise GuardLocked(f"process {holder.pid} guards this folder for session process {holder.session_pid}, which lives; stop that session first")
    os.kill(holder.pid, signal.SIGKILL if is_late else signal.SIGTERM)


def _read(fd: int) -> Holder | None:
    try:
        return msgspec.json.decode(os.pread(fd, 4_096, 0), type=Holder)
    except msgspec.DecodeError:
        return None
