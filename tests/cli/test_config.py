"""`titan config`."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from titan_core.cli.main import main

from .conftest import Installed


@pytest.fixture
def configured(installed: Installed) -> Path:
    """Make ./config with one file, and one plugin."""
    installed("good")
    directory = Path("config")
    directory.mkdir()
    (directory / "brain.toml").write_text("dwell_s = 60\n", "utf-8")
    return directory


def shown(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    return {row["key"]: row for row in json.loads(capsys.readouterr().out)["settings"]}


def test_every_value_is_shown_with_its_origin(configured: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TITAN_BRAIN__STALE_S", "7")
    assert main(["config", "show", "--set", "brain.drift_bps=1", "--json"]) == 0
    rows = shown(capsys)
    assert rows["brain.dwell_s"] == {"key": "brain.dwell_s", "value": 60, "unit": "s", "origin": "config/brain.toml:1"}
    assert rows["brain.stale_s"]["origin"] == "environment TITAN_BRAIN__STALE_S"
    assert rows["brain.drift_bps"]["origin"] == "--set brain.drift_bps"
    assert rows["brain.band_enter_bps"]["origin"] == "default"
    assert rows["trapper.token"]["value"] == "***"


def test_the_table_names_directory_and_digest(configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show"]) == 0
    out = capsys.readouterr().out
    assert "config/brain.toml:1" in out and "directory config · digest" in out and "s3cret" not in out


def test_the_directory_can_be_given(configured: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "brain.toml").write_text("dwell_s = 61\n", "utf-8")
    assert main(["config", "show", "--config", str(other), "--json"]) == 0
    assert shown(capsys)["brain.dwell_s"]["value"] == 61
    monkeypatch.setenv("TITAN_CONFIG", str(other))
    assert main(["config", "show", "--json"]) == 0
    assert shown(capsys)["brain.dwell_s"]["value"] == 61


def test_outside_a_checkout_the_defaults_apply(installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "validate"]) == 0
    assert "no directory, built-in defaults" in capsys.readouterr().out


def test_validate_reports_every_mistake_and_exits_with_4(configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (configured / "brain.toml").write_text('dwell = 60\nstale_s = "x"\n', "utf-8")
    assert main(["config", "validate"]) == 4
    text = " ".join(capsys.readouterr().err.split())
    assert text.count("error: ") == 2 and 'config/brain.toml:1: unknown key "dwell"' in text and "config/brain.toml:2: brain.stale_s" in text
    assert main(["config", "validate", "--json"]) == 4
    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    assert answer["ok"] is False and len(answer["problems"]) == 2 and captured.err == ""


def test_validate_says_what_is_valid(configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "validate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True


def test_other_commands_stop_at_a_bad_configuration_with_4(configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (configured / "brain.toml").write_text("dwell_s = -1\n", "utf-8")
    assert main(["phase", "list"]) == 4
    assert "brain.dwell_s must lie in 1 … 86400 s, found -1" in " ".join(capsys.readouterr().err.split())


def test_the_schema_is_a_json_schema_with_units(installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    installed("good")
    assert main(["config", "schema", "--json"]) == 0
    schema = json.loads(capsys.readouterr().out)
    width = schema["properties"]["trapper"]["properties"]["width_bps"]
    assert width == {"description": "width of a trap", "type": "integer", "default": 10, "minimum": 1, "maximum": 500, "x-unit": "bps"}
    token = schema["properties"]["trapper"]["properties"]["token"]
    assert token["default"] == "***" and token["writeOnly"] is True
    assert schema["properties"]["brain"]["additionalProperties"] is False
    assert "max_leverage" in schema["properties"]["trapper"]["properties"]["limits"]["properties"]


def test_the_schema_table_names_every_key(installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    installed("good")
    assert main(["config", "schema"]) == 0
    out = capsys.readouterr().out
    for word in ("trapper.limits", "max_leverage", "venues.bybit-linear", "taker_fee_ppm", "1 … 500 bps"):
        assert word in out


def test_a_section_is_printed_as_a_file_that_sets_nothing_and_uncommented_sets_the_defaults(installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    installed("good")
    Path("config").mkdir()
    for section in ("brain", "live", "replay", "venues", "trapper"):
        assert main(["config", "schema", "--toml", section]) == 0
        text = capsys.readouterr().out
        assert not any(tomllib.loads(text).values()) or section == "venues"
        Path("config", f"{section}.toml").write_text(re.sub(r"(?m)^#(\w)", r"\1", text).replace("***", "s3cret"), "utf-8")
    assert main(["config", "show", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert all(row["origin"].startswith("config/") for row in answer["settings"])
    by_file = answer["digest"]
    for file in Path("config").iterdir():
        file.unlink()
    assert main(["config", "validate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["digest"] == by_file


def test_an_unknown_section_is_a_usage_error(installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "schema", "--toml", "brian"]) == 2
    assert 'there is no section "brian"' in capsys.readouterr().err
