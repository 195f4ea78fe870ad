"""Options of the commands that talk to a running session, and the session they mean."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from titan_core.app.control.sessions import SessionFile
    from titan_core.app.live.status import SessionStatus

StateOption = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help="Folder that holds the sessions' folders. [TITAN_STATE, else ~/.local/state/titan]", show_default=False),
]
NameOption = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Which session; needed where several run.", show_default=False)]
AnswerOption = Annotated[float, typer.Option("--timeout", metavar="S", min=0.1, help="Seconds to wait for the session's answer.")]

ANSWER_S = 5.0


class Picture(NamedTuple):
    """A session's status and how old it is."""

    status: "SessionStatus"
    taken_ns: int
    """Wall clock."""
    age_s: float


class Chosen(NamedTuple):
    """The session that a command is about."""

    folder: Path
    file: "SessionFile"

    def __str__(self) -> str:
        return f"session {self.file.name!r} (process {self.file.pid})"


def sessions_root(state: Path | None) -> Path:
    """Return the folder that holds the sessions' folders."""
    from titan_core.app.control.places import state_root

    return state_root(state, os.environ, Path.home())


def chosen(state: Path | None, name: str | None) -> Chosen:
    """Return the session of that name, or the only one that runs. Raises NotRunning, UsageError."""
    from titan_core.app.control.sessions import choose_session, read_session
    from titan_core.errors import NotRunning

    places = choose_session(sessions_root(state), name)
    file = read_session(places)
    if file is None:
        raise NotRunning(f"the session in {places.folder} has just ended; `titan run` starts one")
    return Chosen(places.folder, file)


def picture(folder: Path, timeout_s: float = ANSWER_S) -> Picture:
    """Ask a session for its status. Raises NotRunning, NoAnswer, ControlError."""
    import time

    from titan_core.app.control.client import ask
    from titan_core.app.control.failures import ControlError
    from titan_core.app.control.messages import Status

    answer = ask(folder, Status(), timeout_s=timeout_s)
    if answer.status is None:
        raise ControlError("the session answered without its status; is it of another version of Titan?")
    return Picture(answer.status, answer.ts_ns, age(answer.ts_ns, time.time_ns()))


def checked_reason(reason: str) -> str:
    """Return a reason as it is kept. Raises UsageError where there is none or it is too long."""
    from titan_core.app.control.messages import MAX_REASON
    from titan_core.errors import UsageError

    if not 0 < len(reason.strip()) <= MAX_REASON:
        raise UsageError(f"--reason must say why, in at most {MAX_REASON} characters; found {len(reason.strip())}")
    return reason.strip()


def age(taken_ns: int, now_ns: int) -> float:
    """Return how many seconds ago a picture was taken."""
    return max(0, now_ns - taken_ns) / 1e9
