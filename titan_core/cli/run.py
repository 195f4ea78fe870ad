"""`titan run`: trade, on paper at the built-in venue unless told otherwise, until stopped."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from titan_core.cli.options import ConfigOption, JsonOption, SetOption
from titan_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from titan_core.app.control.places import Places
    from titan_core.cli.run_plan import Plan
    from titan_core.execution.secrets.keystore import ApiKey

app = typer.Typer(help="Trade: on paper at the built-in venue unless told otherwise.")

DEFAULT_SPEED = 60.0


class FeedName(StrEnum):
    """Where the market comes from."""

    BUILT_IN = "built-in"
    LIVE = "live"


@app.command()
def run(
    live: Annotated[bool, typer.Option("--live/--paper", help="Trade with real money, after a typed confirmation; else on paper.")] = False,
    feed: Annotated[FeedName, typer.Option(help="Market of a paper run: generated, or the venues' public feeds.")] = FeedName.BUILT_IN,
    venue: Annotated[str | None, typer.Option(metavar="URL", help="A venue in a box (`titan sim`) in the place of the real ones.", show_default=False)] = None,
    name: Annotated[str | None, typer.Option(help="Name of the session; its journal goes on where it ended. [paper or live]", show_default=False)] = None,
    state: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of all sessions.", show_default=False)] = None,
    coins: Annotated[str | None, typer.Option(metavar="A,B", help="Coins to trade. [live.coins, BTC]", show_default=False)] = None,
    phases: Annotated[str | None, typer.Option(metavar="A,B", help="Phases to run; all installed ones by default.", show_default=False)] = None,
    equity: Annotated[str | None, typer.Option(metavar="USDT", help="Balance of a new paper account.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Seed of the built-in market of a new session.")] = 1,
    speed: Annotated[float, typer.Option(help="How many times faster than life the built-in market runs.")] = DEFAULT_SPEED,
    seconds: Annotated[float | None, typer.Option("--for", metavar="S", help="Stop by itself after so many seconds.", show_default=False)] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Put an earlier session of this name aside and begin anew.")] = False,
    keystore: Annotated[Path | None, typer.Option(metavar="FILE", help="Keystore of a live run.", show_default=False)] = None,
    password_fd: Annotated[int | None, typer.Option(metavar="N", help="Read the keystore's password from this file descriptor.", show_default=False)] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Run a session: recover what the journal has kept, agree with the venue, then trade until Ctrl-C, `titan stop` or SIGTERM.

    Without options it trades on paper at the built-in venue, which needs no network and no key; its market is generated and runs at 60 times the speed of life.
    """
    plan = _plan(name or ("live" if live else "paper"), state, coins, phases, equity, seconds, config, settings, json)
    _refuse_second(plan.where)
    if fresh:
        _put_aside(plan.where, live=live)
    _same_kind(plan.where, "live" if live else "paper", "simulator" if venue else "live" if live else feed.value)
    if live:
        from titan_core.cli.run_outside import run_outside

        run_outside(plan, box_url=_box_url(venue), keys=_live_keys(plan, keystore, password_fd, _box_url(venue)), mode="live")
    elif feed is FeedName.LIVE:
        from titan_core.cli.run_outside import run_outside

        run_outside(plan, box_url=_box_url(venue), keys=None, mode="paper")
    elif venue is not None:
        from titan_core.cli.run_outside import run_outside

        run_outside(plan, box_url=_box_url(venue), keys={"bybit": _box_key()}, mode="paper")
    else:
        from titan_core.cli.run_built_in import run_built_in

        if plan.coins != ("BTC",):
            raise UsageError(f"the built-in market has BTC, found {', '.join(plan.coins)}; other coins trade with --feed live")
        run_built_in(plan, seed, speed)


def _plan(
    name: str,
    state: Path | None,
    coins: str | None,
    phases: str | None,
    equity: str | None,
    seconds: float | None,
    config: Path | None,
    settings: list[str] | None,
    json: bool,
) -> "Plan":
    from titan_core.app.compose import choose_phases
    from titan_core.app.control.places import places, state_root
    from titan_core.cli.options import discover_plugins, load_configuration, unserved_bands
    from titan_core.cli.output import print_note
    from titan_core.cli.replay import parse_money
    from titan_core.cli.run_plan import Plan

    report = discover_plugins()
    configuration = load_configuration(config, settings, report)
    wanted = tuple(dict.fromkeys(each.strip().upper() for each in (coins.split(",") if coins is not None else configuration.live.coins) if each.strip()))
    if not wanted:
        raise UsageError("no coin is named; give one such as BTC, or several by comma")
    chosen = choose_phases(report.phases, [each.strip() for each in phases.split(",") if each.strip()] if phases else [])
    deposit = parse_money(equity if equity is not None else str(configuration.replay.equity_usdt))
    for text in unserved_bands((phase.declaration for phase in chosen), deposit):
        print_note(text)
    return Plan(
        where=places(state_root(state, os.environ, Path.home()), name),
        name=name,
        deposit=deposit,
        coins=wanted,
        phases=chosen,
        config=configuration,
        seconds=seconds,
        json=json,
    )


def _live_keys(plan: "Plan", keystore: Path | None, password_fd: int | None, box_url: str | None) -> "Mapping[str, ApiKey]":
    """Guard the whole process against telling secrets, then unseal the keys that may trade."""
    from titan_core.app.control.private import make_folder
    from titan_core.cli.live_key import usable_keys
    from titan_core.execution.secrets.process import install

    make_folder(plan.where.folder)
    guard = install(log=plan.where.folder / "warnings.log")
    return usable_keys(keystore, password_fd, box_url, guard.register)


def _refuse_second(where: "Places") -> None:
    """Refuse to run where a session of that name runs already."""
    from titan_core.app.control.failures import SessionRunning
    from titan_core.app.control.sessions import read_session

    known = read_session(where)
    if known is not None and known.is_alive:
        name = where.folder.name
        raise SessionRunning(
            f"session {name!r} runs already (process {known.pid}, {known.mode}); `titan status --name {name}` shows it, `titan stop --name {name}` ends it, "
            "and another --name runs beside it",
            known.pid,
        )


def _put_aside(where: "Places", *, live: bool) -> None:
    """Rename the folder of an ended session, so that nothing is ever lost."""
    from titan_core.cli.output import print_note

    if live:
        raise UsageError("--fresh would forget what a live account has done; move its folder by hand if you mean it")
    if not where.folder.exists():
        return
    count = 1
    while (aside := where.folder.with_name(f"{where.folder.name}.{count}")).exists():
        count += 1
    where.folder.rename(aside)
    print_note(f"the earlier session lies in {aside}")


def _same_kind(where: "Places", mode: str, feed: str) -> None:
    """Refuse to go on with the journal of another kind of session: paper money must never meet real money."""
    from titan_core.app.live.entries import Started, entry_codec
    from titan_core.journal.reading import read

    if not where.journal.is_dir():
        return
    first = next((record.entry for record in read(where.journal, entry_codec())), None)
    if isinstance(first, Started) and (first.mode, first.feed) != (mode, feed):
        raise UsageError(
            f"the session in {where.folder} is {first.mode} on the {first.feed} market; this run would be {mode} on the {feed} market: give it another --name"
        )


def _box_url(url: str | None) -> str | None:
    """Check the address of a venue in a box: it is on this machine, or it is refused."""
    if url is None:
        return None
    from urllib.parse import urlsplit

    from titan_core.feed.hosts import HostPolicy, HostRefused

    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
        raise UsageError(f"--venue is the address that `titan sim` prints, such as http://127.0.0.1:8899; found {url!r}")
    try:
        HostPolicy.of((), simulator=True).check(url)
    except HostRefused:
        raise UsageError(
            f"--venue is a venue in a box on this machine, found {parts.hostname}; the real venues are reached with --feed live or --live"
        ) from None
    return url.rstrip("/")


def _box_key() -> "ApiKey":
    """Return the key that every venue in a box knows."""
    from titan_core.execution.secrets.keystore import ApiKey
    from titan_core.execution.secrets.secret import Secret
    from titan_core.simulator.wire import Credential

    known = Credential()
    return ApiKey("bybit", "simulator", Secret(known.key), Secret(known.secret), 0)
