"""`titan status`: once, watched at a terminal, watched by a program, and where nothing answers."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from tests.app.control.fake import FakeSession, in_thread
from tests.app.control.processes import in_process
from tests.cli.terminal import ROOT, Terminal
from titan_core.app.control.server import Limits
from titan_core.app.live.status import SessionStatus
from titan_core.cli import status as command
from titan_core.cli.main import main


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TITAN_STATE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def test_the_picture_is_shown_with_its_age(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with in_thread(state / "paper"):
        assert main(["status"]) == 0
    shown = capsys.readouterr().out
    assert "TITAN · PAPER · built-in market 60x" in shown and "TRADING" in shown and "scavenger" in shown
    assert re.search(r"seen \d\.\d s ago", shown)
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_json_is_the_picture_and_nothing_else(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with in_thread(state / "paper") as session:
        assert main(["status", "--json", "--state", str(state), "--name", "paper"]) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert list(found) == ["taken_ns", "age_s", "session"]
    assert abs(time.time_ns() - found["taken_ns"]) < 60e9 and 0 <= found["age_s"] < 60
    assert list(found["session"]) == [field.name for field in msgspec.structs.fields(SessionStatus)]
    assert msgspec.convert(found["session"], SessionStatus) == session.now
    assert shown.err == ""


def test_where_nothing_runs_it_exits_with_3(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["status"],
        ["status", "--watch"],
        ["status", "--json"],
        ["trades"],
        ["balance"],
        ["stop"],
        ["panic", "--yes"],
        ["resume", "--reason", "x"],
    ):
        assert main(arguments) == 3, arguments
        shown = capsys.readouterr()
        assert shown.out == "" and "no session runs" in words(shown.err) and "`titan run` starts one" in words(shown.err)


def test_a_session_that_was_killed_is_said_to_be(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with in_process(state / "paper") as running:
        running.kill()
        running.wait()
        for arguments in (["status"], ["stop"], ["panic", "--yes"]):
            assert main(arguments) == 3
            assert f"(process {running.pid}) is gone: it was killed" in words(capsys.readouterr().err)


def test_one_that_is_killed_while_it_is_asked_is_exit_3(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with in_process(state / "paper", "dies"):
        assert main(["status"]) == 3
        assert "ended while it was asked" in words(capsys.readouterr().err)


def test_one_that_hangs_is_exit_5(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with in_process(state / "paper", "hangs"):
        assert main(["status", "--timeout", "0.3"]) == 5
        assert "is there and does not answer" in words(capsys.readouterr().err)


def test_where_several_run_one_has_to_be_named(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with in_thread(state / "paper"), in_thread(state / "second"):
        assert main(["status"]) == 2
        assert "2 sessions run: paper (paper, process" in words(capsys.readouterr().err)
        assert main(["status", "--name", "second"]) == 0
        assert main(["status", "--name", "third"]) == 3
        assert main(["status", "--name", "../paper"]) == 2


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_program_that_watches_gets_a_line_each_time(state: Path, monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str]) -> None:
    with in_process(state / "paper"):
        watching = subprocess.Popen(
            [sys.executable, "-m", "titan_core", "status", "--watch", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        )
        assert watching.stdout is not None
        lines = [watching.stdout.readline() for _ in range(2)]
        watching.send_signal(signal.SIGINT)
        out, err = watching.communicate(timeout=10)
    assert (watching.returncode, err) == (0, "")
    for line in lines:
        if arguments:
            assert json.loads(line)["session"]["name"] == "paper"
        else:
            assert re.match(r"\d\d-\d\d \d\d:\d\d:\d\d UTC  TRADING  equity 1,023\.45 \(\+23\.45\)  drawdown 1\.59 %", line)


def test_a_watch_ends_with_the_session(state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "REFRESH_S", 0.05)

    class Brief(FakeSession):
        def status(self) -> SessionStatus:
            if self.pictures == 4:
                asyncio.get_running_loop().call_soon(self._end)
            return super().status()

    with in_thread(state / "paper", Brief(), limits=Limits(picture_ns=0)):
        assert main(["status", "--watch"]) == 0
    shown = capsys.readouterr()
    assert shown.out.count("TRADING") >= 3 and "has ended; the last that was seen of it" in words(shown.err)


def test_a_watch_of_one_that_is_killed_exits_with_3(state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "REFRESH_S", 0.05)
    with in_process(state / "paper") as running:
        threading.Timer(0.5, running.kill).start()
        assert main(["status", "--watch"]) == 3
    said = words(capsys.readouterr().err)
    assert "it was killed" in said or "ended while it was asked" in said


def test_at_a_terminal_the_screen_is_left_as_it_was(state: Path) -> None:
    with in_process(state / "paper"):
        terminal = Terminal("status", "--watch")
        try:
            terminal.until("\x1b[?1049h")
            seen = terminal.until("1 position · 3 orders")
            assert "TITAN" in seen and "scavenger" in seen
            terminal.interrupt()
            assert terminal.end() == 0
        finally:
            terminal.kill()
    assert "\x1b[?1049l" in terminal.seen and "Traceback" not in terminal.seen and "Aborted" not in terminal.seen


def test_a_session_that_falls_silent_is_shown_as_of_then(state: Path) -> None:
    with in_process(state / "paper") as running:
        terminal = Terminal("status", "--watch", "--timeout", "0.3", columns=100)
        try:
            terminal.until("1 position · 3 orders")
            running.send_signal(signal.SIGSTOP)
            terminal.until("THIS PICTURE IS")
            terminal.until("does not answer")
            running.send_signal(signal.SIGCONT)
            terminal.seen = ""
            terminal.until("seen 0.")
            terminal.interrupt()
            assert terminal.end() == 0
        finally:
            terminal.kill()
