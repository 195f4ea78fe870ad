"""A signed-in socket at MEXC: how it says who it is, and that it comes back."""

import asyncio
import hashlib
import hmac

from tests.execution.bybit.test_socket import Switchboard
from titan_core.execution.mexc.socket import SignedSocket
from titan_core.execution.socket import SocketTimes
from titan_core.simulator.clock import VirtualClock
from titan_core.simulator.virtual_loop import run_virtual

UP = {"channel": "rs.login", "data": "success", "ts": "1"}


def play(board, scene):
    told, frames = [], []

    async def main():
        socket = SignedSocket(
            board, "ws://x", "key", b"secret", lambda: 1_000, lambda: 0.0, frames.append,
            lambda: told.append("up"), told.append, times=SocketTimes(),
        )  # fmt: skip
        running = asyncio.ensure_future(socket.run())
        try:
            await scene(socket)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    run_virtual(main(), VirtualClock(0))
    return told, frames


def test_it_signs_in_as_the_venue_wants_it_and_passes_on_all_but_pongs():
    board = Switchboard(answer=UP)

    async def scene(socket):
        await asyncio.sleep(1.5)
        assert socket.is_up
        board.lines[0].say({"channel": "pong", "data": 1})
        board.lines[0].say({"channel": "push.personal.order", "data": {}})

    told, frames = play(board, scene)
    signature = hmac.new(b"secret", b"key1000", hashlib.sha256).hexdigest()
    assert board.lines[0].sent == [
        {"method": "login", "subscribe": False, "param": {"apiKey": "key", "reqTime": "1000", "signature": signature}},
        {"method": "ping"},
    ]
    assert told == ["up", "closed"] and [each["channel"] for each in frames] == ["push.personal.order"]


def test_a_refused_sign_in_is_tried_again():
    board = Switchboard(answer={"channel": "rs.error", "data": "Signature verification failed"})

    async def scene(socket):
        await asyncio.sleep(1)
        assert not socket.is_up and len(board.lines) > 1

    told, frames = play(board, scene)
    assert "up" not in told and frames == []


def test_a_line_that_says_nothing_is_given_up_and_made_anew():
    board = Switchboard(answer=UP)

    async def scene(socket):
        while len(board.lines) < 2:
            await asyncio.sleep(0.1)
        assert 2.5 < board.times[1] < 4.0, board.times

    told, _ = play(board, scene)
    assert told[:3] == ["up", "nothing heard for 2.5 s", "up"]
