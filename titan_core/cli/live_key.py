"""The way to real money: keys are unsealed, the venues say what each may do, and a person types that it is meant."""

from pathlib import Path
from typing import TYPE_CHECKING

from titan_core.cli.keys import key_facts_of, open_store, password_of
from titan_core.cli.output import print_note
from titan_core.errors import TitanError

if TYPE_CHECKING:
    from collections.abc import Callable

    from titan_core.execution.secrets.keystore import ApiKey

LABEL = "main"


class LiveRefused(TitanError):
    """Live trading must not begin; the message tells why and what would change that."""


def usable_keys(keystore: Path | None, password_fd: int | None, simulator: str | None, keep_secret: "Callable[..., None]") -> "dict[str, ApiKey]":
    """Return the keys that may trade live, one a venue, each asked about just now; `keep_secret` hears of every secret before it is used.

    Raises LiveRefused where there is none.
    """
    store = open_store(keystore)
    password = password_of(store, password_fd)
    keep_secret(password)
    keys = [key for key in store.unlock(password) if key.label == LABEL]
    for key in keys:
        keep_secret(key.key, key.secret)
    if not keys:
        raise LiveRefused(f"the keystore {store.path} holds no key labelled {LABEL!r}; `titan keys add` adds one")
    usable, refusals = {}, []
    for key in keys:
        try:
            told = key_facts_of(store, password, key, simulator)
        except TitanError as error:
            refusals.append(f"{key.venue}: {error}")
            continue
        reasons = told.live_refusals()
        if reasons:
            refusals.append(f"{key.venue}: {'; '.join(reasons)}")
        else:
            usable[key.venue] = told
    for refusal in refusals if usable else ():
        print_note(f"not used: {refusal}")
    if not usable:
        raise LiveRefused(f"no key may trade live. {' '.join(refusals)}")
    return usable
