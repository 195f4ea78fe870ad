"""Writes what is received to a spool while it comes in, and makes a tape of it later: any live period can be replayed.

    recorder = Recorder(folder, clock=time.time_ns)
    subscription = feeds.subscribe(venue, symbol, kinds, recorder.handler(instrument))
    task = asyncio.create_task(recorder.run())
    ...
    recorder.close()
    make_tape(folder, path)

Rows are kept in memory for at most `flush_s`, then handed to the system: a process that is killed loses no more than that. A folder may be recorded into
again, after a crash too; the tape then has a gap between the sessions.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import cattrs
import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from titan_core.errors import TapeError
from titan_core.feed.channels import Handler
from titan_core.feed.port import Values
from titan_core.feed.spool import NAME, NOTE, Columns, SpoolReader, SpoolWriter
from titan_core.model.enums import StreamKind
from titan_core.model.ids import InstrumentId
from titan_core.model.instrument import Instrument
from titan_core.model.market import GapReason
from titan_core.tape.columns import strictly_increasing
from titan_core.tape.faults import Fault, FaultKind
from titan_core.tape.manifest import GridSource, InstrumentEntry, Manifest, Source, to_json
from titan_core.tape.store import write_tape
from titan_core.tape.tape import StreamKey

FORMAT = "titan-recording"
MOST_ROWS = 50_000
"""A stream with so many rows in memory is flushed at once."""

Row = tuple[int, int, Values]


@define(eq=False)
class _Stream:
    number: int
    kind: StreamKind
    rows: list[Row] = field(factory=list)


class Recorder:
    """Records into one folder. `failure` says why it has stopped, empty while it records; the feeds go on either way."""

    def __init__(self, folder: Path, clock: Callable[[], int], flush_s: float = 1.0, on_failure: Callable[[str], None] = lambda text: None) -> None:
        """Open the folder's spool. Raises TapeError where it holds something else, OSError where it cannot be written to."""
        self.failure = ""
        self.rows = 0
        """Rows handed to the system so far, in this session."""
        self._flush_s, self._on_failure = flush_s, on_failure
        self._writer = SpoolWriter(folder)
        self._streams: dict[StreamKey, _Stream] = {}
        self._closed = False
        self._number = NOTE
        self._writer.note({"session": clock()})

    def handler(self, instrument: Instrument) -> Handler:
        """Return what takes the rows of one instrument, for `FeedManager.subscribe`. Raises OSError where the disk takes no more."""
        entry = to_json(InstrumentEntry.of(instrument, GridSource.GIVEN))
        streams: dict[StreamKind, _Stream] = {}
        for kind in StreamKind:
            if kind is not StreamKind.BASIS:
                streams[kind] = self._stream(instrument, kind)
        self._writer.note({"instrument": entry, "streams": {kind.value: stream.number for kind, stream in streams.items()}})
        lists = {kind: stream.rows for kind, stream in streams.items()}

        def take(ts_ns: int, kind: StreamKind, values: Values, event_ns: int) -> None:
            rows = lists[kind]
            rows.append((ts_ns, event_ns, values))
            if len(rows) >= MOST_ROWS:
                self.flush()

        return take

    def _stream(self, instrument: Instrument, kind: StreamKind) -> _Stream:
        key = instrument.id, kind
        if key not in self._streams:
            self._number += 1
            self._streams[key] = _Stream(self._number, kind)
        return self._streams[key]

    def flush(self) -> None:
        """Hand all rows to the system. Where that fails recording stops, `on_failure` is told once, and what was flushed before stays readable."""
        for stream in self._streams.values():
            if stream.rows:
                if not self.failure:
                    self._append(stream)
                stream.rows.clear()

    def _append(self, stream: _Stream) -> None:
        try:
            self._writer.rows(stream.number, stream.kind, stream.rows)
            self.rows += len(stream.rows)
        except OSError as error:
            self.failure = f"{self._writer.path}: {error.strerror or error}; nothing is recorded any more, what was written can be read"
            self._on_failure(self.failure)

    async def run(self) -> None:
        """Flush now and then until cancelled."""
        while True:
            await asyncio.sleep(self._flush_s)
            self.flush()

    def close(self) -> None:
        """Flush, make it outlive a loss of power, and close. A second call does nothing."""
        if not self._closed:
            self._closed = True
            self.flush()
            if not self.failure:
                self._writer.sync()
            self._writer.close()


# -- making a tape ------------------------------------------------------------------------------------------------------
def make_tape(folder: Path, path: Path, faults: Sequence[Fault] = ()) -> Manifest:
    """Make the tape at `path` of everything that was recorded into `folder`, whether recording ended properly or not.

    `faults` are what the feeds did not understand. Raises TapeError where nothing can be read.
    """
    spool = _Spool(folder / NAME)
    spool.read()
    raw = spool.columns()
    if not raw:
        raise TapeError(f"{spool.path}: no row was recorded" + (f"; {spool.problem}" if spool.problem else ""))
    instruments = [each for each in spool.instruments.values() if any(key[0] == each.id for key in raw)]
    sources = [spool.source(each.id, raw, faults) for each in instruments]
    return write_tape(path, instruments, raw, sources=sources)


@define(eq=False)
class _Spool:
    """What one spool holds."""

    path: Path
    problem: str = field(default="", init=False)
    instruments: dict[InstrumentId, Instrument] = field(factory=dict, init=False)
    _parts: dict[StreamKey, list[tuple[int, Columns]]] = field(factory=dict, init=False)
    _session: int = field(default=0, init=False)
    _blocks: int = field(default=0, init=False)

    def read(self) -> None:
        """Read all blocks. Raises TapeError where the spool contradicts itself."""
        reader = SpoolReader(self.path)
        streams: dict[int, StreamKey] = {}
        for block in reader.blocks():
            self._blocks += 1
            if block.stream != NOTE:
                key = streams.get(block.stream)
                if key is None:
                    raise TapeError(f"{self.path}: block {self._blocks} belongs to stream {block.stream}, which nothing says what it is")
                self._parts.setdefault(key, []).append((self._session, block.columns(key[1])))
            elif "session" in block.note:
                self._session += 1
                streams.clear()
            else:
                instrument = cattrs.structure(block.note["instrument"], InstrumentEntry).instrument()
                self._add(instrument)
                streams |= {number: (instrument.id, StreamKind(kind)) for kind, number in block.note["streams"].items()}
        self.problem = reader.problem

    def _add(self, instrument: Instrument) -> None:
        known = self.instruments.setdefault(instrument.id, instrument)
        if (known.tick_size, known.lot_size) != (instrument.tick_size, instrument.lot_size):
            raise TapeError(
                f"{self.path}: {instrument.id} was recorded on tick {known.tick_size:f}, lot {known.lot_size:f} and later on tick {instrument.tick_size:f}, "
                f"lot {instrument.lot_size:f}; a tape has one grid per instrument: record each into a folder of its own"
            )

    def columns(self) -> dict[StreamKey, Columns]:
        """Return the columns of every stream that has rows, with gaps between sessions."""
        gaps = {instrument: self._seams(instrument) for instrument in self.instruments}
        out: dict[StreamKey, Columns] = {}
        for instrument in self.instruments:
            for kind in StreamKind:
                parts = [columns for _, columns in self._parts.get((instrument, kind), ())]
                if kind is StreamKind.GAP and gaps[instrument] is not None:
                    parts.append(gaps[instrument] or {})
                if parts:
                    out[instrument, kind] = _joined(parts, kind)
        return out

    def _seams(self, instrument: InstrumentId) -> Columns | None:
        """Return a gap for each stretch between two sessions: from the last row before to the first after it."""
        spans: dict[int, tuple[int, int]] = {}
        for key, parts in self._parts.items():
            if key[0] == instrument:
                for session, columns in parts:
                    ts = columns["ts"]
                    first, last = spans.get(session, (int(ts[0]), int(ts[-1])))
                    spans[session] = min(first, int(ts[0])), max(last, int(ts[-1]))
        order = sorted(spans)
        seams = [(spans[a][1], spans[b][0]) for a, b in zip(order, order[1:], strict=False)]
        if not seams:
            return None
        ends = np.array([max(until - 1, since + 1) for since, until in seams], np.int64)
        length = ends - np.array([since for since, _ in seams], np.int64)
        reason = np.full(len(seams), int(GapReason.TRUNCATED), np.int32)
        return {"ts": ends, "length_ns": length, "reason": reason, "ts_event": np.zeros(len(seams), np.int64)}

    def source(self, instrument: InstrumentId, raw: dict[StreamKey, Columns], faults: Iterable[Fault]) -> Source:
        """Describe where an instrument's rows came from."""
        rows = {kind.value: len(columns["ts"]) for (name, kind), columns in raw.items() if name == instrument}
        venue = self.instruments[instrument].venue
        found = [fault for fault in faults if fault.file == venue]
        if self.problem:
            found.append(Fault(FaultKind.TRUNCATED, 1, self.path.name, self._blocks, self.problem))
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size, lines = self.path.stat().st_size, self._blocks
        return Source(
            file=self.path.name, format=FORMAT, size=size, sha256=digest, instrument=instrument, lines=lines, messages=rows, rows=rows, faults=tuple(found)
        )


def _joined(parts: list[Columns], kind: StreamKind) -> Columns:
    joined: dict[str, NDArray[np.generic]] = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    joined = {name: column.astype(column.dtype.newbyteorder("="), copy=False) for name, column in joined.items()}
    ts = joined["ts"].astype(np.int64, copy=False)
    if kind is StreamKind.GAP:
        order = np.argsort(ts, kind="stable")
        joined = {name: column[order] for name, column in joined.items()}
    joined["ts"] = strictly_increasing(joined["ts"].astype(np.int64, copy=False))
    if not joined["ts_event"].any():
        del joined["ts_event"]
    return joined
