"""The benchmark of the per-event form measures every kind of event and writes what it found."""

import json
from pathlib import Path

import pytest

from benchmarks import _harness as harness
from benchmarks import per_event


def test_it_measures_every_kind_of_event_and_writes_its_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = per_event.main(["--ticks", "200000", "--out", str(tmp_path), "--json"])
    record = json.loads(capsys.readouterr().out)
    assert record == harness.read_json(tmp_path / "per_event.json")
    kinds = {row["kind"]: row for row in record["by_kind"]}
    assert {"perp quote", "perp trade", "perp mark", "spot quote", "spot trade"} <= set(kinds)
    assert sum(row["events"] for row in kinds.values()) == record["events"] > 100_000
    assert all(0 < row["p50_us"] <= row["p99_us"] for row in kinds.values())
    assert [bar["text"] for bar in record["bars"]] == [bar.text for bar in per_event.BARS]
    assert code == (0 if record["ok"] else 1)
