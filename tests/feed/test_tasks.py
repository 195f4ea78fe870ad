"""Background tasks end with their owner; what fails is heard."""

import asyncio

from titan_core.feed.tasks import Tasks
from titan_core.feed.transport import retry_pause_s


def test_what_fails_is_told_with_its_owners_name_and_what_is_cancelled_is_not():
    async def scene():
        heard, tasks = [], Tasks("the test")
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: heard.append((context["message"], str(context["exception"]))))

        async def fail():
            raise RuntimeError("boom")

        async def wait(ends):
            try:
                await asyncio.sleep(3_600)
            finally:
                ends.append(True)

        ends = []
        tasks.start(fail())
        tasks.start(wait(ends))
        await asyncio.sleep(0.01)
        await tasks.close()
        assert heard == [("a task of the test failed", "boom")] and ends == [True]
        await tasks.close()

    asyncio.run(scene())


def test_pauses_double_up_to_the_longest_and_leave_half_to_chance():
    assert [retry_pause_s(n, 0.25, 30.0, 0.0) for n in (0, 1, 2, 6, 7, 50)] == [0.125, 0.25, 0.5, 8.0, 15.0, 15.0]
    assert retry_pause_s(2, 0.25, 30.0, 0.999) < 1.0
