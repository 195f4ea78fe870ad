"""`titan replay`: replay a market through the Brain and its phases, print what happened, leave a run folder."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from titan_core.cli.moments import parse_moment
from titan_core.cli.options import ConfigOption, JsonOption, SetOption, discover_plugins, load_configuration
from titan_core.cli.output import print_json, print_note, progress
from titan_core.errors import UsageError

if TYPE_CHECKING:
    from titan_core.engine.core import Engine
    from titan_core.engine.swapping import Swap
    from titan_core.tape.tape import Tape

app = typer.Typer(help="Replay a market recording through the Brain and its phases.")

RUNS = Path("runs")


class EngineName(StrEnum):
    """Forms of the engine, as the command names them."""

    REPLAY = "replay"
    REFERENCE = "reference"


@app.command()
def replay(
    tape: Annotated[
        list[Path] | None,
        typer.Option(
            help="Recording to replay (see `titan data`); repeatable: one account through all. Without, a seeded day is generated.", show_default=False
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="First moment, e.g. 2024-08-08 or 2024-08-08T23:55 (UTC).", show_default=False)
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Last moment (UTC); a date without time means its end.", show_default=False)] = None,
    equity: Annotated[str | None, typer.Option(metavar="USDT", help="Equity at the start. [replay.equity_usdt, 1000]", show_default=False)] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    phases: Annotated[str | None, typer.Option(metavar="A,B", help="Phases to run; all installed ones by default.", show_default=False)] = None,
    engine: Annotated[EngineName, typer.Option(help="Form of the engine; `reference` goes tick by tick and is slow.")] = EngineName.REPLAY,
    seed: Annotated[int | None, typer.Option(help="Seed of the generated day. [replay.seed, 1]", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Run folder to write. [runs/TIME-DIGEST]", show_default=False)] = None,
    compare: Annotated[
        str | None, typer.Option(metavar="RUN", help="Play a session of `titan run` back, by name or folder, and compare.", show_default=False)
    ] = None,
    swaps: Annotated[
        list[str] | None, typer.Option("--swap", metavar="OLD=NEW@TIME", help="Exchange one phase for another at a time; repeatable.", show_default=False)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Several tapes: unlock a locked Brain at the beginning of the next, its peak rebased.")] = False,
    json: JsonOption = False,
) -> None:
    """Replay a market through the Brain and its phases.

    Prints a summary and writes a run folder: manifest, summary, trades, fills, funding, decisions, chart transitions, equity curve. With several
    tapes one account lives through all of them, and each leaves a run folder of its own in the one that is named. With --compare the market is what a
    session recorded, and every decision is compared with the one that it made.
    """
    if compare is not None:
        from titan_core.cli.compare import compare_session

        compare_session(compare, config, settings, json=json)
        return
    from titan_core.app.code_digest import packages_of
    from titan_core.app.compose import choose_phases
    from titan_core.app.replay_run import ReplayRequest, run_replay, save_run
    from titan_core.app.results import summary
    from titan_core.cli.replay_report import print_report
    from titan_core.engine.forms import Form
    from titan_core.telemetry.run_folder import refuse_existing

    if out is not None:
        refuse_existing(out)
    report = discover_plugins()
    configuration = load_configuration(config, settings, report)
    chosen = choose_phases(report.phases, [name.strip() for name in phases.split(",") if name.strip()] if phases else [])
    cash = parse_money(equity) if equity is not None else parse_money(str(configuration.replay.equity_usdt))
    window = (None if start is None else parse_moment(start, "--from"), None if end is None else parse_moment(end, "--to", last=True))
    packages = packages_of(phase.declaration for phase in chosen)
    arguments = {"from": start, "to": end, "engine": engine.value, "phases": phases, "swaps": swaps}
    exchanged = tuple(_swap(text) for text in swaps or ())
    if tape is not None and len(tape) > 1:
        from titan_core.cli.replay_life import Written, replay_life

        if exchanged:
            raise UsageError("--swap is for a replay of one tape, found several; give the tape in which the exchange happens")
        requests = [ReplayRequest(*_market(path, 0, quiet=json), cash, Form(engine.value), *window) for path in tape]
        written = Written(lambda digest: out or _folder(digest), packages, arguments)
        replay_life(requests, chosen, configuration, written, resumes=resume, json=json)
        return
    market, source = _market(tape[0] if tape else None, configuration.replay.seed if seed is None else seed, quiet=json)
    request = ReplayRequest(market, source, cash, Form(engine.value), *window, swaps=exchanged)
    with _progress(market, quiet=json) as begun:
        results = run_replay(request, chosen, configuration, say=print_note, begun=begun)
    figures = summary(results)
    folder = out if out is not None else _folder(figures["digest"])
    arguments |= {"equity_usdt": figures["equity_start"], "seed": source.get("seed")}
    save_run(folder, results, configuration, source=source, packages=packages, arguments=arguments)
    if json:
        print_json({**figures, "run": str(folder), "source": source})
    else:
        print_report(results, figures, folder, source)


def _market(path: Path | None, seed: int, *, quiet: bool) -> "tuple[Tape, dict[str, Any]]":
    """Open the tape, or generate a seeded day."""
    if path is not None:
        from titan_core.tape.store import open_tape

        return open_tape(path), {"path": str(path)}
    from titan_core.tape.generate import generate
    from titan_core.tape.tape import build_tape

    with progress(f"generating a day of BTCUSDT, seed {seed}", 1.0, quiet=quiet) as step:
        instruments, raw = generate(1, seed, progress=step)
    return build_tape(instruments, raw), {"generated_days": 1, "seed": seed}


def _swap(text: str) -> "Swap":
    """Read `OLD=NEW@TIME`. Raises UsageError for anything else."""
    from titan_core.engine.swapping import Swap
    from titan_core.model.ids import PhaseId

    names, _, moment = text.partition("@")
    old, _, new = (part.strip() for part in names.partition("="))
    if not (old and new and moment):
        raise UsageError(f"--swap is OLD=NEW@TIME, such as scavenger=hunter@2024-08-08T12:00; found {text!r}")
    return Swap(PhaseId(old), PhaseId(new), parse_moment(moment, "--swap"))


def parse_money(text: str) -> Any:
    """Return an amount of USDT as money. Raises UsageError for what is none."""
    from titan_core.model.units import MONEY_PER_USDT, Money

    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise UsageError(f"--equity must be a number of USDT such as 1000, found {text!r}") from None
    if not amount.is_finite() or not 0 < amount <= 10**9:
        raise UsageError(f"--equity must lie above 0 and at most at 1,000,000,000 USDT, found {text}")
    scaled = amount * MONEY_PER_USDT
    if scaled != scaled.to_integral_value():
        raise UsageError(f"--equity has more than eight decimals: {text}")
    return Money(int(scaled))


def _folder(digest: str) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    path = RUNS / f"{stamp}-{digest[:8]}"
    count = 1
    while path.exists():
        count += 1
        path = RUNS / f"{stamp}-{digest[:8]}-{count}"
    return path


@contextmanager
def _progress(tape: "Tape", *, quiet: bool) -> Iterator[Any]:
    """Show how far a replay has come: a thread looks at the engine's clock, the engine itself does nothing for it."""
    stop = threading.Event()
    threads: list[threading.Thread] = []
    with progress("replaying", max(1, tape.last_ns - tape.first_ns), quiet=quiet) as step:

        def begun(engine: "Engine") -> None:
            def look() -> None:
                while not stop.wait(0.1):
                    step(max(0, engine.now - tape.first_ns))

            threads.append(threading.Thread(target=look, daemon=True))
            threads[0].start()

        try:
            yield begun
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            time.sleep(0)
