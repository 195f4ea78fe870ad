"""`titan run --live` begins only with the right file, the right password, a key that may do no harm, and a sentence typed at a terminal. Real processes."""

import asyncio
import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import frozen

from titan_core.execution.secrets.keystore import WRONG, ApiKey, Keystore, ScryptCost
from titan_core.execution.secrets.secret import Secret
from titan_core.model.units import D
from titan_core.simulator.box import Box
from titan_core.simulator.chunks import generated
from titan_core.simulator.clock import RealClock
from titan_core.simulator.server import BoxServer
from titan_core.simulator.wire import Credential

pytest.importorskip("ccxt")

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"
GOOD = Credential(key="kEy-that-may-trade-0815", secret="sEcReT/of+the=good-key-9Zq7")
RICH = Credential(key="kEy-that-may-withdraw-1", secret="sEcReT/of+the=rich-key-9Zq7", may_withdraw=True)
FREE = Credential(key="kEy-from-anywhere-00002", secret="sEcReT/of+the=free-key-9Zq7", addresses=("*",))
PHRASE = "trade 10000 USDT at bybit as live"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A venue in a box on a thread of its own."""
    now = time.time_ns()
    supply = generated(1, start_ns=now - D, ticks_per_day=300_000)
    box = Box(1, supply=supply, start_ns=now, clock=RealClock(now, 10.0), server_ns=time.time_ns, credentials=(GOOD, RICH, FREE))
    loop, server, up, over = asyncio.new_event_loop(), BoxServer(box), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with server:
            up.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert up.wait(20)
    yield server.url
    loop.call_soon_threadsafe(over.set)
    thread.join()
    loop.close()
    box.close()


@frozen
class Ended:
    """What a run has said and with what it has ended."""

    code: int
    said: str


def run_live(
    folder: Path,
    url: str,
    key: Credential,
    *,
    password: str = PASSWORD,
    spoil: Callable[[Path], None] = lambda path: None,
    typed: str | None = None,
    seconds: float = 1.0,
    while_running: Callable[[int], None] = lambda pid: None,
) -> Ended:
    """Run it with a keystore that holds one key. `typed` is typed once the terminal asks; with None there is no terminal."""
    path = folder / "keys" / "keystore.json"
    Keystore(path, ScryptCost(n=2**14)).add(Secret(PASSWORD), ApiKey("bybit", "main", Secret(key.key), Secret(key.secret), 0))
    spoil(path)
    reader, writer = os.pipe()
    os.write(writer, f"{password}\n".encode())
    os.close(writer)
    mine, theirs = pty.openpty()
    takes = f"import fcntl, termios\nfcntl.ioctl({theirs}, termios.TIOCSCTTY, 0)\n" if typed is not None else ""
    code = f"{takes}import sys\nfrom titan_core.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    options = ["run", "--live", "--venue", url, "--for", str(seconds), "--state", str(folder / "state"), "--keystore", str(path), "--password-fd", str(reader)]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *options], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, pass_fds=[theirs, reader], start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TERM": "dumb", "COLUMNS": "200", "BYBIT_API_SECRET": key.secret}, cwd=folder,
    )  # fmt: skip
    os.close(theirs)
    os.close(reader)
    said, asked, end = b"", False, time.monotonic() + 60
    while time.monotonic() < end:
        if asked:
            while_running(process.pid)
        if not select.select([mine], [], [], 0.05)[0]:
            if process.poll() is not None:
                break
            continue
        try:
            said += os.read(mine, 65_536)
        except OSError:
            break
        if typed is not None and b"\n> " in said.replace(b"\r", b"") and not asked:
            os.write(mine, f"{typed}\n".encode())
            asked = True
    try:
        returned = process.wait(20)
    finally:
        process.kill()
        process.wait()
        os.close(mine)
    return Ended(returned, " ".join(said.decode(errors="replace").split()))


def begun(folder: Path) -> bool:
    """Whether a session has written anything."""
    return any((folder / "state").rglob("*.journal")) or any(path.is_file() for path in (folder / "state").rglob("journal/*"))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.chmod(0o640), "has mode 0640, others may read it"),
        (lambda path: (path.rename(path.with_name("other")), path.symlink_to(path.with_name("other"))), "is a symbolic link"),
    ],
    ids=["mode", "symlink"],
)
def test_a_keystore_that_others_could_read_or_change_is_refused(tmp_path: Path, spoil: Callable[[Path], None], reason: str) -> None:
    ended = run_live(tmp_path, "http://127.0.0.1:9", GOOD, spoil=spoil, typed=PHRASE)
    assert ended.code == 1 and reason in ended.said
    assert not begun(tmp_path)


def test_a_wrong_password_fails_closed(tmp_path: Path) -> None:
    ended = run_live(tmp_path, "http://127.0.0.1:9", GOOD, password="wrong horse battery", typed=PHRASE)
    assert ended.code == 1 and WRONG in ended.said and not begun(tmp_path)


@pytest.mark.parametrize(("key", "reason"), [(RICH, "it may withdraw"), (FREE, "it is bound to no IP address")], ids=["withdrawal", "no address"])
def test_a_key_that_could_do_harm_is_refused_whatever_the_keystore_says(tmp_path: Path, url: str, key: Credential, reason: str) -> None:
    ended = run_live(tmp_path, url, key, typed=PHRASE)
    assert ended.code == 1 and "no key may trade live" in ended.said and reason in ended.said
    assert key.secret not in ended.said and key.key not in ended.said and not begun(tmp_path)


@pytest.mark.parametrize(("typed", "reason"), [(None, "confirmed at a terminal, and there is none"), ("yes", "is not 'trade 10000 USDT at bybit as live'")])
def test_without_the_typed_sentence_nothing_begins(tmp_path: Path, url: str, typed: str | None, reason: str) -> None:
    ended = run_live(tmp_path, url, GOOD, typed=typed)
    assert ended.code in (1, 2) and reason in ended.said and not begun(tmp_path)


def test_with_all_of_it_a_session_runs_and_its_children_are_told_no_secret(tmp_path: Path, url: str) -> None:
    told: dict[str, str] = {}
    limits: list[str] = []

    def look(pid: int) -> None:
        try:
            limits.extend(re.findall(r"Max core file size +(\S+ +\S+)", Path(f"/proc/{pid}/limits").read_text()))
            for child in (child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()):
                command, environment = (Path(f"/proc/{child}/{name}").read_bytes().decode(errors="replace") for name in ("cmdline", "environ"))
                if "\0-m\0" in command:  # else it is about to become what it was started as, and still a copy of its parent
                    told[command.split("\0-m\0")[-1].split("\0")[0]] = command + environment
        except OSError:
            pass  # it has ended in the meantime

    ended = run_live(tmp_path, url, GOOD, typed=PHRASE, seconds=5, while_running=look)
    assert ended.code == 0, ended.said[-3_000:]
    assert begun(tmp_path) and {"titan_core.journal.serve", "titan_core.app.guard"} <= set(told), (list(told), ended.said[-3_000:])
    assert limits[-1].split() == ["0", "0"], "the process is not guarded"
    for name, text in told.items():
        assert "PATH=" in text and GOOD.secret not in text and GOOD.key not in text and PASSWORD not in text, name
    left = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    for path in left:
        assert not any(secret.encode() in path.read_bytes() for secret in (GOOD.secret, GOOD.key, PASSWORD)), path
    assert left and not any(secret in ended.said for secret in (GOOD.secret, GOOD.key, PASSWORD))
