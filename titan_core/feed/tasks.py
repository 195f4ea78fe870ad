"""Background tasks that end with their owner and whose failures are heard; shared by whatever waits for venues."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """The tasks of one owner. A failure is a defect of the program: it goes to the loop's exception handler, with the owner's name."""

    def __init__(self, owner: str) -> None:
        """`owner` says in the message whose task has failed."""
        self._owner = owner
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something until it ends or `close` is called."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            context = {"message": f"a task of {self._owner} failed", "exception": error, "task": task}
            asyncio.get_running_loop().call_exception_handler(context)

    async def close(self) -> None:
        """Cancel what runs and wait for its end."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
