"""Where the market's days come from: a generator, or a recording continued by the generator when it ends."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
from attrs import define, evolve, frozen
from numpy.typing import NDArray

from titan_core.errors import TapeError
from titan_core.model.enums import StreamKind
from titan_core.model.instrument import Instrument
from titan_core.model.units import D
from titan_core.simulator.listings import Role
from titan_core.tape.columns import SPECS, Columns
from titan_core.tape.generate import NEW_YEAR_2024
from titan_core.tape.generator.day import MarketState, Tables, as_columns, make_day
from titan_core.tape.generator.path import PathState
from titan_core.tape.generator.profile import PIPS_PER_USDT, MarketProfile, bitcoin
from titan_core.tape.tape import Tape

Streams = Mapping[tuple[Role, StreamKind], Columns]

PRICES = {
    StreamKind.QUOTE: ("bid", "ask"),
    StreamKind.DEPTH: ("bids", "asks"),
    StreamKind.TRADE: ("price",),
    StreamKind.MARK: ("price", "index"),
    StreamKind.LIQUIDATION: ("price",),
}
LOWEST_GENERATED_USDT = 100
"""A generated path moves in steps of a hundredth of a cent; below this price they would show."""


@frozen(eq=False)
class Supply:
    """A market without end: its two instruments and its spans, one after another."""

    spot: Instrument
    perp: Instrument
    first_ns: int
    spans: Iterator[Streams]
    name: str = "of its own"
    """What market it is: two supplies of one name are the same market."""
    state: Callable[[], bytes] | None = None
    """Tells what the next span depends on (JSON), where the supply can begin with that span again."""
    at: "Callable[[str], Supply] | None" = None
    """Returns the same market from a state on that it has told."""


def generated(seed: int, *, start_ns: int = NEW_YEAR_2024, ticks_per_day: int = 1_200_000, profile: MarketProfile | None = None) -> Supply:
    """Return an endless generated market that begins with the midnight before `start_ns`."""
    chosen, midnight = profile or bitcoin(), start_ns // D * D
    name = f"generated from seed {seed} with {ticks_per_day} ticks a day from {midnight} on"

    def begin(state: str | None) -> Supply:
        days = Days(seed, midnight, ticks_per_day, chosen, state)
        return Supply(chosen.spot.instrument, chosen.perp.instrument, midnight, days, name, days.state, begin)

    return begin(None)


@define
class DayState:
    """What a generated day depends on, besides the seed."""

    day: int
    market: MarketState


class Days(Iterator[Streams]):
    """Generated days, one after another."""

    def __init__(self, seed: int, midnight_ns: int, ticks_per_day: int, profile: MarketProfile, state: str | None = None) -> None:
        self._seed, self._midnight, self._profile = seed, midnight_ns, profile
        self._tables = Tables.of(profile, ticks_per_day)
        self._roles = {profile.spot.instrument.id: Role.SPOT, profile.perp.instrument.id: Role.PERP}
        begin = DayState(0, MarketState(PathState(profile.path.start_usdt * PIPS_PER_USDT)))
        self._now = begin if state is None else msgspec.json.decode(state, type=DayState, dec_hook=_read_array)

    def __next__(self) -> Streams:
        """Make the next day."""
        now, begin = self._now, self._midnight + self._now.day * D
        rows = make_day(self._profile, self._tables, self._seed, now.day, now.market)
        made = {(self._roles[name], kind): as_columns(SPECS[kind].raw, columns, begin) for (name, kind), columns in rows}
        now.day += 1
        return made

    def state(self) -> bytes:
        """Return what the next day depends on, as JSON."""
        return msgspec.json.encode(self._now, enc_hook=_write_array)


def _write_array(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        raise NotImplementedError(f"{type(value).__name__} has no place in the state of a generated market")
    used = int(np.flatnonzero(value)[-1]) + 1 if value.any() else 0
    return [len(value), value[:used].tolist()]


def _read_array(_: type, value: Any) -> Any:
    length, used = value
    array = np.zeros(length, np.int64)
    array[: len(used)] = used
    return array


def recorded(tape: Tape, seed: int = 1, later_ns: int = 0) -> Supply:
    """Return a recording as a market, `later_ns` after it took place, continued by generated days at the price where it ends.

    Raises TapeError where it has no prices.
    """
    spot = next((each for each in tape.instruments if not each.is_perp), None)
    perp = next((each for each in tape.instruments if each.is_perp), None)
    if spot is None and perp is None:
        raise TapeError("the recording has no instrument; import a market first, `titan data import`")
    roles = {each.id: role for each, role in ((spot or perp, Role.SPOT), (perp or spot, Role.PERP)) if each is not None}
    streams = {(roles[each.instrument], each.kind): each.columns for each in tape.streams if each.instrument in roles and each.rows}
    kinds = (*PRICES, StreamKind.FUNDING, StreamKind.OPEN_INTEREST)
    streams = {key: _moved(key[1], columns, 0, later_ns) if later_ns else columns for key, columns in streams.items() if key[1] in kinds}
    for role in set(roles.values()):
        _ensure_quotes(streams, role)
    spot, perp = spot or perp, perp or spot
    assert spot is not None and perp is not None
    rows = sum(len(each["ts"]) for each in streams.values())
    name = f"recorded from {tape.first_ns} to {tape.last_ns} in {rows} rows, {later_ns} ns later, then generated from seed {seed}"
    return Supply(spot, perp, tape.first_ns + later_ns, _then_generated(streams, spot, perp, tape.last_ns + later_ns, seed), name)


def _ensure_quotes(streams: dict[tuple[Role, StreamKind], Columns], role: Role) -> None:
    if (role, StreamKind.QUOTE) in streams:
        return
    trades = streams.get((role, StreamKind.TRADE))
    if trades is None:
        raise TapeError(f"the recording has neither quotes nor trades of its {role} instrument; the box needs one of them")
    price = trades["price"]
    sizes = np.full(len(price), 1_000, np.int32)
    streams[role, StreamKind.QUOTE] = {"ts": trades["ts"], "bid": price, "ask": price + 1, "bid_lots": sizes, "ask_lots": sizes}


def _then_generated(streams: Streams, spot: Instrument, perp: Instrument, last_ns: int, seed: int) -> Iterator[Streams]:
    yield streams
    roles = {role for role, _ in streams}
    ends = {role: int(streams[role, StreamKind.QUOTE]["bid"][-1]) for role in roles}
    price = int(ends[Role.PERP] * (perp.tick_size if Role.PERP in roles else spot.tick_size))
    if price < LOWEST_GENERATED_USDT:
        yield from _again(streams, last_ns)
        return
    base = bitcoin()
    profile = evolve(base, spot=evolve(base.spot, instrument=spot), perp=evolve(base.perp, instrument=perp), path=evolve(base.path, start_usdt=price))
    shifts: dict[Role, int] = {}
    for day in _generated_after(profile, last_ns, seed):
        kept = {key: columns for key, columns in day.items() if key[0] in roles}
        for role in roles:
            if role not in shifts and len(kept[role, StreamKind.QUOTE]["ts"]):
                shifts[role] = ends[role] - int(kept[role, StreamKind.QUOTE]["bid"][0])
        yield {key: _moved(key[1], columns, shifts.get(key[0], 0), 0) for key, columns in kept.items()}


def _generated_after(profile: MarketProfile, last_ns: int, seed: int) -> Iterator[Streams]:
    """Yield generated days; the first one from `last_ns` on only."""
    if profile.spot.instrument.id == profile.perp.instrument.id:
        profile = evolve(profile, spot=bitcoin().spot)
    for day in Days(seed, last_ns // D * D, 1_200_000, profile):
        yield {key: {name: column[np.asarray(columns["ts"], np.int64) > last_ns] for name, column in columns.items()} for key, columns in day.items()}


def _again(streams: Streams, last_ns: int) -> Iterator[Streams]:
    """Yield the same recording again and again, a whole number of days later each time."""
    first = min(int(columns["ts"][0]) for columns in streams.values())
    step = (last_ns - first) // D * D + D
    round_number = 1
    while True:
        yield {key: _moved(key[1], columns, 0, round_number * step) for key, columns in streams.items()}
        round_number += 1


def _moved(kind: StreamKind, columns: Columns, ticks: int, later_ns: int) -> dict[str, NDArray[np.generic]]:
    moved: dict[str, NDArray[np.generic]] = dict(columns)
    for name in PRICES.get(kind, ()):
        moved[name] = columns[name] + np.int32(ticks)  # type: ignore[operator]
    for name in ("ts", "ts_event"):
        if name in columns:
            moved[name] = columns[name] + np.int64(later_ns)  # type: ignore[operator]
    return moved
