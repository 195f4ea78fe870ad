"""What was acknowledged is there again, whatever happened to the process and to the end of the file; what is lost is said."""

import asyncio
import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from titan_core.journal.codec import EntryCodec
from titan_core.journal.failures import EntryRefused, JournalBroken, JournalDamaged, JournalFull, JournalLocked
from titan_core.journal.files import Files
from titan_core.journal.journal import open_journal
from titan_core.journal.memory import MemoryDisk, MemoryJournal, recover_memory
from titan_core.journal.port import JournalStatus
from titan_core.journal.recovery import recover
from titan_core.journal.writer import Limits

ROOT = Path(__file__).resolve().parents[2]
SMALL = Limits(segment_bytes=4_096, reserve_bytes=512)


class Note(msgspec.Struct, tag=True, frozen=True):
    number: int
    text: str = ""


class Fill(msgspec.Struct, tag=True, frozen=True):
    lots: int


CODEC: EntryCodec[Note | Fill] = EntryCodec(Note | Fill)


def opened(folder, **more):
    return open_journal(folder, CODEC, dict, clock=time.time_ns, **({"limits": SMALL} | more))


def written(folder, entries, **more):
    """Write entries in groups of three."""
    journal, _ = opened(folder, **more)
    for entry in entries:
        if journal.append(entry) % 3 == 0:
            journal.sync()
    journal.close()


def entries_of(folder, **more):
    return [record.entry for record in recover(folder, CODEC, dict, repair=False, **more).tail]


def segments(folder):
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name != "lock" and not path.name.startswith("snapshot"))


# -- order and numbers ------------------------------------------------------------------------------------------------
def test_entries_come_back_in_order_with_their_numbers(tmp_path):
    entries = [Note(i, "x" * (i % 70)) if i % 3 else Fill(i) for i in range(500)]
    written(tmp_path, entries)
    recovery = recover(tmp_path, CODEC, dict)
    assert [r.entry for r in recovery.tail] == entries
    assert [r.seq for r in recovery.tail] == list(range(1, 501)) and recovery.last_seq == 500
    assert len(segments(tmp_path)) > 3, "the shape of the test"
    assert recovery.torn is None and not recovery.damage


def test_a_second_start_goes_on_where_the_first_ended(tmp_path):
    written(tmp_path, [Note(1), Note(2)])
    journal, recovery = opened(tmp_path)
    assert [r.entry for r in recovery.tail] == [Note(1), Note(2)]
    assert journal.append(Note(3)) == 3
    journal.close()
    assert entries_of(tmp_path) == [Note(1), Note(2), Note(3)]


def test_what_could_not_be_read_back_is_not_taken(tmp_path):
    journal, _ = opened(tmp_path)
    with pytest.raises(EntryRefused, match="Note cannot be read back"):
        journal.append(Note(None))  # type: ignore[arg-type]
    assert journal.append(Note(1)) == 1
    journal.close()


# -- torn ends and damage ---------------------------------------------------------------------------------------------
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(count=st.integers(1, 60), cut=st.integers(1, 4_000), noise=st.binary(max_size=40))
def test_a_torn_end_leaves_the_longest_whole_beginning(tmp_path_factory, count, cut, noise):
    folder = tmp_path_factory.mktemp("torn")
    entries = [Note(i, "y" * (i % 50)) for i in range(count)]
    written(folder, entries, limits=Limits(segment_bytes=65_536, reserve_bytes=1_024))
    (path,) = segments(folder)
    whole = path.read_bytes()
    used = len(whole.rstrip(b"\0"))
    at = max(200, used - cut)  # the header stays
    path.write_bytes(whole[:at] + noise + bytes(len(whole) - at - len(noise)))
    found = entries_of(folder)
    assert found == entries[: len(found)]
    whole_lines = whole[:at].count(b"\n") - 1
    assert len(found) >= whole_lines - 3, "at most the group that was cut is lost"
    journal, recovery = opened(folder)
    assert [r.entry for r in recovery.tail] == found
    assert journal.append(Note(-1)) == len(found) + 1
    journal.close()
    assert entries_of(folder) == [*found, Note(-1)]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(place=st.floats(0.05, 0.75), bit=st.integers(0, 7))
def test_a_flipped_bit_before_the_end_is_reported_never_silent(tmp_path_factory, place, bit):
    folder = tmp_path_factory.mktemp("flip")
    entries = [Note(i, "z" * 30) for i in range(120)]
    journal, _ = opened(folder)
    for start in range(0, 120, 10):
        for entry in entries[start : start + 10]:
            journal.append(entry)
        journal.sync()
    journal.close()
    files = segments(folder)
    blob = b"".join(path.read_bytes() for path in files)
    at = int(place * len(blob))
    for path in files:
        size = path.stat().st_size
        if at < size:
            content = bytearray(path.read_bytes())
            was_empty = content[at] == 0
            content[at] ^= 1 << bit
            path.write_bytes(content)
            break
        at -= size
    try:
        found = entries_of(folder)
    except JournalDamaged as error:
        assert path.name in str(error) and "lost" in str(error)
        rest = entries_of(folder, accept_damage=True)
        assert set(rest) < set(entries)
    else:
        assert found == entries or (was_empty and path == files[-1]), "nothing is lost without a word"


# -- processes ----------------------------------------------------------------------------------------------------------
CHILD = """
import asyncio, sys, time
from pathlib import Path
from tests.journal.test_journal import CODEC, SMALL, Note
from titan_core.journal.journal import open_journal

async def main():
    journal, recovery = open_journal(Path(sys.argv[1]), CODEC, dict, clock=time.time_ns, loop=asyncio.get_running_loop(), limits=SMALL)
    print("ready", recovery.last_seq, flush=True)
    while True:
        seq = journal.append(Note(journal.last_seq + 1))
        journal.when_durable(seq, lambda seq=seq: print(seq, flush=True))
        await asyncio.sleep(0)

asyncio.run(main())
"""


def writer(folder):
    """Start a process that appends for as long as it lives and prints what was acknowledged."""
    command = [sys.executable, "-c", CHILD, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})


# -- a disk that forgets and one that is full ---------------------------------------------------------------------------
class Forgetful(Files):
    """Remembers what was only written: `power_cut` takes it back."""

    def __init__(self) -> None:
        self.pending: list[tuple[int, int, bytes]] = []

    def write(self, fd, data, offset):
        self.pending.append((fd, offset, os.pread(fd, len(data), offset).ljust(len(data), b"\0")))
        super().write(fd, data, offset)

    def sync(self, fd):
        super().sync(fd)
        self.pending = [each for each in self.pending if each[0] != fd]

    def power_cut(self) -> int:
        for fd, offset, before in reversed(self.pending):
            os.pwrite(fd, before, offset)
        return len(self.pending)


def test_nothing_acknowledged_is_lost_when_unsynced_writes_are(tmp_path):
    async def scene():
        disk, acknowledged = Forgetful(), []
        journal, _ = opened(tmp_path, files=disk, loop=asyncio.get_running_loop())
        for i in range(200):
            seq = journal.append(Note(i))
            journal.when_durable(seq, lambda seq=seq: acknowledged.append(seq))
            if i % 7 == 0:
                await asyncio.sleep(0.001)
        while len(acknowledged) < 150:
            await asyncio.sleep(0.001)
        known = max(acknowledged)
        disk.power_cut()
        found = entries_of(tmp_path)
        assert len(found) >= known
        journal.close()

    asyncio.run(scene())


class Filling(Files):
    """Full while `full` says so."""

    full = False

    def write_durably(self, fd, data, offset):
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write_durably(fd, data, offset)

    def allocate(self, fd, size):
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().allocate(fd, size)


def test_a_full_disk_is_told_loses_nothing_and_is_left_again(tmp_path):
    async def scene():
        disk, told = Filling(), []
        journal, _ = opened(tmp_path, files=disk, loop=asyncio.get_running_loop(), on_status=lambda status, reason: told.append(status))
        await journal.durable(journal.append(Note(1)))
        disk.full = True
        failed = []
        journal.when_durable(journal.append(Note(2)), lambda: failed.append("durable"), failed.append)
        deadline = time.monotonic() + 5
        while journal.status is JournalStatus.OK and time.monotonic() < deadline:
            await asyncio.sleep(0.005)
        assert journal.status is JournalStatus.FULL
        with pytest.raises(JournalFull):
            journal.append(Note(3))
        assert entries_of(tmp_path)[:1] == [Note(1)]
        disk.full = False
        while journal.status is not JournalStatus.OK and time.monotonic() < deadline + 5:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.01)
        assert told == [JournalStatus.FULL, JournalStatus.OK]
        await journal.durable(journal.append(Note(4)))
        journal.close()
        assert entries_of(tmp_path)[-1] == Note(4)

    asyncio.run(scene())


# -- callbacks and the loop -------------------------------------------------------------------------------------------
def test_callbacks_come_on_the_loop_in_order_and_the_loop_never_waits(tmp_path):
    class Slow(Files):
        def write_durably(self, fd, data, offset):
            time.sleep(0.03)
            super().write_durably(fd, data, offset)

    async def scene():
        import threading

        heard, home = [], threading.get_ident()
        journal, _ = opened(tmp_path, files=Slow(), loop=asyncio.get_running_loop())
        longest = 0.0
        for i in range(200):
            began = time.perf_counter()
            seq = journal.append(Note(i))
            journal.when_durable(seq, lambda seq=seq: heard.append((seq, threading.get_ident() == home)))
            longest = max(longest, time.perf_counter() - began)
            await asyncio.sleep(0)
        await journal.durable(journal.last_seq)
        journal.close()
        assert heard == [(seq, True) for seq in range(1, 201)]
        assert longest < 0.03, "an append waits for no disk"

    asyncio.run(scene())


# -- snapshots --------------------------------------------------------------------------------------------------------
def test_recovery_reads_the_newest_whole_snapshot_and_what_came_after_it(tmp_path):
    journal, _ = opened(tmp_path, limits=Limits(segment_bytes=4_096, reserve_bytes=512, snapshot_every=50))
    for i in range(1, 201):
        journal.append(Note(i))
        if journal.snapshot_due:
            journal.write_snapshot({"upto": i}, i)
            time.sleep(0.01)
    journal.close()
    recovery = recover(tmp_path, CODEC, dict)
    assert recovery.snapshot is not None and recovery.snapshot.state == {"upto": recovery.snapshot.seq} and recovery.snapshot.seq >= 150
    assert [r.entry.number for r in recovery.tail] == list(range(recovery.snapshot.seq + 1, 201))
    newest = sorted(tmp_path.glob("snapshot-*"))[-1]
    newest.write_bytes(newest.read_bytes()[:-5])
    older = recover(tmp_path, CODEC, dict)
    assert older.snapshot is not None and older.snapshot.seq < recovery.snapshot.seq and newest.name in older.notes[0]
    assert older.tail[-1].entry == Note(200)


# -- one writer -------------------------------------------------------------------------------------------------------
def test_a_second_writer_is_told_who_writes(tmp_path):
    journal, _ = opened(tmp_path)
    with pytest.raises(JournalLocked, match=f"process {os.getpid()} is writing the journal"):
        opened(tmp_path)
    journal.close()
    opened(tmp_path)[0].close()


def test_the_lock_of_a_killed_writer_is_taken_over(tmp_path):
    child = writer(tmp_path)
    assert child.stdout is not None and child.stdout.readline().startswith("ready")
    with pytest.raises(JournalLocked, match=f"process {child.pid}"):
        opened(tmp_path)
    child.kill()
    child.communicate()
    journal, recovery = opened(tmp_path)
    assert any(f"process {child.pid} wrote this journal before and was killed" in note for note in recovery.notes)
    journal.close()


def test_a_closed_journal_takes_nothing(tmp_path):
    journal, _ = opened(tmp_path)
    journal.close()
    journal.close()
    with pytest.raises(JournalBroken, match="closed"):
        journal.append(Note(1))


# -- in memory --------------------------------------------------------------------------------------------------------
@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["append", "wait", "crash"]), max_size=40), st.integers(0, 3))
def test_the_journal_in_memory_keeps_the_same_promises(acts, kept):
    async def scene():
        disk, loop, acknowledged = MemoryDisk(), asyncio.get_running_loop(), [0]
        journal = MemoryJournal(disk, CODEC, clock=lambda: 1, loop=loop)
        for act in acts:
            if act == "append":
                seq = journal.append(Note(journal.last_seq + 1))
                journal.when_durable(seq, lambda seq=seq: acknowledged.append(seq))
            elif act == "wait":
                await asyncio.sleep(0.0005)
            else:
                journal.crash(kept)
                found = [record.entry.number for record in recover_memory(disk, CODEC).tail]
                assert found == list(range(1, len(found) + 1)) and len(found) >= max(acknowledged)
                journal = MemoryJournal(disk, CODEC, clock=lambda: 1, loop=loop)
        assert acknowledged == sorted(acknowledged)
        journal.close()

    asyncio.run(scene())
