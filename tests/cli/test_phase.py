"""`titan phase`."""

import json

import pytest

from titan_core.cli.main import main

from .conftest import Installed


def test_phases_are_listed_with_the_limits_in_force(installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    installed("good", "broken")
    assert main(["phase", "list", "--set", "brain.max_total_leverage=10", "--json"]) == 0
    captured = capsys.readouterr()
    (phase,) = json.loads(captured.out)
    assert phase["phase"] == "trapper"
    assert phase["leverage"] == [10, 10]
    assert phase["daily_loss_bps"] == [300, 500, 700]
    assert phase["band_usdt"] == {"lower": "200", "upper": "5000"}
    assert "plugin 'broken'" in captured.err and "capped to 10" in captured.err


def test_the_table_shows_band_leverage_and_losses(installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    installed("good")
    assert main(["phase", "list"]) == 0
    shown = capsys.readouterr().out
    for fact in ("trapper", "200 – 5,000", "15–20x", "50 %", "3 / 5 / 7 %"):
        assert fact in shown


def test_a_phase_is_shown_with_its_keys_and_without_its_secrets(installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    installed("good")
    assert main(["phase", "show", "trapper"]) == 0
    shown = capsys.readouterr().out
    assert "width_bps" in shown and "width of a trap" in shown and "limits.max_leverage" in shown
    assert "s3cret" not in shown
    assert main(["phase", "show", "trapper", "--json"]) == 0
    settings = {row["key"]: row["value"] for row in json.loads(capsys.readouterr().out)["settings"]}
    assert (settings["trapper.width_bps"], settings["trapper.token"]) == (10, "***")


def test_an_unknown_phase_is_a_usage_error_with_a_suggestion(installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    installed("good")
    assert main(["phase", "show", "traper"]) == 2
    assert 'did you mean "trapper"?' in " ".join(capsys.readouterr().err.split())


def test_the_capital_that_nobody_serves_is_named(installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    installed("good")
    assert main(["phase", "list"]) == 0
    assert "no installed phase serves an equity of 5,000 and above USDT" in " ".join(capsys.readouterr().out.split())
    assert main(["doctor", "--json"]) in (0, 1)
    checks = {check["check"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["capital bands"]["status"] == "warn" and "5,000 and above" in checks["capital bands"]["detail"]


def test_no_phase_is_said_so(installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phase", "list"]) == 0
    assert "no phase is installed" in capsys.readouterr().out
