"""What the account remembers between requests: which id of ours belongs to which of the venue's, and whether the venue takes orders over its API at all."""

import asyncio

from attrs import define, field

from titan_core.execution.door import Reply
from titan_core.execution.outcomes import Outcome
from titan_core.execution.reports import Answer

MOST_NAMES = 100_000
CLOSED = 604
"""What the venue has answered to every order over its API while it kept that closed."""
RETRY_S = 60.0


@define
class OrderNames:
    """Our ids, as the venue writes them, by the venue's ids: an execution that is asked for over REST names the latter only."""

    _known: dict[str, str] = field(factory=dict)

    def learn(self, order_id: str, external: str) -> None:
        """Remember an order; the oldest are forgotten and can be asked for again."""
        if order_id and order_id not in self._known:
            if len(self._known) >= MOST_NAMES:
                del self._known[next(iter(self._known))]
            self._known[order_id] = external

    def find(self, order_id: str) -> str | None:
        """Return our id; None where the order is not known, text without end where it has none."""
        return self._known.get(order_id)


@define
class Gate:
    """Whether the venue takes orders. One that it has refused for want of permission is not followed by others for a minute, except by those that get out."""

    _refusal: Answer | None = None
    _until_s: float = 0.0

    def refusal(self) -> Answer | None:
        """Return why an order that opens is not sent now; None where it may be."""
        return self._refusal if asyncio.get_running_loop().time() < self._until_s else None

    def heed(self, reply: Reply) -> Answer:
        """Take note of the answer to an order and return it, a refusal of all orders with what can be done about it."""
        if reply.outcome is Outcome.ACCEPTED:
            self._until_s = 0.0
        if reply.outcome is not Outcome.NOT_ALLOWED and reply.code != CLOSED:
            return Answer(reply.outcome, reply.code, reply.message)
        text = (
            f"MEXC takes no contract orders over its API from this key: {reply.message or 'no reason given'}; "
            "it has kept this closed for years at a time: see whether the key may trade contracts, or trade at Bybit"
        )
        self._refusal = Answer(Outcome.NOT_ALLOWED, reply.code, text)
        self._until_s = asyncio.get_running_loop().time() + RETRY_S
        return self._refusal
