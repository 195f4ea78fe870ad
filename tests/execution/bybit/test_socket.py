"""A signed-in socket stays alive: it notices silence and ends, comes back, and is not misled by what an old connection still says."""

import asyncio
import hashlib
import hmac
import json

from titan_core.errors import VenueUnavailable
from titan_core.execution.bybit.socket import AuthenticatedSocket, SocketTimes
from titan_core.simulator.clock import VirtualClock
from titan_core.simulator.virtual_loop import run_virtual

UP = {"op": "auth", "success": True}


class Line:
    """One connection of a transport that is played by the test."""

    def __init__(self, on_frame, on_closed):
        self.on_frame, self.on_closed, self.sent, self.is_open = on_frame, on_closed, [], True

    def send(self, payload):
        self.sent.append(json.loads(payload))

    def say(self, message):
        self.on_frame(json.dumps(message).encode())

    async def close(self):
        self.is_open = False


class Switchboard:
    """A transport whose connections answer a sign-in and then say what the test makes them say."""

    def __init__(self, refusals=0, answer=UP):
        self.lines, self.refusals, self.answer, self.times = [], refusals, answer, []

    async def connect(self, url, *, on_frame, on_closed, **_):
        self.times.append(asyncio.get_running_loop().time())
        if self.refusals:
            self.refusals -= 1
            raise VenueUnavailable("nobody there")
        line = Line(on_frame, on_closed)
        self.lines.append(line)
        asyncio.get_running_loop().call_soon(lambda: line.say(self.answer))
        return line


def play(board, scene, **times):
    """Run a socket on a switchboard while a scene lasts; return what it told."""
    told, frames = [], []

    async def main():
        socket = AuthenticatedSocket(
            board, "ws://x", "key", b"secret", lambda: 1_000, lambda: 0.0, frames.append,
            lambda: told.append("up"), lambda reason: told.append(reason), times=SocketTimes(**times),
        )  # fmt: skip
        running = asyncio.ensure_future(socket.run())
        try:
            await scene(socket)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    run_virtual(main(), VirtualClock(0))
    return told, frames


def test_it_signs_in_as_the_venue_wants_it():
    board = Switchboard()

    async def scene(socket):
        await asyncio.sleep(0.1)
        assert socket.is_up

    told, frames = play(board, scene)
    signature = hmac.new(b"secret", b"GET/realtime11000", hashlib.sha256).hexdigest()
    assert board.lines[0].sent[0] == {"op": "auth", "args": ["key", 11_000, signature]}
    assert told == ["up", "closed"] and frames == []


def test_a_line_that_says_nothing_is_given_up_and_made_anew():
    board = Switchboard()

    async def scene(socket):
        while len(board.lines) < 2:
            await asyncio.sleep(0.1)
        assert 2.5 < board.times[1] < 4.0, board.times

    told, _ = play(board, scene)
    assert told[:3] == ["up", "nothing heard for 2.5 s", "up"]
    assert not board.lines[0].is_open and {"op": "ping"} in board.lines[0].sent


def test_what_an_old_line_still_says_does_not_touch_the_new_one():
    board = Switchboard()

    async def scene(socket):
        await asyncio.sleep(0.1)
        board.lines[0].on_closed("reset")
        while len(board.lines) < 2:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)
        board.lines[0].say({"topic": "order", "data": []})
        board.lines[0].on_closed("late news")
        await asyncio.sleep(0.5)
        assert socket.is_up and len(board.lines) == 2

    told, frames = play(board, scene)
    assert told[:3] == ["up", "reset", "up"] and frames == []


def test_a_refused_sign_in_is_told_with_its_reason():
    board = Switchboard(answer={"op": "auth", "success": False, "retCode": 10003, "retMsg": "Invalid apikey"})

    async def scene(socket):
        await asyncio.sleep(1)
        assert not socket.is_up and len(board.lines) > 1

    told, _ = play(board, scene)
    assert "up" not in told


def test_it_waits_longer_after_each_failure_but_not_for_ever():
    board = Switchboard(refusals=12)

    async def scene(socket):
        while not board.lines:
            await asyncio.sleep(0.1)

    play(board, scene)
    pauses = [round(b - a, 6) for a, b in zip(board.times, board.times[1:], strict=False)]
    assert pauses == sorted(pauses) and abs(pauses[0] - 0.1) < 0.01 and abs(pauses[-1] - 7.5) < 0.01


def test_an_unreadable_frame_ends_the_line():
    board = Switchboard()

    async def scene(socket):
        await asyncio.sleep(0.1)
        board.lines[0].on_frame(b"<html>")
        await asyncio.sleep(1)
        assert socket.is_up and len(board.lines) == 2

    told, _ = play(board, scene)
    assert told[1] == "an unreadable frame"
