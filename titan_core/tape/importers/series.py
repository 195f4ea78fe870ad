"""Funding and open interest from CSV: one value per time.

Funding: `ts_ms` is the settlement, kept as it is also where it lies some ms after the hour; `funding_rate` is a fraction per interval. Open interest is
in base coin and rounded to whole lots. A step of more than one and a half usual ones is reported as a hole but makes no GAP row: the market itself went
on. Rows of zero open interest are errors of the source.
"""

from pathlib import Path

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from titan_core.errors import TapeError
from titan_core.model.enums import StreamKind
from titan_core.model.units import INT32_MAX, RATE_SCALE, H
from titan_core.tape.faults import FaultKind, FaultLog
from titan_core.tape.importers.assemble import rows_by_kind
from titan_core.tape.importers.decimals import PRICE_DECIMALS, SIZE_DECIMALS, Ints, Trouble
from titan_core.tape.importers.detect import Format
from titan_core.tape.importers.lines import Progress, Recording
from titan_core.tape.importers.table import TIME_NAMES, CsvTable, open_recording, read_table
from titan_core.tape.importers.target import ImportResult, RawColumns, Target, choose_instrument, fine_unit, to_steps
from titan_core.tape.manifest import Source

RATE_LIMIT_E8 = RATE_SCALE // 20
"""A rate beyond 5 % per interval is no rate of any venue."""

_RATES = ("funding_rate", "rate", "last_funding_rate", "fundingrate")
_INTEREST = ("open_interest", "openinterest", "sum_open_interest", "oi")


@frozen(eq=False)
class _Series:
    """Times, fine values and the line of each, in time order without repetition."""

    ts: Ints
    values: Ints
    lines: Ints

    def pick(self, keep: NDArray[np.bool_]) -> "_Series":
        return _Series(self.ts[keep], self.values[keep], self.lines[keep])


def import_funding(path: Path, target: Target, *, progress: Progress | None = None) -> ImportResult:
    """Import settled funding rates. Raises TapeError for a file without any, UsageError where the instrument's grid is unknown."""
    recording = open_recording(path, progress)
    log = recording.log
    table = read_table(path, target, recording, ("ts_ms", "funding_rate"))
    series = _read(table, _RATES, PRICE_DECIMALS, log)
    rates, astray = to_steps(series.values, 10 ** (PRICE_DECIMALS - 8))
    if astray.any():
        row = int(np.argmax(astray))
        log.add(FaultKind.OFF_GRID, int(series.lines[row]), "rate has more than eight decimals; rounded to the nearest 1e-8", int(np.count_nonzero(astray)))
    series = _in_order(_within(_Series(series.ts, rates, series.lines), -RATE_LIMIT_E8, RATE_LIMIT_E8, "funding rate (1e-8)", log), log)
    _report_holes(series, log)
    raw: RawColumns = {StreamKind.FUNDING: {"ts": series.ts, "rate_e8": series.values.astype(np.int32)}}
    return _result(path, target, Format.FUNDING, "funding settlement", table, recording, raw)


def import_open_interest(path: Path, target: Target, *, progress: Progress | None = None) -> ImportResult:
    """Import open interest in base coin. Raises TapeError for a file without any, UsageError where the instrument's grid is unknown."""
    recording = open_recording(path, progress)
    log = recording.log
    table = read_table(path, target, recording, ("ts_ms", "open_interest"))
    series = _read(table, _INTEREST, SIZE_DECIMALS, log)
    instrument, _, _ = choose_instrument(target, [], [])
    lots, _ = to_steps(series.values, fine_unit(instrument.lot_size, SIZE_DECIMALS))
    series = _in_order(_within(_Series(series.ts, lots, series.lines), 1, INT32_MAX, "open interest (lots)", log), log)
    _report_holes(series, log)
    raw: RawColumns = {StreamKind.OPEN_INTEREST: {"ts": series.ts, "lots": series.values.astype(np.int32)}}
    return _result(path, target, Format.OPEN_INTEREST, "open interest", table, recording, raw)


def _read(table: CsvTable, names: tuple[str, ...], scale: int, log: FaultLog) -> _Series:
    ts, late = table.times(*TIME_NAMES)
    values, trouble = table.numbers(*names).fine(scale)
    tokens = table.columns[table.name_of(*names)]
    bad = late | (trouble == Trouble.UNREADABLE) | (trouble == Trouble.TOO_LARGE)
    if bad.any():
        row = int(np.argmax(bad))
        log.add(FaultKind.BAD_LINE, int(table.lines[row]), f"time or value {tokens[row].decode('ascii', 'replace')!r} cannot be read", int(bad.sum()))
    return _Series(ts, values, table.lines).pick(~bad)


def _in_order(series: _Series, log: FaultLog) -> _Series:
    back = np.flatnonzero(np.diff(series.ts) < 0) + 1
    if len(back):
        log.add(FaultKind.OUT_OF_ORDER, int(series.lines[back[0]]), "time before that of the row above; the rows are sorted", len(back))
        order = np.argsort(series.ts, kind="stable")
        series = _Series(series.ts[order], series.values[order], series.lines[order])
    again = np.diff(series.ts, prepend=-1) == 0
    if again.any():
        row = int(np.argmax(again))
        log.add(FaultKind.DUPLICATE, int(series.lines[row]), f"time {series.ts[row]} ns again; the first is kept", int(np.count_nonzero(again)))
    return series.pick(~again)


def _within(series: _Series, least: int, most: int, what: str, log: FaultLog) -> _Series:
    good = (series.values >= least) & (series.values <= most)
    if not good.all():
        row = int(np.argmin(good))
        text = f"{what} of {series.values[row]} is not within {least} to {most}; dropped"
        log.add(FaultKind.OUT_OF_RANGE, int(series.lines[row]), text, int(np.count_nonzero(~good)))
    return series.pick(good)


def _report_holes(series: _Series, log: FaultLog) -> None:
    steps = np.diff(series.ts)
    if not len(steps):
        return
    usual = float(np.median(steps))
    rows = np.flatnonzero(steps > 1.5 * usual) + 1
    if len(rows):
        log.add(FaultKind.HOLE, int(series.lines[rows[0]]), f"{steps[rows[0] - 1] / H:.2f} h since the row before, usual are {usual / H:.2f} h", len(rows))


def _result(path: Path, target: Target, format: Format, what: str, table: CsvTable, recording: Recording, raw: RawColumns) -> ImportResult:
    raw = {kind: columns for kind, columns in raw.items() if len(columns["ts"])}
    if not raw:
        raise TapeError(f"{path}: no usable {what} of {target.id} in {table.total} rows, {table.others} of them of other markets; check --symbol and --venue")
    instrument, grid, notes = choose_instrument(target, [], [])
    source = Source(
        file=path.name,
        format=format,
        size=recording.size,
        sha256=recording.sha256,
        instrument=instrument.id,
        lines=recording.line_count,
        messages=table.counts(what),
        rows=rows_by_kind(raw),
        faults=recording.log.faults,
        notes=notes,
    )
    return ImportResult(instrument=instrument, grid=grid, raw=raw, source=source)
