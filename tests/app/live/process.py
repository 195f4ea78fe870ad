"""A session as a process of its own, on real sockets and a real journal: `python -m tests.app.live.process URL FOLDER INSTRUMENTS SEED`.

Says in JSON lines on stdout when it is ready and, after SIGTERM, what its books were at the end.
"""

import asyncio
import json
import pickle
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tests.app.live.rig import churner
from titan_core.app.live.accounts import joiner
from titan_core.app.live.entries import Kept, entry_codec
from titan_core.app.live.outside import Outside
from titan_core.app.live.session import Session
from titan_core.app.live.setup import Identity, Setup
from titan_core.brain.limits import BrainLimits
from titan_core.engine.heard import Wish
from titan_core.errors import TitanError
from titan_core.execution.access import Access
from titan_core.feed.hosts import HostPolicy
from titan_core.feed.venues import box_endpoints, rests
from titan_core.journal.journal import open_journal
from titan_core.simulator.paper import PERP
from titan_core.simulator.wire import Credential


def tell(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


async def live(url: str, folder: Path, instruments: Any, seed: int) -> None:
    loop, key, endpoints = asyncio.get_running_loop(), Credential(), box_endpoints(url)

    def journal(on_loop: Any, on_status: Any) -> Any:
        return open_journal(folder, entry_codec(), Kept, clock=time.time_ns, loop=on_loop, on_status=on_status)

    async with Outside(HostPolicy.of((), simulator=True)) as outside:
        access = Access(socket_url=f"ws{url.removeprefix('http')}/bybit", key=key.key, secret=key.secret.encode())
        join = joiner("bybit", access, f"{url}/bybit", instruments, transport=outside.transport, jitter=random.random, http=outside.http_of, timeout_s=2.0)
        setup = Setup(
            identity=Identity(name="killed", mode="paper", feed="simulator"), bindings=churner(seed, 1), limits=BrainLimits(), instruments=instruments,
            order_venues=frozenset({PERP}), clock=time.time_ns, wall=time.time_ns, steady=time.monotonic_ns, jitter=random.random,
            transport=outside.transport, endpoints=endpoints, rests=rests(endpoints, outside.fetch), join=join, open_journal=journal, history_bars=20,
        )  # fmt: skip
        began = loop.time()
        session = Session(setup)
        running = loop.create_task(session.run())

        def stop() -> None:
            try:
                session.begin_stop("asked to", flatten=True)  # so that nothing is under way when the books are told
            except TitanError:
                session.ask(Wish.RESUME, "to be stopped")
                loop.call_later(1.0, stop)

        loop.add_signal_handler(signal.SIGTERM, stop)
        ready = loop.create_task(session.is_ready.wait())
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        tell(ready=round(loop.time() - began, 3), boot=session.kept.boot, notes=[note.text for note in session.notes])
        await running
        account = session.engine.account
        held = {str(i.id): account.lots[k] for k, i in enumerate(instruments) if account.lots[k]}
        tell(ended=True, held=held, cash=session.view.wallet_cash(account.cash), trips=len(session.ledger.trips), at_ns=session.engine.now)


if __name__ == "__main__":
    asyncio.run(live(sys.argv[1], Path(sys.argv[2]), pickle.loads(Path(sys.argv[3]).read_bytes()), int(sys.argv[4])))
