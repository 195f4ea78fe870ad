"""A governor without a Brain: it approves everything, so that the engine can be examined by itself."""

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from titan_core.engine.conditions import BOUND, Bound, Condition
from titan_core.engine.core import Engine
from titan_core.engine.desk import Desk
from titan_core.engine.venue import WorkingOrder
from titan_core.model.ids import PhaseId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Approved, Intent, Refused
from titan_core.model.units import Money


@frozen
class OpenBudget:
    """Implements `titan_core.ports.Budget`."""

    equity: Money
    max_notional: Money
    risk: Money


class OpenGovernor:
    """Runs each strategy on a desk of its own slot and approves every intent in full.

    With `floors` (doubled money) it also watches the account's equity: each time it falls to the floor or `drawdown_bps` below its peak, the
    crossing is noted in the record and the next floor is armed.
    """

    def __init__(self, strategies: Sequence[Any], *, floors: Sequence[int] = (), drawdown_bps: int = 0) -> None:
        """Prepare to run `strategies`."""
        self._strategies = list(strategies)
        self._floors = sorted(floors)
        self._bps = drawdown_bps
        self._condition: Condition | None = None
        self._peak = -(1 << 60)
        self.desks: list[Desk] = []
        self.faults: list[tuple[str, BaseException]] = []

    @property
    def slots(self) -> int:
        """How many slots the account needs."""
        return len(self._strategies)

    def begin(self, engine: Engine) -> None:
        """Open a desk for each strategy and start it."""
        self.engine = engine
        engine.slots = tuple(PhaseId(f"phase{i}") for i in range(len(self._strategies)))
        self.desks = [Desk(engine, engine.slots[i], i, strategy) for i, strategy in enumerate(self._strategies)]
        for desk in self.desks:
            desk.call(desk.strategy.on_start)

    def takes_orders(self, instrument: Instrument) -> bool:
        """Let everything be traded."""
        return True

    def approve(self, intents: tuple[Intent, ...]) -> tuple[Approved, ...] | Refused:
        """Approve in full."""
        if len(intents) == 1:
            return (Approved(intents[0], intents[0].signed_lots, ()),)
        return tuple(Approved(intent, intent.signed_lots, ()) for intent in intents)

    def budget(self, desk: Desk, instrument: Instrument | None) -> OpenBudget:
        """Let a strategy use the whole account once."""
        equity = Money(self.engine.account.equity2(self.engine.value2) // 2)
        return OpenBudget(equity, equity, equity)

    def may_protect(self, desk: Desk, k: int, stop: int | None) -> bool:
        """Let a strategy protect its position as it likes."""
        return True

    def settle(self) -> None:
        """Watch the account's equity anew after it changed."""
        if not self._floors and not self._bps:
            return
        engine = self.engine
        if self._condition is not None:
            self._peak = max(self._peak, engine.bound_peak(self._condition))
            engine.disarm(self._condition)
            self._condition = None
        account = engine.account
        weights = {k: account.lots[k] * account.units[k] for k in account.held()}
        if weights:
            low = self._floors[-1] if self._floors else -(1 << 62)
            bound = Bound("equity", weights, 2 * account.cash, low=low, peak=self._peak, bps=self._bps)
            self._condition = engine.arm_bound(bound, Condition(BOUND, -1, 0, False, 0), self._crossed)

    def _crossed(self, condition: Condition) -> None:
        self._condition = None
        self._peak = max(self._peak, self.engine.bound_peak(condition))
        equity2 = self.engine.account.equity2(self.engine.value2)
        self.engine.record.note(self.engine.now, "governor", f"equity {equity2} peak {self._peak}")
        self._floors = [floor for floor in self._floors if floor < equity2]
        if self._bps and equity2 <= self._peak - self._peak // 10_000 * self._bps:
            self._peak = -(1 << 60)
        self.settle()

    def order_closed(self, order: WorkingOrder) -> None:
        """Nothing to do."""

    def fault(self, desk: Desk, error: BaseException) -> None:
        """Remember it and close the desk."""
        self.faults.append((desk.phase, error))
        desk.open = False
