"""A disk that loses what was not synced: nothing acknowledged is among it."""

import asyncio
from pathlib import Path

import pytest

from titan_core.journal.failures import JournalBroken
from titan_core.journal.journal import open_journal
from titan_core.journal.recovery import recover

from .parts import CODEC, SMALL, ForgetfulFiles, State, clock, intent


async def write_until_the_power_goes(folder: Path, seed: int, first: int) -> int:
    """Append, snapshot and rotate, then cut the power in the middle of it; return the last number that was acknowledged."""
    files = ForgetfulFiles(seed)
    journal, _ = open_journal(folder, CODEC, State, clock=clock, loop=asyncio.get_running_loop(), limits=SMALL, files=files)
    acknowledged = first
    try:
        for turn in range(200):
            for _ in range(1 + (turn * seed) % 9):
                seq = journal.append(intent(journal.last_seq + 1))
            if turn % 5 == seed % 5:
                await journal.durable(seq)
            acknowledged = journal.durable_seq
            if turn % 40 == 30 and not journal._writing_snapshot:
                journal.write_snapshot(State(seq * (seq + 1) // 2), seq)
            if turn == 20 + seed % 97:
                break
        files.cut_power()
        acknowledged = max(acknowledged, journal.durable_seq)
    finally:
        with pytest.raises(JournalBroken):
            journal.append(intent(journal.last_seq + 1))
            await asyncio.sleep(0)
            journal.close()
        journal.close()
    return acknowledged


@pytest.mark.parametrize("seed", range(1, 31))
def test_nothing_acknowledged_is_lost_with_the_power(tmp_path: Path, seed: int) -> None:
    acknowledged = 0
    for round_ in range(2):
        acknowledged = asyncio.run(write_until_the_power_goes(tmp_path, seed + 31 * round_, acknowledged))
        found = recover(tmp_path, CODEC, State)
        assert (found.damage, found.notes) == ((), ())
        assert found.last_seq >= acknowledged
        first = found.last_seq - len(found.tail)
        assert [record.entry for record in found.tail] == [intent(seq) for seq in range(first + 1, found.last_seq + 1)]
        assert found.snapshot is None or found.snapshot.state == State(first * (first + 1) // 2)
        acknowledged = found.last_seq
