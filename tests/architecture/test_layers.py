"""Imports run down the layers only; the contracts stand in pyproject.toml."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = {contract["type"]: contract for contract in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]}
DETERMINISTIC = ("model", "brain", "ledger", "indicators", "engine")
PLUGIN_MAY_IMPORT = ("titan_core", "titan_core.testing")
PLUGIN_FILES = sorted(path for folder in ("plugins", "examples") for path in (ROOT / folder).glob("*/src/**/*.py"))


def test_the_contracts_are_kept() -> None:
    done = subprocess.run([str(Path(sys.executable).with_name("lint-imports")), "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_deterministic_room_is_under_the_second_contract() -> None:
    there = {f"titan_core.{room}" for room in DETERMINISTIC if (ROOT / "titan_core" / room).is_dir()}
    assert there == set(CONTRACTS["forbidden"]["source_modules"])


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


@pytest.mark.parametrize("path", PLUGIN_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_plugin_imports_nothing_of_titan_but_its_public_names(path: Path) -> None:
    used = {name for name in imports(path) if name.split(".")[0] == "titan_core"}
    assert used <= set(PLUGIN_MAY_IMPORT)


def test_no_room_waits_by_a_call_that_swallows_cancellation() -> None:
    """Before Python 3.12 `asyncio.wait_for` returns what has come instead of ending where both happen at once; `asyncio.timeout` does not."""
    guilty = []
    for path in sorted((ROOT / "titan_core").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr == "wait_for" and isinstance(node.value, ast.Name) and node.value.id == "asyncio":
                guilty.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert guilty == [], "write `async with asyncio.timeout(seconds):`"
