"""What it costs to make an intent durable before it is sent, and that the loop never waits for the disk.

python -m benchmarks journal [--entries N] [--folder DIR]
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from attrs import frozen

from benchmarks import _harness as harness
from titan_core.journal.codec import EntryCodec
from titan_core.journal.journal import open_journal
from titan_core.journal.recovery import recover

BARS = (
    harness.Bar("From append to the callback on the loop, one intent a millisecond: median", 300.0, "us", at_most=True),
    harness.Bar("The same, 99th percentile", 1_500.0, "us", at_most=True),
    harness.Bar("The same while the loop always has something to do, 99th percentile", 1_500.0, "us", at_most=True),
    harness.Bar("Entries taken and made durable in groups of 64, over one write and one fsync each", 10.0),
    harness.Bar("Entries a second in groups of 64, each group waited for", 68_000.0, "/s"),
    harness.Bar("The longest that one append kept the loop, 99.9th percentile", 1_000.0, "us", at_most=True),
    harness.Bar("The longest turn of a loop that does nothing else, over all syncs, 99.9th percentile", 1_000.0, "us", at_most=True),
    harness.Bar("Recovery of 50,000 entries", 1.0, "s", at_most=True),
)


class Intent(msgspec.Struct, tag=True, frozen=True):
    """An entry of the size of an intent."""

    client_order_id: str
    instrument: str
    signed_lots: int
    limit: int
    stop: int
    target: int
    tag: str


CODEC: EntryCodec[Intent] = EntryCodec(Intent)


def intent(number: int) -> Intent:
    """Make one."""
    return Intent(f"scavenger.main.1.{number}", "BTCUSDT.bybit-linear", 33, 600_000 + number, 598_000, 604_000, "follow daily high, round number")


@frozen
class Paced:
    """What a loop saw that made one intent durable each millisecond, in microseconds."""

    latencies: list[float]
    stalls: list[float]


async def paced(folder: Path, entries: int) -> Paced:
    """Append one entry a millisecond and note when each is durable, and how long each append took."""
    journal, _ = open_journal(folder, CODEC, clock=time.time_ns, loop=asyncio.get_running_loop())
    latencies: list[float] = []
    stalls: list[float] = []
    for number in range(entries):
        began = time.perf_counter_ns()
        seq = journal.append(intent(number))
        journal.when_durable(seq, lambda began=began: latencies.append((time.perf_counter_ns() - began) / 1e3))
        stalls.append((time.perf_counter_ns() - began) / 1e3)
        await asyncio.sleep(0.001)
    await journal.durable(journal.last_seq)
    journal.close()
    return Paced(sorted(latencies), sorted(stalls))


async def busy(folder: Path, entries: int) -> Paced:
    """Make one intent durable after the other while callbacks of 20 us leave the loop no rest; the stalls are its turns without the appends."""
    loop = asyncio.get_running_loop()
    journal, _ = open_journal(folder, CODEC, clock=time.time_ns, loop=loop)
    latencies: list[float] = []
    turns: list[float] = []
    running = True

    def work() -> None:
        until = time.perf_counter_ns() + 20_000
        while time.perf_counter_ns() < until:
            pass
        if running:
            loop.call_soon(work)

    async def watch() -> None:
        while running:
            began = time.perf_counter_ns()
            await asyncio.sleep(0)
            turns.append((time.perf_counter_ns() - began) / 1e3)

    loop.call_soon(work)
    watching = asyncio.create_task(watch())
    for number in range(entries):
        began = time.perf_counter_ns()
        await journal.durable(journal.append(intent(number)))
        latencies.append((time.perf_counter_ns() - began) / 1e3)
    running = False
    await watching
    journal.close()
    return Paced(sorted(latencies), sorted(turns))


async def grouped(folder: Path, entries: int) -> float:
    """Append in bursts of 64 and wait for each to be durable; return entries a second."""
    journal, _ = open_journal(folder, CODEC, clock=time.time_ns, loop=asyncio.get_running_loop())
    made = [intent(number) for number in range(64)]
    began = time.perf_counter()
    for _ in range(entries // 64):
        for each in made:
            seq = journal.append(each)
        await journal.durable(seq)
    seconds = time.perf_counter() - began
    journal.close()
    return entries // 64 * 64 / seconds


def one_by_one(folder: Path, entries: int) -> float:
    """Write and fsync each entry by itself; return entries a second."""
    began = time.perf_counter()
    with (folder / "naive").open("wb") as file:
        for number in range(entries):
            file.write(msgspec.json.encode(intent(number)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
    return entries / (time.perf_counter() - began)


def recovered(folder: Path, entries: int) -> float:
    """Write a journal and return the seconds that reading it back takes."""
    journal, _ = open_journal(folder, CODEC, clock=time.time_ns, in_process=True)
    for number in range(entries):
        journal.append(intent(number))
        if number % 1_000 == 999:
            journal.sync()
    journal.close()
    began = time.perf_counter()
    found = recover(folder, CODEC)
    assert found.last_seq == entries
    return time.perf_counter() - began


def at(values: Sequence[float], share: float) -> float:
    """Return a quantile of sorted values."""
    return values[min(len(values) - 1, int(len(values) * share))]


def main(argv: Sequence[str]) -> int:
    """Measure, print a table and write JSON."""
    parse = argparse.ArgumentParser(prog="python -m benchmarks journal", description=__doc__.splitlines()[0])
    parse.add_argument("--entries", type=int, default=5_000)
    parse.add_argument("--folder", type=Path, default=None, help="where to write (default: a temporary folder)")
    given = parse.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="titan-journal-", dir=given.folder) as name:
        folder = Path(name)
        slow = asyncio.run(paced(folder / "paced", given.entries))
        crowded = asyncio.run(busy(folder / "busy", given.entries // 2))
        fast = asyncio.run(grouped(folder / "grouped", 64 * 400))
        naive = one_by_one(folder, 1_000)
        seconds = recovered(folder / "recovered", 50_000)
    measured = (
        at(slow.latencies, 0.5),
        at(slow.latencies, 0.99),
        at(crowded.latencies, 0.99),
        fast / naive,
        fast,
        at(slow.stalls, 0.999),
        at(crowded.stalls, 0.999),
        seconds,
    )
    verdicts = [harness.Verdict(bar, value) for bar, value in zip(BARS, measured, strict=True)]
    console = harness.stdout_console()
    console.print(
        f"{fast:,.0f} entries a second in groups of 64, {naive:,.0f} one by one; longest append {slow.stalls[-1]:.0f} us, "
        f"worst latency {slow.latencies[-1]:.0f} us; with a busy loop {at(crowded.latencies, 0.5):.0f} us in the median, "
        f"{crowded.latencies[-1]:.0f} us at worst"
    )
    console.print(harness.verdict_table(verdicts))
    record = {"machine": harness.machine(), "bars": [verdict.record() for verdict in verdicts], "per_s": {"grouped": fast, "one_by_one": naive}}
    harness.write_json(harness.OUT / "journal.json", record)
    return 0 if all(verdict.met for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
