"""The common price of a day, one level per second: zero-inflated, bursty returns, trends and ranges, and sweeps of structural levels."""

import numpy as np
from attrs import define, field, frozen

from titan_core.tape.generator.draws import Ints, normals, pareto
from titan_core.tape.generator.profile import MINUTES, NANO, NANO_PER_BPS, PIPS_PER_USDT, SECONDS, PathProfile
from titan_core.tape.generator.structure import Structure, Sweep, sweep_of
from titan_core.tape.generator.volatility import SCALE, VolatilityState, minute_volatility

TAIL = 900
"""A sweep begun at the end of a day may act this many seconds into the next."""


@define
class PathState:
    """What a day of the path needs from the days before it."""

    pips: int
    structure: Structure = field(factory=Structure)
    volatility: VolatilityState = field(factory=VolatilityState)
    tail: "Overlay | None" = None
    minutes_left: int = 0
    """Minutes until the regime changes; `trend` is its direction, 0 inside a range."""
    trend: int = 0
    centre: int = 0
    quiet_until: int = 0
    """No sweep before this second of the day."""


@define(eq=False)
class Overlay:
    """What sweeps add to a day's seconds: returns (1e-9), the direction of the fast part, and which side spot flow leans to."""

    push: Ints
    sweep: Ints
    lean: Ints

    @classmethod
    def empty(cls) -> "Overlay":
        """Return an overlay for one day and its tail."""
        return cls(*(np.zeros(SECONDS + TAIL, np.int64) for _ in range(3)))

    def add(self, at: int, sweep: Sweep) -> None:
        """Let a sweep act from second `at` on."""
        span = min(len(sweep.push), len(self.push) - at)
        self.push[at : at + span] += sweep.push[:span]
        self.sweep[at : at + min(sweep.fast, span)] = sweep.direction
        self.lean[at : at + min(sweep.turn, span)] = sweep.lean

    def next_day(self) -> "Overlay":
        """Return the overlay of the following day, which begins with what is left of this one."""
        following = Overlay.empty()
        for mine, theirs in ((self.push, following.push), (self.sweep, following.sweep), (self.lean, following.lean)):
            theirs[:TAIL] = mine[SECONDS:]
        return following


@frozen(eq=False)
class Path:
    """A day of the common price. `pips` has one entry more than there are seconds: the level at each second's start and at the end."""

    pips: Ints
    weight: Ints
    """How busy each second is, relative to the others (about 1,000 on average)."""
    sweep: Ints
    lean: Ints


def activity(rng: np.random.Generator, profile: PathProfile, minute_vol: Ints) -> tuple[Ints, Ints]:
    """Return (scale of each second's move in 1e-9, 0 where nothing moves; how busy each second is).

    Bursts decay over seconds and set in with the volatility; a second in a burst moves more surely and further.
    """
    vol = np.repeat(minute_vol, SECONDS // MINUTES)
    burst = np.full(SECONDS, SCALE, np.int64)
    count = int(SECONDS / profile.burst_every_s)
    starts = np.sort(rng.integers(0, SECONDS, count))
    height = pareto(2.1, 800.0, 8_000.0).draw(rng, count)
    span = int(profile.burst_span_s * 5)
    decay = np.rint(SCALE * np.exp(-np.arange(span) / profile.burst_span_s)).astype(np.int64)
    at = (starts[:, None] + np.arange(span)).ravel()
    inside = at < SECONDS
    np.add.at(burst, at[inside], (height[:, None] * decay // SCALE).ravel()[inside])
    both = vol * burst // SCALE
    share = np.clip(np.rint(1e6 * profile.active_share * both / 1_400).astype(np.int64), 60_000, 900_000)
    active = rng.integers(0, 1_000_000, SECONDS) < share
    # the variance of a second is that of its volatility: where more seconds move, each moves less far
    reach = np.rint(both * profile.sd_bps * NANO_PER_BPS / SCALE / np.sqrt(share / 1e6)).astype(np.int64)
    scale = np.where(active, reach, 0)
    return scale, both


def make_path(rng: np.random.Generator, profile: PathProfile, state: PathState) -> Path:
    """Make one day and advance the state."""
    vol = minute_volatility(rng, profile, state.volatility)
    scale, busy = activity(rng, profile, vol)
    returns = np.rint(normals(rng, SECONDS) * scale).astype(np.int64)
    moving = np.maximum(1, np.add.reduceat((scale > 0).astype(np.int64), np.arange(0, SECONDS, 60)))
    walk = Walk(rng, profile, state, state.tail or Overlay.empty())
    walk.pips[0] = state.pips
    state.structure.last = state.pips
    for minute in range(MINUTES):
        a, b = minute * 60, minute * 60 + 60
        drift = walk.drift(int(vol[minute])) // int(moving[minute])
        walk.minute(a, returns[a:b] + np.where(scale[a:b] > 0, drift, 0))
        state.structure.close_minute(minute, walk.pips[a : b + 1])
    state.structure.close_day()
    state.quiet_until = max(0, state.quiet_until - SECONDS)
    state.tail = walk.overlay.next_day()
    state.pips = int(walk.pips[-1])
    weight = busy + busy * np.abs(walk.overlay.push[:SECONDS]) // NANO_PER_BPS * 2
    return Path(walk.pips, weight, walk.overlay.sweep[:SECONDS], walk.overlay.lean[:SECONDS])


@define(eq=False)
class Walk:
    """A day's path while it is being made."""

    rng: np.random.Generator
    profile: PathProfile
    state: PathState
    overlay: Overlay
    pips: Ints = field(factory=lambda: np.zeros(SECONDS + 1, np.int64))

    def minute(self, start: int, moves: Ints) -> None:
        """Fill in a minute of the path; where it passes a structural level, a sweep may set in and the rest of the minute is redone."""
        at = 0
        while at < 60:
            base = int(self.pips[start + at])
            leg = base + np.cumsum((moves[at:] + self.overlay.push[start + at : start + 60]) * base // NANO)
            self.pips[start + at + 1 : start + 61] = leg
            crossed = self.state.structure.first_crossing(base, leg, self.state.quiet_until - start - at)
            if crossed is None:
                return
            second, level = crossed
            at += second + 1
            sweep = sweep_of(self.rng, level, 1 if level.pips > base else -1, NANO_PER_BPS)
            if sweep is not None:
                self.overlay.add(start + at, sweep)
                self.state.quiet_until = start + at + self.profile.sweep_cooldown_s

    def drift(self, vol: int) -> int:
        """Return what the regime adds to this minute's return (1e-9): a trend's push, or a range's pull to its centre."""
        profile, state = self.profile, self.state
        if state.minutes_left <= 0:
            self._change_regime()
        state.minutes_left -= 1
        if state.trend:
            return state.trend * int(profile.trend_bps_per_minute * NANO_PER_BPS) * vol // SCALE
        return int((state.centre - state.structure.last) * NANO // state.centre * profile.range_pull)

    def _change_regime(self) -> None:
        rng, state, home = self.rng, self.state, self.profile.start_usdt * PIPS_PER_USDT
        state.minutes_left = 15 + int(self.profile.regime_minutes * float(np.rint(64 * rng.standard_exponential()) / 64))
        # a price far from where the market began trends back more often than away: it stays in a believable range for years
        back = 50 + (15 if state.pips < home * 7 // 10 else -15 if state.pips > home * 14 // 10 else 0)
        roll = int(rng.integers(0, 100))
        state.trend = 0 if roll < 50 else 1 if int(rng.integers(0, 100)) < back else -1
        state.centre = state.pips
