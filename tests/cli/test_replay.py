"""`titan replay` and `titan brain why` as a user types them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("titan_core.engine.replay", reason="numba is not installed")


def titan(*arguments: str, cwd: Path, columns: int = 100) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "COLUMNS": str(columns), "HOME": str(cwd), "PYTHONWARNINGS": "default"}
    return subprocess.run([sys.executable, "-m", "titan_core", *arguments], capture_output=True, text=True, cwd=cwd, env=environment, timeout=300)


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from titan_core.tape.generate import generate
    from titan_core.tape.store import write_tape

    path = tmp_path_factory.mktemp("tapes") / "day"
    instruments, raw = generate(1, 11, ticks_per_day=200_000)
    write_tape(path, instruments, raw)
    return path


@pytest.fixture(scope="module")
def run(tape: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    folder = tmp_path_factory.mktemp("out")
    done = titan("replay", "--tape", str(tape), "--out", "one", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "one", json.loads(done.stdout)


def test_json_stands_alone_on_stdout(run: tuple[Path, dict[str, object]]) -> None:
    folder, figures = run
    assert figures["run"] == "one" and figures["engine"] == "replay"
    assert (folder / "manifest.json").exists()


@pytest.mark.parametrize("columns", [80, 140])
def test_the_summary_fits_the_terminal_and_names_what_a_trader_asks(tape: Path, tmp_path: Path, columns: int) -> None:
    done = titan("replay", "--tape", str(tape), cwd=tmp_path, columns=columns)
    assert done.returncode == 0, done.stderr
    text = done.stdout
    for word in ("equity", "max drawdown", "fees", "funding", "win rate", "scavenger", "run folder", "digest"):
        assert word in text
    drawn = [line for line in text.splitlines() if line and line[0] in "╭│╰ "]
    assert drawn and max(len(line) for line in drawn) <= columns
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_the_reference_has_the_same_digest(tape: Path, run: tuple[Path, dict[str, object]], tmp_path: Path) -> None:
    done = titan("replay", "--tape", str(tape), "--engine", "reference", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["digest"] == run[1]["digest"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--from", "yesterday"], 2, "--from must be a time"),
        (["--from", "2030-01-01"], 2, "nothing of the tape"),
        (["--equity", "many"], 2, "--equity must be a number"),
        (["--equity", "-5"], 2, "--equity must lie above 0"),
        (["--phases", "scavanger"], 2, "did you mean 'scavenger'"),
        (["--set", "brain.dwel_s=3"], 4, "dwell_s"),
        (["--config", "nowhere"], 4, "nowhere"),
        (["--engine", "fast"], 2, "fast"),
    ],
)
def test_bad_input_is_named_with_what_is_allowed(tape: Path, tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    done = titan("replay", "--tape", str(tape), *arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists(), "nothing half-written is left"


def test_a_missing_tape_and_a_folder_that_exists_are_refused(tape: Path, tmp_path: Path) -> None:
    assert titan("replay", "--tape", "nowhere", cwd=tmp_path).returncode in (1, 2)
    (tmp_path / "there").mkdir()
    done = titan("replay", "--tape", str(tape), "--out", "there", cwd=tmp_path)
    assert done.returncode == 2 and "exists already" in done.stderr


def test_why_explains_the_moment_of_a_fill(run: tuple[Path, dict[str, object]]) -> None:
    folder, _ = run
    fill = json.loads((folder / "fills.jsonl").read_text().splitlines()[0])
    done = titan("brain", "why", "--run", str(folder), "--at", str(fill["ts_ns"]), cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    assert "operational" in done.stdout and "equity" in done.stdout
    told = json.loads(titan("brain", "why", "--run", str(folder), "--at", str(fill["ts_ns"]), "--json", cwd=folder.parent).stdout)
    assert told["last"] and any(row["kind"] == "fill" for row in told["decisions"])


def test_why_refuses_what_is_no_run_and_no_moment_of_it(run: tuple[Path, dict[str, object]], tmp_path: Path) -> None:
    assert titan("brain", "why", "--run", str(tmp_path), "--at", "2024-01-01", cwd=tmp_path).returncode == 2
    done = titan("brain", "why", "--run", str(run[0]), "--at", "2031-01-01", cwd=tmp_path)
    assert done.returncode == 2 and "outside the run" in done.stderr


@pytest.mark.parametrize("columns", [80, 140])
def test_several_tapes_are_one_life(tape: Path, tmp_path: Path, columns: int) -> None:
    from titan_core.tape.generate import generate
    from titan_core.tape.store import write_tape

    longer = tmp_path / "two-days"
    instruments, raw = generate(2, 11, ticks_per_day=200_000)
    write_tape(longer, instruments, raw)
    done = titan("replay", "--tape", str(tape), "--tape", str(longer), "--out", "life", cwd=tmp_path, columns=columns)
    assert done.returncode == 0, done.stderr
    assert "2 tapes, one account" in done.stdout and "what the Brain did" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= columns
    figures = json.loads((tmp_path / "life" / "life.json").read_text("utf-8"))
    folders = sorted(path.name for path in (tmp_path / "life").iterdir() if path.is_dir())
    assert folders == ["01-day", "02-two-days"]
    assert figures["rows"][1]["equity_start"] == figures["rows"][0]["equity_end"]
    back = titan("replay", "--tape", str(longer), "--tape", str(tape), cwd=tmp_path)
    assert back.returncode == 2 and "a life goes forward" in back.stderr


def test_a_phase_is_swapped_at_a_time(tape: Path, tmp_path: Path) -> None:
    done = titan("phase", "swap", "scavenger", "hunter", "--at", "2024-01-01T12:00", "--tape", str(tape), "--equity", "3000", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["by_phase"]["scavenger"]["state"] == "disabled" and figures["by_phase"]["hunter"]["state"] == "active"
    for wrong, words in (("scavenger", "OLD=NEW@TIME"), ("scavenger=hunters@2024-01-01T12:00", "no phase 'hunters' takes part")):
        refused = titan("replay", "--tape", str(tape), "--swap", wrong, cwd=tmp_path)
        assert refused.returncode == 2 and words in " ".join(refused.stderr.split())
