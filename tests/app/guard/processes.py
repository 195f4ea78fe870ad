"""Processes of a test: started with what they are to do, listened to, and ended with the test whatever it came to."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from titan_core.app.control.processes import start_mark

from .venue import KEY, Venue

HERE, ROOT = Path(__file__).parent, Path(__file__).resolve().parents[3]
TIMES = {"hang_s": 1.0, "beat_s": 0.2, "look_s": 0.5, "timeout_s": 1.0, "answer_s": 2.5, "pause_s": 0.2}


def until(holds: Callable[[], Any], within_s: float = 15.0) -> Any:
    """Wait until something holds and return it."""
    end = time.monotonic() + within_s
    while not (found := holds()):
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)
    return found


def is_gone(pid: int) -> bool:
    return start_mark(pid) is None


class Child:
    """A process with a guard."""

    def __init__(self, script: str, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / script), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        self.heard: list[dict[str, Any]] = []
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.say(json.dumps(settings))
        self.guard: int = self.wait_for("ready")["guard"]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def say(self, words: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()

    def wait_for(self, event: str, within_s: float = 20.0, **words: str) -> dict[str, Any]:
        """Return the next event of that kind in which the words are found."""
        end = time.monotonic() + within_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {event} with {words} within {within_s} s; heard {self.heard}; log {self.log}") from None
            assert line is not None, f"the process has ended; heard {self.heard}; log {self.log}"
            self.heard.append(line)
            if line["event"] == event and all(part in str(line[name]) for name, part in words.items()):
                return line

    @property
    def log(self) -> str:
        path = self.folder / "guard.log"
        return path.read_text() if path.exists() else ""

    def until(self, holds: Callable[[], Any], within_s: float = 15.0) -> Any:
        """Wait until something holds and return it."""
        try:
            return until(holds, within_s)
        except AssertionError:
            self.forget()
            raise AssertionError(f"it did not come to pass; heard {self.heard}; log {self.log}") from None

    def forget(self) -> None:
        """Take what was said so far for heard."""
        while not self._lines.empty():
            line = self._lines.get()
            assert line is not None, self.log
            self.heard.append(line)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def close(self) -> None:
        for pid in {self.guard, *(each["pid"] for each in self.heard if "pid" in each)} if hasattr(self, "guard") else ():
            if pid and str(self.folder) in _log_of(pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()


def _log_of(pid: int) -> str:
    """Return where the standard error of a process leads: that of a guard into the folder of its session, so that no other process is taken for one."""
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/fd/2")
    return ""


@contextmanager
def session(script: str, venue: Venue, folder: Path, **settings: Any) -> Iterator[Child]:
    """Start a session that ends with the block."""
    times = TIMES | settings.pop("times", {})
    child = Child(script, folder, {"url": venue.url, "key": KEY.key, "secret": KEY.secret, "times": times, **settings})
    try:
        yield child
    finally:
        child.close()
