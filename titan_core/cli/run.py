"""`titan run`: trade, on paper at the built-in venue unless told otherwise, until stopped."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from titan_core.cli.options import ConfigOption, JsonOption, SetOption

if TYPE_CHECKING:
    from titan_core.app.control.places import Places
    from titan_core.app.live.setup import Identity, OpenJournal
    from titan_core.config.load import Config
    from titan_core.plugin_host import LoadedPhase
    from titan_core.simulator.box import Box

app = typer.Typer(help="Trade: on paper at the built-in venue unless told otherwise.")

DEFAULT_SPEED = 60.0


@app.command()
def run(
    name: Annotated[str, typer.Option(help="Name of the session; its journal goes on where it ended.")] = "paper",
    state: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of all sessions.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Seed of the built-in market; counts for a new session.")] = 1,
    speed: Annotated[float, typer.Option(help="How many times faster than life the built-in market runs.")] = DEFAULT_SPEED,
    equity: Annotated[str | None, typer.Option(metavar="USDT", help="Balance of a new paper account.", show_default=False)] = None,
    phases: Annotated[str | None, typer.Option(metavar="NAMES", help="Phases to run, by comma (default: all installed).", show_default=False)] = None,
    seconds: Annotated[float | None, typer.Option("--for", metavar="S", help="Stop by itself after so many seconds.", show_default=False)] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Put an earlier session of this name aside and begin anew.")] = False,
    config: ConfigOption = None,
    settings: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Run a session: recover what the journal has kept, agree with the venue, then trade until Ctrl-C, `titan stop` or SIGTERM.

    The built-in venue needs no network and no key; its market is generated and runs at 60 times the speed of life.
    """
    from titan_core.app.compose import choose_phases
    from titan_core.app.control.places import places, state_root
    from titan_core.cli.options import discover_plugins, load_configuration
    from titan_core.cli.replay import parse_money

    report = discover_plugins()
    configuration = load_configuration(config, settings, report)
    chosen = choose_phases(report.phases, [each.strip() for each in phases.split(",") if each.strip()] if phases else [])
    deposit = parse_money(equity) if equity is not None else parse_money(str(configuration.replay.equity_usdt))
    where = places(state_root(state, os.environ, Path.home()), name)
    if fresh:
        _put_aside(where)
    _on_built_in(where, name, seed, speed, deposit, chosen, configuration, seconds, json)


def _put_aside(where: "Places") -> None:
    """Rename the folder of an ended session, so that nothing is ever lost."""
    from titan_core.app.control.sessions import find_sessions
    from titan_core.cli.output import print_note
    from titan_core.errors import UsageError

    if not where.folder.exists():
        return
    if any(found.places == where and found.alive for found in find_sessions(where.folder.parent)):
        raise UsageError(f"a session runs in {where.folder}; `titan stop` it first")
    count = 1
    while (aside := where.folder.with_name(f"{where.folder.name}.{count}")).exists():
        count += 1
    where.folder.rename(aside)
    print_note(f"the earlier session lies in {aside}")


def _on_built_in(
    where: "Places", name: str, seed: int, speed: float, deposit: int, phases: "tuple[LoadedPhase, ...]", config: "Config", seconds: float | None, json: bool
) -> None:
    import time

    from titan_core.app.compose import bind
    from titan_core.app.control.private import make_folder
    from titan_core.cli.run_screen import follow
    from titan_core.model.units import to_usdt
    from titan_core.simulator.paced_loop import PacedLoop, run_paced
    from titan_core.simulator.paper import paper_setup

    make_folder(where.folder)
    box = _box(where, seed, to_usdt(deposit))

    def speed_now() -> float:
        import asyncio

        loop = asyncio.get_running_loop()
        return loop.speed if isinstance(loop, PacedLoop) else speed

    async def main() -> None:
        setup = paper_setup(
            box,
            [bind(phase, config) for phase in phases],
            config.brain,
            _identity(name, box.seed, config, phases),
            _journal_opener(where, box.now_ns),
            wall=time.time_ns,
            recording=where.recording / f"boot-{_next_recording(where.recording)}",
            speed=speed_now,
            seed=box.seed,
            timeout_s=0.5 * speed,
            on_terms=lambda i: config.venue(i.venue).applied_to(i),
        )
        limits = config.brain
        levels = (limits.drawdown_warning_bps, limits.drawdown_reduced_bps, limits.drawdown_emergency_bps)
        await follow(setup, where, seconds=seconds, json=json, levels_bps=levels)

    try:
        run_paced(main(), box, speed)
    finally:
        box.close()


def _box(where: "Places", seed: int, equity: Any) -> "Box":
    """Open the venue of this session where it was left, or make a new one."""
    from titan_core.simulator.box import Box
    from titan_core.simulator.store import BoxStore, look

    path = where.folder / "venue"
    head = look(path)
    store = BoxStore(path)
    if head is None:
        return Box(seed, start_ns=_opening(), balance_usdt=str(equity), store=store)
    return Box(head.seed, start_ns=head.start_ns, balance_usdt=str(_usdt(head.deposit)), ticks_per_day=head.ticks_per_day, store=store)


def _usdt(amount: int) -> Any:
    """Return money as a number of USDT."""
    from titan_core.model.units import Money, to_usdt

    return to_usdt(Money(amount))


def _opening() -> int:
    """Return when the built-in market is first seen: in the liveliest hours of its day, with bars before it."""
    from titan_core.model.units import H
    from titan_core.tape.generate import NEW_YEAR_2024

    return NEW_YEAR_2024 + 14 * H


def _identity(name: str, seed: int, config: "Config", phases: "tuple[LoadedPhase, ...]") -> "Identity":
    from titan_core.app.code_digest import code_digest
    from titan_core.app.live.setup import Identity
    from titan_core.cli.replay import type_package

    changed = {s.spec.name: str(s.spec.show(s.value)) for s in config.settings if s.origin not in ("default", "declared by the plugin")}
    packages = ["titan_core", *(type_package(phase.declaration) for phase in phases)]
    return Identity(name=name, mode="paper", feed="built-in", seed=seed, code_digest=code_digest(packages), config_digest=config.digest, settings=changed)


def _journal_opener(where: "Places", clock: Any) -> "OpenJournal":
    def open_it(loop: Any, on_status: Any) -> Any:
        from titan_core.app.live.entries import Kept, entry_codec
        from titan_core.journal.journal import open_journal

        return open_journal(where.journal, entry_codec(), Kept, clock=clock, loop=loop, on_status=on_status)

    return open_it


def _next_recording(folder: Path) -> int:
    taken = [int(each.name.removeprefix("boot-")) for each in folder.glob("boot-*") if each.name.removeprefix("boot-").isdigit()]
    return max(taken, default=0) + 1
