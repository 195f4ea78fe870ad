"""`titan keys`: as a process, with pipes, so that what the machine can see of it is seen."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from threading import Thread

import pytest

from titan_core.cli import keys as command
from titan_core.cli.main import main
from titan_core.execution.secrets import keystore as room
from titan_core.execution.secrets.keystore import WRONG, Keystore, ScryptCost
from titan_core.execution.secrets.secret import Secret
from titan_core.simulator.box import Box
from titan_core.simulator.clock import RealClock
from titan_core.simulator.server import BoxServer
from titan_core.simulator.wire import Credential

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"
API_KEY, API_SECRET = "kkkk-1111-abcd", "ssss-2222-efgh"
CHECKER = """
from titan_core.errors import VenueUnavailable
from titan_core.execution.secrets.keystore import KeyFacts

async def key_facts(key):
    if key.label == "down":
        raise VenueUnavailable(f"no answer to https://api.bybit.com/x?api_key={key.key.reveal()}&sign=abc for {key.secret.reveal()}")
    return KeyFacts(("Order", "Withdraw") if key.label == "bad" else ("Order",), key.label == "bad", key.label != "bad")
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(room.Keystore.__init__, "__defaults__", (ScryptCost(n=2**14),))
    return tmp_path / "titan" / "keystore.json"


def words(text: str) -> str:
    """Undo the wrapping of a terminal."""
    return " ".join(text.split())


def run(path: Path, *arguments: str, lines: Sequence[str] = (PASSWORD,)) -> int:
    """Run a command with lines to read on a descriptor."""
    reader, writer = os.pipe()
    os.write(writer, "".join(f"{line}\n" for line in lines).encode())
    os.close(writer)
    given = [each if each != "FD" else str(reader) for each in arguments]
    try:
        return main(["keys", *given, "--keystore", str(path), "--password-fd", str(reader)])
    finally:
        os.close(reader)


def add(path: Path, label: str = "main", *more: str) -> int:
    return run(path, "add", "bybit", "--label", label, "--key-fd", "FD", *more, lines=(PASSWORD, API_KEY, API_SECRET))


def test_a_key_is_added_listed_and_removed_and_never_shown(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(path, "list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert add(path) == 0
    assert run(path, "list") == 0
    assert run(path, "list", "--json") == 0
    shown = capsys.readouterr()
    (row,) = json.loads(shown.out[shown.out.index("[\n") :])
    assert (row["venue"], row["label"], row["key"], row["permissions"], row["live"]) == ("bybit", "main", "…abcd", None, False)
    assert run(path, "remove", "bybit", "--yes") == 0
    assert run(path, "list", "--json") == 0
    said = shown.out + shown.err + "".join(capsys.readouterr())
    assert not any(value in said for value in (API_KEY, API_SECRET, PASSWORD))
    assert Keystore(path).unlock(Secret(PASSWORD)) == ()


def test_a_wrong_password_fails_closed(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert add(path) == 0
    before = path.read_bytes()
    for arguments in (["list"], ["remove", "bybit", "--yes"], ["check"], ["add", "bybit", "--label", "x", "--key-fd", "FD"]):
        assert run(path, *arguments, lines=("wrong horse battery", API_KEY, API_SECRET)) == 1
        assert WRONG in words(capsys.readouterr().err)
    assert path.read_bytes() == before


def test_a_file_that_others_can_read_is_refused_before_the_password_is_read(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert add(path) == 0
    path.chmod(0o644)
    assert run(path, "list", lines=()) == 1
    assert "must be 0600" in words(capsys.readouterr().err)


def test_usage_errors(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(path, "add", "binance", "--key-fd", "FD") == 2
    assert run(path, "add", "bybit", "--key-fd", "999") == 2
    assert run(path, "remove", "bybit", "--yes") == 1
    assert "there is no keystore" in capsys.readouterr().err
    assert main(["keys", "add", "bybit", "--secret", "x"]) == 2


@pytest.fixture
def checker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bybit_key_checker.py").write_text(CHECKER, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(command.CHECKS, "bybit", "bybit_key_checker:key_facts")


@pytest.mark.usefixtures("checker")
def test_a_check_notes_what_the_venue_says_and_judges_it(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert add(path) == 0
    capsys.readouterr()
    assert run(path, "check", "bybit", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["permissions"], row["ip_bound"], row["can_withdraw"], row["live"], row["problems"]) == (["Order"], True, False, True, [])
    assert row["checked_ns"] > 0
    (stored,) = Keystore(path).unlock(Secret(PASSWORD))
    assert stored.live_refusals() == ()
    assert add(path, "bad") == 0 and add(path, "down") == 0
    assert run(path, "check") == 1
    said = words("".join(capsys.readouterr()))
    assert "bybit bad: it may withdraw" in said and "bound to no IP address" in said
    assert "bybit down: no answer to https://api.bybit.com" in said
    assert API_KEY not in said and API_SECRET not in said and "sign=abc" not in said


@pytest.mark.parametrize("venue", ["bybit", "mexc"])
def test_a_simulator_is_asked_only_when_it_is_named_and_what_it_says_is_not_noted(venue: str, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ccxt", reason="the extra `live` is not installed")
    assert run(path, "add", venue, "--key-fd", "FD", lines=(PASSWORD, API_KEY, API_SECRET)) == 0
    capsys.readouterr()
    with simulated(Credential(key=API_KEY, secret=API_SECRET, may_withdraw=True, addresses=())) as url:
        assert run(path, "check", "--simulator", url, "--json") == 1
        (row,) = json.loads(capsys.readouterr().out)
        assert row["can_withdraw"] is True and row["ip_bound"] is False and len(row["problems"]) == 2
    with simulated(Credential(key=API_KEY, secret=API_SECRET)) as url:
        assert run(path, "check", "--simulator", url) == 0
    capsys.readouterr()
    assert run(path, "check", "--simulator", "http://192.0.2.1:8899", "--json") == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert "192.0.2.1 is not encrypted" in row["problems"][0], "a simulator is on this machine"
    (stored,) = Keystore(path).unlock(Secret(PASSWORD))
    assert stored.facts is None and "never checked" in stored.live_refusals()[0]


@contextmanager
def simulated(credential: Credential) -> Iterator[str]:
    """Run a venue in a box on a thread of its own, since the command has its own loop."""
    now = time.time_ns()
    box = Box(1, ticks_per_day=200_000, start_ns=now, clock=RealClock(now), server_ns=time.time_ns, credentials=(credential,))
    loop, stop, begun = asyncio.new_event_loop(), asyncio.Event(), Queue[str]()

    async def serve() -> None:
        async with BoxServer(box) as server:
            begun.put(server.url)
            await stop.wait()

    thread = Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        yield begun.get(timeout=10)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def test_a_venue_that_this_version_cannot_ask_is_said_so(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(command.CHECKS, "bybit", "titan_core.execution.nowhere.keys:key_facts")
    assert add(path) == 0
    capsys.readouterr()
    assert run(path, "check", "--json") == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert "cannot ask bybit" in row["problems"][0]


def test_the_process_shows_no_secret_in_arguments_environment_or_debug(tmp_path: Path) -> None:
    """The command as it is run, its tracebacks included, with the real cost."""
    path = tmp_path / "k" / "keystore.json"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    base = [sys.executable, "-m", "titan_core", "--debug", "keys"]

    def call(*arguments: str, lines: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*base, *arguments, "--keystore", str(path), "--password-fd", "0"],
            input="".join(f"{line}\n" for line in lines),
            capture_output=True,
            text=True,
            env=environment,
        )

    added = call("add", "mexc", "--key-fd", "0", lines=(PASSWORD, API_KEY, API_SECRET))
    assert added.returncode == 0, added.stderr
    wrong = call("list", lines=("wrong horse battery",))
    assert wrong.returncode == 1 and "Traceback" in wrong.stderr and WRONG in words(wrong.stderr)
    short = call("add", "mexc", "--key-fd", "0", lines=(PASSWORD, API_KEY, API_SECRET))
    assert short.returncode == 1 and "there is a key 'main' for mexc already" in words(short.stderr)
    said = "".join(each.stdout + each.stderr for each in (added, wrong, short))
    assert not any(value in said for value in (PASSWORD, "wrong horse", API_KEY, API_SECRET))


def test_the_command_imports_no_cryptography_before_it_needs_it() -> None:
    code = "import sys; from titan_core.cli.main import main; main(['keys', '--help']); sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True).returncode == 0
