"""What is made of a line, without a socket."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.app.control.fake import FakeSession
from titan_core.app.control.desk import Desk
from titan_core.app.control.messages import MAX_REASON, MAX_TRADES, Answer, Envelope, Outcome, Panic, Resume, Status, Stop, Trades, request_line
from titan_core.app.control.token import SECRET_BYTES, Direction, Token
from titan_core.errors import TitanError
from titan_core.model.units import MS, S

NOW = 1_723_161_253 * S
TOKEN = Token(b"s" * SECRET_BYTES)


class Rig:
    """A desk whose clocks stand still until they are moved."""

    def __init__(self, session: FakeSession | None = None) -> None:
        self.session = session or FakeSession()
        self.now = NOW
        self.desk = Desk(self.session, lambda: self.now, lambda: self.now - NOW)
        self.desk.token = TOKEN

    def heard(self, line: bytes) -> tuple[Answer, bool]:
        """Return the answer, and whether it is signed."""
        raw = self.desk.answer(line)
        assert raw.endswith(b"\n") and raw.count(b"\n") == 1
        envelope = msgspec.json.decode(raw, type=Envelope)
        return msgspec.json.decode(envelope.body, type=Answer), TOKEN.signed(Direction.ANSWER, bytes(envelope.body), envelope.mac)


def refused(rig: Rig, line: bytes, words: str, *, signed: bool) -> None:
    answer, is_signed = rig.heard(line)
    assert answer.outcome is Outcome.INVALID and words in answer.message
    assert is_signed is signed
    assert rig.session.asked == []


def test_an_answer_is_signed_and_to_this_message() -> None:
    rig = Rig()
    answer, signed = rig.heard(request_line(TOKEN, Status(), NOW, "n1"))
    assert (answer.outcome, answer.nonce, answer.ts_ns, answer.status, signed) == (Outcome.DONE, "n1", NOW, rig.session.now, True)
    answer, signed = rig.heard(request_line(TOKEN, Trades(3), NOW, "n2"))
    assert signed and answer.trades is not None and len(answer.trades) == 3 and answer.status is None


def test_a_message_that_is_sent_again_is_refused_and_told() -> None:
    rig = Rig(FakeSession(manner="stays"))
    line = request_line(TOKEN, Stop(flatten=True), NOW, "n")
    assert rig.heard(line)[0].outcome is Outcome.DONE
    assert rig.session.asked == [("stop", True)]
    answer, signed = rig.heard(line)
    assert (answer.outcome, signed) == (Outcome.INVALID, True) and "sent before" in answer.message
    assert rig.session.asked == [("stop", True)]


def test_an_old_message_and_one_of_the_future_are_refused_and_told() -> None:
    rig = Rig()
    refused(rig, request_line(TOKEN, Stop(), NOW - 31 * S, "n"), "31.0 s old, and 30 s are allowed", signed=True)
    refused(rig, request_line(TOKEN, Stop(), NOW + 5 * S, "n"), "5.0 s in the future", signed=True)


def test_nothing_is_signed_for_somebody_without_the_secret() -> None:
    rig = Rig()
    wrong = Token(b"x" * SECRET_BYTES)
    refused(rig, request_line(wrong, Stop(), NOW, "n"), "signature is not that of this session", signed=False)
    refused(rig, b"hello", "no message of the control protocol", signed=False)
    refused(rig, b"", "no message of the control protocol", signed=False)
    refused(rig, b'{"body": {}, "mac": "\xff"}', "no message of the control protocol", signed=False)
    body = b'{"no": "request"}'
    line = msgspec.json.encode(Envelope(msgspec.Raw(body), TOKEN.sign(Direction.REQUEST, body)))
    refused(rig, line, "this is no request", signed=False)


def test_an_answer_cannot_be_handed_back_as_a_request() -> None:
    rig = Rig()
    body = msgspec.json.encode({"command": {"type": "stop"}, "ts_ns": NOW, "nonce": "n"})
    line = msgspec.json.encode(Envelope(msgspec.Raw(body), TOKEN.sign(Direction.ANSWER, body)))
    refused(rig, line, "signature", signed=False)


@given(st.data())
def test_no_change_of_a_byte_goes_unnoticed(data: st.DataObject) -> None:
    rig = Rig()
    line = bytearray(request_line(TOKEN, Resume("why"), NOW, "n")[:-1])
    place = data.draw(st.integers(0, len(line) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda each: each != line[place]))
    line[place] = byte
    answer, signed = rig.heard(bytes(line))
    assert rig.session.asked == [] and answer.outcome is Outcome.INVALID and not signed


@given(st.binary(max_size=300))
def test_no_line_of_anybody_breaks_it(line: bytes) -> None:
    rig = Rig()
    answer, signed = rig.heard(line)
    assert answer.outcome is Outcome.INVALID and not signed


@settings(max_examples=50)
@given(st.one_of(st.none(), st.text(), st.dictionaries(st.text(max_size=5), st.integers() | st.text()), st.just({"type": "stop", "flat": True})))
def test_no_command_that_is_not_known_is_done(command: object) -> None:
    rig = Rig()
    body = msgspec.json.encode({"command": command, "ts_ns": NOW, "nonce": "n"})
    refused(rig, msgspec.json.encode(Envelope(msgspec.Raw(body), TOKEN.sign(Direction.REQUEST, body))), "does not take that command", signed=True)


@pytest.mark.parametrize("command", [Trades(0), Trades(-1), Trades(MAX_TRADES + 1), Panic("x" * (MAX_REASON + 1)), Resume("x" * (MAX_REASON + 1))])
def test_what_is_out_of_range_is_not_done(command: Trades | Panic | Resume) -> None:
    refused(Rig(), request_line(TOKEN, command, NOW, "n"), "does not take that command", signed=True)


def test_what_the_session_will_not_do_is_told_in_its_words() -> None:
    answer, signed = Rig().heard(request_line(TOKEN, Resume("why"), NOW, "n"))
    assert (answer.outcome, signed) == (Outcome.REFUSED, True)
    assert answer.message == "nothing waits for the operator in operational; `titan status` shows what it does"


def test_what_the_session_cannot_do_is_told_too() -> None:
    class Unable(FakeSession):
        def resume(self, reason: str) -> None:
            raise TitanError("the journal is full")

    answer, signed = Rig(Unable()).heard(request_line(TOKEN, Resume("why"), NOW, "n"))
    assert (answer.outcome, answer.message, signed) == (Outcome.FAILED, "the journal is full", True)


def test_one_picture_serves_all_who_ask_at_once_and_none_who_ask_after_a_command() -> None:
    rig = Rig(FakeSession(manner="stays"))
    for number in range(20):
        rig.now += 4 * MS
        answer, _ = rig.heard(request_line(TOKEN, Status(), rig.now, f"a{number}"))
        assert answer.ts_ns == NOW + 4 * MS  # and it says of when it is
    assert rig.session.pictures == 1
    rig.heard(request_line(TOKEN, Stop(), rig.now, "b"))
    answer, _ = rig.heard(request_line(TOKEN, Status(), rig.now, "c"))
    assert answer.status is not None and answer.status.stage == "stopping" and answer.ts_ns == rig.now
    rig.now += 101 * MS
    rig.heard(request_line(TOKEN, Status(), rig.now, "d"))
    assert rig.session.pictures == 3
