"""What keeps a hedged phase hedged: a leg that has lost its other half, and has no stop either, is reduced to what the other half covers.

A pair is approved without stops because its legs undo each other. Where one of them is rejected, filled in part, or taken off alone, that reason is gone.
Orders of the phase that are on their way get a grace to set it right; what is not covered when that is over is closed at market.
"""

from decimal import Decimal
from typing import TYPE_CHECKING

from titan_core.engine.conditions import Timer
from titan_core.engine.phases import PhaseBook
from titan_core.model.ids import BRAIN
from titan_core.model.units import S

if TYPE_CHECKING:
    from titan_core.engine.core import Engine
    from titan_core.engine.governor import BrainGovernor

Legs = tuple[int, int]


class Pairing:
    """Reduces unpaired legs of one run."""

    def __init__(self, governor: "BrainGovernor", engine: "Engine") -> None:
        """Bind the run; without a hedged phase or a pair there is nothing to do."""
        self._governor = governor
        self._engine = engine
        place = engine.layout.place
        self._books = [book for book in governor.books if book.binding.declaration.hedged]
        self._pairs = [(place[pair.spot], place[pair.perp]) for pair in engine.layout.pairs]
        self._waiting: dict[tuple[int, Legs], Timer] = {}
        self.is_needed = bool(self._books and self._pairs)

    def unwind(self) -> None:
        """Look at the pairs of all hedged phases and reduce what is not covered."""
        for book in self._books:
            for legs in self._pairs:
                self._look(book, legs)

    def _look(self, book: PhaseBook, legs: Legs) -> None:
        k, lots = self._uncovered(book, legs)
        waiting = self._waiting.get((book.slot, legs))
        if not lots:
            if waiting is not None:
                self._engine.disarm(self._waiting.pop((book.slot, legs)))
        elif not self._is_working(legs):
            self._reduce(k, lots)
        elif waiting is None:
            grace_ns = self._governor.limits.pair_grace_s * S
            self._waiting[book.slot, legs] = self._engine.at_system(self._engine.now + grace_ns, self._grace_is_over, (book, legs))

    def _grace_is_over(self, timer: Timer) -> None:
        book, legs = timer.payload
        del self._waiting[book.slot, legs]
        k, lots = self._uncovered(book, legs)
        if lots:
            self._governor.closing.cancel_own(book)
            self._reduce(k, lots)

    def _reduce(self, k: int, lots: int) -> None:
        engine, instrument = self._engine, self._engine.layout.instruments[k]
        engine.record.note(engine.now, BRAIN, f"{lots} lots of {instrument.id} have lost their other leg")
        self._governor.closing.reduce(k, lots, "unpaired")

    def _uncovered(self, book: PhaseBook, legs: Legs) -> tuple[int, int]:
        """Return the larger leg and how many of its lots the other does not undo; none while a stop protects them."""
        account, instruments = self._engine.account, self._engine.layout.instruments
        mine = [account.lots[k] if account.owner[k] == book.slot else 0 for k in legs]
        if not any(mine) or self._is_stopped(legs):
            return legs[0], 0
        spot, perp = (lots * instruments[k].lot_size for lots, k in zip(mine, legs, strict=True))
        larger = legs[0] if abs(spot) > abs(perp) else legs[1]
        uncovered: Decimal = abs(spot + perp) if spot * perp <= 0 else max(abs(spot), abs(perp))
        if uncovered < max(instruments[k].lot_size for k in legs):
            return larger, 0
        return larger, int(uncovered // instruments[larger].lot_size)

    def _is_stopped(self, legs: Legs) -> bool:
        known = (self._engine.venue.protection.get(k) for k in legs)
        return any(protection is not None and protection.stop is not None for protection in known)

    def _is_working(self, legs: Legs) -> bool:
        return any(order.k in legs and order.is_live and not order.protective for order in self._engine.venue.working.values())
