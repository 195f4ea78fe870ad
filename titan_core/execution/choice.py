"""Which of several venues an order goes to: a pure function of what is known of each, in the order capability, health, fee, then price.

Each step keeps the venues that are best by it and hands them to the next, so that nothing later outweighs anything earlier: a better price never makes up for
a venue that is not well. What is left at the end is decided by the spread and then by the name, so that the same facts always give the same venue.
"""

from collections.abc import Callable, Iterable
from enum import IntEnum, StrEnum

from attrs import field, frozen

from titan_core.errors import UsageError
from titan_core.model.enums import Side
from titan_core.model.ids import VenueId


class Health(IntEnum):
    """How a venue is, best first."""

    WELL = 0
    SHAKY = 1
    """It answers, but not always, or the private stream has just come back: used where no other is left."""
    AWAY = 2
    """Banned, in maintenance, its clock off, or nothing heard: takes no entry."""


class Step(StrEnum):
    """What decided."""

    CAPABILITY = "capability"
    HEALTH = "health"
    FEE = "fee"
    PRICE = "price"
    SPREAD = "spread"
    NAME = "name"
    NONE = "none"


@frozen(kw_only=True)
class Candidate:
    """A venue that trades the coin. Prices are in 1e-8 USDT for one coin, since the venues' ticks differ; 0 where there is none. Fees are parts per million."""

    venue: VenueId
    cannot: str = ""
    """Why it cannot take this very order, in words; empty where it can."""
    health: Health = Health.WELL
    health_note: str = ""
    maker_fee_ppm: int = 0
    taker_fee_ppm: int = 0
    bid: int = field(default=0)
    ask: int = field(default=0)

    def __attrs_post_init__(self) -> None:
        if self.bid < 0 or self.ask < 0 or (self.bid and self.ask and self.bid > self.ask):
            raise UsageError(f"{self.venue}: bid {self.bid} and ask {self.ask} must not be negative or crossed; leave out a book that is not in step")


@frozen
class Choice:
    """What was chosen and why. `venue` is None where none will do; `passed_over` says of each other venue why."""

    venue: VenueId | None
    decided_by: Step
    why: str
    passed_over: tuple[tuple[VenueId, str], ...] = ()


def choose(side: Side, candidates: Iterable[Candidate], *, makes: bool = False) -> Choice:
    """Choose the venue for an order of a side; `makes` says that it will rest rather than take. Raises UsageError where a venue is named twice."""
    left = sorted(candidates, key=lambda each: each.venue)
    if len({each.venue for each in left}) < len(left):
        raise UsageError(f"each venue may stand for choice once, found {', '.join(each.venue for each in left)}")
    if not left:
        return Choice(None, Step.NONE, "no venue trades this")
    passed: dict[VenueId, str] = {}
    decided = Step.NONE
    for step, rank, reason in _steps(side, makes):
        best = min(rank(each) for each in left)
        keep = [each for each in left if rank(each) == best]
        if step is Step.CAPABILITY and best or step is Step.HEALTH and best >= Health.AWAY:
            passed |= {each.venue: reason(each) for each in left}
            return Choice(None, step, f"no venue can take it: {_listed(passed)}", tuple(sorted(passed.items())))
        if len(keep) < len(left):
            decided = step
            passed |= {each.venue: f"{step}: {reason(each)}" for each in left if each not in keep}
        left = keep
    chosen, others = left[0], left[1:]
    if others:
        decided = Step.NAME
        passed |= {each.venue: f"{Step.NAME}: all else is equal" for each in others}
    why = "the only one" if decided is Step.NONE else f"by {decided}"
    return Choice(chosen.venue, decided, f"{chosen.venue}, {why}{f' ({_listed(passed)})' if passed else ''}", tuple(sorted(passed.items())))


def _steps(side: Side, makes: bool) -> list[tuple[Step, Callable[[Candidate], int], Callable[[Candidate], str]]]:
    fee: Callable[[Candidate], int] = (lambda each: each.maker_fee_ppm) if makes else (lambda each: each.taker_fee_ppm)

    def price(each: Candidate) -> int:
        """Return what is the less the better: what is paid, or what is got with its sign turned; a venue without a price comes last."""
        at = each.ask if (side is Side.BUY) != makes else each.bid
        if not at:
            return _NO_PRICE
        return at if side is Side.BUY else -at

    def shown(each: Candidate) -> str:
        return "no price" if price(each) == _NO_PRICE else f"{abs(price(each)) / 1e8:g} USDT"

    def spread(each: Candidate) -> int:
        return each.ask - each.bid if each.bid and each.ask else _NO_PRICE

    return [
        (Step.CAPABILITY, lambda each: bool(each.cannot), lambda each: each.cannot),
        (Step.HEALTH, lambda each: each.health, lambda each: each.health_note or each.health.name.lower()),
        (Step.FEE, fee, lambda each: f"{fee(each)} ppm"),
        (Step.PRICE, price, shown),
        (Step.SPREAD, spread, lambda each: "a wider spread"),
    ]


_NO_PRICE = 1 << 80


def _listed(passed: dict[VenueId, str]) -> str:
    return "; ".join(f"{venue}: {reason}" for venue, reason in sorted(passed.items()))
