"""Liquidation events from CSV: `event_ts`, `price`, `qty` and which side was liquidated.

Venues mean different things by the side. A column `side` of long/short says who was liquidated. A `raw_side` alone is the order's side on Binance (SELL:
a long was liquidated) and the position's side on Bybit (Buy: a long was liquidated; the price is the bankruptcy price, about 0.5 % beyond the mark).
`signed_lots` is that of the forced order: negative where a long was liquidated. A row's time is the later of its event and its recording.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from titan_core.errors import TapeError
from titan_core.model.enums import StreamKind
from titan_core.tape.faults import FaultKind, FaultLog
from titan_core.tape.importers.assemble import assemble, rows_by_kind
from titan_core.tape.importers.decimals import PRICE_DECIMALS, SIZE_DECIMALS, Ints
from titan_core.tape.importers.detect import Format
from titan_core.tape.importers.lines import Progress
from titan_core.tape.importers.rows import GapRows, Table, Timeline, readable
from titan_core.tape.importers.table import CsvTable, open_recording, read_table
from titan_core.tape.importers.target import ImportResult, Target
from titan_core.tape.manifest import Source

_TIMES = ("event_ts", "ts_ms", "timestamp", "time")
_POSITION = {"long": -1, "short": 1}
_ORDER = {"sell": -1, "buy": 1}


def import_liquidations(path: Path, target: Target, *, progress: Progress | None = None) -> ImportResult:
    """Import liquidations of one venue and symbol. Raises TapeError for a file without any."""
    recording = open_recording(path, progress)
    log = recording.log
    table = read_table(path, target, recording)
    event, bad = table.times(*_TIMES)
    recorded = table.times("inserted_ts")[0] if "inserted_ts" in table.columns else event
    signs, unknown = _signs(table, target, log)
    order = np.argsort(np.maximum(event, recorded), kind="stable")
    order = order[~(bad | unknown)[order]]
    timeline = Timeline()
    timeline.extend(np.maximum(event, recorded)[order], table.lines[order])
    timeline.compare(recorded[order], event[order])
    tokens = {"price": table.columns[table.name_of("price")], "signed_lots": table.columns[table.name_of("qty", "quantity", "size")]}
    values = {"price": table.numbers("price").fine(PRICE_DECIMALS), "signed_lots": table.numbers("qty", "quantity", "size").fine(SIZE_DECIMALS)}
    values = {name: (fine[order], trouble[order]) for name, (fine, trouble) in values.items()}
    keep = readable(values, {name: [tokens[name][row] for row in order.tolist()] for name in tokens}, table.lines[order], log)
    fields = {"price": values["price"][0][keep], "signed_lots": values["signed_lots"][0][keep] * signs[order][keep]}
    if not keep.any():
        raise TapeError(f"{path}: no liquidation of {target.id} in {table.total} rows, {table.others} of them of other markets; check --symbol and --venue")
    rows = Table(StreamKind.LIQUIDATION, np.flatnonzero(keep), event[order][keep], fields)
    times = timeline.close(log)
    done = assemble(target, times, [rows], GapRows(), log, recording.truncated, silences=False)
    source = Source(
        file=path.name,
        format=Format.LIQUIDATIONS,
        size=recording.size,
        sha256=recording.sha256,
        instrument=done.instrument.id,
        lines=recording.line_count,
        messages=table.counts("liquidation"),
        rows=rows_by_kind(done.raw),
        faults=log.faults,
        clock=times.clock,
        notes=done.notes,
    )
    return ImportResult(instrument=done.instrument, grid=done.grid, raw=done.raw, source=source)


def _signs(table: CsvTable, target: Target, log: FaultLog) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the sign of each forced order, and mark the rows whose side is unknown; a `side` and `raw_side` that contradict each other are reported."""
    raw_means = _ORDER if not target.venue.startswith("bybit") else {side: -sign for side, sign in _ORDER.items()}
    by_position = _read(table, "side", _POSITION)
    by_raw = _read(table, "raw_side", raw_means)
    if by_position is None and by_raw is None:
        raise TapeError(f"{table.path}: has no column side (long, short) or raw_side (BUY, SELL); its columns are {', '.join(table.columns)}")
    signs = by_raw if by_position is None else by_position
    assert signs is not None
    if by_position is not None and by_raw is not None:
        differ = np.flatnonzero((by_position != 0) & (by_raw != 0) & (by_position != by_raw))
        if len(differ):
            log.add(FaultKind.OUT_OF_RANGE, int(table.lines[differ[0]]), "side and raw_side contradict each other; side is taken", len(differ))
        signs = np.where(by_position != 0, by_position, by_raw)
    unknown = signs == 0
    if unknown.any():
        row = int(np.argmax(unknown))
        log.add(FaultKind.BAD_LINE, int(table.lines[row]), "side is neither long/short nor buy/sell", int(np.count_nonzero(unknown)))
    return signs, unknown


def _read(table: CsvTable, name: str, meaning: dict[str, int]) -> Ints | None:
    if name not in table.columns:
        return None
    return np.array([meaning.get(token.decode("ascii", "replace").strip().lower(), 0) for token in table.columns[name]], np.int64)
