"""`titan sim`: run the venue in a box on 127.0.0.1."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from titan_core.cli.options import JsonOption

if TYPE_CHECKING:
    from titan_core.simulator.box import Box
    from titan_core.simulator.faults import Rule
    from titan_core.simulator.server import BoxServer

app = typer.Typer(help="Run the venue in a box: Bybit, MEXC and Binance on this machine.")

DEFAULT_PORT = 8899


@app.command()
def sim(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = DEFAULT_PORT,
    tape: Annotated[Path | None, typer.Option(metavar="DIR", help="Recording that the market replays, as if it happened now.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the generated market, and of the faults; 1, or that of the store.", show_default=False)] = None,
    speed: Annotated[float, typer.Option(help="How many times faster than life the market runs.")] = 1.0,
    balance: Annotated[int, typer.Option(metavar="USDT", help="What each new account begins with.")] = 10_000,
    coins: Annotated[int | None, typer.Option(help="Further coins, scaled copies of the market's own; 0, or those of the store.", show_default=False)] = None,
    store: Annotated[Path | None, typer.Option(metavar="PATH", help="File that keeps market and accounts; it goes on from there.", show_default=False)] = None,
    faults: Annotated[Path | None, typer.Option(metavar="FILE", help="Fault script: a JSON list of rules.", show_default=False)] = None,
    json: JsonOption = False,
) -> None:
    """Run a local exchange that speaks as Bybit V5, MEXC contract and Binance Spot, until it is interrupted.

    The market is generated or replayed. Orders are matched, funding is paid, accounts can be liquidated, and faults can be injected while it runs.
    With --store everything outlives the process, also when it is killed; while it is away the market stands still.
    """
    import asyncio

    from titan_core.errors import UsageError

    if not 0 <= port <= 65_535:
        raise UsageError(f"port {port} is out of range; allowed are 0 to 65535")
    if balance < 0 or (seed or 0) < 0 or not 0 <= (coins or 0) <= 900:
        raise UsageError("balance and seed must not be negative, and coins must be 0 to 900")
    box = _build(tape, seed, speed, balance, coins, _rules(faults), store)
    try:
        asyncio.run(_serve(box, port, speed, json))
    finally:
        box.close()


def _rules(path: Path | None) -> "list[Rule]":
    from titan_core.errors import UsageError
    from titan_core.simulator.faults import read_rules

    if path is None:
        return []
    import msgspec

    try:
        return read_rules(msgspec.json.decode(path.read_bytes()))
    except msgspec.DecodeError as error:
        raise UsageError(f"{path} is no JSON: {error}") from None
    except FileNotFoundError:
        raise UsageError(f"there is no fault script {path}; give a JSON file with a list of rules") from None


def _build(tape: Path | None, seed: int | None, speed: float, balance: int, coins: int | None, rules: "list[Rule]", store: Path | None) -> "Box":
    import time

    from titan_core.model.units import D
    from titan_core.simulator.box import Box
    from titan_core.simulator.chunks import generated, recorded
    from titan_core.simulator.clock import RealClock, check_speed
    from titan_core.simulator.store import BoxStore, look

    check_speed(speed)
    head = look(store) if store is not None else None
    now = time.time_ns() if head is None else head.start_ns
    if seed is None:
        seed = 1 if head is None else head.seed
    if coins is None:
        coins = 0 if head is None else head.extra_coins
    if tape is None:
        supply = generated(seed, start_ns=now - D)  # a day of bars before the first event
    else:
        from titan_core.tape.store import open_tape

        opened = open_tape(tape)
        supply = recorded(opened, seed, now - opened.first_ns)
    # at another speed the market's time leaves the computer's behind; signatures are checked by the computer's
    return Box(
        seed,
        supply=supply,
        start_ns=now,
        clock=lambda at_ns: RealClock(at_ns, speed),
        server_ns=time.time_ns,
        balance_usdt=balance,
        extra_coins=coins,
        faults=rules,
        store=BoxStore(store) if store is not None else None,
    )


async def _serve(box: "Box", port: int, speed: float, json: bool) -> None:
    import asyncio
    import signal

    from titan_core.simulator.server import BoxServer

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    async with BoxServer(box, port) as server:
        _greet(server, speed, json)
        tasks = [asyncio.create_task(stop.wait()), asyncio.create_task(server.wait())]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()
    _part(box, json)


def _addresses(server: "BoxServer") -> dict[str, Any]:
    base, sockets = server.url, server.url.replace("http", "ws", 1)
    return {
        "url": base,
        "bybit": {
            "rest": f"{base}/bybit",
            "public": [f"{sockets}/bybit/v5/public/linear", f"{sockets}/bybit/v5/public/spot"],
            "private": f"{sockets}/bybit/v5/private",
            "trade": f"{sockets}/bybit/v5/trade",
        },
        "mexc": {"rest": f"{base}/mexc/api/v1", "socket": f"{sockets}/mexc/edge"},
        "binance": {"rest": f"{base}/binance/api/v3", "socket": f"{sockets}/binance/stream"},
        "control": f"{base}/control",
    }


def _greet(server: "BoxServer", speed: float, json: bool) -> None:
    from titan_core.cli.output import console, emit

    addresses = _addresses(server)
    key = server.box.venues["bybit"].credentials[0]
    if json:
        import sys

        import msgspec

        line = msgspec.json.encode({"event": "listening", "speed": speed, "key": key.key, "secret": key.secret, **addresses}).decode()
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        return
    screen = console()
    screen.print(f"the venue in a box listens at {server.url}; the market runs at {speed:g}x; Ctrl-C stops it\n", markup=False, soft_wrap=True)
    rows = [
        {"what": "Bybit REST", "where": addresses["bybit"]["rest"]},
        {"what": "Bybit websockets", "where": f"{addresses['bybit']['public'][0]}, .../public/spot, .../v5/private, .../v5/trade"},
        {"what": "MEXC REST", "where": addresses["mexc"]["rest"]},
        {"what": "MEXC websocket", "where": addresses["mexc"]["socket"]},
        {"what": "Binance REST", "where": addresses["binance"]["rest"]},
        {"what": "Binance websocket", "where": addresses["binance"]["socket"]},
        {"what": "control", "where": f"{addresses['control']}/state and {addresses['control']}/faults"},
        {"what": "API key", "where": f"{key.key}, secret {key.secret}"},
    ]
    emit(rows, False)
    screen.print("\nccxt is led here with\n", markup=False)
    for line in ("from titan_core.simulator.ccxt_plug import redirect", f'redirect(exchange, "{server.url}")'):
        screen.print(f"    {line}", markup=False, soft_wrap=True)


def _part(box: "Box", json: bool) -> None:
    from titan_core.cli.output import console
    from titan_core.simulator.control import state

    accounts = state(box)["accounts"]
    if json:
        import sys

        import msgspec

        sys.stdout.write(msgspec.json.encode({"event": "stopped", "trace": box.trace(), "accounts": accounts}).decode() + "\n")
        return
    screen = console()
    screen.print()
    for name, account in accounts.items():
        figures = f"{account['orders']} orders, {account['executions']} executions, cash {account['cash']} USDT, equity {account['equity']} USDT"
        screen.print(f"{name}: {figures}", markup=False, soft_wrap=True)
