"""How soon somebody who runs `titan run` for the first time sees a fill: the default session on the built-in market, for several seeds.

The session is the one that the command runs, on virtual time; a minute of the wall clock is an hour of the market at the command's own speed.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from benchmarks import _harness as harness
from tests.app.live.rig import run_session, scavenger, setup_on
from titan_core.app.live.session import Session
from titan_core.cli.run import DEFAULT_SPEED
from titan_core.cli.run_built_in import OPENING_NS
from titan_core.journal.memory import MemoryDisk
from titan_core.model.units import S
from titan_core.simulator.box import Box

BARS = (harness.Bar("seeds of ten whose first fill comes within 60 s", 9, "seeds"),)


def first_fill_s(seed: int, within_s: float) -> float | None:
    """Return after how many seconds of the wall clock the first fill came; None where it did not."""
    box, found = Box(seed, balance_usdt=1_000, start_ns=OPENING_NS), []

    async def scene(session: Session) -> None:
        loop = asyncio.get_running_loop()
        begun_ns, end = session.setup.clock(), loop.time() + within_s * DEFAULT_SPEED
        while loop.time() < end and not session.journalling.fills:
            await asyncio.sleep(1)
        found.extend((fill.ts_ns - begun_ns) / S / DEFAULT_SPEED for fill in list(session.journalling.fills)[:1])

    run_session(box, setup_on(box, MemoryDisk(), scavenger(), seed=seed), scene)
    return found[0] if found else None


def main(argv: Sequence[str]) -> int:
    """Measure, print a table, write JSON. Returns 0 where the bar was met."""
    parse = argparse.ArgumentParser(prog="python -m benchmarks first_fill", description=__doc__.splitlines()[0])
    parse.add_argument("--seeds", type=int, default=10)
    given = parse.parse_args(argv)
    times = {seed: first_fill_s(seed, 60.0) for seed in range(1, given.seeds + 1)}
    rows = [(str(seed), "none in 60 s" if took is None else f"{took:.1f} s") for seed, took in times.items()]
    harness.stdout_console().print(harness.table("First fill", (">seed", ">after"), rows))
    verdict = harness.Verdict(BARS[0], sum(took is not None for took in times.values()) * 10 / given.seeds)
    harness.stdout_console().print(f"{verdict.bar.text}: {verdict.words}")
    harness.write_json(harness.OUT / "first_fill.json", {"settings": vars(given), "machine": harness.machine(), "bars": [verdict.record()]})
    return 0 if verdict.met else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
