"""The REST port through aiohttp, which ccxt brings along."""

from types import TracebackType

from aiohttp import ClientError, ClientSession, ClientTimeout

from titan_core.errors import VenueUnavailable


class AiohttpFetch:
    """Sends GETs on one session. Use as `async with AiohttpFetch() as fetch`. Follows no redirects and reads no proxy from the environment."""

    def __init__(self, timeout_s: float = 5.0) -> None:
        self._timeout = ClientTimeout(total=timeout_s)
        self._session: ClientSession | None = None

    async def __aenter__(self) -> "AiohttpFetch":
        self._session = ClientSession(timeout=self._timeout)
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
