"""`titan panic`: close everything of a running session, and watch until it is flat and locked."""

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from titan_core.cli.options import JsonOption
from titan_core.cli.session_options import Chosen, NameOption, StateOption, checked_reason, chosen, picture

if TYPE_CHECKING:
    from titan_core.app.live.status import SessionStatus
    from titan_core.brain.vocabulary import Emergency

app = typer.Typer(help="Close everything and lock.")

WORD = "PANIC"
POLL_S = 0.1
LOOK_S = 1.0


@app.command()
def panic(
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept in the journal.")] = "asked for by the operator",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", metavar="S", min=0.1, help="Seconds to wait until it is flat and locked.")] = 120.0,
    json: JsonOption = False,
    state: StateOption = None,
    name: NameOption = None,
) -> None:
    """Begin the emergency: shut the gate, cancel entries, close every position reduce-only, verify, lock.

    Exits with 3 where no session runs and with 5 where it is not flat and locked in time; it goes on until it is. Only `titan resume` unlocks.
    """
    from titan_core.app.control.client import TIMEOUT_S, ask
    from titan_core.app.control.messages import Panic

    reason = checked_reason(reason)
    session = chosen(state, name)
    if not yes:
        _confirm(session)
    follower = _Follower(session, quiet=json)
    ask(session.folder, Panic(reason=reason), timeout_s=min(timeout, TIMEOUT_S))
    try:
        follower.follow(timeout)
    except KeyboardInterrupt:
        _still_at_it(session)
        raise
    finally:
        if json:
            from titan_core.cli.output import print_json

            print_json({"session": session.file.name, "pid": session.file.pid, "reason": reason, **follower.document()})


def _confirm(session: Chosen) -> None:
    from titan_core.cli.stop import left_open
    from titan_core.errors import TitanError, UsageError

    if not sys.stdin.isatty():
        raise UsageError("panic closes every position at market, and nobody can be asked here; say --yes")
    try:
        what = left_open(picture(session.folder, LOOK_S).status)
    except TitanError as error:
        what = f"it does not say what it holds: {error}"
    typer.echo(f"{session}, {session.file.mode}: {what}", err=True)
    typed = typer.prompt(f"Type {WORD} to close everything at market", prompt_suffix=": ", default="", show_default=False, err=True)
    if typed.strip() != WORD:
        raise TitanError(f"{WORD} was not typed; nothing was done")


def _still_at_it(session: Chosen) -> None:
    from titan_core.cli.output import print_note

    print_note(f"the emergency of {session} goes on by itself; `titan status --watch` shows it")


class _Follower:
    """Tells the steps of an emergency as they are seen."""

    def __init__(self, session: Chosen, *, quiet: bool) -> None:
        self._session = session
        self._quiet = quiet
        self._since = time.monotonic()
        self._steps: list[dict[str, Any]] = []
        self._status: SessionStatus | None = None
        self._held = 0
        self._silence = ""

    def follow(self, timeout: float) -> None:
        """Return once the session is locked and flat. Raises NoAnswer where it is not in time, NotRunning where it ends before."""
        from titan_core.errors import NoAnswer

        while not self._look():
            if self._elapsed >= timeout:
                where = self._steps[-1]["step"] if self._steps else "no step of it was seen"
                told = f", and it has become silent: {self._silence}" if self._silence else ""
                raise NoAnswer(f"{self._session} is not flat and locked after {timeout:g} s ({where}{told}); it goes on until it is, look at the venue too")
            time.sleep(POLL_S)
        self._say("", f"flat and locked after {self._elapsed:.1f} s; `titan resume --reason WHY` goes on")

    def document(self) -> dict[str, Any]:
        """Return what was seen."""
        status = self._status
        return {
            "steps": self._steps,
            "locked": self._is_done,
            "positions": None if status is None else len(status.positions),
            "orders": None if status is None else len(status.orders),
            "took_s": round(self._elapsed, 1),
        }

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._since

    @property
    def _is_done(self) -> bool:
        from titan_core.brain.vocabulary import Emergency
        from titan_core.cli.screen.words import emergency_step

        return self._status is not None and emergency_step(self._status) is Emergency.LOCKED and not self._status.positions

    def _look(self) -> bool:
        from titan_core.cli.screen.words import emergency_step
        from titan_core.errors import NoAnswer

        try:
            self._status = picture(self._session.folder, LOOK_S).status
        except NoAnswer as error:
            self._silence = str(error)
            return False
        self._silence = ""
        step = emergency_step(self._status)
        if step is not None:
            self._tell(step, len(self._status.positions))
        return self._is_done

    def _tell(self, step: "Emergency", held: int) -> None:
        """Tell each step once, those too that were over before they were seen; and what is still held."""
        from titan_core.brain.vocabulary import Emergency
        from titan_core.cli.screen.words import STEPS

        order = list(Emergency)
        told = {each["step"] for each in self._steps}
        for each in order[: order.index(step) + 1]:
            if each not in told:
                self._steps.append({"step": str(each), "after_s": round(self._elapsed, 1)})
                self._say(*STEPS[each])
        if held != self._held and held + self._held > 0:
            self._say("", f"{held} position{'' if held == 1 else 's'} left")
        self._held = held

    def _say(self, word: str, text: str) -> None:
        if not self._quiet:
            typer.echo(f"{self._elapsed:6.1f} s  {word:<8} {text}")
