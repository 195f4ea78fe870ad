"""One guard a folder."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from titan_core.app.control.processes import start_mark
from titan_core.app.guard.lock import GuardLocked, take_lock

HOLD = """
import signal, sys, time
from pathlib import Path
from titan_core.app.guard.lock import take_lock
if sys.argv[4] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
lock = take_lock(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
print("held", flush=True)
time.sleep(60)
"""


def holder(folder: Path, session_pid: int, mark: str, manner: str = "polite") -> "subprocess.Popen[bytes]":
    """Start a guard that holds the lock."""
    made = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), str(session_pid), mark, manner],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert made.stdout is not None and made.stdout.readline() == b"held\n"
    made.stdout.close()
    return made


def own_mark() -> str:
    return start_mark(os.getpid()) or ""


def test_a_guard_whose_session_lives_is_left_alone(tmp_path: Path) -> None:
    other = holder(tmp_path, os.getpid(), own_mark())
    try:
        with pytest.raises(GuardLocked, match=f"process {other.pid} guards this folder"):
            take_lock(tmp_path, 1, "x")
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
    os.close(take_lock(tmp_path, os.getpid(), own_mark()).fd)


@pytest.mark.parametrize(("manner", "ended_by"), [("polite", signal.SIGTERM), ("stubborn", signal.SIGKILL)])
def test_a_guard_whose_session_has_died_makes_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manner: str, ended_by: int) -> None:
    monkeypatch.setattr("titan_core.app.guard.lock.PATIENCE_S", 0.5)
    other = holder(tmp_path, os.getpid(), "another start of this number", manner)
    began = time.monotonic()
    lock = take_lock(tmp_path, os.getpid(), own_mark())
    assert time.monotonic() - began < 5
    assert other.wait(5) == -ended_by
    os.close(lock.fd)
