"""The writer as a process of its own: who it outlives, who holds the lock, what its death means."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, perf_counter, sleep

import pytest

from titan_core.journal.failures import JournalBroken, JournalLocked
from titan_core.journal.journal import open_journal
from titan_core.journal.lock import WriterLock
from titan_core.journal.port import JournalStatus
from titan_core.journal.recovery import recover

from .parts import CODEC, Intent, clock, intent


def test_entries_and_callbacks_go_through_it_and_it_is_gone_after_close(tmp_path: Path) -> None:
    async def scene() -> int:
        journal, _ = open_journal(tmp_path, CODEC, clock=clock, loop=asyncio.get_running_loop())
        heard: list[int] = []
        for number in range(1, 3_001):
            seq = journal.append(intent(number))
            journal.when_durable(seq, lambda seq=seq: heard.append(seq))  # type: ignore[misc]
        await journal.durable(seq)
        assert heard == list(range(1, 3_001))
        assert journal.writer_pid != os.getpid()
        journal.close()
        return journal.writer_pid

    pid = asyncio.run(scene())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert [record.entry for record in recover(tmp_path, CODEC).tail] == [intent(number) for number in range(1, 3_001)]


def test_its_death_breaks_the_journal_and_is_told(tmp_path: Path) -> None:
    async def scene() -> None:
        journal, _ = open_journal(tmp_path, CODEC, clock=clock, loop=asyncio.get_running_loop())
        await journal.durable(journal.append(intent(1)))
        os.kill(journal.writer_pid, signal.SIGKILL)
        with pytest.raises(JournalBroken, match="the journal's writer was killed"):
            await journal.durable(journal.append(intent(2)))
        assert journal.status is JournalStatus.BROKEN
        with pytest.raises(JournalBroken):
            journal.close()

    asyncio.run(scene())
    assert recover(tmp_path, CODEC).tail[0].entry == intent(1)


def test_one_that_cannot_start_is_said_so_and_leaves_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    from titan_core.journal import link

    with monkeypatch.context() as patch:
        patch.setattr(link.sys, "executable", "/bin/false")
        with pytest.raises(JournalBroken, match="the journal's writer was killed"):
            open_journal(tmp_path, CODEC, clock=clock)
    open_journal(tmp_path, CODEC, clock=clock)[0].close()


def test_signals_that_end_others_do_not_end_it(tmp_path: Path) -> None:
    async def scene() -> None:
        journal, _ = open_journal(tmp_path, CODEC, clock=clock, loop=asyncio.get_running_loop())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(journal.writer_pid, number)
        await journal.durable(journal.append(intent(1)))
        journal.close()

    asyncio.run(scene())


def test_it_is_told_nothing_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "s3cret")
    journal, _ = open_journal(tmp_path, CODEC, clock=clock)
    environment = Path(f"/proc/{journal.writer_pid}/environ")
    if environment.exists():
        assert b"s3cret" not in environment.read_bytes()
    journal.close()


def test_the_loop_goes_on_while_the_writer_is_stopped(tmp_path: Path) -> None:
    async def scene() -> None:
        journal, _ = open_journal(tmp_path, CODEC, clock=clock, loop=asyncio.get_running_loop())
        os.kill(journal.writer_pid, signal.SIGSTOP)
        longest = 0.0
        for number in range(1, 4_001):  # more than the pipe takes
            began = perf_counter()
            journal.append(Intent("x" * 500, number))
            longest = max(longest, perf_counter() - began)
            if number % 50 == 0:
                await asyncio.sleep(0)
        assert journal.durable_seq == 0 and longest < 0.1
        with pytest.raises(JournalBroken, match="4000 entries did not come to disk within 0.05 s; the disk hangs"):
            journal.sync(0.05)
        os.kill(journal.writer_pid, signal.SIGCONT)
        await journal.durable(4_000)
        journal.close()

    asyncio.run(scene())
    assert recover(tmp_path, CODEC).last_seq == 4_000


def test_two_instances_at_once_one_of_them_is_told_the_pid_of_the_other(tmp_path: Path) -> None:
    script = Path(__file__).with_name("appender.py")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    both = [subprocess.Popen([sys.executable, str(script), str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) for _ in range(2)]
    stop = monotonic() + 20
    while all(each.poll() is None for each in both) and monotonic() < stop:
        sleep(0.02)
    (loser,) = (each for each in both if each.poll() is not None)
    (winner,) = (each for each in both if each is not loser)
    winner.kill()
    _, said = loser.communicate()
    winner.communicate()
    assert f"process {winner.pid} is writing the journal {tmp_path}; stop it first".encode() in said
    WriterLock(tmp_path).release()


def test_a_fork_neither_writes_nor_keeps_the_lock(tmp_path: Path) -> None:
    journal, _ = open_journal(tmp_path, CODEC, clock=clock, in_process=True)
    journal.append(intent(1))
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover - the child
        try:
            journal.append(intent(2))
        except JournalBroken as error:
            os.write(tell, str(error).encode())
        os.close(tell)
        sleep(20)
        os._exit(0)
    os.close(tell)
    with pytest.raises(JournalLocked):
        WriterLock(tmp_path)
    said = os.read(told, 1_000).decode()
    journal.close()
    again, recovery = open_journal(tmp_path, CODEC, clock=clock, in_process=True)
    assert recovery.last_seq == 1 and "forked" in said
    again.close()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(told)
