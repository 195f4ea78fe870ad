"""The chart as the tables of the documentation, in Markdown."""

from collections.abc import Iterable, Sequence

from titan_core.brain.statechart import SEPARATOR, Chart, Configuration, State, StateKind, Transition
from titan_core.brain.symmetry import phase_classes
from titan_core.brain.table import PHASES
from titan_core.brain.vocabulary import COMMAND_TEXT, GUARD_TEXT
from titan_core.model.ids import PhaseId
from titan_core.model.units import BPS

ANY_PHASE = "<phase>"


def render_markdown(chart: Chart, configuration: Configuration | None = None) -> str:
    """Write the tables of states, transitions, guards and commands. Alike phases are written once, as `<phase>`."""
    shown = {group[0]: ANY_PHASE if len(phase_classes(chart)) == 1 else ", ".join(group) for group in phase_classes(chart)}
    live = () if configuration is None else configuration.leaves
    lines = [
        "# The Brain's chart",
        "",
        "Written by `titan brain diagram --format markdown` from the same table as the machine, the model checker and the pictures.",
        "A state that closes the gate admits no entry. Size and leverage are the shares that a state admits for entries; the smallest of all counts.",
        "Of the transitions with one trigger and one source, the first whose guards all hold is taken.",
        "",
        "## States",
        "",
        *_table(
            ("state", "kind", "size", "leverage", "gate", "meaning"), (_state(state, shown, live) for state in chart.states if _is_shown(state.phase, shown))
        ),
        "",
        "## Transitions",
        "",
        *_table(
            ("trigger", "from", "to", "guards", "commands", "towards", "when"),
            (_row(row, shown) for row in chart.transitions if _is_shown(row.phase, shown)),
        ),
        "",
        "## Guards",
        "",
        *_table(("guard", "holds where"), ((f"`{guard}`", text) for guard, text in GUARD_TEXT.items())),
        "",
        "## Commands",
        "",
        *_table(("command", "what the caller does"), ((f"`{command}`", text) for command, text in COMMAND_TEXT.items())),
    ]
    return "\n".join(lines) + "\n"


def _is_shown(phase: PhaseId | None, shown: dict[PhaseId, str]) -> bool:
    return phase is None or phase in shown


def _state(state: State, shown: dict[PhaseId, str], live: Sequence[str]) -> Sequence[str]:
    path = _named(state.path, state.phase, shown)
    return (
        f"`{path}`" + (" **(live)**" if state.path in live else ""),
        "" if state.kind is StateKind.ATOMIC else str(state.kind),
        "" if state.size_bps is None else f"{state.size_bps / BPS:g}",
        "" if state.leverage_bps is None else f"{state.leverage_bps / BPS:g}",
        "closed" if state.closes_gate else "",
        state.summary,
    )


def _row(row: Transition, shown: dict[PhaseId, str]) -> Sequence[str]:
    event = row.event if row.phase is None else f"{shown[row.phase]}{SEPARATOR}{row.trigger}"
    return (
        f"`{event}`",
        f"`{_named(row.source, row.phase, shown)}`",
        "stays" if row.dest is None else f"`{_named(row.dest, row.phase, shown)}`",
        ", ".join(f"`{guard}`" for guard in row.guards),
        ", ".join(f"`{command}`" for command in row.commands),
        str(row.direction),
        row.summary,
    )


def _named(path: str, phase: PhaseId | None, shown: dict[PhaseId, str]) -> str:
    return path if phase is None else path.replace(f"{PHASES}{SEPARATOR}{phase}", f"{PHASES}{SEPARATOR}{shown[phase]}", 1)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
