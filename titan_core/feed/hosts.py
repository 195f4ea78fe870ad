"""Which hosts Titan may talk to: those of its venues, encrypted, and nobody else. This machine only where a simulator was asked for by name."""

import asyncio
import socket
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from attrs import frozen

from titan_core.errors import TitanError, VenueUnavailable

if TYPE_CHECKING:
    import aiohttp

HTTPS = 443
EYEBALLS_S = 0.25
"""How long an address may take before the next one is tried beside it (RFC 8305)."""
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


class AddressRefused(HostRefused, VenueUnavailable):
    """A host of the list leads to an address where it cannot be. That may pass, as a name server's bad hour does: it is tried again like any failure."""


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


def is_public(address: str) -> bool:
    """Whether an address is on the public internet: not this machine, its network, or an IPv4 address of those in the dress of an IPv6 one."""
    try:
        found = ip_address(address)
    except ValueError:  # such as a scope, `fe80::1%eth0`: never public
        return False
    if isinstance(found, IPv6Address):
        within = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1] or _translated(found)
        if within is not None:
            return is_public(str(within))
        if found.is_site_local:
            return False
    return found.is_global and not found.is_multicast


def _translated(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that a translator of the network (RFC 6052) or an old notation (RFC 4291, 2.5.5.1) hides in one of IPv6."""
    number = int(address)
    return IPv4Address(number & 0xFFFFFFFF) if number >> 32 in (0x0064FF9B << 64, 0) else None


def check_addresses(policy: HostPolicy, host: str, found: Iterable[str]) -> None:
    """Return if a host that the policy allows may be at all these addresses. Raises AddressRefused.

    A venue is on the public internet and `localhost` is this machine: a name server that says otherwise, or a line in /etc/hosts, leads nobody astray.
    """
    may_be = _is_loopback if policy.loopback and _is_loopback(host) else is_public
    for address in found:
        if not may_be(address):
            raise AddressRefused(f"{host} leads to {address}, where it cannot be; look at your name server and at /etc/hosts")


async def dial(policy: HostPolicy, url: str) -> socket.socket:
    """Connect a socket to where a URL leads, for libraries that take one: they look nothing up and go nowhere else. Raises HostRefused, OSError."""
    from aiohappyeyeballs import start_connection

    policy.check(url)
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (HTTPS if parts.scheme in _ENCRYPTED else 80)
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    check_addresses(policy, host, (str(at[0]) for *_, at in found))
    return await start_connection(found, happy_eyeballs_delay=EYEBALLS_S)


def guarded_connector(policy: HostPolicy, **options: Any) -> "aiohttp.TCPConnector":
    """Make a connector for `aiohttp.ClientSession`, ccxt's included, that asks the policy for every connection, redirected ones too, and for every address.

    A `resolver` among the options is believed no more than aiohttp's own. Proxies are refused. Call it with a loop running.
    """
    import aiohttp
    from aiohttp.abc import AbstractResolver, ResolveResult

    inner = options.pop("resolver", None) or aiohttp.ThreadedResolver()

    class Checking(AbstractResolver):
        async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
            found: list[ResolveResult] = await inner.resolve(host, port, family)
            check_addresses(policy, host, (each["host"] for each in found))
            return found

        async def close(self) -> None:
            await inner.close()

    class Guarded(aiohttp.TCPConnector):
        async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:  # noqa: ANN401 - aiohttp's own types are private
            policy.check(str(req.url))
            if getattr(req, "proxy", None) is not None:
                raise HostRefused("a proxy is between Titan and the venue, which no list of hosts allows; connect without")
            return await super().connect(req, traces, timeout)

    return Guarded(resolver=Checking(), **options)
