"""Putting an import into a tape: a new stream is added, a longer one extended, what is there already stays byte for byte."""

from pathlib import Path

import numpy as np
from attrs import define, evolve, field
from numpy.typing import NDArray

from titan_core.errors import TapeError, UsageError
from titan_core.model.enums import StreamKind
from titan_core.model.ids import InstrumentId
from titan_core.model.instrument import Instrument
from titan_core.model.market import GapReason
from titan_core.tape.columns import Columns, strictly_increasing
from titan_core.tape.faults import FaultKind, FaultLog
from titan_core.tape.files import ensure_verified, map_column
from titan_core.tape.importers.target import ImportResult
from titan_core.tape.manifest import MANIFEST_NAME, GridSource, Manifest, Source
from titan_core.tape.replace import exclusive
from titan_core.tape.store import Progress, read_manifest, store
from titan_core.tape.tape import StreamKey

_PRICE_STREAMS = (StreamKind.QUOTE, StreamKind.TRADE)


def present_instruments(path: Path) -> dict[InstrumentId, tuple[Instrument, GridSource]]:
    """Return the instruments of the tape at `path`; none where there is no tape yet. Raises TapeError for a damaged manifest."""
    if not (path / MANIFEST_NAME).exists():
        return {}
    return {i.id: (i, entry.grid) for entry in read_manifest(path).instruments for i in [entry.instrument()]}


def add_to_tape(path: Path, result: ImportResult, *, progress: Progress | None = None) -> Manifest:
    """Add the streams of an import to the tape at `path`, making it where there is none.

    A stream that the tape has already is extended before and behind; rows inside the stretch it covers are reported as overlap and left out. The tape is
    replaced in one step: it holds the old or the new content, whatever happens. Raises TapeError for a damaged tape, UsageError where bars would be
    mixed with recorded trades or the instrument has another grid.
    """
    if not result.raw:
        raise TapeError(f"{result.source.file}: nothing of it can be kept: {', '.join(f'{f.count} {f.kind}' for f in result.source.faults) or 'no rows'}")
    with exclusive(path.parent):
        old = read_manifest(path) if (path / MANIFEST_NAME).exists() else None
        if old is not None:
            ensure_verified(path, old)
        joining = _Joining(path, result, old)
        raw = joining.streams()
        known = {entry.instrument().id: entry for entry in old.instruments} if old else {}
        instruments: list[Instrument] = [entry.instrument() for entry in known.values()]
        grids = {name: entry.grid for name, entry in known.items()}
        if result.instrument.id not in known:
            instruments.append(result.instrument)
            grids[result.instrument.id] = result.grid
        source = joining.source()
        return store(
            path,
            instruments,
            raw,
            bars_only=joining.bars_only(),
            sources=(*(old.sources if old else ()), source),
            faults=old.faults if old else (),
            grids=grids,
            keep=[key for key in joining.present if key not in raw],
            progress=progress,
        )


@define
class _Joining:
    """Joins the streams of one import to those of the tape."""

    path: Path
    result: ImportResult
    old: Manifest | None
    log: FaultLog = field(init=False)
    present: list[StreamKey] = field(init=False)
    _added: dict[str, int] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.log = FaultLog(self.result.source.file)
        self.present = [(s.instrument, s.kind) for s in self.old.streams if s.kind is not StreamKind.BASIS] if self.old else []
        self._check_grid()
        self._check_mixture()

    def streams(self) -> dict[StreamKey, Columns]:
        """Return the columns of every stream that is new or longer than before."""
        joined: dict[StreamKey, Columns] = {}
        seams: list[tuple[int, int]] = []
        for kind, columns in self.result.raw.items():
            if kind is StreamKind.GAP:
                continue
            key = (self.result.instrument.id, kind)
            longer, between = self._add(key, columns)
            self._added[kind.value] = len(longer["ts"]) - self._rows(key) if longer is not None else 0
            if longer is not None:
                joined[key] = longer
            if kind in _PRICE_STREAMS:
                seams = seams or between
        gaps = self._gaps(seams)
        if gaps is not None:
            joined[self.result.instrument.id, StreamKind.GAP] = gaps
        return joined

    def source(self) -> Source:
        """Return the account of the file, with the faults of joining it and the rows that were really added."""
        source = self.result.source
        rows = {kind: self._added.get(kind, count) for kind, count in source.rows.items()}
        return evolve(source, rows=rows, faults=(*source.faults, *self.log.faults))

    def bars_only(self) -> dict[InstrumentId, int]:
        """Return the bar length of each instrument made of bars: the longest where several were joined."""
        lengths = dict(self.old.bars_only) if self.old else {}
        if self.result.bar_ns is not None:
            name = self.result.instrument.id
            lengths[name] = max(lengths.get(name, 0), self.result.bar_ns)
        return lengths

    def _check_grid(self) -> None:
        new = self.result.instrument
        held = next((i for i in (entry.instrument() for entry in self.old.instruments) if i.id == new.id), None) if self.old else None
        if held is not None and (held.tick_size, held.lot_size) != (new.tick_size, new.lot_size):
            raise UsageError(
                f"{self.path}: has {new.id} on a grid of tick {held.tick_size:f}, lot {held.lot_size:f}; the import is on tick {new.tick_size:f}, "
                f"lot {new.lot_size:f}: import the file for this tape again"
            )

    def _check_mixture(self) -> None:
        name = self.result.instrument.id
        has_trades = any((name, kind) in self.present for kind in _PRICE_STREAMS)
        brings_trades = any(kind in self.result.raw for kind in _PRICE_STREAMS)
        of_bars = self.old is not None and name in self.old.bars_only
        if has_trades and brings_trades and of_bars != (self.result.bar_ns is not None):
            held, brought = ("bars", "recorded trades") if of_bars else ("recorded trades", "bars")
            raise UsageError(f"{self.path}: {name} is made of {held}, {self.result.source.file} holds {brought}; use another tape for them")

    def _rows(self, key: StreamKey) -> int:
        entry = self.old.stream(*key) if self.old else None
        return entry.rows if entry is not None else 0

    def _add(self, key: StreamKey, columns: Columns) -> tuple[Columns | None, list[tuple[int, int]]]:
        """Return the joined columns (None where nothing is new) and the seams: the stretches (from, to) between old and new rows."""
        entry = self.old.stream(*key) if self.old else None
        if entry is None or entry.rows == 0:
            return columns, []
        held = {name: map_column(self.path, file) for name, file in entry.raw.items()}
        ts = columns["ts"].astype(np.int64, copy=False)
        before, behind = ts < entry.first_ns, ts > entry.last_ns
        inside = np.flatnonzero(~before & ~behind)
        if len(inside):
            text = f"{key[1]} rows from {ts[inside[0]]} to {ts[inside[-1]]} ns lie within the stretch the tape has; the tape's rows are kept"
            self.log.add(FaultKind.OVERLAP, 0, text, len(inside))
        seams = [(int(ts[before][-1]), entry.first_ns)] if before.any() else []
        seams += [(entry.last_ns, int(ts[behind][0]))] if behind.any() else []
        if not seams:
            return None, []
        return {name: np.concatenate(parts) for name, parts in _parts(columns, held, before, behind).items()}, seams

    def _gaps(self, seams: list[tuple[int, int]]) -> Columns | None:
        """Return all GAP rows of the instrument, where the import brings new ones: its own, and the stretches between two files."""
        brought = self.result.raw.get(StreamKind.GAP)
        parts: list[Columns] = [brought] if brought is not None else []
        reason = GapReason.RECONNECT if self.result.recorded else GapReason.HOLE
        usual = 0 if self.result.recorded else self.result.bar_ns or 0
        for since, until in seams:
            if until - since > usual:
                parts.append({"ts": np.array([until]), "length_ns": np.array([until - since]), "reason": np.array([reason], np.int32)})
        entry = self.old.stream(self.result.instrument.id, StreamKind.GAP) if self.old else None
        held: list[Columns] = [{name: map_column(self.path, file) for name, file in entry.raw.items()}] if entry is not None else []
        parts = [part for part in (_unlike(part, held) for part in parts) if len(part["ts"])]
        if not parts:
            return None
        merged = [*held, *parts]
        order = np.argsort(np.concatenate([part["ts"] for part in merged]), kind="stable")
        joined = {name: np.concatenate([part[name] for part in merged])[order] for name in ("ts", "length_ns", "reason")}
        return joined | {"ts": strictly_increasing(joined["ts"].astype(np.int64))}


def _parts(columns: Columns, held: Columns, before: NDArray[np.bool_], behind: NDArray[np.bool_]) -> dict[str, list[NDArray[np.generic]]]:
    """Return for each column its piece before, in and behind the stretch that is held; venue times that one side lacks are 0."""
    parts = {}
    for name in dict.fromkeys([*held, *columns]):
        new = columns[name] if name in columns else np.zeros(len(columns["ts"]), np.int64)
        old = held[name] if name in held else np.zeros(len(held["ts"]), np.int64)
        parts[name] = [new[before], old, new[behind]]
    return parts


def _unlike(part: Columns, held: list[Columns]) -> Columns:
    """Return the gaps that are not held already."""
    new = ~np.isin(part["ts"], held[0]["ts"]) if held else np.ones(len(part["ts"]), np.bool_)
    return {name: column[new] for name, column in part.items()}
