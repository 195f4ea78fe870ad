"""Binance trades in other wrappings: a JSON array of messages, and CSV files of recorded trade messages."""

from pathlib import Path

import msgspec
import numpy as np

from titan_core.errors import TapeError
from titan_core.tape.faults import FaultKind
from titan_core.tape.importers.binance_rows import BinanceRows
from titan_core.tape.importers.decimals import PRICE_DECIMALS, SIZE_DECIMALS, Trouble
from titan_core.tape.importers.lines import Block, Recording, preview
from titan_core.tape.importers.rows import readable
from titan_core.tape.importers.table import read_table
from titan_core.tape.importers.target import Target

_MARKET = (b"market", b"true", b"false", b"")


def array_as_lines(path: Path, recording: Recording) -> Block:
    """Return the elements of a JSON array as lines, so that element n stands on line n. A cut-off end loses its last element.

    Raises TapeError where the file is no array of objects.
    """
    data = b"".join(block.data for block in recording.blocks()).strip()
    try:
        elements = msgspec.json.decode(data, type=list[msgspec.Raw])
    except msgspec.MsgspecError:
        end = data.rfind(b"},") + 1
        try:
            elements = msgspec.json.decode(data[:end] + b"]", type=list[msgspec.Raw])
        except msgspec.MsgspecError as error:
            raise TapeError(f"{path}: is not a JSON array of messages ({error}): {preview(data)}") from error
        recording.cut_off(f"the array ends in the middle: {preview(data[end:])}", len(elements) + 1)
    recording.line_count = len(elements)
    lines = [bytes(element).replace(b"\n", b" ").strip() for element in elements]
    return Block(1, b"\n".join(lines) + b"\n")


def read_trades_csv(path: Path, target: Target, recording: Recording, rows: BinanceRows) -> dict[str, int]:
    """Add the trades of a CSV file of trade messages and return the message counts."""
    log = recording.log
    table = read_table(path, target, recording)
    receive, late = table.times("timestampofreceive")
    event, done = table.times("eventtime")[0], table.times("transactiontime")[0]
    tokens = {"price": table.columns[table.name_of("price")], "signed_lots": table.columns[table.name_of("quantity")]}
    values = {"price": table.numbers("price").fine(PRICE_DECIMALS), "signed_lots": table.numbers("quantity").fine(SIZE_DECIMALS)}
    ids, id_trouble = table.numbers("tradeid").fine(0)
    keep = readable(values | {"id": (ids, id_trouble)}, tokens | {"id": table.columns["tradeid"]}, table.lines, log)
    late &= keep
    if late.any():
        log.add(FaultKind.BAD_LINE, int(table.lines[np.argmax(late)]), "TimestampOfReceive is no time", int(np.count_nonzero(late)))
    keep &= ~late & (id_trouble == Trouble.NONE)
    maker = np.array([token.strip().lower() in (b"1", b"true") for token in table.columns[table.name_of("isbuyermarketmaker")]], np.bool_)
    for token in table.columns.get("xunknownparameter", ()):
        if token.strip().lower() not in _MARKET:
            name = token.decode("ascii", "replace").strip()
            rows.off_market[name] = rows.off_market.get(name, 0) + 1
    base = rows.timeline.extend(receive[keep], table.lines[keep])
    rows.timeline.compare(receive[keep], event[keep])
    lots = np.where(maker, -values["signed_lots"][0], values["signed_lots"][0])
    slots = base + np.arange(int(np.count_nonzero(keep)), dtype=np.int64)
    rows.trades.add(slots, done[keep], {"price": values["price"][0][keep], "signed_lots": lots[keep], "id": ids[keep]})
    return table.counts("trade")
