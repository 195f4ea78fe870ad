"""The generated market as a tape's raw streams: `generate` is what `titan data generate` calls."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from titan_core.errors import UsageError
from titan_core.model.instrument import Instrument
from titan_core.model.units import D
from titan_core.tape.columns import SPECS, Columns
from titan_core.tape.generator.day import MarketState, Tables, as_columns, make_day
from titan_core.tape.generator.path import PathState
from titan_core.tape.generator.profile import DEFAULT_TICKS_PER_DAY, MAX_TICKS_PER_DAY, MIN_TICKS_PER_DAY, PIPS_PER_USDT, MarketProfile, bitcoin
from titan_core.tape.tape import StreamKey

NEW_YEAR_2024 = 19_723 * D

STREAMS_PER_DAY = 8


def generate(
    days: int,
    seed: int,
    *,
    start_ns: int = NEW_YEAR_2024,
    ticks_per_day: int | None = None,
    progress: Callable[[float], None] | None = None,
    profile: MarketProfile | None = None,
) -> tuple[tuple[Instrument, ...], dict[StreamKey, Columns]]:
    """Make a spot and perpetual market of whole UTC days, ready for `build_tape`.

    The same arguments give the same bytes everywhere. A longer market begins with the shorter one of the same seed. `ticks_per_day` counts the
    rows of all streams and scales how dense the market is, never where its price goes; `progress` is told the share done, up to 1.
    Raises UsageError where an argument is out of range.
    """
    ticks = DEFAULT_TICKS_PER_DAY if ticks_per_day is None else ticks_per_day
    _check(days, seed, start_ns, ticks)
    profile = profile or bitcoin()
    tables = Tables.of(profile, ticks)
    state = MarketState(PathState(profile.path.start_usdt * PIPS_PER_USDT))
    parts: dict[StreamKey, list[dict[str, NDArray[np.generic]]]] = {}
    for day in range(days):
        for done, (key, rows) in enumerate(make_day(profile, tables, seed, day, state), start=1):
            parts.setdefault(key, []).append(as_columns(SPECS[key[1]].raw, rows, start_ns + day * D))
            if progress is not None:
                progress((day + done / STREAMS_PER_DAY) / days)
    return (profile.spot.instrument, profile.perp.instrument), {key: _join(parts.pop(key)) for key in list(parts)}


def _join(parts: list[dict[str, NDArray[np.generic]]]) -> Columns:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part.pop(name) for part in parts]) for name in list(parts[0])}


def _check(days: int, seed: int, start_ns: int, ticks: int) -> None:
    if days < 1:
        raise UsageError(f"cannot generate {days} days; ask for at least 1")
    if seed < 0:
        raise UsageError(f"seed {seed} is negative; use 0 or more")
    if start_ns < 0 or start_ns % D:
        raise UsageError(f"start {start_ns} ns is not midnight UTC; a generated market consists of whole days")
    if not MIN_TICKS_PER_DAY <= ticks <= MAX_TICKS_PER_DAY:
        raise UsageError(f"{ticks:,} ticks a day is out of range; allowed are {MIN_TICKS_PER_DAY:,} to {MAX_TICKS_PER_DAY:,}")
