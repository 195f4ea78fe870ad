"""`titan sim` in a process of its own."""

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.builders import Script
from titan_core.cli.main import main
from titan_core.tape.store import write_tape
from titan_core.tape.tape import StreamKey


def start(*arguments: str) -> "subprocess.Popen[str]":
    code = f"import sys; from titan_core.cli.main import main; sys.exit(main({['sim', '--port', '0', *arguments]!r}))"
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ask(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


def test_it_listens_answers_and_stops_cleanly(tmp_path: Path) -> None:
    script = Script().quote(60_000.0)
    supply = script.supply()
    raw: dict[StreamKey, Any] = {}
    for (role, kind), columns in next(supply.spans).items():
        raw[(supply.perp if role == "perp" else supply.spot).id, kind] = columns
    write_tape(tmp_path / "tape", (supply.spot, supply.perp), raw)
    rules = tmp_path / "faults.json"
    rules.write_text(json.dumps([{"kind": "status", "venue": "mexc", "status": 429}]))
    running = start("--tape", str(tmp_path / "tape"), "--balance", "500", "--faults", str(rules), "--json")
    try:
        assert running.stdout is not None
        told = json.loads(running.stdout.readline())
        assert told["event"] == "listening" and told["bybit"]["rest"].startswith("http://127.0.0.1:")
        (ticker,) = ask(told["bybit"]["rest"] + "/v5/market/tickers?category=linear&symbol=BTCUSDT")["result"]["list"]
        assert 59_000 < float(ticker["bid1Price"]) < 61_000
        with pytest.raises(urllib.error.HTTPError, match="429"):
            ask(told["mexc"]["rest"] + "/contract/ping")
        assert ask(told["control"] + "/state")["accounts"]["bybit"]["cash"] == "500"
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=10)
    finally:
        running.kill()
        running.wait()
    assert (running.returncode, err) == (0, "")
    assert json.loads(out)["event"] == "stopped"


def test_a_store_outlives_a_killed_process(tmp_path: Path) -> None:
    def run(*arguments: str, then: int) -> dict[str, Any]:
        running = start("--store", str(tmp_path / "venue"), "--speed", "60", "--json", *arguments)
        try:
            assert running.stdout is not None
            told = json.loads(running.stdout.readline())
            found: dict[str, Any] = ask(told["control"] + "/state")
            running.send_signal(then)
            running.communicate(timeout=10)
        finally:
            running.kill()
            running.wait()
        return found

    first = run("--seed", "3", "--balance", "500", then=signal.SIGKILL)
    second = run("--balance", "9000", then=signal.SIGINT)
    assert first["now_ns"] < second["now_ns"] < first["now_ns"] + 3_600 * 10**9
    assert second["accounts"]["bybit"]["cash"] == "500"
    assert main(["sim", "--port", "0", "--seed", "4", "--store", str(tmp_path / "venue")]) == 2
    (tmp_path / "note").write_text("not a venue")
    assert main(["sim", "--port", "0", "--store", str(tmp_path / "note")]) == 1


def test_without_json_it_says_where_it_is_and_how_to_get_there() -> None:
    running = start("--seed", "2")
    try:
        assert running.stdout is not None
        lines = [running.stdout.readline()]
        while lines[-1] and "redirect(exchange" not in lines[-1]:  # to the last one: what a reader has buffered, communicate() does not see
            lines.append(running.stdout.readline())
        running.send_signal(signal.SIGTERM)
        out, _ = running.communicate(timeout=10)
    finally:
        running.kill()
        running.wait()
    text = "".join(lines) + out
    for part in (
        "the venue in a box listens at http://127.0.0.1:",
        "/bybit/v5/public/linear",
        "/mexc/edge",
        "/binance/stream",
        "redirect(exchange",
        "bybit: 0 orders",
    ):
        assert part in text, part
    assert running.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "70000"], "port 70000 is out of range"),
        (["--speed", "0"], "speed 0 is out of range"),
        (["--faults", "missing.json"], "there is no fault script missing.json"),
        (["--balance", "-1"], "must not be negative"),
    ],
)
def test_what_cannot_be_is_a_usage_error(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--port", "0", *arguments]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
