"""`titan stop`: end a running session and wait until it has ended."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from titan_core.cli.options import JsonOption
from titan_core.cli.session_options import Chosen, NameOption, StateOption, chosen, picture

if TYPE_CHECKING:
    from titan_core.app.live.status import SessionStatus

app = typer.Typer(help="Stop a running session.")

POLL_S = 0.1
LOOK_S = 0.5
"""How often it is looked at what the session still does."""


@app.command()
def stop(
    flatten: Annotated[bool, typer.Option("--flatten", help="Close every position first; without it they stay, under their stops at the venue.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", metavar="S", min=0.1, help="Seconds to wait for the end.")] = 60.0,
    json: JsonOption = False,
    state: StateOption = None,
    name: NameOption = None,
) -> None:
    """Stop a session: no new entries, then the end. Returns once its process has ended.

    Exits with 3 where no session runs and with 5 where it has not ended in time; it goes on stopping then.
    """
    from titan_core.app.control.client import TIMEOUT_S, ask
    from titan_core.app.control.messages import Stop
    from titan_core.cli.output import console, print_json, print_note

    session = chosen(state, name)
    since = time.monotonic()
    ask(session.folder, Stop(flatten=flatten), timeout_s=min(timeout, TIMEOUT_S))
    print_note(f"{session} stops" + (" and closes its positions" if flatten else "; positions stay under their stops at the venue"))
    _wait(session, since + timeout, timeout)
    waited = round(time.monotonic() - since, 1)
    if json:
        print_json({"session": session.file.name, "pid": session.file.pid, "stopped": True, "flatten": flatten, "waited_s": waited})
    else:
        console().print(f"{session} has ended after {waited:g} s; `titan run` goes on from its journal", markup=False, soft_wrap=True)


def _wait(session: Chosen, until: float, timeout: float) -> None:
    from titan_core.app.control.places import Places
    from titan_core.app.control.sessions import read_session
    from titan_core.cli.output import print_note
    from titan_core.errors import NoAnswer, TitanError

    said, look = "", 0.0
    while session.file.is_alive:
        now = time.monotonic()
        if now >= until:
            raise NoAnswer(f"{session} has not ended after {timeout:g} s" + (f" ({said})" if said else "") + "; it goes on stopping, ask `titan status`")
        if now >= look:
            look = now + LOOK_S
            seen = _left(session)
            if seen and seen != said:
                said = seen
                print_note(said)
        time.sleep(POLL_S)
    left = read_session(Places(session.folder))
    if left is not None and (left.pid, left.mark) == (session.file.pid, session.file.mark):
        raise TitanError(f"{session} has ended, but not as it should: its file is still there; the next `titan run` recovers from the journal")


def _left(session: Chosen) -> str:
    """Say what the session still holds; empty where it no longer answers, which is the end of its way."""
    from titan_core.errors import TitanError

    try:
        status = picture(session.folder, LOOK_S).status
    except TitanError:
        return ""
    return left_open(status)


def left_open(status: "SessionStatus") -> str:
    """Say how many positions and orders there are."""
    counts = ((len(status.positions), "position"), (len(status.orders), "order"))
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts)
