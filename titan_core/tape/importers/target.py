"""What a file is imported as: the instrument it speaks of and the grid to put it on; and what comes out of an import."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from titan_core.errors import UsageError
from titan_core.model.enums import StreamKind
from titan_core.model.ids import InstrumentId, VenueId, instrument_id
from titan_core.model.instrument import Instrument
from titan_core.tape.catalog import known_grid, make_instrument, normal_symbol, venue_rules
from titan_core.tape.importers.decimals import PRICE_DECIMALS, SIZE_DECIMALS, Ints
from titan_core.tape.manifest import GridSource, Source

RawColumns = dict[StreamKind, dict[str, NDArray[np.generic]]]

_REFINE_SHARE, _REFINE_LEAST = 0.01, 10


@frozen(kw_only=True)
class Target:
    """The instrument of a file. `tick` and `lot` are what the user gave; `instrument` is the one the tape already has, with its `grid`."""

    venue: VenueId
    symbol: str = field(converter=normal_symbol)
    tick: Decimal | None = None
    lot: Decimal | None = None
    instrument: Instrument | None = None
    grid: GridSource = GridSource.GIVEN

    def __attrs_post_init__(self) -> None:
        venue_rules(self.venue)
        if self.instrument is not None:
            for what, given, fixed in (("tick", self.tick, self.instrument.tick_size), ("lot", self.lot, self.instrument.lot_size)):
                if given is not None and given != fixed:
                    raise UsageError(f"--{what} {given}: the tape already has {self.id} with a {what} size of {fixed}; leave it out or use a new tape")

    @property
    def id(self) -> InstrumentId:
        """The instrument's id."""
        return instrument_id(self.symbol, self.venue)


@frozen(kw_only=True, eq=False)
class ImportResult:
    """One file as raw columns by kind of stream, with the account of its messages in `source`.

    `bar_ns` is set where the trades are a path through bars of that length; `recorded` where the file is a recording of a feed, so that two files
    one after the other have a reconnection between them.
    """

    instrument: Instrument
    grid: GridSource
    raw: RawColumns
    source: Source
    bar_ns: int | None = None
    recorded: bool = False


def choose_instrument(target: Target, prices: Sequence[Ints], sizes: Sequence[Ints]) -> tuple[Instrument, GridSource, tuple[str, ...]]:
    """Settle the grid: the tape's, else the given, else the known, else the one the values show (fine integers, 0 for none). Returns notes as well.

    A known grid gives way where more than 1 % of the values, and more than ten, do not lie on it: it was another one when the file was recorded.
    Raises UsageError where nothing tells the grid.
    """
    if target.instrument is not None:
        return target.instrument, target.grid, ()
    if target.tick is not None and target.lot is not None:
        return make_instrument(target.venue, target.symbol, target.tick, target.lot), GridSource.GIVEN, ()
    known = known_grid(target.venue, target.symbol)
    tick, tick_note = _choose("tick", target.tick, Decimal(known.tick) if known else None, prices, PRICE_DECIMALS)
    lot, lot_note = _choose("lot", target.lot, Decimal(known.lot) if known else None, sizes, SIZE_DECIMALS)
    if tick is None or lot is None:
        missing = " and ".join(f"--{what}" for what, value in (("tick", tick), ("lot", lot)) if value is None)
        raise UsageError(f"{target.id}: the file does not show its grid and it is not among the known instruments; give {missing}")
    notes = tuple(note for note in (tick_note, lot_note) if note)
    finest = Decimal(1).scaleb(-8) / tick
    if target.lot is None and lot < finest:
        notes += (f"lot size {lot:f} raised to {finest:f}, so that one lot at one tick is worth a whole number of 1e-8",)
        lot = finest
    return make_instrument(target.venue, target.symbol, tick, lot), GridSource.INFERRED if notes else GridSource.KNOWN, notes


def _choose(what: str, given: Decimal | None, known: Decimal | None, values: Sequence[Ints], decimals: int) -> tuple[Decimal | None, str]:
    if given is not None:
        return given, ""
    if known is not None:
        unit = fine_unit(known, decimals)
        rows = sum(len(v) for v in values)
        astray = sum(int(np.count_nonzero(v % unit)) for v in values)
        if astray <= max(_REFINE_LEAST, _REFINE_SHARE * rows):
            return known, ""
    inferred = _infer(values, decimals)
    if inferred is None:
        return known, ""
    if known is not None:
        return inferred, f"{what} size {inferred:f} inferred from the decimals: {astray} of {rows} values do not lie on the known {known:f}"
    return inferred, f"{what} size {inferred:f} inferred from the decimals"


def _infer(values: Sequence[Ints], decimals: int) -> Decimal | None:
    """Return the largest power of ten that divides every value, or None where there is no value."""
    divisor = int(np.gcd.reduce([np.gcd.reduce(v) for v in values if len(v)])) if any(len(v) for v in values) else 0
    if divisor == 0:
        return None
    power = 0
    while divisor % 10 == 0:
        divisor, power = divisor // 10, power + 1
    return Decimal(1).scaleb(power - decimals)


def fine_unit(step: Decimal, decimals: int) -> int:
    """Return a tick or lot size as a whole number on the fine scale. Raises UsageError where it is finer than that."""
    scaled = step.scaleb(decimals)
    if scaled != scaled.to_integral_value():
        raise UsageError(f"grid step {step} is finer than 1e-{decimals}, the finest that a tape holds")
    return int(scaled)


def to_steps(fine: Ints, unit: int) -> tuple[Ints, NDArray[np.bool_]]:
    """Convert fine integers to whole steps, nearest first (halves to even), and mark those that lie between two steps."""
    steps, rest = np.divmod(fine, unit)
    astray = rest != 0
    if astray.any():
        twice = rest * 2
        steps += (twice > unit) | ((twice == unit) & (steps % 2 != 0))
    return steps, astray


def target_for(venue: str, symbol: str, tick: Decimal | None, lot: Decimal | None, present: Mapping[InstrumentId, tuple[Instrument, GridSource]]) -> Target:
    """Make the target of a file for a tape that already has the instruments of `present`."""
    name = instrument_id(normal_symbol(symbol), VenueId(venue))
    instrument, grid = present.get(name, (None, GridSource.GIVEN))
    return Target(venue=VenueId(venue), symbol=symbol, tick=tick, lot=lot, instrument=instrument, grid=grid)
