"""Liquidation on a cross-margin account: what the venue does when equity no longer covers the maintenance margin.

The distance to it, equity − Σ maintenance margin, is linear in the prices, so it is watched as a bound. When it reaches zero the venue cancels all
orders and closes every perpetual at market, with a fee on the notional closed; spot is left alone.
"""

from typing import TYPE_CHECKING

from titan_core.engine.conditions import BOUND, Bound, Condition
from titan_core.model.enums import OrderType
from titan_core.model.fill import Charge
from titan_core.model.units import BPS, Money, ceil_div
from titan_core.tape.columns import PRICE_MAX

DEAREST2 = 2 * PRICE_MAX
"""Twice the highest price that a column can hold; the lowest is nothing."""

if TYPE_CHECKING:
    from titan_core.engine.core import Engine


class Liquidator:
    """Watches the margin of one run's account."""

    def __init__(self, engine: "Engine") -> None:
        """Bind the run."""
        self._engine = engine
        self._armed: Condition | None = None
        self._busy = False
        self._is_perp = [instrument.is_perp for instrument in engine.layout.instruments]
        self.count = 0

    def watch(self) -> None:
        """Arm the bound anew: positions or cash have changed."""
        engine, account = self._engine, self._engine.account
        if self._armed is not None:
            engine.disarm(self._armed)
            self._armed = None
        held = account.held()
        if not held or self._busy or not engine.venue.is_simulated:
            return
        weights = {k: account.lots[k] * account.units[k] - account.maintenance_unit(k) for k in held}
        worst = 2 * account.cash + sum(weight * DEAREST2 for weight in weights.values() if weight < 0)
        if worst > 0 or not any(self._is_perp[k] for k in held):
            return  # no price that a tape can hold takes the account there
        self._armed = engine.arm_bound(Bound("margin", weights, 2 * account.cash, low=0), Condition(BOUND, -1, 0, False, 0), self._liquidate)

    def _liquidate(self, condition: Condition) -> None:
        engine = self._engine
        instruments = engine.layout.instruments
        self._armed = None
        self._busy = True
        self.count += 1
        engine.record.note(engine.now, "venue", f"liquidation: equity of {engine.account.equity2(engine.value2) // 2} no longer covers the maintenance margin")
        engine.venue.close_all()
        for k in engine.account.held():
            lots, price2 = engine.account.lots[k], engine.value2(k)
            if not instruments[k].is_perp or engine.quote(k) is None:
                continue
            slot = engine.account.owner[k]
            engine.venue.close_position(k, OrderType.MARKET, "liquidation")
            closed = abs(lots) - abs(engine.account.lots[k])
            fee = ceil_div(closed * engine.account.units[k] * price2 * instruments[k].liquidation_fee_bps, 2 * BPS)
            engine.account.charge(slot, fee)
            engine.record.charged(Charge(engine.now, instruments[k].id, engine.phase_of(slot), Money(fee)))
        self._busy = False
        self.watch()
        engine.governor.settle()
