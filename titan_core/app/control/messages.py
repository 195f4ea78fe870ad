"""What is said on the control socket: one line of JSON each way.

    {"body": {"command": {"type": "stop", "flatten": false}, "ts_ns": 1723161253000000000, "nonce": "8f…"}, "mac": "5c…"}
    {"body": {"nonce": "8f…", "outcome": "done", "ts_ns": 1723161253000400000, …}, "mac": "d0…"}

`mac` is the HMAC-SHA256, with the session's secret, of the direction, a line feed and the body's bytes exactly as they stand in the line. An answer without one
was given before anybody had shown that they know the secret; it proves nothing.
"""

from enum import StrEnum

import msgspec

from titan_core.app.control.token import Direction, Token
from titan_core.app.live.status import SessionStatus, TradeLine

NONCE_BYTES = 16
LINE_BYTES = 8_192
"""The longest request."""
ANSWER_BYTES = 16 << 20
"""The longest answer that a client reads."""
MAX_REASON = 500
"""Characters of a reason."""
MAX_TRADES = 1_000


class Status(msgspec.Struct, frozen=True, tag="status", forbid_unknown_fields=True):
    """Ask for the picture of the moment."""


class Trades(msgspec.Struct, frozen=True, tag="trades", forbid_unknown_fields=True):
    """Ask for the newest round trips."""

    last: int


class Stop(msgspec.Struct, frozen=True, tag="stop", forbid_unknown_fields=True):
    """Have the session end."""

    flatten: bool = False


class Panic(msgspec.Struct, frozen=True, tag="panic", forbid_unknown_fields=True):
    """Begin the emergency."""

    reason: str = ""


class Resume(msgspec.Struct, frozen=True, tag="resume", forbid_unknown_fields=True):
    """Leave `locked`, or a halt that waits for the operator."""

    reason: str


Command = Status | Trades | Stop | Panic | Resume


class Outcome(StrEnum):
    """What became of a command."""

    DONE = "done"
    REFUSED = "refused"
    """The session understood and will not."""
    INVALID = "invalid"
    """The message was not taken as one: repeated, too old, from the future, or of a command that is not known."""
    FAILED = "failed"
    """The session tried and could not."""
    BUSY = "busy"
    """Nothing of the message was read; ask again."""


class Envelope(msgspec.Struct, frozen=True):
    """A line."""

    body: msgspec.Raw
    mac: str = ""


class Request(msgspec.Struct, frozen=True):
    """The body of a request. The command is decoded once it is known who sent it and when."""

    command: msgspec.Raw
    ts_ns: int
    """Wall clock of the sender."""
    nonce: str


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of an answer."""

    outcome: Outcome
    ts_ns: int
    """Wall clock of the session: when the picture was taken, or the command done."""
    nonce: str = ""
    """That of the request; empty where none was believed."""
    message: str = ""
    status: SessionStatus | None = None
    trades: tuple[TradeLine, ...] | None = None


def request_line(token: Token, command: Command, ts_ns: int, nonce: str) -> bytes:
    """Write a signed request."""
    body = msgspec.json.encode(Request(msgspec.Raw(msgspec.json.encode(command)), ts_ns, nonce))
    return _line(body, token.sign(Direction.REQUEST, body))


def answer_line(answer: Answer, token: Token | None) -> bytes:
    """Write an answer; unsigned without a token."""
    body = msgspec.json.encode(answer)
    return _line(body, token.sign(Direction.ANSWER, body) if token else "")


def _line(body: bytes, mac: str) -> bytes:
    return msgspec.json.encode(Envelope(msgspec.Raw(body), mac)) + b"\n"
