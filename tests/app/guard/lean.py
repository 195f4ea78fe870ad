"""A loop with a guard and without an engine: `lean.py FOLDER`, settings and then commands on standard input, what happens on standard output, as JSON lines."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import hanger  # lies beside this script, as do its parts
from parts import PERP

from titan_core.app.guard.gate import GatedClient
from titan_core.app.guard.guard import Guard, GuardedVenue, GuardTimes
from titan_core.app.guard.words import Watched
from titan_core.execution.reports import Answer
from titan_core.execution.secrets.secret import Secret
from titan_core.model.ids import ClientOrderId, InstrumentId, PhaseId, StrategyId
from titan_core.model.order import Approved, Intent


def tell(**words: Any) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


class Sender:
    """A client that says what it was given to send."""

    def place(self, approved: Approved, answered: Any) -> None:
        tell(event="sent", id=approved.intent.client_order_id)
        answered(Answer("accepted"))  # type: ignore[arg-type]


class Lean:
    """What the test asks for, one word after another."""

    def __init__(self, folder: Path, given: dict[str, Any]) -> None:
        venue = GuardedVenue(
            family="bybit", rest_url=f"{given['url']}/bybit", key=Secret(given["key"]), secret=Secret(given["secret"]), instruments=[PERP], is_simulator=True
        )
        times = GuardTimes(**given["times"])
        self.guard = Guard(folder, [venue], on_latch=lambda latch: tell(event="latch", why=latch.why), say=self.say, times=times)
        self.held, self.stop = bool(given.get("held")), given.get("stop")
        self.client = GatedClient(Sender(), self.guard.may_enter, lambda: "shut", lambda: None)  # type: ignore[arg-type]

    def say(self, text: str) -> None:
        tell(event="guard", text=text, pid=self.guard.pid)

    def look(self) -> Watched:
        stops = {InstrumentId(PERP.id): (self.stop, None)} if self.stop else {}
        return Watched(is_held=self.held, mode="a mode", stops=stops, code={"hanger": hanger.__file__})

    def enter(self) -> None:
        intent = Intent(client_order_id=ClientOrderId("p.s.1"), phase=PhaseId("p"), strategy=StrategyId("s"), instrument=PERP, signed_lots=1)
        self.client.place(Approved(intent, 1, ()), lambda answer: tell(event="answer", outcome=str(answer.outcome), message=answer.message))

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(0, "rb", buffering=0))
        async with self.guard as guard:
            guard.attend(self.look)
            await guard.ready()
            tell(event="ready", guard=guard.pid, may_enter=guard.may_enter(), trouble=guard.trouble)
            while line := await reader.readline():
                word, *arguments = line.decode().split()
                if word == "end":
                    return
                if word == "hang":
                    hanger.HANGS[arguments[0]](float(arguments[1]))
                    self.enter()  # as what waits in a queue of requests does, before anything else has its turn
                elif word == "enter":
                    self.enter()
                elif word == "held":
                    self.held = arguments[0] == "yes"
                elif word == "release":
                    guard.release()
                elif word == "state":
                    tell(event="state", guard=guard.pid, may_enter=guard.may_enter(), trouble=guard.trouble, now=time.time())


if __name__ == "__main__":
    given = json.loads(b"".join(iter(lambda: os.read(0, 1), b"\n")))
    asyncio.run(Lean(Path(sys.argv[1]), given).run())
