"""The guard of a whole process: once it is installed, nothing that the process prints, logs, dies of or leaves behind holds a secret.

guard = install()                              first thing of a run, before anything is unlocked
guard.register(key.key, key.secret, password)  as soon as they are known
"""

import logging
import os
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from titan_core.errors import TitanError
from titan_core.execution.secrets.redaction import RedactingFormatter, Redactor, guard_output
from titan_core.execution.secrets.secret import Secret

WITHHELD = "[withheld: this text held a secret]\n"
"""What is written in the place of a text in which a secret is broken over lines."""
_STYLE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_BREAKS = re.compile("[\\s\\\\\u2500-\u257f|]+")
"""What stands between the pieces of a value that was wrapped: blanks, ends of lines, the borders of a table."""
LEAST_BROKEN = 8
"""A shorter text holds no whole secret."""
_DUMP_NOTHING = "0"


class GuardedStream:
    """A text stream through which no secret goes; all else is that of the stream within. `buffer`, for bytes, is not guarded."""

    def __init__(self, inner: TextIO, redactor: Redactor) -> None:
        self._inner, self._redactor = inner, redactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def write(self, text: str) -> int:
        """Write a text without its secrets; returns the length of what was given."""
        self._inner.write(self._clean(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        self.write("".join(lines))

    def _clean(self, text: str) -> str:
        """Return the text as it may be shown; colours are given up where a secret is among them."""
        plain = _STYLE.sub("", text)
        shown = self._redactor.redact(plain)
        if shown != plain:
            styled = self._redactor.redact(text)
            text = styled if _STYLE.sub("", styled) == shown else shown
        return WITHHELD if self._is_broken(plain, shown) else text

    def _is_broken(self, plain: str, shown: str) -> bool:
        """Whether a secret or a signature is there that only its line breaks have kept from being found."""
        if len(plain) < LEAST_BROKEN or "\n" not in plain:
            return False
        if self._redactor.holds_secret(_BREAKS.sub("", shown)):
            return True
        return self._redactor.digests_in(_BREAKS.sub("", plain)) > self._redactor.digests_in(plain)


class Guard:
    """What `install` has put in place. Other secrets may be made known to it at any time."""

    def __init__(self, redactor: Redactor, undo: Callable[[], None]) -> None:
        self.redactor = redactor
        self._undo = undo

    def register(self, *secrets: Secret | str) -> None:
        """Keep these out of all text from now on. Raises TitanError for one that is too short to be told from a word."""
        try:
            self.redactor.register(*secrets)
        except ValueError as error:
            raise TitanError(f"{error}; make a longer one at the venue") from None

    def remove(self) -> None:
        """Take everything away but the limit on core dumps. For tests; a process that trades keeps its guard."""
        self._undo()


def install(secrets: Iterable[Secret | str] = (), *, log: Path | None = None) -> Guard:
    """Guard this process: log records, tracebacks, stdout, stderr, core dumps. Call it once. Raises TitanError as `Guard.register` does.

    Logging is silent, whatever the libraries have to say; with `log`, warnings and worse are added to that file, which nobody else may read.
    """
    guard = Guard(Redactor(), lambda: None)
    guard.register(*secrets)
    give_back_hooks = guard_output(guard.redactor)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (GuardedStream(each, guard.redactor) for each in before)
    handler = _handler(log, guard.redactor)
    logging.getLogger().addHandler(handler)
    leave_no_core()

    def undo() -> None:
        logging.getLogger().removeHandler(handler)
        handler.close()
        sys.stdout, sys.stderr = before
        give_back_hooks()

    guard._undo = undo
    return guard


def _handler(log: Path | None, redactor: Redactor) -> logging.Handler:
    """Make the one handler of the root: without any, Python prints warnings to stderr, into whatever is drawn there."""
    if log is None:
        return logging.NullHandler()
    os.close(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    handler = logging.FileHandler(log, encoding="utf-8", delay=True)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(RedactingFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"), redactor))
    return handler


def leave_no_core() -> None:
    """See to it that a crash leaves no memory on disk, where the keys would be in it: no file, and nothing in what is piped to a collector."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # Linux alone has it
        Path("/proc/self/coredump_filter").write_text(_DUMP_NOTHING)
