"""What a key may do at MEXC, by `api/v3/apiKeyInfo` ("Query API key info") of the spot market's interface, which is signed and answered in its own way.

An answer: `{"note":"…","accessKey":"mx0…","createTime":"2026-09-14T18:53:36.000+00:00","permissions":"CONTRACT_DEAL_READ,SPOT_DEAL_WRITE",
"remainingValidity":82,"ipWhiteList":"","status":"VALID"}`; a refusal: `{"code":700002,"msg":"Signature for this request is not valid."}`.
"""

import json
from collections.abc import Mapping
from typing import Any

from attrs import define

from titan_core.errors import Unreadable
from titan_core.execution.door import Reply, RestDoor, unreadable
from titan_core.execution.key_door import TIMEOUT_S, KeyRefused, limiter, signing, told
from titan_core.execution.outcomes import Outcome, of_code
from titan_core.execution.secrets.keystore import ApiKey, KeyFacts

PATH = "apiKeyInfo"
WRONG_KEYS = (10072, 700001, 700002)
"""Codes of the spot market for a key or signature that is not known; the lists of the contract market do not have them all."""
READS = ("_READ", "_R")


@define
class SpotDoor(RestDoor):
    """The spot market's private interface."""

    def section(self, path: str) -> list[str]:
        """All of it is private."""
        return ["spot", "private"]

    def read(self, status: int, body: str) -> Reply:
        """Read an answer: a success has no code."""
        try:
            said = json.loads(body)
        except ValueError:
            said = None
        if not isinstance(said, Mapping):
            return unreadable(status, body)
        code = said.get("code")
        if code is None and status == 200:
            return Reply(Outcome.ACCEPTED, None, "", said)
        if not isinstance(code, int) or isinstance(code, bool):
            return unreadable(status, body)
        return Reply(Outcome.NOT_ALLOWED if code in WRONG_KEYS else of_code("mexc", code), code, str(said.get("msg") or said.get("message") or ""))


async def key_facts(key: ApiKey, *, simulator: str | None = None) -> KeyFacts:
    """Ask the venue, or a venue in a box at an address. Raises KeyRefused, VenueUnavailable or Unreadable."""
    async with signing(key, simulator) as (exchange, http):
        reply = await SpotDoor(exchange, http, limiter(), TIMEOUT_S).send("GET", PATH, {"accessKey": key.key.reveal()})
    return read_facts(told("mexc", reply))


def read_facts(result: Any) -> KeyFacts:
    """Read what the venue says. Raises Unreadable where anything that matters is missing, KeyRefused for a key that is not valid any more.

    Every right that has to do with withdrawals counts as the right to withdraw, but for those to read: sending to another user of the venue needs it too.
    """
    permissions, addresses, status = (result.get(name) if isinstance(result, Mapping) else None for name in ("permissions", "ipWhiteList", "status"))
    if not isinstance(permissions, str):
        raise Unreadable(f"mexc {PATH}: expected words under 'permissions', found {str(permissions)[:80]!r}")
    if not isinstance(addresses, str):
        raise Unreadable(f"mexc {PATH}: expected addresses under 'ipWhiteList', found {str(addresses)[:80]!r}")
    if status != "VALID":
        raise KeyRefused(f"mexc says that the key is {str(status)[:20]!r}; make a new one at the venue")
    words = tuple(word.strip() for word in permissions.split(",") if word.strip())
    may_withdraw = any("WITHDRAW" in word.upper() and not word.upper().endswith(READS) for word in words)
    return KeyFacts(permissions=words, can_withdraw=may_withdraw, ip_bound=any(each.strip() for each in addresses.split(",")))
