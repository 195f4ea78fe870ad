"""A socket that stands by itself ends when it is told to, whatever happens at the same moment."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from titan_core.execution.socket import SocketTimes, StandingSocket
from titan_core.feed.transport import Connection, Transport


class Idle(Connection):
    """A connection on which nothing happens."""

    def send(self, payload: bytes) -> None:
        """It is taken."""

    @property
    def is_open(self) -> bool:
        return True

    async def close(self) -> None:
        await asyncio.sleep(0)


class Always(Transport):
    """Connects at once."""

    async def connect(self, url: str, **settings: Any) -> Connection:
        return Idle()


class Plain(StandingSocket):
    """A venue of no words."""

    @property
    def ping(self) -> bytes:
        return b"ping"

    def sign_in(self) -> None:
        self.signed_in()

    def take(self, said: Mapping[str, Any]) -> None:
        """Nothing is said."""


@pytest.mark.parametrize("turns", range(8))
def test_it_ends_even_where_its_connection_ends_at_the_same_moment(turns: int) -> None:
    """An event that comes with the cancellation must not swallow it: a session that is stopped would wait for its account for ever."""

    async def main() -> None:
        socket = Plain(
            Always(), "ws://x", "key", b"secret", lambda: 0, lambda: 0.0, lambda said: None, lambda: None, lambda reason: None, SocketTimes(first_retry_s=0.0)
        )
        running = asyncio.create_task(socket.run())
        await asyncio.sleep(0.01)
        socket.drop("the venue has closed it")
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        done, _ = await asyncio.wait({running}, timeout=1.0)
        assert done, "it goes on although it was cancelled"

    asyncio.run(main())
