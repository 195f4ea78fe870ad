"""Explains a past moment of a run: where the Brain's chart stood, which transition took it there, and the guard values behind it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from titan_core.brain.chart import Chart, Configuration, Guard, chart_of, initial
from titan_core.brain.vocabulary import GUARD_TEXT
from titan_core.errors import UsageError
from titan_core.model.ids import PhaseId
from titan_core.telemetry.run_folder import read_lines, read_manifest


@frozen
class Reason:
    """One transition with its guards in words."""

    ts_ns: int
    trigger: str
    source: str
    destination: str
    summary: str
    amounts: Mapping[str, int]
    """Equities behind it, in doubled 1e-8 USDT as the engine keeps them."""
    guards: tuple[tuple[str, bool, str], ...]
    """(name, value, meaning)."""


@frozen
class Explanation:
    """Where a run stood at a moment, and why."""

    at_ns: int
    configuration: str
    last: tuple[Reason, ...]
    """The transitions that led there, newest first."""
    decisions: tuple[dict[str, Any], ...]
    """What was decided around the moment: approvals, refusals, executions, notes."""


def explain(run: Path, at_ns: int, *, transitions: int = 3, around_ns: int = 60_000_000_000) -> Explanation:
    """Explain the moment `at_ns` of a run folder. Raises UsageError where the moment lies outside the run."""
    manifest = read_manifest(run)
    first, last = _span(manifest)
    if not first <= at_ns <= last:
        raise UsageError(f"{at_ns} lies outside the run, which spans {first} to {last} (ns since 1970)")
    phases = [PhaseId(name) for name in manifest["phases"]]
    chart = chart_of(phases)
    rows = read_lines(run, "chart.jsonl")
    past = [row for row in rows if row["ts_ns"] <= at_ns]
    configuration = initial(chart)
    for row in past:
        configuration = _taken(chart, configuration, row)
    near = [row for row in read_lines(run, "decisions.jsonl") if abs(row["ts_ns"] - at_ns) <= around_ns and row["kind"] != "chart"]
    return Explanation(at_ns, str(configuration), tuple(_reason(chart, row) for row in past[::-1][:transitions]), tuple(near))


def _span(manifest: Mapping[str, Any]) -> tuple[int, int]:
    # the chart boots one nanosecond before the first event
    return int(manifest["tape"]["first_ns"]) - 1, int(manifest["tape"]["last_ns"])


def _taken(chart: Chart, configuration: Configuration, row: Mapping[str, Any]) -> Configuration:
    """Take a recorded step again; the table must offer it from here."""
    for transition in chart.transitions:
        same = transition.event == row["trigger"] and transition.source == row["source"] and (transition.dest or transition.source) == row["destination"]
        if same and configuration.is_in(transition.source):
            return chart.take(configuration, transition)
    raise UsageError(f"the run's transition {row['trigger']} from {row['source']} to {row['destination']} is not in this version's chart")


def _reason(chart: Chart, row: Mapping[str, Any]) -> Reason:
    summary = next((t.summary for t in chart.transitions if t.event == row["trigger"] and t.source == row["source"]), "")
    known: set[str] = {str(guard) for guard in Guard}
    guards: Sequence[tuple[str, int]] = [(name, value) for name, value in row["guards"].items() if name in known]
    return Reason(
        row["ts_ns"],
        row["trigger"],
        row["source"],
        row["destination"],
        summary,
        {name: value for name, value in row["guards"].items() if name not in known},
        tuple((name, bool(value), GUARD_TEXT[Guard(name)]) for name, value in guards),
    )
