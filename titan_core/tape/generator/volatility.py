"""How restless the market is in each minute: a daily, an hourly and a minutely component and the time of day."""

import math

import numpy as np
from attrs import define

from titan_core.tape.generator.draws import Floats, Ints, normals
from titan_core.tape.generator.profile import MINUTES, PathProfile

SCALE = 1_000
"""Volatility multipliers are whole thousandths."""


@define
class VolatilityState:
    """The components of log volatility, each an autoregression with unit variance, carried from day to day."""

    day: float = 0.0
    hour: float = 0.0
    minute: float = 0.0


def season(profile: PathProfile) -> Ints:
    """Return the volatility of each minute of the day, in per cent of the mean: the profile's hours, linear in between."""
    hours = np.array([*profile.season, profile.season[0]], dtype=np.int64)
    minute = np.arange(MINUTES, dtype=np.int64)
    hour, part = minute // 60, minute % 60
    return (hours[hour] * (60 - part) + hours[hour + 1] * part) // 60


def minute_volatility(rng: np.random.Generator, profile: PathProfile, state: VolatilityState) -> Ints:
    """Return each minute's volatility as thousandths of the profile's, and advance the state by a day."""
    keep_hour, keep_minute = math.exp(-1 / profile.hour_span), math.exp(-1 / profile.minute_span)
    step_hour, step_minute = math.sqrt(1 - keep_hour**2), math.sqrt(1 - keep_minute**2)
    shocks: Floats = normals(rng, 2 * MINUTES + 1)
    state.day = 0.8 * state.day + 0.6 * float(shocks[-1])
    slow, fast = shocks[:MINUTES].tolist(), shocks[MINUTES:-1].tolist()
    level = np.zeros(MINUTES)
    for minute in range(MINUTES):
        state.hour = keep_hour * state.hour + step_hour * slow[minute]
        state.minute = keep_minute * state.minute + step_minute * fast[minute]
        level[minute] = profile.hour_log_sd * state.hour + profile.minute_log_sd * state.minute
    level += profile.day_log_sd * state.day
    thousandths = np.rint(SCALE * np.exp(np.clip(level, -2.5, 2.5))).astype(np.int64)
    out: Ints = thousandths * season(profile) // 100
    return out
