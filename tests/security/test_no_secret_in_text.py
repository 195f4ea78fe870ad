"""A session that trades at DEBUG, in asyncio's debug mode, with ccxt verbose and rich tracebacks with locals shows no secret and no signature."""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest
from attrs import frozen

from titan_core.execution.secrets.process import WITHHELD
from titan_core.execution.secrets.secret import SHOWN

pytest.importorskip("ccxt")

ROOT = Path(__file__).resolve().parents[2]
KEY, SECRET = "kEy0f-the-acc0unt-4711", "sEcReT/With+Signs=9Zq7&x"
FORMS = (KEY, SECRET, quote(SECRET, safe=""), repr(SECRET)[1:-1], json.dumps(SECRET)[1:-1], base64.b64encode(SECRET.encode()).decode().rstrip("="))
PIECE = 16
"""Hexadecimal digits of a signature that would give it away."""

SIGNS_OF_LIFE = (
    "/v5/account/wallet-balance",
    "X-BAPI-SIGN",
    "Request:",
    '"op": "auth"',
    '> TEXT \'{"reqId"',
    "it says: binance GET",
    "Traceback (most recent call last)",
) + ("refused", "Task exception was never retrieved", "Exception in thread", "drawn: ", "╭", WITHHELD.strip())
"""What the scene must have said for its silence about secrets to mean something."""


@frozen
class Ran:
    """What is left of a process that has traded."""

    folder: Path
    printed: str
    signatures: tuple[str, ...]

    def found_in(self, text: str) -> list[str]:
        """Return the secrets and pieces of signatures in a text."""
        pieces = {each[start : start + PIECE] for each in self.signatures for start in range(len(each) - PIECE + 1)}
        shown = {run[start : start + PIECE] for run in re.findall(rf"[0-9a-f]{{{PIECE},}}", text) for start in range(len(run) - PIECE + 1)}
        return [form for form in FORMS if form in text] + sorted(pieces & shown)[:3]

    def files(self) -> Iterator[Path]:
        return (path for path in sorted(self.folder.rglob("*")) if path.is_file() and path.name != "signatures")


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    folder.mkdir(mode=0o700)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "BYBIT_API_KEY": KEY, "BYBIT_API_SECRET": SECRET}
    command = [sys.executable, str(Path(__file__).with_name("trading.py")), str(folder), *arguments]
    process = subprocess.Popen(command, env=environment, cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdin is not None
    process.stdin.write(f"{KEY}\n{SECRET}\n")
    process.stdin.flush()
    return process


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, Ran]:
    """The same scene twice at once: as it should be, and without the guard."""
    folder = tmp_path_factory.mktemp("trading")
    places = {folder / "guarded": (), folder / "unguarded": ("unguarded",)}
    started = [start(place, *arguments) for place, arguments in places.items()]
    with ThreadPoolExecutor() as both_at_once:
        printed = [said for said, _ in both_at_once.map(lambda process: process.communicate(timeout=90), started)]
    ran = []
    for place, process, said in zip(places, started, printed, strict=True):
        assert process.returncode == 1 and "in a thread: " in said, said[-5_000:]
        signatures = (place / "signatures").read_text().split()
        assert len(signatures) >= 8
        ran.append(Ran(place, said, tuple(signatures)))
    return ran[0], ran[1]


def test_nothing_that_is_printed_or_logged_holds_a_secret(both: tuple[Ran, Ran]) -> None:
    ran, _ = both
    for sign_of_life in SIGNS_OF_LIFE:
        assert sign_of_life in ran.printed, sign_of_life
    assert SHOWN in ran.printed
    assert ran.found_in(ran.printed) == []


def test_the_same_without_the_guard_shows_what_the_guard_is_for(both: tuple[Ran, Ran]) -> None:
    _, ran = both
    assert {KEY, SECRET} <= set(ran.found_in(ran.printed)) and len(ran.found_in(ran.printed)) > 2
    signed_requests = [each for each in ran.signatures if each in ran.printed]
    assert len(signed_requests) >= 3


@pytest.mark.parametrize("which", [0, 1], ids=["guarded", "unguarded"])
def test_journal_recording_control_socket_and_children_hold_no_secret(both: tuple[Ran, Ran], which: int) -> None:
    """These do not depend on the guard: no secret ever gets there."""
    ran = both[which]
    names = {str(path.relative_to(ran.folder).parts[0]) for path in ran.files()}
    assert {"journal", "recording", "answers", "children", "reprs"} <= names
    assert b"churner.churn.1." in b"".join(path.read_bytes() for path in (ran.folder / "journal").iterdir())
    assert "SessionStatus(name='live'" in (ran.folder / "answers").read_text()
    for path in ran.files():
        if path.name != "log":
            assert ran.found_in(path.read_bytes().decode(errors="replace")) == [], path


def test_the_journals_writer_is_told_nothing_by_its_arguments_and_environment(both: tuple[Ran, Ran]) -> None:
    for ran in both:
        (writer,) = [child for child in json.loads((ran.folder / "children").read_text()) if "titan_core.journal.serve" in child["cmdline"]]
        assert "PATH=" in writer["environ"] and "BYBIT" not in writer["environ"]
        assert ran.found_in(writer["cmdline"] + writer["environ"]) == []


def test_no_object_of_an_account_shows_a_secret_whoever_prints_it(both: tuple[Ran, Ran]) -> None:
    for ran in both:
        shown = (ran.folder / "reprs").read_text()
        for kind in ("BybitAccount(", "BybitClient(", "Door(", "AuthenticatedSocket(", "TradeEntry", "<titan_core.app.live.session.Session", "Bybit"):
            assert kind in shown, kind
        assert ran.found_in(shown) == []


def test_the_log_file_is_private_and_clean(both: tuple[Ran, Ran]) -> None:
    ran, _ = both
    log = ran.folder / "log"
    assert log.stat().st_mode & 0o777 == 0o600 and "refused" in log.read_text()
    assert ran.found_in(log.read_text()) == []
