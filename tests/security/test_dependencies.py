"""Titan runs on the versions that it was tested with, and on nothing that came along unasked."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LINE = re.compile(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.+!-]*")
HASHED = re.compile(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.+!-]*( ; [^#]+)?( --hash=sha256:[0-9a-f]{64})+")
FILES = ["requirements.txt", "requirements-test.txt"]
OURS = {
    canonicalize_name(tomllib.loads(path.read_text("utf-8"))["project"]["name"]) for path in [ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")]
}


def lines(name: str) -> list[str]:
    return [line for line in (ROOT / name).read_text("utf-8").splitlines() if line and not line.startswith("#")]


def hashed(name: str) -> list[str]:
    """Return the lines of a file with hashes, put together where they are continued."""
    return re.sub(r"\s*\\\n\s*", " ", "\n".join(lines(name))).splitlines()


def version_of(line: str) -> tuple[str, str]:
    name, _, version = line.split(" ")[0].partition("==")
    return canonicalize_name(name), version


def needed(extras: set[str] | None = None, groups: tuple[str, ...] = ("build", "test")) -> dict[str, str]:
    """Return everything that an installation with these extras (all of them) brings, and on whose behalf."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    project = document["project"]
    texts = [
        *project["dependencies"],
        *(each for name, extra in project["optional-dependencies"].items() if extras is None or name in extras for each in extra),
    ]
    texts += [each for group in groups for each in document["dependency-groups"][group]]
    for path in ROOT.glob("plugins/*/pyproject.toml"):
        texts += tomllib.loads(path.read_text("utf-8"))["project"]["dependencies"]
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


@pytest.mark.parametrize("name", FILES)
def test_every_file_that_is_installed_from_elsewhere_is_pinned_by_its_hash(name: str) -> None:
    """Where one line has a hash, pip demands one of each and compares them; no address, no option, nothing that comes without."""
    found = hashed(name)
    assert found and [line for line in found if not HASHED.fullmatch(line)] == []
    pinned = {version_of(line) for line in lines("constraints.txt")}
    assert {version_of(line) for line in found} - pinned == set(), "run .ci/pin"


@pytest.mark.parametrize(("name", "groups"), [(FILES[0], ("build",)), (FILES[1], ("build", "test"))])
def test_nothing_is_left_to_be_found_during_the_installation(name: str, groups: tuple[str, ...]) -> None:
    missing = needed({"live"}, groups).keys() - {version_of(line)[0] for line in hashed(name)} - OURS
    assert missing == set(), "run .ci/pin"


def test_what_is_installed_from_here_brings_nothing_from_elsewhere() -> None:
    """Our own packages are folders, which have no hash: they are installed in a step of their own that may fetch nothing."""
    assert all(line.startswith("-e ") for line in lines("packages.txt"))
    readme = (ROOT / "README.md").read_text("utf-8")
    commands = re.findall(r"^python3 -m venv .*$", readme, re.MULTILINE)
    assert len(commands) == 2
    assert all("pip install --no-deps --no-build-isolation -r packages.txt" in command for command in commands)


@pytest.mark.parametrize("line", ["attrs", "attrs>=24", "attrs==24.*", "attrs @ https://example.org/attrs.whl", "-e .", "attrs==24.1 --hash=md5:00"])
def test_what_is_no_pin_would_be_found(line: str) -> None:
    assert not LINE.fullmatch(line) and not HASHED.fullmatch(line)
