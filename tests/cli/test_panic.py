"""`titan panic`: typed at a terminal or said with --yes, followed until flat and locked; and `titan resume`."""

import json
import signal
from pathlib import Path

import pytest

from tests.app.control.fake import FakeSession, in_thread
from tests.app.control.processes import in_process
from tests.cli.terminal import Terminal
from tests.cli.test_status import words
from titan_core.brain.vocabulary import Emergency
from titan_core.cli.main import main


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TITAN_STATE", str(tmp_path))
    return tmp_path


def test_the_steps_are_told_until_it_is_flat_and_locked(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with in_thread(state / "paper") as session:
        assert main(["panic", "--yes", "--reason", "the exchange is on fire"]) == 0
        assert session.asked == [("panic", "the exchange is on fire")]
        assert session.now.brain == "emergency.locked"
    told = [line.split()[2] for line in capsys.readouterr().out.splitlines()]
    assert [word for word in told if word in ("gate", "entries", "flatten", "verify", "disable", "locked")] == [
        "gate",
        "entries",
        "flatten",
        "verify",
        "disable",
        "locked",
    ]
    assert told[-1] == "flat"


def test_json_holds_the_steps(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with in_thread(state / "paper"):
        assert main(["panic", "--yes", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["step"] for each in found["steps"]] == [str(step) for step in Emergency]
    assert (found["locked"], found["positions"], found["orders"], found["session"]) == (True, 0, 0, "paper")


def test_one_that_does_not_become_flat_is_exit_5_and_says_where_it_is(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with in_thread(state / "paper", FakeSession(manner="stuck")):
        assert main(["panic", "--yes", "--json", "--timeout", "0.6"]) == 5
    shown = capsys.readouterr()
    assert json.loads(shown.out)["locked"] is False and json.loads(shown.out)["positions"] == 1
    assert "is not flat and locked after 0.6 s (flattening); it goes on until it is" in words(shown.err)


def test_where_nobody_can_be_asked_nothing_is_done(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with in_thread(state / "paper") as session:
        assert main(["panic"]) == 2
        assert "nobody can be asked here; say --yes" in words(capsys.readouterr().err)
        assert main(["panic", "--yes", "--reason", "x" * 501]) == 2
        assert session.asked == []


@pytest.mark.parametrize(("typed", "code"), [("PANIC", 0), ("panic", 1), ("", 1), ("yes", 1)])
def test_at_a_terminal_the_word_has_to_be_typed(state: Path, typed: str, code: int) -> None:
    with in_process(state / "paper") as running:
        terminal = Terminal("panic")
        try:
            seen = terminal.until("Type PANIC to close everything at market: ")
            assert f"session 'paper' (process {running.pid}), paper: 1 position, 3 orders" in seen
            terminal.type(typed + "\n")
            assert terminal.end() == code
        finally:
            terminal.kill()
        assert ("flat and locked" in terminal.seen) == (code == 0)
        assert ("nothing was done" in terminal.seen) == (code == 1)


def test_whoever_stops_watching_stops_nothing(state: Path) -> None:
    with in_process(state / "paper", "stuck"):
        terminal = Terminal("panic", "--yes")
        try:
            terminal.until("1 position left")
            terminal.interrupt()
            assert terminal.end() == 130
        finally:
            terminal.kill()
        assert "goes on by itself" in words(terminal.seen)


def test_one_that_hangs_is_exit_5_and_its_fate_is_not_known(state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with in_process(state / "paper") as running:
        running.send_signal(signal.SIGSTOP)
        assert main(["panic", "--yes", "--timeout", "0.4"]) == 5
        assert "whether it has acted on the command is not known" in words(capsys.readouterr().err)


def test_resume_goes_on_from_locked_and_from_nowhere_else(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with in_thread(state / "paper") as session:
        assert main(["resume", "--reason", "why not"]) == 1
        assert "nothing waits for the operator" in words(capsys.readouterr().err)
        assert main(["panic", "--yes"]) == 0
        capsys.readouterr()
        assert main(["resume", "--reason", " looked at it ", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["before"], found["gate"]) == ("emergency.locked", "open") and found["after"].startswith("operational: ")
        assert session.asked[-1] == ("resume", "looked at it")


@pytest.mark.parametrize("arguments", [["resume"], ["resume", "--reason", "  "], ["resume", "--reason", "x" * 501]])
def test_a_resume_has_a_reason(state: Path, arguments: list[str]) -> None:
    with in_thread(state / "paper") as session:
        assert main(arguments) == 2
        assert session.asked == []
