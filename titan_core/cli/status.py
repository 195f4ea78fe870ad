"""`titan status`: what a running session shows of itself, once or for as long as one looks."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from titan_core.cli.options import JsonOption
from titan_core.cli.session_options import ANSWER_S, AnswerOption, Chosen, NameOption, Picture, StateOption, age, chosen, picture

if TYPE_CHECKING:
    from rich.console import Console

    from titan_core.cli.session_screen import SessionScreen

app = typer.Typer(help="Show a running session.")

REFRESH_S = 1.0
WATCH_ANSWER_S = 1.5
"""How long a watch waits for one picture before it says that the last one is old."""


@app.command()
def status(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on until Ctrl-C or the session's end.")] = False,
    json: JsonOption = False,
    state: StateOption = None,
    name: NameOption = None,
    timeout: AnswerOption = ANSWER_S,
) -> None:
    """Show equity and drawdown, the Brain's state, phases, positions, orders, markets and what happened last.

    Exits with 3 where no session runs and with 5 where it does not answer. With --watch and without a terminal a line is written each second.
    """
    from titan_core.cli.output import console, print_json
    from titan_core.cli.session_screen import render

    session = chosen(state, name)
    if watch:
        _Watch(session, min(timeout, WATCH_ANSWER_S)).run(json)
        return
    seen = picture(session.folder, timeout)
    if json:
        print_json(document(seen))
    else:
        console().print(render(seen.status, taken_ns=seen.taken_ns, age_s=seen.age_s))


def document(seen: Picture) -> dict[str, Any]:
    """Return a picture as plain data: money is 1e-8 USDT, times are ns since 1970."""
    import msgspec

    return {"taken_ns": seen.taken_ns, "age_s": round(seen.age_s, 3), "session": msgspec.to_builtins(seen.status)}


class _Watch:
    """Looks at a session once a second."""

    def __init__(self, session: Chosen, timeout_s: float) -> None:
        from titan_core.cli.screen.history import History

        self._session = session
        self._timeout_s = timeout_s
        self._history = History()
        self._last: Picture | None = None
        self._trouble = ""

    def run(self, json: bool) -> None:
        """Show it until Ctrl-C, which is no error, or until it has ended."""
        from titan_core.cli.output import console
        from titan_core.errors import NotRunning

        screen = console()
        try:
            if screen.is_terminal and not json:
                self._on_screen(screen)
            else:
                self._in_lines(json)
        except KeyboardInterrupt:
            return
        except NotRunning as error:
            self._ended(error)

    def _look(self) -> bool:
        """Take the next picture. Returns False, with the reason kept, where the session says nothing."""
        from titan_core.errors import NoAnswer

        try:
            self._last = picture(self._session.folder, self._timeout_s)
        except NoAnswer as error:
            if self._last is None:
                raise
            self._trouble = str(error)
            return False
        self._trouble = ""
        self._history.add(self._last.status)
        return True

    def _on_screen(self, screen: "Console") -> None:
        from rich.live import Live

        self._look()  # what goes wrong at once is told without a flicker
        with Live(console=screen, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
            while True:
                live.update(self._drawn(screen.height), refresh=True)
                time.sleep(REFRESH_S)
                self._look()

    def _drawn(self, height: int) -> "SessionScreen":
        from titan_core.cli.session_screen import render

        assert self._last is not None
        status, taken_ns, _ = self._last
        return render(status, history=self._history, taken_ns=taken_ns, age_s=age(taken_ns, time.time_ns()), trouble=self._trouble, height=height)

    def _in_lines(self, json: bool) -> None:
        import msgspec

        from titan_core.cli.output import print_note

        while True:
            if not self._look():
                print_note(self._trouble)
            elif self._last is not None:
                line = msgspec.json.encode(document(self._last)).decode() if json else one_line(self._last)
                typer.echo(line)
            time.sleep(REFRESH_S)

    def _ended(self, error: Exception) -> None:
        """Tell a clean end from a violent one."""
        from titan_core.app.control.places import Places
        from titan_core.app.control.sessions import read_session
        from titan_core.cli.output import print_note

        if self._last is None or read_session(Places(self._session.folder)) is not None:
            raise error
        print_note(f"{self._session} has ended; the last that was seen of it:")
        typer.echo(one_line(self._last), err=True)


def one_line(seen: Picture) -> str:
    """Return a picture in one line."""
    from titan_core.cli.output import money
    from titan_core.cli.screen.grid import plain
    from titan_core.cli.screen.words import day_and_clock, verdict

    status = seen.status
    prices = "  ".join(f"{feed.instrument} {feed.bid}" + (" (doubt)" if feed.doubt else "") for feed in status.feeds[:2])
    parts = [
        f"{day_and_clock(status.now_ns)} UTC",
        verdict(status).word,
        f"equity {money(status.equity)} ({money(status.equity - status.start_equity, signed=True)})",
        f"drawdown {status.drawdown_ppm / 10_000:.2f} %",
        f"positions {len(status.positions)}",
        f"orders {len(status.orders)}",
        plain(prices),
    ]
    return "  ".join(part for part in parts if part)
