"""A slice of simulated trading: storms of some minutes under the oracle, one trace per seed in any process, the same decisions when played back."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.live.simulation import simulate
from tests.app.live.storm import draw
from titan_core.simulator.faults import FaultKind

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = "from tests.app.live.simulation import simulate; print(simulate(7, 0.1).trace)"


@pytest.mark.parametrize("seed", [10, 21, 32, 43])
def test_a_storm_breaks_no_rule(seed: int, tmp_path: Path) -> None:
    report = simulate(seed, 0.25, recordings=tmp_path)
    assert not report.breaks, report.breaks
    assert report.counts["lives"] >= 2


def test_the_same_seed_leaves_the_same_trace_in_any_process() -> None:
    traces = set()
    for salt in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": salt, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, cwd=ROOT, check=True, timeout=120)
        traces.add(done.stdout.strip())
    assert len(traces) == 1, traces


def test_storms_are_made_of_every_kind_of_fault() -> None:
    assert {rule.kind for seed in range(200) for rule in draw(seed, 7_200).rules} == set(FaultKind)
