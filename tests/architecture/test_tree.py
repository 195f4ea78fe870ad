"""What a tracked file may not hold, and how long it may be."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HABIT_LINES = 400
LIMIT_LINES = 500

# written in pieces, so that this file does not hold what it looks for
FORBIDDEN = {
    "a path of somebody's machine": re.compile(r"(?<![\w.])/(?:" + "|".join(["work", "root", "home"]) + r")/\w"),
    "the address of a package registry": re.compile("|".join(["py" + r"pi\.org", "python" + r"hosted\.org", "index" + "-url", "/sim" + "ple/"])),
    "a private key": re.compile("BEGIN [A-Z ]*PRIVATE" + " KEY"),
    "a conflict marker": re.compile(r"^(<{7}|>{7}) ", re.MULTILINE),
}


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in done.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def texts() -> dict[str, str]:
    found = {}
    for path in tracked():
        try:
            found[str(path.relative_to(ROOT))] = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
    return found


def test_no_file_holds_what_belongs_to_a_machine() -> None:
    hits = [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {what}: {match[0]}"
        for name, text in texts().items()
        for what, pattern in FORBIDDEN.items()
        for match in pattern.finditer(text)
    ]
    assert hits == []


def test_a_python_file_is_one_room(record_property: Callable[[str, object], None]) -> None:
    """400 lines is the habit; beyond 500 a file has become two."""
    lengths = {name: text.count("\n") for name, text in texts().items() if name.endswith(".py")}
    record_property("files over the habit", {name: lines for name, lines in lengths.items() if lines > HABIT_LINES})
    assert {name: lines for name, lines in lengths.items() if lines > LIMIT_LINES} == {}


def test_every_source_file_says_what_it_is() -> None:
    silent = [
        name for name, text in texts().items() if name.endswith(".py") and name.startswith(("titan_core/", "plugins/")) and text and not text.startswith('"""')
    ]
    assert silent == []
