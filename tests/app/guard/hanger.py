"""A phase whose strategy enters at once and hangs when told to: it stands for a plugin, so it has a file of its own."""

import re
import time
from pathlib import Path
from typing import Any

from titan_core.model.ids import StrategyId
from titan_core.model.units import MS
from titan_core.ports import Strategy


def loop(seconds: float) -> None:
    """Compute without end, letting other threads have their turn."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sum(range(1_000))


def catastrophe(seconds: float) -> None:
    """Compute within one call of C that never gives the interpreter's lock away."""
    re.match(r"(a+)+$", "a" * 64 + "b")


HANGS = {"loop": loop, "sleep": time.sleep, "catastrophe": catastrophe}


class Hanger(Strategy):
    """Buys once, then hangs when a file tells it how, and for how long: `loop 60`."""

    id = StrategyId("hang")
    orders: Path
    enters = True

    def on_start(self, market: Any) -> None:
        """Begin."""
        self.entered = not self.enters
        market.every(100 * MS, self.act)

    def act(self, market: Any, timer: Any) -> None:
        """Enter, or do as the file says, once."""
        quote = market.perp.quote()
        if quote is None:
            return
        if not self.entered:
            self.entered = True
            market.enter(market.perp, 10, stop=quote[0] * 98 // 100)
        if self.orders.exists():
            how, seconds = self.orders.read_text().split()
            self.orders.unlink()
            HANGS[how](float(seconds))
            # what it wants when it is back must not go out any more
            market.enter(market.perp, 10, stop=quote[0] * 98 // 100)
