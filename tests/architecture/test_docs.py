"""The documents say what the code does."""

import inspect
import re
from pathlib import Path

import pytest

from titan_core.cli.main import COMMANDS, LazyGroup
from titan_core.hookspecs import PhaseHooks
from titan_core.model.enums import RefusalCode, StreamKind
from titan_core.plugin_host import HOOK_TIMEOUT_S, HOOKS

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")
CODE_PATH = re.compile(r"`(\.?\w[\w-]*/[\w./-]*)`")


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_every_hook_is_documented_with_its_signature() -> None:
    headings = re.findall(r"^## `(.+)`$", read("docs/hooks.md"), re.MULTILINE)
    expected = []
    for name in HOOKS:
        signature = inspect.signature(getattr(PhaseHooks, name))
        arguments = [str(parameter) for parameter in signature.parameters.values() if parameter.name != "self"]
        expected.append(f"{name}({', '.join(arguments)}) -> {signature.return_annotation.__name__ if signature.return_annotation else None}")
    assert headings == [re.sub(r"titan_core\.\w+\.", "", each) for each in expected]
    assert f"after {HOOK_TIMEOUT_S:g} seconds" in read("docs/hooks.md")


@pytest.mark.parametrize("word", [*RefusalCode, *StreamKind])
def test_the_words_of_records_are_in_the_glossary(word: str) -> None:
    assert f"`{word}`" in read("docs/glossary.md")


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md")))])
def test_links_and_paths_in_documents_lead_somewhere(name: str) -> None:
    text = read(name)
    folder = (ROOT / name).parent
    assert [link for link in LINK.findall(text) if not (folder / link).exists()] == []
    assert [path for path in CODE_PATH.findall(text) if not ((ROOT / path).exists() or (ROOT / "titan_core" / path).exists())] == []


def test_decisions_are_numbered_without_a_hole() -> None:
    names = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    assert [name[:4] for name in names] == [f"{number:04d}" for number in range(1, len(names) + 1)]
    for name in names:
        assert {"**Situation.**", "**Decision.**", "**Consequences.**"} <= set(re.findall(r"\*\*\w+\.\*\*", read(f"docs/decisions/{name}"))), name


def readme_commands() -> list[str]:
    """The two commands that the README gives for a fresh machine."""
    return re.findall(r"^python3 -m venv .*$", read("README.md"), re.MULTILINE)


def test_the_readme_gives_two_commands_for_a_fresh_machine() -> None:
    first, second = readme_commands()
    assert first.endswith(".venv/bin/titan run --for 90")
    assert second.endswith(".venv/bin/pytest -n auto")
    for command in (first, second):
        for file in re.findall(r"-r (\S+)", command):
            assert (ROOT / file).is_file()


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
def test_documents_name_only_commands_that_exist(name: str) -> None:
    groups = {command: getattr(LazyGroup().get_command(None, command), "commands", {}) for command in LazyGroup().list_commands(None)}
    for command, verbs in re.findall(r"`titan ([a-z]+)(?: ([a-z|]+))?", read(name)):
        if command in COMMANDS and command not in groups:
            continue  # a command of a room that this checkout lacks
        assert command in groups, command
        for verb in verbs.split("|") if verbs and groups[command] else []:
            assert verb in groups[command], f"{command} {verb}"


def test_requirements_install_every_package_of_the_checkout() -> None:
    lines = {line.removeprefix("-e ") for line in read("packages.txt").splitlines() if line.startswith("-e ")}
    packages = {str(path.parent.relative_to(ROOT)) for path in [ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")]}
    assert lines == packages
