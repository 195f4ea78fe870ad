"""Which sessions there are: each keeps a file in its folder that says who it is and where it can be reached."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from attrs import frozen

from titan_core.app.control.failures import ControlError
from titan_core.app.control.places import Places, places
from titan_core.app.control.private import Randomness, check_folder, read_file, write_file
from titan_core.app.control.processes import is_alive
from titan_core.errors import NotRunning, UsageError


class SessionFile(msgspec.Struct, frozen=True, kw_only=True):
    """What `session.json` says."""

    name: str
    pid: int
    mark: str
    """Start of the process, as the system tells it; see `processes.start_mark`."""
    started_ns: int
    """Wall clock."""
    mode: str
    market: str
    """`built-in` or `live`: where the market comes from."""
    socket: str
    protocol: int = 1

    @property
    def is_alive(self) -> bool:
        """Whether its process lives."""
        return is_alive(self.pid, self.mark)


@frozen
class Found:
    """A session that is, or was, in a folder."""

    places: Places
    file: SessionFile
    alive: bool


def write_session(at: Places, file: SessionFile, randomness: Randomness) -> None:
    """Tell who runs here."""
    write_file(at.session, msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n", randomness)


def read_session(at: Places) -> SessionFile | None:
    """Return who runs here, or was killed here; None where nobody is. Raises ControlError where the folder or the file is not safe to use."""
    try:
        check_folder(at.folder)
    except FileNotFoundError:
        return None
    data = read_file(at.session)
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=SessionFile)
    except msgspec.DecodeError as error:
        raise ControlError(f"{at.session} is damaged ({error}); if no session runs there, remove it") from None


def find_sessions(root: Path) -> tuple[Found, ...]:
    """Return the sessions under a root that run, and those that ended without saying so; by name. What cannot be read is no session of ours."""
    found = []
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        try:
            at = Places(folder)
            file = read_session(at)
        except (ControlError, OSError):
            continue
        if file is not None:
            found.append(Found(at, file, file.is_alive))
    return tuple(found)


def choose_session(root: Path, name: str | None) -> Places:
    """Return the session of that name, or the only one that runs. Raises NotRunning; UsageError where several run and none is named."""
    if name is not None:
        at = places(root, name)
        if read_session(at) is None:
            raise NotRunning(f"no session {name!r} runs{_others(root)}; sessions are kept in {root}, and `titan run` starts one")
        return at
    found = find_sessions(root)
    running = [each for each in found if each.alive]
    if len(running) == 1:
        return running[0].places
    if running:
        raise UsageError(f"{len(running)} sessions run: {_list(running)}; say which with --name")
    if len(found) == 1:
        return found[0].places  # whoever asks it is told that it was killed
    killed = f"; killed or crashed: {_list(found)}" if found else ""
    raise NotRunning(f"no session runs{killed}; sessions are kept in {root}, and `titan run` starts one")


def _list(found: Sequence[Found]) -> str:
    return ", ".join(f"{each.places.folder.name} ({each.file.mode}, process {each.file.pid})" for each in found)


def _others(root: Path) -> str:
    running = [each for each in find_sessions(root) if each.alive]
    return f"; running: {_list(running)}" if running else ""
