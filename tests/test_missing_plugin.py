"""Any one plugin may be missing: Titan starts, draws its chart without it, and says which capital nobody serves."""

import importlib.metadata
import json
from pathlib import Path

import pytest

from titan_core.cli.main import main

TRADING = {"scavenger": None, "hunter": "5,000 – 50,000", "sentinel": "50,000 and above"}
"""Each phase, and the capital that nobody serves without it. What lies below the lowest band is nobody's by design."""


@pytest.fixture(params=TRADING)
def missing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Hide one phase's entry point, as its removal does."""
    name: str = request.param
    real = importlib.metadata.entry_points

    def without(**selection: str) -> importlib.metadata.EntryPoints:
        return importlib.metadata.EntryPoints(point for point in real(**selection) if point.name != name)

    names = {point.name for point in real(group="titan.phases")}
    if not set(TRADING) <= names:
        pytest.skip(f"not all of Titan's phases are installed: {', '.join(sorted(names)) or 'none'}")
    monkeypatch.setattr("titan_core.plugin_host.entry_points", without)
    return name


def test_the_others_are_listed_and_the_gap_is_named(missing: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phase", "list"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"{missing}:" not in shown and all(f"{name}:" in shown for name in TRADING if name != missing)
    gap = TRADING[missing]
    assert (f"no installed phase serves an equity of {gap} USDT" in shown) if gap else "no installed phase serves" not in shown


def test_the_chart_is_drawn_without_it(missing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chart = tmp_path / "chart.mmd"
    assert main(["brain", "diagram", "--format", "mermaid", "--out", str(chart)]) == 0
    drawn = chart.read_text("utf-8")
    assert missing not in drawn and all(name in drawn for name in TRADING if name != missing)


def test_an_equity_below_the_first_phase_is_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    from titan_core.cli.options import unserved_bands
    from titan_core.plugin_host import discover

    declarations = [declaration for declaration in discover().declarations if declaration.id != "scavenger"]
    if len(declarations) < 2:
        pytest.skip("not all of Titan's phases are installed")
    (text,) = unserved_bands(declarations, 1_000 * 10**8)
    assert text == "an equity of 1,000.00 USDT lies below the 2,500 from which the first installed phase trades: nothing is entered"
    assert unserved_bands(declarations, 2_500 * 10**8) == []


def test_a_replay_runs(missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("titan_core.engine.replay", reason="numba is not installed")
    from titan_core.tape.generate import generate
    from titan_core.tape.store import write_tape

    write_tape(tmp_path / "day", *generate(1, 3, ticks_per_day=200_000))
    monkeypatch.chdir(tmp_path)
    assert main(["replay", "--tape", "day", "--equity", "3000", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert missing not in figures["by_phase"] and figures["fires"] > 0
