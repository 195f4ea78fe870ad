"""`titan plugin`."""

import json

import pytest

from titan_core.cli.main import main

from .conftest import Installed


def test_a_broken_plugin_is_listed_and_breaks_nothing(installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    installed("good", "broken")
    assert main(["plugin", "list", "--json"]) == 0
    rows = {row["plugin"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["good"]["status"], rows["good"]["phase"]) == ("ok", "trapper")
    assert rows["broken"]["status"] == "broken" and "no licence" in rows["broken"]["reason"]
    assert main(["plugin", "list"]) == 0
    assert "no licence" in capsys.readouterr().out


def test_no_plugin_is_said_so(installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin", "list"]) == 0
    assert "no phase plugin is installed" in capsys.readouterr().out
    assert main(["plugin", "doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("kind", "code", "status", "detail"),
    [("good", 0, "ok", "healthy"), ("unwell", 1, "fail", "no data"), ("broken", 1, "broken", "no licence")],
)
def test_the_doctor_says_what_is_wrong(installed: Installed, capsys: pytest.CaptureFixture[str], kind: str, code: int, status: str, detail: str) -> None:
    installed(kind)
    assert main(["plugin", "doctor", "--json"]) == code
    (row,) = json.loads(capsys.readouterr().out)
    assert row["status"] == status and detail in row["detail"]


def test_the_doctor_shows_the_traceback_of_a_broken_plugin(installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    installed("broken", "good")
    assert main(["plugin", "doctor"]) == 1
    shown = capsys.readouterr().out
    assert "Traceback (most recent call last)" in shown and "cli_plugin_broken.py" in shown
