"""The parts of the replay benchmark that run Titan: the same decisions in every form, tapes laid end to end, parts that cannot be measured."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import _armed as armed
from benchmarks import _compare as compare
from benchmarks import _harness as harness
from benchmarks import _mapped as mapped
from benchmarks import _scavenger_day as day
from benchmarks import replay
from benchmarks._harness import NotMeasured
from benchmarks._slice import first_ticks, generated_market, generated_slice, unique_times
from benchmarks._titan import TitanLevel, level_tape
from benchmarks.level_rule import TickLists, fitted_rule, python_loop
from titan_core.model.enums import StreamKind
from titan_core.model.units import D
from titan_core.tape.store import open_tape, verify_tape

THIN = 200_000


def silent(text: str) -> None:
    """Say nothing."""


def test_both_forms_decide_as_the_plain_loop_does_run_after_run() -> None:
    columns = generated_slice(40_000, 5, THIN)
    ticks = TickLists.of(columns)
    rule, titan = fitted_rule(ticks, 20), TitanLevel(level_tape(columns))
    reference = python_loop(ticks, rule)
    assert reference.fires >= 20
    for result in (titan.replay(rule), titan.per_event(rule), titan.replay(rule), titan.per_event(rule)):
        assert compare.agreement(result, reference, columns) == compare.Agreement(True, len(reference.fills), 0, 0)


def test_armed_levels_that_no_price_reaches_change_nothing() -> None:
    columns = generated_slice(20_000, 1, THIN)
    above, below = armed.far_levels(columns, 1024)
    assert len({*above, *below}) == 1024
    assert min(above) > columns.trades["price"].max() > columns.trades["price"].min() > max(below)
    record, (verdict,) = armed.measure(columns, 20, 1, silent)
    assert record["sound"] and record["fires"] >= 20
    assert verdict.measured == record["times"] > 0


def test_the_first_ticks_of_a_market_are_its_beginning() -> None:
    instruments, raw = generated_market(1, 1, THIN)
    unique = unique_times(raw)
    ts = np.sort(np.concatenate([columns["ts"] for columns in unique.values()]))
    assert (np.diff(ts) > 0).all()
    head = first_ticks(unique, 1_000)
    assert np.array_equal(np.sort(np.concatenate([columns["ts"] for columns in head.values()])), ts[:1_000])
    assert sum(len(columns["ts"]) for columns in first_ticks(unique, 10**9).values()) == len(ts)


def test_the_scavengers_day_takes_the_same_decisions_in_both_forms(tmp_path: Path) -> None:
    record, verdicts = day.measure(THIN, THIN // 4, 1, 1, tmp_path, silent)
    assert record["sound"]
    assert record["fires"] > record["per_event"]["fires"] > 0
    assert record["fills"] > 0
    # a thin day is shown, not judged
    assert [verdict.measured for verdict in verdicts] == [None] * len(day.BARS)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def laid_tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mapped") / "tape"
    mapped.build(path, 450_000, 1, THIN)
    return path


def test_laps_follow_one_another_and_go_on_at_the_price_where_the_last_ended(laid_tape: Path) -> None:
    instruments, raw = generated_market(1, 1, THIN)
    tape = open_tape(laid_tape)
    assert verify_tape(laid_tape).ok
    assert tape.ticks == 3 * sum(len(columns["ts"]) for columns in raw.values()) >= 450_000
    spot, perp = instruments
    moves = {}
    for instrument in instruments:
        stream = tape.stream(instrument.id, StreamKind.TRADE)
        assert stream is not None
        rows = stream.rows // 3
        ts, price = stream.columns["ts"].astype(np.int64), stream.columns["price"].astype(np.int64)
        assert set(ts[rows:] - ts[:-rows]) == {D}
        (moves[instrument.id],) = set(price[rows:] - price[:-rows])
    first, last = (int(raw[perp.id, StreamKind.TRADE]["price"][row]) for row in (0, -1))
    assert moves[perp.id] == max(-first // 100, min(first // 100, last - first))
    assert moves[spot.id] * spot.tick_size == moves[perp.id] * perp.tick_size


def test_the_level_rule_runs_over_a_mapped_tape_to_its_end(laid_tape: Path) -> None:
    one = mapped.run(laid_tape, "level rule")
    assert one["fills"] > one["fires"] > 0
    assert one["last_fill_at"] > 0.9


def test_a_mapped_tape_is_run_over_in_fresh_processes_and_made_once(
    laid_tape: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mapped, "STRATEGIES", ("Scavenger",))
    stamp = (laid_tape / "manifest.json").stat().st_mtime_ns
    record, verdicts = mapped.measure(laid_tape, 450_000, 1, THIN, 1, silent)
    one = record["strategies"]["Scavenger"]
    assert record["sound"] and record["build_s"] == 0.0 and one["fires"] > one["fills"] > 0
    assert 0 < one["peak_gb"] < 4
    # fewer ticks than the claim speaks of are shown, not judged
    assert [verdict.measured for verdict in verdicts] == [None, None]
    assert (laid_tape / "manifest.json").stat().st_mtime_ns == stamp
    mapped.show(record, harness.stdout_console())
    assert "Mapped tape: 600," in capsys.readouterr().out


def test_a_tape_that_the_disk_has_no_room_for_is_not_begun(tmp_path: Path) -> None:
    with pytest.raises(NotMeasured, match=r"GB free, a tape of 1,000,000,000,000,000 ticks asks for 200000000\.0"):
        mapped.ensure_tape(tmp_path / "tape", 10**15, 1, THIN, silent)
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_fails_says_its_last_words() -> None:
    with pytest.raises(NotMeasured, match="`run` ended with exit 1: .*TapeError.*no-tape"):
        mapped.in_a_process("run", "no-tape", "level rule")


def test_a_part_that_cannot_be_measured_is_named_and_the_others_stand() -> None:
    def absent() -> replay.Outcome:
        raise NotMeasured("the Scavenger cannot be used (not installed)")

    def present() -> replay.Outcome:
        return {"sound": True}, [harness.Verdict(armed.BARS[0], 1.1)]

    record = replay.measure({"scavenger": absent, "armed": present}, 1)
    assert record["not_measured"] == {"scavenger": "the Scavenger cannot be used (not installed)"}
    assert record["ok"] and [bar["text"] for bar in record["bars"] if bar["met"]] == [armed.BARS[0].text]
    assert not replay.measure({"armed": lambda: ({"sound": False}, [])}, 1)["ok"]
