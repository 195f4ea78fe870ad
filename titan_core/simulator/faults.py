"""What can go wrong, as data: rules that say what happens where, when, how often and how likely, drawn from a seed.

`where` is a pattern with wildcards: of requests `POST /v5/order/create`, of websocket messages the path and the topic (`/v5/public/linear orderbook.50.*`,
`/v5/private order`), `/v5/trade answer` for answers and `/v5/trade request` for what the client sends. Times count in seconds from the box's beginning.
"""

import random
from collections.abc import Iterable
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

import cattrs
from attrs import define, evolve, field, frozen

from titan_core.errors import UsageError
from titan_core.model.units import S


class FaultKind(StrEnum):
    """What happens."""

    DROP_REQUEST = "drop_request"
    """The request is lost and the connection closed; on a websocket the message is ignored."""
    DROP_ANSWER = "drop_answer"
    """The request is carried out and the connection closed without an answer."""
    HANG_REQUEST = "hang_request"
    """The request is lost and nothing is answered for `seconds`."""
    HANG_ANSWER = "hang_answer"
    """The request is carried out and nothing is answered for `seconds`."""
    DELAY = "delay"
    """The answer comes `seconds` later."""
    CODE = "code"
    """An error `code` (0: a random one) is answered; the request is carried out all the same where `carried_out` says so."""
    STATUS = "status"
    """An HTTP `status` such as 403, 429 or 504 is answered instead."""
    EMPTY = "empty"
    """The answer has no body."""
    TRUNCATED = "truncated"
    """The answer's body is cut in half."""
    HTML = "html"
    """A page is answered instead of JSON."""
    MUTE = "mute"
    """The topic sends nothing; the socket lives."""
    BLACK_HOLE = "black_hole"
    """The socket is open and carries nothing, in either direction, not even a pong."""
    DISCONNECT = "disconnect"
    """Sockets are closed."""
    REFUSE = "refuse"
    """Sockets cannot be opened."""
    DROP_FRAME = "drop_frame"
    """Single messages are lost."""
    DUPLICATE = "duplicate"
    """Single messages come twice."""
    SHUFFLE = "shuffle"
    """Messages are kept for `seconds` and then come in another order."""
    CLOCK_STEP = "clock_step"
    """The servers' clock is `seconds` ahead (negative: behind)."""
    BAN = "ban"
    """Every request is answered with 403 and sockets cannot be opened."""
    MAINTENANCE = "maintenance"
    """Orders are refused with the venue's code for it."""
    ADL = "adl"
    """`lots` of the position in `symbol` (0: all) are closed by auto-deleveraging."""
    LIQUIDATION = "liquidation"
    """The position in `symbol` is liquidated."""
    MANUAL_TRADE = "manual_trade"
    """The account's owner trades `lots` (negative: sells) of `symbol` by hand."""
    DELISTING = "delisting"
    """`symbol` is delisted."""


BEFORE = (FaultKind.DROP_REQUEST, FaultKind.HANG_REQUEST, FaultKind.STATUS)
REQUEST_KINDS = (*BEFORE, FaultKind.DROP_ANSWER, FaultKind.HANG_ANSWER, FaultKind.DELAY, FaultKind.CODE, FaultKind.EMPTY, FaultKind.TRUNCATED, FaultKind.HTML)
FRAME_KINDS = (FaultKind.MUTE, FaultKind.DROP_FRAME, FaultKind.DUPLICATE, FaultKind.SHUFFLE)
EVENT_KINDS = (FaultKind.ADL, FaultKind.LIQUIDATION, FaultKind.MANUAL_TRADE, FaultKind.DELISTING, FaultKind.DISCONNECT)
"""Kinds that happen once, at `from_s`."""
FOREVER_S = 1e9


@frozen(kw_only=True)
class Rule:
    """One line of a fault script."""

    kind: FaultKind
    venue: str = "*"
    where: str = "*"
    probability: float = 1.0
    from_s: float = 0.0
    to_s: float = FOREVER_S
    count: int = 0
    """How often at most; 0: any number of times."""
    seconds: float = 1.0
    code: int = 0
    status: int = 504
    carried_out: bool = False
    symbol: str = ""
    lots: int = 0

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise UsageError(f"fault {self.kind}: probability {self.probability} is out of range, allowed are 0 to 1")
        if self.to_s < self.from_s or self.count < 0:
            raise UsageError(f"fault {self.kind}: to_s {self.to_s} must not be before from_s {self.from_s}, and count must not be negative")
        if self.kind in EVENT_KINDS[:4] and not self.symbol:
            raise UsageError(f"fault {self.kind} needs a symbol, as the venue writes it")


@define(eq=False)
class ActiveRule:
    """A rule in force: its number, its own randomness, and how often it has struck."""

    number: int
    rule: Rule
    random: random.Random
    hits: int = 0


@define(eq=False)
class FaultScript:
    """The rules in force. The same seed and the same requests in the same order meet the same faults."""

    seed: int
    start_ns: int
    rules: list[ActiveRule] = field(factory=list)
    _made: int = 0

    def add(self, rule: Rule) -> ActiveRule:
        """Put a rule in force."""
        self._made += 1
        made = ActiveRule(self._made, rule, random.Random(f"{self.seed}:{self._made}:{rule.kind}"))
        self.rules.append(made)
        return made

    def remove(self, number: int | None = None) -> int:
        """Take a rule, or all of them, out of force; return how many."""
        before = len(self.rules)
        self.rules = [each for each in self.rules if number is not None and each.number != number]
        return before - len(self.rules)

    def strike(self, kinds: Iterable[FaultKind], venue: str, where: str, now_ns: int) -> Rule | None:
        """Return the first rule of these kinds that strikes here and now, and count it."""
        if not self.rules:
            return None
        since = (now_ns - self.start_ns) / S
        for each in self.rules:
            rule = each.rule
            if rule.kind not in kinds or not rule.from_s <= since < rule.to_s or (rule.count and each.hits >= rule.count):
                continue
            if not self.matches(rule, venue, where):
                continue
            if rule.probability < 1 and each.random.random() >= rule.probability:
                continue
            each.hits += 1
            if rule.kind is FaultKind.CODE and rule.code == 0:
                return evolve(rule, code=each.random.randrange(10_000, 999_999))
            return rule
        return None

    @staticmethod
    def matches(rule: Rule, venue: str, where: str) -> bool:
        """Whether a rule is about this place."""
        return rule.venue in ("*", venue) and fnmatchcase(where, rule.where)

    def clock_step_ns(self, venue: str, now_ns: int) -> int:
        """Return by how much a venue's clock is off."""
        since = (now_ns - self.start_ns) / S
        steps = (each.rule for each in self.rules if each.rule.kind is FaultKind.CLOCK_STEP)
        return sum(int(rule.seconds * S) for rule in steps if rule.venue in ("*", venue) and rule.from_s <= since < rule.to_s)


_converter = cattrs.Converter(forbid_extra_keys=True)
_converter.register_structure_hook(FaultKind, lambda value, _: FaultKind(value))


def read_rules(document: Any) -> list[Rule]:
    """Read rules from JSON: a list of objects with the fields of `Rule`, or one such object. Raises UsageError for anything else."""
    rows = document if isinstance(document, list) else [document]
    try:
        return [_converter.structure(row, Rule) for row in rows]
    except (cattrs.BaseValidationError, ValueError, TypeError, AttributeError) as error:
        found = "; ".join(cattrs.transform_error(error)) if isinstance(error, cattrs.BaseValidationError) else str(error)
        raise UsageError(f"fault rule: {found}; kinds are {', '.join(FaultKind)}") from None


def rule_document(active: ActiveRule) -> dict[str, Any]:
    """Return a rule as JSON."""
    found: dict[str, Any] = _converter.unstructure(active.rule)
    return {"number": active.number, "hits": active.hits, **found}
