"""Kill -9 at random instants: what was acknowledged is there, in order, and the next start goes on behind it."""

import os
import random
import select
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic

from titan_core.journal.recovery import recover

from .appender import CODEC, Count

KILLS = 50
SCRIPT = Path(__file__).with_name("appender.py")


def read_until(fd: int, until: float) -> bytes:
    """Read what comes until a time."""
    data = b""
    while (left := until - monotonic()) > 0 and select.select([fd], [], [], left)[0]:
        chunk = os.read(fd, 65_536)
        data += chunk
        if not chunk:
            break
    return data


def kill_one(folder: Path, chance: random.Random) -> int:
    """Let a child append for a while, kill it, with or without its writer; return the last number that it was told to be durable."""
    child = subprocess.Popen(
        [sys.executable, "-S", str(SCRIPT), str(folder)], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert child.stdout is not None
    with child.stdout:
        line = child.stdout.readline()
        assert line.startswith(b"writer "), line
        told = read_until(child.stdout.fileno(), monotonic() + chance.uniform(0.0, 0.06))
        victims = [child.pid, int(line.split()[1])] if chance.random() < 0.5 else [child.pid]
        chance.shuffle(victims)
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        told += child.stdout.read()
        child.wait()
    return max((int(each) for each in told.split(b"\n")[:-1]), default=0)


def settled(folder: Path) -> None:
    """Wait until the writer of a killed process has let the lock go."""
    from titan_core.journal.lock import WriterLock

    WriterLock(folder).release()


def test_fifty_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(20)
    told = 0
    for _ in range(KILLS):
        told = max(told, kill_one(tmp_path, chance))
        settled(tmp_path)
        found = recover(tmp_path, CODEC, dict)
        assert found.damage == () and found.notes == ()
        assert found.last_seq >= told
        first = found.last_seq - len(found.tail)
        assert [record.seq for record in found.tail] == list(range(first + 1, found.last_seq + 1))
        assert all(record.entry == Count(record.seq, "x" * ((record.seq - 1) % 90)) for record in found.tail)
        assert found.snapshot is None or found.snapshot.state == {"upto": first}
    assert told > 1_000, "the children must have had the time to write"
    whole = recover(tmp_path, CODEC, dict)
    assert whole.snapshot is not None
