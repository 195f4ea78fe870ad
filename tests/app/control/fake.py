"""A session that trades nothing: it shows pictures and does what it is asked. In a thread, or as a process: `python fake.py FOLDER [MANNER]`."""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from tests.app.control.pictures import calm, trade
from titan_core.app.control.port import CommandRefused
from titan_core.app.control.server import ControlServer, Limits
from titan_core.app.live.status import SessionStatus, TradeLine
from titan_core.brain.vocabulary import Emergency

STEP_S = 0.03


class FakeSession:
    """Does at once, or in short steps, what a session takes its time for."""

    def __init__(self, status: SessionStatus | None = None, manner: str = "") -> None:
        self.now = replace(status or calm(), pid=os.getpid())
        self.manner = manner
        self.asked: list[tuple[Any, ...]] = []
        self.pictures = 0
        self.ended: asyncio.Event | None = None

    def status(self) -> SessionStatus:
        self.pictures += 1
        if self.manner == "dies" and self.pictures > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.manner == "hangs" and self.pictures > 1:
            time.sleep(60)
        return self.now

    def trades(self, last: int) -> Sequence[TradeLine]:
        return [trade(number, 4.25 if number % 3 else -2.5) for number in range(min(last, 30), 0, -1)]

    def stop(self, *, flatten: bool) -> None:
        self.asked.append(("stop", flatten))
        self.now = replace(self.now, stage="stopping", gate="closed", brain="stopping", positions=() if flatten else self.now.positions, orders=())
        if self.manner != "stays":
            asyncio.get_running_loop().call_later(0.3, self._end)

    def _end(self) -> None:
        if self.manner == "crashes":
            os._exit(9)
        if self.ended is not None:
            self.ended.set()

    def panic(self, reason: str) -> None:
        self.asked.append(("panic", reason))
        self._step(0)

    def _step(self, number: int) -> None:
        step = list(Emergency)[number]
        flat = number > 2
        self.now = replace(self.now, brain=f"emergency.{step}", gate="closed", risk="", positions=() if flat else self.now.positions, orders=())
        if step is not Emergency.LOCKED and not (self.manner == "stuck" and step is Emergency.FLATTENING):
            asyncio.get_running_loop().call_later(STEP_S, self._step, number + 1)

    def resume(self, reason: str) -> None:
        self.asked.append(("resume", reason))
        if self.now.brain != "emergency.locked":
            raise CommandRefused(f"nothing waits for the operator in {self.now.brain.partition(':')[0]}; `titan status` shows what it does")
        self.now = replace(self.now, brain=calm().brain, gate="open", risk="normal")


async def serve(folder: Path, session: FakeSession, started: Callable[[ControlServer], None], **more: Any) -> None:
    session.ended = asyncio.Event()
    async with ControlServer(folder, session, **more) as server:
        started(server)
        await session.ended.wait()


@contextmanager
def in_thread(folder: Path, session: FakeSession | None = None, **more: Any) -> Iterator[FakeSession]:
    """Run a session on a loop of its own while the block runs."""
    given = session or FakeSession()
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            loop.run_until_complete(serve(folder, given, lambda server: ready.set(), **more))
        except BaseException as error:
            failed.append(error)
            ready.set()
        finally:
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(10)
    try:
        if failed:
            raise failed[0]
        yield given
    finally:
        if not loop.is_closed():
            try:
                loop.call_soon_threadsafe(lambda: given.ended.set() if given.ended else None)
            except RuntimeError:
                pass  # it has ended by itself
        thread.join(10)
    assert not thread.is_alive()


def main() -> None:
    """Run as a process; a line tells that it can be asked. SIGTERM ends it cleanly."""
    session = FakeSession(manner=sys.argv[2] if len(sys.argv) > 2 else "")

    def started(server: ControlServer) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: session.ended and session.ended.set())
        print("started", flush=True)

    asyncio.run(serve(Path(sys.argv[1]), session, started, limits=Limits(picture_ns=0)))


if __name__ == "__main__":
    main()
