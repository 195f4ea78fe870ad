"""How a peer talks to the benchmark: JSON lines on what was standard output; everything the peer itself prints goes to standard error.

Runs inside the peers' environment, so it needs nothing but the standard library and numpy.
"""

import gc
import json
import os
import sys
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

import numpy as np

Columns = dict[str, Any]
Outcome = dict[str, Any]
"""fires, orders, fills (rows of time in ns, signed lots, price in ticks) of one run."""
Run = Callable[[], Outcome]
Prepare = Callable[[Columns, dict[str, int]], Callable[[], Run]]
"""Convert the columns once; the result makes a fresh engine, and what that returns is the run to be timed."""


def timed(fresh: Callable[[], Run]) -> Outcome:
    """Make a fresh engine outside the clock, run it inside, and add both times and nothing else."""
    run = fresh()
    gc.collect()
    wall, cpu = perf_counter(), process_time()
    outcome = run()
    return outcome | {"wall_s": perf_counter() - wall, "cpu_s": process_time() - cpu}


def serve(prepare: Prepare, versions: dict[str, str]) -> None:
    """Load the slice named by the first argument and the rule (JSON) of the second, run once to compile, then answer each `run` line with a result."""
    with os.fdopen(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)
        with np.load(sys.argv[1]) as stored:
            columns = {name: stored[name] for name in stored.files}
        fresh = prepare(columns, json.loads(sys.argv[2]))
        warm = timed(fresh)
        answers.write(json.dumps({"ready": True, "versions": versions, "first_run_s": warm["wall_s"]}) + "\n")
        for line in sys.stdin:
            if line.strip() != "run":
                break
            answers.write(json.dumps(timed(fresh)) + "\n")
