"""A process that trades at a venue in a box with everything that could talk turned up: `trading.py FOLDER [unguarded] < key and secret, a line each`.

It writes what others could get to see of it into FOLDER, prints all the rest, and dies of an exception. `signatures` lists what it has signed with the secret.
"""

import asyncio
import hmac
import json
import logging
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import aiohttp
import ccxt.async_support as ccxt
import rich.traceback
from rich.console import Console

from tests.app.live.rig import churner
from titan_core.app.control.client import ask
from titan_core.app.control.messages import Status, Trades
from titan_core.app.control.server import ControlServer
from titan_core.app.control.steered import SteeredSession
from titan_core.app.live.entries import Kept, entry_codec
from titan_core.app.live.outside import Outside
from titan_core.app.live.session import Session
from titan_core.app.live.setup import Identity, Setup
from titan_core.brain.limits import BrainLimits
from titan_core.execution.access import Access
from titan_core.execution.bybit import account as bybit
from titan_core.execution.bybit.words import Instruments
from titan_core.execution.limiter import Limiter
from titan_core.execution.secrets.process import install
from titan_core.feed.hosts import HostPolicy
from titan_core.feed.venues import box_endpoints, rests
from titan_core.journal.journal import open_journal
from titan_core.model.ids import VenueId
from titan_core.model.units import D
from titan_core.simulator.box import Box
from titan_core.simulator.ccxt_plug import redirect
from titan_core.simulator.chunks import generated
from titan_core.simulator.clock import RealClock
from titan_core.simulator.server import BoxServer
from titan_core.simulator.wire import Credential

SPOT, PERP = VenueId("binance-spot"), VenueId("bybit-linear")
SECONDS = 3.0


def note_signatures(secret: str) -> set[str]:
    """Note all that is signed with the secret from now on, whoever signs."""
    made, new = set(), hmac.new

    def noting(key: Any, msg: Any = None, digestmod: Any = "") -> Any:
        result = new(key, msg, digestmod)
        if key == secret.encode() and msg:
            made.add(result.hexdigest())
        return result

    hmac.new = noting  # type: ignore[assignment]
    return made


def reprs(*roots: Any) -> str:
    """Return repr and str of everything of Titan and ccxt that hangs on some objects."""
    seen: dict[int, Any] = {}
    waiting, shown = list(roots), []
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen[id(each)] = each
        if isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, list | tuple | set | frozenset):
            waiting += each
        elif type(each).__module__.startswith(("titan_core.", "ccxt.")):
            shown += [repr(each), f"{each}"]
            if not type(each).__module__.startswith("ccxt."):  # whose objects hold the key as plain text, and do not show it
                names = [name for kind in type(each).__mro__ for name in getattr(kind, "__slots__", ())]
                waiting += [*getattr(each, "__dict__", {}).values(), *(getattr(each, name) for name in names if hasattr(each, name))]
    return "\n".join(shown)


def children() -> list[dict[str, str]]:
    found = [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]
    return [{name: Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace") for name in ("cmdline", "environ")} for pid in found]


async def trade(folder: Path, key: Credential, box: Box, url: str) -> None:
    endpoints = {venue: endpoint for venue, endpoint in box_endpoints(url).items() if venue in (SPOT, PERP)}
    exchanges: list[Any] = []
    async with Outside(HostPolicy.of([], simulator=True)) as outside:
        reads = rests(endpoints, outside.fetch)
        listed = [i for venue in (SPOT, PERP) for i in (await reads[venue].instruments())[0] if i.symbol == "BTCUSDT"]

        def join(listener: Any, now_ns: Any) -> Any:
            loop, exchange = asyncio.get_running_loop(), ccxt.bybit({"apiKey": key.key, "secret": key.secret})
            redirect(exchange, url)
            http = outside.http_of(exchange)
            exchange.verbose = True
            exchanges.append(exchange)
            limiter = Limiter(loop.time, loop.call_later, rate_per_s=10, burst=10, reserved=4)
            access = Access(socket_url=f"ws{url[4:]}/bybit", key=key.key, secret=key.secret.encode())
            return bybit.join(
                access, Instruments([i for i in listed if i.venue == PERP]), listener, exchange=exchange, http=http, transport=outside.transport,
                now_ns=now_ns, jitter=lambda: 0.5, limiter=limiter,
            )  # fmt: skip

        setup = Setup(
            identity=Identity(name="live", mode="live", feed="live"), bindings=churner(period_s=1), limits=BrainLimits(), instruments=tuple(listed),
            order_venues=frozenset({PERP}), clock=time.time_ns, wall=time.time_ns, steady=time.monotonic_ns, jitter=lambda: 0.5, transport=outside.transport,
            endpoints=endpoints, rests=reads, join=join, history_bars=10, recording=folder / "recording",
            open_journal=lambda loop, status: open_journal(folder / "journal", entry_codec(), Kept, clock=time.time_ns, loop=loop, on_status=status),
        )  # fmt: skip
        session = Session(setup, lambda text: print("note:", text))
        async with ControlServer(folder, SteeredSession(session)):
            running = asyncio.create_task(session.run())
            ready = asyncio.create_task(session.is_ready.wait())
            await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(SECONDS)
            loop = asyncio.get_running_loop()
            answers = [await loop.run_in_executor(None, ask, folder, what) for what in (Status(), Trades(50))]
            (folder / "answers").write_text("\n".join(map(repr, answers)) + f"\n{answers[0].status}")
            (folder / "children").write_text(json.dumps(children()))
            (folder / "reprs").write_text(reprs(session, session.account, outside, exchanges))
            session.begin_stop("the scene is over")
            await running


async def fail(key: Credential, url: str) -> None:
    """Have requests fail in as many voices as there are: addresses with a signature in them, locals with everything."""
    exchange = ccxt.binance({"apiKey": key.key, "secret": key.secret})
    redirect(exchange, url)
    exchange.urls["api"]["private"] = "http://127.0.0.1:9/api/v3"
    exchange.verbose = True
    try:
        await exchange.private_get_account()
    except ccxt.NetworkError as error:
        print(f"it says: {error}")
        traceback.print_exc()
        logging.getLogger("titan.test").exception("refused")
        logging.getLogger("titan.test").error("refused: %s", error, stack_info=True)
        Console(stderr=True, width=120).print_exception(show_locals=True, suppress=[aiohttp])
    finally:
        await exchange.close()

    async def lost(secret: str) -> None:
        raise RuntimeError(f"a task with {secret}")

    task = asyncio.create_task(lost(key.secret))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    thread = threading.Thread(target=boom, args=(key, "in a thread"))
    thread.start()
    thread.join()


def draw(key: Credential) -> None:
    """Draw tracebacks with locals, wide and so narrow that every value is broken."""
    for width in (200, 100, 40):
        try:
            boom(key, "drawn")
        except RuntimeError:
            Console(stderr=True, width=width, force_terminal=True).print_exception(show_locals=True)


def boom(key: Credential, where: str) -> None:
    secret, signature = key.secret, hmac.new(key.secret.encode(), b"x", "sha256").hexdigest()
    raise RuntimeError(f"{where}: {key.key} {secret} https://api.binance.com/x?signature={signature}")


async def main(folder: Path, key: Credential) -> None:
    now = time.time_ns()
    supply = generated(1, start_ns=now - D, ticks_per_day=300_000)
    box = Box(1, supply=supply, start_ns=now, clock=RealClock(now, 10.0), server_ns=time.time_ns, credentials=(key,))
    async with BoxServer(box) as server:
        await trade(folder, key, box, server.url)
        await fail(key, server.url)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    credential = Credential(key=sys.stdin.readline().strip(), secret=sys.stdin.readline().strip())
    signed = note_signatures(credential.secret)
    if "unguarded" not in sys.argv:
        install([credential.key, credential.secret], log=place / "log")
    logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, force=False)
    logging.getLogger().addHandler(logging.StreamHandler(sys.stdout))
    logging.getLogger().setLevel(logging.DEBUG)
    try:
        asyncio.run(main(place, credential), debug=True)
    finally:
        (place / "signatures").write_text("\n".join(sorted(signed)))
    draw(credential)
    rich.traceback.install(show_locals=True, width=100)
    boom(credential, "at the end")
