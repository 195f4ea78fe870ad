"""Appends for as long as it lives and prints what was acknowledged: `python appender.py FOLDER`, run as a child by the tests."""

import asyncio
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import msgspec

from titan_core.journal.codec import EntryCodec
from titan_core.journal.journal import open_journal
from titan_core.journal.writer import Limits


class Count(msgspec.Struct, tag=True, frozen=True):
    number: int
    filler: str = ""


CODEC: EntryCodec[Count] = EntryCodec(Count)


async def main(folder: Path) -> None:
    limits = Limits(segment_bytes=65_536, reserve_bytes=4_096, snapshot_every=700)
    journal, recovery = open_journal(folder, CODEC, dict, clock=time.time_ns, loop=asyncio.get_running_loop(), limits=limits)
    os.write(1, b"writer %d\n" % journal.writer_pid)
    while True:
        for _ in range(7):
            seq = journal.append(Count(journal.last_seq + 1, "x" * (journal.last_seq % 90)))
        journal.when_durable(seq, lambda seq=seq: os.write(1, b"%d\n" % seq) and None)
        if journal.snapshot_due:
            journal.write_snapshot({"upto": seq}, seq)
        await asyncio.sleep(0)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
