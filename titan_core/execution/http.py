"""The port between an adapter and HTTP, and its implementation through ccxt's client, whose reading of answers is switched off."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from titan_core.errors import TitanError, VenueUnavailable

Response = tuple[int, Mapping[str, str], str]
"""Status, headers, body as text."""

Http = Callable[[str, str, Mapping[str, str] | None, str | None], Awaitable[Response]]
"""`http(url, method, headers, body)`; raises whatever the network does."""


def through_ccxt(exchange: Any) -> Http:
    """Send through the session of a ccxt.async_support exchange and return each answer as it came."""

    async def send(url: str, method: str, headers: Mapping[str, str] | None, body: str | None) -> Response:
        listening = _Listening(exchange)
        await type(exchange).fetch(listening, url, method, headers, body)
        assert listening.heard is not None
        return listening.heard

    return send


def carried_by(session: Any, exchange: Any) -> Http:
    """Put an aiohttp session in the place of the exchange's own, and return what sends through it; whoever opened the session closes it.

    A failure is VenueUnavailable and names host and path, never the query, where some venues want the signature. What a TitanError says stays as it is.
    The exchange's own way of printing requests, key and signature included, is switched off.
    """
    exchange.session, exchange.own_session = session, False
    exchange.verbose, exchange.log = False, _say_nothing
    send = through_ccxt(exchange)

    async def http(url: str, method: str, headers: Mapping[str, str] | None, body: str | None) -> Response:
        try:
            return await send(url, method, headers, body)
        except TitanError:
            raise
        except Exception as error:  # of ccxt and of aiohttp, whose words hold the whole address
            parts = urlsplit(url)
            raise VenueUnavailable(f"{method} {parts.hostname}{parts.path}: no answer ({type(error.__cause__ or error).__name__})") from None

    return http


def _say_nothing(*arguments: Any) -> None:
    """Take the place of ccxt's print."""


class _Listening:
    """An exchange that keeps the answer to one request: every request has its own, so that those under way do not mix."""

    def __init__(self, exchange: Any) -> None:
        self._exchange = exchange
        self.heard: Response | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exchange, name)

    def on_rest_response(self, status: int, reason: str, url: str, method: str, headers: Mapping[str, str], body: str, *rest: Any) -> str:
        self.heard = (status, headers, body)
        return body

    def handle_errors(self, *arguments: Any) -> None:
        """Believe nothing that ccxt makes of an answer: unknown codes look like refusals to it, and empty bodies like nothing at all."""

    def handle_http_status_code(self, *arguments: Any) -> None:
        """The status is judged by whoever asked."""
