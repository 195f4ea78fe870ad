"""The manifest of a stored tape: what it holds, where it came from, what was wrong with it, and the digest of every file."""

import hashlib
import json
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import cattrs
from attrs import evolve, field, frozen

from titan_core.errors import TapeError
from titan_core.model.enums import InstrumentKind, StreamKind
from titan_core.model.ids import InstrumentId, VenueId
from titan_core.model.instrument import Instrument
from titan_core.tape.faults import Fault
from titan_core.tape.tape import Pair

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"


class GridSource(StrEnum):
    """Where an instrument's tick and lot size came from."""

    GIVEN = "given"
    KNOWN = "known"
    INFERRED = "inferred"


@frozen
class FileEntry:
    """One column's file, its path relative to the tape."""

    path: str
    dtype: str
    shape: tuple[int, ...]
    size: int
    sha256: str


@frozen
class StreamEntry:
    """One stream: `raw` are the columns that were imported, `index` what was derived from them."""

    instrument: InstrumentId
    kind: StreamKind
    rows: int
    first_ns: int
    last_ns: int
    raw: dict[str, FileEntry]
    index: dict[str, FileEntry]


@frozen(kw_only=True)
class InstrumentEntry:
    """One instrument with all its rules, and where its grid came from."""

    venue: VenueId
    symbol: str
    kind: InstrumentKind
    base: str
    quote: str
    tick_size: str
    lot_size: str
    min_notional: str
    maker_fee_ppm: int
    taker_fee_ppm: int
    max_leverage: int
    maintenance_margin_bps: int
    liquidation_fee_bps: int
    grid: GridSource

    @classmethod
    def of(cls, instrument: Instrument, grid: GridSource) -> "InstrumentEntry":
        """Describe an instrument."""
        return cls(
            venue=instrument.venue,
            symbol=instrument.symbol,
            kind=instrument.kind,
            base=instrument.base,
            quote=instrument.quote,
            tick_size=_plain(instrument.tick_size),
            lot_size=_plain(instrument.lot_size),
            min_notional=_plain(instrument.min_notional),
            maker_fee_ppm=instrument.maker_fee_ppm,
            taker_fee_ppm=instrument.taker_fee_ppm,
            max_leverage=instrument.max_leverage,
            maintenance_margin_bps=instrument.maintenance_margin_bps,
            liquidation_fee_bps=instrument.liquidation_fee_bps,
            grid=grid,
        )

    def instrument(self) -> Instrument:
        """Build the instrument."""
        return Instrument(
            venue=self.venue,
            symbol=self.symbol,
            kind=self.kind,
            base=self.base,
            quote=self.quote,
            tick_size=Decimal(self.tick_size),
            lot_size=Decimal(self.lot_size),
            min_notional=Decimal(self.min_notional),
            maker_fee_ppm=self.maker_fee_ppm,
            taker_fee_ppm=self.taker_fee_ppm,
            max_leverage=self.max_leverage,
            maintenance_margin_bps=self.maintenance_margin_bps,
            liquidation_fee_bps=self.liquidation_fee_bps,
        )


@frozen(kw_only=True)
class ClockStats:
    """The clocks of a recording, in ns. `min`, `median` and `max` are of receive time minus the venue's event time, over `samples` messages.

    `bumped` rows were moved forward, at most by `largest_bump_ns`, so that times strictly increase.
    """

    samples: int = 0
    min_ns: int = 0
    median_ns: int = 0
    max_ns: int = 0
    bumped: int = 0
    largest_bump_ns: int = 0
    steps_back: int = 0
    largest_step_back_ns: int = 0

    def without_latency(self) -> "ClockStats":
        """Return the statistics of a recording whose receive times are the venue's own."""
        return evolve(self, samples=0, min_ns=0, median_ns=0, max_ns=0)


@frozen
class Silence:
    """Stretches of one stream without an event for longer than `threshold_ns`; the longest one ends at `longest_until_ns`."""

    threshold_ns: int
    count: int
    longest_ns: int
    longest_until_ns: int


@frozen(kw_only=True)
class Source:
    """One imported file: what it held, by type of message, and what was wrong with it."""

    file: str
    format: str
    size: int
    sha256: str
    instrument: InstrumentId
    lines: int
    messages: dict[str, int]
    rows: dict[str, int]
    faults: tuple[Fault, ...] = ()
    clock: ClockStats | None = None
    silences: dict[str, Silence] = field(factory=dict)
    notes: tuple[str, ...] = ()


@frozen(kw_only=True)
class GapSummary:
    """The GAP rows of one instrument."""

    count: int
    total_ns: int
    longest_ns: int
    first_ns: int


@frozen(kw_only=True)
class Manifest:
    """Everything about a tape but the columns themselves. `digest` identifies instruments and raw columns."""

    format_version: int = FORMAT_VERSION
    instruments: tuple[InstrumentEntry, ...]
    pairs: tuple[Pair, ...]
    streams: tuple[StreamEntry, ...]
    bars_only: dict[InstrumentId, int]
    intrabar_path: str = ""
    gaps: dict[InstrumentId, GapSummary]
    sources: tuple[Source, ...]
    faults: tuple[Fault, ...]
    digest: str
    checksum: str = ""
    """sha256 of this manifest without this field."""

    def stream(self, instrument: InstrumentId, kind: StreamKind) -> StreamEntry | None:
        """Return the entry of one stream, or None."""
        return next((s for s in self.streams if s.instrument == instrument and s.kind is kind), None)

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """Every column file of the tape."""
        return tuple(entry for stream in self.streams for part in (stream.raw, stream.index) for entry in part.values())

    @property
    def first_ns(self) -> int:
        """Time of the first event; 0 for an empty tape."""
        return min((s.first_ns for s in self.streams if s.rows), default=0)

    @property
    def last_ns(self) -> int:
        """Time of the last event; 0 for an empty tape."""
        return max((s.last_ns for s in self.streams if s.rows), default=0)

    @property
    def ticks(self) -> int:
        """Number of market events, derived ones not counted."""
        return sum(s.rows for s in self.streams if s.kind is not StreamKind.BASIS)

    @property
    def all_faults(self) -> tuple[Fault, ...]:
        """Faults of every source and of their joining."""
        return tuple(fault for source in self.sources for fault in source.faults) + self.faults


def content_digest(instruments: Sequence[InstrumentEntry], streams: Sequence[StreamEntry], bars_only: dict[InstrumentId, int]) -> str:
    """Return the sha256 over what the tape says: each instrument and bar length, and the sha256 of each raw column, in a fixed order.

    Where a grid came from does not belong to it.
    """
    rules = sorted((evolve(entry, grid=GridSource.GIVEN) for entry in instruments), key=lambda i: (i.venue, i.symbol))
    lines = [json.dumps(entry, sort_keys=True) for entry in to_json(rules)]
    lines += [f"{instrument} {length}" for instrument, length in sorted(bars_only.items())]
    lines += sorted(f"{e.path} {e.sha256}" for s in streams if s.kind is not StreamKind.BASIS for e in s.raw.values())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def dump_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as indented JSON with its checksum set."""
    data = _converter().unstructure(evolve(manifest, checksum=""))
    return _encode({**data, "checksum": _checksum(data)})


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of the tape at `path`. Raises TapeError where it is missing, damaged or of another format version."""
    file = path / MANIFEST_NAME
    if not file.is_file():
        raise TapeError(f"{path} is not a tape: it has no {MANIFEST_NAME}; make one with `titan data import` or `titan data generate`")
    return parse_manifest(file.read_bytes(), file)


def find_tapes(folder: Path) -> list[Path]:
    """Return the folder, its folders and theirs where they are tapes, damaged ones included."""
    files = [folder / MANIFEST_NAME, *folder.glob(f"*/{MANIFEST_NAME}"), *folder.glob(f"*/*/{MANIFEST_NAME}")]
    return sorted(file.parent for file in files if not file.parent.name.startswith(".") and _looks_like_a_tape(file))


def _looks_like_a_tape(file: Path) -> bool:
    try:
        head = file.read_bytes()[:64]
    except OSError:
        return False
    return b'"format_version"' in head and any(file.parent.glob("*/*.npy"))


def parse_manifest(text: bytes, file: Path) -> Manifest:
    """Turn the bytes of a manifest into one. Raises TapeError naming `file`."""
    try:
        data = json.loads(text)
        version = data["format_version"]
        checksum = data["checksum"]
    except (ValueError, TypeError, KeyError) as error:
        raise TapeError(f"{file}: not a manifest ({type(error).__name__}: {error}); import the recordings again") from error
    if version != FORMAT_VERSION:
        raise TapeError(f"{file}: tape format {version}, this version reads format {FORMAT_VERSION}; import the recordings again")
    expected = _checksum({**data, "checksum": ""})
    if checksum != expected:
        raise TapeError(f"{file}: was changed after it was written: checksum {checksum}, its content gives {expected}; import the recordings again")
    try:
        return _converter().structure(data, Manifest)
    except (cattrs.BaseValidationError, TypeError, ValueError) as error:
        detail = "; ".join(cattrs.transform_error(error)) if isinstance(error, cattrs.BaseValidationError) else str(error)
        raise TapeError(f"{file}: {detail}; import the recordings again") from error


def _checksum(data: dict[str, Any]) -> str:
    return hashlib.sha256(_encode(data)).hexdigest()


def _encode(data: dict[str, Any]) -> bytes:
    return (json.dumps(data, indent=2) + "\n").encode()


def to_json(value: object) -> Any:
    """Return any of this module's values as plain JSON data."""
    return _converter().unstructure(value)


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    converter.register_structure_hook(Decimal, lambda text, _: Decimal(text))
    return converter


def _plain(value: Decimal) -> str:
    return format(value.normalize(), "f")
