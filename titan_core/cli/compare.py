"""`titan replay --compare RUN`: play what a session recorded back, and tell every decision that differs."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from titan_core.cli.options import discover_plugins, load_configuration
from titan_core.cli.output import emit, print_json, print_note
from titan_core.errors import TitanError, UsageError
from titan_core.model.calendar import utc

if TYPE_CHECKING:
    from titan_core.app.live.playback import Comparison, Process


class Differs(TitanError):
    """A playback has decided otherwise."""


def compare_session(run: str, config: Path | None, settings: list[str] | None, *, json: bool) -> None:
    """Compare every process of a session that was recorded. Raises Differs where one decision differs, UsageError where there is nothing to compare."""
    from titan_core.app.live.entries import entry_codec
    from titan_core.app.live.playback import processes
    from titan_core.journal.reading import read

    folder = session_folder(run)
    journal = folder / "journal"
    if not journal.is_dir():
        raise UsageError(f"{folder} holds no journal; name a session, or the folder of one: `titan run` keeps them under its state folder")
    found = [_compared(folder, process, config, settings) for process in processes(r.entry for r in read(journal, entry_codec())) if process.started.recording]
    if not found:
        raise UsageError(f"no process of {folder} was recorded")
    rows = [_row(each) for each in found]
    if json:
        print_json(rows)
    else:
        emit([{**row, "same": "yes" if row["same"] else "no"} for row in rows], False, columns=("process", "from", "hours", "decisions", "fills", "same"))
        for each in found:
            _explain(each)
    if not all(each.is_equal for each in found):
        raise Differs("the playback has decided otherwise; what may differ and why stands in docs/parity.md")


def session_folder(run: str) -> Path:
    """Return the folder that a name or a path means."""
    from titan_core.app.control.places import places, state_root

    return Path(run) if "/" in run or Path(run).is_dir() else places(state_root(None, os.environ, Path.home()), run).folder


def _compared(folder: Path, process: "Process", config: Path | None, settings: list[str] | None) -> "Comparison":
    from titan_core.app.code_digest import code_digest, packages_of
    from titan_core.app.compose import bind, choose_phases
    from titan_core.app.live.playback import compare
    from titan_core.feed.recorder import make_tape
    from titan_core.model.ids import VenueId
    from titan_core.tape.store import open_tape

    started = process.started
    report = discover_plugins(quiet=True)
    recorded = [f"{name}={value}" for name, value in started.settings.items()]
    configuration = load_configuration(config, [*recorded, *(settings or [])], report, quiet=True)
    phases = choose_phases(report.phases, list(started.phases))
    notes = []
    if configuration.digest != started.config_digest:
        notes.append("the configuration is not the one that the session ran on")
    if code_digest(packages_of(phase.declaration for phase in phases)) != started.code_digest:
        notes.append("the code is not the one that the session ran on")
    recording = folder / "recording" / started.recording
    with tempfile.TemporaryDirectory() as scratch:
        make_tape(recording, Path(scratch) / "tape")
        tape = open_tape(Path(scratch) / "tape")
        venues = frozenset(VenueId(venue) for venue in started.order_venues)
        return compare(process, tape, [bind(phase, configuration) for phase in phases], configuration.brain, venues, notes)


def _row(found: "Comparison") -> dict[str, Any]:
    return {
        "process": found.boot,
        "from": utc(found.first_ns),
        "to": utc(found.last_ns),
        "hours": round((found.last_ns - found.first_ns) / 3.6e12, 2),
        "decisions": found.recorded,
        "fills": found.fills,
        "same": found.is_equal,
        "after_recording": found.beyond,
        "notes": "; ".join(found.notes),
        "difference": None if found.difference is None else {"place": found.difference[0], "recorded": found.difference[1], "played": found.difference[2]},
    }


def _explain(found: "Comparison") -> None:
    for note in found.notes:
        print_note(f"process {found.boot}: {note}")
    if found.beyond:
        print_note(f"process {found.boot}: {found.beyond} decisions came after the last recorded row (it was killed); they are not compared")
    if found.difference is not None:
        place, recorded, played = found.difference
        print_note(f"process {found.boot}: decision {place + 1} differs\n  recorded {recorded}\n  played   {played}")
