"""Tells the guard what a session has open: read at each sign of life, from memory alone."""

import os
import sys
from typing import TYPE_CHECKING, Any

from titan_core.app.guard.words import Watched

if TYPE_CHECKING:
    from collections.abc import Callable

    from titan_core.app.live.session import Session

TRADING = ("running", "stopping")
"""Stages in which the loop has to turn. While it recovers it may compute longer than that, and sends no entry."""


def watch(session: "Session") -> "Callable[[], Watched | None]":
    """Return what `Guard.attend` wants."""

    def look() -> Watched | None:
        return watched(session) if session.is_ready.is_set() and session.stage in TRADING else None

    return look


def watched(session: "Session") -> Watched:
    """Return what a session that runs has open."""
    engine = session.engine
    instruments = engine.layout.instruments
    held = [k for k in engine.account.held() if instruments[k].is_perp]
    resting = {k: engine.venue.protection.get(k) for k in held}
    return Watched(
        is_held=bool(held) or any(not order.intent.reduce_only for order in engine.venue.working.values()),
        mode=str(session.governor.machine.configuration),
        stops={instruments[k].id: (known.stop, known.target) for k, known in resting.items() if known is not None},
        code={str(book.id): path for book in session.governor.books for desk in book.desks if (path := code_of(desk.strategy))},
    )


def code_of(strategy: Any) -> str:
    """Return the folder of the package that a strategy comes from, or its file where it is in none; empty where only our own code is in it."""
    for kind in type(strategy).__mro__:
        module = sys.modules.get(kind.__module__)
        top = kind.__module__.partition(".")[0]
        if module is None or top in ("titan_core", "builtins"):
            continue
        package = getattr(sys.modules.get(top), "__file__", None) if module.__package__ else None
        if package:
            return os.path.dirname(str(package))
        if module.__file__:
            return os.path.abspath(module.__file__)
    return ""
