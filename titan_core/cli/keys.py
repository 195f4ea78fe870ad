"""`titan keys`: the venues' API keys, sealed in one file. Secrets come from a terminal, a file descriptor or a systemd credential, never from arguments."""

import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from titan_core.cli.options import JsonOption
from titan_core.cli.output import console, emit, print_json, print_note
from titan_core.errors import TitanError, UsageError

if TYPE_CHECKING:
    from titan_core.execution.secrets.keystore import ApiKey, KeyFacts, Keystore
    from titan_core.execution.secrets.secret import Secret

app = typer.Typer(help="Keep the venues' API keys sealed; add, list, remove and check them.", no_args_is_help=True)

VENUES = ("bybit", "mexc")
"""Venues that orders are sent to."""
CHECKS = {"bybit": "titan_core.execution.bybit.keys:key_facts", "mexc": "titan_core.execution.mexc.keys:key_facts"}
"""Who asks a venue what a key may do: `async key_facts(key: ApiKey, *, simulator: str = ...) -> KeyFacts`, imported when it is needed."""
COLUMNS = ("venue", "label", "key", "live", "ip bound", "checked", "permissions")

VenueArgument = Annotated[str, typer.Argument(metavar="VENUE", help=f"Where the key is from: {' or '.join(VENUES)}.")]
LabelOption = Annotated[str, typer.Option("--label", help="Tells several keys of one venue apart.")]
PathOption = Annotated[
    Path | None,
    typer.Option("--keystore", metavar="FILE", help="The sealed file. [~/.config/titan/keystore.json]", show_default=False),
]
PasswordOption = Annotated[
    int | None, typer.Option("--password-fd", metavar="N", help="Read the password from this open file descriptor; 0 is stdin.", show_default=False)
]
KeyringOption = Annotated[bool, typer.Option("--keyring", help="Take the password from the system's keyring (needs the package `keyring`).")]


@app.command()
def add(
    venue: VenueArgument,
    label: LabelOption = "main",
    key_fd: Annotated[
        int | None, typer.Option("--key-fd", metavar="N", help="Read API key and secret, a line each, from this file descriptor.", show_default=False)
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a key of the same label.")] = False,
    keystore: PathOption = None,
    password_fd: PasswordOption = None,
    keyring: KeyringOption = False,
) -> None:
    """Add a key; the file is made with the first one. Asks for password, key and secret unless they come by file descriptors."""
    from titan_core.execution.secrets.keystore import ApiKey
    from titan_core.execution.secrets.unlock import ask, read_secret

    _known(venue)
    store = open_store(keystore)
    password = _password(store, password_fd, keyring)
    if store.exists:
        store.unlock(password)  # a wrong password is told before the key is typed
    if key_fd is not None:
        key, secret = read_secret(key_fd, "the API key"), read_secret(key_fd, "the API secret")
    else:
        key, secret = ask(f"API key of {venue}: "), ask(f"API secret of {venue}: ")
    store.add(password, ApiKey(venue, label, key, secret, time.time_ns()), replace=replace)
    print_note(f"key {label!r} for {venue} is in {store.path}; run `titan keys check {venue}` before trading live")


@app.command("list")
def list_keys(json: JsonOption = False, keystore: PathOption = None, password_fd: PasswordOption = None, keyring: KeyringOption = False) -> None:
    """List the keys: what each may do by its last check, never the key itself."""
    store = open_store(keystore)
    keys = store.unlock(_password(store, password_fd, keyring)) if store.exists else ()
    _show([each.as_row() for each in keys], json)


@app.command()
def remove(
    venue: VenueArgument,
    label: LabelOption = "main",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    keystore: PathOption = None,
    password_fd: PasswordOption = None,
    keyring: KeyringOption = False,
) -> None:
    """Remove a key from the file. It stays valid at the venue until it is deleted there."""
    _known(venue)
    store = open_store(keystore)
    if not yes and not typer.confirm(f"Remove key {label!r} for {venue}?", err=True):
        raise typer.Exit(1)
    store.remove(_password(store, password_fd, keyring, must_exist=True), venue, label)
    print_note(f"key {label!r} for {venue} is removed; delete it at the venue too. The file before is kept as {store.path.name}.bak until the next change")


@app.command()
def check(
    venue: Annotated[str | None, typer.Argument(metavar="[VENUE]", help="Check the keys of this venue only.", show_default=False)] = None,
    simulator: Annotated[
        str | None,
        typer.Option("--simulator", metavar="URL", help="Ask `titan sim` at this address instead of the venues; nothing is noted then.", show_default=False),
    ] = None,
    json: JsonOption = False,
    keystore: PathOption = None,
    password_fd: PasswordOption = None,
    keyring: KeyringOption = False,
) -> None:
    """Ask the venues what each key may do. Exits with 1 where one cannot be checked or must not be used for live trading."""
    if venue is not None:
        _known(venue)
    store = open_store(keystore)
    password = _password(store, password_fd, keyring, must_exist=True)
    keys = [each for each in store.unlock(password) if venue in (None, each.venue)]
    if not keys:
        raise TitanError(f"the keystore holds no key{f' for {venue}' if venue else ''}; `titan keys add` adds one")
    rows = [_check_one(store, password, each, simulator) for each in keys]
    _show(rows, json)
    if not json:
        for row in rows:
            for problem in row["problems"]:
                console().print(f"{row['venue']} {row['label']}: {problem}", markup=False)
    if any(row["problems"] for row in rows):
        raise typer.Exit(1)


def _check_one(store: "Keystore", password: "Secret", key: "ApiKey", simulator: str | None) -> dict[str, Any]:
    """Ask the venue about one key and describe it."""
    try:
        checked = key_facts_of(store, password, key, simulator)
    except (TitanError, OSError) as error:
        return key.as_row() | {"problems": [str(error)]}
    return checked.as_row() | {"problems": list(checked.live_refusals())}


def key_facts_of(store: "Keystore", password: "Secret", key: "ApiKey", simulator: str | None) -> "ApiKey":
    """Ask the venue about one key, store what it said and return the key with it; what a simulator says of a key is not worth noting.

    Raises TitanError, free of the key itself, where the venue does not accept it or does not answer.
    """
    import asyncio

    from attrs import evolve
    from msgspec.structs import replace

    from titan_core.execution.secrets.redaction import Redactor, guard_output

    redactor = Redactor(value for value in (key.key, key.secret) if len(value.reveal()) >= 6)
    undo = guard_output(redactor)
    try:
        asked = _checker(key.venue)(key) if simulator is None else _checker(key.venue)(key, simulator=simulator)
        facts = replace(asyncio.run(asked), checked_ns=time.time_ns())
    except (TitanError, OSError) as error:
        raise TitanError(redactor.redact(str(error))) from None
    finally:
        undo()
    if simulator is None:
        store.note(password, key.venue, key.label, facts)
    return evolve(key, facts=facts)


def _checker(venue: str) -> "Callable[..., Coroutine[Any, Any, KeyFacts]]":
    import importlib
    import importlib.util

    module, _, name = CHECKS[venue].partition(":")
    try:
        there = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        there = False
    if not there:
        raise TitanError(
            f"this version of Titan cannot ask {venue} about a key; look at the venue's page whether it may withdraw and is bound to an IP address"
        )
    found: Callable[..., Coroutine[Any, Any, KeyFacts]] = getattr(importlib.import_module(module), name)
    return found


def _known(venue: str) -> None:
    if venue not in VENUES:
        raise UsageError(f"keys are kept for {' and '.join(VENUES)}, found {venue!r}")


def open_store(path: Path | None) -> "Keystore":
    """Return the keystore at a path, or at its usual place."""
    from titan_core.execution.secrets.keystore import Keystore, default_path

    return Keystore(path or default_path())


def _password(store: "Keystore", fd: int | None, keyring: bool, *, must_exist: bool = False) -> "Secret":
    """Get the password; for a file that is to be made it is asked for twice."""
    from titan_core.execution.secrets.keystore import KeystoreError, read_private
    from titan_core.execution.secrets.unlock import ask, keystore_password

    if store.exists or must_exist:
        read_private(store.path)  # what is wrong with the file is told before the password is typed
        return keystore_password(fd=fd, keyring=keyring)
    password = keystore_password(fd=fd, keyring=keyring, prompt="New keystore password: ")
    if fd is None and not keyring and _typed() and ask("The same again: ") != password:
        raise KeystoreError("the two passwords differ; nothing was written")
    return password


def password_of(store: "Keystore", fd: int | None) -> "Secret":
    """Get the password of a keystore that is there. Raises TitanError where it is not, or where others could read it."""
    return _password(store, fd, False, must_exist=True)


def _typed() -> bool:
    import os
    import sys

    return sys.stdin.isatty() and not os.environ.get("CREDENTIALS_DIRECTORY")


def _show(rows: list[dict[str, Any]], json: bool) -> None:
    if json:
        print_json(rows)
        return
    from titan_core.model.calendar import utc

    shown = [
        {
            "venue": row["venue"],
            "label": row["label"],
            "key": row["key"],
            "live": row["live"],
            "ip bound": row["ip_bound"],
            "checked": utc(row["checked_ns"])[:10] if row["checked_ns"] else "never",
            "permissions": ", ".join(row["permissions"] or ()),
        }
        for row in rows
    ]
    emit(shown, False, columns=COLUMNS, empty="no keys; `titan keys add` adds one")
