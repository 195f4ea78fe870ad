"""What becomes of a whole session when something fails: the reliability bars of live trading, most in virtual time, one with real processes over loopback."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.app.live import scenes
from tests.app.live.killing import kill_often

Measured = tuple[float, str]
SEEDS = 5
KILLS = 200


def bar_1(seed: int, kills: int = KILLS) -> Measured:
    """Kill a process over real sockets; return what is wrong afterwards, a recovery of more than five seconds included."""
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(kill_often(Path(folder), kills, seed))
    wrong = found.duplicates + found.orphans + (found.cash_off >= scenes.CENT) + (found.slowest_s >= 5)
    return wrong, (
        f"{found.kills} kills, {found.orders} orders, {found.executions} executions: {found.duplicates} duplicates, {found.orphans} orphans, "
        f"cash off by {found.cash_off / 1e8:.8f} USDT; recovery {found.median_s:.1f} s in the median, {found.slowest_s:.1f} s at most"
    )


def bar_2(seed: int) -> Measured:
    """Kill a session whose disk drops what was not synced."""
    found = scenes.dropped(seed)
    return len(found.breaks), f"{found.kills} kills, {found.entries_dropped} entries dropped, {found.orders} orders at the venue, all of them on the disk"


def bar_9(seed: int) -> Measured:
    """Let the private socket carry nothing; return the longest time until the books are right, never where it was not noticed within four seconds."""
    found = [scenes.deaf(seed + number) for number in range(SEEDS)]
    noticed, right = max(each.noticed_s for each in found), max(each.right_s for each in found)
    return right if noticed < 4 else scenes.NEVER_S, f"{SEEDS} times with a trade by hand meanwhile: noticed within {noticed:.2f} s"


def bar_13(seed: int) -> Measured:
    """Set the computer's clock; return the longest time until entries are allowed again, never where they were not halted within two seconds."""
    found = [scenes.stepped(seed + number, seconds) for number in range(SEEDS) for seconds in (6.0, -6.0)]
    venue = [scenes.venue_stepped(seed, seconds) for seconds in (6.0, -6.0)]
    halted, resumed = max(each.halted_s for each in found), max(each.resumed_s for each in found)
    after = max(each.resumed_s for each in venue)
    said = f"{len(found)} steps of 6 s: halted within {halted:.2f} s; a venue's clock that is set is measured {after:.2f} s after its first refusal"
    return resumed if halted < 2 else scenes.NEVER_S, said


def bar_14(seed: int) -> Measured:
    """Start on a crowded account."""
    found, adopted = scenes.crowd(seed), scenes.crowd_adopted(seed)
    said = (
        f"{found.positions} positions and {found.orders} orders read and settled in {found.seconds:.1f} s; "
        f"{adopted.positions} of them adopted by a session, each with a stop, after {adopted.seconds:.0f} s"
    )
    return found.wrong + adopted.wrong, said


def bar_16(seed: int) -> Measured:
    """Let the venue act by itself; return the longest time until the ledger is right, never where something was opened again."""
    found = [scenes.upset(seed + number, kind, lots) for number in range(SEEDS) for kind, lots in scenes.UPSETS]
    reopened = sum(each.reopened for each in found)
    unheard = scenes.upset(seed, scenes.FaultKind.MANUAL_TRADE, -4, deaf_to="/v5/private*")
    said = f"{len(found)} liquidations, deleveragings and trades by hand, {reopened} reopened; one of which no word came: {unheard.right_s:.1f} s"
    return max(each.right_s for each in found) if not reopened else scenes.NEVER_S, said


def bar_18(seed: int) -> Measured:
    """Let the process stand still for a minute, four times."""
    found = [scenes.standstill(seed + number) for number in range(SEEDS)]
    stale, held_back, fresh = (sum(getattr(each, name) for each in found) for name in ("stale", "held_back", "fresh"))
    return stale, f"{4 * SEEDS} standstills of 60 s with entries waiting: {held_back} never sent, {fresh} sent in time"


RUNS: dict[int, Callable[[int], Measured]] = {1: bar_1, 2: bar_2, 9: bar_9, 13: bar_13, 14: bar_14, 16: bar_16, 18: bar_18}
