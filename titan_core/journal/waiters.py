"""Who waits for entries to come to disk; the same for the journal on disk and the one in memory."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count

from titan_core.journal.failures import JournalError
from titan_core.journal.port import OnDurable, OnFailed


class Waiters:
    """Calls on the loop's thread, in the order of sequence numbers, and among equal ones in the order of asking."""

    def __init__(self, again: Callable[[], None]) -> None:
        """`again` arranges for another delivery at the loop's next turn; it is called where a callback has raised."""
        self._again = again
        self._waiting: list[tuple[int, int, OnDurable, OnFailed | None]] = []
        self._order = count()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, seq: int, fn: OnDurable, failed: OnFailed | None) -> None:
        """Wait for an entry."""
        heapq.heappush(self._waiting, (seq, next(self._order), fn, failed))

    def deliver(self, durable_seq: int, refusal: Callable[[], JournalError] | None) -> None:
        """Call whoever waited for what is durable; with `refusal`, tell all others that it will not be."""
        while self._waiting:
            seq, _, fn, failed = self._waiting[0]
            done = seq <= durable_seq
            if not done and refusal is None:
                return
            heapq.heappop(self._waiting)
            try:
                if done:
                    fn()
                elif failed is not None and refusal is not None:
                    failed(refusal())
            except BaseException:  # the loop reports it; whoever else waits is called by the next turn
                self._again()
                raise

    def forget(self) -> None:
        """Call nobody any more, as after a crash."""
        self._waiting.clear()


async def wait_for(when_durable: Callable[[int, OnDurable, OnFailed], None], seq: int) -> None:
    """Return once an entry is durable; raises what its waiter would be told."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(error: JournalError) -> None:
        if not done.done():
            done.set_exception(error)

    when_durable(seq, lambda: None if done.done() else done.set_result(None), fail)
    await done
