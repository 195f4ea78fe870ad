"""The session's secret, and what is signed with it."""

import hashlib
import hmac
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

from titan_core.app.control.failures import ControlError
from titan_core.app.control.private import Randomness, read_file, write_file

SECRET_BYTES = 32


class Direction(StrEnum):
    """Which way a message goes; it is signed too, so that no request can be handed back as an answer."""

    REQUEST = "titan control request 1"
    ANSWER = "titan control answer 1"


class Token:
    """The secret of one session. It shows itself nowhere: no repr, no format, no pickle."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            raise ControlError(f"the session's secret has {len(secret)} bytes, not {SECRET_BYTES}; stop the session and start it again")
        self._secret = secret

    def sign(self, direction: Direction, body: bytes) -> str:
        """Return the HMAC-SHA256 of a message's body, in hexadecimal digits."""
        return hmac.new(self._secret, direction.encode() + b"\n" + body, hashlib.sha256).hexdigest()

    def signed(self, direction: Direction, body: bytes, signature: str) -> bool:
        """Whether the signature is that of the body; takes as long for a wrong one as for a right one."""
        return hmac.compare_digest(self.sign(direction, body).encode(), signature.encode("utf-8", "replace"))

    def __repr__(self) -> str:
        return "Token(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("the secret of a session is not pickled")


def make_token(path: Path, randomness: Randomness) -> Token:
    """Make a secret and put it into a 0600 file in the place of the one before."""
    secret = randomness(SECRET_BYTES)
    token = Token(secret)
    write_file(path, secret.hex().encode() + b"\n", randomness)
    return token


def read_token(path: Path) -> Token | None:
    """Read the secret of a session. Returns None where there is none. Raises ControlError where the file is not safe or no secret."""
    data = read_file(path)
    if data is None:
        return None
    try:
        return Token(bytes.fromhex(data.decode("ascii").strip()))
    except ValueError:
        raise ControlError(f"{path} holds no secret of a session; stop the session and start it again") from None
