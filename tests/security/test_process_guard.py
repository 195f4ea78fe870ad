"""The guard of a process: what it does to the streams, to logging, to a crash."""

import io
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titan_core.errors import TitanError
from titan_core.execution.secrets.process import WITHHELD, Guard, GuardedStream, install
from titan_core.execution.secrets.redaction import Redactor
from titan_core.execution.secrets.secret import SHOWN, Secret

ROOT = Path(__file__).resolve().parents[2]
SECRET = "sEcReT/With+Signs=9Zq7"
SIGNATURE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
RED, PLAIN = "\x1b[1;31m", "\x1b[0m"


def run(code: str, *arguments: str, folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    return subprocess.run([sys.executable, "-c", code, *arguments], env=environment, cwd=folder, capture_output=True, text=True, timeout=30)


def written(text: str) -> str:
    inner = io.StringIO()
    assert GuardedStream(inner, Redactor([SECRET])).write(text) == len(text)
    return inner.getvalue()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nothing of note\n", "nothing of note\n"),
        (f"{RED}red{PLAIN} and 60,000.10\n", f"{RED}red{PLAIN} and 60,000.10\n"),
        (f"it is {SECRET}.\n", f"it is {SHOWN}.\n"),
        (f"{RED}it is {SECRET}{PLAIN}.\n", f"{RED}it is {SHOWN}{PLAIN}.\n"),
        (f"it is {SECRET[:8]}{RED}{SECRET[8:]}{PLAIN}.\n", f"it is {SHOWN}.\n"),
        (f"│ {SECRET[:8]} │\n│ {SECRET[8:]} │\n", WITHHELD),
        (f"│ {RED}{SECRET[:8]}{PLAIN} │\n│ {SECRET[8:]} │\n", WITHHELD),
        (f"{SIGNATURE[:40]}\n{SIGNATURE[40:]}\n", WITHHELD),
        (f"signature={SIGNATURE[:40]} \n{SIGNATURE[40:]}\nand more", WITHHELD),
        ("\n".join(f"{number:032d} 1234567890123456" for number in range(9)), "\n".join(f"{number:032d} 1234567890123456" for number in range(9))),
    ],
)
def test_what_goes_through_a_guarded_stream(text: str, shown: str) -> None:
    assert written(text) == shown


@given(st.text(max_size=30), st.text(max_size=30), st.integers(1, len(SECRET) - 1), st.sampled_from(["", RED, "\n", " │\n│ ", f"{PLAIN} \n{RED}", "\\\n"]))
def test_no_style_and_no_line_break_carries_a_secret_through(before: str, after: str, at: int, between: str) -> None:
    shown = written(f"{before}{SECRET[:at]}{between}{SECRET[at:]}{after}")
    assert SECRET not in "".join(each for each in shown if each.isascii() and each.isprintable() and each not in " |\\")


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_text_without_a_secret_goes_through_as_it_is(text: str) -> None:
    assert Redactor([SECRET]).redact(text) != text or written(text) == text


def test_a_guarded_stream_is_otherwise_the_stream_that_it_was(tmp_path: Path) -> None:
    with open(tmp_path / "out", "w", encoding="utf-8") as inner:
        stream = GuardedStream(inner, Redactor([SECRET]))
        print("a", SECRET, file=stream, flush=True)
        stream.writelines([f"b {SECRET[:5]}", f"{SECRET[5:]}\n"])
        assert stream.fileno() == inner.fileno() and stream.isatty() is False and stream.encoding == "utf-8"
        stream.flush()
    assert (tmp_path / "out").read_text() == f"a {SHOWN}\nb {SHOWN}\n"


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guard]:
    monkeypatch.setattr(resource, "setrlimit", lambda *arguments: None)  # pytest itself may leave a core
    installed = install([Secret(SECRET)])
    yield installed
    installed.remove()


def test_logging_is_silent_until_somebody_listens() -> None:
    loud = "import logging\nlogging.getLogger('websockets.client').error('for nobody')\nlogging.getLogger('asyncio').critical('for nobody either')"
    listening = "logging.getLogger().addHandler(logging.StreamHandler())"
    guarded = run(f"from titan_core.execution.secrets.process import install\ninstall()\n{loud}\n{listening}\n{loud}")
    assert guarded.stdout == "" and guarded.stderr == "for nobody\nfor nobody either\n"
    assert run(loud).stderr == guarded.stderr


def test_a_secret_may_be_made_known_later_and_a_short_one_is_refused(guard: Guard, capsys: pytest.CaptureFixture[str]) -> None:
    guard.register(Secret("learned-later"))
    sys.stderr.write("learned-later\n")
    assert "learned-later" not in guard.redactor.redact("learned-later")
    with pytest.raises(TitanError, match="6 characters or more"):
        guard.register("short")


REMOVED = """
import logging, sys, threading
from titan_core.execution.secrets.process import install
def all_that_is_guarded():
    return sys.stdout, sys.stderr, sys.excepthook, threading.excepthook, sys.unraisablehook, logging.getLogRecordFactory(), logging.getLogger().handlers[:]
before = all_that_is_guarded()
guard = install(["secret-secret"])
assert all(mine != theirs for mine, theirs in zip(all_that_is_guarded(), before))
guard.remove()
assert all_that_is_guarded() == before
"""


def test_it_can_be_taken_away() -> None:
    done = run(REMOVED)
    assert done.returncode == 0, done.stderr


def test_a_log_that_is_a_link_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(tmp_path / "elsewhere")
    done = run(f"from pathlib import Path\nfrom titan_core.execution.secrets.process import install\ninstall(log=Path({str(tmp_path / 'log')!r}))")
    assert done.returncode == 1 and "OSError" in done.stderr and not (tmp_path / "elsewhere").exists()


CRASH = f"""
import faulthandler, os, resource, sys
from pathlib import Path
from titan_core.execution.secrets.process import install
hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
def sign(secret, signature):
    os.kill(os.getpid(), int(sys.argv[1]))
install([{SECRET!r}])
faulthandler.enable(all_threads=True)
kept = Path("/proc/self/coredump_filter")
print(*resource.getrlimit(resource.RLIMIT_CORE), kept.read_text().strip() if kept.exists() else "0", flush=True)
sign({SECRET[:4]!r} + {SECRET[4:]!r}, {SIGNATURE[:9]!r} + {SIGNATURE[9:]!r})
"""


@pytest.mark.parametrize("how", [signal.SIGABRT, signal.SIGSEGV, signal.SIGFPE])
def test_a_crash_tells_where_it_was_and_leaves_nothing_of_the_memory(tmp_path: Path, how: signal.Signals) -> None:
    """With faulthandler on, in a folder into which a core would go."""
    done = run(CRASH, str(int(how)), folder=tmp_path)
    assert done.returncode == -how and "Fatal Python error" in done.stderr and "in sign" in done.stderr
    assert done.stdout.split()[:2] == ["0", "0"] and int(done.stdout.split()[2], 16) == 0
    assert SECRET not in done.stderr and SIGNATURE[9:25] not in done.stderr
    assert list(tmp_path.iterdir()) == []
