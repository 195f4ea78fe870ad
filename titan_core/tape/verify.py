"""The full check of a stored tape: every byte, every derived column, the order of time and the books."""

from pathlib import Path

import numpy as np
from attrs import frozen

from titan_core.errors import TapeError
from titan_core.model.enums import StreamKind
from titan_core.model.instrument import Instrument
from titan_core.tape.columns import Columns, check_raw
from titan_core.tape.files import check_file, check_hash, map_column, take_stamp, write_stamp
from titan_core.tape.index import basis_rows, build_index
from titan_core.tape.manifest import FileEntry, Manifest, StreamEntry, content_digest, read_manifest
from titan_core.tape.tape import tick_units


@frozen
class VerifyReport:
    """What the check covered and everything it found wrong, one sentence each."""

    files: int
    size: int
    rows: int
    digest: str
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was wrong."""
        return not self.problems


def verify_tape(path: Path) -> VerifyReport:
    """Check a tape completely. Raises TapeError where there is no readable manifest; all else that is wrong stands in the report."""
    manifest = read_manifest(path)
    problems: list[str] = []
    stamp = take_stamp(path, manifest) if all((path / entry.path).is_file() for entry in manifest.files) else {}
    sound = {entry.path for entry in manifest.files if _passes(path, entry, problems)}
    for stream in manifest.streams:
        if all(entry.path in sound for part in (stream.raw, stream.index) for entry in part.values()):
            _check_stream(path, manifest, stream, problems)
    digest = content_digest(manifest.instruments, manifest.streams, manifest.bars_only)
    if digest != manifest.digest:
        problems.append(f"{path}: digest is {manifest.digest}, the columns listed give {digest}")
    if not problems:
        write_stamp(path, stamp)
    return VerifyReport(len(manifest.files), sum(e.size for e in manifest.files), manifest.ticks, manifest.digest, tuple(problems))


def _passes(path: Path, entry: FileEntry, problems: list[str]) -> bool:
    try:
        check_file(path, entry)
        check_hash(path, entry)
    except TapeError as error:
        problems.append(str(error))
        return False
    return True


def _check_stream(path: Path, manifest: Manifest, stream: StreamEntry, problems: list[str]) -> None:
    raw = {name: map_column(path, entry) for name, entry in stream.raw.items()}
    where = f"{path}: {stream.kind} of {stream.instrument}"
    try:
        if stream.kind is not StreamKind.BASIS:  # quotes of both legs may come at the same time
            check_raw(stream.kind, raw, str(path / stream.instrument))
    except TapeError as error:
        problems.append(str(error))
        return
    ts = raw["ts"]
    span = (len(ts), int(ts[0]) if len(ts) else 0, int(ts[-1]) if len(ts) else 0)
    if span != (stream.rows, stream.first_ns, stream.last_ns):
        problems.append(f"{where}: rows, first and last time are {span}, the manifest says {(stream.rows, stream.first_ns, stream.last_ns)}")
    for name, column in build_index(stream.kind, raw).items():
        entry = stream.index.get(name)
        if name not in raw and (entry is None or not np.array_equal(map_column(path, entry), column)):
            problems.append(f"{where}: derived column {name} is not what the raw columns give")
    _check_book(stream.kind, raw, where, problems)
    if stream.kind is StreamKind.BASIS:
        _check_basis(path, manifest, stream, raw, problems)


def _check_book(kind: StreamKind, raw: Columns, where: str, problems: list[str]) -> None:
    if kind not in (StreamKind.QUOTE, StreamKind.DEPTH):
        return
    bid, ask = (raw["bid"], raw["ask"]) if kind is StreamKind.QUOTE else (raw["bids"][:, 0], raw["asks"][:, 0])
    crossed = np.flatnonzero((bid >= ask) & (bid > 0) & (ask > 0))  # type: ignore[operator]
    if len(crossed):
        row = int(crossed[0])
        problems.append(f"{where}: {len(crossed)} crossed books, the first at row {row}: bid {bid[row]}, ask {ask[row]} ticks")


def _check_basis(path: Path, manifest: Manifest, stream: StreamEntry, raw: Columns, problems: list[str]) -> None:
    pair = next((pair for pair in manifest.pairs if pair.perp == stream.instrument), None)
    quotes = [manifest.stream(leg, StreamKind.QUOTE) for leg in (pair.spot, pair.perp)] if pair else []
    spot, perp = quotes if len(quotes) == 2 else (None, None)
    if spot is None or perp is None:
        problems.append(f"{path}: basis of {stream.instrument} has no pair of quote streams behind it")
        return
    instruments: dict[str, Instrument] = {i.id: i for i in (entry.instrument() for entry in manifest.instruments)}
    spot_quotes, perp_quotes = ({name: map_column(path, entry) for name, entry in leg.raw.items()} for leg in (spot, perp))
    expected = basis_rows(spot_quotes, perp_quotes, *tick_units(instruments[spot.instrument], instruments[perp.instrument]))
    if any(not np.array_equal(raw[name], column) for name, column in expected.items()):
        problems.append(f"{path}: basis of {stream.instrument} is not what its quotes give")
