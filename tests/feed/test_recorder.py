"""What is received is on disk within a second, whatever ends the process, and a tape made of it replays as it was lived."""

import asyncio
import errno
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feed.boxes import DEPTH, GAP, QUOTE, TRADE, Bench, Seen, on_box
from titan_core.cli.main import main as titan
from titan_core.engine.layout import Layout
from titan_core.engine.live import PerEvent
from titan_core.engine.open_governor import OpenGovernor
from titan_core.engine.prepared import Prepared
from titan_core.engine.reference import Reference, stream_events
from titan_core.engine.replay import Replay
from titan_core.errors import TapeError
from titan_core.feed.recorder import Recorder, make_tape
from titan_core.feed.spool import MAGIC, NAME, SpoolReader, SpoolWriter
from titan_core.model.enums import StreamKind
from titan_core.model.market import GapReason
from titan_core.model.units import MONEY_PER_USDT, S
from titan_core.ports import Strategy
from titan_core.simulator.faults import FaultKind, Rule
from titan_core.tape.catalog import known_instrument
from titan_core.tape.faults import Fault
from titan_core.tape.faults import FaultKind as TapeFault
from titan_core.tape.store import open_tape
from titan_core.tape.tape import Pair
from titan_core.tape.verify import verify_tape

PERP = known_instrument("bybit-linear", "BTCUSDT")
SPOT = known_instrument("binance-spot", "BTCUSDT")
assert PERP is not None and SPOT is not None
KINDS = {QUOTE, TRADE, DEPTH, GAP}
PERP_KINDS = KINDS | {StreamKind.MARK, StreamKind.OPEN_INTEREST, StreamKind.FUNDING, StreamKind.LIQUIDATION}
NOW = 1_700_000_000 * S


def recorded(folder: Path, sessions: list[list[tuple[int, StreamKind, Any]]]) -> None:
    for rows in sessions:
        recorder = Recorder(folder, lambda: NOW)
        take = recorder.handler(PERP)
        for ts_ns, kind, values in rows:
            take(ts_ns, kind, values, 0)
        recorder.close()


def quotes(*times: int) -> list[tuple[int, StreamKind, Any]]:
    return [(NOW + at, QUOTE, (600_000, 600_001, 5, 6)) for at in times]


# -- a live session -------------------------------------------------------------------------------------------------------
class Bouncing(Strategy):
    """Arms levels around the price, trades each and arms the next: its decisions depend on every row and their order."""

    def on_start(self, market: Any) -> None:
        market.arm(market.perp.above(1), self._begin)
        market.arm(market.perp.next_gap(), self._gap)

    def _begin(self, market: Any, hit: Any) -> None:
        self._arm(market)

    def _arm(self, market: Any) -> None:
        last = market.perp.last()
        self._armed = [market.arm(market.perp.above(last + 30), self._hit), market.arm(market.perp.below(last - 30), self._hit)]
        self._armed.append(market.arm(market.pairs[0].basis_above((market.pairs[0].basis() or 0) + 200), self._hit))

    def _hit(self, market: Any, hit: Any) -> None:
        for each in self._armed:
            market.disarm(each)
        position = market.perp.position()
        market.note(f"{market.now_ns} {market.perp.last()} {market.perp.quote()} {market.perp.cvd(10 * S)} {market.perp.mark()} {position}")
        if position:
            market.exit(market.perp)
        else:
            market.enter(market.perp, random.Random(market.now_ns).choice([-3, 3]))
        self._arm(market)

    def _gap(self, market: Any, hit: Any) -> None:
        market.note(f"gap at {market.now_ns}")
        market.arm(market.perp.next_gap(), self._gap)


def lived(folder: Path) -> tuple[PerEvent, dict[str, Seen]]:
    """Live through a minute with an outage in it, on an engine, recording; both venues."""
    seen = {"binance-spot": Seen(), "bybit-linear": Seen()}
    engines: list[PerEvent] = []

    async def main(bench: Bench) -> None:
        instruments = tuple(each for each in bench.instruments if each.venue in seen and each.symbol == "BTCUSDT")
        spot, perp = sorted(instruments, key=lambda each: each.is_perp)
        keys = [(spot.id, kind) for kind in KINDS] + [(perp.id, kind) for kind in PERP_KINDS] + [(perp.id, StreamKind.BASIS)]
        layout = Layout.of_streams((spot, perp), (Pair(spot.id, perp.id),), keys)
        engine = PerEvent(layout, OpenGovernor([Bouncing()]), cash=10**5 * MONEY_PER_USDT, slots=1)
        engine.start(bench.box.now_ns())
        engines.append(engine)
        recorder = Recorder(folder, bench.box.now_ns)
        for instrument, kinds in ((spot, KINDS), (perp, PERP_KINDS)):
            ranks = {kind: layout.ranks[instrument.id, kind] for kind in kinds}

            def on_row(ts_ns: int, kind: StreamKind, values: Any, event_ns: int, ranks: dict[StreamKind, int] = ranks) -> None:
                engine.on_event(ts_ns, ranks[kind], values)

            for handler in (on_row, recorder.handler(instrument), seen[instrument.venue]):
                bench.feeds.subscribe(instrument.venue, instrument.symbol, kinds, handler)
        flushing = asyncio.create_task(recorder.run())
        bench.box.add_fault(Rule(kind=FaultKind.DISCONNECT, venue="bybit", where="/v5/public/linear*", from_s=30))
        await asyncio.sleep(60)
        flushing.cancel()
        await asyncio.gather(flushing, return_exceptions=True)
        await bench.feeds.close()
        recorder.close()

    on_box(main, ticks_per_day=4_000_000)
    return engines[0], seen


def test_a_recorded_session_is_a_tape_that_verifies_and_replays_as_it_was_lived(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine, seen = lived(tmp_path / "spool")
    make_tape(tmp_path / "spool", tmp_path / "tape")
    assert titan(["data", "verify", str(tmp_path / "tape")]) == 0, capsys.readouterr()
    tape = open_tape(tmp_path / "tape")
    layout = Layout.of(tape)
    for each in tape.instruments:
        rows = [
            (ts, layout.keys[rank][1], [list(v) if isinstance(v, list) else v for v in values])
            for ts, rank, _, values in stream_events(tape, layout)
            if layout.keys[rank][0] == each.id and layout.keys[rank][1] is not StreamKind.BASIS
        ]
        assert rows == [(ts, kind, [list(v) if isinstance(v, list) else v for v in values]) for ts, kind, values, _ in seen[each.venue].rows]
    assert seen["bybit-linear"].of(GAP)

    entries = [entry for entry in engine.record.entries if entry[0] in ("note", "fill")]
    assert len(entries) > 10 and any("gap at" in str(entry) for entry in entries)
    for replayed in (
        Reference(tape, OpenGovernor([Bouncing()]), cash=10**5 * MONEY_PER_USDT, slots=1),
        Replay(Prepared(tape), OpenGovernor([Bouncing()]), cash=10**5 * MONEY_PER_USDT, slots=1),
    ):
        replayed.run()
        assert [entry for entry in replayed.record.entries if entry[0] in ("note", "fill")] == entries


def test_the_venues_own_times_are_kept(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, lambda: NOW)
    take = recorder.handler(PERP)
    take(NOW, TRADE, (600_000, -3), NOW - 5)
    take(NOW + 1, QUOTE, (600_000, 600_001, 5, 6), 0)
    recorder.close()
    make_tape(tmp_path, tmp_path / "tape")
    tape = open_tape(tmp_path / "tape")
    trades, quoted = tape.stream(PERP.id, TRADE), tape.stream(PERP.id, QUOTE)
    assert trades is not None and quoted is not None
    assert trades.columns["ts_event"].tolist() == [NOW - 5] and "ts_event" not in quoted.columns


# -- ends of every kind -----------------------------------------------------------------------------------------------------
WRITER = """
import sys, time
from pathlib import Path
from titan_core.feed.recorder import Recorder
from titan_core.model.enums import StreamKind
from titan_core.tape.catalog import known_instrument
recorder = Recorder(Path(sys.argv[1]), time.time_ns)
take = recorder.handler(known_instrument("bybit-linear", "BTCUSDT"))
for number in range(10**9):
    take(1_700_000_000_000_000_000 + number, StreamKind.TRADE, (600_000 + number % 50, 1 + number % 9), 0)
    if number % 100 == 99:
        recorder.flush()
        print(number + 1, flush=True)
"""


def test_what_was_flushed_survives_a_kill(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        flushed = 0
        for line in process.stdout:
            flushed = int(line)
            if flushed >= 5_000:
                break
        process.send_signal(signal.SIGKILL)
        flushed = max([flushed, *(int(line) for line in process.stdout.read().split())])
    manifest = make_tape(tmp_path, tmp_path / "tape")
    (stream,) = manifest.streams
    assert stream.rows >= flushed and verify_tape(tmp_path / "tape").ok


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.booleans())
def test_a_torn_or_damaged_end_costs_what_stands_behind_it_and_nothing_before(tmp_path_factory: pytest.TempPathFactory, place: int, torn: bool) -> None:
    folder = tmp_path_factory.mktemp("spool")
    writer = SpoolWriter(folder)
    ends = [len(MAGIC)]
    for number in range(6):
        writer.rows(1, TRADE, [(number * 10 + row, 0, (5, 1)) for row in range(number + 1)])
        ends.append(writer.path.stat().st_size)
    writer.close()
    data = bytearray(writer.path.read_bytes())
    place %= len(data)
    if torn:
        del data[place:]
    else:
        data[place] ^= 0x41
    (folder / NAME).write_bytes(data)
    if not torn and place < len(MAGIC):
        with pytest.raises(TapeError, match="not a recording"):
            list(SpoolReader(folder / NAME).blocks())
        return
    reader = SpoolReader(folder / NAME)
    found = [block.rows for block in reader.blocks()]
    whole = sum(1 for end in ends[1:] if end <= place)
    assert found == list(range(1, whole + 1))
    assert bool(reader.problem) == (place not in ends if torn else True) or place < len(MAGIC)
    again = SpoolWriter(folder)  # and recording goes on behind what is whole
    again.rows(1, TRADE, [(100, 0, (5, 1))])
    again.close()
    assert [block.rows for block in SpoolReader(folder / NAME).blocks()] == [*found, 1]


def test_between_two_sessions_the_tape_has_a_gap(tmp_path: Path) -> None:
    recorded(tmp_path, [quotes(0, 5), quotes(10 * S, 11 * S), []])
    make_tape(tmp_path, tmp_path / "tape")
    gaps = open_tape(tmp_path / "tape").stream(PERP.id, GAP)
    assert gaps is not None and verify_tape(tmp_path / "tape").ok
    assert gaps.ts.tolist() == [NOW + 10 * S - 1] and gaps.columns["length_ns"].tolist() == [10 * S - 6]
    assert gaps.columns["reason"].tolist() == [GapReason.TRUNCATED]


def test_a_clock_that_went_back_between_sessions_still_makes_a_tape(tmp_path: Path) -> None:
    recorded(tmp_path, [quotes(0, 5 * S), quotes(2 * S, 3 * S)])
    make_tape(tmp_path, tmp_path / "tape")
    stream = open_tape(tmp_path / "tape").stream(PERP.id, QUOTE)
    assert stream is not None and stream.rows == 4 and verify_tape(tmp_path / "tape").ok


def test_faults_of_the_feeds_and_of_the_file_stand_in_the_manifest(tmp_path: Path) -> None:
    recorded(tmp_path, [quotes(0, 1)])
    with (tmp_path / NAME).open("ab") as file:
        file.write(b"torn")
    fault = Fault(TapeFault.OFF_GRID, 3, "bybit-linear", 17, "price 1.05")
    manifest = make_tape(tmp_path, tmp_path / "tape", [fault, evolve(fault, file="binance-spot")])
    (source,) = manifest.sources
    assert [(each.kind, each.count) for each in source.faults] == [(TapeFault.OFF_GRID, 3), (TapeFault.TRUNCATED, 1)]


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="cannot be read"):
        make_tape(tmp_path / "nowhere", tmp_path / "tape")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / NAME).write_bytes(b"something else entirely")
    with pytest.raises(TapeError, match="not a recording"):
        make_tape(tmp_path / "other", tmp_path / "tape")
    with pytest.raises(TapeError, match="not a recording"):
        Recorder(tmp_path / "other", lambda: NOW)
    assert (tmp_path / "other" / NAME).read_bytes() == b"something else entirely"
    recorded(tmp_path / "empty", [[]])
    with pytest.raises(TapeError, match="no row was recorded"):
        make_tape(tmp_path / "empty", tmp_path / "tape")


def test_one_folder_holds_one_grid_per_instrument(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, lambda: NOW)
    recorder.handler(PERP)(NOW, QUOTE, (6, 7, 1, 1), 0)
    recorder.handler(evolve(PERP, tick_size="0.5"))
    recorder.close()
    with pytest.raises(TapeError, match="one grid per instrument"):
        make_tape(tmp_path, tmp_path / "tape")


class FullDisk:
    """A file that takes no more after some bytes."""

    def __init__(self, file: Any, room: int) -> None:
        self._file, self._room = file, room

    def write(self, data: memoryview) -> int:
        if self._room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        took = self._file.write(data[: self._room])
        self._room -= took
        return int(took)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def test_on_a_full_disk_recording_stops_feeds_go_on_and_what_was_written_is_whole(tmp_path: Path) -> None:
    told: list[str] = []
    recorder = Recorder(tmp_path, lambda: NOW, on_failure=told.append)
    take = recorder.handler(PERP)
    recorder._writer._file = FullDisk(recorder._writer._file, 200)
    for batch in range(5):
        for ts_ns, kind, values in quotes(*range(batch * 10, batch * 10 + 3)):
            take(ts_ns, kind, values, 0)
        recorder.flush()
    assert told == [recorder.failure] and "No space left" in told[0]
    recorder.close()
    manifest = make_tape(tmp_path, tmp_path / "tape")
    assert manifest.streams[0].rows == 3 and not manifest.sources[0].faults


@given(st.lists(st.tuples(st.sampled_from([QUOTE, TRADE, DEPTH, StreamKind.MARK, StreamKind.FUNDING]), st.integers(0, 2**31 - 1)), max_size=30))
def test_rows_come_back_as_they_went_in(tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[StreamKind, int]]) -> None:
    folder = tmp_path_factory.mktemp("spool")
    recorder = Recorder(folder, lambda: NOW)
    take = recorder.handler(PERP)
    written: dict[StreamKind, list[tuple[Any, ...]]] = {}
    width = {QUOTE: 4, TRADE: 2, StreamKind.MARK: 2, StreamKind.FUNDING: 1}
    for number, (kind, value) in enumerate(drawn):
        row: tuple[Any, ...] = tuple([value] * 10 for _ in range(4)) if kind is DEPTH else (value,) * width[kind]
        take(NOW + number, kind, row, number)
        written.setdefault(kind, []).append((NOW + number, *row, number))
        if value % 5 == 0:
            recorder.flush()
    recorder.close()
    found: dict[StreamKind, list[tuple[Any, ...]]] = {}
    by_number = {number: kind for number, kind in enumerate((k for k in StreamKind if k is not StreamKind.BASIS), 1)}
    for block in SpoolReader(folder / NAME).blocks():
        if block.stream:
            columns = block.columns(by_number[block.stream])
            rows = zip(*(column.tolist() for column in columns.values()), strict=True)
            found.setdefault(by_number[block.stream], []).extend(rows)
    assert found == written
    assert all(isinstance(value, int | list) and not isinstance(value, np.generic) for rows in found.values() for row in rows for value in row)
