"""Which streams a run has and how events of equal time are ordered. Made from a tape, or from subscriptions in paper and live."""

from collections.abc import Mapping

from attrs import field, frozen

from titan_core.errors import StrategyError
from titan_core.model.enums import StreamKind
from titan_core.model.ids import InstrumentId
from titan_core.model.instrument import Instrument
from titan_core.tape.columns import SPECS
from titan_core.tape.tape import Pair, StreamKey, Tape, stream_order

NO_STREAM = -1


@frozen(eq=False)
class Layout:
    """Instruments, pairs and the rank of each stream. Instruments and pairs are addressed by position."""

    instruments: tuple[Instrument, ...]
    pairs: tuple[Pair, ...]
    keys: tuple[StreamKey, ...]
    bars_only: Mapping[InstrumentId, int] = field(factory=dict)
    place: Mapping[InstrumentId, int] = field(init=False)
    ranks: Mapping[StreamKey, int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "place", {instrument.id: k for k, instrument in enumerate(self.instruments)})
        object.__setattr__(self, "ranks", {key: rank for rank, key in enumerate(self.keys)})

    @classmethod
    def of(cls, tape: Tape) -> "Layout":
        """Describe a tape."""
        return cls(tape.instruments, tape.pairs, tuple((s.instrument, s.kind) for s in tape.streams), dict(tape.bars_only))

    @classmethod
    def of_streams(cls, instruments: tuple[Instrument, ...], pairs: tuple[Pair, ...], keys: list[StreamKey]) -> "Layout":
        """Describe subscriptions, given in any order."""
        return cls(instruments, pairs, tuple(stream_order(instruments, keys)))

    def rank(self, k: int, kind: StreamKind) -> int:
        """Return the rank of a stream, or NO_STREAM."""
        return self.ranks.get((self.instruments[k].id, kind), NO_STREAM)

    def require(self, k: int, kind: StreamKind) -> int:
        """Return the rank of a stream. Raises StrategyError where the run has none."""
        rank = self.rank(k, kind)
        if rank == NO_STREAM:
            have = ", ".join(sorted(other for instrument, other in self.keys if instrument == self.instruments[k].id)) or "none"
            raise StrategyError(f"{self.instruments[k].id} has no {kind} stream in this run (it has: {have})")
        return rank

    def require_flow(self, k: int) -> None:
        """Raise StrategyError where the trades of an instrument carry no taker side."""
        instrument = self.instruments[k].id
        if instrument in self.bars_only:
            raise StrategyError(f"{instrument} was imported from bars: its trades are a path drawn through them and carry no order flow")

    def value_stream(self, k: int) -> tuple[int, int, int]:
        """Return (rank, searched column, factor) of the price that values a position: factor × column = twice the price.

        The mark price where there is a stream of it, else the mid for a perpetual and the bid for spot (spot is worth what it can be sold for).
        """
        if self.instruments[k].is_perp and self.rank(k, StreamKind.MARK) != NO_STREAM:
            return self.rank(k, StreamKind.MARK), 0, 2
        return self.quoted_value(k)

    def quoted_value(self, k: int) -> tuple[int, int, int]:
        """Return the same where there is no mark price: the mid for a perpetual, the bid for spot."""
        column = SPECS[StreamKind.QUOTE].searched.index("mid2" if self.instruments[k].is_perp else "bid")
        return self.require(k, StreamKind.QUOTE), column, 1 if self.instruments[k].is_perp else 2
