"""The socket of a session, with clients that mean well, that are slow, and that mean no good."""

import asyncio
import os
import select
import socket
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.app.control.fake import FakeSession, in_thread
from tests.app.control.processes import in_process
from titan_core.app.control.client import ask
from titan_core.app.control.failures import ControlError, SessionRunning
from titan_core.app.control.messages import LINE_BYTES, NONCE_BYTES, Outcome, Panic, Status, Stop, request_line
from titan_core.app.control.places import Places
from titan_core.app.control.server import ControlServer, Limits
from titan_core.app.control.sessions import read_session
from titan_core.app.control.token import read_token


def knock(folder: Path) -> socket.socket:
    """Connect as anybody could."""
    file = read_session(Places(folder))
    assert file is not None
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.settimeout(10)
    door.connect(file.socket)
    return door


def said(door: socket.socket) -> str:
    """Return all that the other end says until it closes."""
    heard = b""
    while True:
        try:
            part = door.recv(65_536)
        except ConnectionResetError:
            part = b""
        if not part:
            return heard.decode()
        heard += part


def test_fifty_ask_at_once_and_each_gets_its_own_answer(root: Path) -> None:
    with in_thread(root / "paper") as session, ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda number: ask(root / "paper", Status(), timeout_s=20), range(50)))
    assert {each.outcome for each in answers} == {Outcome.DONE}
    assert {each.status for each in answers} == {session.now}
    assert len({each.nonce for each in answers}) == 50


def test_a_message_that_was_overheard_is_refused(root: Path) -> None:
    with in_thread(root / "paper", FakeSession(manner="stays")) as session:
        token = read_token(root / "paper" / "control.key")
        assert token is not None
        line = request_line(token, Stop(), time.time_ns(), os.urandom(NONCE_BYTES).hex())
        told = []
        for _ in range(2):
            with knock(root / "paper") as door:
                door.sendall(line)
                told.append(said(door))
        assert '"outcome":"done"' in told[0] and '"outcome":"invalid"' in told[1] and "sent before" in told[1]
        assert session.asked == [("stop", False)]


def test_a_line_that_is_too_long_is_refused_before_it_has_ended(root: Path) -> None:
    with in_thread(root / "paper"), knock(root / "paper") as door:
        door.sendall(b"x" * (LINE_BYTES + 1))
        assert f"a message may have {LINE_BYTES} bytes" in said(door)


def test_a_line_may_come_in_pieces_and_only_one_is_answered(root: Path) -> None:
    with in_thread(root / "paper"), knock(root / "paper") as door:
        token = read_token(root / "paper" / "control.key")
        assert token is not None
        line = request_line(token, Status(), time.time_ns(), "n")
        for byte in line[:-1]:
            door.sendall(bytes([byte]))
        door.sendall(line[-1:] + b'{"more": 1}\n')
        assert said(door).count("\n") == 1


def test_who_says_nothing_is_put_out(root: Path) -> None:
    with in_thread(root / "paper", limits=Limits(ask_s=0.2)), knock(root / "paper") as door:
        assert said(door) == ""


def test_a_panic_gets_in_however_many_hold_the_door(root: Path) -> None:
    with in_thread(root / "paper", limits=Limits(connections=8)) as session:
        doors = [knock(root / "paper") for _ in range(20)]
        since = time.monotonic()
        assert ask(root / "paper", Panic("now")).outcome is Outcome.DONE
        assert time.monotonic() - since < 4  # whoever holds it has 5 s
        assert session.asked == [("panic", "now")]
        assert "another client needed the place" in said(doors[0])
        for door in doors:
            door.close()


@contextmanager
def stuck_client(folder: Path) -> Iterator[socket.socket]:
    """A client that has asked for more than the system keeps for it, and takes nothing."""
    token = read_token(folder / "control.key")
    assert token is not None
    with knock(folder) as door:
        door.sendall(request_line(token, Status(), time.time_ns(), "n"))
        assert select.select([door], [], [], 20)[0]  # the answer has begun
        yield door


def talkative() -> FakeSession:
    session = FakeSession()
    session.now = replace(session.now, brain="x" * 4_000_000)
    return session


def test_a_client_that_does_not_take_its_answer_keeps_nobody_waiting(root: Path) -> None:
    with in_thread(root / "paper", talkative(), limits=Limits(take_s=60)), stuck_client(root / "paper"):
        since = time.monotonic()
        assert ask(root / "paper", Panic("meanwhile")).outcome is Outcome.DONE
        assert time.monotonic() - since < 10


def test_a_client_that_does_not_take_its_answer_is_put_out(root: Path) -> None:
    with in_thread(root / "paper", talkative(), limits=Limits(take_s=0.2)), stuck_client(root / "paper") as door:
        end = select.poll()
        end.register(door, 0)
        assert end.poll(20_000) and not said(door).endswith("\n")


def test_only_those_who_are_allowed_come_in(root: Path) -> None:
    with in_thread(root / "paper", allowed=frozenset({os.geteuid() + 1})) as session:
        with pytest.raises(ControlError, match=f"user {os.geteuid()} may not ask this session"):
            ask(root / "paper", Panic("x"))
        assert session.asked == []


def test_a_second_session_in_the_same_folder_is_refused_and_changes_nothing(root: Path) -> None:
    with in_process(root / "paper") as running:
        with pytest.raises(SessionRunning, match=f"session 'paper' runs already, as process {running.pid}") as caught, in_thread(root / "paper"):
            pass
        assert caught.value.pid == running.pid
        assert ask(root / "paper", Status()).outcome is Outcome.DONE


def test_what_a_killed_session_left_behind_is_cleared_away(root: Path) -> None:
    with in_process(root / "paper") as running:
        running.kill()
        running.wait()
        assert {path.name for path in (root / "paper").iterdir()} == {"control.key", "control.sock", "session.json"}
        with in_thread(root / "paper"):
            assert ask(root / "paper", Status()).outcome is Outcome.DONE
        assert list((root / "paper").iterdir()) == []


def test_something_else_in_the_sockets_place_is_not_removed(root: Path) -> None:
    (root / "paper").mkdir()
    (root / "paper" / "control.sock").write_text("mine")
    with pytest.raises(ControlError, match="cannot make the socket"), in_thread(root / "paper"):
        pass
    assert (root / "paper" / "control.sock").read_text() == "mine"
    assert not (root / "paper" / "session.json").exists()


def test_a_path_that_is_too_long_for_a_socket_has_a_stand_in(root: Path) -> None:
    folder = root / ("d" * 60) / ("e" * 60) / "paper"
    with in_thread(folder):
        file = read_session(Places(folder))
        assert file is not None
        path = Path(file.socket)
        assert len(os.fsencode(path)) <= 100 and path.parent != folder
        assert path.parent.stat().st_mode & 0o777 == 0o700 and stat.S_ISSOCK(path.lstat().st_mode)
        assert ask(folder, Status()).outcome is Outcome.DONE
    assert not path.parent.exists()


def test_the_stand_in_of_a_killed_session_is_cleared_away_too(root: Path) -> None:
    folder = root / ("d" * 100) / "paper"
    with in_process(folder) as running:
        file = read_session(Places(folder))
        assert file is not None
        running.kill()
        running.wait()
        assert Path(file.socket).exists()
        with in_thread(folder):
            assert not Path(file.socket).parent.exists()


def test_where_no_path_is_short_enough_it_is_said_what_to_do(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = root / ("t" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with pytest.raises(ControlError, match="a socket's path may have 100 bytes; .* give a shorter --state"), in_thread(root / ("d" * 100)):
        pass
    assert list(deep.iterdir()) == []


def test_an_answer_on_its_way_gets_out_before_the_end(root: Path) -> None:
    """A session that ends in the same turn in which it was told to."""

    class Hasty(FakeSession):
        def stop(self, *, flatten: bool) -> None:
            if self.ended is not None:
                self.ended.set()

    with in_thread(root / "paper", Hasty()):
        assert ask(root / "paper", Stop()).outcome is Outcome.DONE


def test_a_defect_of_the_session_closes_the_connection_and_nothing_else(root: Path) -> None:
    class Defective(FakeSession):
        def panic(self, reason: str) -> None:
            raise ZeroDivisionError

    heard: list[object] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: heard.append(context["exception"]))
        async with ControlServer(root / "paper", Defective()):
            done = threading.Event()

            def client() -> None:
                with knock(root / "paper") as door:
                    token = read_token(root / "paper" / "control.key")
                    assert token is not None
                    door.sendall(request_line(token, Panic("x"), time.time_ns(), "n"))
                    assert said(door) == ""
                assert ask(root / "paper", Status()).outcome is Outcome.DONE
                done.set()

            await loop.run_in_executor(None, client)
            assert done.is_set()

    asyncio.run(run())
    assert [type(each) for each in heard] == [ZeroDivisionError]


def test_closing_twice_and_closing_what_never_began_does_no_harm(root: Path) -> None:
    async def run() -> None:
        server = ControlServer(root / "paper", FakeSession())
        await server.close()
        await server.start()
        await server.close()
        await server.close()

    asyncio.run(run())
