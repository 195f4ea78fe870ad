"""`titan doctor`."""

import json
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from titan_core.cli import doctor
from titan_core.cli.main import main

from .conftest import Installed


def examine(capsys: pytest.CaptureFixture[str], code: int) -> dict[str, dict[str, str]]:
    assert main(["doctor", "--json"]) == code
    return {check["check"]: check for check in json.loads(capsys.readouterr().out)["checks"]}


def test_a_sound_installation_passes(installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    installed("good")
    checks = examine(capsys, 0)
    assert {"python", "packages", "numba", "compile cache", "plugin good", "configuration", "disk"} <= set(checks)
    assert all(check["status"] != "fail" for check in checks.values())


def test_a_broken_or_unwell_plugin_fails(installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    installed("broken", "unwell")
    checks = examine(capsys, 1)
    assert checks["plugin broken"]["status"] == checks["plugin unwell"]["status"] == "fail"
    assert "no data" in checks["plugin unwell"]["detail"]


def test_a_bad_configuration_fails_with_its_mistakes(installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    Path("config").mkdir()
    Path("config/brain.toml").write_text("dwell = 1\n", "utf-8")
    check = examine(capsys, 1)["configuration"]
    assert check["status"] == "fail" and 'unknown key "dwell"' in check["detail"]


def test_without_numba_the_reference_engine_is_announced(installed: Installed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    check = examine(capsys, 0)["numba"]
    assert check["status"] == "warn" and "reference engine" in check["detail"]


def test_a_full_disk_fails(installed: Installed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: usage(2**40, 2**40, 1))
    assert examine(capsys, 1)["disk"]["status"] == "fail"


def test_a_missing_package_fails(installed: Installed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "requires", lambda name: ["attrs>=24.2", "no_such_package[fast]>=1", 'ccxt>=4; extra == "live"', 'absent; extra == "quant"'])
    checks = examine(capsys, 1)
    assert "missing: no_such_package;" in checks["packages"]["detail"]
    assert "absent not installed" in checks["extras"]["detail"]


def test_the_table_fits_a_terminal(installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert max(len(line) for line in capsys.readouterr().out.splitlines()) <= 80
