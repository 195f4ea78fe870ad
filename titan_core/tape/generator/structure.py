"""Structural levels of the generated market, and the sweeps that run through them.

Traders leave stops beyond recent swings, the day's extremes and round numbers. When the price gets there a fast move runs through them; it
reverts in part, stays or goes on. Nothing of it is a promise of profit: about half of the sweeps revert.
"""

import numpy as np
from attrs import define, field, frozen

from titan_core.tape.generator.draws import Ints
from titan_core.tape.generator.profile import PIPS_PER_USDT

BAR_MINUTES = 5
REACH = 2
"""A swing is higher (lower) than this many bars on either side."""
LIFE_BARS = 144
"""Swings are forgotten after twelve hours."""
ROUND_PIPS = 500 * PIPS_PER_USDT
CLEAR_BPS = 15
"""A round number counts once the price has been this far away."""

SWING, ROUND, DAILY = 1, 2, 3


@frozen
class Level:
    """A price (pips) that attracts stops, its kind, and the bar at which it is forgotten."""

    pips: int
    kind: int
    until_bar: int


@frozen(eq=False)
class Sweep:
    """A move through a level: returns per second (1e-9), of which the first `fast` are the sweep itself."""

    direction: int
    fast: int
    push: Ints
    turn: int
    """Seconds until the aftermath sets in."""
    lean: int
    """Side to which spot flow leans until then: against the sweep where it will revert, with it where it will go on."""


@define
class Structure:
    """The levels in force, and the bars they come from."""

    levels: list[Level] = field(factory=list)
    highs: list[int] = field(factory=list)
    lows: list[int] = field(factory=list)
    bars: int = 0
    last: int = 0
    day_high: int = 0
    day_low: int = 0

    def first_crossing(self, base: int, leg: Ints, skip: int) -> tuple[int, Level] | None:
        """Return the second of `leg` (and the level) at which the nearest level above or below is reached, after `skip` seconds."""
        if skip >= len(leg):
            return None
        if skip > 0:
            base, leg = int(leg[skip - 1]), leg[skip:]
        above = min((level for level in self.levels if level.pips > base), key=lambda level: level.pips, default=None)
        below = max((level for level in self.levels if level.pips < base), key=lambda level: level.pips, default=None)
        found: list[tuple[int, Level]] = []
        if above is not None and int(leg.max()) >= above.pips:
            found.append((int(np.argmax(leg >= above.pips)), above))
        if below is not None and int(leg.min()) <= below.pips:
            found.append((int(np.argmax(leg <= below.pips)), below))
        if not found:
            return None
        second, level = min(found, key=lambda hit: hit[0])
        return max(skip, 0) + second, level

    def close_minute(self, minute: int, leg: Ints) -> None:
        """Note a minute's prices: levels inside its range are spent; every fifth minute closes a bar."""
        high, low = int(leg.max()), int(leg.min())
        self.last = int(leg[-1])
        self.levels = [level for level in self.levels if not low <= level.pips <= high]
        self.day_high = max(self.day_high, high)
        self.day_low = min(self.day_low or low, low)
        if minute % BAR_MINUTES == 0:
            self.highs.append(high)
            self.lows.append(low)
        else:
            self.highs[-1] = max(self.highs[-1], high)
            self.lows[-1] = min(self.lows[-1], low)
        if minute % BAR_MINUTES == BAR_MINUTES - 1:
            self._close_bar()

    def close_day(self) -> None:
        """Turn the day's extremes into levels of the next day."""
        until = self.bars + 2 * LIFE_BARS
        self.levels += [Level(self.day_high, DAILY, until), Level(self.day_low, DAILY, until)]
        self.day_high, self.day_low = self.last, self.last

    def _close_bar(self) -> None:
        self.bars += 1
        keep = 2 * REACH + 1
        self.highs, self.lows = self.highs[-keep:], self.lows[-keep:]
        self.levels = [level for level in self.levels if level.until_bar > self.bars]
        if len(self.highs) == keep:
            high, low = self.highs[REACH], self.lows[REACH]
            if high == max(self.highs):
                self._add(high, DAILY if high == self.day_high else SWING)
            if low == min(self.lows):
                self._add(low, DAILY if low == self.day_low else SWING)
        below = self.last // ROUND_PIPS * ROUND_PIPS
        for mark in (below, below + ROUND_PIPS):
            if abs(self.last - mark) * 10_000 > CLEAR_BPS * mark:
                self._add(mark, ROUND)

    def _add(self, pips: int, kind: int) -> None:
        if all(level.pips != pips for level in self.levels):
            self.levels.append(Level(pips, kind, self.bars + LIFE_BARS))


def sweep_of(rng: np.random.Generator, level: Level, direction: int, unit: int) -> Sweep | None:
    """Decide whether reaching a level sets off a sweep, and which. `unit` is one basis point in the path's returns."""
    chance = {SWING: 75, ROUND: 60, DAILY: 90}[level.kind]
    if int(rng.integers(0, 100)) >= chance:
        return None
    size_pct = {SWING: 100, ROUND: 150, DAILY: 320}[level.kind]
    # 2.5 bps and an exponential rest with a mean of 3.5, in hundredths
    amplitude = (250 + int(np.rint(350 * rng.standard_exponential()))) * size_pct // 100
    amount = amplitude * unit // 100
    fast, wait, span = int(rng.integers(4, 16)), int(rng.integers(2, 25)), int(rng.integers(20, 240))
    roll = int(rng.integers(0, 100))
    after = -int(rng.integers(60, 140)) if roll < 50 else int(rng.integers(40, 110)) if roll < 75 else 0
    push = np.zeros(fast + wait + span, np.int64)
    push[:fast] = _spread(amount, rng.integers(1, 5, fast))
    push[fast + wait :] = _spread(amount * after // 100, np.arange(span, 0, -1) * rng.integers(0, 3, span))
    return Sweep(direction, fast, direction * push, fast + wait, direction * ((after > 0) - (after < 0)))


def _spread(amount: int, weights: Ints) -> Ints:
    """Divide an amount in proportion to whole-numbered weights."""
    total = int(weights.sum())
    return amount * weights.astype(np.int64) // total if total else np.zeros(len(weights), np.int64)
