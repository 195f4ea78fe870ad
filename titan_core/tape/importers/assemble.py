"""From fine rows to raw columns: the grid is settled, values are put on it and checked, rows get their times."""

from collections.abc import Mapping, Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from titan_core.model.enums import StreamKind
from titan_core.model.instrument import Instrument
from titan_core.model.market import GapReason
from titan_core.model.units import INT32_MAX, S
from titan_core.tape.columns import PRICE_MAX
from titan_core.tape.faults import FaultKind, FaultLog
from titan_core.tape.importers.decimals import PRICE_DECIMALS, SIZE_DECIMALS, Ints
from titan_core.tape.importers.rows import GapRows, Table, Times
from titan_core.tape.importers.target import RawColumns, Target, choose_instrument, fine_unit, to_steps
from titan_core.tape.manifest import GridSource, Silence

PRICES = frozenset({"bid", "ask", "bids", "asks", "price", "index"})
OFF_BOOK = frozenset({StreamKind.MARK, StreamKind.OPEN_INTEREST})
"""Streams whose values are averages and do not lie on the grid: they are rounded to it and take no part in telling it."""

SILENCE_NS = 60 * S
"""A recording without any message for longer than this has a GAP row there."""
STREAM_SILENCE_NS = {StreamKind.QUOTE: 10 * S, StreamKind.DEPTH: 10 * S, StreamKind.TRADE: 60 * S, StreamKind.MARK: 10 * S, StreamKind.OPEN_INTEREST: 600 * S}
"""Silences of single streams longer than this are counted; thin markets have many, so they are no fault."""


@frozen(eq=False)
class Assembled:
    """The outcome of `assemble`."""

    instrument: Instrument
    grid: GridSource
    raw: RawColumns
    silences: dict[str, Silence]
    notes: tuple[str, ...]


def assemble(target: Target, times: Times, tables: Sequence[Table], gaps: GapRows, log: FaultLog, truncated: bool, silences: bool = True) -> Assembled:
    """Turn the rows of a recording into raw columns, reporting what does not fit.

    `silences` is False for files whose rows do not come in all the time. Raises UsageError where the grid cannot be told.
    """
    on_book = [table for table in tables if table.kind not in OFF_BOOK]
    prices = [v.reshape(-1) for table in on_book for name, v in table.fields.items() if name in PRICES]
    sizes = [v.reshape(-1) for table in on_book for name, v in table.fields.items() if name not in PRICES]
    instrument, grid, notes = choose_instrument(target, prices, sizes)
    raw: RawColumns = {}
    for table in tables:
        columns = _columns(table, instrument, times, log)
        if len(columns["ts"]):
            raw[table.kind] = columns
    if silences:
        _find_silences(times, gaps, log)
    if truncated and len(times.ts):
        gaps.add(len(times.ts) - 1, len(times.ts), GapReason.TRUNCATED)
    gap_columns = gaps.columns(times)
    if gap_columns is not None:
        raw[StreamKind.GAP] = gap_columns
    quiet = {kind.value: silence for kind, columns in raw.items() if (silence := _silence(kind, columns["ts"]))}
    return Assembled(instrument, grid, raw, quiet, notes)


def _columns(table: Table, instrument: Instrument, times: Times, log: FaultLog) -> dict[str, NDArray[np.generic]]:
    units = fine_unit(instrument.tick_size, PRICE_DECIMALS), fine_unit(instrument.lot_size, SIZE_DECIMALS)
    steps: dict[str, Ints] = {}
    for name, fine in table.fields.items():
        steps[name], astray = to_steps(fine, units[name not in PRICES])
        if table.kind not in OFF_BOOK and astray.any():
            _report_off_grid(table, name, fine, astray, instrument, times, log)
    table = Table(table.kind, table.slots, table.events, steps)
    table = table.pick(_sane(table, times, log))
    columns: dict[str, NDArray[np.generic]] = {"ts": times.ts[table.slots]}
    columns |= {name: values.astype(np.int32) for name, values in table.fields.items()}
    if table.events.any():
        columns["ts_event"] = table.events
    return columns


def _report_off_grid(table: Table, name: str, fine: Ints, astray: NDArray[np.bool_], instrument: Instrument, times: Times, log: FaultLog) -> None:
    matrix = astray.reshape(len(astray), -1)
    rows = np.flatnonzero(matrix.any(axis=1))
    row = int(rows[0])
    value = int(fine.reshape(matrix.shape)[row][matrix[row]][0])
    size, what, decimals = (instrument.tick_size, "tick", PRICE_DECIMALS) if name in PRICES else (instrument.lot_size, "lot", SIZE_DECIMALS)
    text = f"{table.kind} {name} {decimal_text(value, decimals)} is not a multiple of the {what} size {size:f}; rounded to the nearest"
    log.add(FaultKind.OFF_GRID, int(times.lines[table.slots[row]]), text, len(rows))


def _sane(table: Table, times: Times, log: FaultLog) -> NDArray[np.bool_]:
    """Mark the rows with values that can be; report the others. Sizes beyond 32 bits are clipped."""
    keep = np.ones(len(table.slots), np.bool_)
    lines = times.lines[table.slots]
    for name, values in table.fields.items():
        first_column = values if values.ndim == 1 else values[:, 0]
        if name in PRICES:
            least = 0 if name in ("index", "bids", "asks") else 1
            _drop(keep, (first_column < least) | (first_column > PRICE_MAX), lines, log, FaultKind.OUT_OF_RANGE, f"{table.kind} {name}", first_column)
            np.clip(values, 0, PRICE_MAX, out=values)
        else:
            _clip(values, lines, log, f"{table.kind} {name}")
            if table.kind in (StreamKind.TRADE, StreamKind.LIQUIDATION, StreamKind.OPEN_INTEREST):
                _drop(keep, values == 0, lines, log, FaultKind.OUT_OF_RANGE, f"{table.kind} {name}", values)
    if table.kind in (StreamKind.QUOTE, StreamKind.DEPTH):
        one_level = table.kind is StreamKind.QUOTE
        bid, ask = (table.fields["bid"], table.fields["ask"]) if one_level else (table.fields["bids"][:, 0], table.fields["asks"][:, 0])
        crossed = keep & (bid >= ask) & (bid > 0) & (ask > 0)
        _drop(keep, crossed, lines, log, FaultKind.CROSSED_BOOK, f"{table.kind} ask", ask, lambda row: f" ticks under a bid of {bid[row]}")
    return keep


def _drop(
    keep: NDArray[np.bool_],
    bad: NDArray[np.bool_],
    lines: Ints,
    log: FaultLog,
    kind: FaultKind,
    what: str,
    values: Ints,
    more: object = None,
) -> None:
    rows = np.flatnonzero(bad & keep)
    if len(rows):
        row = int(rows[0])
        tail = more(row) if callable(more) else ""
        log.add(kind, int(lines[row]), f"{what} {values[row]}{tail}; the row is dropped", len(rows))
        keep[rows] = False


def _clip(values: Ints, lines: Ints, log: FaultLog, what: str) -> None:
    over = np.abs(values) > INT32_MAX
    rows = np.flatnonzero(over if over.ndim == 1 else over.any(axis=1))
    if len(rows):
        row = int(rows[0])
        log.add(FaultKind.OUT_OF_RANGE, int(lines[row]), f"{what} of {int(np.abs(values[row]).max())} lots is clipped to {INT32_MAX}", len(rows))
        np.clip(values, -INT32_MAX, INT32_MAX, out=values)


def _find_silences(times: Times, gaps: GapRows, log: FaultLog) -> None:
    steps = np.diff(times.ts)
    for slot in (np.flatnonzero(steps > SILENCE_NS) + 1).tolist():
        log.add(FaultKind.SILENCE, int(times.lines[slot]), f"no message for {int(steps[slot - 1]) / S:.1f} s")
        gaps.add(slot - 1, slot, GapReason.SILENCE)


def _silence(kind: StreamKind, ts: NDArray[np.generic]) -> Silence | None:
    threshold = STREAM_SILENCE_NS.get(kind)
    steps = np.diff(ts)
    if threshold is None or not len(steps):
        return None
    longest = int(np.argmax(steps))
    return Silence(threshold, int(np.count_nonzero(steps > threshold)), int(steps[longest]), int(ts[longest + 1]))


def decimal_text(fine: int, decimals: int) -> str:
    """Write a fine integer as the decimal number it stands for."""
    sign, whole = ("-" if fine < 0 else ""), str(abs(fine)).rjust(decimals + 1, "0")
    fraction = whole[-decimals:].rstrip("0")
    return f"{sign}{whole[:-decimals]}.{fraction}" if fraction else f"{sign}{whole[:-decimals]}"


def rows_by_kind(raw: Mapping[StreamKind, Mapping[str, NDArray[np.generic]]]) -> dict[str, int]:
    """Count the rows of each stream."""
    return {kind.value: len(raw[kind]["ts"]) for kind in StreamKind if kind in raw}
