"""What a child process may be told: by its environment nothing but how to run, by its arguments no secret at all."""

import os
from collections.abc import Iterable, Mapping, Sequence

from titan_core.errors import TitanError
from titan_core.execution.secrets.redaction import Redactor

KEPT = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "COLUMNS", "LINES", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH",
    "PYTHONHASHSEED", "PYTHONWARNINGS", "LD_LIBRARY_PATH", "NUMBA_CACHE_DIR", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "TITAN_CONFIG", "TITAN_DEBUG",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "SYSTEMROOT",
)  # fmt: skip
"""Variables that a child gets. All others, `CREDENTIALS_DIRECTORY` among them, stay behind."""


class SecretLeak(TitanError):
    """Something secret was about to leave the process."""


def child_environment(environ: Mapping[str, str] = os.environ, *, also: Iterable[str] = (), redactor: Redactor | None = None) -> dict[str, str]:
    """Return the environment for a child: the variables of `KEPT`, `LC_*` and those named in `also`. One that holds a registered secret is left out."""
    kept = {*KEPT, *also}
    chosen = {name: value for name, value in environ.items() if name in kept or name.startswith("LC_")}
    return {name: value for name, value in chosen.items() if redactor is None or not redactor.holds_secret(value)}


def checked_command(command: Sequence[str], redactor: Redactor) -> list[str]:
    """Return the command as a list. Raises SecretLeak where an argument holds a registered secret: every user of the machine can read it."""
    for position, argument in enumerate(command):
        if redactor.holds_secret(argument):
            raise SecretLeak(f"argument {position} of {command[0]!r} holds a secret, which every user of this machine could read; pass it through a pipe")
    return list(command)
