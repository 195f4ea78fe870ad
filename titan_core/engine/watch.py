"""The bounds that the governor arms: the equities at which some guard of the chart would flip.

Nothing is watched while the account is flat, since its equity cannot change then.
"""

from typing import TYPE_CHECKING

from titan_core.brain.risk import day_loss_floor2, next_drawdown
from titan_core.brain.selection import edges2
from titan_core.engine.conditions import BOUND, Bound, Condition
from titan_core.engine.phases import PhaseBook
from titan_core.model.ids import BRAIN
from titan_core.model.units import BPS, NEVER, ceil_div

if TYPE_CHECKING:
    from titan_core.engine.core import Engine
    from titan_core.engine.governor import BrainGovernor


class Watch:
    """Arms, disarms and reads the bounds of one run."""

    def __init__(self, governor: "BrainGovernor", engine: "Engine") -> None:
        """Bind the run."""
        self._governor = governor
        self._engine = engine
        self._armed: list[Condition] = []
        self._account: Condition | None = None
        self._edges = sorted(
            {edge for book in governor.books if book.binding.declaration.band for edge in edges2(book.binding.declaration.band, governor.limits)}
        )

    def peak2(self) -> int:
        """Return the running peak of twice the equity since the account bound was armed; very small where none is."""
        return -NEVER if self._account is None else self._engine.bound_peak(self._account)

    def rearm(self) -> None:
        """Replace all bounds by those of the present positions, levels and caps."""
        engine, governor = self._engine, self._governor
        governor.peak2 = max(governor.peak2, self.peak2())
        for condition in self._armed:
            engine.disarm(condition)
        self._armed.clear()
        self._account = None
        held = engine.account.held()
        if not held or not governor.machine.configuration.is_in("operational"):
            return
        self._account = self._arm(self._account_bound(held))
        for book in governor.books:
            mine = [k for k in held if engine.account.owner[k] == book.slot]
            if mine:
                self._arm_phase(book, mine)

    def _arm(self, bound: Bound) -> Condition:
        condition = self._engine.arm_bound(bound, Condition(BOUND, -1, 0, False, 0), self._crossed)
        self._armed.append(condition)
        return condition

    def _crossed(self, condition: Condition) -> None:
        self._governor.settle()

    def _account_bound(self, held: list[int]) -> Bound:
        engine, governor = self._engine, self._governor
        account = engine.account
        equity2 = governor.equity2()
        low = max((edge for edge in self._edges if edge <= equity2), default=-NEVER + 1) - 1
        high = min((edge for edge in self._edges if edge > equity2), default=NEVER)
        bps, strict = next_drawdown(governor.drawdown, governor.limits)
        weights = {k: account.lots[k] * account.units[k] for k in held}
        return Bound("account", weights, 2 * account.cash, low=low, high=high, peak=governor.peak2, bps=bps, strict=strict)

    def _arm_phase(self, book: PhaseBook, mine: list[int]) -> None:
        account = self._engine.account
        weights = {k: account.lots[k] * account.units[k] for k in mine}
        const = book.offset2 + account.flow2[book.slot]
        floor = day_loss_floor2(book.level, book.loss_base2, book.binding.declaration.daily_loss)
        if floor is not None and book.loss_base2 > 0:
            self._arm(Bound(f"{book.id} daily loss", weights, const, low=floor - book.loss_base2 + book.base2))
        drift = self._drift_bound(book, mine)
        if drift is not None:
            self._arm(drift)

    # -- drift ----------------------------------------------------------------------------------------------------
    def _cap_percent(self, book: PhaseBook) -> int:
        """Return the drifted cap on margin × leverage in percent of phase equity, rounded up."""
        declaration = book.binding.declaration
        return ceil_div((BPS + self._governor.limits.drift_bps) * declaration.max_position_bps * book.leverage, BPS * 100)

    def _drift_bound(self, book: PhaseBook, mine: list[int]) -> Bound | None:
        """Watch `100 × margin × leverage >= drifted cap × phase equity`, which is linear in the prices."""
        account, instruments = self._engine.account, self._engine.layout.instruments
        cap = self._cap_percent(book)
        weights = {}
        for k in mine:
            times = 1 if instruments[k].is_perp else book.leverage
            weights[k] = (100 * abs(account.lots[k]) * times - cap * account.lots[k]) * account.units[k]
        const = -cap * (book.offset2 + account.flow2[book.slot])
        total = const + sum(weight * self._engine.value2(k) for k, weight in weights.items())
        if total >= 0:  # a smaller allocation put it there; that never forces a close
            return None
        return Bound(f"{book.id} drift", weights, const, high=0)

    def has_drifted(self, book: PhaseBook) -> bool:
        """Whether the phase's margin is above its drifted cap now."""
        account, instruments = self._engine.account, self._engine.layout.instruments
        mine = [k for k in account.held() if account.owner[k] == book.slot]
        total = -self._cap_percent(book) * self._governor.phase_equity2(book)
        for k in mine:
            times = 1 if instruments[k].is_perp else book.leverage
            total += 100 * abs(account.lots[k]) * times * account.units[k] * self._engine.value2(k)
        return bool(mine) and total >= 0

    def reduce_drift(self) -> None:
        """Bring phases whose margin has drifted above 1.1 × its cap back to the cap."""
        engine, account = self._engine, self._engine.account
        for book in self._governor.books:
            if not self.has_drifted(book):
                book.shrunk = False
                continue
            if book.shrunk:  # a smaller allocation put it there; that never forces a close
                continue
            cap2 = max(0, self._governor.phase_equity2(book)) * book.binding.declaration.max_position_bps // BPS
            mine = [k for k in account.held() if account.owner[k] == book.slot]
            margin2 = sum(self._margin2(k, book) for k in mine)
            for k in mine if margin2 > cap2 else ():
                lots = abs(account.lots[k])
                engine.record.note(engine.now, BRAIN, f"{engine.layout.instruments[k].id} drifted above its cap")
                self._governor.closing.reduce(k, lots - lots * cap2 // margin2, "drift")

    def _margin2(self, k: int, book: PhaseBook) -> int:
        worth2 = abs(self._engine.account.lots[k]) * self._engine.account.units[k] * self._engine.value2(k)
        return worth2 // book.leverage if self._engine.layout.instruments[k].is_perp else worth2
