"""What a refusal tells: which check failed, why in words. Made only where a check has failed, so that an approval never pays for it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from titan_core.brain.limits import BrainLimits
from titan_core.model.enums import RefusalCode
from titan_core.model.order import Intent, Refused
from titan_core.model.phase import PhaseDeclaration
from titan_core.model.units import to_usdt

if TYPE_CHECKING:
    from titan_core.brain.approval import LegState, Snapshot


class Failed(Struct, frozen=True, gc=False):
    """A check that failed, and everything that it was made on."""

    intent: Intent
    leg: "LegState"
    snapshot: "Snapshot"
    phase: PhaseDeclaration
    limits: BrainLimits
    observed: int
    limit: int


def refuse(code: RefusalCode, failed: Failed) -> Refused:
    """Return the refusal that a failed check amounts to."""
    return Refused(failed.intent, code, failed.observed, failed.limit, f"phase {failed.intent.phase}: {_REASONS[code](failed)}")


def _stale(failed: Failed) -> str:
    name, doubt = failed.intent.instrument.id, failed.leg.doubt
    return f"the market of {name} cannot be believed: {doubt}" if doubt else f"the newest quote of {name} is {failed.observed / 1e9:.1f} s old"


def _bad_price(failed: Failed) -> str:
    instrument = failed.intent.instrument
    return f"price of {failed.observed} ticks for {instrument.id} is below one tick ({instrument.tick_size})"


def _below_min_notional(failed: Failed) -> str:
    return f"notional {to_usdt(failed.observed)} of {failed.intent.instrument.id} is below the venue's minimum {to_usdt(failed.limit)}"


def _not_reducing(failed: Failed) -> str:
    name = failed.intent.instrument.id
    if failed.intent.reduce_only:
        return f"{name} holds no position that this order would reduce"
    return f"{name} holds {failed.leg.position} lots; an order against them must be an exit"


def _stop_on_wrong_side(failed: Failed) -> str:
    from titan_core.brain.approval import entry_price

    return f"stop of {failed.intent.stop} ticks must lie beyond the entry at {entry_price(failed.intent, failed.leg)} ticks"


def _max_position(failed: Failed) -> str:
    return f"margin {to_usdt(failed.observed)} would exceed {to_usdt(failed.limit)}, {failed.phase.max_position_bps} bps of phase equity"


_REASONS: dict[RefusalCode, Callable[[Failed], str]] = {
    RefusalCode.GATE_CLOSED: lambda f: "the Brain's gate is closed",
    RefusalCode.PHASE_MAY_NOT_ENTER: lambda f: f"phase {f.phase.id} may not open positions now",
    RefusalCode.ALLOCATION_EXPIRED: lambda f: f"the allocation of phase {f.phase.id} has expired",
    RefusalCode.INSTRUMENT_OWNED: lambda f: f"{f.intent.instrument.id} is held by {f.leg.owner}",
    RefusalCode.VENUE_DOWN: lambda f: f"venue {f.intent.instrument.venue} takes no orders now",
    RefusalCode.STALE_MARKET: _stale,
    RefusalCode.BAD_PRICE: _bad_price,
    RefusalCode.BAD_SIZE: lambda f: f"{f.observed} lots of {f.intent.instrument.id} is less than one lot ({f.intent.instrument.lot_size})",
    RefusalCode.BELOW_MIN_NOTIONAL: _below_min_notional,
    RefusalCode.NO_STOP: lambda f: "an entry needs a protective stop" if f.limit else "the legs of a pair must undo each other",
    RefusalCode.STOP_ON_WRONG_SIDE: _stop_on_wrong_side,
    RefusalCode.MAX_POSITION: _max_position,
    RefusalCode.PHASE_LEVERAGE: lambda f: f"notional {to_usdt(f.observed)} would exceed {f.snapshot.leverage} × phase equity",
    RefusalCode.TOTAL_LEVERAGE: lambda f: f"notional of all phases would exceed {f.limits.max_total_leverage} × equity",
    RefusalCode.RISK_BUDGET: lambda f: f"its stop would lose {to_usdt(f.observed)}; {to_usdt(max(0, f.limit))} of today's risk is left",
    RefusalCode.DRAWDOWN: lambda f: "draw-down exceeds the emergency level",
    RefusalCode.FREE_MARGIN: lambda f: f"margin and fees of {to_usdt(f.observed)} exceed the free margin {to_usdt(max(0, f.limit))}",
    RefusalCode.SPOT_SHORT: lambda f: f"spot is never borrowed: {f.intent.instrument.id} would go to {f.observed} lots",
    RefusalCode.DUPLICATE_ORDER: lambda f: f"client order id {f.intent.client_order_id} was used before",
    RefusalCode.NOT_REDUCING: _not_reducing,
}
