"""Tapes made of recorded files, as `titan data import` makes them."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from titan_core.tape.store import open_tape
from titan_core.tape.tape import Tape


def imported_tape(folder: Path, files: Iterable[Path]) -> Tape:
    """Import the files into a tape at `folder`, unless it is there already, and open it. Raises CalledProcessError where an import fails."""
    if not folder.exists():
        for file in files:
            subprocess.run([sys.executable, "-m", "titan_core", "data", "import", str(file), "--tape", str(folder)], check=True, capture_output=True)
    return open_tape(folder)
