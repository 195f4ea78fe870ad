"""What `titan run` shows while a session runs, and how it lets itself be stopped."""

import asyncio
import contextlib
import gc
import signal
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from titan_core.app.control.server import ControlServer
from titan_core.app.control.steered import SteeredSession
from titan_core.app.live.picture import take_picture
from titan_core.app.live.session import Session
from titan_core.app.live.setup import Setup
from titan_core.app.live.status import FillLine, SessionStatus
from titan_core.cli.output import console, money, print_note
from titan_core.errors import TitanError

if TYPE_CHECKING:
    from titan_core.app.control.places import Places

REFRESH_S = 0.5
LINE_S = 10.0


async def follow(
    setup: Setup,
    where: "Places",
    *,
    seconds: float | None,
    json: bool,
    levels_bps: tuple[int, int, int],
    begun: Callable[[Session], None] = lambda session: None,
) -> SessionStatus:
    """Run a session to its end, show it, let it be asked and stopped; returns its last picture."""
    told: deque[str] = deque(maxlen=1_000)
    session = Session(setup, lambda text: told.append(f"{_moment(setup.clock())}  {text}"))
    begun(session)
    loop = asyncio.get_running_loop()
    real: Callable[[float], float] = getattr(loop, "real", lambda passed: passed)
    async with ControlServer(where.folder, SteeredSession(session)):
        running = loop.create_task(session.run(), name="the session")
        _heed_signals(loop, session, running)
        if seconds is not None:
            loop.call_later(real(seconds), _stop, session, running, f"{seconds:g} s are over")
        settled = loop.create_task(_settle_memory(session), name="settling memory")
        shown = loop.create_task(_show(session, told, real, json, levels_bps), name="the screen")
        try:
            await running
        except asyncio.CancelledError:
            if not running.cancelled():
                raise
        finally:
            shown.cancel()
            settled.cancel()
            await asyncio.gather(shown, settled, return_exceptions=True)
    picture = take_picture(session)
    _summary(picture, where, json)
    return picture


async def _settle_memory(session: Session) -> None:
    """Once everything stands, take it out of the garbage collector's sight: a full collection over it would stall the loop."""
    await session.is_ready.wait()
    gc.collect()
    gc.freeze()


def _heed_signals(loop: asyncio.AbstractEventLoop, session: Session, running: "asyncio.Task[Any]") -> None:
    asked = []

    def heard(name: str) -> None:
        asked.append(name)
        if len(asked) > 1:  # whoever asks twice does not want to wait: the journal makes that safe
            running.cancel()
        else:
            _stop(session, running, name)

    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, heard, number.name)


def _stop(session: Session, running: "asyncio.Task[Any]", reason: str) -> None:
    try:
        session.begin_stop(reason)
    except TitanError as error:
        if session.is_ready.is_set():
            print_note(str(error))
        else:
            running.cancel()


async def _show(session: Session, told: deque[str], real: Callable[[float], float], json: bool, levels_bps: tuple[int, int, int]) -> None:
    screen = console()
    if json or not screen.is_terminal:
        await _lines(session, told, real, json)
        return
    from rich.live import Live

    from titan_core.cli.session_screen import History, render

    history = History()
    with Live(console=screen, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            picture = take_picture(session)
            history.add(picture)
            live.update(render(picture, history=history, taken_ns=time.time_ns(), height=screen.height, levels_bps=levels_bps), refresh=True)
            await asyncio.sleep(real(REFRESH_S))


async def _lines(session: Session, told: deque[str], real: Callable[[float], float], json: bool) -> None:
    """Without a terminal: a line for what happens, and now and then one for where everything stands."""
    told_fill = 0
    next_line = time.monotonic()
    while True:
        picture = take_picture(session)
        if not json:
            for fill in picture.fills:
                if fill.ts_ns > told_fill:
                    told_fill = fill.ts_ns
                    _print(_fill(fill))
            while told:
                _print(told.popleft())
            if time.monotonic() >= next_line:
                next_line = time.monotonic() + LINE_S
                _print(_standing(picture))
        await asyncio.sleep(real(REFRESH_S))


def _print(text: str) -> None:
    console().print(text, markup=False, highlight=False, soft_wrap=True)


def _moment(ts_ns: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(ts_ns // 1_000_000_000))


def _fill(fill: FillLine) -> str:
    return f"{_moment(fill.ts_ns)}  fill: {fill.phase} {fill.side} {fill.quantity} {fill.instrument} at {fill.price}, fee {money(fill.fee)} {fill.tag}".rstrip()


def _standing(picture: SessionStatus) -> str:
    speed = f" at {picture.speed:g}x" if picture.speed != 1 else ""
    if picture.link is None:  # there is no engine yet, hence nothing to count
        return f"{_moment(picture.now_ns)}  {picture.stage}: {picture.mode}{speed}"
    prices = ", ".join(f"{feed.instrument} {feed.bid}" for feed in picture.feeds)
    return (
        f"{_moment(picture.now_ns)}  {picture.stage}: {picture.mode}{speed}: {picture.brain}; equity {money(picture.equity)}, "
        f"{picture.trades} trades, {len(picture.positions)} positions; {prices}"
    )


def _summary(picture: SessionStatus, where: "Places", json: bool) -> None:
    from titan_core.cli.output import print_json

    figures = {
        "event": "stopped",
        "name": picture.name,
        "mode": picture.mode,
        "market_time": _moment(picture.now_ns),
        "brain": picture.brain,
        "equity_start": picture.start_equity / 1e8,
        "equity": picture.equity / 1e8,
        "net": (picture.equity - picture.start_equity) / 1e8,
        "fees": picture.fees / 1e8,
        "funding": picture.funding / 1e8,
        "trades": picture.trades,
        "wins": picture.wins,
        "open_positions": [{"instrument": p.instrument, "quantity": p.quantity, "entry_price": p.entry_price, "stop": p.stop} for p in picture.positions],
        "journal": str(where.journal),
    }
    if json:
        print_json(figures)
        return
    screen = console()
    screen.print(f"\n{picture.name} has stopped at {figures['market_time']} (market time)", markup=False)
    net = picture.equity - picture.start_equity
    rows = [
        ("equity", f"{money(picture.equity)} USDT ({money(net, signed=True)} since the beginning)"),
        ("trades", f"{picture.trades}, {picture.wins} won; fees {money(picture.fees)}, funding {money(picture.funding, signed=True)}"),
        ("drawdown", f"{picture.drawdown_ppm / 10_000:.2f} % from a peak of {money(picture.peak)}"),
    ]
    for held in picture.positions:
        rows.append(("position", f"{held.quantity} {held.instrument} from {held.entry_price}; its stop at {held.stop or 'nothing'} rests at the venue"))
    rows += [("journal", f"{where.journal}; the same command goes on from here" + (", with --fresh it begins anew" if picture.mode == "paper" else ""))]
    for label, text in rows:
        screen.print(f"  {label:<10}{text}", markup=False, highlight=False, soft_wrap=True)
