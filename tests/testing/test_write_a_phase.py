"""docs/write_a_phase.md followed to the letter: every listing is written or run, every command is given, every name it has to know is in it."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs
import pytest

from titan_core import MIN, Handover, InstrumentId, PhaseId, Strategy, ports
from titan_core.config.keys import is_supported
from titan_core.engine.venue import WorkingOrder
from titan_core.model.enums import RefusalCode
from titan_core.model.ids import MAX_NAME_CHARS
from titan_core.model.phase import PhaseDeclaration
from titan_core.plugin_host import HOOKS
from titan_core.testing import CONTRACT_MARKETS, SentOrder, Trial, make_phase, ranges, run_phases, write_distribution
from titan_core.testing.contract import PhaseContract

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "write_a_phase.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
PROSE = re.sub(r"^```.*?^```$", "", GUIDE, flags=re.MULTILINE | re.DOTALL)
EXPLAINED = set(re.findall(r"[A-Za-z_]\w*", " ".join(re.findall(r"`([^`\n]+)`", PROSE))))
NAMED = re.compile(r"# ([\w./-]+\.(?:py|toml))\n")


def files() -> dict[str, str]:
    """The listings that name a file in their first line."""
    return {match[1]: text for kind, text in BLOCKS if kind in ("python", "toml") and (match := NAMED.match(text))}


def snippets() -> list[str]:
    """The listings that name none."""
    return [text for kind, text in BLOCKS if kind in ("python", "toml") and not NAMED.match(text)]


def dialogues() -> list[tuple[str, str]]:
    """The commands with what they are said to print."""
    return [(step.split("\n", 1)[0], step.split("\n", 1)[1]) for kind, text in BLOCKS if kind == "console" for step in re.split(r"^\$ ", text, flags=re.M)[1:]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a reader has after section 7."""
    folder = tmp_path_factory.mktemp("author") / "titan-breakout"
    for path, text in files().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    (folder / "src" / "titan_breakout" / "__init__.py").touch()
    return folder


def run(project: Path, command: str) -> tuple[int, str]:
    """Give a command in the project, as a shell of the author's environment would."""
    program, *arguments = shlex.split(command)
    metadata = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    if (program, *arguments) == ("pip", "install", "-e", "."):  # what pip would do, without touching this environment
        write_distribution(project / "src", metadata["name"], {}, phases=metadata["entry-points"]["titan.phases"], version=metadata["version"])
        return 0, ""
    module = {"titan": "titan_core", "pytest": "pytest"}[program]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TITAN_", "PYTEST_"))}
    environment |= {"PYTHONPATH": os.pathsep.join((str(project / "src"), str(ROOT))), "COLUMNS": "100", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-m", module, *arguments], cwd=project, env=environment, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout + done.stderr


# -- the listings -----------------------------------------------------------------------------------------------------
def test_the_folder_is_the_one_that_is_drawn(project: Path) -> None:
    (drawing,) = [text for kind, text in BLOCKS if kind == "text"]
    drawn = {line.split("── ")[1].rstrip("/") for line in drawing.splitlines() if "── " in line}
    assert drawn == {part for path in project.rglob("*") if "__pycache__" not in path.parts for part in [path.name]}


def test_the_kinds_of_listing_are_those_that_are_checked_here() -> None:
    assert {kind for kind, _ in BLOCKS} == {"text", "toml", "python", "console"}
    assert len(files()) == 6 and len(snippets()) == 2


@pytest.mark.parametrize("source", snippets())
def test_a_listing_without_a_file_runs(source: str) -> None:
    space: dict[str, Any] = {}
    exec(compile(source, "listing", "exec"), space)
    if "titan_adopt" in space:
        positions = {InstrumentId("BTCUSDT.bybit-linear"): (5, 590_000)}
        assert space["titan_adopt"](Handover(PhaseId("other"), positions)) is True
        assert space["titan_adopt"](Handover(PhaseId("other"), {**positions, InstrumentId("ETHUSDT.bybit-linear"): (-5, 590_000)})) is False
    else:
        enter = space["enter"]

        class Asks(Strategy):
            def on_start(self, market: Any) -> None:
                market.every(15 * MIN, self.set_trap)

            def set_trap(self, market: Any, timer: Any) -> None:
                if market.perp.quote() and not market.perp.position():
                    enter(self, market, 1_000, market.perp.quote()[0] - 100)

        told = run_phases(ranges(2), [make_phase("asks", 200, None, strategy=Asks)])
        assert any(note.startswith("too large: ") for note in told.notes("asks.main"))


def test_the_commands_do_what_is_printed_beneath_them(project: Path) -> None:
    for command, expected in dialogues():
        code, printed = run(project, command)
        wrong = "did you mean" in expected
        assert code == (4 if wrong else 0), f"$ {command}\n{printed}"
        pattern = re.escape(" ".join(expected.split())).replace(re.escape("..."), ".*")
        assert re.fullmatch(pattern, " ".join(printed.split()), re.DOTALL), f"$ {command}\n{printed}"
    assert (project / "first-run" / "decisions.jsonl").exists()


def test_pip_can_build_the_package(project: Path, tmp_path: Path) -> None:
    if find_spec("flit_core") is None:
        pytest.skip("flit_core is not installed, and a test downloads nothing")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(tmp_path), str(project)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "titan_breakout" / "plugin.py").is_file()
    assert "breakout = titan_breakout.plugin" in next(tmp_path.glob("*.dist-info/entry_points.txt")).read_text("utf-8").replace("=", " = ").replace("  ", " ")


# -- nothing is missing -----------------------------------------------------------------------------------------------
def public(kind: type) -> list[str]:
    return [name for name in vars(kind) if not name.startswith("_")]


@pytest.mark.parametrize("kind", [ports.Market, ports.InstrumentView, ports.PairView, ports.Bars, ports.Budget, ports.Order, ports.Strategy])
def test_everything_that_a_strategy_can_ask_for_is_explained(kind: type) -> None:
    assert [name for name in public(kind) if name not in EXPLAINED] == []


def test_hooks_and_declaration_are_explained() -> None:
    rows = set(re.findall(r"^\| `(\w+)", GUIDE, re.MULTILINE)) | set(re.findall(r"^\| `\w+`, `(\w+)`", GUIDE, re.MULTILINE))
    assert set(HOOKS) <= rows
    assert {field.name for field in attrs.fields(PhaseDeclaration)} <= rows


def test_the_refusals_that_it_names_exist() -> None:
    section = GUIDE.split("### Refusals")[1].split("\n## ")[0]
    codes = [code for row in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", section, re.MULTILINE) for code in re.findall(r"\w+", row)]
    assert len(codes) > 10 and set(codes) <= set(RefusalCode)


def test_what_is_said_in_numbers_and_names_is_so() -> None:
    assert f"room for {MAX_NAME_CHARS} characters" in GUIDE
    for name in ("config", "markets", "equity_usdt", "must_trade", "refusals_per_hour"):
        assert f"`{name}`" in GUIDE and hasattr(PhaseContract, name)
    rows = {name for name in re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE) if name in Trial.__annotations__ or hasattr(Trial, name)}
    assert rows == {"orders", "fills", "refusals", "notes", "positions", "quarantine", "entries"}
    assert {"ts_ns", "signed_lots", "limit", "trigger", "stop", "target", "tag"} <= set(SentOrder._fields)
    assert hasattr(PhaseContract, "test_callbacks_are_quick")
    assert {"trend", "range", "lively", "crash", "gap", "no_trades", "only_perp", "bars_only", "thin"} == set(CONTRACT_MARKETS)
    assert all(is_supported(kind) for kind in (int, float, bool, str, int | None, tuple[int, ...]))
    assert {"client_order_id", "intent", "status", "leaves_lots"} <= set(WorkingOrder.__slots__)
