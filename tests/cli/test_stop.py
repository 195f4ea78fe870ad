"""`titan stop`: it returns when the process has ended, and says how."""

import json
import threading
import time
from pathlib import Path

import pytest

from tests.app.control.processes import in_process
from tests.cli.test_status import words
from titan_core.cli.main import main


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TITAN_STATE", str(tmp_path))
    return tmp_path


def test_it_returns_once_the_process_has_ended(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with in_process(state / "paper") as running:
        assert main(["stop"]) == 0
        assert running.wait(1) == 0
        shown = capsys.readouterr()
        assert f"session 'paper' (process {running.pid}) has ended after" in shown.out
        assert "positions stay under their stops at the venue" in words(shown.err)
        assert main(["stop"]) == 3


def test_json_says_what_was_done(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with in_process(state / "paper") as running:
        assert main(["stop", "--flatten", "--json"]) == 0
        shown = capsys.readouterr()
        found = json.loads(shown.out)
        assert found.pop("waited_s") < 20
        assert found == {"session": "paper", "pid": running.pid, "stopped": True, "flatten": True}
        assert "closes its positions" in words(shown.err) and "0 positions, 0 orders" in shown.err


def test_one_that_does_not_end_is_exit_5(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with in_process(state / "paper", "stays") as running:
        assert main(["stop", "--timeout", "0.8"]) == 5
        assert "has not ended after 0.8 s (1 position, 0 orders); it goes on stopping" in words(capsys.readouterr().err)
        assert running.poll() is None


def test_one_that_dies_on_the_way_is_told_from_one_that_has_ended(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with in_process(state / "paper", "crashes"):
        assert main(["stop"]) == 1
        assert "has ended, but not as it should" in words(capsys.readouterr().err)


def test_a_new_session_of_the_name_is_not_waited_for(state: Path) -> None:
    """The process that was asked is meant, not the folder."""
    with in_process(state / "paper") as running:
        code: list[int] = []
        waiting = threading.Thread(target=lambda: code.append(main(["stop"])))
        waiting.start()
        assert running.wait(10) == 0
        with in_process(state / "paper"):
            waiting.join(5)
            assert code == [0]
            time.sleep(0)
