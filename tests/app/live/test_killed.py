"""A real process, its real journal, kill −9 at random instants: the short form of `python -m benchmarks reliability 1`."""

import asyncio
from pathlib import Path

from tests.app.live.killing import is_right, kill_often


def test_a_process_that_is_killed_again_and_again_loses_nothing(tmp_path: Path) -> None:
    found = asyncio.run(kill_often(tmp_path, 3, seed=5))
    assert is_right(found), found
    assert found.slowest_s < 10, found  # the benchmark holds it to 5 s, on a machine that does nothing else
