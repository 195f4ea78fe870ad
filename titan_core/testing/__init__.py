"""What authors of phase plugins and the project's own tests share: the contract tests, small markets, phases of a test kit, random markets.

The names are looked up on first use, so that importing this package costs nothing and needs no pytest.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from titan_core.testing.chaos import PERP, SPOT, Chaos, random_market
    from titan_core.testing.contract import PhaseContract
    from titan_core.testing.distributions import forget_modules, write_distribution
    from titan_core.testing.governors import OpenGovernor
    from titan_core.testing.lab import Lab, try_phase
    from titan_core.testing.lookahead import NoLookAhead, check_no_lookahead, truncate
    from titan_core.testing.markets import (
        CONTRACT_MARKETS,
        MarketShape,
        bars_only,
        crash,
        gap,
        lively,
        no_trades,
        only_perp,
        ranges,
        stepped_market,
        thin,
        trend,
        waves_path,
    )
    from titan_core.testing.phases import Flipper, Greedy, Hold, Idle, Raiser, Sleeper, alike_phases, make_phase
    from titan_core.testing.readme import ReadmeContract
    from titan_core.testing.runs import Run, run_phases
    from titan_core.testing.trial import Examination, SentOrder, Trial

_HOMES = {
    "titan_core.testing.chaos": ("PERP", "SPOT", "Chaos", "random_market"),
    "titan_core.testing.contract": ("PhaseContract",),
    "titan_core.testing.distributions": ("forget_modules", "write_distribution"),
    "titan_core.testing.governors": ("OpenGovernor",),
    "titan_core.testing.lab": ("Lab", "try_phase"),
    "titan_core.testing.lookahead": ("NoLookAhead", "check_no_lookahead", "truncate"),
    "titan_core.testing.markets": (
        "CONTRACT_MARKETS",
        "MarketShape",
        "bars_only",
        "crash",
        "gap",
        "lively",
        "no_trades",
        "only_perp",
        "ranges",
        "stepped_market",
        "thin",
        "trend",
        "waves_path",
    ),
    "titan_core.testing.phases": ("Flipper", "Greedy", "Hold", "Idle", "Raiser", "Sleeper", "alike_phases", "make_phase"),
    "titan_core.testing.readme": ("ReadmeContract",),
    "titan_core.testing.runs": ("Run", "run_phases"),
    "titan_core.testing.trial": ("Examination", "SentOrder", "Trial"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "CONTRACT_MARKETS",
    "Chaos",
    "Examination",
    "Flipper",
    "Greedy",
    "Hold",
    "Idle",
    "Lab",
    "MarketShape",
    "NoLookAhead",
    "OpenGovernor",
    "PERP",
    "PhaseContract",
    "Raiser",
    "ReadmeContract",
    "Run",
    "SPOT",
    "SentOrder",
    "Sleeper",
    "Trial",
    "alike_phases",
    "bars_only",
    "check_no_lookahead",
    "crash",
    "forget_modules",
    "gap",
    "lively",
    "make_phase",
    "no_trades",
    "only_perp",
    "random_market",
    "ranges",
    "run_phases",
    "stepped_market",
    "thin",
    "trend",
    "truncate",
    "try_phase",
    "waves_path",
    "write_distribution",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
