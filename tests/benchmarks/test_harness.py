"""The benchmark harness: the rule in plain Python, the comparison of results, the peers' environment and workers, records and tables."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import __main__ as command
from benchmarks import _compare as compare
from benchmarks import _harness as harness
from benchmarks import replay
from benchmarks._harness import Bar, PeerEnvironment, PeerUnavailable, Verdict, Worker
from benchmarks._slice import generated_slice, save, slice_of, spaced
from benchmarks.level_rule import MIN_STEP_NS, LevelFill, LevelRule, MarketSlice, TickLists, fitted_rule, python_handlers, python_loop, python_loop_rate
from titan_core.errors import UsageError
from titan_core.model.units import S

PEERS = Path(harness.__file__).parent / "peers"
START = 1_000_000 * S
THIN = 200_000
"""The fewest ticks a day that the generated market may have."""
Tick = tuple[int, int, int]
"""Seconds after START; then bid and 0 for a quote one tick wide, or price and signed lots of a print."""


def market(*rows: Tick) -> MarketSlice:
    quotes = [(START + at * S, first, first + 1, 5, 5) for at, first, signed in rows if not signed]
    trades = [(START + at * S, first, signed) for at, first, signed in rows if signed]
    quote_columns = np.array(quotes, np.int64).reshape(-1, 5).T
    trade_columns = np.array(trades, np.int64).reshape(-1, 3).T
    return MarketSlice(
        dict(zip(("ts", "bid", "ask", "bid_lots", "ask_lots"), quote_columns, strict=True)),
        dict(zip(("ts", "price", "signed_lots"), trade_columns, strict=True)),
    )


STORY = market(
    (1, 99, 0),
    (2, 100, 1),
    (3, 120, 1),
    (4, 100, -1),
    # the period ends at 10 s: levels at 105 and 95
    (11, 105, 0),
    (12, 106, 1),  # sold at 105; levels at 111 and 101
    (13, 102, 0),
    (14, 101, -1),  # closed at 103; levels at 106 and 96
    (15, 91, 0),
    (16, 90, -1),  # bought at 92
    # the period ends at 20 s: closed at 91
    (21, 80, 0),
)
RULE = LevelRule(step_ticks=5, period_ns=10 * S)


def test_the_rule_fades_a_level_exits_at_the_next_and_times_out() -> None:
    result = python_loop(TickLists.of(STORY), RULE)
    assert result.fires == 3
    assert [((fill.ts_ns - START) // S, fill.signed_lots, fill.price) for fill in result.fills] == [(12, -1, 105), (14, 1, 103), (16, 1, 92), (20, -1, 91)]
    assert (result.ticks, result.orders) == (11, 4)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(90, 110), st.integers(-2, 2)), min_size=1, max_size=60), st.integers(1, 8), st.integers(1, 12))
def test_both_python_forms_take_the_same_decisions(rows: list[Tick], step: int, period_s: int) -> None:
    ticks, rule = TickLists.of(market(*sorted(rows, key=lambda row: row[0]))), LevelRule(step, period_s * S)
    one, two = python_loop(ticks, rule), python_handlers(ticks, rule)
    assert (one.fires, one.fills) == (two.fires, two.fills)


def test_other_streams_are_read_past() -> None:
    others = ({"ts": START + np.arange(7, dtype=np.int64) * 3 * S},)
    crowded = evolve(STORY, others=others)
    result, alone = python_loop(TickLists.of(crowded), RULE), python_loop(TickLists.of(STORY), RULE)
    assert result.ticks == alone.ticks + 7 == crowded.ticks
    assert result.fills == alone.fills
    assert python_loop_rate(crowded, RULE) > 0


def test_the_widest_step_that_fires_often_enough_is_chosen() -> None:
    ticks = TickLists.of(generated_slice(40_000, ticks_per_day=THIN))
    rule = fitted_rule(ticks, 10)
    assert python_loop(ticks, rule).fires >= 10 > python_loop(ticks, LevelRule(rule.step_ticks + 1)).fires
    with pytest.raises(UsageError, match="take a longer slice"):
        fitted_rule(ticks, 40_001)


def test_generated_ticks_are_the_same_for_a_seed_and_apart_in_time() -> None:
    one, two = generated_slice(5_000, 3, THIN), generated_slice(5_000, 3, THIN)
    assert all((one.quotes[name] == two.quotes[name]).all() for name in one.quotes)
    ts = np.array(TickLists.of(one).ts)
    assert (np.diff(ts) >= MIN_STEP_NS).all()
    assert (ts % S >= 10).all()
    assert bool(np.greater(one.quotes["ask"], one.quotes["bid"]).all())
    assert one.ticks == 5_000
    with pytest.raises(UsageError, match="a denser market"):
        slice_of(one.quotes, one.trades, 5_001, "a short market")


@given(st.lists(st.integers(0, 5 * S), min_size=1, max_size=50))
def test_spacing_keeps_the_order_and_moves_nothing_back(times: list[int]) -> None:
    ts = np.array(sorted(times), np.int64)
    out = spaced(ts)
    assert (np.diff(out) >= MIN_STEP_NS).all()
    assert (out >= ts).all()


def test_agreement_tells_a_print_price_from_a_wrong_one() -> None:
    reference = python_loop(TickLists.of(STORY), RULE)

    def with_fill(number: int, **changes: Any) -> compare.Agreement:
        fills = tuple(evolve(fill, **changes) if place == number else fill for place, fill in enumerate(reference.fills))
        return compare.agreement(evolve(reference, fills=fills), reference, STORY)

    assert compare.agreement(reference, reference, STORY) == compare.Agreement(True, 4, 0, 0)
    assert with_fill(0, price=106.0) == compare.Agreement(True, 3, 1, 0)
    assert with_fill(0, price=107.0) == compare.Agreement(True, 3, 0, 1)
    assert not with_fill(0, price=107.0).sound
    assert not with_fill(1, signed_lots=-1).sound
    assert with_fill(1, ts_ns=reference.fills[1].ts_ns + 1).sound
    assert not with_fill(1, ts_ns=reference.fills[1].ts_ns + MIN_STEP_NS).sound
    assert not compare.agreement(evolve(reference, fires=4), reference, STORY).sound
    assert not compare.agreement(evolve(reference, fills=reference.fills[:-1]), reference, STORY).sound


def test_a_print_explains_no_price_once_a_quote_has_come() -> None:
    after_quote = LevelFill(START + 15 * S, 1, 101)
    assert compare._print_after_quote(after_quote, STORY) is None
    assert compare._print_after_quote(evolve(after_quote, ts_ns=START + 14 * S), STORY) == 101


def test_bars_are_judged_by_their_own_direction() -> None:
    least, most = Bar("ticks/s", 15), Bar("cost per fire", 15, "us", at_most=True)
    assert [Verdict(least, value).met for value in (None, 14.9, 15.0)] == [None, False, True]
    assert [Verdict(most, value).met for value in (None, 14.9, 15.1)] == [None, True, False]
    assert harness.verdict_of(json.loads(json.dumps(Verdict(most, 3.5).record()))) == Verdict(most, 3.5)
    assert harness.ratio({"a": 6.0, "b": 2.0}, "a", "b") == 3.0
    assert harness.ratio({"a": 6.0}, "a", "b") is None


def test_a_record_is_replaced_whole_and_a_broken_one_is_no_record(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "record.json"
    harness.write_json(path, {"a": 1})
    harness.write_json(path, {"a": 2})
    assert harness.read_json(path) == {"a": 2}
    assert [entry.name for entry in path.parent.iterdir()] == ["record.json"]
    path.write_text("{")
    assert harness.read_json(path) is None
    assert harness.read_json(tmp_path / "absent.json") is None


def test_engines_take_turns_and_one_that_fails_drops_out() -> None:
    order: list[str] = []

    def failing() -> list[int]:
        order.append("b")
        if order.count("b") == 2:
            raise PeerUnavailable("b: ended early")
        return [2]

    def steady() -> list[int]:
        order.append("a")
        return [1]

    results, failures = harness.interleave({"a": steady, "b": failing}, 3, lambda text: None)
    assert order == ["a", "b", "a", "b", "a"]
    assert results == {"a": [1, 1, 1]}
    assert failures == {"b": "b: ended early"}


PEER = """
import sys
sys.path.insert(0, {peers!r})
from protocol import serve
def prepare(columns, rule):
    print("noise of the peer")
    def fresh():
        return lambda: {{"fires": rule["step_ticks"], "orders": len(columns["trade_ts"]), "fills": []}}
    return fresh
serve(prepare, {{"peer": "1.0"}})
"""


def worker(tmp_path: Path, source: str, timeout_s: float = 30) -> Worker:
    script, stored = tmp_path / "peer.py", tmp_path / "slice.npz"
    script.write_text(source)
    save(STORY, stored)
    return Worker("peer", [sys.executable, str(script), str(stored), json.dumps({"step_ticks": 7})], tmp_path / "peer.log", timeout_s, patience_s=0.2)


def test_a_worker_answers_each_run_whatever_the_peer_prints(tmp_path: Path) -> None:
    with worker(tmp_path, PEER.format(peers=str(PEERS))) as peer:
        assert peer.ready["versions"] == {"peer": "1.0"}
        answers = [peer.run(), peer.run()]
    assert [(answer["fires"], answer["orders"]) for answer in answers] == [(7, 6), (7, 6)]
    assert all(answer["wall_s"] >= 0 and answer["cpu_s"] >= 0 for answer in answers)
    assert "noise of the peer" in (tmp_path / "peer.log").read_text()


def test_a_worker_that_dies_says_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(PeerUnavailable, match="peer: ended early: ImportError: no such engine"), worker(tmp_path, "raise ImportError('no such engine')"):
        pass


def test_a_silent_worker_is_ended(tmp_path: Path) -> None:
    with pytest.raises(PeerUnavailable, match="no answer within"), worker(tmp_path, "import time; time.sleep(60)", timeout_s=0.1) as peer:
        peer.run()


def test_a_peer_is_installed_once_and_one_that_cannot_be_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    said: list[str] = []
    environment = PeerEnvironment(tmp_path / "venv", said.append)
    with pytest.raises(PeerUnavailable, match=r"absent: pip could not install titan-absent-peer==0 .*--without absent"):
        environment.ensure("absent", ["titan-absent-peer==0"])
    assert environment.ensure("present", ["pip"]) == environment.python
    assert [text.split(" ")[0] for text in said] == ["creating", "absent:", "present:"]
    environment.ensure("present", ["pip"])
    assert said[-1] == f"present: using {tmp_path / 'venv'}"


def test_replay_runs_without_peers_and_names_what_it_did_not_measure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["replay", "--only", "level", "--ticks", "40000", "--ticks-per-day", str(THIN), "--fires", "10", "--repetitions", "1"]
    call += ["--without", "hftbacktest", "--without", "nautilus_trader"]
    code = command.main([*call, "--out", str(tmp_path), "--json"])
    record = json.loads(capsys.readouterr().out)
    assert record == harness.read_json(tmp_path / "replay.json")
    engines = {engine["engine"]: engine for engine in record["level"]["engines"]}
    assert set(engines) == {"titan", "titan per event", "python loop", "python handlers"}
    assert all(engine["agrees"] == "all" and engine["fires"] >= 10 for engine in engines.values())
    measured = {bar["text"] for bar in record["bars"] if bar["measured"] is not None}
    assert measured == {"replay over titan per event, level rule"}
    assert code == (0 if record["ok"] else 1)
    replay.show(record, harness.stdout_console())
    shown = " ".join(capsys.readouterr().out.split())
    assert "titan per event: the yardstick in plain Python" in shown
    assert "judged by no bar" in shown


def test_the_break_even_is_where_a_replay_that_costs_its_fires_is_as_fast() -> None:
    engines: list[dict[str, Any]] = [
        {"engine": "titan", "ticks": 2_000_000, "fires": 100, "ticks_per_s": 400e6},
        {"engine": "other", "ticks": 2_000_000, "fires": 100, "ticks_per_s": 10e6},
    ]
    compare.compare(engines)
    titan, other = engines
    assert titan["titan_is_times"] is None
    assert other["titan_is_times"] == 40
    # 50 us a fire; 1M ticks take the other 100 ms
    assert other["even_at_fires_per_m_ticks"] == 100e-3 / 50e-6


def test_a_wrong_call_is_answered_with_the_names_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["replays"]) == 2
    assert {"per_event", "replay"} <= set(command.commands())
    assert f"no benchmark named 'replays'; there is {', '.join(command.commands())}" in capsys.readouterr().err
    assert command.main(["replay", "--ticks", "100", "--ticks-per-day", str(THIN), "--fires", "5000"]) == 2
    assert "take a longer slice" in capsys.readouterr().err


def test_the_list_shows_what_was_last_measured(tmp_path: Path) -> None:
    first = replay.BARS[0]
    harness.write_json(tmp_path / "replay.json", {"bars": [Verdict(first, 24.0).record()]})
    rows = {claim: measured for _, claim, _, measured in command.claims(tmp_path)}
    assert rows[first.text] == "24 x, met"
    assert rows[replay.BARS[1].text] == "not measured"
    assert len(rows) == len({bar.text for module in command.commands().values() for bar in module.BARS})
