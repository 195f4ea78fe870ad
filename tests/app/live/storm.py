"""What goes wrong in a simulation, drawn from its seed: faults of every kind, kills and stops, an operator's wishes, a computer whose clock is set."""

import random
from collections.abc import Callable

from attrs import frozen

from titan_core.simulator.faults import FaultKind, Rule

PERP_SYMBOL = "BTCUSDT"
REQUESTS = (
    "POST /v5/order/create", "POST /v5/order/cancel*", "POST /v5/position/*", "GET /v5/order/*", "GET /v5/position/list", "GET /v5/execution/list",
    "GET /v5/account/*", "GET /v5/market/*", "* /v5/order/*", "*",
)  # fmt: skip
BODIES = (
    FaultKind.DROP_REQUEST, FaultKind.DROP_ANSWER, FaultKind.HANG_REQUEST, FaultKind.HANG_ANSWER, FaultKind.DELAY, FaultKind.CODE, FaultKind.STATUS,
    FaultKind.EMPTY, FaultKind.TRUNCATED, FaultKind.HTML,
)  # fmt: skip
FRAMES = (FaultKind.DROP_FRAME, FaultKind.DUPLICATE, FaultKind.SHUFFLE)
TOPICS = (
    "/v5/private order", "/v5/private execution", "/v5/private*", "/v5/trade answer", "/v5/trade request", "*orderbook*", "*publicTrade*", "*tickers*",
    "/stream*",
)  # fmt: skip
SOCKETS = ("/v5/private", "/v5/trade", "/v5/public/linear", "/stream*", "*")
STATUSES = (403, 429, 500, 502, 504)
BY_HAND = (FaultKind.ADL, FaultKind.LIQUIDATION, FaultKind.MANUAL_TRADE)


@frozen
class Life:
    """One process: how long it lives and how it ends, what the operator asks meanwhile, how long nobody lives afterwards."""

    seconds: float
    end: str
    """`kill`, `stop`, `stop_flat`."""
    kept: int
    """Entries that had not been synced and reached the disk all the same."""
    pause_s: float
    wishes: tuple[tuple[float, str], ...]
    """`panic`, `resume`, `clock` (the computer's clock is set) or `freeze` (the process stands still) or
    `full` (the disk has no room for a while), each at so many seconds of this life."""
    steps_s: tuple[float, ...]


@frozen
class Storm:
    """Everything that a seed lets happen within so many seconds of the market."""

    seed: int
    seconds: float
    rules: tuple[Rule, ...]
    lives: tuple[Life, ...]
    most_lots: int
    period_s: int
    balance: int
    snapshot_every: int
    sync_s: tuple[float, float]
    """Least and most that a sync of the disk takes."""


def _everyday(dice: random.Random) -> list[Rule]:
    """Draw what goes wrong now and then, all the time."""
    rules = []
    for kind in BODIES:
        if dice.random() < 0.5:
            heavy = FaultKind.STATUS if kind is FaultKind.STATUS else None
            status = dice.choice(STATUSES[2:]) if heavy else 504
            rules.append(
                Rule(
                    kind=kind, venue="bybit", where=dice.choice(REQUESTS), probability=dice.uniform(0.005, 0.08), seconds=dice.uniform(0.2, 5.0),
                    status=status, carried_out=dice.random() < 0.5,
                )
            )  # fmt: skip
    for kind in FRAMES:
        if dice.random() < 0.6:
            where = dice.choice(TOPICS)
            rules.append(Rule(kind=kind, venue="*", where=where, probability=dice.uniform(0.005, 0.08), seconds=dice.uniform(0.01, 1.0)))
    return rules


def _episode(dice: random.Random, at_s: float) -> Rule:
    """Draw one bad time."""
    lasts = dice.choice((3.0, 10.0, 30.0, 90.0)) * dice.uniform(0.5, 1.5)
    window = {"from_s": at_s, "to_s": at_s + lasts}
    kind = dice.choice(
        (
            FaultKind.MUTE, FaultKind.MUTE, FaultKind.BLACK_HOLE, FaultKind.BLACK_HOLE, FaultKind.DISCONNECT, FaultKind.REFUSE, FaultKind.CLOCK_STEP,
            FaultKind.BAN, FaultKind.MAINTENANCE, FaultKind.STATUS, FaultKind.HANG_ANSWER, FaultKind.DROP_FRAME, FaultKind.EMPTY, *BY_HAND,
        )
    )  # fmt: skip
    if kind in BY_HAND:
        lots = dice.choice((0, 2)) if kind is FaultKind.ADL else dice.choice((-40, -7, 3, 12, 60))
        return Rule(kind=kind, venue="bybit", symbol=PERP_SYMBOL, from_s=at_s, lots=lots)
    if kind in (FaultKind.MUTE, FaultKind.DROP_FRAME):
        return Rule(kind=kind, where=dice.choice(TOPICS), probability=1.0 if kind is FaultKind.MUTE else 0.5, **window)
    if kind in (FaultKind.BLACK_HOLE, FaultKind.DISCONNECT, FaultKind.REFUSE):
        return Rule(kind=kind, where=dice.choice(SOCKETS), **window)
    if kind is FaultKind.CLOCK_STEP:
        return Rule(kind=kind, venue="bybit", seconds=dice.choice((-8.0, -6.0, -0.7, 0.7, 6.0, 20.0)), **window)
    if kind is FaultKind.BAN:
        return Rule(kind=kind, venue="bybit", where=dice.choice(("*", "POST *", "GET /v5/position*")), **window)
    if kind is FaultKind.STATUS:
        return Rule(kind=kind, venue="bybit", where=dice.choice(REQUESTS), probability=dice.choice((0.3, 1.0)), status=dice.choice(STATUSES), **window)
    if kind in (FaultKind.HANG_ANSWER, FaultKind.EMPTY):
        return Rule(kind=kind, venue="bybit", where=dice.choice(REQUESTS), probability=0.5, seconds=dice.uniform(1, 15), **window)
    return Rule(kind=kind, venue="bybit", **window)


def _lives(dice: random.Random, seconds: float) -> tuple[Life, ...]:
    lives, spent = [], 0.0
    while spent < seconds:
        length = dice.choice((0.02, 0.5, 5.0, 60.0, 300.0, 900.0, 1_800.0)) * dice.uniform(0.5, 1.5)
        wishes: list[tuple[float, str]] = []
        if dice.random() < 0.2:
            wishes.append((dice.uniform(0, length), "panic"))
        if dice.random() < 0.7:
            wishes.append((dice.uniform(0, min(length, 200.0)), "resume"))
        if dice.random() < 0.2:
            wishes.append((dice.uniform(0, length), "clock"))
        if dice.random() < 0.15:
            wishes.append((dice.uniform(0, length), "freeze"))
        if dice.random() < 0.1:
            wishes.append((dice.uniform(0, length), "full"))
        end = dice.choice(("kill", "kill", "kill", "stop", "stop_flat"))
        pause_s = dice.choice((0.0, 0.0, 1.0, 30.0, 600.0))
        lives.append(Life(length, end, dice.randrange(3), pause_s, tuple(sorted(wishes)), tuple(dice.choice((-6.0, -1.0, 1.0, 6.0)) for _ in range(3))))
        spent += length + pause_s + 5.0
    return tuple(lives)


def draw(seed: int, seconds: float, keep: Callable[[Rule], bool] = lambda rule: True) -> Storm:
    """Draw the storm of a seed. `keep` leaves rules out, to find which of them a break needs."""
    dice = random.Random(f"storm:{seed}")
    rules, at_s = _everyday(dice), dice.uniform(20, 300)
    while at_s < seconds:
        rules.append(_episode(dice, at_s))
        at_s += dice.expovariate(1 / 400) + 5
    lives = _lives(dice, seconds)
    if dice.random() < 0.03:
        rules.append(Rule(kind=FaultKind.DELISTING, venue="bybit", symbol=PERP_SYMBOL, from_s=seconds * dice.uniform(0.7, 1.0)))
    most_lots, period_s, balance = dice.choice((12, 40, 120, 300)), dice.choice((7, 20, 45)), dice.choice((400, 1_000, 5_000))
    snapshot_every, sync_s = dice.choice((40, 1_000, 50_000)), dice.choice(((0.0002, 0.0002), (0.0002, 0.02), (0.0002, 0.5)))
    return Storm(seed, seconds, tuple(rule for rule in rules if keep(rule)), lives, most_lots, period_s, balance, snapshot_every, sync_s)
