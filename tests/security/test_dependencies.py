"""Titan runs on the versions that it was tested with, and on nothing that came along unasked."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LINE = re.compile(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.+!-]*( --hash=sha256:[0-9a-f]{64})*")
OURS = {
    canonicalize_name(tomllib.loads(path.read_text("utf-8"))["project"]["name"]) for path in [ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")]
}


def lines(name: str) -> list[str]:
    return [line for line in (ROOT / name).read_text("utf-8").splitlines() if line and not line.startswith("#")]


def needed() -> dict[str, str]:
    """Return everything that an installation with all extras brings, and on whose behalf."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    texts = [*project["dependencies"], *(each for extra in project["optional-dependencies"].values() for each in extra)]
    texts += [line for line in lines("requirements-test.txt") if not line.startswith("-")]
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [("titan-core", Requirement(text)) for text in texts]
    while waiting:
        by, requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        found.setdefault(name, by)
        for extra in ("", *requirement.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            try:
                parts = [Requirement(text) for text in requires(name) or ()]
            except PackageNotFoundError:
                continue  # an extra that is not installed here; it must be pinned all the same
            waiting += [(name, part) for part in parts if part.marker is None or part.marker.evaluate({"extra": extra})]
    return found


def test_all_that_is_installed_is_pinned_to_one_version_whoever_needs_it() -> None:
    pinned = {canonicalize_name(line.split("==")[0]) for line in lines("constraints.txt")}
    unpinned = {name: by for name, by in needed().items() if name not in pinned | OURS}
    assert unpinned == {}, "not in constraints.txt (name: who needs it)"


def test_a_pin_is_one_exact_version_and_says_nothing_else() -> None:
    """No ranges, no addresses, no options, no name twice."""
    assert [line for line in lines("constraints.txt") if not LINE.fullmatch(line)] == []
    names = [canonicalize_name(line.split("==")[0]) for line in lines("constraints.txt")]
    assert len(names) == len(set(names))


def test_every_requirements_file_is_held_to_the_pins() -> None:
    assert "-c constraints.txt" in lines("requirements.txt")
    assert "-r requirements.txt" in lines("requirements-test.txt")


@pytest.mark.parametrize("line", ["attrs", "attrs>=24", "attrs==24.*", "attrs @ https://example.org/attrs.whl", "-e .", "attrs==24.1 --hash=md5:00"])
def test_what_is_no_pin_would_be_found(line: str) -> None:
    assert not LINE.fullmatch(line)
