"""A tape in memory: instruments, their indexed streams in rank order, and the pairs.

Whether the columns live in memory or in mapped files is the store's business; everything here works on arrays.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from titan_core.errors import TapeError
from titan_core.model.enums import StreamKind
from titan_core.model.ids import InstrumentId
from titan_core.model.instrument import Instrument
from titan_core.tape.columns import Columns, check_raw
from titan_core.tape.index import basis_rows, build_index

StreamKey = tuple[InstrumentId, StreamKind]

_ORDER = {kind: position for position, kind in enumerate(StreamKind)}


@frozen(eq=False)
class Stream:
    """One indexed stream. `rank` orders events of equal time; a basis stream is keyed by its perpetual instrument."""

    instrument: InstrumentId
    kind: StreamKind
    rank: int
    columns: Columns

    @property
    def rows(self) -> int:
        """Number of events."""
        return len(self.columns["ts"])

    @property
    def ts(self) -> NDArray[np.int64]:
        """Receive times in ns."""
        return self.columns["ts"]  # type: ignore[return-value]


@frozen
class Pair:
    """A spot instrument and the perpetual on the same coin."""

    spot: InstrumentId
    perp: InstrumentId


@frozen(eq=False)
class Tape:
    """Streams of any number of instruments, ready for the engines."""

    instruments: tuple[Instrument, ...]
    pairs: tuple[Pair, ...]
    streams: tuple[Stream, ...]
    bars_only: Mapping[InstrumentId, int] = field(factory=dict)
    """Instruments whose trades are a path drawn through bars, with the bar length in ns: they have no order flow and no shorter bars."""
    digest: str = ""
    """Identifies the content; empty for a tape that was never stored."""

    @property
    def first_ns(self) -> int:
        """Time of the first quote or trade; of the first event where the tape has neither. Years of funding before the first price are history."""
        return min((int(s.ts[0]) for s in self._market), default=0)

    @property
    def last_ns(self) -> int:
        """Time of the last quote or trade; of the last event where the tape has neither."""
        return max((int(s.ts[-1]) for s in self._market), default=0)

    @property
    def _market(self) -> tuple[Stream, ...]:
        filled = tuple(s for s in self.streams if s.rows)
        return tuple(s for s in filled if s.kind in (StreamKind.QUOTE, StreamKind.TRADE)) or filled

    @property
    def ticks(self) -> int:
        """Number of market events, derived ones not counted."""
        return sum(s.rows for s in self.streams if s.kind is not StreamKind.BASIS)

    def instrument(self, instrument: InstrumentId) -> Instrument:
        """Return the instrument of that id. Raises TapeError where the tape lacks it."""
        for candidate in self.instruments:
            if candidate.id == instrument:
                return candidate
        raise TapeError(f"the tape has no instrument {instrument}; it has {', '.join(i.id for i in self.instruments)}")

    def stream(self, instrument: InstrumentId, kind: StreamKind) -> Stream | None:
        """Return one stream, or None where the tape lacks it."""
        for stream in self.streams:
            if stream.instrument == instrument and stream.kind is kind:
                return stream
        return None


def stream_order(instruments: Sequence[Instrument], keys: Sequence[StreamKey]) -> list[StreamKey]:
    """Return the keys by rank: instruments in tape order, kinds in `StreamKind` order, all basis streams last."""
    place = {instrument.id: position for position, instrument in enumerate(instruments)}
    return sorted(keys, key=lambda key: (key[1] is StreamKind.BASIS, place[key[0]], _ORDER[key[1]]))


def default_pairs(instruments: Sequence[Instrument]) -> tuple[Pair, ...]:
    """Pair each perpetual with the first spot instrument on the same coin."""
    pairs = []
    for perp in instruments:
        spot = next((s for s in instruments if not s.is_perp and (s.base, s.quote) == (perp.base, perp.quote)), None)
        if perp.is_perp and spot is not None:
            pairs.append(Pair(spot.id, perp.id))
    return tuple(pairs)


def tick_units(spot: Instrument, perp: Instrument) -> tuple[int, int]:
    """Return both tick sizes as whole numbers on their common scale."""
    scale = Decimal(10) ** max(-int(spot.tick_size.normalize().as_tuple().exponent), -int(perp.tick_size.normalize().as_tuple().exponent), 0)
    return int(spot.tick_size * scale), int(perp.tick_size * scale)


def build_tape(
    instruments: Sequence[Instrument],
    raw: Mapping[StreamKey, Columns],
    *,
    pairs: Sequence[Pair] | None = None,
    bars_only: Mapping[InstrumentId, int] | None = None,
) -> Tape:
    """Check and index raw columns, derive the basis of each pair, and put the streams in rank order. Raises TapeError on bad columns."""
    known = {instrument.id: instrument for instrument in instruments}
    for instrument, kind in raw:
        if instrument not in known:
            raise TapeError(f"stream {kind} belongs to {instrument}, which is not among the instruments {', '.join(known)}")
        check_raw(kind, raw[instrument, kind], str(instrument))
    pairs = default_pairs(instruments) if pairs is None else tuple(pairs)
    indexed: dict[StreamKey, Columns] = {key: build_index(key[1], columns) for key, columns in raw.items()}
    for pair in pairs:
        spot, perp = raw.get((pair.spot, StreamKind.QUOTE)), raw.get((pair.perp, StreamKind.QUOTE))
        if spot is not None and perp is not None:
            rows = basis_rows(spot, perp, *tick_units(known[pair.spot], known[pair.perp]))
            indexed[pair.perp, StreamKind.BASIS] = build_index(StreamKind.BASIS, rows)
    order = stream_order(instruments, list(indexed))
    streams = tuple(Stream(key[0], key[1], rank, indexed[key]) for rank, key in enumerate(order))
    return Tape(tuple(instruments), tuple(pairs), streams, dict(bars_only or {}))
