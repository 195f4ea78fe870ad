"""Which hosts Titan may talk to: those of its venues, encrypted, and nobody else. This machine only where a simulator was asked for by name."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from attrs import frozen

from titan_core.errors import TitanError

if TYPE_CHECKING:
    import aiohttp

HTTPS = 443
VENUE_HOSTS: Mapping[str, frozenset[tuple[str, int]]] = {
    "bybit": frozenset({("api.bybit.com", HTTPS), ("api.bytick.com", HTTPS), ("stream.bybit.com", HTTPS)}),
    "mexc": frozenset({("contract.mexc.com", HTTPS), ("api.mexc.com", HTTPS)}),
    "binance": frozenset(
        {("api.binance.com", HTTPS), ("data-api.binance.vision", HTTPS), ("stream.binance.com", HTTPS), ("stream.binance.com", 9443)}
        | {("data-stream.binance.vision", HTTPS), ("data-stream.binance.vision", 9443)}
    ),
}
"""Hosts and ports by the first word of a venue's id, from the venues' API documents."""
_ENCRYPTED = ("https", "wss")
_PLAIN = ("http", "ws")


class HostRefused(TitanError):
    """Something was about to talk to a host that is not on the list."""


@frozen
class HostPolicy:
    """The list in force. Everything that opens a connection asks it first; a redirect is asked about again."""

    hosts: frozenset[tuple[str, int]]
    loopback: bool = False
    """Whether this machine may be talked to, in the clear and on any port: only where a simulator was asked for."""

    @classmethod
    def of(cls, venues: Iterable[str], *, simulator: bool = False) -> "HostPolicy":
        """Return the policy for some venues, such as `bybit-linear`; with `simulator` this machine is allowed as well. Raises HostRefused for others."""
        hosts: set[tuple[str, int]] = set()
        for venue in venues:
            family = venue.partition("-")[0]
            if family not in VENUE_HOSTS:
                raise HostRefused(f"no hosts are known for venue {venue!r}; known are those of {', '.join(VENUE_HOSTS)}")
            hosts |= VENUE_HOSTS[family]
        return cls(frozenset(hosts), simulator)

    def check(self, url: str) -> None:
        """Return if the URL may be opened. Raises HostRefused, naming host and port and never the path, which may carry a signature."""
        parts = _split(url)
        host, port = parts.hostname or "", parts.port or (HTTPS if parts.scheme in _ENCRYPTED else 80)
        if _is_loopback(host):
            if not self.loopback:
                raise HostRefused(
                    f"{host}:{port} is this machine, which is allowed only with the simulator; ask for it explicitly, or use the venue's own host"
                )
            return
        if parts.scheme in _PLAIN:
            raise HostRefused(f"{parts.scheme}://{host} is not encrypted; use {'https' if parts.scheme == 'http' else 'wss'}")
        if (host, port) not in self.hosts:
            allowed = ", ".join(sorted(f"{name}:{number}" for name, number in self.hosts)) or "none"
            raise HostRefused(
                f"{host}:{port} is not on the list of hosts that Titan talks to; allowed: {allowed}{' and this machine' if self.loopback else ''}"
            )


def _split(url: str) -> SplitResult:
    if any(character <= " " or character >= "\x7f" or character == "\\" for character in url):
        raise HostRefused("an address holds blanks, backslashes or letters beyond ASCII, which programs read differently; write it plainly")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError as error:
        raise HostRefused(f"an address cannot be read: {error}") from None
    if parts.scheme not in _ENCRYPTED + _PLAIN or not parts.hostname:
        raise HostRefused(f"an address must begin with {', '.join(f'{each}://' for each in _ENCRYPTED)} and a host, found scheme {parts.scheme or 'none'!r}")
    if "@" in parts.netloc:
        raise HostRefused(f"an address holds a user name before its host {parts.hostname}; write it without")
    return parts


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def guarded_connector(policy: HostPolicy, **options: Any) -> "aiohttp.TCPConnector":
    """Make a connector for `aiohttp.ClientSession`, ccxt's included, that asks the policy for every connection, redirected ones too.

    For ccxt: `exchange.session = aiohttp.ClientSession(connector=guarded_connector(policy))`. Proxies are refused. Call it with a loop running.
    """
    import aiohttp

    class Guarded(aiohttp.TCPConnector):
        async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:  # noqa: ANN401 - aiohttp's own types are private
            policy.check(str(req.url))
            if getattr(req, "proxy", None) is not None:
                raise HostRefused("a proxy is between Titan and the venue, which no list of hosts allows; connect without")
            return await super().connect(req, traces, timeout)

    return Guarded(**options)


def guarded_connect(policy: HostPolicy, uri: str, **options: Any) -> Any:
    """Return `websockets.asyncio.client.connect(uri, ...)` that asks the policy, for redirects too, and goes through no proxy. Raises HostRefused."""
    from websockets.asyncio.client import connect

    class Guarded(connect):
        def process_redirect(self, exc: Exception) -> Exception | str:
            target = super().process_redirect(exc)
            if isinstance(target, str):
                try:
                    policy.check(target)
                except HostRefused as refused:
                    return refused
            return target

    policy.check(uri)
    return Guarded(uri, **{"proxy": None} | options)
