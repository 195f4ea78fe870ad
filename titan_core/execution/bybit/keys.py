"""What a key may do at Bybit, by `v5/user/query-api` ("Get API Key Information")."""

from collections.abc import Mapping
from typing import Any

from titan_core.errors import Unreadable
from titan_core.execution.bybit.door import Door
from titan_core.execution.key_door import TIMEOUT_S, limiter, signing, told
from titan_core.execution.secrets.keystore import ApiKey, KeyFacts

PATH = "v5/user/query-api"
ANYWHERE = "*"
"""What stands in `ips` for a key that is bound to no address."""


async def key_facts(key: ApiKey, *, simulator: str | None = None) -> KeyFacts:
    """Ask the venue, or a venue in a box at an address. Raises KeyRefused, VenueUnavailable or Unreadable."""
    async with signing(key, simulator) as (exchange, http):
        reply = await Door(exchange, http, limiter(), TIMEOUT_S).send("GET", PATH, {})
    return read_facts(told("bybit", reply))


def read_facts(result: Any) -> KeyFacts:
    """Read what the venue says. Raises Unreadable where anything that matters is missing: a key of which nothing is known may not be used."""
    permissions, ips, read_only = (result.get(name) if isinstance(result, Mapping) else None for name in ("permissions", "ips", "readOnly"))
    if not isinstance(permissions, Mapping) or not all(isinstance(words, list) for words in permissions.values()):
        raise Unreadable(f"bybit {PATH}: expected lists of words under 'permissions', found {str(permissions)[:120]!r}")
    if not isinstance(ips, list) or not all(isinstance(each, str) for each in ips):
        raise Unreadable(f"bybit {PATH}: expected a list of addresses under 'ips', found {str(ips)[:80]!r}")
    if read_only not in (0, 1):
        raise Unreadable(f"bybit {PATH}: expected 0 or 1 under 'readOnly', found {read_only!r}")
    words = [f"{group}.{word}" for group, listed in sorted(permissions.items()) for word in listed]
    return KeyFacts(
        permissions=tuple(["ReadOnly"] * read_only + words),
        can_withdraw=any("withdraw" in word.lower() for word in words),
        ip_bound=bool(ips) and ANYWHERE not in ips and all(ips),
    )
