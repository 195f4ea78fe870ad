"""What the session makes of a line that came in: is it a message, from whom, is it new, and what does the session say."""

import time
from collections.abc import Callable

import msgspec

from titan_core.app.control.failures import ControlError
from titan_core.app.control.freshness import Freshness
from titan_core.app.control.messages import (
    MAX_REASON,
    MAX_TRADES,
    Answer,
    Command,
    Envelope,
    Outcome,
    Panic,
    Request,
    Resume,
    Status,
    Stop,
    Trades,
    answer_line,
)
from titan_core.app.control.port import CommandRefused, Session
from titan_core.app.control.token import Direction, Token
from titan_core.app.live.status import SessionStatus
from titan_core.errors import TitanError
from titan_core.model.units import MS


class Desk:
    """Judges messages and does what the good ones ask for."""

    def __init__(self, session: Session, clock: Callable[[], int], monotonic: Callable[[], int] = time.monotonic_ns, *, picture_ns: int = 100 * MS) -> None:
        self.token: Token | None = None
        self._session = session
        self._clock = clock
        self._monotonic = monotonic
        self._freshness = Freshness(clock, monotonic)
        self._picture_ns = picture_ns
        self._picture: tuple[int, int, SessionStatus] | None = None

    def answer(self, line: bytes) -> bytes:
        """Return the answer to one line. Signed from where the sender has shown that they know the secret."""
        try:
            envelope = msgspec.json.decode(line, type=Envelope)
        except (msgspec.DecodeError, UnicodeError) as error:
            return self.unsigned(f"this is no message of the control protocol: {error}", Outcome.INVALID)
        body = bytes(envelope.body)
        if self.token is None or not self.token.signed(Direction.REQUEST, body, envelope.mac):
            return self.unsigned("the signature is not that of this session's secret", Outcome.INVALID)
        try:
            request = msgspec.json.decode(body, type=Request)
        except (msgspec.DecodeError, UnicodeError) as error:
            return self.unsigned(f"this is no request: {error}", Outcome.INVALID)
        return answer_line(self._judge(request), self.token)

    def unsigned(self, message: str, outcome: Outcome) -> bytes:
        """Return an answer for somebody who has shown nothing."""
        return answer_line(Answer(outcome=outcome, ts_ns=self._clock(), message=message), None)

    def _judge(self, request: Request) -> Answer:
        problem = self._freshness.problem(request.ts_ns, request.nonce)
        if problem:
            return self._say(request, Outcome.INVALID, problem)
        try:
            command = msgspec.json.decode(request.command, type=Command)
            _check(command)
        except (msgspec.DecodeError, UnicodeError, ControlError) as error:
            return self._say(request, Outcome.INVALID, f"this session does not take that command: {error}")
        try:
            return self._do(request, command)
        except CommandRefused as error:
            return self._say(request, Outcome.REFUSED, str(error))
        except TitanError as error:
            return self._say(request, Outcome.FAILED, str(error))

    def _do(self, request: Request, command: Command) -> Answer:
        if isinstance(command, Status):
            taken, status = self._look()
            return Answer(outcome=Outcome.DONE, ts_ns=taken, nonce=request.nonce, status=status)
        if isinstance(command, Trades):
            trades = tuple(self._session.trades(command.last))
            return Answer(outcome=Outcome.DONE, ts_ns=self._clock(), nonce=request.nonce, trades=trades)
        self._picture = None
        if isinstance(command, Stop):
            self._session.stop(flatten=command.flatten)
        elif isinstance(command, Panic):
            self._session.panic(command.reason)
        else:
            self._session.resume(command.reason)
        return self._say(request, Outcome.DONE, "")

    def _look(self) -> tuple[int, SessionStatus]:
        since = self._monotonic()
        if self._picture is None or since - self._picture[0] >= self._picture_ns:
            self._picture = (since, self._clock(), self._session.status())
        return self._picture[1:]

    def _say(self, request: Request, outcome: Outcome, message: str) -> Answer:
        return Answer(outcome=outcome, ts_ns=self._clock(), nonce=request.nonce, message=message)


def _check(command: Command) -> None:
    if isinstance(command, Trades) and not 1 <= command.last <= MAX_TRADES:
        raise ControlError(f"1 to {MAX_TRADES} trades can be asked for, found {command.last}")
    if isinstance(command, Panic | Resume) and len(command.reason) > MAX_REASON:
        raise ControlError(f"a reason may have {MAX_REASON} characters, found {len(command.reason)}")
