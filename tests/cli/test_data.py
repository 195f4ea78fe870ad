import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tape.importers.recordings import quote, record, trade
from titan_core.cli.main import main
from titan_core.tape.store import open_tape, read_manifest

HEADER = "ts_ms,funding_rate\n"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return record(tmp_path / "r.gz", [quote(1), trade(1), trade(2), quote(2), trade(5)], packed=True)


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = main(["data", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> Any:
    found, out, _ = run(capsys, *arguments, "--json")
    assert found == code
    return json.loads(out)


def test_import_accounts_for_every_message(recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = run_json(capsys, "import", recording, "--tape", tmp_path / "tape")
    assert data["messages"] == {"trade": 3, "bookTicker": 2} and data["lines"] == 5 and data["rows"] == {"gap": 1, "quote": 2, "trade": 3}
    assert data["instrument"]["id"] == "BTCUSDT.binance-usdm" and data["instrument"]["tick_size"] == "0.1" and data["instrument"]["grid"] == "known"
    (fault,) = data["faults"]
    assert fault["kind"] == "gap" and fault["line"] == 5 and data["digest"] == open_tape(tmp_path / "tape").digest


def test_import_prints_counts_faults_and_clock(recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "import", recording, "--tape", tmp_path / "tape")
    assert code == 0 and err == ""
    for fact in ("BTCUSDT.binance-usdm, tick 0.1, lot 0.001 (known)", "5 lines of r.gz", "bookTicker", "gap", "2 missing", "receive time minus event time"):
        assert fact in " ".join(out.split())


def test_called_again_it_adds_to_the_tape(recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "import", recording, "--tape", tmp_path / "tape")
    funding = tmp_path / "binance_usdm_BTCUSDT_funding.csv"
    funding.write_text(HEADER + "1700006400000,0.0001\n")
    data = run_json(capsys, "import", funding, "--tape", tmp_path / "tape")
    assert data["format"] == "funding" and [s.kind for s in read_manifest(tmp_path / "tape").streams] == ["gap", "quote", "trade", "funding"]


def test_grid_venue_and_symbol_can_be_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "f.csv").write_text(HEADER + "1700006400000,0.0001\n")
    said = ["--format", "funding", "--venue", "bybit-linear", "--symbol", "NEWUSDT", "--tick", "0.5", "--lot", "0.1"]
    data = run_json(capsys, "import", tmp_path / "f.csv", "--tape", tmp_path / "tape", *said)
    instrument = data["instrument"]
    assert (instrument["id"], instrument["tick_size"], instrument["lot_size"], instrument["grid"]) == ("NEWUSDT.bybit-linear", "0.5", "0.1", "given")


def test_a_cut_off_file_is_imported_with_a_loud_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record(tmp_path / "cut.gz", [quote(n) for n in range(3000)], packed=True)
    path.write_bytes(path.read_bytes()[:-1500])
    code, out, err = run(capsys, "import", path, "--tape", tmp_path / "tape")
    assert code == 0 and "WARNING: cut.gz is cut off" in " ".join(err.split()) and "truncated" in out
    assert read_manifest(tmp_path / "tape").gaps


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["absent.gz"], 1, "no such file"),
        (["junk.csv"], 2, "give --format"),
        (["junk.csv", "--format", "weather"], 2, "'weather' is not one of"),
        (["r.gz", "--tick", "none"], 2, "--tick must be a number above 0"),
        (["r.gz", "--lot", "-1"], 2, "--lot must be a number above 0"),
        (["r.gz", "--market", "spot"], 1, "those of Binance usdm, not spot"),
        (["r.gz", "--format", "bybit-ws", "--market", "linear"], 1, "is a binance-ws file, not bybit-ws"),
        (["old.txt"], 1, "protocol from before V5"),
    ],
)
def test_what_cannot_be_imported_leaves_no_tape(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("junk.csv").write_text("a,b\n1,2\n")
    Path("old.txt").write_text('{"topic":"orderBookL2_25.BTCUSD","type":"snapshot","data":[]}\n')
    found, out, err = run(capsys, "import", *arguments, "--tape", "tape")
    assert found == code and out == "" and text in " ".join(err.replace("│", " ").split())
    assert not Path("tape").exists()


def test_list_shows_sound_and_damaged_tapes(recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two", "hurt"):
        run(capsys, "import", recording, "--tape", tmp_path / "tapes" / name)
    manifest = tmp_path / "tapes" / "hurt" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"rows": 2', '"rows": 3', 1))
    code, out, err = run(capsys, "list", tmp_path / "tapes")
    assert code == 0 and "BTCUSDT.binance-usdm" in out and "damaged" in out and "was changed after it was written" in " ".join(err.split())
    rows = run_json(capsys, "list", tmp_path)
    assert [Path(row["tape"]).name for row in rows] == ["hurt", "one", "two"]
    assert rows[1]["ticks"] == 6 and rows[1]["faults"] == 1 and rows[1]["gaps"] == 1 and rows[1]["from"].startswith("2023-11-14") and rows[0]["error"]


def test_list_of_nothing_says_how_to_make_a_tape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "titan data generate" in run(capsys, "list", tmp_path)[1]
    code, _, err = run(capsys, "list", tmp_path / "absent")
    assert code == 2 and "is no folder" in " ".join(err.split())


def test_verify_tells_sound_from_damaged(recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tape = tmp_path / "tape"
    run(capsys, "import", recording, "--tape", tape)
    assert "is sound" in " ".join(run(capsys, "verify", tape)[1].split())
    entry = read_manifest(tape).files[0]
    content = bytearray((tape / entry.path).read_bytes())
    content[-1] ^= 1
    (tape / entry.path).write_bytes(bytes(content))
    code, out, _ = run(capsys, "verify", tape)
    assert code == 1 and "is damaged" in out
    data = run_json(capsys, "verify", tape, code=1)
    assert data["ok"] is False and entry.path in data["problems"][0]
    assert run(capsys, "verify", tmp_path / "absent")[0] == 1


def test_generate_makes_the_same_tape_from_the_same_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = run_json(capsys, "generate", "--days", "1", "--seed", "3", "--tape", tmp_path / "a")
    second = run_json(capsys, "generate", "--days", "1", "--seed", "3", "--tape", tmp_path / "b")
    assert first["digest"] == second["digest"] and first["ticks"] > 100_000
    assert {stream["stream"] for stream in first["streams"]} >= {"quote", "trade", "mark", "funding", "open_interest", "liquidation", "basis"}
    assert run_json(capsys, "verify", tmp_path / "a")["ok"]
    code, out, err = run(capsys, "generate", "--seed", "4", "--tape", tmp_path / "a")
    assert code == 0 and "ticks" in out and err == "" and open_tape(tmp_path / "a").digest != first["digest"]


def test_generate_refuses_no_days(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "generate", "--days", "0", "--tape", tmp_path / "a")
    assert code == 2 and "at least 1" in err and not (tmp_path / "a").exists()


def test_help_needs_no_numpy() -> None:
    script = "import sys; import titan_core.cli.data; sys.exit('numpy' in sys.modules or 'numba' in sys.modules or 'msgspec' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).resolve().parents[2], check=False).returncode == 0


def test_a_plain_gzip_of_bars_named_like_the_shared_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "ts_ms,open,high,low,close,volume\n1700000040000,100.0,101.0,99.0,100.5,2\n1700000100000,100.5,101.0,99.0,100.0,2\n"
    path = tmp_path / "bybit_linear_BTCUSDT_1m_x.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    data = run_json(capsys, "import", path, "--tape", tmp_path / "tape")
    assert data["messages"] == {"bar": 2} and read_manifest(tmp_path / "tape").bars_only == {"BTCUSDT.bybit-linear": 60_000_000_000}
