"""Which session is meant, and whether it lives."""

import os
import signal
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.app.control.fake import in_thread
from tests.app.control.processes import in_process
from titan_core.app.control.failures import ControlError
from titan_core.app.control.places import Places, places
from titan_core.app.control.private import make_folder, write_file
from titan_core.app.control.processes import is_alive, start_mark
from titan_core.app.control.sessions import SessionFile, choose_session, find_sessions, read_session, write_session
from titan_core.errors import NotRunning, UsageError

GONE = SessionFile(name="gone", pid=2**22 - 3, mark="never", started_ns=1, mode="paper", market="built-in", socket="/nowhere")


def put(root: Path, name: str, *, alive: bool) -> Places:
    at = places(root, name)
    make_folder(at.folder)
    file = replace(GONE, name=name)
    if alive:
        file = replace(file, pid=os.getpid(), mark=start_mark(os.getpid()) or "")
    write_session(at, file, os.urandom)
    return at


def test_a_number_alone_does_not_make_a_process() -> None:
    mark = start_mark(os.getpid())
    assert mark and is_alive(os.getpid(), mark)
    assert not is_alive(os.getpid(), mark + "0")
    assert not is_alive(GONE.pid, mark)
    assert is_alive(os.getpid(), "")


def test_where_the_system_tells_nothing_the_number_counts(tmp_path: Path) -> None:
    assert start_mark(os.getpid(), tmp_path) == ""
    assert start_mark(GONE.pid, tmp_path) is None
    assert is_alive(os.getpid(), "anything", tmp_path)


def test_a_process_that_was_killed_is_gone_before_its_parent_takes_note(root: Path) -> None:
    with in_process(root / "paper") as running:
        file = read_session(Places(root / "paper"))
        assert file is not None and file.pid == running.pid and file.is_alive
        running.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)  # a zombie now
        assert not file.is_alive
        assert [(each.file, each.alive) for each in find_sessions(root)] == [(file, False)]


def test_the_only_one_that_runs_is_meant(root: Path) -> None:
    put(root, "old", alive=False)
    running = put(root, "paper", alive=True)
    assert choose_session(root, None) == running
    put(root, "live", alive=True)
    with pytest.raises(UsageError, match=r"2 sessions run: live \(paper, process \d+\), paper \(.*; say which with --name"):
        choose_session(root, None)
    assert choose_session(root, "paper") == running


def test_where_none_runs_it_is_said_what_was_killed(root: Path) -> None:
    for empty in (root, root / "not there"):
        with pytest.raises(NotRunning, match=f"no session runs; sessions are kept in {empty}"):
            choose_session(empty, None)
    put(root, "one", alive=False)
    assert choose_session(root, None).folder.name == "one"
    put(root, "two", alive=False)
    with pytest.raises(NotRunning, match="no session runs; killed or crashed: one .*, two "):
        choose_session(root, None)
    put(root, "three", alive=True)
    with pytest.raises(NotRunning, match="no session 'four' runs; running: three "):
        choose_session(root, "four")
    with pytest.raises(UsageError):
        choose_session(root, "../four")


def test_a_damaged_or_foreign_file_is_no_session(root: Path) -> None:
    at = put(root, "paper", alive=True)
    write_file(at.session, b'{"name": 1}', os.urandom)
    with pytest.raises(ControlError, match="is damaged"):
        read_session(at)
    assert find_sessions(root) == ()
    put(root, "paper", alive=True)
    at.session.chmod(0o644)
    assert find_sessions(root) == ()
    with pytest.raises(ControlError, match="has mode 0644"):
        choose_session(root, "paper")


def test_a_session_tells_who_it_is_while_it_runs(root: Path) -> None:
    with in_thread(root / "paper") as session:
        (found,) = find_sessions(root)
        assert found.alive
        file = found.file
        assert (file.name, file.pid, file.mode, file.market) == ("paper", os.getpid(), "paper", "built-in")
        assert file.started_ns == session.now.started_ns
        assert (root / "paper").stat().st_mode & 0o777 == 0o700
        assert Path(file.socket).stat().st_mode & 0o777 == 0o600
    assert find_sessions(root) == () and list((root / "paper").iterdir()) == []
