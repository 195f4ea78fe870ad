"""What all venues' wire layers share: requests and answers as values, JSON, signatures, credentials, and windows that count requests."""

import hmac
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from attrs import field, frozen

from titan_core.model.units import S

_encoder = msgspec.json.Encoder()


@frozen
class Request:
    """An HTTP request. `path` is without the venue's prefix, `query` as it stood in the URL, header names are in small letters."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(factory=dict)
    body: bytes = b""

    def parameters(self) -> dict[str, str]:
        """Return the parameters of the query."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def document(self) -> Any:
        """Return the JSON of the body, an empty object where there is none. Raises ValueError where it is no JSON."""
        if not self.body:
            return {}
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError as error:
            raise ValueError(f"the body is no JSON: {error}") from None


@frozen
class Response:
    """An HTTP answer."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(factory=dict)
    content_type: str = "application/json"


@frozen
class Dropped:
    """The connection is closed without an answer."""


@frozen
class Hanging:
    """No answer for so many seconds; then the connection is closed."""

    seconds: float


@frozen
class Late:
    """An answer that takes its time."""

    seconds: float
    response: Response


Outcome = Response | Dropped | Hanging | Late


@frozen
class Credential:
    """An API key that the box accepts, and what it may do."""

    key: str = "titan-sim-key"
    secret: str = field(default="titan-sim-secret", repr=False)
    may_trade: bool = True
    may_withdraw: bool = False
    addresses: tuple[str, ...] = ("127.0.0.1",)


def encode(value: Any) -> bytes:
    """Write JSON."""
    return _encoder.encode(value)


def signature(secret: str, text: str) -> str:
    """Return the HMAC-SHA256 of a text in hex."""
    return hmac.new(secret.encode(), text.encode(), sha256).hexdigest()


def same(given: str, expected: str) -> bool:
    """Compare two signatures."""
    return hmac.compare_digest(given.encode(), expected.encode())


def number(text: object) -> Decimal:
    """Read a decimal number. Raises ValueError where it is none."""
    try:
        value = Decimal(str(text))
    except InvalidOperation:
        raise ValueError(f"{text!r} is no number") from None
    if not value.is_finite():
        raise ValueError(f"{text!r} is no number")
    return value


def on_grid(value: Decimal, step: Decimal) -> int | None:
    """Return how many steps a value is, None where it lies between two."""
    scaled = value / step
    whole = scaled.to_integral_value()
    return int(whole) if whole == scaled else None


class Window:
    """Counts what is used in each span of time, as venues do."""

    def __init__(self, limit: int, now_ns: Callable[[], int], span_ns: int = S) -> None:
        self.limit, self._now, self.span_ns = limit, now_ns, span_ns
        self._begin, self.used = 0, 0

    def take(self, weight: int = 1) -> bool:
        """Count a request; return whether it is within the limit."""
        begin = self._now() // self.span_ns * self.span_ns
        if begin != self._begin:
            self._begin, self.used = begin, 0
        self.used += weight
        return self.used <= self.limit

    @property
    def left(self) -> int:
        """What may still be used."""
        return max(0, self.limit - self.used)

    @property
    def reset_ms(self) -> int:
        """When the span ends, in ms."""
        return (self._begin + self.span_ns) // 1_000_000
