"""Sessions in processes of their own, ended when the test is over."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FAKE = Path(__file__).with_name("fake.py")


@contextmanager
def in_process(folder: Path, manner: str = "") -> Iterator["subprocess.Popen[str]"]:
    running = subprocess.Popen([sys.executable, str(FAKE), str(folder), manner], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == "started\n"
        yield running
    finally:
        running.kill()
        running.wait()
        if running.stdout is not None:
            running.stdout.close()
