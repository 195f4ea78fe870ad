"""An aiohttp session that is safe to point at a venue: its hosts alone, no redirects, no proxy, no cookies, answers of bounded size."""

from typing import TYPE_CHECKING, Any, NoReturn

from titan_core.errors import VenueUnavailable
from titan_core.feed.hosts import HostPolicy, guarded_connector

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

MOST_BYTES = 32 << 20
"""The largest answer that is read. Binance's list of instruments is the largest that is asked for, about 15 MB."""
CONNECTIONS = 32
"""How many connections a session opens at most."""


def bounded_response(most_bytes: int) -> "type[ClientResponse]":
    """Return a class of response whose body is refused with VenueUnavailable when it grows beyond `most_bytes`, compressed or not."""
    import aiohttp

    class Bounded(aiohttp.ClientResponse):
        async def read(self) -> bytes:
            if self._body is None:
                pieces, size = [], 0
                try:
                    async for piece in self.content.iter_any():
                        size += len(piece)
                        if size > most_bytes:
                            raise VenueUnavailable(f"{self.url.host}{self.url.raw_path} answered with more than {most_bytes:,} bytes, which is no answer")
                        pieces.append(piece)
                except BaseException:
                    self.close()
                    raise
                self._body = b"".join(pieces)
            return await super().read()

    return Bounded


async def _refuse_redirect(session: Any, context: Any, told: Any) -> NoReturn:
    told.response.close()
    raise VenueUnavailable(f"{told.url.host}{told.url.raw_path} answered with a redirect ({told.response.status}), which no venue's interface does")


def guarded_session(policy: HostPolicy, *, timeout_s: float = 5.0, most_bytes: int = MOST_BYTES, **connector: Any) -> "ClientSession":
    """Open a session that the policy guards. A redirect raises VenueUnavailable, also where it is asked to be followed: a signature goes nowhere else.

    What else is given is for aiohttp's connector. Call it with a loop running, and close it.
    """
    import aiohttp

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_refuse_redirect)
    return aiohttp.ClientSession(
        connector=guarded_connector(policy, **{"limit": CONNECTIONS} | connector),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=timeout_s),
        trace_configs=[trace],
        response_class=bounded_response(most_bytes),
        trust_env=False,
    )
