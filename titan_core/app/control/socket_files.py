"""Where a Unix socket can lie, and who sits at its other end."""

import os
import socket
import stat
import struct
import tempfile
from contextlib import suppress
from pathlib import Path

from titan_core.app.control.failures import ControlError
from titan_core.app.control.places import SOCKET_NAME
from titan_core.app.control.private import make_folder
from titan_core.execution.secrets.own_file import MODE

MAX_PATH_BYTES = 100
"""Linux takes 107 bytes, others 103."""
STAND_IN = "titan-control-"
"""How the folder begins that takes the socket where the session's own path is too long."""


def bind_socket(wanted: Path) -> tuple[socket.socket, Path]:
    """Bind a socket of mode 0600 and return it with its path. Where the wanted path is too long it lies in a new private folder among the temporary ones.

    It does not listen yet, so that nobody comes in before its mode is set. Raises ControlError where both paths are too long.
    """
    path = wanted
    if _too_long(path):
        path = Path(tempfile.mkdtemp(prefix=STAND_IN)) / SOCKET_NAME
        if _too_long(path):
            path.parent.rmdir()
            raise ControlError(
                f"a socket's path may have {MAX_PATH_BYTES} bytes; {wanted} has {len(os.fsencode(wanted))} and {path}, in its stead, "
                f"{len(os.fsencode(path))}: give a shorter --state, or set TMPDIR to a shorter folder"
            )
        make_folder(path.parent)
    remove_socket(path, keep_folder=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind(str(path))
        path.chmod(MODE)
    except OSError as error:
        made.close()
        raise ControlError(f"cannot make the socket {path}: {error.strerror}; give another --state, on a file system that has sockets") from error
    return made, path


def remove_socket(path: Path, *, keep_folder: bool = False) -> None:
    """Remove a socket that nobody listens on any more, and the folder that was made for it alone. Anything else at its place stays."""
    with suppress(OSError):
        found = path.lstat()
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
            return
        path.unlink()
    if not keep_folder and path.parent.name.startswith(STAND_IN):
        with suppress(OSError):
            path.parent.rmdir()


def peer_user(connection: socket.socket) -> int | None:
    """Return the user id of the process at the other end; None where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    raw = connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i"))
    user: int = struct.unpack("3i", raw)[1]
    return user


def _too_long(path: Path) -> bool:
    return len(os.fsencode(path)) > MAX_PATH_BYTES
