"""`titan brain diagram` and `titan brain check`."""

import json
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from titan_core.brain import chart as chart_module
from titan_core.brain.chart import Trigger
from titan_core.cli.main import main

from .conftest import Installed


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["brain", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    ("form", "start"),
    [
        ("mermaid", "stateDiagram-v2"),
        ("dot", "digraph brain {"),
        ("svg", "<?xml"),
        ("scxml", "<?xml"),
        ("html", "<!DOCTYPE html>"),
        ("markdown", "# The Brain"),
    ],
)
def test_a_diagram_is_written_to_stdout(capsys: pytest.CaptureFixture[str], form: str, start: str) -> None:
    code, out, err = run(capsys, "diagram", "--format", form, "--phases", "2")
    assert (code, err) == (0, "")
    assert out.startswith(start)
    assert "phase_2" in out or form == "markdown"


@pytest.mark.parametrize(("name", "start"), [("a.svg", "<?xml"), ("a.HTML", "<!DOCTYPE html>"), ("a.dot", "digraph"), ("a.txt", "stateDiagram-v2")])
def test_the_format_follows_the_name_of_the_file(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, start: str) -> None:
    code, out, err = run(capsys, "diagram", "--phases", "0", "--out", str(tmp_path / name))
    assert (code, out) == (0, "")
    assert "wrote" in err
    assert (tmp_path / name).read_text("utf-8").startswith(start)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    code, _, err = run(capsys, "diagram", "--phases", "0", "--out", str(tmp_path / "taken"))
    assert code == 1
    assert "taken" in err
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
    code, _, err = run(capsys, "diagram", "--phases", "0", "--out", str(tmp_path / "missing" / "a.svg"))
    assert code == 2
    assert "does not exist" in " ".join(err.split())


def test_the_live_states_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "diagram", "--phases", "1", "--live", "risk.warning, phase_1.active")
    assert code == 0
    marked = {line.split()[1] for line in out.splitlines() if line.strip().startswith("class ")}
    assert marked == {"operational_risk_warning", "operational_link_down", "operational_control_running", "operational_phases_phase__1_active"}


@pytest.mark.parametrize(
    ("live", "message"),
    [
        ("nowhere", "fits none"),
        ("reduced", "fits operational.risk.reduced"),
        ("risk.normal,risk.halted", "cannot be active together"),
        ("locked,risk.normal", "cannot be active"),
    ],
)
def test_impossible_live_states_are_usage_errors(capsys: pytest.CaptureFixture[str], live: str, message: str) -> None:
    code, out, err = run(capsys, "diagram", "--phases", "1", "--live", live)
    assert (code, out) == (2, "")
    assert message in " ".join(err.split())


def test_too_many_nameless_phases_are_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "check", "--phases", "99")
    assert code == 2
    assert "at most 16" in err


def test_the_installed_phases_are_drawn_and_a_broken_plugin_stops_nothing(installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    installed("good", "broken")
    for phases in ([], ["--phases", "trapper"]):
        code, out, err = run(capsys, "check", "--json", *phases)
        assert (code, json.loads(out)["phases"]) == (0, ["trapper"])
        assert "plugin 'broken'" in err
    code, _, err = run(capsys, "check", "--phases", "trapper,ghost")
    assert code == 2
    assert "ghost; installed: trapper" in " ".join(err.split())


def test_a_check_prints_the_properties_and_the_counts(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check", "--phases", "3")
    assert code == 0
    assert out.count("holds") == 6
    assert "12,298 configurations explored" in out
    assert "transitions fired" in out


def test_a_check_as_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check", "--phases", "0", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["ok"] is True
    assert report["configurations"] == 34
    assert report["wall_s"] >= 0


def test_a_broken_chart_ends_with_exit_code_1_and_a_path(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    sound = chart_module.chart_of

    def broken(phases: list[str]) -> chart_module.Chart:
        chart = sound(phases)
        return attrs.evolve(chart, transitions=tuple(row for row in chart.transitions if (row.trigger, row.source) != (Trigger.PANIC, "stopping")))

    monkeypatch.setattr(chart_module, "chart_of", broken)
    code, out, _ = run(capsys, "check", "--phases", "1")
    assert code == 1
    assert "broken" in out
    assert "property 2 does not hold: panic is refused in stopping" in out
    code, out, _ = run(capsys, "check", "--phases", "1", "--json")
    assert code == 1
    assert json.loads(out)["counter_examples"][0]["path"][0]["event"] == "stop"


def test_drawing_and_checking_need_neither_the_machine_nor_numbers() -> None:
    code = (
        "import sys; from titan_core.cli.main import main;"
        "main(['brain', 'check', '--phases', '1']); main(['brain', 'diagram', '--phases', '1', '--format', 'html']);"
        "sys.exit(any(name in sys.modules for name in ('transitions', 'numpy', 'numba', 'ccxt')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.DEVNULL).returncode == 0
