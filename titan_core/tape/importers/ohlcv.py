"""Bars from CSV: `ts_ms` (the bar's opening time), open, high, low, close, volume become trades along a path, and a quote around each.

A file without volume holds mark prices: its path becomes the MARK stream. Prices between two ticks are reported and rounded; volumes are rounded to
whole lots, since venues change lot sizes over the years.
"""

from pathlib import Path as FilePath

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from titan_core.errors import TapeError
from titan_core.model.enums import StreamKind
from titan_core.model.instrument import Instrument
from titan_core.model.market import GapReason
from titan_core.model.units import INT32_MAX, MIN
from titan_core.tape.columns import PRICE_MAX
from titan_core.tape.faults import FaultKind, FaultLog
from titan_core.tape.importers.assemble import decimal_text, rows_by_kind
from titan_core.tape.importers.decimals import PRICE_DECIMALS, SIZE_DECIMALS, Ints, Trouble
from titan_core.tape.importers.detect import Format
from titan_core.tape.importers.intrabar import Bars, Path, draw_path
from titan_core.tape.importers.lines import Progress
from titan_core.tape.importers.table import TIME_NAMES, CsvTable, open_recording, read_table
from titan_core.tape.importers.target import ImportResult, RawColumns, Target, choose_instrument, fine_unit, to_steps
from titan_core.tape.manifest import Source

_PRICES = (("open", "o"), ("high", "h"), ("low", "l"), ("close", "c"))
_VOLUMES = ("volume", "vol", "v", "base_volume")
_HEADLESS = ("ts_ms", "open", "high", "low", "close", "volume")


@frozen(eq=False)
class _Read:
    """Bars as read, on the fine scale; `lines` has the line of each."""

    open_ns: Ints
    prices: tuple[Ints, Ints, Ints, Ints]
    volume: Ints
    lines: Ints

    def pick(self, keep: NDArray[np.bool_] | Ints) -> "_Read":
        o, h, low, c = (price[keep] for price in self.prices)
        return _Read(self.open_ns[keep], (o, h, low, c), self.volume[keep], self.lines[keep])


def import_ohlcv(path: FilePath, target: Target, *, progress: Progress | None = None) -> ImportResult:
    """Import bars. Raises TapeError for a file without bars or whose bar length cannot be told."""
    recording = open_recording(path, progress)
    log = recording.log
    table = read_table(path, target, recording, _HEADLESS)
    has_volume = any(name in table.columns for name in _VOLUMES)
    read = _in_order(_read(table, has_volume, log), log)
    bar_ns = _bar_length(path, read)
    read = _on_grid_of_bars(read, bar_ns, log)
    instrument, grid, notes = choose_instrument(target, list(read.prices) if has_volume else [], [_coarse_enough(read.volume)])
    bars, lines = _sound(_to_bars(read, instrument, has_volume, log), read.lines, log)
    raw = _trades(bars, lines, bar_ns, log) if has_volume else _marks(bars, bar_ns)
    gaps = _holes(bars, lines, bar_ns, log, recording.truncated)
    if has_volume and gaps is not None:
        raw[StreamKind.GAP] = gaps
    source = Source(
        file=path.name,
        format=Format.OHLCV,
        size=recording.size,
        sha256=recording.sha256,
        instrument=instrument.id,
        lines=recording.line_count,
        messages=table.counts("bar"),
        rows=rows_by_kind(raw),
        faults=log.faults,
        notes=(f"bars of {bar_ns / MIN:g} min" + ("" if has_volume else " without volume: taken as mark prices"), *notes),
    )
    return ImportResult(instrument=instrument, grid=grid, raw=raw, source=source, bar_ns=bar_ns if has_volume else None)


def _coarse_enough(volume: Ints) -> Ints:
    """Round volumes so that the lot size they show keeps the largest bar within 32 bits of lots."""
    unit = 1
    while len(volume) and int(volume.max()) // unit > INT32_MAX // 2:
        unit *= 10
    return to_steps(volume, unit)[0] * unit


def _read(table: CsvTable, has_volume: bool, log: FaultLog) -> _Read:
    open_ns, bad = table.times(*TIME_NAMES)
    columns = [(table.numbers(*names).fine(PRICE_DECIMALS), table.columns[table.name_of(*names)]) for names in _PRICES]
    if has_volume:
        columns.append((table.numbers(*_VOLUMES).fine(SIZE_DECIMALS), table.columns[table.name_of(*_VOLUMES)]))
    for (_, trouble), tokens in columns:
        unreadable = (trouble == Trouble.UNREADABLE) | (trouble == Trouble.TOO_LARGE)
        for row in np.flatnonzero(unreadable & ~bad).tolist():
            log.add(FaultKind.BAD_LINE, int(table.lines[row]), f"{tokens[row].decode('ascii', 'replace')!r} is not a number that a tape can hold")
        bad = bad | unreadable
    late = np.flatnonzero(table.times(*TIME_NAMES)[1])
    if len(late):
        log.add(FaultKind.BAD_LINE, int(table.lines[late[0]]), "the bar's time cannot be read", len(late))
    values = [fine for (fine, _), _ in columns]
    volume = values[4] if has_volume else np.zeros(len(open_ns), np.int64)
    return _Read(open_ns, (values[0], values[1], values[2], values[3]), volume, table.lines).pick(~bad)


def _in_order(read: _Read, log: FaultLog) -> _Read:
    back = np.flatnonzero(np.diff(read.open_ns) < 0) + 1
    if len(back):
        log.add(FaultKind.OUT_OF_ORDER, int(read.lines[back[0]]), "bar time before that of the bar above; the bars are sorted", len(back))
        read = read.pick(np.argsort(read.open_ns, kind="stable"))
    again = np.diff(read.open_ns, prepend=-1) == 0
    if again.any():
        row = int(np.argmax(again))
        log.add(FaultKind.DUPLICATE, int(read.lines[row]), f"bar {_when(read.open_ns[row])} again; the first is kept", int(np.count_nonzero(again)))
    return read.pick(~again)


def _bar_length(path: FilePath, read: _Read) -> int:
    """Return the most frequent distance of two bars. Raises TapeError for less than two."""
    if len(read.open_ns) < 2:
        raise TapeError(f"{path}: holds {len(read.open_ns)} bars of this instrument; at least two are needed to tell their length: check --symbol and --venue")
    steps, counts = np.unique(np.diff(read.open_ns), return_counts=True)
    return int(steps[np.argmax(counts)])


def _on_grid_of_bars(read: _Read, bar_ns: int, log: FaultLog) -> _Read:
    phases, counts = np.unique(read.open_ns % bar_ns, return_counts=True)
    good = read.open_ns % bar_ns == phases[np.argmax(counts)]
    if not good.all():
        row = int(np.argmin(good))
        text = f"bar {_when(read.open_ns[row])} does not start on the grid of {bar_ns / MIN:g} min; dropped"
        log.add(FaultKind.BAD_BAR, int(read.lines[row]), text, int(np.count_nonzero(~good)))
    return read.pick(good)


def _to_bars(read: _Read, instrument: Instrument, has_volume: bool, log: FaultLog) -> Bars:
    tick, lot = fine_unit(instrument.tick_size, PRICE_DECIMALS), fine_unit(instrument.lot_size, SIZE_DECIMALS)
    ticks = []
    for fine in read.prices:
        steps, astray = to_steps(fine, tick)
        ticks.append(steps)
        rows = np.flatnonzero(astray)
        if has_volume and len(rows):
            value = decimal_text(int(fine[rows[0]]), PRICE_DECIMALS)
            text = f"price {value} is not a multiple of the tick size {instrument.tick_size:f}; rounded to the nearest"
            log.add(FaultKind.OFF_GRID, int(read.lines[rows[0]]), text, len(rows))
    lots = np.where(read.volume > 0, np.maximum(1, to_steps(read.volume, lot)[0]), read.volume)
    return Bars(read.open_ns, ticks[0], ticks[1], ticks[2], ticks[3], lots)


def _sound(bars: Bars, lines: Ints, log: FaultLog) -> tuple[Bars, Ints]:
    """Return the bars that can be, with their lines."""
    impossible = (bars.low < 1) | (bars.high > PRICE_MAX - 1) | (bars.volume < 0)
    crooked = ~impossible & ((bars.high < bars.low) | (np.minimum(bars.open, bars.close) < bars.low) | (np.maximum(bars.open, bars.close) > bars.high))
    for kind, bad in ((FaultKind.OUT_OF_RANGE, impossible), (FaultKind.BAD_BAR, crooked)):
        if bad.any():
            row = int(np.argmax(bad))
            values = f"open {bars.open[row]} high {bars.high[row]} low {bars.low[row]} close {bars.close[row]} ticks, volume {bars.volume[row]} lots; dropped"
            log.add(kind, int(lines[row]), f"bar {_when(bars.open_ns[row])}: {values}", int(np.count_nonzero(bad)))
    keep = ~impossible & ~crooked
    return bars.pick(keep), lines[keep]


def _trades(bars: Bars, lines: Ints, bar_ns: int, log: FaultLog) -> RawColumns:
    still = bars.volume == 0
    if still.any():
        row = int(np.argmax(still))
        log.add(FaultKind.ZERO_VOLUME, int(lines[row]), f"bar {_when(bars.open_ns[row])} has no volume: no trades", int(np.count_nonzero(still)))
    path = draw_path(bars.pick(~still), bar_ns)
    lots = path.lots
    over = np.flatnonzero(lots > INT32_MAX)
    if len(over):
        log.add(FaultKind.OUT_OF_RANGE, 0, f"a path point of {lots[over[0]]} lots is clipped to {INT32_MAX}; give a coarser --lot", len(over))
        lots = np.minimum(lots, INT32_MAX)
    shown = np.maximum(lots, 1).astype(np.int32)
    price = path.price.astype(np.int32)
    quote: dict[str, NDArray[np.generic]] = {"ts": path.ts - 1, "bid": price, "ask": price + np.int32(1), "bid_lots": shown, "ask_lots": shown}
    return {StreamKind.QUOTE: quote, StreamKind.TRADE: {"ts": path.ts, "price": price, "signed_lots": lots.astype(np.int32)}}


def _marks(bars: Bars, bar_ns: int) -> RawColumns:
    path: Path = draw_path(bars, bar_ns)
    price = path.price.astype(np.int32)
    return {StreamKind.MARK: {"ts": path.ts, "price": price, "index": np.zeros_like(price)}}


def _holes(bars: Bars, lines: Ints, bar_ns: int, log: FaultLog, truncated: bool) -> dict[str, NDArray[np.generic]] | None:
    """Return the GAP columns of the missing bars, which are also reported, and of a cut-off end."""
    steps = np.diff(bars.open_ns)
    rows = np.flatnonzero(steps > bar_ns) + 1
    missing = steps[rows - 1] - bar_ns
    if len(rows):
        text = f"{missing[0] // bar_ns} bars missing before {_when(bars.open_ns[rows[0]])}; {missing.sum() // bar_ns} in all"
        log.add(FaultKind.HOLE, int(lines[rows[0]]), text, len(rows))
    ts, reasons = bars.open_ns[rows], np.full(len(rows), GapReason.HOLE, np.int32)
    if truncated and len(bars.open_ns):
        ts, missing = np.append(ts, bars.open_ns[-1] + bar_ns), np.append(missing, 0)
        reasons = np.append(reasons, np.int32(GapReason.TRUNCATED))
    return {"ts": ts, "length_ns": missing, "reason": reasons} if len(ts) else None


def _when(ns: int) -> str:
    return f"{np.datetime64(int(ns), 'ns').astype('datetime64[s]')}Z".replace("T", " ")
