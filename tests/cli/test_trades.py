"""`titan trades` and `titan balance`."""

import json
from pathlib import Path

import msgspec
import pytest

from tests.app.control.fake import FakeSession, in_thread
from tests.app.control.pictures import NOW, calm, position, trade, usdt
from titan_core.app.control.messages import MAX_TRADES
from titan_core.app.live.status import TradeLine
from titan_core.cli import balance, trades
from titan_core.cli.main import main
from titan_core.cli.session_options import Picture


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TITAN_STATE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def test_the_newest_trades_are_listed_with_their_sum(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with in_thread(state / "paper"):
        assert main(["trades", "--last", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and max(map(len, lines)) <= 80
    assert "+4.25" in lines[-2] and "-2.50" in lines[1]
    assert lines[-1] == "3 trades, 2 won, net +6.00 USDT"


def test_json_holds_the_trades(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with in_thread(state / "paper"):
        assert main(["trades", "--json"]) == 0
    found = msgspec.convert(json.loads(capsys.readouterr().out), list[TradeLine])
    assert len(found) == 20 and found[-1] == trade(1)


@pytest.mark.parametrize("last", [0, -1, MAX_TRADES + 1])
def test_a_count_that_cannot_be_is_a_usage_error(state: Path, last: int) -> None:
    assert main(["trades", "--last", str(last)]) == 2
    assert trades.MOST == MAX_TRADES


def test_no_trade_is_said(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class New(FakeSession):
        def trades(self, last: int) -> list[TradeLine]:
            return []

    with in_thread(state / "paper", New()):
        assert main(["trades"]) == 0
        assert main(["trades", "--json"]) == 0
    assert capsys.readouterr().out == "no trade has ended yet\n[]\n"


@pytest.mark.parametrize("width", [20, 40, 80, 100, 140])
def test_tables_fit_their_terminal(width: int) -> None:
    seen = Picture(calm(), NOW, 0.2)
    for line in (*trades.draw([trade(1), trade(2, -1.0)], width), *balance.draw(seen, width)):
        assert line.cell_len <= width


def test_the_account_adds_up(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = FakeSession(calm(positions=(position(result=6.3), position(result=-2.1)), cash=usdt(1_019.25)))
    with in_thread(state / "paper", session):
        assert main(["balance", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert main(["balance"]) == 0
    assert found["cash"] + found["unrealised"] == found["equity"] == usdt(1_023.45)
    assert found["phases"] == {"scavenger": {"equity": usdt(1_023.45), "day_result": usdt(23.45)}, "hunter": {"equity": 0, "day_result": 0}} | {
        "sentinel": {"equity": 0, "day_result": 0}
    }
    shown = capsys.readouterr().out
    assert "paper account of session paper" in shown and "+4.20" in shown and "drawdown 1.59 %" in shown and "hunter" not in shown
