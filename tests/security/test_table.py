"""What docs/security.md promises is held by tests that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
ROWS = [line for line in (ROOT / "docs" / "security.md").read_text("utf-8").partition("## What holds what")[2].splitlines() if line.startswith("| ")][2:]


def names_in(name: str) -> set[str]:
    tree = ast.parse((ROOT / name).read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_bar_is_held_by_tests_that_exist() -> None:
    assert len(ROWS) >= 19
    for row in ROWS:
        named = NAMED.findall(row)
        assert named, f"no test holds: {row}"
        assert row.count("`tests/") == len(named), f"not understood: {row}"
        assert [f"{name}::{test}" for name, test in named if not (ROOT / name).is_file() or test not in names_in(name)] == []


def test_every_test_of_this_room_that_shows_a_bar_stands_in_the_table() -> None:
    text = "\n".join(ROWS)
    rooms = {path.name for path in Path(__file__).parent.glob("test_*.py")} - {Path(__file__).name}
    assert {name for name in rooms if f"tests/security/{name}::" not in text} == set()
