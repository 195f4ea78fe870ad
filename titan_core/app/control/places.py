"""Where a session keeps what it has: one folder per name under one root. Paths only; nothing is made or read here."""

import re
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from titan_core.errors import UsageError

STATE_VARIABLE = "TITAN_STATE"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
SOCKET_NAME = "control.sock"


def state_root(flag: Path | None, environ: Mapping[str, str], home: Path) -> Path:
    """Return the folder that holds the sessions' folders: the option, else TITAN_STATE, else `titan` in XDG_STATE_HOME, else `~/.local/state/titan`."""
    if flag is not None:
        return flag.absolute()
    named = environ.get(STATE_VARIABLE)
    if named:
        return Path(named).absolute()
    base = environ.get("XDG_STATE_HOME", "")
    # the XDG base directory specification: a relative path is invalid and is to be ignored
    return (Path(base) if base.startswith("/") else home / ".local" / "state") / "titan"


@frozen
class Places:
    """The places of one session."""

    folder: Path

    @property
    def journal(self) -> Path:
        """Folder of the journal."""
        return self.folder / "journal"

    @property
    def recording(self) -> Path:
        """Folder of what the recorder writes."""
        return self.folder / "recording"

    @property
    def session(self) -> Path:
        """Who runs here and how to reach it; there while a session runs."""
        return self.folder / "session.json"

    @property
    def key(self) -> Path:
        """The secret that messages are signed with; made anew by each session."""
        return self.folder / "control.key"

    @property
    def socket(self) -> Path:
        """The socket, unless its path is too long for one; the session file tells where it really is."""
        return self.folder / SOCKET_NAME


def places(root: Path, name: str) -> Places:
    """Return the places of the session of that name. Raises UsageError for a name that is no file name everywhere."""
    if not NAME.fullmatch(name):
        raise UsageError(f"a session's name is up to 32 of a-z, 0-9, - and _, beginning with a letter or digit; found {name!r}")
    return Places(root / name)
