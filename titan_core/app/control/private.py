"""Files and folders that are the user's own and nobody else's business."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from titan_core.app.control.failures import ControlError
from titan_core.execution.secrets.own_file import Flaw, NotOwn, read_own, write_new

Randomness = Callable[[int], bytes]
"""Returns that many bytes that nobody can guess, such as `os.urandom`."""

FOLDER_MODE = 0o700
LARGEST_FILE = 1 << 16


def make_folder(folder: Path) -> None:
    """Make a folder of mode 0700, or take that mode to one of our own. Raises ControlError for a link and for a folder of somebody else's."""
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise ControlError(f"the folder {folder} cannot be made: {error.strerror}; name one that can be written with --state, or in TITAN_STATE") from None
    found = _checked_folder(folder)
    if stat.S_IMODE(found.st_mode) != FOLDER_MODE:
        folder.chmod(FOLDER_MODE)


def check_folder(folder: Path) -> None:
    """Refuse a folder in which somebody else could put something in the place of ours. Raises ControlError, FileNotFoundError."""
    found = _checked_folder(folder)
    if found.st_mode & 0o022:
        raise ControlError(f"{folder} can be written by others, who could pose as the session in it; `chmod go-w` it")


def _checked_folder(folder: Path) -> os.stat_result:
    found = folder.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise ControlError(f"{folder} is a symbolic link; the folder of a session must be a folder of your own")
    if not stat.S_ISDIR(found.st_mode):
        raise ControlError(f"{folder} is no folder; name another --state or --name")
    if found.st_uid != os.geteuid():
        raise ControlError(f"{folder} belongs to user {found.st_uid} and you are {os.geteuid()}; the folder of a session must be your own")
    return found


def write_file(path: Path, data: bytes, randomness: Randomness) -> None:
    """Put a file of mode 0600 in its place in one step; whatever lay there, a link too, is replaced and not followed."""
    part = path.with_name(f".{path.name}.{randomness(8).hex()}.part")
    try:
        write_new(part, data, sync=False)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


_ADVICE = {
    Flaw.LINK: "; it must be a file of your own, written by the session",
    Flaw.UNREADABLE: "; it must be a file of your own, written by the session",
    Flaw.NOT_REGULAR: "; it must be one, written by the session",
    Flaw.NOT_OURS: "; run the command as the user who runs the session",
    Flaw.SECOND_NAME: "; remove it, or stop the session and start it again",
    Flaw.MODE: " and must have 0600; stop the session and start it again, it makes a new one",
    Flaw.TOO_LARGE: "; no session wrote it",
}


def read_file(path: Path) -> bytes | None:
    """Read a file that must be our own, mode 0600, no link of either kind. Returns None where there is none. Raises ControlError with what was found."""
    try:
        return read_own(path, LARGEST_FILE)
    except FileNotFoundError:
        return None
    except NotOwn as error:
        raise ControlError(f"{path} {error.found}{_ADVICE[error.flaw]}") from None
