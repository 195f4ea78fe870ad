"""The examples work as a reader would use them: as packages of their own, found through their entry points."""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from titan_core.plugin_host import discover
from titan_core.testing import forget_modules, write_distribution

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/pyproject.toml"))


def project(example: Path) -> dict[str, object]:
    data: dict[str, object] = tomllib.loads((example / "pyproject.toml").read_text("utf-8"))["project"]
    return data


def points(example: Path) -> dict[str, str]:
    return dict(project(example)["entry-points"]["titan.phases"])  # type: ignore[index]


def python(example: Path, *arguments: str, cwd: Path, site: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python with the example on its path."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TITAN_", "PYTEST_"))}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (*([site] if site else []), example / "src", ROOT)))
    return subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)


def test_every_example_is_in_the_list() -> None:
    listed = re.findall(r"^\| \[(\w+)\]", (ROOT / "examples" / "README.md").read_text("utf-8"), re.MULTILINE)
    assert listed == [path.name for path in sorted((ROOT / "examples").iterdir()) if path.is_dir()]


def test_no_example_is_installed_with_titan() -> None:
    assert "examples" not in (ROOT / "packages.txt").read_text("utf-8")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_passes_its_own_tests(example: Path, tmp_path: Path) -> None:
    done = python(example, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(example), str(example / "tests"), cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    assert re.search(r"\d+ passed", done.stdout)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_found_and_documents_its_keys(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(example / "src"))
    report = discover(points=[EntryPoint(name, value, "titan.phases") for name, value in points(example).items()])
    forget_modules(*{value.split(".")[0] for value in points(example).values()})
    assert report.broken == () and [phase.name for phase in report.phases] == list(points(example))
    readme = (example / "README.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", readme, re.MULTILINE))
    for phase in report.phases:
        assert {name: str(value) for name, value in _defaults(phase.declaration.config_type).items()} == rows


def _defaults(section: type) -> dict[str, object]:
    import attrs

    return {name: f"{value:g}" if isinstance(value, float) else value for name, value in attrs.asdict(section()).items()}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_replayed_by_the_command(example: Path, tmp_path: Path) -> None:
    site = write_distribution(tmp_path / "site", str(project(example)["name"]), {}, phases=points(example))
    for name in points(example):
        done = python(example, "-m", "titan_core", "replay", "--phases", name, "--out", "run", "--json", cwd=tmp_path, site=site)
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout)
        assert summary["fills"] > 0 and summary["by_phase"][name]["quarantined"] is None
