"""The static check finds honest mistakes and leaves honest code alone."""

from pathlib import Path
from textwrap import dedent

import pytest

from titan_core.testing.purity import impurities


def found(tmp_path: Path, source: str) -> list[str]:
    path = tmp_path / "strategy.py"
    path.write_text(dedent(source), "utf-8")
    return [f"{each.line}: {each.what}" for each in impurities([path])]


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import time\ntime.time()", "2: uses time.time"),
        ("import time as t\nx = t.monotonic_ns", "2: uses time.monotonic_ns"),
        ("from time import sleep\nsleep(1)", "2: uses time.sleep"),
        ("import datetime\ndatetime.datetime.now()", "2: uses datetime.datetime.now"),
        ("from datetime import datetime as d\nd.utcnow()", "2: uses datetime.datetime.utcnow"),
        ("from datetime import date\ndate.today()", "2: uses datetime.date.today"),
        ("import random\nrandom.random()", "2: uses random.random"),
        ("from random import choice\nchoice([1])", "2: uses random.choice"),
        ("import random\nrandom.Random()", "2: uses random.Random"),
        ("import numpy as np\nnp.random.normal()", "2: uses numpy.random.normal"),
        ("from numpy.random import default_rng\ndefault_rng()", "2: uses numpy.random.default_rng"),
        ("import uuid\nuuid.uuid4()", "2: uses uuid.uuid4"),
        ("import os\nos.urandom(8)", "2: uses os.urandom"),
        ("import asyncio", "1: imports asyncio"),
        ("def f():\n    import threading", "2: imports threading"),
        ("from concurrent.futures import ThreadPoolExecutor", "1: imports concurrent.futures"),
        ("import ccxt.async_support", "1: imports ccxt.async_support"),
        ("from titan_core.engine.core import Engine", "1: imports titan_core.engine.core"),
        ("import titan_core.ports", "1: imports titan_core.ports"),
    ],
)
def test_what_makes_two_runs_differ_is_found_with_its_line(tmp_path: Path, source: str, what: str) -> None:
    assert found(tmp_path, source) == [what]


@pytest.mark.parametrize(
    "source",
    [
        "import random\nr = random.Random(7)\nr.random()",
        "import numpy as np\ng = np.random.default_rng(7)\ng.normal()\ndef f(g: np.random.Generator): ...",
        "from datetime import UTC, datetime\ndatetime.fromtimestamp(0, UTC)",
        "import time\ntime.gmtime(0)",
        "from titan_core import S, Strategy\nfrom titan_core.testing import PhaseContract",
        "from .config import Config\nfrom . import levels",
        "class A:\n    time = 1\n    def f(self): return self.time.time()",
        "import math, bisect, collections",
    ],
)
def test_honest_code_is_left_alone(tmp_path: Path, source: str) -> None:
    assert found(tmp_path, source) == []


def test_a_finding_says_what_to_do_instead(tmp_path: Path) -> None:
    path = tmp_path / "s.py"
    path.write_text("import time\ntime.time()", "utf-8")
    (finding,) = impurities([path])
    assert str(finding) == "s.py:2: uses time.time: the time of the market is market.now_ns, and market.after / market.at / market.every wait"
