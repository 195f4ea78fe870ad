"""Reading while the journal is being written."""

import asyncio
import threading
from pathlib import Path

from titan_core.journal.journal import open_journal
from titan_core.journal.reading import read

from .parts import CODEC, SMALL, clock, intent


def test_readers_see_a_whole_beginning_that_only_grows(tmp_path: Path) -> None:
    seen: list[list[int]] = [[], [], []]
    failures: list[BaseException] = []
    stop = threading.Event()

    def follow(mine: list[int]) -> None:
        try:
            while not stop.is_set():
                after = mine[-1] if mine and len(mine) % 2 else 0
                found = [record.seq for record in read(tmp_path, CODEC, after=after)]
                assert found == list(range(after + 1, after + 1 + len(found)))
                total = after + len(found)
                assert total >= (mine[-1] if mine else 0)
                mine.append(total)
        except BaseException as error:
            failures.append(error)

    async def scene() -> int:
        journal, _ = open_journal(tmp_path, CODEC, clock=clock, loop=asyncio.get_running_loop(), limits=SMALL)
        readers = [threading.Thread(target=follow, args=(mine,)) for mine in seen]
        for reader in readers:
            reader.start()
        for number in range(1, 1_501):
            seq = journal.append(intent(number))
            if number % 10 == 0:
                await journal.durable(seq)
        journal.close()
        stop.set()
        for reader in readers:
            reader.join()
        return seq

    last = asyncio.run(scene())
    assert failures == []
    assert all(len(mine) > 3 for mine in seen)
    assert [record.entry for record in read(tmp_path, CODEC)] == [intent(number) for number in range(1, last + 1)]
    assert [record.seq for record in read(tmp_path, CODEC, after=last - 3)] == [last - 2, last - 1, last]
