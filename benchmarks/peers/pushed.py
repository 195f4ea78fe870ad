"""What the clients of the pushed recording share: the clock, and how they answer. Needs the standard library alone.

A client takes the whole recording in once to warm up, then once for each `run` line on standard input, and answers each with one JSON line.
"""

import asyncio
import gc
import json
import os
import sys
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

LIMIT_S = 120
"""How long one run may take."""


class Count:
    """Counts messages, and notes the time at the first and at the last one."""

    def __init__(self, messages: int) -> None:
        self.left = self._all = messages
        self._times: list[tuple[float, float]] = []
        self._done = asyncio.Event()

    def begin(self) -> None:
        """A message has come and is about to be handled; only the first call counts."""
        if not self._times:
            self._times.append((perf_counter(), process_time()))

    def handled(self) -> None:
        """A message has been handled."""
        self.left -= 1
        if not self.left:
            self._times.append((perf_counter(), process_time()))
            self._done.set()

    async def done(self) -> dict[str, float]:
        """Wait for the last message; return what the clock said. Raises RuntimeError where it does not come."""
        gc.collect()
        try:
            await asyncio.wait_for(self._done.wait(), LIMIT_S)
        except TimeoutError:
            raise RuntimeError(f"{self._all - self.left} of {self._all} messages came within {LIMIT_S} s") from None
        (wall, cpu), (wall_end, cpu_end) = self._times
        return {"wall_s": wall_end - wall, "cpu_s": cpu_end - cpu}


def top(bid: object, ask: object) -> list[str]:
    """Write the best prices alike, whatever kind of number they are."""
    return [f"{Decimal(str(price)).normalize():f}" for price in (bid, ask)]


def resident_mb() -> float:
    """Return the largest resident memory of this process so far; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def serve(
    once: Callable[[], Coroutine[Any, Any, dict[str, Any]]],
    versions: dict[str, str],
    run: Callable[[Coroutine[Any, Any, dict[str, Any]]], dict[str, Any]] = asyncio.run,
) -> None:
    """Answer until standard input ends. What the libraries print goes to standard error."""
    with os.fdopen(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)
        run(once())
        answers.write(json.dumps({"ready": True, "versions": versions}) + "\n")
        for line in sys.stdin:
            if line.strip() != "run":
                break
            answers.write(json.dumps(run(once()) | {"rss_mb": resident_mb()}) + "\n")
