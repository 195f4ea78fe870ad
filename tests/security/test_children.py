"""What a process of Titan starts is told only what it needs: an environment that was chosen, arguments that everybody may read."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STARTS = {
    "subprocess": {"Popen", "run", "call", "check_call", "check_output"},
    "asyncio": {"create_subprocess_exec", "create_subprocess_shell"},
}
BANNED = set(
    "system popen fork forkpty execv execve execvp execvpe execl execle execlp spawnv spawnve spawnl spawnvp posix_spawn posix_spawnp getoutput "
    "getstatusoutput ProcessPoolExecutor".split()
)
FOR_AUTHORS = ("testing",)
"""Rooms that never run in a session."""
SOURCES = [path for path in sorted((ROOT / "titan_core").rglob("*.py")) if path.relative_to(ROOT / "titan_core").parts[0] not in FOR_AUTHORS]


def starts_of(text: str) -> Iterator[ast.Call]:
    """Find the calls that start a process."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            if node.func.attr in STARTS.get(node.func.value.id, ()):
                yield node


def other_starts(text: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("os", "subprocess", "futures") and node.attr in BANNED:
            found.append(node.attr)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            found += [name for name in names if name.split(".")[0] == "multiprocessing" or name == "ProcessPoolExecutor"]
            found += [alias.name for alias in node.names if getattr(node, "module", "") == "subprocess"]
    return found


def test_every_child_gets_an_environment_of_our_choice() -> None:
    calls = [(path, call) for path in SOURCES for call in starts_of(path.read_text("utf-8"))]
    assert any(path.match("journal/link.py") for path, _ in calls)
    for path, call in calls:
        options = {keyword.arg: keyword.value for keyword in call.keywords}
        assert "env" in options, f"{path.relative_to(ROOT)}:{call.lineno} hands on the whole environment"
        shell = options.get("shell")
        assert shell is None or (isinstance(shell, ast.Constant) and shell.value is False), f"{path.relative_to(ROOT)}:{call.lineno} uses a shell"


def test_no_process_is_started_in_another_way() -> None:
    assert {str(path.relative_to(ROOT)): found for path in SOURCES if (found := other_starts(path.read_text("utf-8")))} == {}


@pytest.mark.parametrize(
    "text",
    [
        "import subprocess\nsubprocess.Popen(['x'])",
        "import subprocess\nsubprocess.run(['x'], check=True)",
        "import asyncio\nasyncio.create_subprocess_exec('x')",
    ],
)
def test_a_child_with_the_whole_environment_would_be_found(text: str) -> None:
    (call,) = starts_of(text)
    assert "env" not in {keyword.arg for keyword in call.keywords}


@pytest.mark.parametrize("text", ["import os\nos.system('x')", "import multiprocessing", "from subprocess import run", "import os\nos.fork()"])
def test_another_way_would_be_found(text: str) -> None:
    assert other_starts(text)
