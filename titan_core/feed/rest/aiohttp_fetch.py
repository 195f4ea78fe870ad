"""The REST port through aiohttp, which ccxt brings along."""

from types import TracebackType

from aiohttp import ClientError, ClientSession, ClientTimeout

from titan_core.errors import VenueUnavailable
from titan_core.feed.hosts import HostPolicy
from titan_core.feed.rest.session import MOST_BYTES, bounded_response, guarded_session


class AiohttpFetch:
    """Sends GETs on one session. Use as `async with AiohttpFetch() as fetch`. Follows no redirects and reads no proxy from the environment.

    With a policy it goes to the hosts of that policy alone (HostRefused). An answer of more than `most_bytes` is none.
    """

    def __init__(self, timeout_s: float = 5.0, *, policy: HostPolicy | None = None, most_bytes: int = MOST_BYTES) -> None:
        self._timeout_s, self._policy, self._most_bytes = timeout_s, policy, most_bytes
        self._session: ClientSession | None = None

    async def __aenter__(self) -> "AiohttpFetch":
        if self._policy is not None:
            self._session = guarded_session(self._policy, timeout_s=self._timeout_s, most_bytes=self._most_bytes)
        else:
            self._session = ClientSession(timeout=ClientTimeout(total=self._timeout_s), response_class=bounded_response(self._most_bytes))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __call__(self, url: str) -> tuple[int, bytes]:
        """See Fetch."""
        if self._session is None:
            raise VenueUnavailable(f"{url}: the session is closed; use `async with AiohttpFetch()`")
        try:
            async with self._session.get(url, allow_redirects=False) as answer:
                return answer.status, await answer.read()
        except (TimeoutError, ClientError, OSError) as error:
            raise VenueUnavailable(f"{url}: no answer ({str(error) or type(error).__name__})") from error
