"""CSV files: columns of text by name, with the line of each row, and the rows that are not asked for left out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from titan_core.errors import TapeError
from titan_core.tape.catalog import normal_symbol, split_symbol
from titan_core.tape.faults import FaultKind, FaultLog
from titan_core.tape.importers.decimals import Ints, Numbers, Trouble, read_numbers, times_to_ns
from titan_core.tape.importers.lines import Progress, Recording, preview
from titan_core.tape.importers.target import Target

TIME_NAMES = ("ts_ms", "timestamp", "ts", "open_time", "time", "datetime", "date", "calc_time", "fundingtime")


@frozen(eq=False)
class CsvTable:
    """The rows of a CSV file that belong to one instrument. `lines` has the line of each; `total` counts all rows, `others` those left out."""

    path: Path
    columns: dict[str, list[bytes]]
    lines: Ints
    total: int
    others: int
    bad: int

    def counts(self, what: str) -> dict[str, int]:
        """Return how many rows there are of `what`, of other markets and of the wrong width; what there is none of is left out."""
        found = {what: self.total - self.bad - self.others, "other markets": self.others, "bad line": self.bad}
        return {name: count for name, count in found.items() if count}

    def name_of(self, *names: str) -> str:
        """Return the first of these columns that the file has. Raises TapeError where it has none."""
        for name in names:
            if name in self.columns:
                return name
        raise TapeError(f"{self.path}: has no column {' or '.join(names)}; its columns are {', '.join(self.columns)}")

    def numbers(self, *names: str) -> Numbers:
        """Read a column of numbers, given the names it may have."""
        return read_numbers(self.columns[self.name_of(*names)])

    def times(self, *names: str) -> tuple[Ints, NDArray[np.bool_]]:
        """Read a column of times (numbers of any unit, or text in UTC) as ns since 1970; mark those that cannot be read."""
        name = self.name_of(*names)
        tokens = self.columns[name]
        if tokens and b"-" in tokens[0][1:]:
            return _text_times(tokens)
        values, trouble = read_numbers(tokens).fine(0)
        times = times_to_ns(values)
        return times, (trouble != Trouble.NONE) | (times == 0)


def _text_times(tokens: Sequence[bytes]) -> tuple[Ints, NDArray[np.bool_]]:
    text = [token.strip().removesuffix(b"Z").removesuffix(b"+00:00").decode("ascii", "replace") for token in tokens]
    try:
        times = np.array(text, "datetime64[ns]")
    except ValueError:
        times = np.array([_text_time(one) for one in text], "datetime64[ns]")
    return times.astype(np.int64), np.isnat(times)


def _text_time(text: str) -> np.datetime64:
    try:
        return np.datetime64(text, "ns")
    except ValueError:
        return np.datetime64("NaT", "ns")


def read_table(path: Path, target: Target, recording: Recording, headless: Sequence[str] = ()) -> CsvTable:
    """Read a whole CSV file. Without a header the columns are those of `headless`.

    Rows whose `venue`, `exchange`, `coin` or `symbol` column names another market are counted and left out; rows of another width are reported.
    Raises TapeError for a file without rows.
    """
    log = recording.log
    data = b"".join(block.data for block in recording.blocks()).replace(b"\r\n", b"\n").replace(b'"', b"")
    names, body, first = _header(path, data, headless)
    rows, lines, total = _whole_rows(body, len(names), first, log)
    columns = {name: rows[place :: len(names)] for place, name in enumerate(names)}
    table = CsvTable(path, columns, lines, total, 0, total - len(lines))
    keep = _ours(columns, target, len(lines))
    if keep is None:
        return table
    picked = np.flatnonzero(keep).tolist()
    kept = {name: [tokens[row] for row in picked] for name, tokens in columns.items()}
    return CsvTable(path, kept, lines[keep], total, len(lines) - len(picked), table.bad)


def _header(path: Path, data: bytes, headless: Sequence[str]) -> tuple[list[str], bytes, int]:
    line, _, rest = data.lstrip(b"\xef\xbb\xbf").partition(b"\n")
    if not line.strip():
        raise TapeError(f"{path}: has no first line; give a CSV file with a header")
    names = [name.strip().lower() for name in line.decode("ascii", "replace").split(",")]
    if line[:1].isalpha():
        return names, rest, 2
    if len(headless) == 0:
        raise TapeError(f"{path}: line 1 is not a header: {preview(line)}; the first line must name the columns")
    return [*headless[: len(names)], *(f"column{place}" for place in range(len(headless), len(names)))], data, 1


def _whole_rows(body: bytes, width: int, first: int, log: FaultLog) -> tuple[list[bytes], Ints, int]:
    """Return the tokens of all rows of the right width one after another, the line of each row, and the number of rows."""
    body = body if body.endswith(b"\n") or not body else body + b"\n"
    raw = np.frombuffer(body, np.uint8)
    newlines, commas = np.flatnonzero(raw == 10), np.flatnonzero(raw == 44)
    wide = np.diff(np.searchsorted(commas, newlines), prepend=0) == width - 1
    blank = np.diff(newlines, prepend=-1) == 1
    lines = first + np.flatnonzero(wide & ~blank)
    if not wide.all() or blank.any():
        texts = body[:-1].split(b"\n")
        bad = np.flatnonzero(~wide & ~blank)
        if len(bad):
            place = int(bad[0])
            log.add(FaultKind.BAD_LINE, first + place, f"{texts[place].count(b',') + 1} columns, not {width}: {preview(texts[place])}", len(bad))
        body = b"".join(texts[place] + b"\n" for place in np.flatnonzero(wide & ~blank).tolist())
    tokens = body[:-1].replace(b"\n", b",").split(b",") if body else []
    return tokens, lines.astype(np.int64), int(np.count_nonzero(~blank))


def _ours(columns: Mapping[str, list[bytes]], target: Target, rows: int) -> NDArray[np.bool_] | None:
    base, _ = split_symbol(target.symbol)
    wanted = {"venue": target.venue.partition("-")[0], "exchange": target.venue.partition("-")[0], "coin": base, "symbol": target.symbol}
    keep = np.ones(rows, np.bool_)
    for name, value in wanted.items():
        if name in columns:
            keep &= np.array([normal_symbol(token.decode("ascii", "replace")) == normal_symbol(value) for token in columns[name]], np.bool_)
    return None if keep.all() else keep


def open_recording(path: Path, progress: Progress | None) -> Recording:
    """Start reading a file."""
    return Recording(path, FaultLog(path.name), progress)
