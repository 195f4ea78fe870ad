"""The bounds that the governor arms: the equities at which some guard of the chart would flip.

Nothing is watched while the account is flat, since its equity cannot change then.
"""

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from titan_core.brain.risk import day_loss_floor2, next_drawdown
from titan_core.brain.selection import edges2
from titan_core.engine.conditions import BOUND, Bound, Condition
from titan_core.engine.phases import PhaseBook
from titan_core.model.ids import BRAIN
from titan_core.model.units import BPS, NEVER, share

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
        self._caps: dict[tuple[int, int], tuple[int, int]] = {}
        self._edges = sorted(
            {edge for book in governor.books if book.binding.declaration.band for edge in edges2(book.binding.declaration.band, governor.limits)}
        )

    def peak2(self) -> int:
        """Return the running peak of twice the equity since the account bound was armed; very small where none is."""
        return -NEVER if self._account is None else self._engine.bound_peak(self._account)

    def is_crossed(self) -> bool:
        """Whether this event has crossed an armed bound, be its turn still to come."""
        engine = self._engine
        for condition in self._armed:
            bound: Bound = condition.extra
            total = self._sum2(bound.weights, bound.const)
            if total <= bound.low or total >= bound.high:
                return True
            if bound.bps:
                peak = engine.bound_peak(condition)
                if total <= peak - share(peak, bound.bps) - bound.strict:
                    return True
        return False

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
        drift = self._drift_bound(book)
        if drift is not None:
            self._arm(drift)

    # -- drift ----------------------------------------------------------------------------------------------------
    def _drift_sum(self, book: PhaseBook) -> tuple[dict[int, int], int]:
        """Return weights and a constant whose sum over the prices reaches 0 where the phase's margin reaches its drifted cap.

        `Σ worth / leverage >= cap × phase equity`, multiplied out so that it is linear in whole numbers: by the common multiple of the leverages and
        by the denominator of the cap, which is rounded up to whole percent where it is finer than that.
        """
        account, instruments = self._engine.account, self._engine.layout.instruments
        mine = [k for k in account.held() if account.owner[k] == book.slot]
        times = [book.leverage_on(instruments[k]) for k in mine]
        common = math.lcm(*times)
        cap, whole = self._drifted_cap(book, common)
        weights = {
            k: (whole * abs(account.lots[k]) * (common // leverage) - cap * account.lots[k]) * account.units[k] for k, leverage in zip(mine, times, strict=True)
        }
        return weights, -cap * (book.offset2 + account.flow2[book.slot])

    def _drifted_cap(self, book: PhaseBook, common: int) -> tuple[int, int]:
        """Return `common` times the drifted cap as a fraction."""
        known = self._caps.get((book.slot, common))
        if known is None:
            cap = Fraction((BPS + self._governor.limits.drift_bps) * book.binding.declaration.max_position_bps * common, BPS * BPS)
            if cap.denominator > 100:
                cap = Fraction(math.ceil(100 * cap), 100)
            known = self._caps[book.slot, common] = (cap.numerator, cap.denominator)
        return known

    def _sum2(self, weights: dict[int, int], const: int) -> int:
        value2 = self._engine.value2
        return const + sum(weight * value2(k) for k, weight in weights.items())

    def _drift_bound(self, book: PhaseBook) -> Bound | None:
        weights, const = self._drift_sum(book)
        if self._sum2(weights, const) >= 0:  # a smaller allocation put it there; that never forces a close
            return None
        return Bound(f"{book.id} drift", weights, const, high=0)

    def has_drifted(self, book: PhaseBook) -> bool:
        """Whether the phase's margin is above its drifted cap now."""
        weights, const = self._drift_sum(book)
        return bool(weights) and self._sum2(weights, const) >= 0

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
        return worth2 // book.leverage_on(self._engine.layout.instruments[k])
