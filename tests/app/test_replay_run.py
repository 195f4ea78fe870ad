"""A whole replay: phases from their plugins, the Brain, the ledger, the run folder; both forms of the engine, several processes."""

import json
import subprocess
import sys
from decimal import Decimal

import pytest

from titan_core.app.replay_run import ReplayRequest, run_replay, save_run
from titan_core.app.results import summary
from titan_core.app.why import explain
from titan_core.config.load import load_config
from titan_core.engine.forms import Form
from titan_core.errors import UsageError
from titan_core.model.units import MONEY_PER_USDT, Money
from titan_core.plugin_host import discover
from titan_core.tape.generate import generate
from titan_core.tape.tape import build_tape
from titan_core.telemetry.run_folder import read_lines, read_manifest

pytest.importorskip("titan_core.engine.replay", reason="numba is not installed")

TICKS = 200_000
CASH = Money(1_000 * MONEY_PER_USDT)
PROGRAM = f"""
from titan_core.app.replay_run import ReplayRequest, run_replay
from titan_core.config.load import load_config
from titan_core.model.units import Money
from titan_core.plugin_host import discover
from titan_core.tape.generate import generate
from titan_core.tape.tape import build_tape
report = discover()
tape = build_tape(*generate(1, 5, ticks_per_day={TICKS}))
run = run_replay(ReplayRequest(tape, {{}}, Money({CASH})), report.phases, load_config(None, report.declarations, environ={{}}))
print(run.composition.engine.record.digest)
"""


@pytest.fixture(scope="module")
def tape():
    return build_tape(*generate(1, 5, ticks_per_day=TICKS))


@pytest.fixture(scope="module")
def phases():
    found = discover().phases
    if not found:
        pytest.skip("no phase plugin is installed")
    return found


@pytest.fixture(scope="module")
def config(phases):
    return load_config(None, [phase.declaration for phase in phases], environ={})


def replayed(tape, phases, config, form=Form.REPLAY, **kwargs):
    return run_replay(ReplayRequest(tape, {"seed": 5}, CASH, form, **kwargs), phases, config)


@pytest.fixture(scope="module")
def results(tape, phases, config):
    return replayed(tape, phases, config)


def test_the_reference_takes_the_same_decisions(tape, phases, config, results):
    slow = replayed(tape, phases, config, Form.REFERENCE)
    assert slow.composition.engine.record.entries == results.composition.engine.record.entries
    assert results.composition.engine.record.fills, "a run without a fill shows nothing"


def test_runs_in_other_processes_have_the_same_digest(results):
    for seed in ("0", "1"):
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed, "PATH": ""})
        assert done.stdout.strip() == results.composition.engine.record.digest


def test_the_ledger_agrees_with_the_account_to_the_last_unit(results):
    engine = results.composition.engine
    assert results.ledger.cash == engine.account.cash
    assert results.curve.equity[-1] == engine.account.equity2(engine.value2) // 2
    assert sum(book.fees for book in results.ledger.books.values()) == engine.account.fees


def test_the_summary_has_what_is_promised_and_survives_json(results):
    figures = json.loads(json.dumps(summary(results)))
    for name in ("digest", "events", "fires", "fills", "equity_start", "equity_end", "fees", "max_drawdown", "by_phase", "wall_s", "ticks_per_s"):
        assert name in figures
    assert figures["equity_start"] == 1000.0
    assert figures["by_phase"]["scavenger"]["trades"] == figures["trades"]
    assert Decimal(str(figures["equity_end"])) == Decimal(int(results.curve.equity[-1])) / MONEY_PER_USDT


def test_the_run_folder_tells_the_whole_story(results, config, tmp_path):
    save_run(tmp_path / "run", results, config, source={"seed": 5}, packages=["titan_core"], arguments={})
    manifest = read_manifest(tmp_path / "run")
    record = results.composition.engine.record
    assert manifest["digest"] == record.digest and manifest["config_digest"] == config.digest and len(manifest["code_digest"]) == 64
    assert len(read_lines(tmp_path / "run", "decisions.jsonl")) == len(record.entries)
    assert len(read_lines(tmp_path / "run", "fills.jsonl")) == len(record.fills)
    trades = read_lines(tmp_path / "run", "trades.jsonl")
    assert len(trades) == len(results.ledger.trips) and {trade["phase"] for trade in trades} == {"scavenger"}
    rows = (tmp_path / "run" / "equity.csv").read_text().splitlines()
    assert rows[0] == "ts_ns,equity,cash" and len(rows) == len(results.curve.ts_ns) + 1
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["digest"] == record.digest


def test_a_past_moment_is_explained_with_the_guards_behind_it(results, config, tmp_path):
    save_run(tmp_path / "run", results, config, source={}, packages=[], arguments={})
    fill = results.composition.engine.record.fills[0]
    told = explain(tmp_path / "run", fill.ts_ns)
    assert "scavenger active" in told.configuration or "scavenger reduced" in told.configuration
    assert told.last and told.last[0].amounts["equity2"] > 0
    assert any(row["kind"] == "fill" and row["client_order_id"] == fill.client_order_id for row in told.decisions)
    with pytest.raises(UsageError, match="outside the run"):
        explain(tmp_path / "run", 5)


def test_deleting_the_future_changes_no_earlier_decision(tape, phases, config, results):
    entries = results.composition.engine.record.entries
    cut = entries[len(entries) // 2][1]
    raw = {(s.instrument, s.kind): s for s in tape.streams if s.kind != "basis"}
    from titan_core.tape.columns import SPECS

    kept = {}
    for key, stream in raw.items():
        rows = int((stream.ts <= cut).sum())
        if rows:
            kept[key] = {name: stream.columns[name][:rows] for name in SPECS[stream.kind].raw}
    short = replayed(build_tape(tape.instruments, kept), phases, config)
    before = [entry for entry in entries if entry[1] < cut]
    assert [entry for entry in short.composition.engine.record.entries if entry[1] < cut] == before


def test_a_window_uses_what_came_before_it_as_history(tape, phases, config):
    start = tape.first_ns + (tape.last_ns - tape.first_ns) // 2
    window = replayed(tape, phases, config, start_ns=start, end_ns=start + 3 * 3600 * 10**9)
    assert all(start - 1 <= entry[1] <= start + 3 * 3600 * 10**9 for entry in window.composition.engine.record.entries)
    assert window.curve.ts_ns[0] == start
    with pytest.raises(UsageError, match="nothing of the tape"):
        replayed(tape, phases, config, start_ns=tape.last_ns + 1)
