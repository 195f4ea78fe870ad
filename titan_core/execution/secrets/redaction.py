"""Keeping secrets out of text: logs, exceptions, tracebacks, whatever a library prints.

Two nets: values that were registered, in every form in which they travel, and what stands where venues expect a signature or a key.
"""

import base64
import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any
from urllib.parse import quote, quote_plus

from titan_core.execution.secrets.secret import SHOWN, Secret

SHORTEST = 6
"""Shorter values are not looked for: they would be found in ordinary words."""

_NAMES = (
    "signature|sign|x-bapi-sign|x-bapi-api-key|x-mbx-apikey|apikey|api[-_]key|api[-_]?secret|secret(?:[-_]?key)?|access[-_]?key|passphrase|password|passwd"
    "|authorization|listenkey|private[-_]?key"
)
_HINTS = ("sign", "key", "secret", "pass", "auth")
"""One of these is in each of the names."""
# name, then a separator, then the value: URLs, headers, JSON (also within JSON), Python's repr of text, bytes, pairs and locals
_NAMED = re.compile(
    rf"""(?ix) (?<![a-z0-9]) ( b? \\* ["']? (?:{_NAMES}) \\* ["']? \s* (?: [:=] | %3[ad] | (?<=["']) , ) \s* (?: (?:basic|bearer)\s+ )? )
    (?: (b? \\* ["']) (?: (?! \\* ["']) . )* | (?! \\* ["'\[{{(] | b["'] | None\b | {re.escape(SHOWN)}) [^\s&"',;)}}\]\\]+ )"""
)
# a websocket's login, whose signature has no name: {{"op":"auth","args":["key",1700000000000,"signature"]}}
_LOGIN = re.compile(r"""(?i)(\\*["']op\\*["']\s*:\s*\\*["'](?:auth|login)\\*["'].{0,80}?\\*["']args\\*["']\s*:\s*\[)(?:\[redacted]|[^\]])*""")
_LOGIN_TURNED = re.compile(r"""(?i)(\\*["']args\\*["']\s*:\s*\[)(?:\[redacted]|[^\]])*(\].{0,80}?\\*["']op\\*["']\s*:\s*\\*["'](?:auth|login))""")
# what HMAC-SHA256 and HMAC-SHA512 look like
_DIGEST = re.compile(r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{64}){1,2}(?![0-9A-Fa-f])")
_DIGEST_RUN = re.compile(r"(?=[0-9]*[A-Fa-f])[0-9A-Fa-f]{64,}")


class Redactor:
    """Takes secrets out of text. `register` what must never be seen; signatures are found without."""

    def __init__(self, secrets: Iterable[Secret | str] = ()) -> None:
        self._forms: set[str] = set()
        self._values: re.Pattern[str] | None = None
        self.register(*secrets)

    def register(self, *secrets: Secret | str) -> None:
        """Look for these from now on, also URL-encoded, escaped and in base64. Raises ValueError for one that is too short to be told from a word."""
        for secret in secrets:
            value = secret.reveal() if isinstance(secret, Secret) else secret
            if len(value) < SHORTEST:
                raise ValueError(f"a secret must have {SHORTEST} characters or more to be kept out of text, found one with {len(value)}")
            self._forms |= _forms_of(value)
        ordered = sorted(self._forms, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def redact(self, text: str) -> str:
        """Return the text with every secret replaced."""
        if self._values is not None:
            text = self._values.sub(SHOWN, text)
        lower = text.lower()  # the patterns are slow, and most text has no word of theirs
        if "auth" in lower or "login" in lower:
            text = _LOGIN.sub(rf"\1{SHOWN}", text)
            text = _LOGIN_TURNED.sub(rf"\1{SHOWN}\2", text)
        if any(hint in lower for hint in _HINTS):
            text = _NAMED.sub(lambda found: f"{found[1]}{found[2] or ''}{SHOWN}", text)
        return _DIGEST.sub(SHOWN, text)

    def holds_secret(self, text: str) -> bool:
        """Whether a registered secret is in the text, in any form."""
        return self._values is not None and self._values.search(text) is not None

    def digests_in(self, text: str) -> int:
        """Count what looks like a signature or contains one."""
        return sum(1 for _ in _DIGEST_RUN.finditer(text))

    def traceback_of(self, error: BaseException, *, show_locals: bool = False) -> str:
        """Format an exception with its causes and, if asked, the locals of each frame."""
        return self.redact("".join(traceback.TracebackException.from_exception(error, capture_locals=show_locals).format()))


def _forms_of(value: str) -> set[str]:
    forms = {value, quote(value, safe=""), quote_plus(value), quote(value), json.dumps(value)[1:-1], repr(value)[1:-1]}
    encoded = base64.b64encode(value.encode()).decode()
    forms |= {encoded.rstrip("="), base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")}
    return forms


class RedactingFilter(logging.Filter):
    """Takes secrets out of a record before anything is made of it: message, arguments, exception, stack and what `extra` gave. Put it on handlers.

    The record is changed in place, so whoever sees it afterwards sees no secret either.
    """

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean the record and let it pass."""
        scrub(record, self._redactor)
        for name, value in vars(record).items():
            if name not in _STANDARD and not isinstance(value, int | float | bool | None):
                shown = value if isinstance(value, str) else repr(value)
                clean = self._redactor.redact(shown)
                if clean != shown:
                    setattr(record, name, clean)
        return True


_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def scrub(record: logging.LogRecord, redactor: Redactor) -> None:
    """Take secrets out of a record's message, exception and stack."""
    try:
        message = record.getMessage()
    except (TypeError, ValueError, KeyError) as error:
        message = f"{record.msg!r} cannot be formatted with its arguments: {error}"
    record.msg, record.args = redactor.redact(message), None
    if record.exc_info and record.exc_info[1] is not None:
        record.exc_text = redactor.traceback_of(record.exc_info[1]).rstrip("\n")
        record.exc_info = None
    elif record.exc_text:
        record.exc_text = redactor.redact(record.exc_text)
    if record.stack_info:
        record.stack_info = redactor.redact(record.stack_info)


class RedactingFormatter(logging.Formatter):
    """Wraps another formatter and redacts whatever it makes, so that nothing gets past."""

    def __init__(self, inner: logging.Formatter, redactor: Redactor) -> None:
        super().__init__()
        self._inner = inner
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Format with the inner formatter, then redact."""
        return self._redactor.redact(self._inner.format(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Format an exception with the inner formatter, then redact."""
        return self._redactor.redact(self._inner.formatException(ei))


def guard_output(redactor: Redactor) -> Callable[[], None]:
    """Redact every log record of this process at its birth, and every traceback that ends it or a thread. Returns what takes the guard away again.

    Records get no secret whatever handler, present or future, they reach; `extra` is covered by a `RedactingFilter` on the handler.
    """
    before, old_hook, old_thread, old_unraisable = logging.getLogRecordFactory(), sys.excepthook, threading.excepthook, sys.unraisablehook

    def make(*arguments: Any, **options: Any) -> logging.LogRecord:
        record = before(*arguments, **options)
        scrub(record, redactor)
        return record

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            old_hook(kind, error, trace)
        else:
            sys.stderr.write(redactor.traceback_of(error))

    def thread_hook(told: threading.ExceptHookArgs) -> None:
        if told.exc_value is not None and not isinstance(told.exc_value, SystemExit):
            sys.stderr.write(f"Exception in thread {told.thread.name if told.thread else '?'}:\n{redactor.traceback_of(told.exc_value)}")

    def unraisable(told: Any) -> None:
        shown = redactor.traceback_of(told.exc_value) if told.exc_value is not None else ""
        sys.stderr.write(redactor.redact(f"{told.err_msg or 'Exception ignored in'}: {told.object!r}\n") + shown)

    logging.setLogRecordFactory(make)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hook, thread_hook, unraisable

    def undo() -> None:
        logging.setLogRecordFactory(before)
        sys.excepthook, threading.excepthook, sys.unraisablehook = old_hook, old_thread, old_unraisable

    return undo
