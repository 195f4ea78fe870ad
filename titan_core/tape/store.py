"""Tapes on disk: a folder of `manifest.json` and one `.npy` file per column, opened by mapping and written in one step or not at all.

Every file's sha256 stands in the manifest. Opening checks it, unless `verified.json` says that the file still has the size and the times it had when it
was last hashed; so a changed byte is found at once and a tape of any size still opens in milliseconds.
"""

import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from titan_core.errors import TapeError
from titan_core.model.enums import StreamKind
from titan_core.model.ids import InstrumentId
from titan_core.model.instrument import Instrument
from titan_core.tape.columns import Columns, check_raw
from titan_core.tape.faults import Fault
from titan_core.tape.files import check_file, ensure_verified, map_column, take_stamp, write_column, write_stamp
from titan_core.tape.index import basis_rows, build_index
from titan_core.tape.manifest import (
    MANIFEST_NAME,
    GapSummary,
    GridSource,
    InstrumentEntry,
    Manifest,
    Source,
    StreamEntry,
    content_digest,
    dump_manifest,
    parse_manifest,
    read_manifest,
)
from titan_core.tape.replace import exclusive, fsync_all, replace_folder, scratch_folder
from titan_core.tape.tape import Pair, Stream, StreamKey, Tape, default_pairs, stream_order, tick_units
from titan_core.tape.verify import VerifyReport, verify_tape

__all__ = ["VerifyReport", "open_tape", "read_manifest", "verify_tape", "write_tape"]

INTRABAR_PATH = (
    "bars are replayed as trades along straight lines open-low-high-close (close >= open) or open-high-low-close (close < open), at most 2 bps of the "
    "bar's low per step, spread evenly inside the bar, with a quote of one tick around each; the sign of their lots has no meaning"
)
Progress = Callable[[float], None]


# -- opening ----------------------------------------------------------------------------------------------------
def open_tape(path: Path, *, verify: bool | None = None) -> Tape:
    """Map a stored tape into memory. Raises TapeError where it is missing or damaged, naming the file, what was found and what was expected.

    `verify` True hashes every file, False none, None those of a tape whose files changed since they were last hashed.
    """
    manifest = read_manifest(path)
    ensure_verified(path, manifest, verify)
    streams = tuple(
        Stream(s.instrument, s.kind, rank, {name: map_column(path, entry) for part in (s.raw, s.index) for name, entry in part.items()})
        for rank, s in enumerate(manifest.streams)
    )
    return Tape(tuple(i.instrument() for i in manifest.instruments), manifest.pairs, streams, dict(manifest.bars_only), manifest.digest)


# -- writing ----------------------------------------------------------------------------------------------------
def write_tape(
    path: Path,
    instruments: Sequence[Instrument],
    raw: Mapping[StreamKey, Columns],
    *,
    bars_only: Mapping[InstrumentId, int] | None = None,
    sources: Sequence[Source] = (),
    faults: Sequence[Fault] = (),
    pairs: Sequence[Pair] | None = None,
    grids: Mapping[InstrumentId, GridSource] | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Check, index and store columns as the tape at `path`, replacing a tape that is there; leaves all or nothing. Raises TapeError.

    `sources` and `faults` go into the manifest; `grids` says where each instrument's grid came from (given, unless said otherwise).
    """
    with exclusive(path.parent):
        return store(path, instruments, raw, bars_only=bars_only, sources=sources, faults=faults, pairs=pairs, grids=grids, progress=progress)


def store(
    path: Path,
    instruments: Sequence[Instrument],
    raw: Mapping[StreamKey, Columns],
    *,
    bars_only: Mapping[InstrumentId, int] | None = None,
    sources: Sequence[Source] = (),
    faults: Sequence[Fault] = (),
    pairs: Sequence[Pair] | None = None,
    grids: Mapping[InstrumentId, GridSource] | None = None,
    keep: Collection[StreamKey] = (),
    progress: Progress | None = None,
) -> Manifest:
    """Do what `write_tape` says for a caller that holds the lock.

    The streams of `keep` are taken over from the tape that is replaced, byte for byte; `raw` holds all others.
    """
    _refuse_foreign(path)
    old, kept = None, {}
    if keep:
        old = read_manifest(path)
        ensure_verified(path, old)
        kept = {key: _entry(old, key, path) for key in keep}
    chosen = default_pairs(instruments) if pairs is None else tuple(pairs)
    with scratch_folder(path) as folder:
        writer = _Writer(folder, path, instruments, raw, kept, old)
        entries = writer.write(chosen, progress)
        manifest = _describe(instruments, chosen, entries, writer.gaps(), dict(bars_only or {}), sources, faults, dict(grids or {}))
        encoded = dump_manifest(manifest)
        (folder / MANIFEST_NAME).write_bytes(encoded)
        files = [folder / entry.path for entry in manifest.files]
        fsync_all([*files, *{file.parent for file in files}, folder / MANIFEST_NAME])
        replace_folder(folder, path)
    manifest = parse_manifest(encoded, path / MANIFEST_NAME)
    write_stamp(path, take_stamp(path, manifest))
    return manifest


def _refuse_foreign(path: Path) -> None:
    if path.is_dir() and not (path / MANIFEST_NAME).exists() and any(path.iterdir()):
        raise TapeError(f"{path} is a folder with other things in it, not a tape; give a new path or that of a tape")
    if path.exists() and not path.is_dir():
        raise TapeError(f"{path} is a file; a tape is a folder: give a new path or that of a tape")


def _entry(manifest: Manifest, key: StreamKey, path: Path) -> StreamEntry:
    entry = manifest.stream(*key)
    if entry is None:
        raise TapeError(f"{path}: has no stream {key[1]} of {key[0]} to keep")
    return entry


@frozen
class _Writer:
    """Writes the streams of one tape into a folder, indexing one at a time so that memory holds no more than that."""

    folder: Path
    replaced: Path
    instruments: Sequence[Instrument]
    raw: Mapping[StreamKey, Columns]
    kept: Mapping[StreamKey, StreamEntry]
    old: Manifest | None

    def write(self, pairs: Sequence[Pair], progress: Progress | None) -> list[StreamEntry]:
        known = {instrument.id: instrument for instrument in self.instruments}
        for instrument, kind in [*self.raw, *self.kept]:
            if instrument not in known:
                raise TapeError(f"stream {kind} belongs to {instrument}, which is not among the instruments {', '.join(known)}")
        basis = {(pair.perp, StreamKind.BASIS): pair for pair in pairs if self._has_quotes(pair.spot) and self._has_quotes(pair.perp)}
        keys = stream_order(self.instruments, [*self.raw, *self.kept, *basis])
        entries = []
        for done, key in enumerate(keys):
            pair = basis.get(key)
            old = self._unchanged_basis(pair) if pair is not None else self.kept.get(key)
            entries.append(self._take_over(old) if old is not None else self._write_stream(key, self._basis(pair, known) if pair else self.raw[key]))
            if progress is not None:
                progress((done + 1) / len(keys))
        return entries

    def gaps(self) -> dict[InstrumentId, Columns]:
        """Return the raw GAP columns by instrument."""
        return {i.id: self._columns((i.id, StreamKind.GAP)) for i in self.instruments if (i.id, StreamKind.GAP) in {*self.raw, *self.kept}}

    def _has_quotes(self, instrument: InstrumentId) -> bool:
        return (instrument, StreamKind.QUOTE) in self.raw or (instrument, StreamKind.QUOTE) in self.kept

    def _columns(self, key: StreamKey) -> Columns:
        return self.raw[key] if key in self.raw else {name: map_column(self.replaced, entry) for name, entry in self.kept[key].raw.items()}

    def _unchanged_basis(self, pair: Pair) -> StreamEntry | None:
        unchanged = all((leg, StreamKind.QUOTE) in self.kept for leg in (pair.spot, pair.perp))
        return self.old.stream(pair.perp, StreamKind.BASIS) if unchanged and self.old is not None and pair in self.old.pairs else None

    def _basis(self, pair: Pair, known: Mapping[InstrumentId, Instrument]) -> Columns:
        spot, perp = self._columns((pair.spot, StreamKind.QUOTE)), self._columns((pair.perp, StreamKind.QUOTE))
        return basis_rows(spot, perp, *tick_units(known[pair.spot], known[pair.perp]))

    def _take_over(self, entry: StreamEntry) -> StreamEntry:
        (self.folder / entry.instrument).mkdir(exist_ok=True)
        for file in (*entry.raw.values(), *entry.index.values()):
            check_file(self.replaced, file)
            try:
                os.link(self.replaced / file.path, self.folder / file.path)
            except OSError:
                shutil.copyfile(self.replaced / file.path, self.folder / file.path)
        return entry

    def _write_stream(self, key: StreamKey, raw: Columns) -> StreamEntry:
        instrument, kind = key
        if kind is not StreamKind.BASIS:  # quotes of both legs may come at the same time
            check_raw(kind, raw, str(instrument))
        columns = build_index(kind, raw)
        (self.folder / instrument).mkdir(exist_ok=True)
        files = {name: write_column(self.folder, f"{instrument}/{kind}.{name}.npy", column) for name, column in columns.items()}
        ts = columns["ts"]
        first, last = (int(ts[0]), int(ts[-1])) if len(ts) else (0, 0)
        index = {name: file for name, file in files.items() if name not in raw}
        return StreamEntry(instrument, kind, len(ts), first, last, {name: files[name] for name in raw}, index)


def _describe(
    instruments: Sequence[Instrument],
    pairs: tuple[Pair, ...],
    entries: Sequence[StreamEntry],
    gaps: Mapping[InstrumentId, Columns],
    bars_only: dict[InstrumentId, int],
    sources: Sequence[Source],
    faults: Sequence[Fault],
    grids: dict[InstrumentId, GridSource],
) -> Manifest:
    described = tuple(InstrumentEntry.of(i, grids.get(i.id, GridSource.GIVEN)) for i in instruments)
    return Manifest(
        instruments=described,
        pairs=pairs,
        streams=tuple(entries),
        bars_only=bars_only,
        intrabar_path=INTRABAR_PATH if bars_only else "",
        gaps={instrument: _gap_summary(columns) for instrument, columns in gaps.items() if len(columns["ts"])},
        sources=tuple(sources),
        faults=tuple(faults),
        digest=content_digest(described, entries, bars_only),
    )


def _gap_summary(columns: Columns) -> GapSummary:
    length = columns["length_ns"]
    return GapSummary(count=len(length), total_ns=int(length.sum()), longest_ns=int(length.max()), first_ns=int(columns["ts"][0]))
