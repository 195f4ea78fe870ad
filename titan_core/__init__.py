"""Titan, a trading organism that changes its behaviour with its capital.

`__all__` is everything a phase plugin may import (with `titan_core.testing` for its tests). The names are looked up on first use,
so that importing `titan_core` costs nothing and the command line starts fast.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from titan_core.config.keys import key
    from titan_core.errors import ConfigError, StrategyError, TitanError, UsageError
    from titan_core.hookspecs import Handover, Health, hookimpl
    from titan_core.model.enums import InstrumentKind, Liquidity, OrderType, RefusalCode, Side, TimeInForce
    from titan_core.model.fill import Fill, FundingPayment
    from titan_core.model.ids import ClientOrderId, InstrumentId, PhaseId, StrategyId, VenueId
    from titan_core.model.instrument import Instrument
    from titan_core.model.order import Approved, Intent, OrderStatus, Refused
    from titan_core.model.phase import CapitalBand, LossLevels, PhaseDeclaration
    from titan_core.model.tally import DayTally
    from titan_core.model.units import BPS, MIN, MONEY_PER_USDT, MS, D, H, Money, S, share, to_money, to_usdt
    from titan_core.ports import Bars, Budget, Condition, InstrumentView, Market, Order, PairView, Strategy

__version__ = "0.1.0"

_HOMES = {
    "titan_core.config.keys": ("key",),
    "titan_core.errors": ("ConfigError", "StrategyError", "TitanError", "UsageError"),
    "titan_core.hookspecs": ("Handover", "Health", "hookimpl"),
    "titan_core.model.enums": ("InstrumentKind", "Liquidity", "OrderType", "RefusalCode", "Side", "TimeInForce"),
    "titan_core.model.fill": ("Fill", "FundingPayment"),
    "titan_core.model.ids": ("ClientOrderId", "InstrumentId", "PhaseId", "StrategyId", "VenueId"),
    "titan_core.model.instrument": ("Instrument",),
    "titan_core.model.order": ("Approved", "Intent", "OrderStatus", "Refused"),
    "titan_core.model.phase": ("CapitalBand", "LossLevels", "PhaseDeclaration"),
    "titan_core.model.tally": ("DayTally",),
    "titan_core.model.units": ("BPS", "D", "H", "MIN", "MONEY_PER_USDT", "MS", "Money", "S", "share", "to_money", "to_usdt"),
    "titan_core.ports": ("Bars", "Budget", "Condition", "InstrumentView", "Market", "Order", "PairView", "Strategy"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "BPS",
    "Approved",
    "Bars",
    "Budget",
    "CapitalBand",
    "ClientOrderId",
    "Condition",
    "ConfigError",
    "D",
    "DayTally",
    "Fill",
    "FundingPayment",
    "H",
    "Handover",
    "Health",
    "Instrument",
    "InstrumentId",
    "InstrumentKind",
    "InstrumentView",
    "Intent",
    "Liquidity",
    "LossLevels",
    "MIN",
    "MONEY_PER_USDT",
    "MS",
    "Market",
    "Money",
    "Order",
    "OrderStatus",
    "OrderType",
    "PairView",
    "PhaseDeclaration",
    "PhaseId",
    "RefusalCode",
    "Refused",
    "S",
    "Side",
    "Strategy",
    "StrategyError",
    "StrategyId",
    "TimeInForce",
    "TitanError",
    "UsageError",
    "VenueId",
    "hookimpl",
    "key",
    "share",
    "to_money",
    "to_usdt",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
