"""Asking: what is believed, and what is said where nothing can be."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from tests.app.control.fake import in_thread
from tests.app.control.pictures import calm
from tests.app.control.processes import in_process
from titan_core.app.control.client import ask
from titan_core.app.control.failures import ControlError
from titan_core.app.control.messages import Answer, Envelope, Outcome, Panic, Request, Resume, Status, Stop, answer_line
from titan_core.app.control.places import Places
from titan_core.app.control.port import CommandRefused
from titan_core.app.control.private import make_folder
from titan_core.app.control.processes import start_mark
from titan_core.app.control.sessions import SessionFile, write_session
from titan_core.app.control.token import Token, make_token
from titan_core.errors import NoAnswer, NotRunning


@contextmanager
def impostor(folder: Path, reply: Callable[[bytes, Token], bytes]) -> Iterator[None]:
    """Something that listens where a session should, and has the secret only as far as `reply` uses it."""
    at = Places(folder)
    make_folder(folder)
    token = make_token(at.key, os.urandom)
    mark = start_mark(os.getpid()) or ""
    write_session(at, SessionFile(name="paper", pid=os.getpid(), mark=mark, started_ns=1, mode="paper", market="built-in", socket=str(at.socket)), os.urandom)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.bind(str(at.socket))
        door.listen()
        over = threading.Event()

        def serve() -> None:
            door.settimeout(0.05)
            while not over.is_set():
                try:
                    client, _ = door.accept()
                except TimeoutError:
                    continue
                with client:
                    client.settimeout(5)
                    line = client.recv(65_536)
                    if line:
                        with suppress(BrokenPipeError):  # it may have lost patience
                            client.sendall(reply(line, token))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def nonce_of(line: bytes) -> str:
    envelope = msgspec.json.decode(line, type=Envelope)
    return msgspec.json.decode(envelope.body, type=Request).nonce


def good(line: bytes, **more: object) -> Answer:
    return msgspec.structs.replace(Answer(outcome=Outcome.DONE, ts_ns=1, nonce=nonce_of(line), status=calm()), **more)


def test_the_picture_arrives_as_it_was_taken(root: Path) -> None:
    with in_thread(root / "paper") as session:
        answer = ask(root / "paper", Status())
        assert answer.status == session.now
        assert abs(time.time_ns() - answer.ts_ns) < 5e9


def test_an_answer_that_is_the_sessions_is_believed(root: Path) -> None:
    with impostor(root / "paper", lambda line, token: answer_line(good(line), token)):
        assert ask(root / "paper", Status()).status == calm()


def test_a_fake_socket_cannot_pretend_to_be_the_session(root: Path) -> None:
    with impostor(root / "paper", lambda line, token: answer_line(good(line), Token(b"x" * 32))), pytest.raises(ControlError, match="do not believe it"):
        ask(root / "paper", Panic("x"))
    with impostor(root / "other", lambda line, token: answer_line(good(line), None)), pytest.raises(ControlError, match="shows no signature"):
        ask(root / "other", Panic("x"))


def test_an_answer_that_was_changed_on_its_way_is_not_believed(root: Path) -> None:
    def tamper(line: bytes, token: Token) -> bytes:
        return answer_line(good(line), token).replace(b'"gate":"open"', b'"gate":"shut"')

    with impostor(root / "paper", tamper), pytest.raises(ControlError, match="is not signed by the session"):
        ask(root / "paper", Status())


def test_an_answer_to_another_message_is_not_believed(root: Path) -> None:
    with impostor(root / "paper", lambda line, token: answer_line(good(line, nonce="0" * 32), token)), pytest.raises(ControlError, match="for this message"):
        ask(root / "paper", Status())


def test_a_request_that_comes_back_is_no_answer(root: Path) -> None:
    with impostor(root / "paper", lambda line, token: line), pytest.raises(ControlError):
        ask(root / "paper", Status())


@pytest.mark.parametrize("junk", [b"HTTP/1.1 400 Bad Request\n", b"{}\n", b'{"body":1}\n', b"\xff\xfe\n", b'{"body":{},"mac":"x"}\n'])
def test_what_speaks_another_language_is_no_session(root: Path, junk: bytes) -> None:
    with impostor(root / "paper", lambda line, token: junk), pytest.raises(ControlError):
        ask(root / "paper", Status())


def test_what_a_stranger_says_does_not_reach_the_terminal_as_it_is(root: Path) -> None:
    def shout(line: bytes, token: Token) -> bytes:
        return answer_line(Answer(outcome=Outcome.INVALID, ts_ns=1, message="\x1b[2Jhello\n\x07"), None)

    with impostor(root / "paper", shout), pytest.raises(ControlError, match="hello") as caught:
        ask(root / "paper", Status())
    assert str(caught.value).isprintable()


def test_who_is_always_busy_does_not_answer(root: Path) -> None:
    busy = answer_line(Answer(outcome=Outcome.BUSY, ts_ns=1), None)
    with impostor(root / "paper", lambda line, token: busy), pytest.raises(NoAnswer, match="does not take the message|does not answer"):
        ask(root / "paper", Status(), timeout_s=0.3)


def test_a_refusal_of_the_session_is_told(root: Path) -> None:
    with in_thread(root / "paper"), pytest.raises(CommandRefused, match="nothing waits for the operator"):
        ask(root / "paper", Resume("why"))


def test_a_clock_that_is_wrong_is_told(root: Path) -> None:
    with in_thread(root / "paper"), pytest.raises(ControlError, match="in the future; has the clock been set"):
        ask(root / "paper", Status(), clock=lambda: time.time_ns() + 60 * 10**9)


def test_where_nothing_runs_it_is_said(root: Path) -> None:
    with pytest.raises(NotRunning, match="no session runs in"):
        ask(root / "paper", Status())
    (root / "paper").mkdir(mode=0o700)
    with pytest.raises(NotRunning, match="no session runs in"):
        ask(root / "paper", Status())


@pytest.mark.parametrize(("name", "mode"), [("control.key", 0o644), ("session.json", 0o640)])
def test_a_file_that_is_not_safe_is_refused(root: Path, name: str, mode: int) -> None:
    with in_thread(root / "paper"):
        (root / "paper" / name).chmod(mode)
        with pytest.raises(ControlError, match=f"{name} has mode {mode:04o}"):
            ask(root / "paper", Status())


def test_a_link_in_place_of_the_secret_is_refused(root: Path) -> None:
    with in_thread(root / "paper"):
        (root / "paper" / "control.key").rename(root / "elsewhere")
        (root / "paper" / "control.key").symlink_to(root / "elsewhere")
        with pytest.raises(ControlError, match="control.key is a symbolic link"):
            ask(root / "paper", Status())


def test_without_the_secret_it_is_said_how_to_end_the_session(root: Path) -> None:
    with in_thread(root / "paper"):
        (root / "paper" / "control.key").unlink()
        with pytest.raises(ControlError, match=f"control.key is missing.*kill {os.getpid()}"):
            ask(root / "paper", Status())


def test_a_folder_that_others_can_write_is_refused(root: Path) -> None:
    with in_thread(root / "paper"):
        (root / "paper").chmod(0o777)
        with pytest.raises(ControlError, match="can be written by others"):
            ask(root / "paper", Status())


def test_a_session_that_was_killed_is_recognised(root: Path) -> None:
    with in_process(root / "paper") as running:
        running.kill()
        running.wait()
        with pytest.raises(NotRunning, match=rf"session 'paper' \(process {running.pid}\) is gone: it was killed.*goes on from its journal"):
            ask(root / "paper", Status())


def test_a_session_that_is_killed_while_it_is_asked_is_recognised(root: Path) -> None:
    with in_process(root / "paper", "dies") as running:
        with pytest.raises(NotRunning, match="ended while it was asked; `titan run` goes on"):
            ask(root / "paper", Status())
        assert running.wait() == -signal.SIGKILL


def test_one_that_is_killed_over_a_command_may_have_done_it(root: Path) -> None:
    with in_process(root / "paper") as running:
        running.send_signal(signal.SIGSTOP)
        threading.Timer(0.3, running.kill).start()
        with pytest.raises(NotRunning, match="ended while it was asked; whether it has acted on the command is not known"):
            ask(root / "paper", Stop())


def test_a_session_that_hangs_is_told_from_one_that_is_gone(root: Path) -> None:
    with in_process(root / "paper", "hangs"):
        since = time.monotonic()
        with pytest.raises(NoAnswer, match="is there and does not answer; it may be hung"):
            ask(root / "paper", Status(), timeout_s=0.4)
        assert time.monotonic() - since < 2


def test_of_a_command_without_an_answer_it_is_said_that_its_fate_is_not_known(root: Path) -> None:
    with in_process(root / "paper") as running:
        running.send_signal(signal.SIGSTOP)
        with pytest.raises(NoAnswer, match="whether it has acted on the command is not known"):
            ask(root / "paper", Stop(), timeout_s=0.3)
        running.send_signal(signal.SIGCONT)


def test_a_session_that_does_not_listen_yet_is_waited_for(root: Path) -> None:
    at = Places(root / "paper")
    with in_thread(root / "paper"):
        at.socket.rename(root / "aside")
        threading.Timer(0.2, lambda: (root / "aside").rename(at.socket)).start()
        assert ask(root / "paper", Status(), timeout_s=10).outcome is Outcome.DONE
