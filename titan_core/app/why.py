"""Explains a past moment of a run: where the Brain's chart stood, which transition took it there, and the guard values behind it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from titan_core.app.run_documents import DECISION_FIELDS
from titan_core.brain.chart import Chart, Configuration, Guard, chart_of, initial
from titan_core.brain.vocabulary import GUARD_TEXT
from titan_core.errors import UsageError
from titan_core.model.calendar import utc
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


@frozen
class Told:
    """What a run has written down of itself: when it began and ended, its phases, the rows of its chart and of its decisions."""

    first_ns: int
    last_ns: int
    phases: tuple[PhaseId, ...]
    chart: Sequence[Mapping[str, Any]]
    decisions: Sequence[dict[str, Any]]


def explain(run: Path, at_ns: int | None, *, transitions: int = 3, around_ns: int = 60_000_000_000) -> Explanation:
    """Explain a moment (the last one by default) of a run folder or of a session's journal. Raises UsageError where it lies outside the run."""
    told = _of_journal(run, at_ns) if (run / "journal").is_dir() else _of_folder(run)
    moment = told.last_ns if at_ns is None else at_ns
    if not told.first_ns <= moment <= told.last_ns:
        raise UsageError(f"{utc(moment)} lies outside the run, which spans {utc(told.first_ns)} to {utc(told.last_ns)}")
    chart = chart_of(told.phases)
    past = [row for row in told.chart if row["ts_ns"] <= moment]
    configuration = initial(chart)
    for row in past:
        configuration = _taken(chart, configuration, row)
    near = [row for row in told.decisions if abs(row["ts_ns"] - moment) <= around_ns and row["kind"] != "chart"]
    return Explanation(moment, str(configuration), tuple(_reason(chart, row) for row in past[::-1][:transitions]), tuple(near))


def _of_folder(run: Path) -> Told:
    manifest = read_manifest(run)
    first, last = _span(manifest)
    return Told(first, last, tuple(PhaseId(name) for name in manifest["phases"]), read_lines(run, "chart.jsonl"), read_lines(run, "decisions.jsonl"))


def _of_journal(folder: Path, at_ns: int | None) -> Told:
    """Read the process of a session in which a moment lies; between two processes, the earlier one. A journal that is being written can be read."""
    from titan_core.app.live.entries import entry_codec
    from titan_core.app.live.playback import processes
    from titan_core.journal.reading import read

    found = processes(record.entry for record in read(folder / "journal", entry_codec()))
    if not found:
        raise UsageError(f"the journal in {folder} is empty: the session has not begun to trade")
    process = next((each for each in reversed(found) if at_ns is None or each.started.ts_ns <= at_ns), found[0])
    rows = [
        {"kind": kind, "ts_ns": ts_ns, **dict(zip(DECISION_FIELDS[kind], values, strict=True))}
        for moment in process.moments
        for kind, ts_ns, *values in moment.decisions
    ]
    chart = [{**row, "guards": dict(row["guards"])} for row in rows if row["kind"] == "chart"]
    last = max([process.started.ts_ns, *(moment.ts_ns for moment in process.moments), process.ended.ts_ns if process.ended else 0])
    later = [each.started.ts_ns - 1 for each in found if each.started.ts_ns > process.started.ts_ns]
    phases = tuple(PhaseId(name) for name in process.started.phases)
    return Told(process.started.ts_ns, min(later) if later else max(last, at_ns or 0), phases, chart, rows)


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
