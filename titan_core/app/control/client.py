"""Asking a session from another process. Everything blocks, for a bounded time."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from titan_core.app.control.failures import ControlError
from titan_core.app.control.messages import ANSWER_BYTES, NONCE_BYTES, Answer, Command, Envelope, Outcome, Status, Trades, request_line
from titan_core.app.control.places import Places
from titan_core.app.control.port import CommandRefused
from titan_core.app.control.private import Randomness
from titan_core.app.control.sessions import SessionFile, read_session
from titan_core.app.control.socket_files import peer_user
from titan_core.app.control.token import Direction, Token, read_token
from titan_core.errors import NoAnswer, NotRunning, TitanError

TIMEOUT_S = 5.0
RETRY_S = 0.05


def ask(
    folder: Path,
    command: Command,
    *,
    timeout_s: float = TIMEOUT_S,
    clock: Callable[[], int] = time.time_ns,
    randomness: Randomness = os.urandom,
) -> Answer:
    """Ask the session in `folder` and return its answer, which is its own: signed, and to this very message.

    Raises NotRunning where none runs, NoAnswer where it says nothing in time, CommandRefused where it will not, ControlError where the way to it is not safe.
    """
    return _Asking(Places(folder), command, time.monotonic() + timeout_s, clock, randomness).until_answered()


class _Busy(Exception):
    """Nothing of the message was read; another try does no harm."""


class _Asking:
    """One question, with as many tries as nobody heard."""

    def __init__(self, places: Places, command: Command, until: float, clock: Callable[[], int], randomness: Randomness) -> None:
        self._places = places
        self._command = command
        self._until = until
        self._clock = clock
        self._randomness = randomness

    def until_answered(self) -> Answer:
        while True:
            file, token = self._session()
            try:
                return self._judged(file, self._try(file, token))
            except _Busy:
                if self._left() <= RETRY_S:
                    raise NoAnswer(f"{_who(file)} does not take the message; {self._advice()}") from None
                time.sleep(RETRY_S)

    def _session(self) -> tuple[SessionFile, Token]:
        """Read who runs there. Anew for each try: it may have ended, or begun again with another secret."""
        file = read_session(self._places)
        if file is None:
            raise NotRunning(f"no session runs in {self._places.folder}; `titan run` starts one")
        if not file.is_alive:
            raise NotRunning(f"{_who(file)} is gone: it was killed, or the machine went down; `titan run` goes on from its journal")
        token = read_token(self._places.key)
        if token is None:
            raise ControlError(f"{self._places.key} is missing, and without it {_who(file)} believes nobody; end it with `kill {file.pid}` and start it again")
        return file, token

    def _try(self, file: SessionFile, token: Token) -> Answer:
        nonce = self._randomness(NONCE_BYTES).hex()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            self._enter(door, file)
            try:
                line = self._exchange(door, request_line(token, self._command, self._clock(), nonce))
            except TimeoutError:
                raise NoAnswer(f"{_who(file)} is there and does not answer; {self._advice()}") from None
        if not line.endswith(b"\n"):
            raise self._cut_off(file)
        return _believed(line, token, nonce, file)

    def _enter(self, door: socket.socket, file: SessionFile) -> None:
        door.settimeout(max(self._left(), 0.001))
        try:
            door.connect(file.socket)
        except (FileNotFoundError, ConnectionRefusedError, BlockingIOError, TimeoutError):
            raise _Busy from None  # it is ending, or beginning, or has a long queue
        except OSError as error:
            raise ControlError(f"cannot reach {_who(file)} at {file.socket}: {error.strerror or error}") from None
        user = peer_user(door)
        if user is not None and user != os.geteuid():
            raise ControlError(f"user {user} answers at {file.socket} and you are {os.geteuid()}; that is not your session")

    def _exchange(self, door: socket.socket, request: bytes) -> bytes:
        """Send the line and return what comes back; without a line feed where the other end closed before it was whole."""
        try:
            door.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it closed without reading, and may have said why
        heard = bytearray()
        while not heard.endswith(b"\n"):
            left = self._left()
            if left <= 0:
                raise TimeoutError
            door.settimeout(left)
            try:
                part = door.recv(1 << 16)
            except ConnectionResetError:
                break
            if not part:
                break
            heard += part
            if len(heard) > ANSWER_BYTES:
                raise ControlError(f"the answer is longer than {ANSWER_BYTES >> 20} MB; no session says that much")
        return bytes(heard)

    def _cut_off(self, file: SessionFile) -> TitanError:
        for _ in range(20):  # its socket closes a moment before it counts as ended
            if not file.is_alive:
                return NotRunning(f"{_who(file)} ended while it was asked; {self._perhaps()}`titan run` goes on from its journal")
            time.sleep(0.01)
        return NoAnswer(f"{_who(file)} closed the connection without an answer; {self._advice()}")

    def _judged(self, file: SessionFile, answer: Answer) -> Answer:
        if answer.outcome is Outcome.DONE:
            return answer
        if answer.outcome is Outcome.REFUSED:
            raise CommandRefused(_plain(answer.message))
        raise ControlError(f"{_who(file)}: {_plain(answer.message)}")

    def _left(self) -> float:
        return self._until - time.monotonic()

    def _perhaps(self) -> str:
        return "" if isinstance(self._command, Status | Trades) else "whether it has acted on the command is not known; "

    def _advice(self) -> str:
        return f"{self._perhaps()}it may be hung: look after it, its protective stops rest at the venue"


def _believed(line: bytes, token: Token, nonce: str, file: SessionFile) -> Answer:
    """Return the answer once it is proven to be the session's, to this message."""
    try:
        envelope = msgspec.json.decode(line, type=Envelope)
        body = bytes(envelope.body)
        signed = bool(envelope.mac) and token.signed(Direction.ANSWER, body, envelope.mac)
        answer = msgspec.json.decode(body, type=Answer) if signed or not envelope.mac else None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ControlError(f"what answers at {file.socket} does not speak this version's control protocol: {error}") from None
    if answer is not None and not signed:
        if answer.outcome is Outcome.BUSY:
            raise _Busy
        raise ControlError(f"what answers at {file.socket} did not take the message, and shows no signature: {_plain(answer.message)}")
    if answer is None or answer.nonce != nonce:
        raise ControlError(f"the answer from {file.socket} is not signed by the session for this message; do not believe it, and look who listens there")
    return answer


def _plain(text: str) -> str:
    """Take out what a terminal would act on."""
    return "".join(each if each.isprintable() else " " for each in text)


def _who(file: SessionFile) -> str:
    return f"session {file.name!r} (process {file.pid})"
