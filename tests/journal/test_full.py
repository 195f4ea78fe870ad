"""A full disk, a real one where the system lets us make one: what was acknowledged stays, the caller is told, room that comes back is noticed."""

import asyncio
import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from titan_core.journal.failures import JournalBroken, JournalError, JournalFull
from titan_core.journal.journal import FileJournal, open_journal
from titan_core.journal.port import JournalStatus
from titan_core.journal.recovery import recover

from .parts import CODEC, SMALL, FailingFiles, Intent, Note, State, clock, intent

ROOT = Path(__file__).resolve().parents[2]
ENOSPC = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
SCENE = """
import asyncio, json, os, resource, sys
from pathlib import Path
sys.path.insert(0, ROOT)
from tests.journal.parts import CODEC, intent
from tests.journal.test_full import fill_and_free
print(json.dumps(asyncio.run(fill_and_free(Path(sys.argv[1]), sys.argv[2]))))
"""


async def until(wanted: JournalStatus, journal: FileJournal[Any]) -> None:
    stop = monotonic() + 5
    while journal.status is not wanted and monotonic() < stop:
        await asyncio.sleep(0.005)
    assert journal.status is wanted


async def fill_and_free(folder: Path, how: str) -> dict[str, Any]:
    """Append until the disk is full, make room, append again; run in a child whose disk, or whose limit, is small."""
    import resource

    ballast = folder / "ballast"
    if how == "tmpfs":
        ballast.write_bytes(bytes(200_000))
    told: list[str] = []
    journal, _ = open_journal(
        folder / "j",
        CODEC,
        clock=clock,
        loop=asyncio.get_running_loop(),
        limits=SMALL,
        on_status=lambda status, why: told.append(f"{status}: {why}"),
        in_process=True,
    )
    acknowledged, reason = 0, ""
    for number in range(1, 100_000):
        if number == 50 and how == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (8_191, resource.RLIM_INFINITY))
        try:
            seq = journal.append(intent(number))
            await journal.durable(seq)
            acknowledged = seq
        except JournalFull as error:
            reason = str(error)
            break
    urgent = journal.append(Note("halt: no room"), urgent=True)
    await journal.durable(urgent)
    if how == "tmpfs":
        ballast.unlink()
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await until(JournalStatus.OK, journal)
    last = journal.append(Note("there is room"))
    await journal.durable(last)
    journal.close()
    found = recover(folder / "j", CODEC)
    return {
        "acknowledged": acknowledged,
        "urgent": urgent,
        "last": last,
        "reason": reason,
        "told": told,
        "recovered": [record.seq for record in found.tail] == list(range(1, last + 1)),
        "intents": [record.entry.lots for record in found.tail if isinstance(record.entry, Intent)],
    }


def judge(done: "subprocess.CompletedProcess[str]") -> None:
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["recovered"] and result["intents"] == list(range(1, result["acknowledged"] + 1))
    assert result["urgent"] == result["acknowledged"] + 1 and result["last"] == result["urgent"] + 1
    assert "free disk space" in result["reason"]
    assert [each.split(":")[0] for each in result["told"]] == ["full", "ok"]


def child(command: str, folder: Path, how: str) -> "subprocess.CompletedProcess[str]":
    code = SCENE.replace("ROOT", repr(str(ROOT)))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    return subprocess.run(["/bin/sh", "-c", command, sys.executable, code, str(folder), how], capture_output=True, text=True, env=environment, timeout=60)


def test_a_file_system_that_runs_full(tmp_path: Path) -> None:
    probe = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(tmp_path)], capture_output=True)
    if probe.returncode:
        pytest.skip("this system lets an unprivileged user mount nothing, so there is no small disk to fill")
    judge(child('exec unshare -rm sh -c \'mount -t tmpfs -o size=300k none "$2" && exec "$0" -c "$1" "$2" "$3"\' "$0" "$1" "$2" "$3"', tmp_path, "tmpfs"))


def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    judge(child('exec "$0" -c "$1" "$2" "$3"', tmp_path, "limit"))


def test_what_was_taken_waits_for_room_and_its_waiters_are_told(tmp_path: Path) -> None:
    async def scene() -> None:
        files = FailingFiles()
        journal, _ = open_journal(tmp_path, CODEC, clock=clock, loop=asyncio.get_running_loop(), limits=SMALL, files=files)
        await journal.durable(journal.append(intent(1)))
        files.failure = files.write_failure = ENOSPC
        heard: list[str | JournalError] = []
        journal.when_durable(journal.append(intent(2)), lambda: heard.append("durable"), heard.append)
        await until(JournalStatus.FULL, journal)
        with pytest.raises(JournalFull):
            journal.append(Note("urgent"), urgent=True)  # not even the reserve can be written
        with pytest.raises(JournalFull):
            journal.sync()
        assert len(heard) == 1 and isinstance(heard[0], JournalFull)
        files.failure = files.write_failure = None
        await until(JournalStatus.OK, journal)
        await journal.durable(2)
        assert len(heard) == 1, "a waiter is called once"
        journal.close()
        assert [record.entry for record in recover(tmp_path, CODEC).tail] == [intent(1), intent(2)]

    asyncio.run(scene())


def test_closing_on_a_full_disk_says_what_is_missing(tmp_path: Path) -> None:
    files = FailingFiles()
    journal, _ = open_journal(tmp_path, CODEC, clock=clock, limits=SMALL, files=files)
    journal.append(intent(1))
    journal.sync()
    files.failure = files.write_failure = ENOSPC
    journal.append(intent(2))
    with pytest.raises(JournalBroken, match="1 entries did not come to disk: the journal has no room"):
        journal.close()
    files.failure = files.write_failure = None
    assert recover(tmp_path, CODEC).last_seq == 1


def test_a_disk_that_fails_breaks_the_journal_for_good(tmp_path: Path) -> None:
    async def scene() -> None:
        files = FailingFiles()
        journal, _ = open_journal(tmp_path, CODEC, clock=clock, loop=asyncio.get_running_loop(), limits=SMALL, files=files)
        await journal.durable(journal.append(intent(1)))
        files.write_failure = OSError(errno.EIO, os.strerror(errno.EIO))
        with pytest.raises(JournalBroken, match="the disk failed to write the journal: Input/output error"):
            await journal.durable(journal.append(intent(2)))
        with pytest.raises(JournalBroken):
            journal.append(Note("urgent"), urgent=True)
        with pytest.raises(JournalBroken, match="1 entries did not come to disk"):
            journal.close()

    asyncio.run(scene())
    assert recover(tmp_path, CODEC).last_seq == 1


def test_a_journal_that_cannot_begin_says_how_much_it_needs(tmp_path: Path) -> None:
    files = FailingFiles()
    files.failure = ENOSPC
    with pytest.raises(JournalFull, match="no room on the disk to begin a journal .*free 16 MB"):
        open_journal(tmp_path, CODEC, clock=clock, files=files)
    files.failure = None
    open_journal(tmp_path, CODEC, clock=clock, files=files)[0].close()


def test_a_snapshot_that_has_no_room_stops_nothing(tmp_path: Path) -> None:
    class NoSnapshots(FailingFiles):
        def rename(self, source: Path, target: Path) -> None:
            if target.name.startswith("snapshot"):
                raise ENOSPC
            super().rename(source, target)

    journal, _ = open_journal(tmp_path, CODEC, clock=clock, limits=SMALL, files=NoSnapshots())
    journal.write_snapshot(State(1), journal.append(intent(1)))
    journal.append(intent(2))
    journal.close()
    assert "snapshot 1 could not be written" in journal.snapshot_failure
    found = recover(tmp_path, CODEC, State)
    assert (found.snapshot, found.last_seq, list(tmp_path.glob("*.part"))) == (None, 2, [])


def test_a_disk_that_does_not_keep_up_is_full(tmp_path: Path) -> None:
    from attrs import evolve

    async def scene() -> None:
        journal, _ = open_journal(tmp_path, CODEC, clock=clock, loop=asyncio.get_running_loop(), limits=evolve(SMALL, backlog_bytes=2_000), in_process=True)
        with pytest.raises(JournalFull, match="the disk does not keep up"):
            for number in range(1, 200):
                journal.append(intent(number))
        await journal.durable(journal.last_seq)
        journal.append(intent(0))
        journal.close()

    asyncio.run(scene())
